//! Accepts connections and limits their number, per peer and in total, their duration and the size of their headers.

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

/// How long to wait after a failed accept, which usually means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of connections, and deadlines for the parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Concurrent connections; one more evicts the one that has been idle for longest.
    pub connections: usize,
    /// Concurrent connections of one peer. Loopback is exempt: a reverse proxy there connects for all clients, and has
    /// limits of its own.
    pub connections_per_peer: usize,
    /// From accepting a connection to the end of its first request's headers.
    pub headers: Duration,
    /// From the end of the headers to the end of the body.
    pub body: Duration,
    /// From the end of the headers to the response, including the body.
    pub answer: Duration,
    /// From a response to the end of the next request's headers: writing, idling and reading.
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

/// Serves until `shutdown` is true or its sender is dropped, then until every connection has ended, by its deadline at
/// the latest.
pub async fn serve<F, A>(
    listener: TcpListener,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let slots = Arc::new(ConnectionSlots::new(limits.connections, limits.connections_per_peer));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown_requested(&mut shutdown) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, address)) = accepted else {
            clock::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Some(slot) = ConnectionSlot::take(&slots, address.ip()) {
            // Otherwise Nagle's algorithm delays small responses.
            let _ = stream.set_nodelay(true);
            let (answer, shutdown) = (answer.clone(), shutdown.clone());
            connections.spawn(async move {
                serve_connection(stream, &slot, limits, shutdown, answer).await;
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn shutdown_requested(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|is_over| *is_over).await;
}

/// Serves one connection until it ends, its deadline passes, it is evicted, or the server shuts down.
async fn serve_connection<F, A>(
    stream: TcpStream,
    slot: &ConnectionSlot,
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
        slot.touch();
        let (deadline, answer) = (&deadline, answer(request));
        async move {
            let reply = or_internal_error(answer).await;
            deadline.set(limits.idle);
            slot.touch();
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES_MAX).max_header_size(HEADER_BYTES_MAX).header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_shutting_down = false;
    loop {
        tokio::select! {
            // An error here only says how the peer ended the connection.
            _ = connection.as_mut() => return,
            () = deadline.passed() => return,
            () = slot.evicted() => return,
            () = shutdown_requested(&mut shutdown), if !is_shutting_down => {
                is_shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The response, or 500 after a panic, which costs only this request and its connection.
async fn or_internal_error(answer: impl Future<Output = Reply>) -> Reply {
    catch_unwind(answer).await.unwrap_or_else(|()| {
        let mut reply = reply::internal_error();
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        reply
    })
}

/// When a connection is closed unless the deadline moves; one timer serves the whole connection.
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
