//! Several threads at one list of work, watched by somebody who does not wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// More threads than this do not make a disk faster, and no more are given up for lost.
const THREADS_MAX: usize = 8;

/// How long no cell at all may be finished before those under way count as unreadable.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Does `work` for each number below `count`. Whenever nothing at all has been finished for `patience`, another thread
/// takes up what nobody has begun, until [`THREADS_MAX`] hang; what is still under way then stays `None`. So a disk that
/// hangs costs its own cells a verdict, and not the pass its end.
pub fn gather<T, W>(count: usize, patience: Duration, work: W) -> Vec<Option<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> T + Send + Sync + 'static,
{
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let work = Arc::new(work);
    let next = Arc::new(AtomicUsize::new(0));
    let (done, finished) = channel();
    let hire = || {
        let (work, next, done) = (Arc::clone(&work), Arc::clone(&next), done.clone());
        std::thread::spawn(move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count || done.send((index, work(index))).is_err() {
                    return;
                }
            }
        });
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = processors.min(THREADS_MAX).min(count);
    (0..threads).for_each(|_| hire());
    let mut left = count;
    while left > 0 {
        match finished.recv_timeout(patience) {
            Ok((index, result)) => {
                results[index] = Some(result);
                left -= 1;
            }
            Err(RecvTimeoutError::Timeout) if threads < THREADS_MAX && next.load(Ordering::Relaxed) < count => {
                hire();
                threads += 1;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    results
}
