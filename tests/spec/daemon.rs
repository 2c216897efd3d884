//! The daemon: everything shows within one tick, nothing costs more than it must, and a forge that is down costs nothing.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::stories;
use lazarus::mission::health::Health;

stories! {
    everything_shows_with_the_next_tick,
}

async fn everything_shows_with_the_next_tick(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    let first = daemon.tick(0).await;
    assert_eq!((first.passes.complete, &first.passes.errors), (1, &Vec::<String>::new()));
    let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "merlin")]).await;
    daemon.tick(30).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    let cell = host.cell();
    let labels = async |health: &str| {
        let labels = repository.labels(number).await;
        assert_eq!(labels, [&format!("health/{health}"), "kind/mission-proposal", "mission/active", "wizard/working"]);
    };
    host.beat(&cell, &[]).await;
    daemon.tick(30).await;
    labels("healthy").await;
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Active and healthy** since"), "{comment}");
    daemon.tick(600).await;
    labels("stale").await;
    std::fs::remove_dir_all(cell.join("logs")).unwrap();
    daemon.tick(30).await;
    assert!(cell.join("logs/daemon.log").is_file() && repository.comment(number).await.contains("Made again at"));
    repository.edit("reader", number, |body| body.replace("5 minutes", "1 hour")).await;
    let last = daemon.tick(30).await;
    let papers = std::fs::read_to_string(cell.join("meta/mission.json")).unwrap();
    assert!(papers.contains("\"stale_after_seconds\": 3600"), "{papers}");
    assert_eq!(last.missions.len(), 1);
    let view = &last.missions[0];
    assert_eq!((view.name.as_deref(), view.health.map(Health::word)), (Some("raise the dead"), Some("healthy")));
    assert_eq!((last.passes.incomplete, &last.passes.errors), (0, &Vec::new()));
    daemon.stop().await;
}
