//! Random walks through the lives of a few missions; afterwards nothing is lost, nothing is double, and all is still.

use crate::support::daemon::settings;
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, changes, run};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::soon;
use chrono::{SubsecRound, TimeDelta, Utc};
use fastrand::Rng;
use lazarus::config::Settings;
use lazarus::engine::pass;
use lazarus::engine::report::Report;
use lazarus::engine::survey::Scope;
use lazarus::mission::record::Record;
use lazarus::mission::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// So many walks in `cargo test`; `LAZARUS_TEST_SEEDS` says how many instead, and `LAZARUS_TEST_SEED` which one alone.
const SEEDS: u64 = 100;

/// The longest walk.
const STEPS_MAX: usize = 20;

thread_local! {
    /// How far ahead of the host's clock a walk is.
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

fn clock() -> Timestamp {
    Timestamp::from(Utc::now().trunc_subsecs(0)).plus(TimeDelta::seconds(AHEAD.get()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn walks_lose_nothing_and_settle() {
    let seeds = match (number("LAZARUS_TEST_SEED"), number("LAZARUS_TEST_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(SEEDS)).collect(),
    };
    // Two halves, since a walk waits for the forge as often as it computes.
    let halves: Vec<_> = (0..2).map(|half| seeds.iter().copied().filter(|seed| seed % 2 == half).collect()).collect();
    std::thread::scope(|scope| {
        for half in halves {
            scope.spawn(|| walk_all(half));
        }
    });
}

fn walk_all(seeds: Vec<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for seed in seeds {
        AHEAD.set(0);
        let walked = std::panic::catch_unwind(|| runtime.block_on(walk(seed)));
        let again = format!("LAZARUS_TEST_SEED={seed} cargo test --test spec walks_lose_nothing -- --nocapture");
        assert!(walked.is_ok(), "seed {seed}; to walk it again: {again}");
    }
}

/// What a proposal asks for, as far as the end of the walk depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Valid,
    Invalid,
    ForBeta,
    /// It wants to take over a cell, which may be another issue's, or gone by now.
    ForACell,
}

struct Walk {
    random: Rng,
    forge: Forge,
    repository: Repository,
    host: Host,
    settings: Settings,

    /// Of a thousand requests of a pass so many meet a fault.
    broken: u32,
    /// What each issue asks for that is not deleted.
    issues: BTreeMap<i64, Kind>,
    /// What wizards wrote, by cell and file.
    written: BTreeMap<(PathBuf, String), String>,
    steps: Vec<String>,
}

async fn walk(seed: u64) {
    let mut walk = Walk::begin(seed).await;
    for _ in 0..walk.random.usize(6..STEPS_MAX) {
        walk.step().await;
    }
    walk.come_to_rest().await;
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        let needs_approval = random.bool();
        let mode = if needs_approval { "label" } else { "open" };
        let grace = [0, 900][random.usize(..2)];
        let notify = json!({ "on": ["stale", "incomplete", "wizard/failed"], "after_seconds": 60, "per_hour": 5 });
        let config = json!({ "approval": { "mode": mode }, "close": { "grace_seconds": grace }, "notify": notify });
        let config = config.to_string();
        let settings = settings(&host, Some(&repository), &config);
        let (issues, written, steps) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { random, forge, repository, host, settings, broken: 0, issues, written, steps }
    }

    fn note(&mut self, step: String) {
        if number("LAZARUS_TEST_SEED").is_some() {
            println!("{step}");
        }
        self.steps.push(step);
    }

    fn any_issue(&mut self) -> Option<i64> {
        let numbers: Vec<i64> = self.issues.keys().copied().collect();
        (!numbers.is_empty()).then(|| numbers[self.random.usize(..numbers.len())])
    }

    fn any_cell(&mut self) -> Option<PathBuf> {
        let cells = self.host.cells();
        (!cells.is_empty()).then(|| cells[self.random.usize(..cells.len())].clone())
    }

    fn answers(&mut self) -> (Kind, String) {
        let stale = ["1 minute", "5 minutes", "1 day"][self.random.usize(..3)];
        let wizard = ["_No response_", "merlin", "circe"][self.random.usize(..3)];
        let mut answers = vec![("Stale after", stale), ("Wizard", wizard)];
        let kind = match self.random.u8(..7) {
            0 => Kind::Invalid,
            1 => Kind::ForBeta,
            2 => Kind::ForACell,
            _ => Kind::Valid,
        };
        let cell = self.any_cell().map(|cell| cell.file_name().unwrap().to_str().unwrap().to_owned());
        match kind {
            Kind::Valid if self.random.u8(..4) == 0 => answers.push(("Repository", &self.repository.name)),
            Kind::Valid => {}
            Kind::Invalid => answers[1] = ("Wizard", "the grey one"),
            Kind::ForBeta => answers.push(("Host", "beta")),
            Kind::ForACell => answers.push(("Existing cell", cell.as_deref().unwrap_or("_No response_"))),
        }
        (kind, body(&answers))
    }

    async fn step(&mut self) {
        match self.random.u8(..20) {
            0 | 1 => self.file().await,
            2 => self.edit().await,
            3 | 4 => self.label("approval/granted").await,
            5 => self.label("mission/suspended").await,
            6 => {
                let name = ["mission/active", "health/healthy", "mission/closed"][self.random.usize(..3)];
                self.label(name).await;
            }
            7 | 8 => self.set_state("closed").await,
            9 | 10 => self.set_state("open").await,
            11 => self.delete().await,
            12 => self.break_forge(),
            13 | 14 => self.work(),
            15 => self.beat(),
            16 => self.wait(),
            17 => self.killed_pass().await,
            _ => drop(self.pass().await),
        }
    }

    async fn file(&mut self) {
        let (kind, body) = self.answers();
        let path = format!("{}/issues", self.repository.path());
        let issue = json!({ "title": "Mission: walk", "body": body });
        let (status, made) = self.forge.call("reader", Method::POST, &path, issue).await;
        if status == 201 {
            let number = made["number"].as_i64().unwrap();
            self.note(format!("file #{number}: {kind:?}"));
            self.issues.insert(number, kind);
        }
    }

    async fn edit(&mut self) {
        let Some(number) = self.any_issue() else { return };
        let (kind, body) = self.answers();
        self.note(format!("edit #{number}: {kind:?}"));
        let path = self.repository.issue_path(number);
        if self.forge.call("reader", Method::PATCH, &path, json!({ "body": body })).await.0 == 201 {
            self.issues.insert(number, kind);
        }
    }

    async fn label(&mut self, name: &str) {
        let Some(number) = self.any_issue() else { return };
        self.note(format!("label #{number} {name}"));
        let path = format!("{}/labels", self.repository.issue_path(number));
        self.forge.call("owner", Method::POST, &path, json!({ "labels": [name] })).await;
    }

    async fn set_state(&mut self, state: &str) {
        let Some(number) = self.any_issue() else { return };
        self.note(format!("{state} #{number}"));
        let path = self.repository.issue_path(number);
        self.forge.call("owner", Method::PATCH, &path, json!({ "state": state })).await;
    }

    async fn delete(&mut self) {
        let Some(number) = self.any_issue() else { return };
        self.note(format!("delete #{number}"));
        let path = self.repository.issue_path(number);
        if self.forge.call("owner", Method::DELETE, &path, Value::Null).await.0 == 204 {
            self.issues.remove(&number);
        }
    }

    fn break_forge(&mut self) {
        self.broken = [0, 50, 200][self.random.usize(..3)];
        self.note(format!("the forge breaks {} of 1,000 requests from now on", self.broken));
    }

    /// Only passes meet faults; people try again until it works.
    fn begin_pass(&mut self) {
        let seed = self.random.u64(..);
        self.forge.engine().break_at_random(seed, self.broken);
    }

    fn work(&mut self) {
        let Some(cell) = self.any_cell() else { return };
        let directory = ["artifacts", "worktree", "logs"][self.random.usize(..3)];
        let (file, contents) = (format!("{directory}/{}", self.random.u16(..)), self.random.u64(..).to_string());
        let name = PathBuf::from(cell.file_name().unwrap());
        if std::fs::write(cell.join(&file), &contents).is_ok() {
            self.note(format!("write {file} in {}", name.display()));
            self.written.insert((name, file), contents);
        }
    }

    fn beat(&mut self) {
        let Some(cell) = self.any_cell().filter(|cell| cell.join("state").is_dir()) else { return };
        let state = ["working", "waiting", "done"][self.random.usize(..3)];
        self.note(format!("beat {state} in {}", cell.display()));
        beat_at(&cell, clock(), state);
    }

    fn wait(&mut self) {
        let seconds = [30, 400, 1_000][self.random.usize(..3)];
        self.note(format!("wait {seconds} s"));
        AHEAD.set(AHEAD.get() + seconds);
        self.forge.engine().advance(Duration::from_secs(2));
    }

    async fn pass(&mut self) -> Option<Report> {
        self.begin_pass();
        let passed = pass::once(&self.settings, &Scope::Everything, clock, &|_, _| ()).await;
        self.forge.engine().heal();
        self.note(format!("pass: {}", passed.as_ref().map_or_else(ToString::to_string, Report::headline)));
        passed.ok()
    }

    async fn killed_pass(&mut self) {
        let requests = self.forge.engine().log().len() + self.random.usize(1..30);
        let more = self.host.path().join("daemon.json");
        let mut command = self.host.reconciler(&self.repository);
        command.arg("--once").arg("--config").arg(more).stdout(Stdio::null()).stderr(Stdio::null());
        self.begin_pass();
        let mut child = command.spawn().unwrap();
        soon("so many requests", async || {
            self.forge.engine().log().len() >= requests || child.try_wait().unwrap().is_some()
        })
        .await;
        let _ = child.kill();
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        self.forge.engine().heal();
        self.note(format!("a pass that ended by {status}"));
    }

    /// Everything is well, and everybody has approved what waits; then nothing is left to do.
    async fn come_to_rest(&mut self) {
        self.broken = 0;
        for round in 0..4 {
            self.pass().await;
            if round == 1 {
                self.forge.engine().advance(Duration::from_secs(2));
                for number in self.issues.keys().copied().collect::<Vec<_>>() {
                    if self.repository.labels(number).await.contains(&"approval/needed".to_owned()) {
                        self.repository.put_label(number, "approval/granted").await;
                    }
                }
            }
        }
        let allowed = run(self.host.reconciler(&self.repository).args(["--once", "--allow-archive", "100"])).await;
        assert_eq!(allowed.code, 0, "{allowed:?} {:#?}", self.steps);
        self.pass().await;
        let last = self.pass().await.unwrap();
        let last = serde_json::to_value(&last).unwrap();
        assert_eq!(changes(&last), 0, "{last} {:#?}", self.steps);
        self.check_bindings();
        self.check_cells().await;
        self.check_files();
    }

    /// Every issue has one cell at most, and every cell one issue.
    fn check_bindings(&self) {
        let records = std::fs::read_dir(self.host.root().join(".lazarus/missions")).unwrap();
        let bound: Vec<String> = records
            .map(|entry| serde_json::from_slice::<Record>(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap())
            .filter_map(|record| record.binding.map(|binding| binding.mission_id.to_string()))
            .collect();
        let different: BTreeSet<&String> = bound.iter().collect();
        assert_eq!(different.len(), bound.len(), "{bound:?} {:#?}", self.steps);
        for cell in self.host.cells() {
            let name = cell.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(different.contains(&name), "{name} belongs to nobody: {:#?}", self.steps);
        }
    }

    /// Every open proposal that may have a cell has it, and no other.
    async fn check_cells(&self) {
        let mut lives = 0;
        for (number, kind) in &self.issues {
            let issue = self.forge.get(&self.repository.issue_path(*number)).await;
            let labels = self.repository.labels(*number).await;
            let is = |phase: &str| labels.contains(&format!("mission/{phase}"));
            let is_alive = is("active") || is("suspended");
            let is_open = issue["state"] == "open";
            lives += usize::from(is_alive && is_open);
            match (issue["state"].as_str().unwrap(), kind) {
                ("open", Kind::Valid) => assert!(is_alive, "#{number} {labels:?} {:#?}", self.steps),
                ("open", Kind::Invalid) => assert!(is_alive || is("invalid"), "#{number} {labels:?} {:#?}", self.steps),
                ("open", Kind::ForBeta) => assert!(is_alive || is("pending"), "#{number} {labels:?} {:#?}", self.steps),
                // Such a one may end either way; and a closed one is not asked for again, so that what people do to its
                // labels then stays.
                _ => {}
            }
        }
        let cells = self.host.cells().len();
        // A wizard that still beats keeps the cell of a closed mission for a while.
        let closing = usize::from(self.settings.close_grace > Duration::ZERO) * cells;
        assert!((lives..=lives + closing).contains(&cells), "{lives} live, {cells} cells: {:#?}", self.steps);
    }

    /// What a wizard wrote is there byte for byte, in the cell or in an archive of it, and only once.
    fn check_files(&self) {
        let archives = self.host.archives();
        for ((cell, file), contents) in &self.written {
            let of_cell = |path: &&PathBuf| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.split('.').next() == cell.to_str()
            };
            let here = self.host.root().join(cell);
            let places = archives.iter().filter(of_cell).chain([&here]);
            let found: Vec<String> = places.filter_map(|place| read(&place.join(file))).collect();
            assert_eq!(found, std::slice::from_ref(contents), "{} {file}: {:#?}", cell.display(), self.steps);
        }
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
