//! Many missions that are closed at once are archived only when the next pass finds them closed too, however the news came.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::soon;
use lazarus::engine::queue::Key;

/// A daemon with so many missions, each with a cell.
async fn stage(count: usize) -> (Repository, Host, Running, Vec<i64>) {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(repository.file("reader", "Mission: x", &[]).await);
    }
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    assert_eq!(host.cells().len(), count);
    (repository, host, daemon, numbers)
}

/// Closes it, and has the daemon look at it as a webhook does.
async fn close(repository: &Repository, daemon: &Running, number: i64) {
    repository.set_state(number, "closed").await;
    let ended = daemon.queue.ended();
    daemon.queue.add_urgent(Key::Issue { repository: repository.id, number });
    soon("looked at", async || daemon.queue.ended() > ended && daemon.queue.is_idle()).await;
}

#[tokio::test]
async fn a_closing_from_a_webhook_waits_for_the_next_pass() {
    for count in [1, 3, 8] {
        let (repository, host, mut daemon, numbers) = stage(10).await;
        for number in &numbers[..count] {
            close(&repository, &daemon, *number).await;
            assert_eq!(host.archives().len(), 0, "{count}: nothing is archived between two passes");
        }
        daemon.tick(30).await;
        assert_eq!(host.archives().len(), count, "the pass has found the same");
        daemon.stop().await;
    }
}

/// As an answer of a proxy is, which says the same of all.
#[tokio::test]
async fn a_closing_that_the_next_pass_does_not_confirm_archives_nothing() {
    let (repository, host, mut daemon, numbers) = stage(10).await;
    for number in &numbers {
        close(&repository, &daemon, *number).await;
    }
    for number in &numbers {
        repository.set_state(*number, "open").await;
    }
    daemon.tick(30).await;
    daemon.tick(30).await;
    assert_eq!((host.cells().len(), host.archives().len()), (10, 0));
    daemon.stop().await;
}

#[tokio::test]
async fn closings_are_counted_over_two_passes() {
    let (repository, host, mut daemon, numbers) = stage(10).await;
    for number in &numbers[..3] {
        repository.set_state(*number, "closed").await;
    }
    daemon.tick(30).await;
    let first = host.archives().len();
    for number in &numbers[3..6] {
        repository.set_state(*number, "closed").await;
    }
    daemon.tick(30).await;
    let second = host.archives().len();
    daemon.tick(30).await;
    assert_eq!((first, second, host.archives().len()), (3, 3, 6), "three in a row are normal, six are not");
    daemon.stop().await;
}
