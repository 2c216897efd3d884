//! Several missions roots on one forge: which one an issue's mission is on, and how another takes it over.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run};
use crate::support::repository::Repository;
use serde_json::{Value, json};

fn root_id(host: &Host) -> String {
    let file = std::fs::read(host.root().join(".lazarus/root.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    file["root_id"].as_str().unwrap().to_owned()
}

async fn init(host: &Host, arguments: &[&str]) -> Run {
    run(host.command("lazarus-reconcile").arg("init").args(arguments)).await
}

/// A mission of host `alpha` whose root is lost, and the id of that root.
async fn lost(forge: &Forge) -> (Repository, i64, String) {
    let (repository, lost) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: go on", &[]).await;
    lost.once(&repository).await;
    (repository, number, root_id(&lost))
}

#[tokio::test]
async fn an_empty_root_is_refused_while_another_root_has_the_missions() {
    let forge = Forge::sandbox().await;
    let (repository, number, old) = lost(&forge).await;
    let host = Host::new();
    assert_eq!(init(&host, &[]).await.code, 0);
    let before = host.snapshot();
    let comment = repository.comment(number).await;
    let refused = run(host.reconciler(&repository).env("LAZARUS_HOST", "ALPHA").arg("--once")).await;
    assert!(refused.code == 2 && refused.stderr.contains(&format!("--replace {old}")), "{refused:?}");
    assert_eq!((before.changed(&host.snapshot()).len(), repository.comment(number).await), (0, comment));
    assert_eq!(init(&host, &["--replace", &old]).await.code, 0);
    host.once(&repository).await;
    assert_eq!(host.cells().len(), 1);
}

#[tokio::test]
async fn a_root_in_use_adopts_the_missions_of_a_lost_root() {
    let forge = Forge::sandbox().await;
    let (repository, number, old) = lost(&forge).await;
    let (other, host) = (forge.repository().await, Host::new());
    other.file("reader", "Mission: mine", &[]).await;
    host.once(&other).await;
    let mut both = host.reconciler(&repository);
    both.env("LAZARUS_REPOSITORIES", format!("{},{}", repository.name, other.name)).args(["--once", "--json"]);
    for _ in 0..2 {
        let elsewhere = run(&mut both).await;
        assert!(elsewhere.code == 0 && elsewhere.stderr.contains(&format!("--replace {old}")), "{elsewhere:?}");
        assert_eq!((host.cells().len(), &elsewhere.json()["summary"]["phase"]["other-host"]), (1, &json!(1)));
    }
    assert_eq!(init(&host, &["--replace", &old]).await.code, 0);
    let taken = run(&mut both).await;
    assert_eq!((taken.code, taken.stderr.contains("--replace"), host.cells().len()), (0, false, 2), "{taken:?}");
    assert!(repository.comment(number).await.contains(&format!("root={}", root_id(&host))));
    assert_eq!(changes(&run(&mut both).await.json()), 0);
}

#[tokio::test]
async fn a_root_cannot_replace_itself() {
    let host = Host::new();
    assert_eq!(init(&host, &[]).await.code, 0);
    let before = host.snapshot();
    let itself = init(&host, &["--replace", &root_id(&host)]).await;
    assert!(itself.code == 2 && itself.stderr.contains("is this root itself"), "{itself:?}");
    assert_eq!(before.changed(&host.snapshot()).len(), 0);
}
