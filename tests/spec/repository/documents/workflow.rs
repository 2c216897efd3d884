//! The workflow that users take: what starts it, what it may do, and what it runs.

use crate::repository::documents::repository;
use clap::Parser;
use lazarus::cli::arguments::Reconcile;
use lazarus::mission::selector::IssueArgument;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const WORKFLOW: &str = include_str!("../../../../.gitea/workflows/lazarus-reconcile.yaml");

fn workflow() -> Value {
    serde_yaml::from_str(WORKFLOW).unwrap()
}

fn step() -> Value {
    workflow()["jobs"]["reconcile"]["steps"][0].clone()
}

#[test]
fn the_workflow_runs_on_issue_changes_schedule_and_manual_dispatch() {
    let workflow = workflow();
    let triggers = workflow["on"].as_object().unwrap();
    assert_eq!(triggers.keys().collect::<Vec<_>>(), ["issues", "schedule", "workflow_dispatch"]);
    assert_eq!(triggers["issues"], json!({ "types": ["opened", "edited", "closed", "reopened"] }));
    assert_eq!(triggers["schedule"][0]["cron"].as_str().unwrap().split(' ').count(), 5);
}

#[test]
fn the_workflow_may_write_issues_only() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({ "contents": "read", "issues": "write" }));
    let jobs = workflow["jobs"].as_object().unwrap();
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["reconcile"]);
    assert!(jobs["reconcile"].get("permissions").is_none(), "said once");
    let steps = jobs["reconcile"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step.get("uses").is_none()), "nobody else's code runs");
}

/// Without its variable it is skipped by any runner, so it does nothing where it merely lies about.
#[test]
fn the_workflow_runs_only_where_a_runner_is_configured() {
    let job = &workflow()["jobs"]["reconcile"];
    assert_eq!(job["if"], "${{ vars.LAZARUS_RUNNER != '' }}");
    assert!(job["runs-on"].as_str().unwrap().starts_with("${{ vars.LAZARUS_RUNNER || "), "{job}");
    let head: String = WORKFLOW.lines().take_while(|line| line.starts_with('#')).collect();
    assert!(head.contains("variable LAZARUS_RUNNER"), "{head}");
}

#[test]
fn workflow_runs_of_one_issue_queue_and_none_is_cancelled() {
    let concurrency = &workflow()["concurrency"];
    assert_eq!(concurrency["group"], "lazarus-reconcile-${{ github.event.issue.number || 'all' }}");
    assert!(concurrency.get("cancel-in-progress").is_none());
}

#[test]
fn the_workflow_takes_only_the_issue_number_through_the_environment() {
    let step = step();
    assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
    let environment = json!({
        "ISSUE": "${{ github.event.issue.number }}",
        "GITEA_TOKEN": "${{ secrets.GITEA_TOKEN }}",
        "LAZARUS_MISSIONS_ROOT": "${{ vars.LAZARUS_MISSIONS_ROOT }}",
    });
    assert_eq!(step["env"], environment);
    let events = WORKFLOW.matches("github.event").count();
    assert_eq!((events, WORKFLOW.matches("github.event.issue.number").count()), (2, 2));
}

/// What the step's line hands to the program, by a shell, where the issue's number is this.
fn arguments(issue: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("lazarus-reconcile");
    std::fs::write(&program, "#!/bin/sh\nprintf '%s\\n' lazarus-reconcile \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", step()["run"].as_str().unwrap()]).env("ISSUE", issue).current_dir(directory.path());
    let output = shell.env("PATH", format!("{}:/usr/bin:/bin", directory.path().display())).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_workflow_runs_one_pass_over_the_issue_or_over_all() {
    let parsed = |issue: &str| Reconcile::try_parse_from(arguments(issue));
    let all = parsed("").unwrap();
    assert!(all.command.is_none() && all.pass.once && all.pass.issue.is_none());
    let one = parsed("42").unwrap();
    assert_eq!(one.pass.issue, Some(IssueArgument { repository: None, number: 42 }));
    let planted = "1; touch planted";
    assert_eq!(arguments(planted)[3], planted, "one word, whatever it is");
    assert!(parsed(planted).is_err());
}

/// A workflow that a document told of would be a second one.
#[test]
fn the_workflow_is_where_the_documents_link_it() {
    let install = std::fs::read_to_string(repository().join("docs/install.md")).unwrap();
    assert!(install.contains("../.gitea/workflows/lazarus-reconcile.yaml") && install.contains("`LAZARUS_RUNNER`"));
}

#[test]
fn the_ci_workflow_runs_the_same_script_as_contributors() {
    let ci: Value = serde_yaml::from_str(include_str!("../../../../.gitea/workflows/ci.yaml")).unwrap();
    assert_eq!(ci["on"], json!(["push", "pull_request"]));
    assert_eq!(ci["permissions"], json!({ "contents": "read" }));
    let steps = ci["jobs"]["run"]["steps"].as_array().unwrap();
    let commands: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(commands, [".ci/run"]);
}
