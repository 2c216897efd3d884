//! A team's own exclusive labels in our scopes: Gitea drops them for ours, so whoever installs, asks or plans is told by name.

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::missions::{labelled, proposal, settled};
use crate::support::repository::Repository;
use crate::support::stories;
use lazarus::mission::observation::{AttachedLabel, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use serde_json::Value;
use std::sync::Arc;

stories![each_label_is_named_before_it_is_dropped, labels_without_a_conflict_are_kept];

/// What a team may have of its own; Gitea drops those whose scope is one of ours.
const DROPPED: [&str; 4] = ["approval/legal", "health/at-risk", "mission/apollo", "wizard/human"];

/// Those that are of other scopes, or in the way of nobody.
const KEPT: [&str; 4] = ["host/east", "kind/epic", "mission/apollo/eleven", "priority/high"];

fn theirs(observation: &mut Observation, names: &[&str]) {
    let exclusive =
        labelled(names).into_iter().map(|label| AttachedLabel { id: label.id + 500, is_exclusive: true, ..label });
    observation.issue.labels.extend(exclusive);
}

fn with_a_jobs_token(mut observation: Observation) -> Observation {
    let mut here = (*observation.here).clone();
    here.me = -2;
    observation.here = Arc::new(here);
    observation
}

fn labels_line(observation: &Observation) -> String {
    let changes = preview(observation);
    changes.iter().find(|change| change.is_about_labels()).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_plan_names_the_labels_that_gitea_drops() {
    let mut observation = proposal(&[]);
    theirs(&mut observation, &["mission/apollo", "wizard/human", "priority/high", "health/at-`risk`"]);
    let dropped = "Gitea drops `mission/apollo`, `` health/at-`risk` ``, exclusive in the same scope";
    let ours = "`kind/mission-proposal`, `mission/active`, `health/uninitialized`";
    assert_eq!(labels_line(&observation), format!("add {ours}; {dropped}"), "no wizard has spoken yet");
    assert_eq!(labels_line(&with_a_jobs_token(observation)), format!("add {ours}; {dropped}"));
    let mut shared = proposal(&[]);
    shared.issue.labels = labelled(&["mission/apollo"]);
    assert_eq!(labels_line(&shared), format!("add {ours}"), "one that is not exclusive stays");
}

#[test]
fn a_replaced_label_list_omits_conflicting_labels() {
    let mut observation = with_a_jobs_token(settled(proposal(&[])));
    observation.issue.labels.extend(labelled(&["approval/granted"]).into_iter().map(|l| AttachedLabel { id: 77, ..l }));
    theirs(&mut observation, &["mission/zeus", "health/at-risk", "priority/high"]);
    let changes = preview(&observation);
    let [Change::ReplaceLabels { add, remove, displaced, .. }, ..] = &changes[..] else { panic!("{changes:?}") };
    let names = |labels: &[AttachedLabel]| labels.iter().map(|label| label.name.clone()).collect::<Vec<_>>();
    assert_eq!((add.len(), names(remove)), (0, vec!["approval/granted".to_owned()]));
    assert_eq!(names(displaced), ["mission/zeus", "health/at-risk"]);
    assert!(preview(&settled(observation)).is_empty(), "and then it is quiet");
}

/// A repository with such labels, and a proposal that carries them all.
async fn filed(forge: &Forge) -> (Repository, Host, i64) {
    let repository = forge.repository().await;
    for name in DROPPED.iter().chain(&KEPT) {
        repository.make_label(name, true).await;
    }
    let all: Vec<&str> = DROPPED.into_iter().chain(KEPT).collect();
    let number = repository.file_with("reader", "Mission: ours and yours", &[], Some(&all)).await;
    (repository, Host::new(), number)
}

fn named(text: &str) -> Vec<&'static str> {
    DROPPED.into_iter().chain(KEPT).filter(|name| text.contains(&format!("`{name}`"))).collect()
}

async fn each_label_is_named_before_it_is_dropped(forge: Forge) {
    let (repository, host, number) = filed(&forge).await;
    let mut install = host.reconciler(&repository);
    install.env("LAZARUS_GITEA_TOKEN", forge.token("owner")).args([
        "install",
        "--dry-run",
        "--only",
        "labels",
        "--json",
    ]);
    let notes = run(&mut install).await.json()["repositories"][0]["notes"].to_string();
    assert_eq!(named(&notes), DROPPED, "{notes}");
    let planned = run(host.reconciler(&repository).args(["--dry-run", "--json"])).await.json();
    let texts = planned["missions"][0]["changes"].to_string();
    assert_eq!(named(&texts), ["health/at-risk", "mission/apollo"], "{texts}");
    host.once(&repository).await;
    let doctor = run(host.reconciler(&repository).args(["doctor", "--json"])).await.json();
    let is_it = |check: &&Value| check["code"] == "label-scope-shared";
    let found = doctor["checks"].as_array().unwrap().iter().find(is_it).unwrap();
    assert_eq!(
        (named(found["found"].as_str().unwrap()), found["outcome"].as_str()),
        (DROPPED.to_vec(), Some("warning"))
    );
    let ours = ["health/uninitialized", "kind/mission-proposal", "mission/active"];
    let mut left: Vec<&str> = ["approval/legal", "wizard/human"].into_iter().chain(KEPT).chain(ours).collect();
    left.sort_unstable();
    assert_eq!(repository.labels(number).await, left);
    host.beat(&host.cell(), &["--state", "waiting"]).await;
    host.once(&repository).await;
    assert!(!repository.labels(number).await.contains(&"wizard/human".to_owned()));
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn labels_without_a_conflict_are_kept(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    for (name, exclusive) in [("mission/apollo", false), ("host/east", true), ("kind/epic", true)] {
        repository.make_label(name, exclusive).await;
    }
    let labels = ["mission/apollo", "host/east", "kind/epic"];
    let number = repository.file_with("reader", "Mission: side by side", &[], Some(&labels)).await;
    host.once(&repository).await;
    let there = repository.labels(number).await;
    assert!(labels.iter().all(|label| there.contains(&(*label).to_owned())), "{there:?}");
    let mut install = host.reconciler(&repository);
    install.env("LAZARUS_GITEA_TOKEN", forge.token("owner")).args([
        "install",
        "--dry-run",
        "--only",
        "labels",
        "--json",
    ]);
    assert_eq!(run(&mut install).await.json()["repositories"][0]["notes"].to_string(), "[]");
}

#[tokio::test]
async fn install_reports_host_labels_of_a_team_and_none_of_other_hosts() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.make_label("host/east", true).await;
    let config = host.path().join("settings.json");
    std::fs::write(&config, r#"{ "host": { "label": true } }"#).unwrap();
    let as_host = |name: &str| {
        let mut command = host.reconciler(&repository);
        command.env("LAZARUS_HOST", name).env("LAZARUS_GITEA_TOKEN", forge.token("owner"));
        command.args(["install", "--only", "labels", "--json", "--config"]).arg(&config);
        command
    };
    run(&mut as_host("beta")).await;
    let notes = run(&mut as_host("alpha")).await.json()["repositories"][0]["notes"].to_string();
    assert!(notes.contains("`host/east`") && !notes.contains("beta"), "{notes}");
}

#[tokio::test]
async fn a_job_token_replaces_conflicting_labels_of_a_team() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    repository.make_label("mission/zeus", true).await;
    let labels = ["mission/zeus", "approval/granted", "kind/mission-proposal"];
    let number = repository.file_with("reader", "Mission: in a job", &[], Some(&labels)).await;
    let in_job = || async {
        let mut command = host.reconciler(&repository);
        command.env("LAZARUS_GITEA_TOKEN", forge.engine().job_token(repository.id)).args(["--once", "--json"]);
        run(&mut command).await
    };
    let once = in_job().await;
    assert_eq!(once.code, 0, "{once:?}");
    let labels = ["health/uninitialized", "kind/mission-proposal", "mission/active"];
    assert_eq!(repository.labels(number).await, labels);
    assert_eq!(changes(&in_job().await.json()), 0);
}
