//! Plays the life of missions on the built-in sandbox, and prints what people see on the issues. HTTP, files and passes
//! are real.

mod people;
mod stage;

use crate::agent::heartbeat_file::{HeartbeatFileError, HeartbeatPayload, write_heartbeat};
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

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or the terminal.
    #[error("the demo cannot continue: {0}")]
    Io(#[from] std::io::Error),
    /// The directory cannot be created.
    #[error("cannot create the demo's directory `{path}`: {cause}; set TMPDIR to a writable directory")]
    Directory {
        /// The directory.
        path: String,
        /// The reason.
        cause: std::io::Error,
    },
    /// The sandbox gave an unexpected response.
    #[error("unexpected response of the demo's sandbox: {0}")]
    Forge(String),
    /// The demo's own configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A pass that could not start.
    #[error(transparent)]
    Refused(#[from] FatalError),
    /// A pass that was incomplete.
    #[error("a pass of the demo was incomplete: {0}")]
    Incomplete(String),
    /// A heartbeat that could not be written.
    #[error(transparent)]
    Heartbeat(#[from] HeartbeatFileError),
}

impl From<reqwest::Error> for DemoError {
    fn from(error: reqwest::Error) -> Self {
        Self::Forge(error.to_string())
    }
}

/// Plays the demo in its own directory. `clock` is read once per pass.
pub async fn demo<W: Write>(
    out: W,
    has_colours: bool,
    directory: &Directory,
    clock: fn() -> Timestamp,
) -> Result<(), DemoError> {
    let mut play = Play::begin(DemoStage::new(out, has_colours), &directory.path, clock).await?;
    play.run().await?;
    if directory.keep {
        play.stage.say(&format!("\nKept: {}", directory.path.display()))?;
    }
    Ok(())
}

/// The demo's directory, which is deleted when dropped, unless it is kept.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    /// Creates it in the directory for temporary files.
    pub fn new(keep: bool) -> Result<Self, DemoError> {
        let id = random::id().simple().to_string();
        let path = std::env::temp_dir().join(format!("lazarus-demo-{}", &id[..8]));
        let failed = |cause| DemoError::Directory { path: path.display().to_string(), cause };
        std::fs::create_dir(&path).map_err(failed)?;
        std::fs::create_dir(path.join("missions")).map_err(failed)?;
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

struct Play<W> {
    stage: DemoStage<W>,
    people: People,
    settings: Settings,
    clock: fn() -> Timestamp,
    /// The sandbox stops when this is dropped.
    _sandbox: Sandbox,
}

/// The numbers of the five proposals, in the order of filing.
const GOOD: i64 = 1;
const INVALID: i64 = 2;
const ALIVE: i64 = 3;
const STOPPED: i64 = 4;
const DAMAGED: i64 = 5;

impl<W: Write> Play<W> {
    async fn begin(mut stage: DemoStage<W>, directory: &Path, clock: fn() -> Timestamp) -> Result<Self, DemoError> {
        let sandbox = Sandbox::start().await?;
        for login in ["owner", "bot", "reader"] {
            sandbox.user(login);
        }
        let settings = settings(directory, &sandbox)?;
        let people = People::new(sandbox.url(), sandbox.token("owner", &["all"]))?;
        stage.say(&format!(
            "A sandbox in place of Gitea on {}, with the repository {REPOSITORY}, the form, a bot, and a\n\
             reader who may only file issues. The missions root is {}.",
            sandbox.url(),
            settings.missions_root.display()
        ))?;
        people.open_repository().await?;
        Ok(Self { stage, people, settings, clock, _sandbox: sandbox })
    }

    async fn run(&mut self) -> Result<(), DemoError> {
        self.stage.chapter("The first pass creates the root and the labels; the second one changes nothing")?;
        self.pass().await?;
        self.pass().await?;
        self.stage.chapter("Five proposals are filed through the form")?;
        self.file_five().await?;
        self.stage.chapter("A pass creates the cells, and reports them with two writes per issue")?;
        self.pass().await?;
        self.show(&[GOOD, INVALID]).await?;
        self.stage.chapter("One agent sends a heartbeat, one has stopped, and one cell has lost a part")?;
        self.damage().await?;
        self.pass().await?;
        self.show(&[ALIVE, STOPPED, DAMAGED]).await?;
        self.stage.chapter("The answers are corrected, and the stopped agent finishes its work")?;
        self.repair().await?;
        self.pass().await?;
        self.show(&[INVALID, STOPPED]).await?;
        self.stage
            .chapter("An issue is closed and reopened: its cell moves to the archive and back, with all files")?;
        for state in ["closed", "open"] {
            self.people.set_state(STOPPED, state).await?;
            self.stage.say(&format!("   #{STOPPED} is {state} now\n"))?;
            self.pass().await?;
        }
        self.stage.chapter("The files of a cell")?;
        let cell = self.cell(DAMAGED).await?;
        self.stage.cell(&cell)?;
        self.stage.chapter("A pass without changes writes nothing")?;
        self.pass().await
    }

    async fn file_five(&mut self) -> Result<(), DemoError> {
        let required = [("stale-after", "1"), ("acknowledgements-0", "on"), ("objective", "Find out what happened.")];
        let with = |more: &[(&'static str, &'static str)]| [&required, more].concat();
        // Without git on this host, the proposal names no repository.
        let maze = [("wizard", "daedalus"), ("repository", REPOSITORY)];
        let wrong = [("repository", "wizards spellbook"), ("objective", "Rewrite it."), ("acknowledgements-0", "on")];
        for (number, title, answers) in [
            (GOOD, "Mission: raise the dead", with(&[])),
            (INVALID, "Mission: rewrite the spellbook", wrong.to_vec()),
            (ALIVE, "Mission: guard the gate", with(&[("wizard", "merlin")])),
            (STOPPED, "Mission: count the stars", with(&[("wizard", "circe")])),
            (DAMAGED, "Mission: map the maze", with(if Git::find().is_ok() { &maze } else { &maze[..1] })),
        ] {
            let filed = self.people.file(title, &answers).await?;
            if filed != number {
                return Err(DemoError::Forge(format!("`{title}` was filed as #{filed} instead of #{number}")));
            }
            let about = if number == INVALID { ", with two wrong answers" } else { "" };
            self.stage.say(&format!("   #{number} {title}{about}"))?;
        }
        Ok(())
    }

    async fn damage(&mut self) -> Result<(), DemoError> {
        let now = (self.clock)();
        write_heartbeat(
            &self.cell(ALIVE).await?,
            &HeartbeatPayload::new(WizardState::Working, Some("all quiet")),
            now,
        )?;
        let hour_ago = Some(now.plus(TimeDelta::hours(-1)));
        let heartbeat = Heartbeat {
            timestamp: hour_ago,
            sender_timestamp: None,
            state: "working".to_owned(),
            session: None,
            sequence: Some(7),
            message: None,
        };
        std::fs::write(self.cell(STOPPED).await?.join(Part::Heartbeat.path()), pretty(&heartbeat))?;
        let damaged = self.cell(DAMAGED).await?;
        write_heartbeat(&damaged, &HeartbeatPayload::new(WizardState::Working, None), now)?;
        std::fs::remove_dir_all(damaged.join(Part::Artifacts.path()))?;
        self.stage.say("   lazarus-pit beat --cell …         in the cell of #3, by merlin")?;
        self.stage.say("   (no heartbeat for an hour)        in the cell of #4")?;
        self.stage.say("   rm -r artifacts/                  in the cell of #5\n")?;
        Ok(())
    }

    async fn repair(&mut self) -> Result<(), DemoError> {
        let corrections =
            [("wizards spellbook", REPOSITORY), ("### Stale after\n\n_No response_", "### Stale after\n\n1 hour")];
        self.people.correct(INVALID, &corrections).await?;
        write_heartbeat(
            &self.cell(STOPPED).await?,
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
            Some(failure) => Err(DemoError::Incomplete(failure.message_with_subject())),
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

/// The demo's own configuration, which ignores the host's file and environment.
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
