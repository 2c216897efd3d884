//! Accepts connections and bounds everything about them: how many, from whom, how long, and how large.

use crate::http::connections::{ConnectionSlot, ConnectionSlots};
use crate::http::reply::{self, Reply};
use crate::world::catch_unwind::catch_unwind;
use crate::world::clock;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The most bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How long to wait when there is no room for one more connection in this process.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once; for one more, the one that has been still for longest is closed.
    pub connections: usize,
    /// Connections at once of one address. Loopback may have them all: there stands a reverse proxy, through which
    /// everybody comes, and which has limits of its own.
    pub connections_per_peer: usize,
    /// From accepting a connection to the end of its first headers.
    pub headers: Duration,
    /// From there to the end of the body.
    pub body: Duration,
    /// From there, the body included, to the answer.
    pub answer: Duration,
    /// From an answer to the end of the next headers: writing the one, waiting, and reading the other.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_peer: 32,
            headers: Duration::from_secs(5),
            body: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            idle: Duration::from_secs(15),
        }
    }
}

/// Serves until `shutdown` is true or nobody is left who could say so, and then until every connection has ended, which
/// its deadline sees to.
pub async fn serve<F, A>(
    listener: TcpListener,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let places = Arc::new(ConnectionSlots::new(limits.connections, limits.connections_per_peer));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = told_to_stop(&mut shutdown) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, address)) = accepted else {
            clock::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Some(place) = ConnectionSlot::take(&places, address.ip()) {
            // Without it small answers wait for each other.
            let _ = stream.set_nodelay(true);
            let (answer, shutdown) = (answer.clone(), shutdown.clone());
            connections.spawn(async move {
                converse(stream, &place, limits, shutdown, answer).await;
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|is_over| *is_over).await;
}

/// Serves one connection until it ends, its deadline passes, or we stop.
async fn converse<F, A>(
    stream: TcpStream,
    place: &ConnectionSlot,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Reply>,
{
    let deadline = Deadline::within(limits.headers);
    let service = service_fn(|request| {
        deadline.set(limits.answer);
        place.renew();
        let (deadline, answer) = (&deadline, answer(request));
        async move {
            let reply = guarded(answer).await;
            deadline.set(limits.idle);
            place.renew();
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES_MAX).max_header_size(HEADER_BYTES_MAX).header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // How a connection ends is its peer's business.
            _ = connection.as_mut() => return,
            () = deadline.passed() => return,
            () = place.is_needed() => return,
            () = told_to_stop(&mut shutdown), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// An answer, or the word that we broke down over it: a panic costs one request, and its connection.
async fn guarded(answer: impl Future<Output = Reply>) -> Reply {
    catch_unwind(answer).await.unwrap_or_else(|()| {
        let mut reply = reply::broken();
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        reply
    })
}

/// When a connection is closed if nothing moves it before. One timer a connection, whatever happens on it.
struct Deadline(Mutex<Instant>);

impl Deadline {
    fn within(limit: Duration) -> Self {
        Self(Mutex::new(clock::instant() + limit))
    }

    fn set(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clock::instant() + limit;
    }

    fn due(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn passed(&self) {
        while self.due() > clock::instant() {
            clock::sleep_until(self.due()).await;
        }
    }
}
