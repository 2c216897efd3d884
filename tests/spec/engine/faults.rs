//! Law 5 against a forge that breaks at random: whatever fails, later passes finish, and nothing is there twice.

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::is_thorough;
use crate::support::repository::Repository;
use tokio::task::JoinSet;

/// How many seeds are tried, and how many where there is time.
const SEEDS: [u64; 2] = [8, 100];

/// Of every 1,000 requests so many go wrong.
const FAULTS_PER_MILLE: u32 = 250;

/// How many passes meet faults.
const PASSES: usize = 3;

const PLANTED: &str = "When will it be done?";

#[tokio::test]
async fn law_5_independent_a_forge_that_breaks_at_random_leads_to_the_same_end() {
    let seeds = SEEDS[usize::from(is_thorough())];
    let reference = end(None).await;
    let mut under_way = JoinSet::new();
    for seed in 0..seeds {
        let reference = reference.clone();
        under_way.spawn(async move { assert_eq!(end(Some(seed)).await, reference, "seed {seed}") });
        if under_way.len() >= 8 {
            under_way.join_next().await.unwrap().unwrap();
        }
    }
    under_way.join_all().await;
}

/// What is to be seen after some passes, the last of them on a forge that works again.
async fn end(seed: Option<u64>) -> Vec<String> {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository_named("missions").await, Host::new());
    let numbers = file_some(&repository).await;
    if let Some(seed) = seed {
        forge.engine().break_at_random(seed, FAULTS_PER_MILLE);
        for _ in 0..PASSES {
            let run = run(host.reconciler(&repository).args(["--once", "--json"])).await;
            assert!(matches!(run.code, 0 | 1), "seed {seed}: {run:?}");
        }
        forge.engine().heal();
    }
    host.once(&repository).await;
    for cell in host.cells() {
        host.beat(&cell, &[]).await;
    }
    host.once(&repository).await;
    let quiet = host.once(&repository).await;
    assert_eq!(changes(&quiet), 0, "seed {seed:?}: {quiet}");
    let mut reported = vec![format!("{} cells", host.cells().len())];
    let labels = forge.get(&format!("{}/labels?limit=50", repository.path())).await;
    reported.push(format!("{} labels", labels.as_array().unwrap().len()));
    for number in numbers {
        reported.push(format!("{number}: {}", repository.labels(number).await.join(" ")));
        for (poster, text) in repository.comments(number).await {
            // The second line says everything but the times.
            let posted = text.lines().nth(1).unwrap_or(&text).split("since").next().unwrap().to_owned();
            reported.push(format!("{number}: {poster}: {posted}"));
        }
    }
    reported
}

async fn file_some(repository: &Repository) -> Vec<i64> {
    for (name, exclusive) in [("bug", false), ("health/stale", true), ("health/healthy", true)] {
        repository.make_label(name, exclusive).await;
    }
    let false_labels = ["bug", "health/stale", "health/healthy"];
    let numbers = vec![
        repository.file("reader", "Mission: good", &[("wizard", "merlin")]).await,
        repository.file("reader", "Mission: bad", &[("wizard", "the grey one")]).await,
        repository.file("reader", "Mission: away", &[("host", "beta")]).await,
        repository.file_with("reader", "Mission: false", &[], Some(&false_labels)).await,
    ];
    repository.say("stranger", numbers[0], PLANTED).await;
    numbers
}
