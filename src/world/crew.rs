//! Several threads at one list of work, watched by somebody who does not wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// More threads than this do not make a disk faster.
const THREADS_MAX: usize = 8;

/// How long no cell at all may be finished before the rest counts as unreadable.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Does `work` for each number below `count`. When nothing at all has been finished for `patience`, what is still
/// under way stays `None`: a disk that hangs costs its own cells a verdict, and not the pass its end.
pub fn gather<T, W>(count: usize, patience: Duration, work: W) -> Vec<Option<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> T + Send + Sync + 'static,
{
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(count);
    let work = Arc::new(work);
    let next = Arc::new(AtomicUsize::new(0));
    let (done, finished) = channel();
    for _ in 0..threads {
        let (work, next, done) = (Arc::clone(&work), Arc::clone(&next), done.clone());
        std::thread::spawn(move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count || done.send((index, work(index))).is_err() {
                    return;
                }
            }
        });
    }
    drop(done);
    while let Ok((index, result)) = finished.recv_timeout(patience) {
        results[index] = Some(result);
    }
    results
}
