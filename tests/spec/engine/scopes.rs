//! Whose trouble a failure is: one subject's is told as its own, and switches nobody's monitoring off.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use crate::support::missions::active;
use crate::support::repository::Repository;
use crate::support::{cells, soon, stories};
use lazarus::engine::snapshot::Passes;
use lazarus::http::page::mission::MissionPage;
use lazarus::mission::failure::{FailureScope, MissionFailure};
use lazarus::mission::identity::RepositoryName;
use lazarus::mission::observation::{Comments, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::{Candidate, Step};
use lazarus::sandbox::Fault;
use lazarus::world::store::writer::WriteError;
use reqwest::Method;
use rustix::io::Errno;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

stories!(
    an_author_who_blocks_the_bot_affects_only_that_mission,
    an_archived_repository_affects_only_itself,
    one_repository_of_two_that_cannot_be_read_leaves_the_service_ready,
    a_refused_comment_is_shown_as_outdated_and_labels_continue,
);

/// A pass of two repositories.
async fn once_over(host: &Host, repositories: [&Repository; 2], arguments: &[&str]) -> Run {
    let both = repositories.map(|repository| repository.name.as_str()).join(",");
    run(host.reconciler(repositories[0]).env("LAZARUS_REPOSITORIES", both).args(arguments)).await
}

/// A daemon that serves two repositories.
async fn daemon_over(host: &Host, repositories: [&Repository; 2]) -> Running {
    let names = repositories.map(|repository| repository.name.clone());
    let mut settings = settings(host, Some(repositories[0]), &json!({ "repositories": names }).to_string());
    settings.repositories = names.iter().map(|name| RepositoryName::parse(name).unwrap()).collect();
    Running::new(settings).await
}

async fn an_author_who_blocks_the_bot_affects_only_that_mission(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let author = format!("guest-{:x}", fastrand::u32(..));
    let token = forge.new_account(&author);
    assert_eq!(forge.call_with(&token, Method::PUT, "/user/blocks/bot", Value::Null).await.0, 204);
    repository.file(&author, "Mission: in silence", &[]).await;
    repository.file("reader", "Mission: heard", &[]).await;
    let pass = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    let report = pass.json();
    assert_eq!((pass.code, &report["complete"]), (0, &json!(true)), "{pass:?}");
    let error = &report["errors"][0];
    assert_eq!((&error["scope"], &error["permanent"]), (&json!("mission"), &json!(true)), "{report:#}");
    assert!(pass.stderr.starts_with("warning: ") && pass.stderr.contains("user is blocked"), "{pass:?}");
    let strict = run(host.reconciler(&repository).args(["--once", "--exit-code"])).await;
    assert_eq!(strict.code, 3, "{strict:?}");
    let job = run(host.reconciler(&repository).arg("--once").env("GITEA_ACTIONS", "true")).await;
    assert!(job.code == 0 && job.stderr.starts_with("::warning::"), "{job:?}");
    // The operator's list knows it without asking the forge.
    let listed = run(host.reconciler(&repository).arg("status")).await;
    assert!(listed.stdout.contains("user is blocked"), "{listed:?}");
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    for _ in 0..3 {
        let shown = daemon.tick(601).await;
        let Passes { incomplete, last_complete, failures, .. } = &shown.passes;
        assert_eq!((*incomplete, *last_complete, shown.readiness()), (0, true, Ok(())), "{:?}", shown.passes);
        assert_eq!((failures.service, failures.repository, failures.mission), (0, 0, 1), "{:?}", shown.passes);
        assert!(failures.first[0].message.contains("user is blocked"), "{failures:?}");
    }
    repository.comment(2).await;
}

/// The page and `status` say so, as long as it lasts.
async fn a_refused_comment_is_shown_as_outdated_and_labels_continue(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let author = format!("guest-{:x}", fastrand::u32(..));
    let token = forge.new_account(&author);
    let number = repository.file(&author, "Mission: in silence", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    let comment = repository.comment(number).await;
    assert_eq!(forge.call_with(&token, Method::PUT, "/user/blocks/bot", Value::Null).await.0, 204);
    host.beat(&host.cell(), &[]).await;
    let shown = daemon.tick(30).await;
    assert!(repository.labels(number).await.contains(&"health/healthy".to_owned()), "labels go on");
    assert_eq!(repository.comment(number).await, comment);
    let refusal = shown.missions[0].comment_refusal.clone().unwrap();
    assert!(refusal.contains("user is blocked"), "{refusal}");
    let page = MissionPage::find(&shown, shown.missions[0].mission_id).unwrap();
    let page = serde_json::to_value(&page).unwrap();
    assert!(page["outdated"].as_str().unwrap().contains("user is blocked"), "{page:#}");
    daemon.stop().await;
    let command = async |arguments: &[&str]| run(host.reconciler(&repository).arg("status").args(arguments)).await;
    let listed = command(&[]).await.stdout;
    assert!(listed.contains(" its comment is out of date: ") && listed.contains("user is blocked"), "{listed}");
    let story = command(&[&number.to_string()]).await.stdout;
    assert!(story.contains("the comment is out of date: ") && story.contains("user is blocked"), "{story}");
    assert_eq!(forge.call_with(&token, Method::DELETE, "/user/blocks/bot", Value::Null).await.0, 204);
    host.once(&repository).await;
    assert!(repository.comment(number).await.contains("Active and healthy"));
    assert!(!command(&[]).await.stdout.contains("out of date"));
    // The same when it is closed meanwhile.
    assert_eq!(forge.call_with(&token, Method::PUT, "/user/blocks/bot", Value::Null).await.0, 204);
    repository.set_state(number, "closed").await;
    run(host.reconciler(&repository).arg("--once")).await;
    assert!(command(&[]).await.stdout.contains("out of date"));
    assert_eq!(forge.call_with(&token, Method::DELETE, "/user/blocks/bot", Value::Null).await.0, 204);
    host.once(&repository).await;
    assert!(repository.comment(number).await.contains("**Closed.**"));
}

async fn an_archived_repository_affects_only_itself(forge: Forge) {
    let (archived, other, host) = (forge.repository().await, forge.repository().await, Host::new());
    archived.file("reader", "Mission: archived", &[]).await;
    other.file("reader", "Mission: not so", &[]).await;
    assert_eq!(once_over(&host, [&archived, &other], &["--once"]).await.code, 0);
    forge.change(Method::PATCH, &archived.path(), json!({ "archived": true })).await;
    let pass = once_over(&host, [&archived, &other], &["--once", "--json"]).await;
    let report = pass.json();
    assert_eq!((pass.code, &report["complete"]), (0, &json!(true)), "{pass:?}");
    let error = &report["errors"][0];
    assert_eq!((&error["scope"], &error["permanent"]), (&json!("repository"), &json!(true)), "{report:#}");
    assert_eq!(once_over(&host, [&archived, &other], &["--once", "--exit-code"]).await.code, 3);
    let listed = async || once_over(&host, [&archived, &other], &["status"]).await.stdout;
    let first = listed().await;
    assert!(first.contains("is archived") && !first.contains("out of date"), "{first}");
    let of_archived = |cell: &PathBuf| {
        let manifest = std::fs::read_to_string(cell.join("meta/mission.json")).unwrap();
        manifest.contains(&archived.name)
    };
    let cell = host.cells().into_iter().find(of_archived).unwrap();
    host.beat(&cell, &[]).await;
    assert!(listed().await.contains("its comment is out of date: the repository `"), "{}", listed().await);
    // Whoever asks for a pass over nothing else has to change the configuration.
    let alone = run(host.reconciler(&archived).arg("--once")).await;
    assert!(alone.code == 2 && alone.stderr.contains("is archived"), "{alone:?}");
    // After a restart, too.
    let mut daemon = daemon_over(&host, [&archived, &other]).await;
    for _ in 0..3 {
        let shown = daemon.tick(30).await;
        let Passes { incomplete, last_complete, failures, .. } = &shown.passes;
        assert_eq!((*incomplete, *last_complete, shown.readiness()), (0, true, Ok(())), "{:?}", shown.passes);
        assert_eq!((failures.service, failures.repository, failures.mission), (0, 1, 0), "{:?}", shown.passes);
    }
    daemon.stop().await;
    let mut daemon = Running::new(settings(&host, Some(&archived), "{}")).await;
    let shown = daemon.tick(30).await;
    assert_eq!((shown.passes.last_complete, shown.readiness()), (true, Ok(())), "alone, too: {:?}", shown.passes);
    daemon.stop().await;
    // A mission of the other one that is deleted ends all the same.
    other.delete(1).await;
    for _ in 0..2 {
        soon("the root is free", async || once_over(&host, [&archived, &other], &["--once"]).await.code == 0).await;
    }
    assert_eq!(host.archives().len(), 1);
}

async fn one_repository_of_two_that_cannot_be_read_leaves_the_service_ready(forge: Forge) {
    let (hidden, other, host) = (forge.repository().await, forge.repository().await, Host::new());
    other.file("reader", "Mission: goes on", &[]).await;
    assert_eq!(once_over(&host, [&hidden, &other], &["--once"]).await.code, 0);
    forge.change(Method::PATCH, &hidden.path(), json!({ "has_issues": false })).await;
    let pass = once_over(&host, [&hidden, &other], &["--once", "--json"]).await;
    assert_eq!((pass.code, &pass.json()["complete"]), (1, &json!(false)), "its owner causes that: {pass:?}");
    let mut daemon = daemon_over(&host, [&hidden, &other]).await;
    for _ in 0..3 {
        let shown = daemon.tick(30).await;
        assert_eq!((shown.passes.last_complete, shown.readiness()), (false, Ok(())), "{:?}", shown.passes);
    }
}

#[tokio::test]
async fn without_a_readable_repository_the_service_is_not_ready() {
    let forge = Forge::sandbox().await;
    let (one, other, host) = (forge.repository().await, forge.repository().await, Host::new());
    let mut daemon = daemon_over(&host, [&one, &other]).await;
    assert_eq!(daemon.tick(0).await.readiness(), Ok(()));
    forge.engine().break_next(usize::MAX, "GET", &format!("{}/issues?", one.name), Fault::Refuse(500));
    let shown = daemon.tick(30).await;
    assert_eq!((shown.passes.last_complete, shown.readiness()), (false, Ok(())), "{:?}", shown.passes);
    forge.engine().break_next(usize::MAX, "GET", &format!("{}/issues?", other.name), Fault::Refuse(500));
    let shown = daemon.tick(30).await;
    assert!(shown.readiness().is_err(), "{:?}", shown.passes);
    forge.engine().heal();
    let shown = daemon.tick(30).await;
    assert_eq!((shown.passes.last_complete, shown.readiness()), (true, Ok(())), "{:?}", shown.passes);
}

/// What a later pass may mend is worth another run, whoever it belongs to.
#[tokio::test]
async fn a_retryable_mission_failure_ends_a_single_pass_with_code_1() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: x", &[]).await;
    forge.engine().break_next(usize::MAX, "POST", "comments", Fault::Refuse(500));
    let pass = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    let report = pass.json();
    assert_eq!((pass.code, &report["complete"], &report["errors"][0]["permanent"]), (1, &json!(true), &json!(false)));
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    let shown = daemon.tick(30).await;
    assert_eq!((shown.passes.last_complete, shown.readiness()), (true, Ok(())), "{:?}", shown.passes);
}

/// As a mount point in the place of a cell does, which only root could make for a test.
#[tokio::test]
async fn a_cell_that_cannot_be_moved_is_reported_on_its_issue() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    let number = repository.file("reader", "Mission: immovable", &[]).await;
    host.once(&repository).await;
    repository.set_state(number, "closed").await;
    let mut pass = host.unprivileged(host.reconciler(&repository).args(["--once", "--json"]));
    if rustix::process::geteuid().is_root() {
        let owner = std::fs::metadata(host.root()).map(|root| std::os::unix::fs::MetadataExt::uid(&root)).unwrap();
        give_all(&host.root(), owner);
    }
    // A directory that one may not write in cannot be moved into another one.
    std::fs::set_permissions(host.cell(), std::fs::Permissions::from_mode(0o500)).unwrap();
    for _ in 0..2 {
        let run = run(&mut pass).await;
        let report = run.json();
        assert_eq!((run.code, &report["complete"]), (0, &json!(true)), "{run:?}");
        assert_eq!(&report["errors"][0]["permanent"], &json!(true), "{report:#}");
    }
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Manual action required on `alpha`**: cannot archive"), "{comment}");
    std::fs::set_permissions(host.cell(), std::fs::Permissions::from_mode(0o750)).unwrap();
    let mended = run(&mut pass).await;
    assert_eq!((mended.code, host.archives().len()), (0, 1), "{mended:?}");
    assert!(!repository.comment(number).await.contains("Manual action required"));
}

fn give_all(path: &Path, owner: u32) {
    chown(path, Some(owner), Some(owner)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_all(&entry.unwrap().path(), owner);
        }
    }
}

#[test]
fn a_write_error_has_a_scope_and_may_need_manual_action() {
    let of = |cause: Errno, is_our_own| {
        let error = WriteError { tried: "write", path: "/var/missions/x".to_owned(), cause: cause.into(), is_our_own };
        (error.scope(), error.needs_a_person())
    };
    for (cause, is_our_own, wanted) in [
        (Errno::BUSY, false, (FailureScope::Mission, true)),
        (Errno::ACCESS, false, (FailureScope::Mission, true)),
        (Errno::XDEV, false, (FailureScope::Mission, true)),
        (Errno::NOSPC, false, (FailureScope::Mission, false)),
        (Errno::NOSPC, true, (FailureScope::Service, false)),
        (Errno::ROFS, true, (FailureScope::Service, false)),
        (Errno::IO, true, (FailureScope::Service, false)),
        (Errno::ISDIR, true, (FailureScope::Mission, true)),
    ] {
        assert_eq!(of(cause, is_our_own), wanted, "{cause:?} {is_our_own}");
    }
}

/// Takes a whole turn in which each change that `fails` names fails with this.
fn turn(seen: Observation, failure: Option<&MissionFailure>, fails: fn(&Change) -> bool) -> Vec<String> {
    let mut candidate = Candidate::new(seen);
    let mut made = Vec::new();
    loop {
        match candidate.next_step() {
            Step::Apply(planned) => {
                for change in planned {
                    if let Some(failure) = failure.filter(|_| fails(&change)) {
                        candidate.turn.failed(failure.clone());
                    } else {
                        made.push(change.to_string());
                        candidate.turn.made(change);
                    }
                }
            }
            Step::Look => {}
            Step::Ask(_) => {
                candidate.seen.comments = Comments::Read(Vec::new());
                candidate.turn.answered();
            }
            Step::Done => return made,
        }
    }
}

#[test]
fn a_permanent_failure_is_recorded_until_it_ends() {
    let refused = MissionFailure::new("forbidden", "user is blocked", true, cells::at(0));
    let is_label = |change: &Change| change.is_about_labels();
    let mut seen = active(cells::with_heartbeat(-10, "working"));
    seen.issue.labels.retain(|label| !label.name.starts_with("health/"));
    let made = turn(seen.clone(), Some(&refused), is_label);
    assert_eq!(made.last().unwrap(), "record the failure: forbidden");
    seen.record.as_mut().unwrap().failure = Some(Box::new(refused.clone()));
    let again = turn(seen.clone(), Some(&refused), is_label);
    assert!(!again.iter().any(|change| change.contains("the failure")), "it is known: {again:?}");
    let over = turn(seen, None, is_label);
    assert_eq!(over.last().unwrap(), "record that no failure remains");
    let later = MissionFailure::new("forbidden", "user is blocked", true, cells::at(60)).after(Some(&refused));
    assert_eq!(later.since, cells::at(0));
}
