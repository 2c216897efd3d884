//! A pass over many proposals, the first and a quiet one, relative to a team's own script.

use crate::support::forge::Forge;
use crate::support::host::{Host, writes};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::{Scale, format_seconds, median, peer, timed};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use tokio::task::JoinSet;

/// The cost of one run.
struct Measured {
    seconds: f64,
    requests: u64,
    writes: u64,
}

pub(crate) async fn measure(scale: Scale) {
    compare("the sandbox", Forge::sandbox().await, scale).await;
    if let Some(gitea) = Forge::real().await {
        compare("a real Gitea", gitea, scale).await;
    } else {
        println!("skipped: the pass on a real Gitea, since LAZARUS_TEST_GITEA names none");
    }
}

async fn compare(on: &str, forge: Forge, scale: Scale) {
    let (service, script) = (Side::new(&forge, scale).await, Side::new(&forge, scale).await);
    let (first, script_first) = (service.pass().await, script.script().await);
    let (mut quiet, mut script_quiet) = (Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        quiet.push(service.pass().await);
        script_quiet.push(script.script().await);
    }
    let ratios = quiet.iter().zip(&script_quiet).map(|(pass, script)| script.seconds / pass.seconds).collect();
    println!(
        "| {} proposals on {on} | requests | writes | time | the script takes |\n|---|---|---|---|---|",
        scale.proposals
    );
    row("first pass", &first, script_first.seconds / first.seconds);
    row("first run of the script", &script_first, 1.0);
    row("quiet pass", &middle(quiet), median(ratios));
    row("second run of the script", &middle(script_quiet), 1.0);
    println!();
}

fn row(what: &str, measured: &Measured, ratio: f64) {
    let Measured { seconds, requests, writes } = measured;
    let ratio = if what.contains("script") { String::new() } else { format!("{ratio:.1} × as long") };
    println!("| {what} | {requests} | {writes} | {} | {ratio} |", format_seconds(*seconds));
}

/// All runs send the same requests; the time is the median.
fn middle(runs: Vec<Measured>) -> Measured {
    let seconds = median(runs.iter().map(|run| run.seconds).collect());
    let Measured { requests, writes, .. } = runs.into_iter().next().unwrap();
    Measured { seconds, requests, writes }
}

/// A repository full of proposals, and the host that serves it.
struct Side {
    repository: Repository,
    host: Host,
}

impl Side {
    async fn new(forge: &Forge, scale: Scale) -> Self {
        let side = Self { repository: forge.repository().await, host: Host::on_disk() };
        // The labels exist before the proposals are filed, as they do after an installation.
        side.host.once(&side.repository).await;
        let label: i64 = side.repository.label_ids(&["kind/mission-proposal"]).await[0].parse().unwrap();
        let mut under_way = JoinSet::new();
        for at in 0..scale.proposals {
            let (forge, path) = (forge.clone(), format!("{}/issues", side.repository.path()));
            let issue = json!({ "title": format!("Mission: {at}"), "body": body(&[]), "labels": [label] });
            under_way.spawn(async move { forge.change(Method::POST, &path, issue).await });
            if under_way.len() >= 4 {
                under_way.join_next().await.unwrap().unwrap();
            }
        }
        under_way.join_all().await;
        side
    }

    async fn pass(&self) -> Measured {
        let mut command = self.host.reconciler(&self.repository);
        command.args(["--once", "--json"]);
        let (time, output) = timed(command).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["complete"], true);
        let writes = writes(&report);
        Measured { seconds: time.as_secs_f64(), requests: report["requests"]["get"].as_u64().unwrap() + writes, writes }
    }

    async fn script(&self) -> Measured {
        let mut command: Command = peer("naive_reconcile.py");
        command.args(["--url", &self.repository.forge.url, "--repo", &self.repository.name]);
        command.args(["--token", self.repository.forge.token("bot"), "--root"]).arg(self.host.root());
        let (time, output) = timed(command).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |methods: &[&str]| methods.iter().map(|method| report[method].as_u64().unwrap()).sum::<u64>();
        let writes = count(&["post", "put", "patch"]);
        Measured { seconds: time.as_secs_f64(), requests: count(&["get"]) + writes, writes }
    }
}
