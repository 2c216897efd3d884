//! A git server that is far too slow holds up nobody but whoever wants something of it.

use crate::support::cells::at;
use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::missions::proposal;
use crate::support::repository::Repository;
use crate::support::service::{Service, command, start};
use crate::support::soon;
use crate::world::git_guard::{begun, nobody_is_left};
use lazarus::mission::cell::worktree::{CheckoutUnderWay, PUBLISHED_AFTER, UnderWay, WorktreeSource};
use lazarus::mission::observation::{Comments, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::{Step, Turn};
use lazarus::mission::status::comment::render;
use lazarus::sandbox::Fault;
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

/// More than there are workers and checkouts at once.
const SLOW: usize = 8;

/// Proposals for repositories of a git server that sends a byte a second.
async fn slow_missions() -> (Repository, Host, Vec<i64>) {
    let (forge, host) = (Forge::sandbox().await, Host::new());
    let repository = forge.repository().await;
    forge.engine().break_next(usize::MAX, "GET", "/info/refs", Fault::Trickle);
    let mut numbers = Vec::new();
    for at in 0..SLOW {
        let asked = [("repository", repository.name.as_str())];
        numbers.push(repository.file("reader", &format!("Mission: slow {at}"), &asked).await);
    }
    (repository, host, numbers)
}

/// Whether an issue has a comment of ours that says this.
async fn says(repository: &Repository, number: i64, text: &str) -> bool {
    repository.comments(number).await.iter().any(|(_, comment)| comment.contains(text))
}

/// How many requests have written on an issue, or on its one comment, so far.
async fn writes(repository: &Repository, number: i64) -> usize {
    let comments = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let comment = format!("/issues/comments/{}", comments[0]["id"]);
    let issue = format!("/issues/{number}/");
    let is_about = |target: &str| target.ends_with(&comment) || target.contains(&issue);
    let log = repository.forge.engine().log();
    log.iter().filter(|asked| asked.method != "GET" && is_about(&asked.target)).count()
}

/// The answer to whoever asks whether the service is ready.
async fn ready(service: &Service) -> u16 {
    reqwest::get(format!("{}/readyz", service.doors)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn slow_git_servers_delay_no_other_mission_pass_or_shutdown() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (repository, host, slow) = slow_missions().await;
        let service = start(command(&host, Some(&repository), json!({}))).await;
        // The only tick: its pass ends though nothing has been checked out, and that is what readiness is decided by.
        let health = service.passed(1).await;
        assert_eq!((health["passes"]["complete"].as_u64(), ready(&service).await), (Some(1), 200), "{health}");
        let number = repository.file("reader", "Mission: quick", &[]).await;
        assert_eq!(service.hook(repository.id, number).await, 202);
        soon("the other mission", async || says(&repository, number, "waiting for the first heartbeat").await).await;
        assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
        begun(&host, "git-remote-http").await;
        let reported = format!("The repository `{}` is being checked out since ", repository.name);
        for number in &slow {
            soon("it is told", async || says(&repository, *number, &reported).await).await;
            let labels = repository.labels(*number).await;
            assert!(labels.contains(&"mission/pending".to_owned()), "{labels:?}");
        }
        assert_eq!(host.cells().len(), 1, "a cell is created with what is checked out for it");
        let status = run(host.reconciler(&repository).args(["status", &slow[0].to_string()])).await;
        assert!(status.stdout.contains(&reported.replace('`', "”").replacen('”', "“", 1)), "{status:?}");
        // Whatever leads to another turn, nothing more is written.
        let before = writes(&repository, slow[0]).await;
        let reads = repository.forge.engine().log().len();
        assert_eq!(service.hook(repository.id, slow[0]).await, 202);
        let asks = format!("/issues/{}", slow[0]);
        let asked_again = || repository.forge.engine().log()[reads..].iter().any(|asked| asked.target.ends_with(&asks));
        soon("another turn", async || asked_again()).await;
        let other = repository.file("reader", "Mission: last", &[]).await;
        assert_eq!(service.hook(repository.id, other).await, 202);
        soon("the last mission", async || says(&repository, other, "waiting for the first heartbeat").await).await;
        assert_eq!((writes(&repository, slow[0]).await, ready(&service).await), (before, 200));
        begun(&host, "git-remote-http").await;
        service.end(signal).await;
        nobody_is_left(&host, &format!("{signal:?}")).await;
    }
}

#[tokio::test]
async fn a_single_pass_reports_a_slow_checkout_and_creates_its_cell() {
    let (forge, host) = (Forge::sandbox().await, Host::new());
    let repository = forge.repository().await;
    let late = PUBLISHED_AFTER + Duration::from_secs(2);
    forge.engine().break_next(1, "GET", "/info/refs", Fault::Delay(late));
    let number = repository.file("reader", "Mission: slow", &[("repository", &repository.name)]).await;
    let once = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    let report = once.json();
    assert_eq!((once.code, report["missions"].as_array().unwrap().len()), (0, 1), "{once:?}");
    let kinds: Vec<&str> = report["missions"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "add-labels",
            "post-comment",
            "write-record",
            "check-out",
            "create-cell",
            "add-labels",
            "edit-comment",
            "write-record"
        ]
    );
    assert_eq!(report["missions"][0]["phase"], "active");
    assert!(host.cell().join("worktree/.git").exists());
    assert!(says(&repository, number, ", commit `").await);
    // That no other root was quicker, with a comment that names it, is confirmed by a later pass.
    host.once(&repository).await;
    assert_eq!(changes(&host.once(&repository).await), 0);
}

/// What a turn writes on the issue that finds a checkout under way for so long.
fn told_after(seen: &mut Observation, lasted: Duration) -> Vec<String> {
    let source = WorktreeSource::of(&seen.proposal().unwrap().spec).unwrap();
    let (mut turn, mut reported) = (Turn::default(), Vec::new());
    loop {
        match turn.next(seen) {
            Step::Ask(_) => {
                seen.comments = Comments::Read(Vec::new());
                turn.answered();
            }
            Step::Apply(planned) => {
                for change in planned {
                    if let Change::CheckOut { .. } = change {
                        let what = UnderWay { source: source.clone(), since: at(0) };
                        turn.put_off(CheckoutUnderWay { what, lasted });
                        break;
                    }
                    reported.extend(change.comment_status().map(|status| render(&seen.here, status)));
                    assert!(!matches!(change, Change::CreateCell { .. }), "it waits for its checkout");
                    turn.made(change);
                }
            }
            Step::Look => {}
            Step::Done => return reported,
        }
    }
}

#[test]
fn a_checkout_is_reported_once_it_takes_a_few_seconds() {
    let asked = [("Repository", "wizards/spellbook"), ("Ref", "main")];
    for (lasted, is_told) in [(Duration::ZERO, false), (PUBLISHED_AFTER.mul_f32(0.99), false), (PUBLISHED_AFTER, true)]
    {
        let reported = told_after(&mut proposal(&asked), lasted);
        let text = "The repository `wizards/spellbook` at `main` is being checked out since ";
        assert_eq!((reported.is_empty(), reported.iter().any(|comment| comment.contains(text))), (!is_told, is_told));
    }
}
