//! Time is read in one place, which follows paused time where code is async.

use lazarus::mission::time::Timestamp;
use lazarus::world::clock;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn under_paused_time_a_wait_of_an_hour_ends_immediately() {
    let (begun, blocked) = (clock::instant(), clock::blocking_instant());
    clock::sleep(HOUR).await;
    assert_eq!(clock::instant() - begun, HOUR);
    clock::sleep_until(begun + 2 * HOUR).await;
    assert_eq!(clock::instant() - begun, 2 * HOUR);
    assert!(clock::timeout(HOUR, std::future::pending::<()>()).await.is_err());
    assert!(clock::timeout_at(begun + 4 * HOUR, std::future::pending::<()>()).await.is_err());
    assert_eq!(clock::instant() - begun, 4 * HOUR);
    let mut ticks = clock::interval(HOUR);
    for hours in [4, 5, 6] {
        ticks.tick().await;
        assert_eq!(clock::instant() - begun, hours * HOUR);
    }
    assert!(clock::blocking_instant() - blocked < HOUR, "what blocks a thread waits for the kernel");
}

#[test]
fn now_has_whole_seconds_and_precise_now_has_full_precision() {
    let before = clock::precise_now();
    let now = clock::now();
    let after = clock::precise_now();
    assert_eq!(Timestamp::parse(&now.to_string()), Some(now), "nothing of it is lost when it is written");
    let second = |time: Timestamp| Timestamp::parse(&time.to_string()).unwrap();
    assert!((second(before)..=second(after)).contains(&now), "{before} {now} {after}");
    let epoch = Timestamp::from(chrono::DateTime::UNIX_EPOCH);
    let since = clock::precise_now().after(epoch).to_std().unwrap();
    assert!(since <= clock::since_epoch(), "both are the wall clock");
}

#[test]
fn the_time_since_boot_never_decreases() {
    let before = clock::since_boot();
    assert!(before > Duration::ZERO && clock::since_boot() >= before);
}
