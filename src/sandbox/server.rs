//! Serves HTTP on loopback: reads a whole request, applies its fault, and sends the response of a handler.

use crate::sandbox::fault::Fault;
use crate::sandbox::http_message::{SandboxReply, SandboxRequest};
use crate::sandbox::{Shared, api, git, seams, web};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The largest request body that is read.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The task that accepts connections; ends with all of them when dropped.
#[derive(Debug)]
pub(super) struct Server(JoinHandle<()>);

impl Server {
    pub(super) fn start(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self(tokio::spawn(accept(listener, shared)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // As in Gitea's own server: otherwise Nagle's algorithm delays small responses.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    // An injected fault ends the connection with an error.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Sent>> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let mut received = SandboxRequest::new(request.method().as_str().to_owned(), &target);
    received.headers = request.headers().clone();
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    received.body = body.map_err(io::Error::other)?.to_bytes().to_vec();
    let fault = shared.faults().next(&received.method, &target);
    let closed = || Err(io::Error::from(io::ErrorKind::ConnectionAborted));
    let reply = match fault {
        None | Some(Fault::Truncate | Fault::Trickle) => answer(&shared, &received).await,
        Some(Fault::HangUp) => return closed(),
        Some(Fault::LoseAnswer) => {
            answer(&shared, &received).await;
            return closed();
        }
        Some(Fault::Delay(delay)) => {
            seams::sleep(delay).await;
            answer(&shared, &received).await
        }
        Some(Fault::Refuse(status)) => SandboxReply::error(&shared.state().url, status, ""),
        Some(Fault::Answer(status, body)) => SandboxReply::text(status, body),
        Some(Fault::TooManyRequests(seconds)) => SandboxReply::empty(429).with("retry-after", &seconds.to_string()),
        Some(Fault::Overcount) => overcounted(answer(&shared, &received).await),
        Some(Fault::Rewrite(from, to)) => rewritten(answer(&shared, &received).await, from, to),
        Some(Fault::Empty) => SandboxReply::json(200, &serde_json::json!([])).with("x-total-count", "0"),
        Some(Fault::Html) => {
            SandboxReply::html(200, "<!DOCTYPE html><title>Welcome</title><p>Please accept our terms.")
        }
    };
    response(reply, fault)
}

async fn answer(shared: &Shared, request: &SandboxRequest) -> SandboxReply {
    let Some(target) = git::target(request) else {
        let mut state = shared.state();
        state.set_url_for(request.header("host"));
        let is_api = request.path.starts_with("/api/");
        let reply = if is_api { api::answer(&mut state, request) } else { web::answer(&mut state, request) };
        for delivery in state.deliveries.drain(..) {
            tokio::spawn(delivery.send());
        }
        return reply;
    };
    let call = git::admit(&shared.state(), request, target);
    // The state is unlocked while git runs.
    match call {
        Ok(call) => git::serve(Arc::clone(&shared.bare_repos), call).await,
        Err(rejection) => rejection,
    }
}

fn overcounted(mut reply: SandboxReply) -> SandboxReply {
    for (name, value) in &mut reply.headers {
        if *name == "x-total-count" {
            *value = value.parse().map_or_else(|_| value.clone(), |total: u64| (total + 1).to_string());
        }
    }
    reply
}

fn rewritten(mut reply: SandboxReply, from: &str, to: &str) -> SandboxReply {
    reply.body = String::from_utf8_lossy(&reply.body).replace(from, to).into_bytes();
    reply
}

fn response(reply: SandboxReply, fault: Option<Fault>) -> io::Result<Response<Sent>> {
    let is_cut = fault == Some(Fault::Truncate);
    let SandboxReply { status, headers, body } = reply;
    let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
    let mut response = Response::builder().status(status).header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let kept = if is_cut { body.len() / 2 } else { body.len() };
    let rest = Some(Bytes::copy_from_slice(&body[..kept]));
    let pause = (fault == Some(Fault::Trickle)).then(trickle);
    response.body(Sent { rest, is_cut, pause }).map_err(io::Error::other)
}

/// How long each byte of an answer takes that trickles.
const TRICKLE: Duration = Duration::from_secs(1);

/// A body that may break off in the middle, or come a byte at a time.
struct Sent {
    rest: Option<Bytes>,
    is_cut: bool,
    /// Until the next byte, where they come one at a time.
    pause: Option<Pause>,
}

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

fn trickle() -> Pause {
    Box::pin(seams::sleep(TRICKLE))
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            *pause = trickle();
            let byte = self.rest.as_mut().filter(|rest| !rest.is_empty()).map(|rest| rest.split_to(1));
            return Poll::Ready(byte.map(|byte| Ok(Frame::data(byte))));
        }
        Poll::Ready(match self.rest.take().filter(|rest| !rest.is_empty()) {
            Some(rest) => Some(Ok(Frame::data(rest))),
            None if self.is_cut => Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
            None => None,
        })
    }
}
