//! A cell that exists is taken over by one issue, once somebody else has approved it.

use crate::life::settle;
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use crate::support::missions::body;
use crate::support::stories;
use lazarus::mission::status::phase::Phase;
use serde_json::Value;

stories![
    an_initialized_cell_is_adopted_after_approval,
    of_two_issues_for_one_cell_the_first_keeps_it,
    a_nonexistent_cell_is_a_problem_of_its_field,
];

const CELL: &str = "123e4567-e89b-12d3-a456-426614174000";
const ACTIVE: [&str; 4] = ["approval/granted", "health/uninitialized", "kind/mission-proposal", "mission/active"];

async fn scaffold(host: &Host) {
    let made = run(host.command("lazarus-pit").args(["--init-cell", CELL])).await;
    assert_eq!(made.code, 0, "{made:?}");
    std::fs::write(host.root().join(CELL).join("artifacts/before"), "the issue").unwrap();
}

async fn an_initialized_cell_is_adopted_after_approval(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    scaffold(&host).await;
    let number = repository.file("reader", "Mission: take over", &[("cell", CELL)]).await;
    host.once(&repository).await;
    let labels = ["approval/needed", "kind/mission-proposal", "mission/pending"];
    assert_eq!(repository.labels(number).await, labels, "also where no approval is asked for otherwise");
    assert!(repository.comment(number).await.contains("No cell was adopted"));
    repository.put_label(number, "approval/granted").await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ACTIVE);
    let cell = host.cell();
    assert_eq!(cell.file_name().unwrap(), CELL);
    assert_eq!(std::fs::read_to_string(cell.join("artifacts/before")).unwrap(), "the issue");
    let file: Value = serde_json::from_slice(&std::fs::read(cell.join("meta/mission.json")).unwrap()).unwrap();
    assert_eq!((&file["issue"]["number"], &file["name"]), (&number.into(), &"take over".into()));
    settle(&host, &repository).await;
    // The field changed later changes nothing, and is told.
    for answers in [vec![], vec![("Existing cell", "00000000-0000-4000-8000-000000000001")]] {
        repository.edit("reader", number, |_| body(&answers)).await;
        host.once(&repository).await;
        assert_eq!((host.cell(), repository.labels(number).await), (cell.clone(), ACTIVE.map(str::to_owned).to_vec()));
        assert!(repository.comment(number).await.contains("Edit not applied: a mission keeps its cell"));
    }
}

async fn of_two_issues_for_one_cell_the_first_keeps_it(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    scaffold(&host).await;
    let first = repository.file("reader", "Mission: first", &[("cell", CELL)]).await;
    let second = repository.file("stranger", "Mission: second", &[("cell", CELL)]).await;
    host.once(&repository).await;
    for number in [second, first] {
        repository.put_label(number, "approval/granted").await;
    }
    host.once(&repository).await;
    assert_eq!(repository.labels(first).await, ACTIVE);
    assert_eq!(repository.labels(second).await, ["kind/mission-proposal", "mission/invalid"]);
    let reported = format!("`{CELL}` belongs to `{}#{first}` already", repository.name);
    assert!(repository.comment(second).await.contains(&reported), "{}", repository.comment(second).await);
    settle(&host, &repository).await;
    assert_eq!(host.cells().len(), 1);
}

async fn a_nonexistent_cell_is_a_problem_of_its_field(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[("cell", CELL)]).await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/invalid"]);
    let reported = format!("- **Existing cell**: `{CELL}` is no cell on `alpha`.");
    assert!(repository.comment(number).await.contains(&reported));
    scaffold(&host).await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["approval/needed", "kind/mission-proposal", "mission/pending"]);
}

/// Both are looked at side by side.
#[tokio::test]
async fn of_two_issues_for_one_cell_a_daemon_gives_it_to_one() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    scaffold(&host).await;
    let numbers = [
        repository.file("reader", "Mission: first", &[("cell", CELL)]).await,
        repository.file("stranger", "Mission: second", &[("cell", CELL)]).await,
    ];
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    for number in numbers {
        repository.put_label(number, "approval/granted").await;
    }
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    let mut phases = Vec::new();
    for number in numbers {
        phases.extend(repository.labels(number).await.into_iter().filter(|label| label.starts_with("mission/")));
    }
    phases.sort_unstable();
    assert_eq!((phases, host.cells().len()), (vec!["mission/active".to_owned(), "mission/invalid".to_owned()], 1));
    // The page shows the cell as the one's, and the other one beside it.
    let shown = daemon.tick(30).await;
    let with = |phase| shown.missions.iter().find(|view| view.phase == Some(phase)).unwrap();
    let (active, invalid) = (with(Phase::Active), with(Phase::Invalid));
    assert_eq!((active.mission_id.to_string().as_str(), active.has_cell), (CELL, true));
    assert!(invalid.mission_id != active.mission_id && !invalid.has_cell, "{invalid:?}");
}
