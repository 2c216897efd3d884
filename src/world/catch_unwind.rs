//! Contains a panic: it costs one request or one scan, and not the caller.

use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;

/// The result of a future, or an error if it panicked. State that it held locked stays as it is.
pub(crate) async fn catch_unwind<T>(future: impl Future<Output = T>) -> Result<T, ()> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(())),
    })
    .await
}
