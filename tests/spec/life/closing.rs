//! Closing moves a cell away whole, reopening brings it back, and the last state wins.

use crate::life::pass;
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run, writes};
use crate::support::stories;
use lazarus::mission::status::phase::Phase;
use lazarus::sandbox::Fault;
use std::path::Path;
use std::time::Duration;

stories![
    closing_archives_the_whole_cell_and_reopening_restores_it,
    an_agent_with_heartbeats_keeps_its_cell_until_the_grace_has_passed,
    an_obstacle_in_the_way_of_a_restored_cell_is_kept,
    a_mission_closed_without_a_cell_is_reported_only_if_it_was_known,
    a_comment_reports_that_the_archive_of_its_cell_was_deleted,
];

fn write(cell: &Path, file: &str, contents: &str) {
    std::fs::write(cell.join(file), contents).unwrap();
}

fn read(cell: &Path, file: &str) -> String {
    std::fs::read_to_string(cell.join(file)).unwrap()
}

async fn closing_archives_the_whole_cell_and_reopening_restores_it(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    host.once(&repository).await;
    let cell = host.cell();
    write(&cell, "artifacts/hand-off.txt", "all of it");
    write(&cell, "worktree/notes.txt", "half of it");
    host.beat(&cell, &["--state", "done"]).await;
    host.once(&repository).await;
    repository.set_state(number, "closed").await;
    let report = host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/closed"]);
    assert_eq!(report["summary"]["phase"]["closed"], 1);
    let [archive] = host.archives().try_into().unwrap();
    assert_eq!((host.cells().len(), archive.file_name()), (0, cell.file_name()));
    assert_eq!(read(&archive, "artifacts/hand-off.txt"), "all of it");
    assert!(read(&archive, "meta/mission.json").contains("\"status\": \"closed\""));
    assert!(read(&archive, "logs/daemon.log").contains("\"change\":\"archive-cell\""));
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Closed.** The whole cell was moved to the archive"), "{comment}");
    assert!(comment.contains(&format!("- Files: `{}` on `alpha`", archive.display())), "{comment}");
    let quiet = host.once(&repository).await;
    assert_eq!(
        (changes(&quiet), quiet["requests"]["get"].as_u64()),
        (0, Some(5)),
        "it is not asked for again: {quiet}"
    );

    repository.set_state(number, "open").await;
    host.once(&repository).await;
    assert_eq!((host.cell(), host.archives().len()), (cell.clone(), 0));
    assert_eq!(read(&cell, "worktree/notes.txt"), "half of it");
    assert!(read(&cell, "meta/mission.json").contains("\"status\": \"active\""));
    assert!(repository.comment(number).await.contains("Restored from the archive at "));
    let labels = ["health/healthy", "kind/mission-proposal", "mission/active", "wizard/done"];
    assert_eq!(repository.labels(number).await, labels);
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn an_agent_with_heartbeats_keeps_its_cell_until_the_grace_has_passed(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: merged", &[]).await;
    let long = r#"{ "close": { "grace_seconds": 3600 } }"#;
    pass(&host, &repository, long).await;
    let cell = host.cell();
    host.beat(&cell, &[]).await;
    pass(&host, &repository, long).await;
    repository.set_state(number, "closed").await;
    pass(&host, &repository, long).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/closed"]);
    assert_eq!(host.cell(), cell, "the floor stays under a wizard at work");
    assert!(read(&cell, "meta/mission.json").contains("\"status\": \"closed\""), "its manifest tell it");
    assert!(
        repository
            .comment(number)
            .await
            .contains("because its agent still sends heartbeats: until they stop, or until ")
    );
    assert_eq!(changes(&pass(&host, &repository, long).await), 0);
    // A file that is open goes on where it is.
    let mut open = std::fs::File::options().append(true).create(true).open(cell.join("artifacts/log")).unwrap();
    pass(&host, &repository, r#"{ "close": { "grace_seconds": 0 } }"#).await;
    std::io::Write::write_all(&mut open, b"the last words").unwrap();
    let [archive] = host.archives().try_into().unwrap();
    assert_eq!((host.cells().len(), read(&archive, "artifacts/log").as_str()), (0, "the last words"));
    assert!(repository.comment(number).await.contains("moved to the archive"));
}

async fn an_obstacle_in_the_way_of_a_restored_cell_is_kept(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let cell = host.cell();
    write(&cell, "artifacts/mine", "first");
    for (round, contents) in ["second", "third"].into_iter().enumerate() {
        repository.set_state(number, "closed").await;
        host.once(&repository).await;
        std::fs::create_dir(&cell).unwrap();
        write(&cell, "stray", contents);
        repository.set_state(number, "open").await;
        host.once(&repository).await;
        assert_eq!(read(&cell, "artifacts/mine"), "first");
        let displaced = host.archives()[round].clone();
        assert_eq!(read(&displaced, "stray"), contents);
        let reported = format!("what was in its place is now in `{}`", displaced.display());
        assert!(repository.comment(number).await.contains(&reported), "{reported}");
        assert_eq!(changes(&host.once(&repository).await), 0);
    }
}

async fn a_mission_closed_without_a_cell_is_reported_only_if_it_was_known(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let early = repository.file("reader", "Mission: early", &[]).await;
    repository.set_state(early, "closed").await;
    let invalid = repository.file("reader", "Mission: wrong", &[("repository", "a b")]).await;
    host.once(&repository).await;
    repository.set_state(invalid, "closed").await;
    let report = host.once(&repository).await;
    assert_eq!(
        (repository.labels(early).await, repository.comments(early).await.len()),
        (vec!["kind/mission-proposal".to_owned()], 0)
    );
    assert_eq!(repository.labels(invalid).await, ["kind/mission-proposal", "mission/closed"]);
    assert!(repository.comment(invalid).await.contains("**Closed.** There is no cell."));
    assert_eq!(writes(&report), 2);
}

/// By `gc`, or by anybody else.
async fn a_comment_reports_that_the_archive_of_its_cell_was_deleted(forge: Forge) {
    for by_gc in [true, false] {
        let (repository, host) = (forge.repository().await, Host::new());
        let number = repository.file("reader", "Mission: raise the dead", &[]).await;
        host.once(&repository).await;
        let cell = host.cell();
        host.beat(&cell, &["--state", "done"]).await;
        repository.set_state(number, "closed").await;
        host.once(&repository).await;
        assert!(repository.comment(number).await.contains("nothing was deleted"));
        if by_gc {
            let gc = ["gc", "--older-than", "0s", "--yes"];
            assert_eq!(run(host.command("lazarus-reconcile").args(gc)).await.code, 0);
        } else {
            std::fs::remove_dir_all(&host.archives()[0]).unwrap();
        }
        assert_eq!(writes(&host.once(&repository).await), 1, "by gc: {by_gc}");
        let comment = repository.comment(number).await;
        let reported = "**Closed.** The archive of its cell was deleted; nothing of the cell is left on `alpha`.";
        assert!(comment.contains(reported) && !comment.contains("brings the cell back"), "{comment}");
        assert_eq!(comment.contains("`lazarus-reconcile gc` deleted the archive of the cell"), by_gc, "{comment}");
        assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/closed"]);
        assert_eq!(changes(&host.once(&repository).await), 0);
        repository.set_state(number, "open").await;
        host.once(&repository).await;
        assert_eq!(host.cell(), cell, "a new one");
        assert!(repository.comment(number).await.contains("the whole cell (empty)"));
        assert_eq!(changes(&host.once(&repository).await), 0);
    }
}

/// The page of a daemon, whether or not it has restarted since.
#[tokio::test]
async fn a_closed_mission_is_shown_with_its_title_while_its_archive_is_there() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "merlin")]).await;
    repository.file("reader", "Mission: two words", &[("wizard", "the grey one")]).await;
    repository.file("reader", "Mission: far away", &[("host", "beta")]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    repository.set_state(number, "closed").await;
    daemon.tick(30).await;
    let archive = host.archives()[0].clone();
    for restarts in [false, true] {
        if restarts {
            daemon.stop().await;
            daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
        }
        let shown = daemon.tick(30).await;
        let mut reported: Vec<_> = shown.missions.iter().map(|view| (view.name.clone().unwrap(), view.phase)).collect();
        reported.sort();
        let wanted = [("far away", Phase::Pending), ("raise the dead", Phase::Closed), ("two words", Phase::Invalid)];
        assert_eq!(reported, wanted.map(|(name, phase)| (name.to_owned(), Some(phase))), "restarts: {restarts}");
        let closed = shown.missions.iter().find(|view| view.phase == Some(Phase::Closed)).unwrap();
        assert_eq!((closed.has_cell, closed.health, closed.path.as_str()), (false, None, archive.to_str().unwrap()));
        assert_eq!(closed.wizard.as_ref().map(ToString::to_string).as_deref(), Some("merlin"));
    }
    std::fs::remove_dir_all(&archive).unwrap();
    let shown = daemon.tick(3_600).await;
    let titles: Vec<_> = shown.missions.iter().filter_map(|view| view.name.as_deref()).collect();
    assert_eq!((titles.len(), titles.contains(&"raise the dead")), (2, false), "an audit finds it deleted");
    assert!(repository.comment(number).await.contains("The archive of its cell was deleted"));
    daemon.stop().await;
}

/// The last state wins, whatever a pass has seen of it.
#[tokio::test]
async fn closing_and_reopening_during_a_pass_loses_nothing() {
    for (state, faults) in [("closed", 1), ("open", 1), ("closed", 2), ("open", 2)] {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        let number = repository.file("reader", "Mission: x", &[]).await;
        host.once(&repository).await;
        write(&host.cell(), "artifacts/mine", "kept");
        let before = if state == "closed" { "open" } else { "closed" };
        if state == "open" {
            repository.set_state(number, "closed").await;
        } else {
            host.beat(&host.cell(), &["--state", "done"]).await;
        }
        // The pass has seen the state before, and writes only after it has changed.
        forge.engine().break_next(faults, "POST", "/labels", Fault::Delay(Duration::from_millis(300)));
        let asked = forge.engine().log().len();
        let mut command = host.reconciler(&repository);
        let (passed, ()) = tokio::join!(run(command.arg("--once")), async {
            let is_asked =
                async || forge.asked(asked).iter().any(|line| line.contains("POST") && line.contains("/labels"));
            crate::support::soon("the pass writes", is_asked).await;
            repository.set_state(number, state).await;
        });
        assert_eq!(passed.code, 0, "{before} → {state}: {passed:?}");
        for _ in 0..2 {
            host.once(&repository).await;
        }
        assert_eq!(changes(&host.once(&repository).await), 0, "{before} → {state}");
        let (cells, archives) = (host.cells(), host.archives());
        let found = if state == "open" { &cells } else { &archives };
        assert_eq!(read(&found[0], "artifacts/mine"), "kept", "{before} → {state}");
        assert_eq!(cells.len() + archives.len(), 1, "{before} → {state}");
    }
}

/// The daemon finds out by itself when the wizard falls silent, and when the grace has passed.
#[tokio::test]
async fn a_daemon_archives_a_closed_cell_after_agent_silence_or_the_grace() {
    for (beats, until) in [(false, 310), (true, 920)] {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        let number = repository.file("reader", "Mission: x", &[]).await;
        let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
        daemon.tick(0).await;
        let cell = host.cell();
        crate::support::host::beat_at(&cell, daemon.now, "working");
        daemon.tick(10).await;
        repository.set_state(number, "closed").await;
        let mut passed = 0;
        while host.archives().is_empty() && passed < 2_000 {
            if beats && cell.exists() {
                crate::support::host::beat_at(&cell, daemon.now, "working");
            }
            daemon.tick(10).await;
            passed += 10;
        }
        assert!((until - 40..=until + 20).contains(&passed), "beats {beats}: after {passed} s");
        assert!(repository.comment(number).await.contains("moved to the archive"));
        repository.set_state(number, "open").await;
        daemon.tick(10).await;
        assert_eq!(host.cell(), cell);
    }
}
