//! `--once` in a job of Gitea Actions, with no settings beyond the token and the root.

use crate::support::forge::Forge;
use crate::support::host::{Host, run, writes};
use crate::support::repository::Repository;
use crate::support::stories;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

stories![a_job_needs_no_configuration_beyond_the_token_and_the_root];

/// A runner on a host whose root was made by `lazarus-reconcile init`.
struct Runner {
    host: Host,
    checkout: PathBuf,
}

impl Runner {
    async fn new() -> Self {
        let host = Host::new();
        let made = run(host.command("lazarus-reconcile").arg("init")).await;
        assert_eq!(made.code, 0, "{made:?}");
        let checkout = host.path().join("checkout");
        std::fs::create_dir_all(checkout.join("config")).unwrap();
        // A file of the repository, which anybody may have changed, must not count in a job.
        let planted = r#"{ "missions_root": "/", "forge": { "url": "http://evil.test" }, "limits": { "cells": 0 } }"#;
        std::fs::write(checkout.join("config/lazarus_pit.json"), planted).unwrap();
        Self { host, checkout }
    }

    /// The binary as a workflow's step runs it, with the variables that a runner sets (recorded from one).
    fn step(&self, repository: &Repository, token: &str) -> Command {
        let mut command = self.host.command("lazarus-reconcile");
        let url = &repository.forge.url;
        command
            .current_dir(&self.checkout)
            .env("GITHUB_ACTIONS", "true")
            .env("GITEA_ACTIONS", "true")
            .env("CI", "true");
        command.env("GITHUB_SERVER_URL", url).env("GITHUB_API_URL", format!("{url}/api/v1"));
        command.env("GITHUB_REPOSITORY", &repository.name).env("GITHUB_EVENT_NAME", "issues");
        command.env("GITHUB_EVENT_PATH", self.host.path().join("event.json")).env("GITHUB_RUN_ID", "1");
        command.env("GITHUB_STEP_SUMMARY", self.summary_path()).env("GITHUB_OUTPUT", self.output_path());
        command.env("GITEA_TOKEN", token);
        command
    }

    fn summary_path(&self) -> PathBuf {
        self.host.path().join("summary.md")
    }

    fn output_path(&self) -> PathBuf {
        self.host.path().join("output")
    }

    fn outputs(&self) -> Vec<String> {
        std::fs::read_to_string(self.output_path()).unwrap().lines().map(str::to_owned).collect()
    }
}

async fn a_job_needs_no_configuration_beyond_the_token_and_the_root(forge: Forge) {
    let (repository, runner) = (forge.repository().await, Runner::new().await);
    let good = repository.file("reader", "Mission: good | bad", &[]).await;
    let bad = repository.file("reader", "Mission: bad", &[("wizard", "the grey one")]).await;
    let once = run(runner.step(&repository, forge.token("bot")).args(["--once", "--json"])).await;
    assert_eq!((once.code, once.stderr.as_str()), (0, ""), "{once:?}");
    assert_eq!(repository.labels(good).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    assert_eq!(repository.labels(bad).await, ["kind/mission-proposal", "mission/invalid"]);
    let summary = std::fs::read_to_string(runner.summary_path()).unwrap();
    let name = &repository.name;
    for line in [
        "### Missions\n\n2 proposals: 1 active, 1 invalid; health: 1 uninitialized; ".to_owned(),
        "| issue | state | changes | error |\n|---|---|---|---|\n".to_owned(),
        format!("| {name}#{good} | active, uninitialized (no-heartbeat) | ``create the cell "),
        format!("| {name}#{bad} | invalid | ``add `kind/mission-proposal`, `mission/invalid`; "),
    ] {
        assert!(summary.contains(&line), "{line} is not in\n{summary}");
    }
    let outputs = runner.outputs();
    for line in ["complete=true", "missions=2", "active=1", "invalid=1", "uninitialized=1", "stale=0"] {
        assert!(outputs.iter().any(|output| output == line), "{line} is not in {outputs:?}");
    }
    let quiet = run(runner.step(&repository, forge.token("bot")).args(["--once", "--json"])).await;
    assert_eq!((quiet.code, writes(&quiet.json())), (0, 0));
}

#[tokio::test]
async fn a_job_token_suffices_from_the_first_pass_to_a_change_of_health() {
    let forge = Forge::sandbox().await;
    let (repository, runner) = (forge.repository().await, Runner::new().await);
    let token = forge.engine().job_token(repository.id);
    let number = repository.file("reader", "Mission: by a job", &[]).await;
    let pass = async || run(runner.step(&repository, &token).args(["--once", "--json"])).await;
    let first = pass().await;
    assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{first:?}");
    runner.host.beat(&runner.host.cell(), &[]).await;
    let report = pass().await.json();
    assert_eq!((writes(&report), &report["missions"][0]["health"]), (2, &json!("healthy")));
    let comments = repository.comments(number).await;
    assert!(comments.len() == 1 && comments[0].0 == "gitea-actions", "{comments:?}");
    assert_eq!(writes(&pass().await.json()), 0);
}

#[tokio::test]
async fn job_errors_are_annotated_and_user_text_starts_no_workflow_command() {
    let forge = Forge::sandbox().await;
    let (repository, runner) = (forge.repository().await, Runner::new().await);
    let wrong = run(runner.step(&repository, "wrong").arg("--once")).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.starts_with("::error::`GET /api/v1/user`: Gitea rejects the token"), "{wrong:?}");
    assert_eq!(
        lazarus::cli::ci_job::error_line("50 %\r\n::set-env name=x::y"),
        "::error::50 %25%0D%0A::set-env name=x::y"
    );
    let record = json!({ "nonsense": "\n::error::planted" }).to_string();
    let number = repository.file("reader", "Mission: x\n::add-mask::secret", &[]).await;
    run(runner.step(&repository, forge.token("bot")).arg("--once")).await;
    let id: Value = forge.get(&repository.issue_path(number)).await["id"].clone();
    let path = runner.host.root().join(format!(".lazarus/missions/{}-{id}.json", repository.id));
    std::fs::write(path, record).unwrap();
    let damaged = run(runner.step(&repository, forge.token("bot")).arg("--once")).await;
    assert_eq!(damaged.code, 0, "no later run mends it: {damaged:?}");
    let text = format!("{}\n{}", damaged.stdout, damaged.stderr);
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("::")).collect();
    assert!(commands.len() == 1 && commands[0].starts_with("::warning::owner/"), "{text}");
}
