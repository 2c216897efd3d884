//! Several threads at one list of work, watched by somebody who does not wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// More threads than this do not make a disk faster.
const THREADS_MAX: usize = 8;

/// How long no cell at all may be finished before the rest counts as unreadable.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// So many pieces of work are taken at once, so that threads do not wait for each other's bookkeeping.
const BATCH: usize = 32;

/// Does `work` for each number below `count`. When nothing at all has been finished for `patience`, what is still
/// under way stays `None`: a disk that hangs costs its own cells a verdict, and not the pass its end.
pub fn gather<T, W>(count: usize, patience: Duration, work: W) -> Vec<Option<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> T + Send + Sync + 'static,
{
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let batch = BATCH.min(count.div_ceil(processors)).max(1);
    let threads = processors.min(THREADS_MAX).min(count);
    let work = Arc::new(work);
    let next = Arc::new(AtomicUsize::new(0));
    let (done, finished) = channel();
    for _ in 0..threads {
        let (work, next, done) = (Arc::clone(&work), Arc::clone(&next), done.clone());
        std::thread::spawn(move || {
            loop {
                let from = next.fetch_add(batch, Ordering::Relaxed);
                let taken = from..count.min(from.saturating_add(batch));
                if taken.is_empty() || done.send((from, taken.map(&*work).collect::<Vec<T>>())).is_err() {
                    return;
                }
            }
        });
    }
    drop(done);
    while let Ok((from, batch)) = finished.recv_timeout(patience) {
        for (at, result) in (from..).zip(batch) {
            results[at] = Some(result);
        }
    }
    results
}
