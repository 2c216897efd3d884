//! Several threads at one list of work, watched by somebody who does not wait for ever.

use crate::world::mutex::locked;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use tokio::sync::oneshot;

/// More threads than this do not make a disk faster, and no more are given up for lost.
pub const THREADS_MAX: usize = 8;

/// How long no cell at all may be finished before those under way count as unreadable.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// What the threads have in common. Whoever watches is woken once, at the end: to be told of every single piece would
/// cost more than the piece.
struct Shared<T, W> {
    work: W,
    next: AtomicUsize,
    done: AtomicUsize,
    results: Vec<Mutex<Option<T>>>,
    watched: Mutex<()>,
    all_done: Condvar,
}

impl<T, W: Fn(usize) -> T> Shared<T, W> {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.results.len()
    }

    fn toil(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = self.results.get(index) else { return };
            let finished = (self.work)(index);
            *locked(result) = Some(finished);
            if self.done.fetch_add(1, Ordering::AcqRel) + 1 == self.results.len() {
                drop(self.watched.lock());
                self.all_done.notify_all();
            }
        }
    }
}

/// Does `work` for each number below `count`. Whenever nothing at all has been finished for `patience`, another thread
/// takes up what nobody has begun, until `THREADS_MAX` hang; what is still under way then stays `None`. So a disk that
/// hangs costs its own cells a verdict, and not the pass its end.
pub fn gather<T, W>(count: usize, patience: Duration, work: W) -> Vec<Option<T>>
where
    T: Send + 'static,
    W: Fn(usize) -> T + Send + Sync + 'static,
{
    let shared = Arc::new(Shared {
        work,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        results: (0..count).map(|_| Mutex::new(None)).collect(),
        watched: Mutex::new(()),
        all_done: Condvar::new(),
    });
    let hire = || {
        let shared = Arc::clone(&shared);
        Builder::new().spawn(move || shared.toil()).is_ok()
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = processors.min(THREADS_MAX).min(count);
    if (0..threads).filter(|_| hire()).count() == 0 {
        // Where no thread can be had, whoever watches does the work.
        shared.toil();
    }
    let mut before = 0;
    let mut watched = locked(&shared.watched);
    while !shared.is_done() {
        let woken = shared.all_done.wait_timeout_while(watched, patience, |()| !shared.is_done());
        watched = woken.unwrap_or_else(PoisonError::into_inner).0;
        let done = shared.done.load(Ordering::Acquire);
        if done > before {
            before = done;
        } else if threads < THREADS_MAX && shared.next.load(Ordering::Relaxed) < count {
            hire();
            threads += 1;
        } else {
            break;
        }
    }
    // Those that hang shall not go on with an old list when they are free again.
    shared.next.store(count, Ordering::Relaxed);
    let take = |result: &Mutex<Option<T>>| locked(result).take();
    shared.results.iter().map(take).collect()
}

/// Does what waits for a disk on a thread of its own. That it panics is a defect, which goes on in whoever waits for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on a disk never panics")
}

/// Does what may take very long on a thread that no other work waits for; none where there is no thread to be had. Whoever
/// stops waiting leaves it to its end.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, is_done) = oneshot::channel();
    let begun = Builder::new().name("apart".to_owned()).spawn(move || {
        let _ = done.send(work());
    });
    begun.ok()?;
    is_done.await.ok()
}
