//! Passes beside each other, and a world that moves while it is looked at.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run, writes};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::soon;
use lazarus::sandbox::{Fault, Sandbox};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Until the sandbox has been asked this since `before`.
async fn asked(sandbox: &Sandbox, before: usize, method: &str, target: &str) {
    let is_it = || sandbox.log()[before..].iter().any(|asked| asked.method == method && asked.target.contains(target));
    soon("asked", async || is_it()).await;
}

/// Runs one pass, and another when the first one's request to `target` has come in, which takes a while.
async fn two_passes(forge: &Forge, target: &str, mut first: Command, mut second: Command) -> (Run, Run) {
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "GET", target, Fault::Delay(Duration::from_millis(400)));
    tokio::join!(run(first.arg("--once")), async {
        asked(forge.engine(), before, "GET", target).await;
        run(second.arg("--once")).await
    })
}

#[tokio::test]
async fn the_second_of_two_first_passes_waits_for_the_new_root() {
    for target in ["/api/v1/user", "/labels", "issues?"] {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        let number = repository.file("reader", "Mission: x", &[]).await;
        let (first, second) =
            two_passes(&forge, target, host.reconciler(&repository), host.reconciler(&repository)).await;
        assert_eq!((first.code, second.code), (0, 0), "{target}: {first:?} {second:?}");
        let labels = forge.get(&format!("{}/labels?limit=50", repository.path())).await;
        assert_eq!((host.cells().len(), labels.as_array().unwrap().len()), (1, 17), "{target}");
        repository.comment(number).await;
        assert!(second.stdout.contains("; changed 0;"), "{second:?}");
    }
}

#[tokio::test]
async fn a_first_pass_that_may_not_wait_names_the_process_with_the_lock() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    std::fs::write(host.path().join("at-once.json"), r#"{ "limits": { "lock_wait_seconds": 0 } }"#).unwrap();
    let mut second = host.reconciler(&repository);
    second.args(["--config", "at-once.json"]);
    let (first, second) = two_passes(&forge, "/api/v1/user", host.reconciler(&repository), second).await;
    assert_eq!((first.code, second.code), (0, 2), "{first:?} {second:?}");
    let pid = second.stderr.split("pid ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(pid.parse::<u32>().is_ok() && second.stderr.contains("(`lazarus-reconcile --once`)"), "{second:?}");
}

/// Beta makes its cell and cannot say so; meanwhile alpha takes the mission.
#[tokio::test]
async fn the_first_commenter_keeps_a_mission_though_another_has_a_cell() {
    let forge = Forge::sandbox().await;
    let (repository, alpha, beta) = (forge.repository().await, Host::new(), Host::new());
    alpha.once(&repository).await;
    let number = repository.file("reader", "Mission: x", &[]).await;
    let on_beta =
        async || run(beta.reconciler(&repository).env("LAZARUS_HOST", "beta").args(["--once", "--json"])).await;
    forge.engine().break_next(usize::MAX, "POST", "/comments", Fault::Refuse(503));
    assert_eq!((on_beta().await.code, beta.cells().len()), (1, 1));
    forge.engine().heal();
    alpha.once(&repository).await;
    let before = repository.comment(number).await;
    assert!(before.contains("`alpha`"));
    let lost = on_beta().await;
    assert_eq!((lost.code, &lost.json()["missions"][0]["phase"]), (0, &Value::from("other-host")), "{lost:?}");
    let (cells, archives) = (beta.cells().len(), beta.archives().len());
    assert_eq!((writes(&lost.json()), cells, archives), (0, 0, 1), "its cell lies in the archive: {lost:?}");
    assert_eq!((repository.comment(number).await, changes(&on_beta().await.json())), (before, 0));
}

/// Both have read that nobody spoke; whichever posts second takes its comment back, and neither says another word.
#[tokio::test]
async fn of_two_hosts_that_claim_a_mission_concurrently_one_keeps_it() {
    for slow in ["alpha", "beta"] {
        let forge = Forge::sandbox().await;
        let (repository, alpha, beta) = (forge.repository().await, Host::new(), Host::new());
        let on = |host: &'static str| {
            let mut command =
                if host == "alpha" { alpha.reconciler(&repository) } else { beta.reconciler(&repository) };
            command.env("LAZARUS_HOST", host).args(["--once", "--json"]);
            command
        };
        alpha.once(&repository).await;
        beta.once(&repository).await;
        let number = repository.file("reader", "Mission: x", &[]).await;
        let fast = if slow == "alpha" { "beta" } else { "alpha" };
        let before = forge.engine().log().len();
        forge.engine().break_next(1, "POST", "/comments", Fault::Delay(Duration::from_millis(400)));
        let (mut first, mut second) = (on(slow), on(fast));
        let (late, early) = tokio::join!(run(&mut first), async {
            asked(forge.engine(), before, "POST", "/comments").await;
            run(&mut second).await
        });
        let phase = |run: &Run| run.json()["missions"][0]["phase"].clone();
        assert_eq!((late.code, early.code), (0, 0), "{late:?} {early:?}");
        assert_eq!((phase(&late), phase(&early)), ("other-host".into(), "active".into()), "{late:?} {early:?}");
        let comment = repository.comment(number).await;
        assert!(comment.contains(&format!("on `{fast}`")), "{comment}");
        for host in [slow, fast, slow, fast] {
            let again = run(&mut on(host)).await;
            assert_eq!((again.code, writes(&again.json())), (0, 0), "{again:?}");
        }
        assert_eq!(repository.comment(number).await, comment);
    }
}

/// The second look of the second one fails: it does not know yet that another was first, and asks again in its next pass.
#[tokio::test]
async fn an_unconfirmed_post_is_confirmed_by_the_next_pass() {
    let forge = Forge::sandbox().await;
    let (repository, alpha, beta) = (forge.repository().await, Host::new(), Host::new());
    alpha.once(&repository).await;
    beta.once(&repository).await;
    let number = repository.file("reader", "Mission: x", &[]).await;
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "POST", "/comments", Fault::Delay(Duration::from_millis(400)));
    forge.engine().break_next(usize::MAX, "GET", "/1/comments", Fault::Refuse(500));
    let (mut late, mut early) = (beta.reconciler(&repository), alpha.reconciler(&repository));
    let (late, early) = tokio::join!(run(late.env("LAZARUS_HOST", "beta").arg("--once")), async {
        asked(forge.engine(), before, "POST", "/comments").await;
        run(early.arg("--once")).await
    });
    forge.engine().heal();
    assert_eq!((late.code, early.code, repository.comments(number).await.len()), (1, 1, 2), "{late:?} {early:?}");
    for (host, name, phase) in [(&beta, "beta", "other-host"), (&alpha, "alpha", "active")] {
        let again = run(host.reconciler(&repository).env("LAZARUS_HOST", name).args(["--once", "--json"])).await;
        assert_eq!((again.code, &again.json()["missions"][0]["phase"]), (0, &Value::from(phase)), "{again:?}");
    }
    assert!(repository.comment(number).await.contains("on `alpha`"));
    let before = forge.engine().log().len();
    let quiet = alpha.once(&repository).await;
    let is_read = forge.asked(before).iter().any(|line| line.ends_with("/1/comments"));
    assert_eq!((is_read, changes(&quiet)), (false, 0), "confirmed, and not read again");
}

/// Issue 60 is closed between the first page and the second, and pulls issue 10 over the edge between them.
#[tokio::test]
async fn an_issue_closed_between_two_pages_hides_no_other() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    repository.file_many("reader", (0..60).map(|_| body(&[])).collect()).await;
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "GET", "page=2&limit=50", Fault::Delay(Duration::from_millis(300)));
    let mut command = host.reconciler(&repository);
    let (report, ()) = tokio::join!(run(command.args(["--once", "--json"])), async {
        asked(forge.engine(), before, "GET", "page=2&limit=50").await;
        repository.set_state(60, "closed").await;
    });
    let report = report.json();
    let seen: Vec<i64> = report["missions"].as_array().unwrap().iter().map(|m| m["issue"].as_i64().unwrap()).collect();
    assert_eq!((seen, &report["complete"]), ((1..60).collect(), &Value::from(true)));
}

/// The record is damaged while the forge edits the comment: it must not be taken for a record that is not there.
#[tokio::test]
async fn a_record_that_cannot_be_read_is_never_replaced() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &["--state", "waiting"]).await;
    let record = only_record(&host);
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "PATCH", "/comments", Fault::Delay(Duration::from_millis(300)));
    let mut command = host.reconciler(&repository);
    let (report, ()) = tokio::join!(run(command.arg("--once")), async {
        asked(forge.engine(), before, "PATCH", "/comments").await;
        std::fs::write(&record, "{ ").unwrap();
    });
    assert!(report.code == 0 && report.stderr.matches("cannot read the record").count() == 1, "{report:?}");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "{ ");
}

fn only_record(host: &Host) -> std::path::PathBuf {
    let records = std::fs::read_dir(host.root().join(".lazarus/missions")).unwrap();
    let records: Vec<_> = records.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(records.len(), 1);
    records[0].clone()
}

/// One repository by two names: one set of labels, one worker on each issue.
#[tokio::test]
async fn a_repository_that_is_named_twice_is_served_once() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    forge.change(reqwest::Method::PATCH, &repository.path(), serde_json::json!({ "name": "quests" })).await;
    let renamed = Repository { name: "owner/quests".to_owned(), ..repository.clone() };
    let number = renamed.file("reader", "Mission: x", &[]).await;
    let names = serde_json::json!([repository.name, "owner/quests", "OWNER/Quests"]);
    std::fs::write(host.path().join("thrice.json"), format!("{{ \"repositories\": {names} }}")).unwrap();
    let mut command = host.reconciler(&repository);
    let served = run(command.env_remove("LAZARUS_REPOSITORIES").args(["--once", "--config", "thrice.json"])).await;
    assert_eq!(served.code, 0, "{served:?}");
    renamed.comment(number).await;
}

/// Both read that the mission is nobody's, and the one that is late has the last word: of two edits it stays.
#[tokio::test]
async fn of_two_hosts_that_claim_a_corrected_mission_one_keeps_it() {
    let forge = Forge::sandbox().await;
    let (repository, alpha, beta) = (forge.repository().await, Host::new(), Host::new());
    let on = |host: &Host, name: &str| {
        let mut command = host.reconciler(&repository);
        command.env("LAZARUS_HOST", name).args(["--once", "--json"]);
        command
    };
    let number = repository.file("reader", "Mission: x", &[]).await;
    let answer = async |answers: &[(&str, &str)]| {
        let edited = json!({ "body": body(answers) });
        forge.change(reqwest::Method::PATCH, &repository.issue_path(number), edited).await;
    };
    answer(&[("Stale after", "2 minutes")]).await;
    run(&mut on(&alpha, "alpha")).await;
    run(&mut on(&beta, "beta")).await;
    answer(&[]).await;
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "PATCH", "/comments", Fault::Delay(Duration::from_millis(400)));
    let (mut first, mut second) = (on(&alpha, "alpha"), on(&beta, "beta"));
    tokio::join!(run(&mut first), async {
        asked(forge.engine(), before, "PATCH", "/comments").await;
        run(&mut second).await
    });
    let phase = async |host: &Host, name: &str| {
        let report = run(&mut on(host, name)).await.json();
        (report["missions"][0]["phase"].as_str().unwrap().to_owned(), writes(&report))
    };
    let kept = [phase(&alpha, "alpha").await, phase(&beta, "beta").await];
    let mut phases = kept.clone().map(|(phase, _)| phase);
    phases.sort_unstable();
    assert_eq!(phases, ["active", "other-host"], "{kept:?}");
    assert_eq!([phase(&alpha, "alpha").await, phase(&beta, "beta").await], kept.map(|(phase, _)| (phase, 0)));
    let host = if repository.comment(number).await.contains("host=alpha") { &alpha } else { &beta };
    host.beat(&host.cell(), &[]).await;
    for (host, name) in [(&alpha, "alpha"), (&beta, "beta"), (&alpha, "alpha")] {
        phase(host, name).await;
    }
    assert!(repository.labels(number).await.contains(&"health/healthy".to_owned()));
}

/// What another root's comment says.
const OF_BETA: &str = "<!-- lazarus:status v1 mission=123e4567-e89b-12d3-a456-426614174000 \
                       root=22222222-2222-4222-8222-222222222222 host=beta digest=abc -->\nActive.";

/// A mission that was invalid, so that its comment names no root, and whose answers are right by now.
async fn corrected(repository: &Repository, host: &Host) -> i64 {
    let number = repository.file("reader", "Mission: x", &[]).await;
    repository.edit("reader", number, |body| body.replace("5 minutes", "2 minutes")).await;
    assert!(host.once(repository).await["missions"][0]["phase"] == "invalid");
    repository.edit("reader", number, |body| body.replace("2 minutes", "5 minutes")).await;
    number
}

/// Another root edits our comment to name itself.
async fn take_for_beta(repository: &Repository, number: i64) {
    let comments = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let path = format!("{}/issues/comments/{}", repository.path(), comments[0]["id"]);
    assert_eq!(repository.forge.call("bot", reqwest::Method::PATCH, &path, json!({ "body": OF_BETA })).await.0, 200);
}

/// Alpha has read the comments of the first mission and still waits for those of the second.
#[tokio::test]
async fn the_first_root_to_claim_a_corrected_mission_keeps_it() {
    let forge = Forge::sandbox().await;
    let (repository, alpha) = (forge.repository().await, Host::new());
    let number = corrected(&repository, &alpha).await;
    let second = repository.file("reader", "Mission: y", &[]).await;
    let slow = format!("/issues/{second}/comments");
    repository.say("reader", second, "When?").await;
    let before = forge.engine().log().len();
    forge.engine().break_next(1, "GET", &slow, Fault::Delay(Duration::from_millis(400)));
    let mut command = alpha.reconciler(&repository);
    let (taken, ()) = tokio::join!(run(command.args(["--once", "--json"])), async {
        asked(forge.engine(), before, "GET", &format!("/issues/{number}/comments")).await;
        asked(forge.engine(), before, "GET", &slow).await;
        take_for_beta(&repository, number).await;
    });
    assert_eq!((taken.code, &taken.json()["missions"][0]["phase"]), (0, &Value::from("other-host")), "{taken:?}");
    assert_eq!(repository.comment(number).await, OF_BETA);
    alpha.once(&repository).await;
    assert_eq!((repository.comment(number).await.as_str(), alpha.cells().len()), (OF_BETA, 1), "the second one's");
}

/// The comments could be read when the turn began, but not right before the claim.
#[tokio::test]
async fn a_mission_is_claimed_by_a_later_pass_unless_another_root_was_quicker() {
    for is_taken in [false, true] {
        let forge = Forge::sandbox().await;
        let (repository, alpha) = (forge.repository().await, Host::new());
        let number = corrected(&repository, &alpha).await;
        let before = repository.comment(number).await;
        forge.engine().break_next(1, "GET", "/1/comments", Fault::Delay(Duration::ZERO));
        forge.engine().break_next(usize::MAX, "GET", "/1/comments", Fault::Refuse(500));
        let late = run(alpha.reconciler(&repository).arg("--once")).await;
        forge.engine().heal();
        assert_eq!((late.code, repository.comment(number).await, alpha.cells().len()), (1, before, 1), "{late:?}");
        assert!(repository.labels(number).await.contains(&"mission/active".to_owned()), "only the claim waits");
        if is_taken {
            take_for_beta(&repository, number).await;
        }
        let again = alpha.once(&repository).await;
        let phase = if is_taken { "other-host" } else { "active" };
        assert_eq!(again["missions"][0]["phase"], phase, "{again}");
        let comment = repository.comment(number).await;
        assert!(if is_taken { comment == OF_BETA } else { comment.contains("host=alpha") }, "{comment}");
    }
}

#[tokio::test]
async fn a_repair_is_reported_once_though_the_comment_is_reposted() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    host.once(&repository).await;
    let comments = forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let path = format!("{}/issues/comments/{}", repository.path(), comments[0]["id"]);
    forge.change(reqwest::Method::DELETE, &path, Value::Null).await;
    std::fs::remove_dir(host.cell().join("artifacts")).unwrap();
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    assert_eq!(comment.matches("recreated: `artifacts/`").count(), 1, "{comment}");
    assert_eq!(changes(&host.once(&repository).await), 0);
}
