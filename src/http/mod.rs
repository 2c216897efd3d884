//! The web: two listeners, one for machines that bring news and one for whoever looks. It sees a snapshot, a way to ask
//! for a look, a way to tell of comments, and a way to replace a heartbeat; nothing else.

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
use render_cache::Kept;
use server::ConnectionLimits;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// What the web knows and may do.
#[derive(Debug)]
pub struct Web {
    /// What is shown.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Where a webhook asks for a look.
    pub queue: Arc<Queue>,
    /// Where a webhook tells of comments.
    pub comments: mpsc::Sender<CommentEvent>,
    /// How a heartbeat is replaced.
    pub beats: Arc<HeartbeatReceiver>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the forge signs with; without it there is no webhook.
    pub webhook_secret: Option<Secret>,
    /// What the page asks for, if anything.
    pub page_token: Option<Secret>,
    /// How long and how much of everything.
    pub limits: ConnectionLimits,
}

impl Web {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }
}

/// Serves the webhook, heartbeats, and whether the daemon is well, until told to stop and the last answer is given.
pub async fn serve_doors(listener: TcpListener, web: Arc<Web>, shutdown: watch::Receiver<bool>) {
    let limits = web.limits;
    let answer = move |request| ingress::answer(Arc::clone(&web), request);
    server::serve(listener, limits, shutdown, answer).await;
}

/// Serves the pages, the health report and the metrics, until told to stop and the last answer is given.
pub async fn serve_page(listener: TcpListener, web: Arc<Web>, shutdown: watch::Receiver<bool>) {
    let limits = web.limits;
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let kept = Arc::new(Kept::default());
    let answer = move |request| {
        let (web, kept) = (Arc::clone(&web), Arc::clone(&kept));
        async move { pages::answer(&web, &kept, is_local, &request) }
    };
    server::serve(listener, limits, shutdown, answer).await;
}
