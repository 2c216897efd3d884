//! Runs blocking work on several threads, with a timeout for stalled disks.

use crate::world::lock_unpoisoned::locked;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use tokio::sync::oneshot;

/// The most threads: more do not make a disk faster, and no more are abandoned when they hang.
pub const THREADS_MAX: usize = 8;

/// The stall timeout: if no cell is finished for so long, those in progress count as unreadable.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// The state shared by the threads. The waiting task is woken once, at the end: waking it for each item would cost more
/// than the item.
struct Shared<T, W> {
    work: W,
    next: AtomicUsize,
    done: AtomicUsize,
    results: Vec<Mutex<Option<T>>>,
    waiting: Mutex<()>,
    all_done: Condvar,
}

impl<T, W: Fn(usize) -> T> Shared<T, W> {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.results.len()
    }

    fn run(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = self.results.get(index) else { return };
            let finished = (self.work)(index);
            *locked(result) = Some(finished);
            if self.done.fetch_add(1, Ordering::AcqRel) + 1 == self.results.len() {
                drop(self.waiting.lock());
                self.all_done.notify_all();
            }
        }
    }
}

/// Runs `work` for each number below `count`. Whenever nothing finishes for `patience`, another thread takes over the
/// remaining items, until `THREADS_MAX` hang; items still in progress then are `None`. A hanging disk thus costs the
/// health of its own cells, but not the pass.
pub fn map_with_stall_timeout<T, W>(count: usize, patience: Duration, work: W) -> Vec<Option<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> T + Send + Sync + 'static,
{
    let shared = Arc::new(Shared {
        work,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        results: (0..count).map(|_| Mutex::new(None)).collect(),
        waiting: Mutex::new(()),
        all_done: Condvar::new(),
    });
    let spawn_worker = || {
        let shared = Arc::clone(&shared);
        Builder::new().spawn(move || shared.run()).is_ok()
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = processors.min(THREADS_MAX).min(count);
    if (0..threads).filter(|_| spawn_worker()).count() == 0 {
        // Without any thread, the calling one does the work.
        shared.run();
    }
    let mut before = 0;
    let mut waiting = locked(&shared.waiting);
    while !shared.is_done() {
        let woken = shared.all_done.wait_timeout_while(waiting, patience, |()| !shared.is_done());
        waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        let done = shared.done.load(Ordering::Acquire);
        if done > before {
            before = done;
        } else if threads < THREADS_MAX && shared.next.load(Ordering::Relaxed) < count {
            spawn_worker();
            threads += 1;
        } else {
            break;
        }
    }
    // Hanging threads must not continue with an old list when they recover.
    shared.next.store(count, Ordering::Relaxed);
    let take = |result: &Mutex<Option<T>>| locked(result).take();
    shared.results.iter().map(take).collect()
}

/// Runs blocking work on a thread of the runtime. A panic is an internal error and continues in the caller.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on a disk never panics")
}

/// Runs work that may take very long on its own thread; none if no thread is available. If the caller stops waiting,
/// the work still ends.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, is_done) = oneshot::channel();
    let begun = Builder::new().name("apart".to_owned()).spawn(move || {
        let _ = done.send(work());
    });
    begun.ok()?;
    is_done.await.ok()
}
