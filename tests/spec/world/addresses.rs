//! Two addresses of one forge, such as a public one and a runner's: passes by turns write nothing, and another forge stays out.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run, writes};
use crate::support::repository::Repository;
use lazarus::mission::identity::ForgeUrl;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

/// A forge with two addresses, and missions of every kind on it.
struct Town {
    repository: Repository,
    host: Host,
    addresses: [String; 2],
}

impl Town {
    /// As a Gitea before 1.26 has one name only, one after it one for each address.
    async fn new(has_one_name: bool) -> Self {
        let forge = Forge::sandbox().await;
        let other = forge.engine().answer_elsewhere().await.unwrap();
        if has_one_name {
            forge.engine().keep_one_name();
        }
        let repository = forge.repository().await;
        let addresses = [forge.url.clone(), other];
        Self { repository, host: Host::new(), addresses }
    }

    async fn file_all(&self) -> Vec<i64> {
        let (file, own) = (&self.repository, self.repository.name.as_str());
        file.make_label("kind/mission-proposal", false).await;
        let mut numbers = vec![
            file.file("reader", "Mission: active", &[]).await,
            file.file("reader", "Mission: with a repository", &[("repository", own)]).await,
            file.file("reader", "Mission: waits", &[("host", "beta")]).await,
            file.file("reader", "Mission: invalid", &[("wizard", "the grey one")]).await,
            file.file("reader", "Mission: closed", &[]).await,
        ];
        let path = format!("{}/issues", file.path());
        let by_hand = json!({ "title": "Mission: by hand", "body": "Please raise the dead." });
        let made = file.forge.call("reader", Method::POST, &path, by_hand).await.1;
        numbers.push(made["number"].as_i64().unwrap());
        file.put_label(numbers[5], "kind/mission-proposal").await;
        numbers
    }

    async fn at(&self, address: &str, arguments: &[&str]) -> Run {
        let mut command = self.host.reconciler(&self.repository);
        run(command.env("LAZARUS_GITEA_URL", address).args(arguments)).await
    }

    async fn pass(&self, address: &str) -> Value {
        let run = self.at(address, &["--once", "--json"]).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }

    fn root(&self) -> Value {
        read(&self.host.root().join(".lazarus/root.json"))
    }

    fn urls(&self) -> Vec<(Value, Value)> {
        let issues = self.host.cells().into_iter().map(|cell| read(&cell.join("meta/mission.json"))["issue"].clone());
        issues.map(|issue| (issue["forge"].clone(), issue["url"].clone())).collect()
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn alternate_passes_by_two_addresses_write_nothing() {
    for (has_one_name, first) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let town = Town::new(has_one_name).await;
        let numbers = town.file_all().await;
        let [one, two] = [&town.addresses[first], &town.addresses[1 - first]];
        town.pass(one).await;
        town.repository.set_state(numbers[4], "closed").await;
        // What is filed meanwhile is first seen by the other address.
        let late = town.repository.file("reader", "Mission: late", &[]).await;
        town.pass(two).await;
        town.pass(one).await;
        let (before, at_first) = (town.host.snapshot(), town.urls());
        for address in [two, one, two, one] {
            let pass = town.pass(address).await;
            assert_eq!((changes(&pass), writes(&pass)), (0, 0), "{has_one_name} {first} {address}: {pass}");
        }
        assert_eq!(before.changed(&town.host.snapshot()), [""; 0].map(std::path::PathBuf::from));
        assert_eq!(town.urls(), at_first);
        let web_url = if has_one_name { &town.addresses[0] } else { one };
        let root = town.root();
        assert_eq!((&root["forge"], &root["web_url"]), (&json!(one), &json!(web_url)));
        let page = format!("{web_url}/{}/issues/{late}", town.repository.name);
        assert!(at_first.contains(&(json!(one), json!(page))), "{at_first:?}");
    }
}

#[tokio::test]
async fn the_id_of_a_mission_does_not_depend_on_the_address_that_saw_it_first() {
    let town = Town::new(false).await;
    let first = town.repository.file("reader", "Mission: waits", &[("host", "beta")]).await;
    town.pass(&town.addresses[0]).await;
    let shown = town.repository.comment(first).await;
    town.pass(&town.addresses[1]).await;
    assert_eq!(town.repository.comment(first).await, shown);
    let status = town.at(&town.addresses[1], &["status", &first.to_string(), "--json"]).await.json();
    let again = town.at(&town.addresses[0], &["status", &first.to_string(), "--json"]).await.json();
    assert_eq!(status["mission_id"], again["mission_id"]);
}

#[tokio::test]
async fn init_adopts_the_new_address_permanently() {
    let town = Town::new(false).await;
    let number = town.repository.file("reader", "Mission: active", &[]).await;
    let [old, new] = &town.addresses;
    town.pass(old).await;
    let cells = town.host.cells();
    let warned = town.at(new, &["doctor"]).await;
    assert!(warned.stdout.contains("[root-foreign]") && warned.stdout.contains("lazarus-reconcile init"), "{warned:?}");
    let again = town.at(old, &["init"]).await;
    assert!(again.code == 0 && !again.stdout.contains("now for `"), "{again:?}");
    let reported = town.at(new, &["init"]).await;
    assert!(reported.code == 0 && reported.stdout.contains(&format!(", now for `{new}`\n")), "{reported:?}");
    let pass = town.pass(new).await;
    assert_eq!((writes(&pass), town.host.cells()), (0, cells), "the mission and its cell stay");
    assert_eq!((town.root()["forge"].clone(), town.root()["web_url"].clone()), (json!(new), json!(new)));
    let page = format!("{new}/{}/issues/{number}", town.repository.name);
    assert_eq!(town.urls(), [(json!(new), json!(page))]);
    assert_eq!(changes(&town.pass(old).await), 0, "and from then on the former one changes nothing");
}

#[tokio::test]
async fn a_worktree_is_cloned_from_the_configured_address() {
    let town = Town::new(false).await;
    let own = town.repository.name.as_str();
    town.repository.file("reader", "Mission: one", &[("repository", own)]).await;
    town.pass(&town.addresses[0]).await;
    town.repository.file("reader", "Mission: two", &[("repository", own)]).await;
    town.pass(&town.addresses[1]).await;
    let origin = |cell: &Path| std::fs::read_to_string(cell.join("worktree/.git/config")).unwrap();
    let origins: Vec<String> = town.host.cells().iter().map(|cell| origin(cell)).collect();
    for address in &town.addresses {
        assert!(origins.iter().any(|config| config.contains(&format!("url = {address}/{own}.git"))), "{origins:?}");
    }
}

#[tokio::test]
async fn a_job_that_sees_one_repository_of_several_may_use_its_own_address() {
    let town = Town::new(false).await;
    let other = town.repository.forge.repository().await;
    town.file_all().await;
    let both = format!("{},{}", town.repository.name, other.name);
    let mut command = town.host.reconciler(&town.repository);
    assert_eq!(run(command.env("LAZARUS_REPOSITORIES", both).args(["--once", "--json"])).await.code, 0);
    let token = town.repository.forge.engine().job_token(town.repository.id);
    let mut in_job = town.host.reconciler(&town.repository);
    in_job.env("LAZARUS_GITEA_URL", &town.addresses[1]).env("LAZARUS_GITEA_TOKEN", token);
    // The bot's comments are the job's too.
    let config = town.host.path().join("job.json");
    let bot = town.repository.forge.call("bot", Method::GET, "/user", Value::Null).await.1["id"].clone();
    std::fs::write(&config, json!({ "forge": { "trusted_posters": [bot] } }).to_string()).unwrap();
    let pass = run(in_job.args(["--once", "--json", "--config"]).arg(config)).await;
    assert_eq!((pass.code, changes(&pass.json())), (0, 0), "{pass:?}");
}

#[tokio::test]
async fn another_forge_is_refused() {
    let town = Town::new(false).await;
    town.repository.file("reader", "Mission: active", &[]).await;
    town.pass(&town.addresses[0]).await;
    let (empty, before) = (Forge::sandbox().await, town.host.snapshot());
    std::fs::write(town.host.path().join("token"), empty.token("bot")).unwrap();
    let refused = town.at(&empty.url, &["--once"]).await;
    assert!(refused.code == 2 && refused.stderr.contains("does not have the same repositories"), "{refused:?}");
    assert_eq!(before.changed(&town.host.snapshot()).len(), 0);
}

#[tokio::test]
async fn a_daemon_recognizes_its_missions_by_the_recorded_address() {
    let town = Town::new(false).await;
    town.file_all().await;
    town.pass(&town.addresses[0]).await;
    let before = town.host.snapshot();
    let mut settings = settings(&town.host, Some(&town.repository), "{}");
    settings.forge_url = Some(ForgeUrl::parse(&town.addresses[1]).unwrap());
    let mut daemon = Running::new(settings).await;
    daemon.tick(0).await;
    let shown = daemon.tick(30).await;
    assert!(shown.passes.complete >= 2 && shown.missions.len() >= 5, "{shown:?}");
    let changed = before.changed(&town.host.snapshot());
    assert_eq!(changed, [town.host.root().join(".lazarus/starts.json")], "but for when it was started");
}
