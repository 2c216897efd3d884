//! The queue: each key at most once, failing ones later and later, and never more than fit.

use crate::support::PATIENCE;
use chrono::TimeDelta;
use lazarus::engine::queue::{DEBOUNCE, KEYS_MAX, Key, Queue};
use lazarus::mission::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

fn issue(number: i64) -> Key {
    Key::Issue { repository: 7, number }
}

/// Takes everything that is in line, without waiting for more.
async fn drain(queue: &Queue) -> Vec<Key> {
    let mut taken = Vec::new();
    while queue.depth() > 0 {
        taken.push(queue.next().await);
    }
    taken
}

#[tokio::test]
async fn a_key_is_queued_once_in_first_in_first_out_order() {
    let queue = Queue::default();
    for number in [3, 1, 3, 2, 1] {
        queue.add(issue(number));
    }
    assert_eq!(drain(&queue).await, [issue(3), issue(1), issue(2)]);
}

#[tokio::test]
async fn a_key_runs_once_at_a_time_and_loses_no_event() {
    let queue = Queue::default();
    queue.add(issue(1));
    assert_eq!(drain(&queue).await, [issue(1)]);
    queue.add(issue(1));
    queue.add(issue(1));
    assert!(queue.depth() == 0 && !queue.is_idle(), "it is under way");
    queue.done(issue(1));
    assert_eq!(drain(&queue).await, [issue(1)]);
    queue.done(issue(1));
    assert!(queue.depth() == 0 && queue.is_idle());
}

/// The clock goes on by itself when everybody waits.
#[tokio::test(start_paused = true)]
async fn replayed_events_are_debounced_to_two_runs_a_second_and_delay_no_key() {
    let queue = Arc::new(Queue::default());
    let begun = Instant::now();
    let (looked, mut looks) = mpsc::unbounded_channel();
    let worker = Arc::clone(&queue);
    tokio::spawn(async move {
        loop {
            let key = worker.next().await;
            looked.send((key, begun.elapsed())).unwrap();
            // News that comes while it is looked at is no exception.
            worker.add_urgent(issue(1));
            worker.done(key);
        }
    });
    for replay in 0..1_000 {
        queue.add_urgent(issue(1));
        if replay == 800 {
            queue.add_urgent(issue(2));
            queue.add_urgent(issue(2));
        }
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(2)).await;
    }
    let look = async |looks: &mut mpsc::UnboundedReceiver<_>| looks.recv().await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(look(&mut looks).await);
    }
    let others = seen.extract_if(.., |(key, _)| *key == issue(2)).collect::<Vec<_>>();
    assert_eq!(seen, [0, 1, 2, 3, 4].map(|number| (issue(1), DEBOUNCE * number)), "and the last is not lost");
    assert_eq!(others, [(issue(2), Duration::from_millis(1_600))]);
    assert!(queue.is_idle(), "what is held back is in nobody's way");
}

/// Somebody undoes what each look does, at once, and a webhook tells.
#[tokio::test(start_paused = true)]
async fn a_key_that_each_run_queues_again_is_rate_limited() {
    let queue = Arc::new(Queue::default());
    let (looked, mut looks) = mpsc::unbounded_channel();
    let worker = Arc::clone(&queue);
    tokio::spawn(async move {
        loop {
            let key = worker.next().await;
            looked.send(()).unwrap();
            worker.add(key);
            worker.add_urgent(key);
            worker.done(key);
        }
    });
    queue.add(issue(1));
    for _ in 0..600 {
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    let mut count = 0;
    while looks.try_recv().is_ok() {
        count += 1;
    }
    assert!((20..=60).contains(&count), "{count} looks in a minute");
}

/// They wait, and take one key each.
async fn three_workers(queue: &Arc<Queue>) -> JoinSet<Key> {
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        let queue = Arc::clone(queue);
        workers.spawn(async move { queue.next().await });
    }
    tokio::task::yield_now().await;
    workers
}

#[tokio::test]
async fn every_waiting_worker_gets_a_key() {
    let queue = Arc::new(Queue::default());
    let mut workers = three_workers(&queue).await;
    let now = Timestamp::parse("2026-11-23T14:00:00Z").unwrap();
    for number in 1..=3 {
        queue.add(issue(number));
    }
    assert_eq!(tokio::time::timeout(PATIENCE, workers.join_all()).await.unwrap().len(), 3);
    (1..=3).for_each(|number| queue.failed(issue(number), now));
    workers = three_workers(&queue).await;
    queue.release_all();
    assert_eq!(tokio::time::timeout(PATIENCE, workers.join_all()).await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_backs_off_until_an_event_arrives() {
    let queue = Queue::default();
    let mut now = Timestamp::parse("2026-11-23T14:00:00Z").unwrap();
    let mut waits = Vec::new();
    queue.add(issue(1));
    for _ in 0..12 {
        assert_eq!(drain(&queue).await, [issue(1)]);
        queue.failed(issue(1), now);
        let failed = now;
        queue.add(issue(1));
        assert_eq!(queue.depth(), 0, "it waits");
        while queue.depth() == 0 {
            now = now.plus(TimeDelta::seconds(1));
            queue.release(now);
        }
        waits.push(now.after(failed).num_seconds());
    }
    assert!((2..=5).contains(&waits[0]) && (5..=10).contains(&waits[1]), "{waits:?}");
    assert!(waits[8..].iter().all(|wait| (300..=600).contains(wait)), "{waits:?}");
    drain(&queue).await;
    queue.failed(issue(1), now);
    tokio::time::advance(DEBOUNCE).await;
    queue.add_urgent(issue(1));
    assert_eq!(drain(&queue).await, [issue(1)]);
    queue.failed(issue(1), now);
    queue.release_all();
    assert_eq!(drain(&queue).await, [issue(1)]);
    queue.done(issue(1));
    queue.add(issue(1));
    drain(&queue).await;
    queue.failed(issue(1), now);
    queue.release(now.plus(TimeDelta::seconds(5)));
    assert_eq!(drain(&queue).await, [issue(1)], "a success makes it begin anew");
}

#[tokio::test]
async fn an_overflow_becomes_one_resync_and_loses_nothing() {
    let queue = Queue::default();
    let most = i64::try_from(KEYS_MAX).unwrap();
    for number in 1..=most {
        queue.add(issue(number));
    }
    assert_eq!(queue.depth(), KEYS_MAX);
    queue.add(issue(most + 1));
    queue.add(issue(most + 2));
    let left: BTreeSet<Key> = drain(&queue).await.into_iter().collect();
    assert_eq!(left, BTreeSet::from([Key::Resync, issue(most + 2)]));
}

#[tokio::test]
async fn a_waiting_worker_is_woken() {
    let queue = Arc::new(Queue::default());
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await }
    });
    tokio::task::yield_now().await;
    queue.add(Key::Listing);
    assert_eq!(waiting.await.unwrap(), Key::Listing);
}
