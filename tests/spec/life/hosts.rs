//! Several hosts serve one repository: never two cells for one mission, and nobody undoes what another one said.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run};
use crate::support::repository::Repository;
use crate::support::{is_thorough, stories};
use serde_json::json;
use std::process::Command;

stories![
    each_host_serves_and_publishes_only_its_own_missions,
    an_absent_host_is_named_until_its_first_pass,
    the_host_label_names_the_host_of_the_cell,
];

/// A host with a root of its own and this way of taking proposals.
struct Site {
    host: Host,
    name: &'static str,
}

impl Site {
    fn new(name: &'static str, take: &str, label: bool) -> Self {
        let host = Host::new();
        let config = json!({ "host": { "name": name, "take": take, "label": label } }).to_string();
        std::fs::write(host.path().join("host.json"), config).unwrap();
        Self { host, name }
    }

    fn command(&self, repository: &Repository) -> Command {
        let mut command = self.host.reconciler(repository);
        command.env_remove("LAZARUS_HOST").args(["--once", "--json", "--config", "host.json"]);
        command
    }

    async fn pass(&self, repository: &Repository) -> serde_json::Value {
        let run: Run = run(&mut self.command(repository)).await;
        assert_eq!(run.code, 0, "{}: {run:?}", self.name);
        run.json()
    }
}

async fn each_host_serves_and_publishes_only_its_own_missions(forge: Forge) {
    let repository = forge.repository().await;
    let (alpha, beta) = (Site::new("alpha", "any", false), Site::new("beta", "named", false));
    for site in [&alpha, &beta] {
        site.pass(&repository).await;
    }
    let anywhere = repository.file("reader", "Mission: anywhere", &[]).await;
    let on_beta = repository.file("reader", "Mission: on beta", &[("host", "beta")]).await;
    let wrong = repository.file("reader", "Mission: wrong", &[("repository", "a b"), ("host", "beta")]).await;
    // Beta comes first, and says nothing on what is not its own.
    beta.pass(&repository).await;
    assert_eq!((beta.host.cells().len(), repository.comments(anywhere).await.len()), (1, 0));
    assert_eq!(repository.comments(wrong).await.len(), 0);
    alpha.pass(&repository).await;
    assert_eq!(alpha.host.cells().len(), 1);
    assert!(repository.comment(anywhere).await.contains("on `alpha`"));
    assert!(repository.comment(on_beta).await.contains("on `beta`"));
    assert!(repository.comment(wrong).await.contains("**Not started: 1 answer needs correcting.**"));
    for site in [&beta, &alpha, &beta, &alpha] {
        assert_eq!(changes(&site.pass(&repository).await), 0, "{}", site.name);
    }
}

async fn an_absent_host_is_named_until_its_first_pass(forge: Forge) {
    let repository = forge.repository().await;
    let (alpha, beta) = (Site::new("alpha", "any", false), Site::new("beta", "named", false));
    beta.pass(&repository).await;
    let number = repository.file("reader", "Mission: on beta", &[("host", "beta")]).await;
    alpha.pass(&repository).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/pending"]);
    assert!(repository.comment(number).await.contains("the proposal names `beta`, and this is `alpha`"));
    assert_eq!(changes(&alpha.pass(&repository).await), 0);
    beta.pass(&repository).await;
    let active = ["health/uninitialized", "kind/mission-proposal", "mission/active"];
    assert_eq!(repository.labels(number).await, active);
    for site in [&alpha, &beta, &alpha] {
        site.pass(&repository).await;
    }
    assert_eq!((repository.labels(number).await, alpha.host.cells().len()), (active.map(str::to_owned).to_vec(), 0));
    for site in [&beta, &alpha] {
        assert_eq!(changes(&site.pass(&repository).await), 0, "{}", site.name);
    }
}

async fn the_host_label_names_the_host_of_the_cell(forge: Forge) {
    let repository = forge.repository().await;
    let (alpha, beta) = (Site::new("alpha", "any", true), Site::new("beta", "named", true));
    let number = repository.file("reader", "Mission: x", &[]).await;
    let other = repository.file("reader", "Mission: y", &[("host", "beta")]).await;
    for site in [&beta, &alpha] {
        site.pass(&repository).await;
    }
    assert!(repository.labels(number).await.contains(&"host/alpha".to_owned()));
    assert!(repository.labels(other).await.contains(&"host/beta".to_owned()));
    for site in [&beta, &alpha, &beta, &alpha] {
        assert_eq!(changes(&site.pass(&repository).await), 0, "{}", site.name);
    }
}

/// A pass that dies between its words and its memory of them does not take them for another host's.
#[tokio::test]
async fn a_stopped_host_recognizes_its_own_comment_afterwards() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    let alpha = Site::new("alpha", "any", false);
    alpha.pass(&repository).await;
    let number = repository.file("reader", "Mission: x", &[("host", "beta")]).await;
    // The comment is posted, and whoever posted it is gone before the answer.
    forge.engine().break_next(
        1,
        "POST",
        "/comments",
        lazarus::sandbox::Fault::Delay(std::time::Duration::from_secs(3_600)),
    );
    let mut child = alpha.command(&repository).stdout(std::process::Stdio::null()).spawn().unwrap();
    let before = |line: &String| line.contains("POST") && line.contains("/comments");
    crate::support::soon("it speaks", async || forge.asked(0).iter().any(before)).await;
    child.kill().unwrap();
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    forge.engine().heal();
    let record =
        std::fs::read_dir(alpha.host.root().join(".lazarus/missions")).unwrap().next().unwrap().unwrap().path();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    let digest = record["comment_intent"].as_str().unwrap();
    let words = format!("<!-- lazarus:status v1 mission=none root=none host=none digest={digest} -->\nWaits.");
    repository.say("bot", number, &words).await;
    repository.put_label(number, "mission/active").await;
    alpha.pass(&repository).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/pending"]);
    alpha.pass(&repository).await;
    assert_eq!(changes(&alpha.pass(&repository).await), 0);
}

/// What a named host waits for itself, nobody else says otherwise.
#[tokio::test]
async fn a_named_host_that_waits_for_an_approval_is_left_alone() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    let (alpha, beta) = (Site::new("alpha", "any", false), Site::new("beta", "named", false));
    let config = json!({ "host": { "name": "beta", "take": "named" }, "approval": { "mode": "label" } }).to_string();
    std::fs::write(beta.host.path().join("host.json"), config).unwrap();
    beta.pass(&repository).await;
    let number = repository.file("reader", "Mission: x", &[("host", "beta")]).await;
    for site in [&alpha, &beta, &alpha, &beta, &alpha] {
        site.pass(&repository).await;
    }
    assert_eq!(repository.labels(number).await, ["approval/needed", "kind/mission-proposal", "mission/pending"]);
    assert!(repository.comment(number).await.contains("**Waiting for approval.**"));
    for site in [&beta, &alpha, &beta, &alpha] {
        assert_eq!(changes(&site.pass(&repository).await), 0, "{}", site.name);
    }
    repository.put_label(number, "approval/granted").await;
    forge.next_second().await;
    for site in [&alpha, &beta, &alpha] {
        site.pass(&repository).await;
    }
    let granted = beta.host.cells().len();
    assert!(granted <= 1 && alpha.host.cells().is_empty());
}

/// Started together and killed at random, in every combination.
#[tokio::test]
async fn two_hosts_started_and_killed_at_random_create_one_cell_a_mission() {
    let takes = [("any", "named"), ("named", "any"), ("any", "any"), ("named", "named")];
    let rounds = if is_thorough() { 10 } else { 1 };
    for (seed, (first, second)) in (0..).zip(takes.repeat(rounds)) {
        let mut random = fastrand::Rng::with_seed(seed);
        let forge = Forge::sandbox().await;
        let repository = forge.repository().await;
        let sites = [Site::new("alpha", first, false), Site::new("beta", second, false)];
        let hosts = [None, Some("alpha"), Some("beta"), Some("gamma")];
        for site in &sites {
            site.pass(&repository).await;
        }
        let mut numbers = Vec::new();
        for host in hosts {
            let answers: Vec<(&str, &str)> = host.map(|host| ("host", host)).into_iter().collect();
            numbers.push(repository.file("reader", "Mission: x", &answers).await);
        }
        for _ in 0..3 {
            let mut children: Vec<_> = sites
                .iter()
                .map(|site| site.command(&repository).stdout(std::process::Stdio::null()).spawn().unwrap())
                .collect();
            let requests = forge.engine().log().len() + random.usize(1..25);
            let is_there = async || {
                forge.engine().log().len() >= requests
                    || children.iter_mut().all(|child| child.try_wait().unwrap().is_some())
            };
            crate::support::soon("so many requests", is_there).await;
            let killed = random.usize(..children.len());
            let _ = children[killed].kill();
            for mut child in children {
                tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            }
        }
        for _ in 0..3 {
            for site in &sites {
                site.pass(&repository).await;
            }
        }
        let (on_alpha, on_beta) = (sites[0].host.cells(), sites[1].host.cells());
        let names = |cells: &[std::path::PathBuf]| -> Vec<_> {
            cells.iter().map(|cell| cell.file_name().unwrap().to_owned()).collect()
        };
        let (alpha, beta) = (names(&on_alpha), names(&on_beta));
        assert!(alpha.iter().all(|name| !beta.contains(name)), "seed {seed}: {alpha:?} {beta:?}");
        for site in &sites {
            assert_eq!(changes(&site.pass(&repository).await), 0, "seed {seed}, {}", site.name);
        }
    }
}
