//! What is still to be looked at: keys only, each at most once, failing ones later and later, news about one not too often,
//! and never more than fit.

use crate::mission::identity::RepositoryId;
use crate::mission::time::Timestamp;
use crate::world::{clock, random};
use chrono::TimeDelta;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most keys that are held. One more makes the queue forget them all and look at everything, which loses nothing.
pub const KEYS_MAX: usize = 10_000;

/// How long a key waits after its first failure, in seconds; doubles with each.
const BACKOFF_MIN: i64 = 5;

/// The longest that a failing key waits, in seconds.
const BACKOFF_MAX: i64 = 600;

/// News about a key leads to a look no sooner than this after its last one began: whoever replays a delivery for ever has
/// no more looks than that.
pub const DEBOUNCE: Duration = Duration::from_millis(500);

/// So many looks on end, each of which asked for the next one, come without a pause.
const REPEATS_MAX: u8 = 3;

/// The pause then: somebody undoes what we do, and does so at once.
const REPEAT_PAUSE: Duration = Duration::from_secs(10);

/// What can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Everything, anew.
    Resync,
    /// What the forge has that is new.
    Listing,
    /// What is to be said for many missions at once.
    Alerts,
    /// One issue.
    Issue {
        /// Its repository.
        repository: RepositoryId,
        /// Its number there.
        number: i64,
    },
}

/// Where a key is.
#[derive(Clone, Copy, Debug)]
enum KeyState {
    /// In line; because somebody said that there is news, or not, and after so many looks on end.
    Ready { is_news: bool, repeats: u8 },
    /// Being looked at, for the same reasons; and whether it was asked for again meanwhile, and if so because of news.
    UnderWay { is_news: bool, repeats: u8, again: bool, has_news: bool },
    /// Failed, and not yet due again.
    Delayed { due: Timestamp },
}

#[derive(Debug, Default)]
struct State {
    line: VecDeque<(Key, Instant)>,
    places: HashMap<Key, KeyState>,
    failures: HashMap<Key, u32>,
    under_way: usize,
    ended: u64,
    /// When a look at a key began, for as long as [`DEBOUNCE`] counts; oldest first.
    looks: VecDeque<(Instant, Key)>,
    /// News that is held back until then.
    held: BTreeSet<(Instant, Key)>,
}

/// The queue of a daemon. Whoever adds never waits.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    added: Notify,
}

impl Queue {
    /// Puts a key in line. One that is in line stays where it is, one that is being looked at will be again, and one that
    /// failed waits out its delay.
    pub fn add(&self, key: Key) {
        self.state(|state| state.put(key, false));
        self.added.notify_one();
    }

    /// As [`Queue::add`], but somebody says that there is news, and so no failure is waited out; only [`DEBOUNCE`] is.
    pub fn add_urgent(&self, key: Key) {
        self.state(|state| match state.held_until(key, clock::instant()) {
            Some(due) => {
                state.held.insert((due, key));
            }
            None => state.put(key, true),
        });
        self.added.notify_one();
    }

    /// As [`Queue::add`], but no failure is waited out, nor [`DEBOUNCE`]: for news that nobody else decides how often comes.
    pub fn add_now(&self, key: Key) {
        self.state(|state| state.put(key, true));
        self.added.notify_one();
    }

    /// The key that is longest in line, once there is one; it is under way until [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self) -> Key {
        loop {
            let (key, is_more, due) = self.state(|state| {
                let now = clock::instant();
                state.let_go(now);
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
                // Whether it was woken or is due, there may be something now.
                Some(due) => clock::timeout_at(due, self.added.notified()).await.unwrap_or_default(),
                None => self.added.notified().await,
            }
        }
    }

    /// Whether somebody said that there is news about a key that is under way, so that nothing older than that will do.
    #[must_use]
    pub fn is_event(&self, key: Key) -> bool {
        self.state(|state| matches!(state.places.get(&key), Some(KeyState::UnderWay { is_news: true, .. })))
    }

    /// Whether a key is in line or under way.
    #[must_use]
    pub fn is_asked(&self, key: Key) -> bool {
        self.state(|state| matches!(state.places.get(&key), Some(KeyState::Ready { .. } | KeyState::UnderWay { .. })))
    }

    /// Whether a key is in line, under way, or waits after a failure.
    #[must_use]
    pub fn is_held(&self, key: Key) -> bool {
        self.state(|state| state.places.contains_key(&key))
    }

    /// A key was looked at with success; whether it had failed before.
    pub fn done(&self, key: Key) -> bool {
        let had_failed = self.state(|state| {
            state.end(key, None);
            state.failures.remove(&key).is_some()
        });
        self.added.notify_one();
        had_failed
    }

    /// A key could not be looked at, or something of it failed; it comes again after a while, longer each time.
    pub fn failed(&self, key: Key, now: Timestamp) {
        self.state(|state| {
            let failures = state.failures.entry(key).or_default();
            let due = now.plus(backoff(*failures));
            *failures = failures.saturating_add(1);
            state.end(key, Some(due));
        });
        self.added.notify_one();
    }

    /// A key could not be looked at for a reason that may be over at any time; it comes again with the next tick.
    pub fn put_off(&self, key: Key, now: Timestamp) {
        self.state(|state| state.end(key, Some(now)));
        self.added.notify_one();
    }

    /// Puts in line what has waited long enough, or for longer than anything has to: then the clock was set back.
    pub fn release(&self, now: Timestamp) {
        let latest = now.plus(TimeDelta::seconds(BACKOFF_MAX));
        self.release_if(|due| due <= now || due > latest);
    }

    /// How many looks have ended so far.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.state(|state| state.ended)
    }

    /// Puts everything in line that waits: what made it fail is over.
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

    /// How many keys are in line.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state(|state| state.line.len())
    }

    /// How many failed and wait until they are due again.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.state(|state| state.places.len() - state.line.len() - state.under_way)
    }

    /// How long the first in line has been there.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.state(|state| state.line.front().map_or(Duration::ZERO, |(_, since)| clock::instant() - *since))
    }

    /// Whether nothing is in line or under way; what waits after a failure does not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state(|state| state.line.is_empty() && state.under_way == 0)
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn make_ready(&mut self, key: Key, is_news: bool, repeats: u8) {
        self.places.insert(key, KeyState::Ready { is_news, repeats });
        self.line.push_back((key, clock::instant()));
    }

    fn put(&mut self, key: Key, is_urgent: bool) {
        match self.places.get_mut(&key) {
            Some(KeyState::Ready { is_news, .. }) => *is_news |= is_urgent,
            Some(KeyState::UnderWay { again, has_news, .. }) => (*again, *has_news) = (true, *has_news || is_urgent),
            Some(KeyState::Delayed { .. }) if !is_urgent => {}
            Some(KeyState::Delayed { .. }) | None if self.line.len() >= KEYS_MAX => self.overflow(),
            Some(KeyState::Delayed { .. }) | None => self.make_ready(key, is_urgent, 0),
        }
    }

    fn take(&mut self, now: Instant) -> Option<Key> {
        let (key, _) = self.line.pop_front()?;
        let (is_news, repeats) = match self.places.get(&key) {
            Some(KeyState::Ready { is_news, repeats }) => (*is_news, *repeats),
            Some(KeyState::UnderWay { .. } | KeyState::Delayed { .. }) | None => (false, 0),
        };
        self.places.insert(key, KeyState::UnderWay { is_news, repeats, again: false, has_news: false });
        self.under_way += 1;
        self.looks.push_back((now, key));
        self.forget_runs(now);
        Some(key)
    }

    /// A look has ended, and failed if there is a time for the next one. News that came meanwhile does not wait for that.
    fn end(&mut self, key: Key, due: Option<Timestamp>) {
        self.under_way -= 1;
        self.ended += 1;
        let Some(KeyState::UnderWay { repeats, again, has_news, .. }) = self.places.remove(&key) else { return };
        match due {
            Some(due) if !has_news => {
                self.places.insert(key, KeyState::Delayed { due });
            }
            _ if again && repeats < REPEATS_MAX => self.make_ready(key, has_news, repeats + 1),
            _ if again => {
                self.held.insert((clock::instant() + REPEAT_PAUSE, key));
            }
            _ => {}
        }
    }

    /// Until when news about a key has to wait, if it has to. One that is in line needs no more.
    fn held_until(&mut self, key: Key, now: Instant) -> Option<Instant> {
        if matches!(self.places.get(&key), Some(KeyState::Ready { .. })) {
            return None;
        }
        self.forget_runs(now);
        let debounced = self.looks.iter().rfind(|(_, looked_at)| *looked_at == key).map(|(begun, _)| *begun + DEBOUNCE);
        let paused = self.held.iter().rfind(|(_, held)| *held == key).map(|(due, _)| *due);
        debounced.max(paused)
    }

    /// Those that hold nothing back any more.
    fn forget_runs(&mut self, now: Instant) {
        while self.looks.front().is_some_and(|(begun, _)| *begun + DEBOUNCE <= now) {
            self.looks.pop_front();
        }
    }

    /// Puts in line what was held back until now.
    fn let_go(&mut self, now: Instant) {
        while let Some((due, key)) = self.held.first().copied().filter(|(due, _)| *due <= now) {
            self.held.remove(&(due, key));
            self.put(key, true);
        }
    }

    /// What is in line becomes one look at everything; what is under way or waits stays as it is.
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

/// Spread, so that what failed together does not come back together.
fn backoff(failures: u32) -> TimeDelta {
    let longest =
        BACKOFF_MIN.saturating_mul(1_i64.checked_shl(failures).unwrap_or(i64::MAX)).clamp(BACKOFF_MIN, BACKOFF_MAX);
    TimeDelta::seconds(random::number(longest / 2..=longest))
}
