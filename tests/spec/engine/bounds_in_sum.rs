//! Law 8 in sum: however much the forge tells, and whatever it says how much that is, a pass holds little of it, and says what
//! it left out. Each pass here may allocate 128 MiB and no more.

use crate::support::flood::{Flood, FloodedForge};
use crate::support::floods::{beside, comments, is_issues, issue, labels, tell, timeline};
use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run};
use crate::support::is_thorough;
use crate::support::missions::body;
use crate::support::repository::Repository;
use std::io::Write;
use std::process::Command;

const MIB: usize = 1024 * 1024;

/// The most memory that a pass may allocate, in KiB.
const KIB_MAX: usize = 128 * 1024;

/// A pass that dies when it allocates more than it may.
async fn bounded(host: &Host, repository: &Repository, forge: &FloodedForge, arguments: &[&str]) -> Run {
    run(bounded_command(host, repository, forge).args(arguments).arg("--json")).await
}

fn bounded_command(host: &Host, repository: &Repository, forge: &FloodedForge) -> Command {
    let inner = host.reconciler(repository);
    let mut command = Command::new("sh");
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.path()).env("LAZARUS_GITEA_URL", &forge.url);
    command.args(["-c", &format!("ulimit -d {KIB_MAX}; exec \"$@\""), "sh"]).arg(inner.get_program());
    command
}

#[tokio::test]
async fn law_8_bounded_in_sum_other_issues_are_dropped_on_arrival() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: small", &[]).await;
    let flood = beside(&repository, number, if is_thorough() { 1_000 } else { 20 }, 10 * MIB).await;
    let flooded = FloodedForge::before(&forge.url, vec![flood], Box::new(is_issues));
    let run = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.json()["summary"]["phase"]["active"], 1, "{}", run.stderr);
}

#[tokio::test]
async fn law_8_bounded_in_sum_an_unreadable_issue_is_reported_and_hides_none() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let number = repository.file("reader", "Mission: small", &[]).await;
    host.once(&repository).await;
    let deleted = repository.file("reader", "Mission: short", &[]).await;
    host.once(&repository).await;
    repository.delete(deleted).await;
    let flood = beside(&repository, number, 5, 65 * MIB).await;
    let flooded = FloodedForge::before(&forge.url, vec![flood], Box::new(is_issues));
    let run = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert!(run.stderr.contains("an issue is too large") && run.stderr.contains("it is skipped"), "{}", run.stderr);
    assert_eq!((run.code, host.cells().len()), (1, 2), "once is not enough: {}", run.stderr);
    let again = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!((host.cells().len(), host.archives().len()), (1, 1), "deleted: {}", again.stderr);
    let quiet = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!((quiet.code, changes(&quiet.json())), (1, 0), "and the other stays: {}", quiet.stderr);
}

#[tokio::test]
async fn law_8_bounded_in_sum_of_too_many_proposals_the_largest_are_skipped() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: small", &[]).await;
    host.once(&repository).await;
    let filed = repository.forge.get(&repository.issue_path(number)).await;
    let text = body(&[]);
    let item = move |at: u64, out: &mut dyn Write| {
        if at == 3 { tell(&filed, out) } else { issue(at, &text, 100 * 1024, out) }
    };
    let issues = Flood { count: 400, total: Some(400), is_paged: true, item: Box::new(item) };
    let none = Flood { count: 0, total: Some(0), is_paged: false, item: Box::new(|_, _| {}) };
    let choose = |path: &str, query: &str| {
        let is_of_flood = path.contains("/issues/1000") && path.ends_with("/comments");
        is_issues(path, query).or(is_of_flood.then_some(1))
    };
    let flooded = FloodedForge::before(&forge.url, vec![issues, none], Box::new(choose));
    let run = bounded(&host, &repository, &flooded, &["--dry-run"]).await;
    assert!(run.stdout.contains("issues are skipped (#1000"), "{}", run.stderr);
    assert!(run.json()["summary"]["phase"]["active"].as_u64().unwrap() >= 1, "{}", run.stderr);
}

#[tokio::test]
async fn law_8_bounded_in_sum_the_status_is_found_among_huge_comments() {
    let forge = Forge::sandbox().await;
    let (repository, host, another) = (forge.repository().await, Host::new(), Host::new());
    let number = repository.file("reader", "Mission: famous", &[]).await;
    host.once(&repository).await;
    let floods = comments(&repository, number, if is_thorough() { 1_000 } else { 80 }, MIB).await;
    let choose = move |path: &str, _: &str| match path {
        path if path.ends_with(&format!("/issues/{number}/comments")) => Some(0),
        path if path.ends_with("/issues/comments") => Some(1),
        _ => None,
    };
    let flooded = FloodedForge::before(&forge.url, floods.into(), Box::new(choose));
    // The root of another host is new, and the issue is the first host's.
    let mut command = bounded_command(&another, &repository, &flooded);
    let run = run(command.env("LAZARUS_HOST", "beta").args(["--once", "--json"])).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(another.root().join(".lazarus").exists() && another.cells().is_empty(), "{}", run.stdout);
    assert_eq!(repository.comments(number).await.len(), 1, "nobody repeats what is there");
    let quiet = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!((quiet.code, changes(&quiet.json())), (0, 0), "{}", quiet.stderr);
}

#[tokio::test]
async fn law_8_bounded_in_sum_labels_are_found_behind_ten_thousand_others() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: small", &[]).await;
    host.once(&repository).await;
    let flood = labels(&repository, 10_000).await;
    let choose = |path: &str, _: &str| (path.ends_with("/labels") && !path.contains("/issues/")).then_some(0);
    let flooded = FloodedForge::before(&forge.url, vec![flood], Box::new(choose));
    let run = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!((run.code, changes(&run.json())), (0, 0), "{}", run.stderr);
}

#[tokio::test]
async fn law_8_bounded_in_sum_a_label_event_is_found_in_a_long_timeline() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: small", &[]).await;
    host.once(&repository).await;
    repository.put_label(number, "mission/suspended").await;
    let flood = timeline(&repository, number, if is_thorough() { 50_000 } else { 11_000 }).await;
    let choose = |path: &str, _: &str| path.ends_with("/timeline").then_some(0);
    let flooded = FloodedForge::before(&forge.url, vec![flood], Box::new(choose));
    let run = bounded(&host, &repository, &flooded, &["--once"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.json()["summary"]["phase"]["suspended"], 1, "{}", run.stdout);
}

#[tokio::test]
async fn law_8_bounded_in_sum_a_wrong_count_of_the_forge_costs_few_requests() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: small", &[]).await;
    host.once(&repository).await;
    for (count, total, is_said) in [
        (120, Some(120), false),
        (120, Some(100_000), true),
        (120, Some(u64::MAX), true),
        (120, Some(0), false),
        (120, Some(7), false),
        (120, None, false),
    ] {
        let flood = Flood { total, ..beside(&repository, number, count, 10).await };
        let flooded = FloodedForge::before(&forge.url, vec![flood], Box::new(is_issues));
        let run = bounded(&host, &repository, &flooded, &["--once"]).await;
        let asked = flooded.asked.lock().unwrap().len();
        assert!(asked <= 24, "of {count}, {total:?} said: {asked} pages");
        assert_eq!(run.stdout.contains("kept changing"), is_said, "{total:?}: {}{}", run.stdout, run.stderr);
        assert_eq!((run.code, changes(&run.json())), (i32::from(is_said), 0), "{total:?}: {}", run.stderr);
    }
}
