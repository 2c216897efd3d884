//! The whole story on the built-in sandbox: proposals are filed, cells made, beaten for, neglected and damaged, and the
//! issues tell. Everything in it is real: HTTP, files, and the pass that `--once` makes.

mod people;
mod stage;

use crate::agent::heartbeat_file::{BeatError, HeartbeatPayload, beat};
use crate::config::{Environment, Flags, Settings, SettingsError};
use crate::engine::failure::FatalError;
use crate::engine::pass;
use crate::engine::report::Report;
use crate::engine::survey::Scope;
use crate::mission::cell::Part;
use crate::mission::cell::heartbeat::{Heartbeat, WizardState};
use crate::mission::cell::json_file::pretty;
use crate::mission::identity::RepositoryName;
use crate::mission::time::Timestamp;
use crate::sandbox::Sandbox;
use crate::world::git::Git;
use crate::world::random;
use chrono::TimeDelta;
use people::{People, REPOSITORY};
use stage::DemoStage;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Why the story could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or the terminal.
    #[error("the demo cannot go on: {0}")]
    Io(#[from] std::io::Error),
    /// The demo's own directory.
    #[error("cannot make the demo's directory `{path}`: {cause}; set TMPDIR to a directory that can be written in")]
    Directory {
        /// Where.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// The sandbox.
    #[error("the demo's forge did not answer as it should: {0}")]
    Forge(String),
    /// The settings that the demo makes for itself.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A pass that was refused.
    #[error(transparent)]
    Refused(#[from] FatalError),
    /// A pass that was incomplete.
    #[error("a pass of the demo was incomplete: {0}")]
    Incomplete(String),
    /// A beat.
    #[error(transparent)]
    Beat(#[from] BeatError),
}

impl From<reqwest::Error> for DemoError {
    fn from(error: reqwest::Error) -> Self {
        Self::Forge(error.to_string())
    }
}

/// Tells the story in a directory of its own. `clock` is read once a pass.
pub async fn demo<W: Write>(
    out: W,
    has_colours: bool,
    directory: &Directory,
    clock: fn() -> Timestamp,
) -> Result<(), DemoError> {
    let mut story = Story::begin(DemoStage::new(out, has_colours), &directory.path, clock).await?;
    story.tell().await?;
    if directory.keep {
        story.stage.say(&format!("\nKept: {}", directory.path.display()))?;
    }
    Ok(())
}

/// A directory of the demo's own, which goes when dropped, unless it is to be kept.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    /// Makes it where temporary things go.
    pub fn new(keep: bool) -> Result<Self, DemoError> {
        let id = random::id().simple().to_string();
        let path = std::env::temp_dir().join(format!("lazarus-demo-{}", &id[..8]));
        let unmade = |cause| DemoError::Directory { path: path.display().to_string(), cause };
        std::fs::create_dir(&path).map_err(unmade)?;
        std::fs::create_dir(path.join("missions")).map_err(unmade)?;
        let directory = Self { path, keep };
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

struct Story<W> {
    stage: DemoStage<W>,
    people: People,
    settings: Settings,
    clock: fn() -> Timestamp,
    /// The forge goes with the story.
    _sandbox: Sandbox,
}

/// The numbers of the five proposals, in the order in which they are filed.
const GOOD: i64 = 1;
const WRONG: i64 = 2;
const BEATING: i64 = 3;
const SILENT: i64 = 4;
const DAMAGED: i64 = 5;

impl<W: Write> Story<W> {
    async fn begin(mut stage: DemoStage<W>, directory: &Path, clock: fn() -> Timestamp) -> Result<Self, DemoError> {
        let sandbox = Sandbox::start().await?;
        for login in ["owner", "bot", "reader"] {
            sandbox.user(login);
        }
        let settings = settings(directory, &sandbox)?;
        let people = People::new(sandbox.url(), sandbox.token("owner", &["all"]))?;
        stage.say(&format!(
            "A forge of its own on {}, with the repository {REPOSITORY}, the form, a bot, and a reader who may\n\
             file issues and nothing else. The missions root is {}.",
            sandbox.url(),
            settings.missions_root.display()
        ))?;
        people.open_repository().await?;
        Ok(Self { stage, people, settings, clock, _sandbox: sandbox })
    }

    async fn tell(&mut self) -> Result<(), DemoError> {
        self.stage.chapter("A first pass makes the root and the labels; a quiet one does nothing")?;
        self.pass().await?;
        self.pass().await?;
        self.stage.chapter("Five proposals are filed through the form")?;
        self.file_five().await?;
        self.stage.chapter("A pass makes the cells, and says so with two writes an issue")?;
        self.pass().await?;
        self.show(&[GOOD, WRONG]).await?;
        self.stage.chapter("A wizard beats, one has gone silent, and one has lost a part of its cell")?;
        self.disturb().await?;
        self.pass().await?;
        self.show(&[BEATING, SILENT, DAMAGED]).await?;
        self.stage.chapter("The answers are corrected, the silent wizard finishes its work")?;
        self.mend().await?;
        self.pass().await?;
        self.show(&[WRONG, SILENT]).await?;
        self.stage.chapter("An issue is closed and reopened: its cell goes to the archive and comes back, whole")?;
        for state in ["closed", "open"] {
            self.people.set_state(SILENT, state).await?;
            self.stage.say(&format!("   #{SILENT} is {state} now\n"))?;
            self.pass().await?;
        }
        self.stage.chapter("A cell on the disk")?;
        let cell = self.cell(DAMAGED).await?;
        self.stage.cell(&cell)?;
        self.stage.chapter("And when nothing happens, nothing is written")?;
        self.pass().await
    }

    async fn file_five(&mut self) -> Result<(), DemoError> {
        let well = [("stale-after", "1"), ("acknowledgements-0", "on"), ("objective", "Find out what happened.")];
        let with = |more: &[(&'static str, &'static str)]| [&well, more].concat();
        // Without git on this machine there is nothing to check out with.
        let maze = [("wizard", "daedalus"), ("repository", REPOSITORY)];
        let wrong = [("repository", "wizards spellbook"), ("objective", "Rewrite it."), ("acknowledgements-0", "on")];
        for (number, title, answers) in [
            (GOOD, "Mission: raise the dead", with(&[])),
            (WRONG, "Mission: rewrite the spellbook", wrong.to_vec()),
            (BEATING, "Mission: guard the gate", with(&[("wizard", "merlin")])),
            (SILENT, "Mission: count the stars", with(&[("wizard", "circe")])),
            (DAMAGED, "Mission: map the maze", with(if Git::find().is_ok() { &maze } else { &maze[..1] })),
        ] {
            let filed = self.people.file(title, &answers).await?;
            if filed != number {
                return Err(DemoError::Forge(format!("`{title}` was filed as #{filed}, not as #{number}")));
            }
            let about = if number == WRONG { ", with two mistakes" } else { "" };
            self.stage.say(&format!("   #{number} {title}{about}"))?;
        }
        Ok(())
    }

    async fn disturb(&mut self) -> Result<(), DemoError> {
        let now = (self.clock)();
        beat(&self.cell(BEATING).await?, &HeartbeatPayload::new(WizardState::Working, Some("all quiet")), now)?;
        let hour_ago = Some(now.plus(TimeDelta::hours(-1)));
        let heartbeat = Heartbeat {
            timestamp: hour_ago,
            sender_timestamp: None,
            state: "working".to_owned(),
            session: None,
            sequence: Some(7),
            message: None,
        };
        std::fs::write(self.cell(SILENT).await?.join(Part::Heartbeat.path()), pretty(&heartbeat))?;
        let damaged = self.cell(DAMAGED).await?;
        beat(&damaged, &HeartbeatPayload::new(WizardState::Working, None), now)?;
        std::fs::remove_dir_all(damaged.join(Part::Artifacts.path()))?;
        self.stage.say("   lazarus-pit beat --cell …         in the cell of #3, by merlin")?;
        self.stage.say("   (no beat for an hour)             in the cell of #4")?;
        self.stage.say("   rm -r artifacts/                  in the cell of #5\n")?;
        Ok(())
    }

    async fn mend(&mut self) -> Result<(), DemoError> {
        let corrections =
            [("wizards spellbook", REPOSITORY), ("### Stale after\n\n_No response_", "### Stale after\n\n1 hour")];
        self.people.correct(WRONG, &corrections).await?;
        beat(
            &self.cell(SILENT).await?,
            &HeartbeatPayload::new(WizardState::Done, Some("there are many")),
            (self.clock)(),
        )?;
        self.stage.say("   the reader edits #2 and saves")?;
        self.stage.say("   lazarus-pit beat --state done     in the cell of #4, by circe\n")?;
        Ok(())
    }

    async fn pass(&mut self) -> Result<(), DemoError> {
        self.stage.say("   $ lazarus-reconcile --once")?;
        let report: Report = pass::once(&self.settings, &Scope::Everything, self.clock, &|_, _| ()).await?;
        self.stage.printed(&report.to_string())?;
        self.stage.say("")?;
        match report.errors.first() {
            None => Ok(()),
            Some(trouble) => Err(DemoError::Incomplete(trouble.message_with_subject())),
        }
    }

    async fn show(&mut self, numbers: &[i64]) -> Result<(), DemoError> {
        for &number in numbers {
            let issue = self.people.issue(number).await?;
            let comments = self.people.comments(number).await?;
            self.stage.issue(&issue, &comments)?;
        }
        Ok(())
    }

    /// The cell of an issue, as its comment names it.
    async fn cell(&self, number: i64) -> Result<PathBuf, DemoError> {
        let comments = self.people.comments(number).await?;
        let text = comments[0]["body"].as_str().unwrap_or_default();
        let named = text.split_once("- Cell: `").and_then(|(_, rest)| rest.split('`').next());
        named.map(PathBuf::from).ok_or_else(|| DemoError::Forge(format!("the comment on #{number} names no cell")))
    }
}

/// Settings of the demo's own: nothing of the host's file or environment counts.
fn settings(directory: &Path, sandbox: &Sandbox) -> Result<Settings, DemoError> {
    let config = directory.join("lazarus_pit.json");
    std::fs::write(&config, "{ \"host\": { \"name\": \"demo\" } }\n")?;
    let token_file = directory.join("token");
    std::fs::write(&token_file, sandbox.token("bot", &["write:issue", "read:repository", "read:user"]))?;
    let repository = RepositoryName::parse(REPOSITORY).map_err(|error| DemoError::Forge(error.to_string()))?;
    let flags = Flags {
        config: Some(config),
        missions_root: Some(directory.join("missions")),
        gitea_url: Some(sandbox.url()),
        token_file: Some(token_file),
        repositories: vec![repository.to_string()],
        ..Flags::default()
    };
    Ok(Settings::load(&flags, &Environment::new())?)
}
