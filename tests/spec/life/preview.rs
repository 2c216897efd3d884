//! What a dry run prints of every turn of a life is what the next pass does.

use crate::life::pass;
use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use crate::support::repository::Repository;
use crate::support::stories;
use serde_json::{Value, json};

stories![a_dry_run_previews_every_step_of_a_lifecycle];

const LABEL_MODE: &str = r#"{ "approval": { "mode": "label" } }"#;

/// Each mission with what was done to it, or would be.
fn reported(report: &Value) -> Value {
    let reported = |mission: &Value| json!([mission["issue"], mission["phase"], mission["health"], mission["changes"]]);
    let missions: Value = report["missions"].as_array().unwrap().iter().map(reported).collect();
    json!([report["changes"], missions])
}

/// One mission for each turn: closed, reopened, approved, deleted, suspended, edited.
async fn prepare(repository: &Repository, host: &Host) {
    let mut numbers = Vec::new();
    for title in ["closed", "reopened", "approved, with a worktree", "deleted", "suspended", "edited"] {
        let answers = [("repository", repository.name.as_str())];
        let answers = if title.ends_with("worktree") { answers.as_slice() } else { &[] };
        numbers.push(repository.file("reader", &format!("Mission: {title}"), answers).await);
    }
    let [closed, reopened, approved, deleted, suspended, edited] = numbers.try_into().unwrap();
    pass(host, repository, LABEL_MODE).await;
    for number in [closed, reopened, deleted, suspended, edited] {
        repository.put_label(number, "approval/granted").await;
    }
    for _ in 0..2 {
        pass(host, repository, LABEL_MODE).await;
    }
    repository.set_state(reopened, "closed").await;
    pass(host, repository, LABEL_MODE).await;
    repository.set_state(reopened, "open").await;
    repository.set_state(closed, "closed").await;
    repository.put_label(approved, "approval/granted").await;
    repository.delete(deleted).await;
    repository.put_label(suspended, "mission/suspended").await;
    let other = crate::support::missions::body(&[("Wizard", "circe")]);
    repository.edit("reader", edited, |_| other.clone()).await;
}

async fn a_dry_run_previews_every_step_of_a_lifecycle(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    prepare(&repository, &host).await;
    for round in 0..3 {
        let before = host.snapshot();
        let arguments = ["--dry-run", "--json", "--config", "more.json"];
        let preview = run(host.reconciler(&repository).args(arguments)).await;
        assert_eq!((preview.code, before.changed(&host.snapshot())), (0, vec![]), "{preview:?}");
        let done = pass(&host, &repository, LABEL_MODE).await;
        assert_eq!(reported(&preview.json()), reported(&done), "round {round}");
    }
}
