//! Holds a panic where it happened: it costs one request, or one look, and not whoever makes them.

use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;

/// What a future comes to, or that it broke down. What it held locked is as it was left.
pub(crate) async fn catch_unwind<T>(future: impl Future<Output = T>) -> Result<T, ()> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(())),
    })
    .await
}
