//! Trouble: each kind ends with its documented exit code and one message that names what was tried, what happened and
//! what to do; nothing is lost, and no token is printed. The messages are compared whole, in `tests/fixtures/trouble.txt`.

use crate::support::forge::Forge;
use crate::support::golden;
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::{soon, stories};
use lazarus::sandbox::Fault;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

stories![
    a_token_that_is_wrong_or_too_narrow_is_refused,
    a_renamed_repository_is_followed_by_its_id,
    a_name_that_now_belongs_to_another_repository_is_refused,
];

/// A mission whose cell beats: what must not be lost.
async fn settled(forge: &Forge) -> (Repository, Host) {
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: go on", &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    host.once(&repository).await;
    (repository, host)
}

async fn a_token_that_is_wrong_or_too_narrow_is_refused(forge: Forge) {
    let (repository, host) = settled(&forge).await;
    let read_only = forge.new_token("bot", &["read:issue", "read:repository", "read:user"]);
    let without_user = forge.new_token("bot", &["write:issue", "read:repository"]);
    let without_repository = forge.new_token("bot", &["write:issue", "read:user"]);
    let wrong = "0123456789abcdef0123456789abcdef01234567".to_owned();
    std::fs::remove_dir_all(host.cell().join("artifacts")).unwrap();
    for (token, reported) in [
        (wrong, "rejects the token (401"),
        (without_user, "the token lacks the scope `read:user`"),
        (without_repository, "the token lacks the scope `read:repository`"),
        (read_only, "the token lacks the scope `write:issue`"),
    ] {
        let run = run(host.reconciler(&repository).env("LAZARUS_GITEA_TOKEN", &token).arg("--once")).await;
        assert_eq!(run.code, 2, "{run:?}");
        assert!(
            run.stderr.contains(reported) && run.stderr.contains("write:issue,read:repository,read:user"),
            "{run:?}"
        );
        assert!(!run.stderr.contains(&token) && !run.stdout.contains(&token), "{run:?}");
    }
    host.once(&repository).await;
}

async fn a_renamed_repository_is_followed_by_its_id(forge: Forge) {
    let (mut repository, host) = settled(&forge).await;
    let new = format!("{}-quests", repository.name.split('/').nth(1).unwrap());
    forge.change(Method::PATCH, &repository.path(), json!({ "name": new })).await;
    std::fs::remove_dir_all(host.cell().join("artifacts")).unwrap();
    for _ in 0..2 {
        let known = run(host.reconciler(&repository).args(["--once", "--json"])).await;
        assert_eq!(known.code, 0, "{known:?}");
        assert!(known.stderr.contains(&format!("was renamed to `owner/{new}`")), "{known:?}");
    }
    let stranger = Host::new();
    let unknown = run(stranger.reconciler(&repository).arg("--once")).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("set its new name in `repositories`"), "{unknown:?}");
    repository.name = format!("owner/{new}");
    let quiet = host.once(&repository).await;
    assert_eq!((&quiet["missions"][0]["health"], &quiet["missions"][0]["changes"]), (&json!("healthy"), &json!([])));
}

async fn a_name_that_now_belongs_to_another_repository_is_refused(forge: Forge) {
    let (repository, host) = settled(&forge).await;
    let name = repository.name.split('/').nth(1).unwrap().to_owned();
    forge.change(Method::PATCH, &repository.path(), json!({ "name": format!("{name}-moved") })).await;
    // It has been followed once before, and the old name is remembered.
    host.once(&repository).await;
    let other = forge.repository_named(&name).await;
    let number = other.file("reader", "Mission: not mine", &[]).await;
    let before = host.snapshot();
    let run = run(host.reconciler(&repository).arg("--once")).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("is another repository now"), "{run:?}");
    assert_eq!((other.comments(number).await.len(), before.changed(&host.snapshot()).len()), (0, 0));
    // Whoever names ours by its new name means the other one by the old name.
    let both = format!("{},owner/{name}-moved", repository.name);
    let served =
        crate::support::host::run(host.reconciler(&repository).env("LAZARUS_REPOSITORIES", both).arg("--once")).await;
    assert_eq!((served.code, other.comments(number).await.len()), (0, 1), "{served:?}");
}

/// Everything that went wrong, and what was said about it.
struct Told {
    text: String,
    repository: Repository,
}

/// A pass of a host.
fn once(host: &Host, repository: &Repository) -> Command {
    let mut command = host.reconciler(repository);
    command.arg("--once");
    command
}

impl Told {
    fn of(repository: &Repository) -> Self {
        Self { text: String::new(), repository: repository.clone() }
    }

    /// Notes a run that must end like this, with what it may have changed left as it was.
    async fn note(&mut self, what: &str, host: &Host, command: &mut Command, code: i32) {
        let before = host.snapshot();
        let run = run(command).await;
        assert_eq!(run.code, code, "{what}: {run:?}");
        assert_eq!(before.changed(&host.snapshot()), [""; 0].map(PathBuf::from), "{what} changed something");
        self.tell(what, host, &run);
    }

    fn tell(&mut self, what: &str, host: &Host, run: &Run) {
        for secret in [self.repository.forge.token("bot"), "canary"] {
            assert!(!format!("{run:?}").contains(secret), "{what} told a token: {run:?}");
        }
        let root_id = root_id(&host.root());
        let mut stderr = run.stderr.replace(&host.root().display().to_string(), "ROOT");
        for (found, word) in [
            (host.path().display().to_string(), "DIR"),
            (self.repository.forge.url.clone(), "URL"),
            (self.repository.forge.url.replace("http://", ""), "URL"),
            (self.repository.name.clone(), "owner/missions"),
            (root_id, "ROOT_ID"),
        ] {
            stderr = if found.is_empty() { stderr } else { stderr.replace(&found, word) };
        }
        writeln!(self.text, "=== {what}: exit {}\n{stderr}", run.code).unwrap();
    }
}

fn root_id(root: &Path) -> String {
    let file = std::fs::read_to_string(root.join(".lazarus/root.json")).unwrap_or_default();
    let file: Value = serde_json::from_str(&file).unwrap_or_default();
    file["root_id"].as_str().unwrap_or_default().to_owned()
}

/// The first pass is held up by the forge while it holds the lock.
#[tokio::test]
async fn a_second_pass_is_refused_immediately_or_waits_for_the_first() {
    let forge = Forge::sandbox().await;
    let (repository, host) = settled(&forge).await;
    forge.engine().break_next(1, "GET", "/api/v1/user", Fault::Delay(Duration::from_millis(500)));
    std::fs::write(host.path().join("at-once.json"), r#"{ "limits": { "lock_wait_seconds": 0 } }"#).unwrap();
    let before = forge.engine().log().len();
    let (mut first, mut second, mut third) =
        (host.reconciler(&repository), host.reconciler(&repository), host.reconciler(&repository));
    let (first, second) = tokio::join!(run(first.arg("--once")), async {
        soon("asked", async || forge.engine().log().len() > before).await;
        let refused = run(second.args(["--once", "--config", "at-once.json"])).await;
        (refused, run(third.arg("--once")).await)
    });
    let (refused, patient) = second;
    assert_eq!((first.code, refused.code, patient.code), (0, 2, 0), "{first:?} {refused:?} {patient:?}");
    assert!(refused.stderr.contains("another process writes in the missions root"), "{refused:?}");
    assert!(refused.stderr.contains("(`lazarus-reconcile --once`)"), "{refused:?}");
    assert!(patient.stderr.contains("another process writes in the missions root; waiting 60 s for it"), "{patient:?}");
}

#[tokio::test]
async fn every_error_names_the_attempt_the_cause_and_the_next_step() {
    let (settings, forge, root) = tokio::join!(of_settings(), of_the_forge(), of_the_root());
    golden::check("trouble.txt", &[settings, forge, root].concat());
}

async fn of_settings() -> String {
    let forge = Forge::sandbox().await;
    let (repository, host) = settled(&forge).await;
    let mut reported = Told::of(&repository);
    let once = || once(&host, &repository);
    let file = |name: &str, text: &str| std::fs::write(host.path().join(name), text).unwrap();
    file("unknown.json", "{\n  \"forge\": { \"tokn_file\": \"x\" }\n}");
    file("range.json", "{ \"limits\": { \"concurrent_missions\": 0 } }");
    file("range.yaml", "limits:\n  lock_wait_seconds: soon\n");
    file("broken.json", "{ \"forge\": ");
    file("secret.json", "{ \"forge\": { \"url\": \"https://bot:canary@git.example.com\" } }");
    file("empty-token", "\n");
    file("bad-token", "canary\ncanary");
    file("no-ca.json", "{ \"forge\": { \"ca_file\": \"empty-token\" } }");
    file("group.json", "{ \"cells\": { \"group\": \"no-such-group\" } }");
    for (what, arguments) in [
        ("an unknown key", ["--config", "unknown.json"]),
        ("a number out of range", ["--config", "range.json"]),
        ("a word for a number, in YAML", ["--config", "range.yaml"]),
        ("a broken configuration file", ["--config", "broken.json"]),
        ("an address with a password in a file", ["--config", "secret.json"]),
        ("no configuration file", ["--config", "none.json"]),
        ("no token file", ["--token-file", "none"]),
        ("a directory for a token file", ["--token-file", "missions"]),
        ("an empty token file", ["--token-file", "empty-token"]),
        ("a token file with two lines", ["--token-file", "bad-token"]),
        ("a CA file without a certificate", ["--config", "no-ca.json"]),
        ("a group that is not there", ["--config", "group.json"]),
        ("the token in the place of its file", ["--token-file", "canary0123456789canary0123456789"]),
        ("an address that is none", ["--gitea-url", "git.example.com"]),
        ("an address with a password", ["--gitea-url", "https://bot:canary@git.example.com"]),
        ("an address with a token", ["--gitea-url", "ftp://git.example.com/?token=canary"]),
        ("a repository that is none", ["--repo", "missions"]),
        ("an issue that is none", ["--issue", "owner/missions#x"]),
        ("an issue that is not there", ["--issue", "999"]),
        ("an issue of another repository", ["--issue", "owner/other#1"]),
        ("a bad flag", ["--onse", "--json"]),
    ] {
        reported.note(what, &host, once().args(arguments), 2).await;
    }
    reported.note("a bad variable", &host, once().env("LAZARUS_LOG", "loud"), 2).await;
    reported.note("a bad token in a variable", &host, once().env("LAZARUS_GITEA_TOKEN", "canary canary"), 2).await;
    reported.note("no forge", &host, once().env_remove("LAZARUS_GITEA_URL"), 2).await;
    reported.note("no token", &host, once().env_remove("LAZARUS_GITEA_TOKEN_FILE"), 2).await;
    reported.note("no repository", &host, once().env_remove("LAZARUS_REPOSITORIES"), 2).await;
    reported.note("a flag of a pass without a pass", &host, host.command("lazarus-reconcile").arg("--json"), 2).await;
    reported.text
}

async fn of_the_forge() -> String {
    let forge = Forge::sandbox().await;
    let (repository, host) = settled(&forge).await;
    let mut reported = Told::of(&repository);
    let once = || once(&host, &repository);
    let always = usize::MAX;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{closed}");
    let mut down = once();
    let run = run(down.env("LAZARUS_GITEA_URL", &nobody)).await;
    assert_eq!(run.code, 1, "{run:?}");
    let stderr = run.stderr.replace(&nobody, "URL");
    reported.tell("Gitea is down", &host, &Run { stderr, ..run });
    for (what, path, fault, code) in [
        ("a captive portal", "", Fault::Html, 1),
        ("Gitea is broken", "", Fault::Refuse(500), 1),
        ("Gitea is busy", "", Fault::TooManyRequests(600), 1),
        ("Gitea hangs up", "", Fault::HangUp, 1),
        ("an answer breaks off", "issues?", Fault::Truncate, 1),
        ("the list of issues is forbidden", "issues?", Fault::Refuse(403), 1),
    ] {
        forge.engine().break_next(always, "", path, fault);
        reported.note(what, &host, &mut once(), code).await;
        forge.engine().heal();
    }
    reported.note("a repository that is not there", &host, once().env("LAZARUS_REPOSITORIES", "owner/none"), 2).await;
    for (what, edit, back) in [
        ("an archived repository", json!({ "archived": true }), json!({ "archived": false })),
        ("a repository without issues", json!({ "has_issues": false }), json!({ "has_issues": true })),
    ] {
        forge.change(Method::PATCH, &repository.path(), edit).await;
        reported.note(what, &host, &mut once(), 2).await;
        forge.change(Method::PATCH, &repository.path(), back).await;
    }
    let other = Forge::sandbox().await;
    let mut foreign = once();
    foreign.env("LAZARUS_GITEA_URL", &other.url).env("LAZARUS_GITEA_TOKEN", other.token("bot"));
    let run = crate::support::host::run(&mut foreign).await;
    assert_eq!(run.code, 2, "{run:?}");
    let stderr = run.stderr.replace(&other.url, "OTHER");
    reported.tell("a root of another forge", &host, &Run { stderr, ..run });
    let url = repository.forge.url.clone();
    other.engine().break_next(usize::MAX, "GET", "/repos/", Fault::Refuse(500));
    let unsure = crate::support::host::run(&mut foreign).await;
    let root = std::fs::read_to_string(host.root().join(".lazarus/root.json")).unwrap();
    assert!(unsure.code == 1 && root.contains(&url), "that it could not be asked is no answer: {unsure:?}");
    // Nothing of all that was lasting.
    host.once(&repository).await;
    reported.text
}

async fn of_the_root() -> String {
    let forge = Forge::sandbox().await;
    let (repository, _) = settled(&forge).await;
    let mut reported = Told::of(&repository);
    let once = |host: &Host| once(host, &repository);
    let missing = Host::new();
    std::fs::remove_dir(missing.root()).unwrap();
    reported.note("a missing root", &missing, &mut once(&missing), 2).await;
    let file = Host::new();
    std::fs::remove_dir(file.root()).unwrap();
    std::fs::write(file.root(), "").unwrap();
    reported.note("a file for a root", &file, &mut once(&file), 2).await;
    let nowhere = Host::new();
    let mut init = nowhere.command("lazarus-reconcile");
    reported.note("a root where none can be made", &nowhere, init.args(["init", "--root", "/proc/missions"]), 2).await;
    let unmounted = Host::new();
    let run = run(&mut once(&unmounted)).await;
    assert_eq!((run.code, unmounted.snapshot().len()), (2, 1), "{run:?}");
    let expected = run.stderr.split("--replace ").nth(1).unwrap().trim_end_matches(['`', '\n']).to_owned();
    let stderr = run.stderr.replace(&expected, "OLD_ROOT_ID");
    reported.tell("a disk that is not mounted", &unmounted, &Run { stderr, ..run });
    for (path, fault) in [("issues?", Fault::Refuse(500)), ("/comments", Fault::Refuse(500)), ("/repos/", Fault::Html)]
    {
        let unseen = Host::new();
        forge.engine().break_next(usize::MAX, "GET", path, fault);
        reported.note(&format!("an empty root, and {path} is out of reach"), &unseen, &mut once(&unseen), 1).await;
        forge.engine().heal();
    }
    let home = Host::new();
    std::fs::write(home.root().join("letters.txt"), "dear").unwrap();
    reported.note("a directory of somebody's", &home, &mut once(&home), 2).await;
    let job = Host::new();
    reported.note("a fresh root in a job", &job, once(&job).env("GITEA_ACTIONS", "true"), 2).await;
    reported.note("a fresh root and one issue", &job, once(&job).args(["--issue", "1"]), 2).await;

    reported.text.push_str(&of_a_damaged_root(&forge).await);
    reported.text
}

async fn of_a_damaged_root(forge: &Forge) -> String {
    let (repository, host) = settled(forge).await;
    let mut reported = Told::of(&repository);
    let once = || once(&host, &repository);
    let own = host.root().join(".lazarus");
    let config = "{ \"limits\": { \"lock_wait_seconds\": 0 } }";
    std::fs::write(host.path().join("at-once.json"), config).unwrap();
    let lock = std::fs::File::options().write(true).open(own.join("lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(own.join("lock"), "4711 lazarus-reconcile --once\n").unwrap();
    reported.note("a second instance", &host, once().args(["--config", "at-once.json"]), 2).await;
    drop(lock);
    let root_file = std::fs::read(own.join("root.json")).unwrap();
    std::fs::write(own.join("root.json"), "{ \"root_id\": ").unwrap();
    reported.note("a damaged root", &host, &mut once(), 2).await;
    std::fs::remove_file(own.join("root.json")).unwrap();
    reported.note("a root that has forgotten what it is", &host, &mut once(), 2).await;
    std::fs::write(own.join("root.json"), root_file).unwrap();
    let record = std::fs::read_dir(own.join("missions")).unwrap().next().unwrap().unwrap().path();
    let remembered = std::fs::read(&record).unwrap();
    std::fs::write(&record, "{ ").unwrap();
    reported.note("a damaged record", &host, &mut once(), 0).await;
    std::fs::write(&record, remembered).unwrap();
    host.once(&repository).await;
    unwritable(&mut reported, forge).await;
    reported.text
}

/// A root that its owner may not write in.
async fn unwritable(reported: &mut Told, forge: &Forge) {
    let (repository, host) = (forge.repository().await, Host::on_disk());
    let mut unprivileged = host.unprivileged(host.reconciler(&repository).arg("--once"));
    std::fs::set_permissions(host.root(), std::fs::Permissions::from_mode(0o555)).unwrap();
    reported.note("a root that nothing can be written in", &host, &mut unprivileged, 2).await;
    std::fs::set_permissions(host.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = run(&mut unprivileged).await;
    assert_eq!(run.code, 0, "{run:?}");
}

#[tokio::test]
async fn huge_comments_of_others_do_not_prevent_reading_an_issue() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let (huge, small) =
        (repository.file("reader", "Mission: huge", &[]).await, repository.file("reader", "Mission: small", &[]).await);
    repository.say("stranger", huge, &"x".repeat(17 * 1024 * 1024)).await;
    let run = run(host.reconciler(&repository).arg("--once")).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!((repository.comments(huge).await.len(), host.cells().len()), (2, 2));
    repository.comment(small).await;
}

#[tokio::test]
async fn an_argument_that_is_not_utf8_does_not_panic() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let root = host.path().join(std::ffi::OsStr::from_bytes(b"root-\xff"));
    std::fs::create_dir(&root).unwrap();
    let run = run(host.reconciler(&repository).arg("--root").arg(&root).arg("--once")).await;
    assert_eq!(run.code, 0, "{run:?}");
}

#[tokio::test]
async fn the_json_report_lists_every_error() {
    let forge = Forge::sandbox().await;
    let (repository, host) = settled(&forge).await;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Refuse(500));
    let report = run(host.reconciler(&repository).args(["--once", "--json"])).await.json();
    let error = &report["errors"][0];
    assert_eq!((&error["about"], &error["kind"]), (&json!(repository.name), &json!("unavailable")), "{report}");
    assert!(error["message"].as_str().unwrap().contains("Gitea answered 500"), "{report}");
}
