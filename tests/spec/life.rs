//! The whole life of a mission: approved, given its worktree, edited, suspended, closed, brought back, taken over.

mod adoption;
mod approval;
mod closing;
mod comments;
mod forged;
mod gone;
mod hostile;
mod hosts;
mod hour;
mod preview;
mod rules;
pub(crate) mod scenes;
mod shown;
mod suspension;
mod walk;
mod worktree;

use crate::support::host::{Host, Run, changes, run};
use crate::support::repository::Repository;
use serde_json::Value;

/// One pass with these settings, whatever comes of it.
async fn try_pass(host: &Host, repository: &Repository, more: &str) -> Run {
    std::fs::write(host.path().join("more.json"), more).unwrap();
    run(host.reconciler(repository).args(["--once", "--json", "--config", "more.json"])).await
}

/// One pass with these settings; panics unless it exits with 0.
async fn pass(host: &Host, repository: &Repository, more: &str) -> Value {
    let run = try_pass(host, repository, more).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.json()
}

/// One more pass may look whether another root was quicker; after that nothing is left to do.
async fn settle(host: &Host, repository: &Repository) {
    host.once(repository).await;
    let quiet = host.once(repository).await;
    assert_eq!(changes(&quiet), 0, "{quiet}");
}
