//! A bounded, deduplicating work queue of keys, with per-key backoff and a debounce for pushed events.

use crate::mission::identity::RepositoryId;
use crate::mission::time::Timestamp;
use crate::world::{clock, random};
use chrono::TimeDelta;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most keys in the queue. One more replaces them all by an audit of everything, which loses nothing.
pub const KEYS_MAX: usize = 10_000;

/// The backoff after a key's first failure, in seconds; doubles with each further one.
const BACKOFF_MIN: i64 = 5;

/// The longest backoff, in seconds.
const BACKOFF_MAX: i64 = 600;

/// The shortest interval between runs of a key because of events, so that repeated deliveries cannot cause more.
pub const DEBOUNCE: Duration = Duration::from_millis(500);

/// How many consecutive runs of a key, each of which requested the next one, are allowed without a pause.
const REPEATS_MAX: u8 = 3;

/// The pause after that: another client reverts our changes immediately.
const REPEAT_PAUSE: Duration = Duration::from_secs(10);

/// A unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An audit of everything.
    Resync,
    /// A listing of recent changes on the forge.
    Listing,
    /// The fleet alert.
    Alerts,
    /// One issue.
    Issue {
        /// Its repository.
        repository: RepositoryId,
        /// Its number there.
        number: i64,
    },
}

/// The state of a key.
#[derive(Clone, Copy, Debug)]
enum KeyState {
    /// In the queue; whether because of an event, and after how many consecutive runs.
    Ready { is_event: bool, repeats: u8 },
    /// Running, likewise; and whether it was requested again meanwhile, and if so because of an event.
    UnderWay { is_event: bool, repeats: u8, again: bool, has_event: bool },
    /// Failed, and waiting for its retry.
    Delayed { due: Timestamp },
}

#[derive(Debug, Default)]
struct State {
    line: VecDeque<(Key, Instant)>,
    places: HashMap<Key, KeyState>,
    failures: HashMap<Key, u32>,
    under_way: usize,
    ended: u64,
    /// When runs of keys began, within [`DEBOUNCE`]; oldest first.
    runs: VecDeque<(Instant, Key)>,
    /// Events that are held back until a time.
    held: BTreeSet<(Instant, Key)>,
}

/// The work queue of an engine. Adding a key never blocks.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    added: Notify,
}

impl Queue {
    /// Enqueues a key. One that is in the queue keeps its place, a running one runs again afterwards, and a failed one
    /// waits for the end of its backoff.
    pub fn add(&self, key: Key) {
        self.state(|state| state.put(key, false));
        self.added.notify_one();
    }

    /// Like [`Queue::add`], but because of an event: does not wait for a backoff, only for [`DEBOUNCE`].
    pub fn add_urgent(&self, key: Key) {
        self.state(|state| match state.held_until(key, clock::instant()) {
            Some(due) => {
                state.held.insert((due, key));
            }
            None => state.put(key, true),
        });
        self.added.notify_one();
    }

    /// Adds a key without backoff and without [`DEBOUNCE`]: for events whose rate this service controls.
    pub fn add_now(&self, key: Key) {
        self.state(|state| state.put(key, true));
        self.added.notify_one();
    }

    /// Waits for the oldest key and takes it; it is running until [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self) -> Key {
        loop {
            let (key, is_more, due) = self.state(|state| {
                let now = clock::instant();
                state.enqueue_held(now);
                let key = state.take(now);
                (key, !state.line.is_empty(), state.held.first().map(|(due, _)| *due))
            });
            if let Some(key) = key {
                if is_more {
                    self.added.notify_one();
                }
                return key;
            }
            match due {
                // After a notification or a timeout, there may be a key.
                Some(due) => clock::timeout_at(due, self.added.notified()).await.unwrap_or_default(),
                None => self.added.notified().await,
            }
        }
    }

    /// Whether a running key runs because of an event, so that older facts are not enough.
    #[must_use]
    pub fn is_event(&self, key: Key) -> bool {
        self.state(|state| matches!(state.places.get(&key), Some(KeyState::UnderWay { is_event: true, .. })))
    }

    /// Whether a key is in the queue or running.
    #[must_use]
    pub fn is_asked(&self, key: Key) -> bool {
        self.state(|state| matches!(state.places.get(&key), Some(KeyState::Ready { .. } | KeyState::UnderWay { .. })))
    }

    /// Whether a key is in the queue, running, or waiting for a retry.
    #[must_use]
    pub fn is_held(&self, key: Key) -> bool {
        self.state(|state| state.places.contains_key(&key))
    }

    /// Ends a successful run; returns whether the key had failed before.
    pub fn done(&self, key: Key) -> bool {
        let had_failed = self.state(|state| {
            state.end(key, None);
            state.failures.remove(&key).is_some()
        });
        self.added.notify_one();
        had_failed
    }

    /// Ends a failed run; the key is retried with exponential backoff.
    pub fn failed(&self, key: Key, now: Timestamp) {
        self.state(|state| {
            let failures = state.failures.entry(key).or_default();
            let due = now.plus(backoff(*failures));
            *failures = failures.saturating_add(1);
            state.end(key, Some(due));
        });
        self.added.notify_one();
    }

    /// Ends a run that failed for a temporary reason; the key is retried with the next tick.
    pub fn put_off(&self, key: Key, now: Timestamp) {
        self.state(|state| state.end(key, Some(now)));
        self.added.notify_one();
    }

    /// Enqueues the keys whose retry is due, and those that are due too late because the clock was set back.
    pub fn release(&self, now: Timestamp) {
        let latest = now.plus(TimeDelta::seconds(BACKOFF_MAX));
        self.release_if(|due| due <= now || due > latest);
    }

    /// How many runs have ended so far.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.state(|state| state.ended)
    }

    /// Enqueues all keys that wait for a retry, since the cause of their failures is gone.
    pub fn release_all(&self) {
        self.release_if(|_| true);
    }

    fn release_if(&self, is_due: impl Fn(Timestamp) -> bool) {
        self.state(|state| {
            let due = state.places.iter().filter_map(|(key, place)| match place {
                KeyState::Delayed { due } if is_due(*due) => Some(*key),
                KeyState::Delayed { .. } | KeyState::Ready { .. } | KeyState::UnderWay { .. } => None,
            });
            let mut due: Vec<Key> = due.collect();
            due.sort_unstable();
            for key in due {
                state.make_ready(key, false, 0);
            }
        });
        self.added.notify_one();
    }

    /// How many keys are in the queue.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state(|state| state.line.len())
    }

    /// How many failed keys wait for a retry.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.state(|state| state.places.len() - state.line.len() - state.under_way)
    }

    /// How long the oldest key has been in the queue.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.state(|state| state.line.front().map_or(Duration::ZERO, |(_, since)| clock::instant() - *since))
    }

    /// Whether no key is in the queue or running; keys that wait for a retry do not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state(|state| state.line.is_empty() && state.under_way == 0)
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn make_ready(&mut self, key: Key, is_event: bool, repeats: u8) {
        self.places.insert(key, KeyState::Ready { is_event, repeats });
        self.line.push_back((key, clock::instant()));
    }

    fn put(&mut self, key: Key, is_urgent: bool) {
        match self.places.get_mut(&key) {
            Some(KeyState::Ready { is_event, .. }) => *is_event |= is_urgent,
            Some(KeyState::UnderWay { again, has_event, .. }) => (*again, *has_event) = (true, *has_event || is_urgent),
            Some(KeyState::Delayed { .. }) if !is_urgent => {}
            Some(KeyState::Delayed { .. }) | None if self.line.len() >= KEYS_MAX => self.overflow(),
            Some(KeyState::Delayed { .. }) | None => self.make_ready(key, is_urgent, 0),
        }
    }

    fn take(&mut self, now: Instant) -> Option<Key> {
        let (key, _) = self.line.pop_front()?;
        let (is_event, repeats) = match self.places.get(&key) {
            Some(KeyState::Ready { is_event, repeats }) => (*is_event, *repeats),
            Some(KeyState::UnderWay { .. } | KeyState::Delayed { .. }) | None => (false, 0),
        };
        self.places.insert(key, KeyState::UnderWay { is_event, repeats, again: false, has_event: false });
        self.under_way += 1;
        self.runs.push_back((now, key));
        self.forget_runs(now);
        Some(key)
    }

    /// Ends a run, which failed if `due` is the time of its retry. An event that arrived meanwhile does not wait for
    /// that.
    fn end(&mut self, key: Key, due: Option<Timestamp>) {
        self.under_way -= 1;
        self.ended += 1;
        let Some(KeyState::UnderWay { repeats, again, has_event, .. }) = self.places.remove(&key) else { return };
        match due {
            Some(due) if !has_event => {
                self.places.insert(key, KeyState::Delayed { due });
            }
            _ if again && repeats < REPEATS_MAX => self.make_ready(key, has_event, repeats + 1),
            _ if again => {
                self.held.insert((clock::instant() + REPEAT_PAUSE, key));
            }
            _ => {}
        }
    }

    /// Until when an event about a key is held back, if at all. A key in the queue is not held.
    fn held_until(&mut self, key: Key, now: Instant) -> Option<Instant> {
        if matches!(self.places.get(&key), Some(KeyState::Ready { .. })) {
            return None;
        }
        self.forget_runs(now);
        let debounced = self.runs.iter().rfind(|(_, looked_at)| *looked_at == key).map(|(begun, _)| *begun + DEBOUNCE);
        let paused = self.held.iter().rfind(|(_, held)| *held == key).map(|(due, _)| *due);
        debounced.max(paused)
    }

    /// Forgets runs that are older than [`DEBOUNCE`].
    fn forget_runs(&mut self, now: Instant) {
        while self.runs.front().is_some_and(|(begun, _)| *begun + DEBOUNCE <= now) {
            self.runs.pop_front();
        }
    }

    /// Enqueues the events that were held back until now.
    fn enqueue_held(&mut self, now: Instant) {
        while let Some((due, key)) = self.held.first().copied().filter(|(due, _)| *due <= now) {
            self.held.remove(&(due, key));
            self.put(key, true);
        }
    }

    /// Replaces all keys in the queue by one audit; running and waiting keys stay.
    fn overflow(&mut self) {
        for (key, _) in self.line.drain(..) {
            self.places.remove(&key);
        }
        match self.places.get_mut(&Key::Resync) {
            Some(KeyState::UnderWay { again, .. }) => *again = true,
            Some(KeyState::Ready { .. } | KeyState::Delayed { .. }) | None => self.make_ready(Key::Resync, false, 0),
        }
    }
}

/// The backoff after so many failures, with jitter, so that keys that failed together are not retried together.
fn backoff(failures: u32) -> TimeDelta {
    let longest =
        BACKOFF_MIN.saturating_mul(1_i64.checked_shl(failures).unwrap_or(i64::MAX)).clamp(BACKOFF_MIN, BACKOFF_MAX);
    TimeDelta::seconds(random::number(longest / 2..=longest))
}
