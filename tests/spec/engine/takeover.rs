//! Roots and comments of earlier versions are taken over as they are: no pass writes because a text was reworded since.
//!
//! Each fixture is a root and its repository in Gitea, as the binaries of that commit left them after a pass without
//! writes: the issues, labels and comments by the API, and every file of the root. Here a pass runs over them at the
//! time of that pass and from the same path, since both are part of what a status says. Nothing in them is rewritten.

use crate::support::host::{Host, appoint_guard, changes};
use crate::support::recorded_forge::RecordedForge;
use chrono::{DateTime, SubsecRound};
use lazarus::config::{Environment, Flags, Settings};
use lazarus::engine::pass;
use lazarus::engine::survey::Scope;
use lazarus::mission::time::Timestamp;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::sync::{Mutex, MutexGuard};

/// The number of the directory that holds the root. A root's path is part of each status, and a path by a number of this
/// process is the same on every machine.
const DIRECTORY: i32 = 971;

/// Reasons of health: as the fixtures name them, and as they are named today.
const REASONS: [(&str, &str); 6] = [
    ("never-beaten", "no-heartbeat"),
    ("not-scaffolded", "not-initialized"),
    ("beating", "heartbeat-ok"),
    ("finished", "completed"),
    ("silent", "heartbeat-timeout"),
    ("stamp-in-future", "clock-skew"),
];

/// The kinds of changes that write to a record or the root's own file, and to nothing that people see.
const RECORD_ONLY: [&str; 2] = ["record-comment", "write-record"];

/// The situations with other facts in their comments than at the commit `3faff64`, and which these are.
const SINCE_3FAFF64: [(&str, &str); 13] = [
    ("a list", NAMED),
    ("cut off", NAMED),
    ("more follows", NAMED),
    ("no time", NAMED),
    ("no zone", NAMED),
    ("wrong types", "the fields of a heartbeat that are ignored are listed"),
    ("not UTF-8", "such a heartbeat counts, with a note; the health was incomplete"),
    ("waiting", "the message of the agent is shown, and since when it waits"),
    ("failed", "the message of the agent is shown, and since when; the health was healthy"),
    ("for approval", APPROVERS),
    ("edit for approval", APPROVERS),
    ("by hand", "the form is shown where an issue was filed without it"),
    ("in the way", "an issue whose cell has something in its place had no status"),
];

const NAMED: &str = "what is wrong with the heartbeat file is named; it was only unreadable";

const APPROVERS: &str = "what is to be approved is shown in full, with the number of characters outside the answers";

/// Held while a root is under that number.
static NUMBER: Mutex<()> = Mutex::const_new(());

thread_local! {
    static NOW: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

fn clock() -> Timestamp {
    NOW.get().expect("the time of the fixture is set")
}

/// A root and a forge as an earlier version left them.
struct Left {
    world: Value,
    host: Host,
    forge: RecordedForge,
    settings: Settings,
    _directory: OwnedFd,
    _number: MutexGuard<'static, ()>,
}

impl Left {
    async fn by(recording: &str) -> Self {
        appoint_guard();
        let number = NUMBER.lock().await;
        let world: Value = serde_json::from_str(recording).unwrap();
        let (host, forge) = (Host::new(), RecordedForge::of(world.clone()));
        rebuild(world["root"].as_object().unwrap(), &host.root());
        let directory = rustix::io::fcntl_dupfd_cloexec(File::open(host.path()).unwrap(), DIRECTORY).unwrap();
        assert_eq!(directory.as_raw_fd(), DIRECTORY, "another test has taken the number");
        let (config, token) = (host.path().join("config.json"), host.path().join("token"));
        std::fs::write(&config, world["config"].to_string()).unwrap();
        std::fs::write(&token, "recorded").unwrap();
        let flags = Flags {
            config: Some(config),
            missions_root: Some(format!("/proc/self/fd/{DIRECTORY}/missions").into()),
            gitea_url: Some(forge.url.clone()),
            token_file: Some(token),
            repositories: vec![world["repository_name"].as_str().unwrap().to_owned()],
            allow_archive: None,
            listen: None,
            log_format: None,
        };
        let environment = Environment::from([("LAZARUS_HOST".to_owned(), "alpha".to_owned())]);
        let settings = Settings::load(&flags, &environment).unwrap();
        let now = DateTime::parse_from_rfc3339(world["now"].as_str().unwrap()).unwrap().to_utc();
        NOW.set(Some(Timestamp::from(now.trunc_subsecs(0))));
        Self { world, host, forge, settings, _directory: directory, _number: number }
    }

    async fn pass(&self) -> Value {
        let report = pass::once(&self.settings, &Scope::Everything, clock, &|_, _| ()).await.unwrap();
        serde_json::to_value(&report).unwrap()
    }

    /// Phase, health and reason of each mission, as the earlier version reported them, in today's words.
    fn reported(&self) -> Vec<Value> {
        let mut all = self.world["report"].as_array().unwrap().clone();
        for mission in &mut all {
            if let Some((_, now)) = REASONS.iter().find(|(former, _)| mission[3] == *former) {
                mission[3] = json!(now);
            }
        }
        all
    }

    /// The name of the lifecycle of an issue.
    fn name(&self, issue: &Value) -> String {
        let names = self.world["names"].as_array().unwrap();
        let found = names.iter().find(|name| name[0] == *issue).unwrap_or_else(|| panic!("issue {issue}"));
        found[1].as_str().unwrap().to_owned()
    }
}

/// Writes the files of a root: modes, the times of heartbeats, and links as they were.
fn rebuild(files: &Map<String, Value>, root: &Path) {
    // A directory comes before what is in it.
    let mut modes = Vec::new();
    for (name, file) in files {
        let path = root.join(name);
        if let Some(first) = file["link"].as_str() {
            std::fs::hard_link(root.join(first), &path).unwrap();
            continue;
        }
        let bytes: Option<Vec<u8>> = match (&file["text"], &file["bytes"]) {
            (Value::String(text), _) => Some(text.as_bytes().to_vec()),
            (_, Value::Array(_)) => Some(serde_json::from_value(file["bytes"].clone()).unwrap()),
            _ => None,
        };
        match bytes {
            None => std::fs::create_dir(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        if let Some(seconds) = file["written_at"].as_i64() {
            let written = DateTime::from_timestamp(seconds, 0).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(written.into()).unwrap();
        }
        modes.push((path, u32::from_str_radix(file["mode"].as_str().unwrap(), 8).unwrap()));
    }
    for (path, mode) in modes.into_iter().rev() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// The situations whose issues the first pass writes to. The second one writes nothing at all, no pass changes a cell,
/// and each mission has the phase, the health and the reason that it had before, or those of `otherwise`.
async fn written_once(recording: &str, otherwise: &[(&str, Value)]) -> BTreeSet<String> {
    let left = Left::by(recording).await;
    let before = left.host.snapshot();
    let first = left.pass().await;
    let writes = left.forge.take_writes();
    let is_record_only = |change: &&Value| RECORD_ONLY.contains(&change["kind"].as_str().unwrap());
    let mut written = BTreeSet::new();
    for mission in first["missions"].as_array().unwrap() {
        let changes: Vec<&Value> = mission["changes"].as_array().unwrap().iter().collect();
        if !changes.iter().all(is_record_only) {
            written.insert(left.name(&mission["issue"]));
        }
    }
    assert_eq!(written.is_empty(), writes.is_empty(), "{writes:?}");
    let other = before.changed(&left.host.snapshot());
    let records = left.host.root().join(".lazarus");
    let is_recorded = |path: &&PathBuf| path.starts_with(records.join("missions")) || path.ends_with("root.json");
    assert_eq!(other.iter().filter(|path| !is_recorded(path)).collect::<Vec<_>>(), Vec::<&PathBuf>::new());

    let before = left.host.snapshot();
    let second = left.pass().await;
    assert_eq!((left.forge.take_writes(), changes(&second)), (Vec::new(), 0), "{second}");
    assert_eq!(before.changed(&left.host.snapshot()), Vec::<PathBuf>::new());
    let mut expected = left.reported();
    for mission in &mut expected {
        let name = left.name(&mission[0]);
        if let Some((_, now)) = otherwise.iter().find(|(lifecycle, _)| *lifecycle == name) {
            *mission = json!([mission[0], now[0], now[1], now[2]]);
        }
    }
    let seen = second["missions"].as_array().unwrap().iter();
    let seen: Vec<Value> = seen.map(|m| json!([m["issue"], m["phase"], m["health"], m["reason"]])).collect();
    assert_eq!(seen, expected);
    written
}

#[tokio::test]
async fn a_change_of_wording_alone_writes_nothing() {
    let written = written_once(include_str!("../../fixtures/roots/17e7efc.json"), &[]).await;
    assert_eq!(written, BTreeSet::new());
}

#[tokio::test]
async fn an_older_status_is_edited_once_where_its_facts_have_changed() {
    let otherwise = [
        ("failed", json!(["active", "stale", "agent-failed"])),
        ("not UTF-8", json!(["active", "healthy", "heartbeat-ok"])),
        ("in the way", json!(["pending", null, null])),
    ];
    let written = written_once(include_str!("../../fixtures/roots/3faff64.json"), &otherwise).await;
    let expected: BTreeSet<String> = SINCE_3FAFF64.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(written, expected);
}
