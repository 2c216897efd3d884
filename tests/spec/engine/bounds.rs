//! Law 8: whatever is there and however much, the work has a bound.

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run, writes};
use crate::support::is_thorough;
use crate::support::missions::body;
use lazarus::world::blocking_pool::map_with_stall_timeout;
use serde_json::json;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn law_8_bounded_many_proposals_without_changes_cost_few_requests() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    host.once(&repository).await;
    let many: usize = if is_thorough() { 1_000 } else { 300 };
    let bodies = (0..many).map(|at| body(&[("Wizard", if at % 10 == 0 { "the grey one" } else { "merlin" })]));
    repository.file_many("reader", bodies.collect()).await;
    let first = host.once(&repository).await;
    assert_eq!(
        (&first["summary"]["phase"]["active"], &first["summary"]["phase"]["invalid"]),
        (&json!(many / 10 * 9), &json!(many / 10))
    );
    assert_eq!(usize::try_from(writes(&first)).unwrap(), 2 * many, "two a proposal");
    let quiet = host.once(&repository).await;
    assert_eq!((writes(&quiet), changes(&quiet)), (0, 0));
    let read = usize::try_from(quiet["requests"]["get"].as_u64().unwrap()).unwrap();
    // The pages of the issues, those of their comments, which are all new, and a twenty-fourth of the comments by id.
    assert!(read <= 2 * (many / 50) + many / 12 + 6, "{read} requests");
}

#[tokio::test]
async fn law_8_bounded_oversized_bodies_are_cut_on_arrival_and_reported() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    let long = body(&[("Objective", &"x".repeat(MIB / 2))]);
    repository.file_many("reader", vec![long; 40]).await;
    repository.file_many("reader", vec![body(&[("Objective", &"\u{1F9D9}\"\\\n".repeat(17 * MIB / 7))])]).await;
    let report = host.once(&repository).await;
    assert_eq!(report["summary"]["phase"]["invalid"], 41);
    assert!(repository.comment(41).await.contains("is longer than 128 KiB"), "{}", repository.comment(41).await);
    assert_eq!(changes(&host.once(&repository).await), 0);
}

#[tokio::test]
async fn law_8_bounded_labels_are_read_to_their_last_page() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    for at in 0..220 {
        repository.make_label(&format!("area/{at}"), false).await;
    }
    host.once(&repository).await;
    let quiet = host.once(&repository).await;
    assert_eq!(changes(&quiet), 0, "ours were found behind all the others");
    assert!(quiet["requests"]["get"].as_u64().unwrap() <= 1 + 4 + 1, "{quiet}");
}

#[tokio::test]
async fn law_8_bounded_the_log_of_a_cell_is_rotated() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    let number = repository.file("reader", "Mission: talkative", &[]).await;
    host.once(&repository).await;
    let logs = host.cell().join("logs");
    std::fs::write(logs.join("daemon.log"), "x".repeat(300 * 1024)).unwrap();
    repository.edit("reader", number, |_| body(&[("Wizard", "merlin")])).await;
    host.once(&repository).await;
    let length = |name: &str| std::fs::metadata(logs.join(name)).unwrap().len();
    assert!(length("daemon.log") < 1024 && length("daemon.log.1") == 300 * 1024);
}

#[tokio::test]
async fn law_8_bounded_repeated_headings_do_not_grow_the_comment() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    let flood = format!("{}{}", body(&[]), "### Wizard\n\nx\n### Ref\n\ny\n".repeat(5_000));
    repository.file_many("reader", vec![flood]).await;
    host.once(&repository).await;
    let comment = repository.comment(1).await;
    assert!(comment.len() < 2_000, "{} bytes", comment.len());
}

#[tokio::test]
async fn law_8_bounded_the_job_summary_is_short_if_everything_fails() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::on_disk());
    host.once(&repository).await;
    repository.file_many("reader", (0..300).map(|_| body(&[])).collect()).await;
    forge.engine().break_next(usize::MAX, "POST", "", lazarus::sandbox::Fault::Refuse(500));
    let summary = host.path().join("summary.md");
    let mut command = host.reconciler(&repository);
    command.env("GITEA_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let run = run(command.arg("--once")).await;
    let lines = std::fs::read_to_string(summary).unwrap().lines().count();
    assert!(run.code == 1 && run.stderr.lines().count() <= 51 && lines < 700, "{} {lines}", run.stderr.lines().count());
}

/// As reading from a disk does that does not answer.
fn hang_if(hangs: bool) {
    if hangs {
        loop {
            std::thread::park();
        }
    }
}

/// Work on the fifth number never ends; the others are not kept waiting for it.
#[test]
fn law_8_bounded_one_hanging_cell_costs_only_its_own_result() {
    let seen = map_with_stall_timeout(64, Duration::from_millis(200), |at| {
        hang_if(at == 5);
        at
    });
    let lost: Vec<usize> = (0..64).filter(|at| seen[*at].is_none()).collect();
    assert_eq!(lost, [5]);
}

#[test]
fn law_8_bounded_as_many_cells_as_there_are_threads_may_hang() {
    let seen = map_with_stall_timeout(64, Duration::from_millis(100), |at| {
        hang_if(at % 16 == 5);
        at
    });
    let lost: Vec<usize> = (0..64).filter(|at| seen[*at].is_none()).collect();
    assert_eq!(lost, [5, 21, 37, 53]);
}
