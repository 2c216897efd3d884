//! Serves two listeners: one for webhooks and heartbeats, one for the dashboard, the health report and metrics. It can
//! read a snapshot, queue an issue, pass on comment events, and replace a heartbeat; nothing else.

mod access;
mod body;
mod connections;
mod health;
mod heartbeat;
mod ingress;
pub mod page;
mod pages;
pub mod render_cache;
pub mod reply;
pub mod server;
mod webhook;

use crate::config::Secret;
use crate::engine::metrics::Metrics;
use crate::engine::queue::Queue;
use crate::engine::snapshot::Snapshot;
use crate::mission::status::comment_check::CommentEvent;
use crate::world::cells::heartbeats::{HeartbeatReceiver, HeartbeatRejected};
use render_cache::RenderCache;
use server::ConnectionLimits;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// The state and the channels that both listeners share.
#[derive(Debug)]
pub struct Web {
    /// The snapshot that is served.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The queue to which a webhook adds its issue.
    pub queue: Arc<Queue>,
    /// The channel for edits and deletions of comments.
    pub comments: mpsc::Sender<CommentEvent>,
    /// Verifies and writes heartbeats.
    pub beats: Arc<HeartbeatReceiver>,
    /// Counters of requests and results.
    pub metrics: Arc<Metrics>,
    /// The secret that the forge signs deliveries with; without it the webhook answers 404.
    pub webhook_secret: Option<Secret>,
    /// The token that the dashboard requires, if any.
    pub page_token: Option<Secret>,
    /// Limits of connections, and deadlines.
    pub limits: ConnectionLimits,
}

impl Web {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }
}

/// Serves the webhook, heartbeats, liveness and readiness until `shutdown`, then finishes the responses under way.
pub async fn serve_endpoints(listener: TcpListener, web: Arc<Web>, shutdown: watch::Receiver<bool>) {
    let limits = web.limits;
    let answer = move |request| ingress::answer(Arc::clone(&web), request);
    server::serve(listener, limits, shutdown, answer).await;
}

/// Serves the dashboard, the health report and the metrics until `shutdown`, then finishes the responses under way.
pub async fn serve_page(listener: TcpListener, web: Arc<Web>, shutdown: watch::Receiver<bool>) {
    let limits = web.limits;
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let cache = Arc::new(RenderCache::default());
    let answer = move |request| {
        let (web, cache) = (Arc::clone(&web), Arc::clone(&cache));
        async move { pages::answer(&web, &cache, is_local, &request) }
    };
    server::serve(listener, limits, shutdown, answer).await;
}
