//! Suggested commands carry on the flags that were given, so that they mean the same root, settings and forge.

use crate::support::forge::{BOT_SCOPES, Forge};
use crate::support::host::{Host, Run, run};
use clap::Parser;
use lazarus::cli::arguments::Reconcile;
use reqwest::Method;
use serde_json::json;

/// A host on which everything is said by flags, and nothing by the environment.
struct Site {
    host: Host,
    flags: Vec<String>,
}

impl Site {
    async fn new() -> Self {
        let (host, forge) = (Host::new(), Forge::sandbox().await);
        let made = json!({ "name": "bare", "auto_init": true, "default_branch": "main" });
        forge.change(Method::POST, "/user/repos", made).await;
        let writes = json!({ "permission": "write" });
        forge.change(Method::PUT, "/repos/owner/bare/collaborators/bot", writes).await;
        std::fs::write(host.path().join("the token"), forge.new_token("bot", &BOT_SCOPES)).unwrap();
        std::fs::write(host.path().join("settings.yaml"), "approval: { mode: label }").unwrap();
        let token = host.path().join("the token").display().to_string();
        let flags =
            ["--config", "settings.yaml", "--gitea-url", &forge.url, "--token-file", &token, "--repo", "owner/bare"];
        let flags = flags.map(str::to_owned).to_vec();
        // The sandbox lives as long as the test.
        std::mem::forget(forge);
        Self { host, flags }
    }

    async fn run(&self, arguments: &[&str], root: &str) -> Run {
        let mut command = self.host.command("lazarus-reconcile");
        command.env_remove("LAZARUS_MISSIONS_ROOT").args(arguments).args(&self.flags).args(["--root", root]);
        run(&mut command).await
    }

    /// Every command that was suggested, each of which can be typed as it stands.
    fn suggested(posted: &str) -> Vec<String> {
        let spans = posted.split('`').skip(1).step_by(2);
        let commands: Vec<String> =
            spans.filter(|span| span.starts_with("lazarus-reconcile ")).map(str::to_owned).collect();
        for command in &commands {
            let words = shlex::split(command).unwrap();
            assert!(Reconcile::try_parse_from(&words).is_ok(), "{command}");
        }
        commands
    }

    /// Each command carries all the flags, once.
    fn check(&self, posted: &str, commands: &[&str], root: &str) {
        let found = Self::suggested(posted);
        for command in &found {
            let words = shlex::split(command).unwrap();
            for pair in self.flags.chunks(2).chain([&["--root".to_owned(), root.to_owned()][..]]) {
                let given = words.windows(2).filter(|words| words == &pair).count();
                assert_eq!(given, 1, "{pair:?} in `{command}`");
            }
        }
        let begins =
            |wanted: &&&str| found.iter().any(|command| command.starts_with(&format!("lazarus-reconcile {wanted}")));
        let missing: Vec<&&str> = commands.iter().filter(|wanted| !begins(wanted)).collect();
        assert!(missing.is_empty(), "{missing:?} in {found:#?}: {posted}");
    }
}

#[tokio::test]
async fn suggested_commands_carry_the_flags_that_were_given() {
    let site = Site::new().await;
    let root = site.host.root().display().to_string();
    let nowhere = site.host.path().join("no where").display().to_string();
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let diagnosis = site.run(&["doctor"], &root).await;
    site.check(&diagnosis.stdout, &["init --root ", "install --repo owner/bare --only form", "install --repo"], &root);
    for arguments in [&["--once"][..], &["--dry-run"], &["status"], &["status", "1"], &["scan"], &["gc"], &["doctor"]] {
        let refused = site.run(arguments, &nowhere).await;
        let posted = format!("{}{}", refused.stdout, refused.stderr);
        site.check(&posted, &["init --root '"], &nowhere);
    }
    let one = site.run(&["--once", "--issue", "1"], &root).await;
    site.check(&one.stderr, &["init --root "], &root);
    let made = site.run(&["--once"], &root).await;
    assert_eq!(made.code, 0, "{made:?}");
    let no_mission = site.run(&["status", id], &root).await;
    site.check(&no_mission.stderr, &["status "], &root);
    std::fs::write(site.host.root().join(".lazarus/missions/7-8.json"), "{").unwrap();
    let damaged = site.run(&["doctor"], &root).await;
    site.check(&damaged.stdout, &["status "], &root);
}

#[tokio::test]
async fn a_token_given_instead_of_its_file_is_not_suggested() {
    let host = Host::new();
    let token = "canary0123456789canary0123456789canary01";
    let arguments = ["--once", "--root", "nowhere", "--gitea-url", "http://127.0.0.1:1", "--repo", "o/r"];
    let refused = run(host.command("lazarus-reconcile").args(arguments).args(["--token-file", token])).await;
    assert!(refused.stderr.contains("init --root") && !refused.stderr.contains("canary"), "{refused:?}");
}
