//! A mission's repository: checked out before the cell is seen, and the wizard's ever since.

use crate::life::{pass, try_pass};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::git_forge::{GitForge, Manner};
use crate::support::host::{Host, changes, run};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::{soon, stories};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::cell::worktree::{DirectoryId, UNAVAILABLE};
use reqwest::Method;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

stories![
    a_cell_is_created_with_its_repository_checked_out,
    a_private_repository_needs_its_own_entry_and_no_file_holds_the_token,
    an_unavailable_repository_is_one_message_and_blocks_no_cell,
    a_repository_that_is_created_later_is_checked_out_then,
    another_ref_needs_a_new_mission,
    files_of_an_agent_in_an_empty_worktree_are_kept,
    a_link_of_an_agent_in_place_of_its_worktree_is_kept,
    a_short_commit_id_has_to_be_given_in_full,
];

/// git as a wizard runs it in its worktree.
fn git(worktree: &Path, arguments: &[&str]) -> String {
    let safe = format!("safe.directory={}", worktree.display());
    let output = Command::new("git").arg("-C").arg(worktree).arg("-c").arg(safe).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn mission_file(cell: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(cell.join("meta/mission.json")).unwrap()).unwrap()
}

async fn a_cell_is_created_with_its_repository_checked_out(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let asked = [("repository", repository.name.as_str()), ("ref", "main")];
    let number = repository.file("reader", "Mission: read", &asked).await;
    host.once(&repository).await;
    let cell = host.cell();
    let worktree = cell.join("worktree");
    let form = std::fs::read_to_string(worktree.join(".gitea/ISSUE_TEMPLATE/mission-proposal.yaml")).unwrap();
    assert_eq!(form, lazarus::mission::proposal::form::FORM);
    let commit = git(&worktree, &["rev-parse", "HEAD"]);
    assert_eq!(git(&worktree, &["status", "--porcelain"]), "");
    let branch = format!("mission/{}", cell.file_name().unwrap().to_str().unwrap());
    assert_eq!(git(&worktree, &["rev-parse", "--abbrev-ref", "HEAD"]), branch);
    let remote = git(&worktree, &["remote", "get-url", "origin"]);
    assert_eq!(remote, format!("{}/{}.git", forge.url, repository.name), "without credentials");
    assert_eq!(
        mission_file(&cell)["worktree"],
        json!({ "repository": repository.name, "ref": "main", "commit": commit })
    );
    let log = std::fs::read_to_string(cell.join("logs/daemon.log")).unwrap();
    assert!(log.contains(&format!("`main`, commit {commit}")), "{log}");
    let comment = repository.comment(number).await;
    let reported = format!("- Worktree: `{}` at `main`, commit `{}`", repository.name, &commit[..12]);
    assert!(comment.contains(&reported), "{comment}");
    assert_eq!(changes(&host.once(&repository).await), 0);
    // What a wizard does in it is nobody else's business.
    std::fs::write(worktree.join("new.txt"), "mine").unwrap();
    std::fs::remove_file(worktree.join(".git/HEAD")).unwrap();
    assert_eq!(changes(&host.once(&repository).await), 0);
}

/// Another repository of the owner's, private or not, with one file in it.
async fn spellbook(forge: &Forge, name: &str, private: bool) -> String {
    let new = json!({ "name": name, "auto_init": true, "default_branch": "main", "private": private });
    forge.change(Method::POST, "/user/repos", new).await;
    let name = format!("owner/{name}");
    let file = json!({ "content": STANDARD.encode("Abracadabra."), "message": "Write", "branch": "main" });
    forge.change(Method::POST, &format!("/repos/{name}/contents/spells.txt"), file).await;
    forge.change(Method::PUT, &format!("/repos/{name}/collaborators/bot"), json!({ "permission": "read" })).await;
    name
}

/// Every file below a directory that holds this text.
fn holding(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(holding(&path, text));
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).contains(text) {
            found.push(path.display().to_string());
        }
    }
    found
}

async fn a_private_repository_needs_its_own_entry_and_no_file_holds_the_token(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let secret = spellbook(&forge, &format!("secret-{}", repository.id), true).await;
    let number = repository.file("reader", "Mission: read", &[("repository", &secret)]).await;
    let pattern = r#"{ "worktrees": { "repositories": ["owner/*"] } }"#;
    pass(&host, &repository, pattern).await;
    let comment = repository.comment(number).await;
    assert!(comment.contains(UNAVAILABLE) && host.cells().len() == 1, "{comment}");
    let own = Host::new();
    let exact = format!(r#"{{ "worktrees": {{ "repositories": ["{secret}"] }} }}"#);
    let other = forge.repository().await;
    let allowed = other.file("reader", "Mission: read", &[("repository", &secret)]).await;
    pass(&own, &other, &exact).await;
    let spells = std::fs::read_to_string(own.cell().join("worktree/spells.txt")).unwrap();
    assert_eq!(spells, "Abracadabra.", "{}", other.comment(allowed).await);
    let token = forge.token("bot");
    let encoded = STANDARD.encode(format!("x:{token}"));
    for text in [token, encoded.trim_end_matches('=')] {
        assert_eq!(holding(&own.root(), text), [""; 0]);
    }
}

async fn an_unavailable_repository_is_one_message_and_blocks_no_cell(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let hidden = spellbook(&forge, &format!("hidden-{}", repository.id), true).await;
    let bot = format!("/repos/{hidden}/collaborators/bot");
    forge.change(Method::DELETE, &bot, Value::Null).await;
    let more = format!(r#"{{ "worktrees": {{ "repositories": ["owner/nothing-here", "{hidden}"] }} }}"#);
    let mut reported = Vec::new();
    for answers in [
        vec![("repository", "owner/nothing-here")],
        vec![("repository", hidden.as_str())],
        vec![("repository", repository.name.as_str()), ("ref", "no-such-branch")],
    ] {
        let number = repository.file("reader", "Mission: read", &answers).await;
        pass(&host, &repository, &more).await;
        let comment = repository.comment(number).await;
        let line = comment.lines().find(|line| line.starts_with("- Worktree: ")).unwrap();
        reported.push(line.split(" could not be ").nth(1).unwrap().to_owned());
        assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
    }
    assert!(reported.iter().all(|line| *line == reported[0]) && reported[0].contains(UNAVAILABLE), "{reported:?}");
    assert_eq!((host.cells().len(), changes(&pass(&host, &repository, &more).await)), (3, 0), "and waits for its turn");
}

async fn a_repository_that_is_created_later_is_checked_out_then(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let name = format!("later-{}", repository.id);
    let more = format!(r#"{{ "worktrees": {{ "repositories": ["owner/{name}"] }} }}"#);
    let full = format!("owner/{name}");
    let number = repository.file("reader", "Mission: read", &[("repository", &full)]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), &more)).await;
    daemon.tick(0).await;
    assert!(repository.comment(number).await.contains("could not be checked out"));
    spellbook(&forge, &name, false).await;
    daemon.tick(30).await;
    assert!(!host.cell().join("worktree/spells.txt").exists(), "not before its time");
    daemon.tick(40).await;
    let spells = host.cell().join("worktree/spells.txt");
    // No pass waits for it.
    soon("the checkout", async || repository.comment(number).await.contains(&format!("`{full}`, commit `"))).await;
    assert_eq!(std::fs::read_to_string(spells).unwrap(), "Abracadabra.");
    let comment = repository.comment(number).await;
    assert!(comment.contains(&format!("- Worktree: `{full}`, commit `")), "{comment}");
    assert!(mission_file(&host.cell())["worktree"]["commit"].is_string());
}

async fn another_ref_needs_a_new_mission(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[("repository", &repository.name)]).await;
    host.once(&repository).await;
    std::fs::write(host.cell().join("worktree/work.txt"), "hours of it").unwrap();
    let other = body(&[("Repository", &repository.name), ("Ref", "dev"), ("Wizard", "circe")]);
    repository.edit("reader", number, |_| other.clone()).await;
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    assert!(comment.contains("Edit not applied: a worktree with work in it is never replaced"), "{comment}");
    assert_eq!(mission_file(&host.cell())["spec"]["wizard"], "circe", "and the rest takes effect");
    assert_eq!(std::fs::read_to_string(host.cell().join("worktree/work.txt")).unwrap(), "hours of it");
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn files_of_an_agent_in_an_empty_worktree_are_kept(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[]).await;
    host.once(&repository).await;
    std::fs::write(host.cell().join("worktree/work.txt"), "hours of it").unwrap();
    let asked = body(&[("Repository", &repository.name)]);
    repository.edit("reader", number, |_| asked.clone()).await;
    host.once(&repository).await;
    assert!(repository.comment(number).await.contains("is not an empty directory; its contents are kept"));
    let names: Vec<_> = std::fs::read_dir(host.cell().join("worktree")).unwrap().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn a_link_of_an_agent_in_place_of_its_worktree_is_kept(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[]).await;
    host.once(&repository).await;
    let (worktree, elsewhere) = (host.cell().join("worktree"), host.path().join("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::remove_dir(&worktree).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &worktree).unwrap();
    let asked = body(&[("Repository", &repository.name)]);
    repository.edit("reader", number, |_| asked.clone()).await;
    // It is no trouble of this host, so a wizard cannot make its passes fail.
    host.once(&repository).await;
    assert!(repository.comment(number).await.contains("is not an empty directory; its contents are kept"));
    assert!(worktree.is_symlink() && std::fs::read_dir(&elsewhere).unwrap().next().is_none());
    assert_eq!(changes(&host.once(&repository).await), 0);
}

/// A host without git makes the cell all the same, and says what is missing.
#[tokio::test]
async fn a_host_without_git_creates_the_cell_and_reports_it() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[("repository", &repository.name)]).await;
    let run = crate::support::host::run(host.reconciler(&repository).env("PATH", "/nowhere").arg("--once")).await;
    assert_eq!((run.code, host.cells().len()), (1, 1), "{run:?}");
    assert!(run.stderr.contains("there is no git in `PATH`; install git 2."), "{run:?}");
    assert!(repository.comment(number).await.contains("there is no git in `PATH`"));
}

/// Lets the one record look as a pass leaves it that dies while it moves what it has checked out into this directory.
fn interrupt(host: &Host, directory: &Path) -> Value {
    let path = std::fs::read_dir(host.root().join(".lazarus/missions")).unwrap().next().unwrap().unwrap().path();
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let checked_out = record["worktree"]["checked_out"].take();
    let metadata = std::fs::metadata(directory).unwrap();
    let created = metadata.created().ok().map(|created| created.duration_since(UNIX_EPOCH).unwrap());
    let mut placing = checked_out.clone();
    placing["directory"] = json!(DirectoryId::new(metadata.ino(), created));
    record["worktree"]["placing"] = placing;
    std::fs::write(&path, record.to_string()).unwrap();
    checked_out["commit"].clone()
}

/// A pass that dies after it has put the worktree in its place leaves the next one to find it there.
#[tokio::test]
async fn a_worktree_placed_by_a_pass_that_died_is_found_by_the_next_one() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[("repository", &repository.name)]).await;
    host.once(&repository).await;
    let commit = interrupt(&host, &host.cell().join("worktree"));
    let run = try_pass(&host, &repository, "{}").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(mission_file(&host.cell())["worktree"]["commit"], commit);
    assert!(repository.comment(number).await.contains(", commit `"));
    assert_eq!(changes(&host.once(&repository).await), 0);
}

/// One that dies before that leaves an empty worktree, and what is put into it then is no checkout of ours.
#[tokio::test]
async fn a_worktree_filled_by_an_agent_after_a_pass_died_is_no_checkout() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: read", &[("repository", &repository.name)]).await;
    host.once(&repository).await;
    let (worktree, staged) = (host.cell().join("worktree"), host.path().join("staged"));
    std::fs::rename(&worktree, &staged).unwrap();
    std::fs::create_dir(&worktree).unwrap();
    interrupt(&host, &staged);
    std::fs::remove_dir_all(&staged).unwrap();
    std::fs::write(worktree.join("work.txt"), "hours of it").unwrap();
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    assert!(comment.contains("is not an empty directory; its contents are kept"), "{comment}");
    assert!(mission_file(&host.cell())["worktree"]["commit"].is_null());
    assert_eq!(std::fs::read_to_string(worktree.join("work.txt")).unwrap(), "hours of it");
    assert_eq!(changes(&host.once(&repository).await), 0);
}

/// What is public for a wildcard is decided by the forge, and by nobody's spelling.
#[tokio::test]
async fn a_pattern_allows_the_public_repositories_of_an_owner() {
    let forge = Forge::sandbox().await;
    let (repository, host): (Repository, Host) = (forge.repository().await, Host::new());
    let book = spellbook(&forge, "book", false).await;
    repository.file("reader", "Mission: read", &[("repository", &book.to_uppercase().replace("OWNER", "Owner"))]).await;
    pass(&host, &repository, r#"{ "worktrees": { "repositories": ["owner/*"] } }"#).await;
    assert!(host.cell().join("worktree/spells.txt").exists());
}

async fn a_short_commit_id_has_to_be_given_in_full(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let own = repository.name.as_str();
    let whole = repository.file("reader", "Mission: read", &[("repository", own)]).await;
    host.once(&repository).await;
    let commit = git(&host.cell().join("worktree"), &["rev-parse", "HEAD"]);
    let mut reported = Vec::new();
    for name in [&commit[..7], &commit[..39], "no-such-branch", "20261123"] {
        let number = repository.file("reader", "Mission: read", &[("repository", own), ("ref", name)]).await;
        host.once(&repository).await;
        let comment = repository.comment(number).await;
        assert!(comment.contains(UNAVAILABLE) && comment.contains(&format!("at `{name}`")), "{comment}");
        reported.push(comment.contains("name a commit by its full id of 40 digits"));
        repository.set_state(number, "closed").await;
    }
    assert_eq!(reported, [true, true, false, true], "a branch may be called by such digits, so they are tried first");
    let full = repository.file("reader", "Mission: read", &[("repository", own), ("ref", &commit)]).await;
    host.once(&repository).await;
    for number in [whole, full] {
        assert!(repository.comment(number).await.contains(&format!("commit `{}`", &commit[..12])));
    }
}

#[tokio::test]
async fn a_ref_of_any_name_is_always_shown_in_full_and_as_plain_text() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    let git_forge = GitForge::new(Manner::Open);
    let bare = git_forge.repository("served");
    let commit = bare.publish(&bare.tree(&[("100644", "README", &bare.blob("x"))]));
    forge.engine().serve_git(repository.id, bare.path());
    let lengthy = format!("ünïcode/{}", "x".repeat(150));
    for (name, span) in [
        ("feature/#42-raise", "`feature/#42-raise`"),
        ("@owner/v1.28.2+k3s1", "`@owner/v1.28.2+k3s1`"),
        ("a`b", "``a`b``"),
        ("`a|b`", "`` `a|b` ``"),
        ("<img>&50%", "`<img>&50%`"),
        (lengthy.as_str(), &format!("`{lengthy}`")),
    ] {
        bare.git(&["update-ref", &format!("refs/heads/{name}"), &commit], b"");
        let asked = [("repository", repository.name.as_str()), ("ref", name)];
        let number = repository.file("reader", "Mission: read", &asked).await;
        let summary = host.path().join("summary.md");
        let mut in_job = host.reconciler(&repository);
        in_job.env("GITEA_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
        let once = run(in_job.args(["--once", "--json"])).await;
        assert_eq!(once.code, 0, "{once:?}");
        let made = format!("check out `{}` at {span} for the cell", repository.name);
        assert!(once.json()["missions"].to_string().contains(json!(made).to_string().trim_matches('"')), "{once:?}");
        let comment = repository.comment(number).await;
        assert!(comment.contains(&format!("- Worktree: `{}` at {span}, commit `", repository.name)), "{comment}");
        let cells = host.cells();
        let cell = cells.iter().find(|cell| mission_file(cell)["worktree"]["ref"] == *name).unwrap();
        let log = std::fs::read_to_string(cell.join("logs/daemon.log")).unwrap();
        assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
        let status = run(host.reconciler(&repository).args(["status", &number.to_string()])).await;
        assert!(status.stdout.contains(&format!("at {span}")), "{status:?}");
        let reported = std::fs::read_to_string(&summary).unwrap();
        assert!(reported.contains(&format!("at {}", span.replace('|', "\\|"))), "{reported}");
    }
    assert_eq!(changes(&host.once(&repository).await), 0);
}
