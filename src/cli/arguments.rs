//! The two command lines.

use crate::config::{Flags, LogFormat};
use crate::engine::survey::Scope;
use crate::mission::cell::health::Health;
use crate::mission::identity::{MissionId, NotA, RootId, WizardName};
use crate::mission::selector::{IssueArgument, MissionSelector};
use crate::mission::time::parse_short_length;
use crate::provision::install::plan::InstallPart;
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The version, the commit and the target, as `build.rs` has put them together.
const VERSION: &str = env!("VERSION_LINE");

/// `lazarus-reconcile`
#[derive(Debug, Parser)]
#[command(
    name = "lazarus-reconcile",
    version = VERSION,
    about = "Keeps Mission Cells on disk as Gitea issues ask for them, and shows their health on the issues.",
    before_help = "Example: lazarus-reconcile --once --gitea-url https://git.example.com --repo owner/missions --token-file token",
    after_help = "Exit codes: 0 complete; 1 incomplete, or something failed; 2 refused, a person must act;\n\
                  with --exit-code: 3 a mission is not well, 4 a dry run has changes to make.",
    args_conflicts_with_subcommands = true
)]
pub struct Reconcile {
    /// What to do instead of a pass.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The pass.
    #[command(flatten)]
    pub pass: Pass,
}

/// A pass.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct Pass {
    /// Make one complete pass
    #[arg(long)]
    pub once: bool,
    /// Print what a pass would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Look at one issue only
    #[arg(long, value_name = "[OWNER/NAME#]N")]
    pub issue: Option<IssueArgument>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Exit 3 when a mission is not well, 4 when a dry run has changes
    #[arg(long)]
    pub exit_code: bool,
    /// Archive the cells of at most so many issues that are gone
    #[arg(long, value_name = "N")]
    pub allow_archive: Option<usize>,
    /// Where the daemon takes webhooks and heartbeats
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// Settings on the command line.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsFlags {
    /// The settings file, JSON or YAML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the cells are
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The address of the Gitea
    #[arg(long, value_name = "URL")]
    pub gitea_url: Option<String>,
    /// The file that holds the access token; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A repository whose proposals are read; may be given again
    #[arg(long = "repo", value_name = "OWNER/NAME")]
    pub repositories: Vec<String>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl From<SettingsFlags> for Flags {
    fn from(flags: SettingsFlags) -> Self {
        let SettingsFlags { config, root, gitea_url, token_file, repositories, log_format } = flags;
        Self { config, missions_root: root, gitea_url, token_file, repositories, log_format, ..Self::default() }
    }
}

/// `lazarus-reconcile COMMAND`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a directory a missions root, or have it remember the new address of its forge
    #[command(before_help = "Example: lazarus-reconcile init --root /var/missions")]
    Init {
        /// Take over the missions of a root that is lost; its id stands in the refusal
        #[arg(long, value_name = "OLD_ROOT_ID", value_parser = RootId::parse)]
        replace: Option<RootId>,
        /// Settings.
        #[command(flatten)]
        settings: SettingsFlags,
    },
    /// Report the health of every cell in the missions root
    #[command(before_help = "Example: lazarus-reconcile scan --health stale")]
    Scan(Scan),
    /// Make repositories ready for missions: labels, form, workflow, webhook
    ///
    /// It shows what it will do and does only what differs; what is right already stays as it is.
    #[command(
        before_help = "Example: lazarus-reconcile install --dry-run --gitea-url https://git.example.com --repo owner/missions --token-file token"
    )]
    Install(Install),
    /// Name what is wrong, and the next command
    ///
    /// It looks at everything that a pass depends on: settings, root, host, forge, token, repositories, daemon.
    #[command(before_help = "Example: lazarus-reconcile doctor")]
    Doctor(Doctor),
    /// Show all missions of this root, or tell one from issue to heartbeat
    #[command(before_help = "Example: lazarus-reconcile status owner/missions#12")]
    Status(StatusArguments),
    /// Show the settings in force, or what may stand in a settings file
    #[command(before_help = "Example: lazarus-reconcile config show")]
    Config {
        /// Which of the two.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// List the archives of closed missions, and delete those that you say
    ///
    /// Nothing else ever deletes data of a mission.
    #[command(before_help = "Example: lazarus-reconcile gc --older-than 30d")]
    Gc(Gc),
    /// Tell the whole story on the built-in sandbox
    ///
    /// No forge, no settings and no root are needed.
    #[command(before_help = "Example: lazarus-reconcile demo")]
    Demo {
        /// Keep the demo's directory, with its cells
        #[arg(long)]
        keep: bool,
    },
    /// Print what a shell needs to complete these commands
    #[command(before_help = "Example: lazarus-reconcile completions bash")]
    Completions {
        /// For which shell
        shell: ShellArgument,
        /// For which of the two programs
        #[arg(long, value_name = "NAME", default_value = "lazarus-reconcile")]
        program: Program,
    },
    /// Print the man page of lazarus-reconcile, or write the pages of all commands
    #[command(before_help = "Example: lazarus-reconcile man /usr/local/share/man/man1")]
    Man {
        /// Write them here
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// The shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellArgument {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// The two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// lazarus-reconcile
    LazarusReconcile,
    /// lazarus-pit
    LazarusPit,
}

/// `scan`
#[derive(Clone, Debug, Default, Args)]
pub struct Scan {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Only cells of this wizard
    #[arg(long, value_parser = WizardName::parse)]
    pub wizard: Option<WizardName>,
    /// Only cells with this health
    #[arg(long)]
    pub health: Option<HealthArgument>,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `config COMMAND`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show each setting with its value, and where that came from
    #[command(before_help = "Example: lazarus-reconcile config show --json")]
    Show {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        /// Settings.
        #[command(flatten)]
        settings: SettingsFlags,
    },
    /// Print the JSON Schema of the settings file, which editors complete and check by
    #[command(before_help = "Example: lazarus-reconcile config schema")]
    Schema,
}

/// `status`
#[derive(Clone, Debug, Args)]
pub struct StatusArguments {
    /// One mission, by its issue or its id
    #[arg(value_name = "[OWNER/NAME#]N|UUID")]
    pub mission: Option<MissionSelector>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `install`
#[derive(Clone, Debug, Default, Args)]
pub struct Install {
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Only these parts; else all but the workflow
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<InstallPart>,
    /// Set the webhook's secret again, which nobody can compare
    #[arg(long)]
    pub reset_secret: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `doctor`
#[derive(Clone, Debug, Default, Args)]
pub struct Doctor {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `gc`
#[derive(Clone, Debug, Args)]
pub struct Gc {
    /// Only the archives that are at least so old: `30d`, `12h`, `90m`, `10s`
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: Option<Duration>,
    /// Delete them; without this, what would be deleted is shown
    #[arg(long, requires = "older_than")]
    pub yes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// A verdict on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HealthArgument {
    /// healthy
    Healthy,
    /// stale
    Stale,
    /// incomplete
    Incomplete,
    /// uninitialized
    Uninitialized,
    /// unknown
    Unknown,
}

impl From<HealthArgument> for Health {
    fn from(health: HealthArgument) -> Self {
        match health {
            HealthArgument::Healthy => Self::Healthy,
            HealthArgument::Stale => Self::Stale,
            HealthArgument::Incomplete => Self::Incomplete,
            HealthArgument::Uninitialized => Self::Uninitialized,
            HealthArgument::Unknown => Self::Unknown,
        }
    }
}

/// Takes the command line of this process, or ends it with what is wrong with that.
#[must_use]
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let matches = on_a_screen(T::command()).get_matches();
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The same help by `-h` and by `--help`: short enough for a screen.
fn on_a_screen(command: clap::Command) -> clap::Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .help("Print help")
        .help_heading("Options");
    command.disable_help_flag(true).arg(help).mut_subcommands(on_a_screen)
}

impl Pass {
    /// Which issues the pass is about.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match &self.issue {
            None => Scope::Everything,
            Some(IssueArgument { repository, number }) => {
                Scope::Issue { repository: repository.clone(), number: *number }
            }
        }
    }
}

/// `lazarus-pit`
#[derive(Debug, Parser)]
#[command(
    name = "lazarus-pit",
    version = VERSION,
    about = "Makes, watches and beats for Mission Cells on this host, without any forge.",
    before_help = "Example: lazarus-pit --json",
    args_conflicts_with_subcommands = true
)]
pub struct Pit {
    /// What to do instead of a scan.
    #[command(subcommand)]
    pub command: Option<PitCommand>,
    /// Make the scaffold of a cell that belongs to no issue
    #[arg(long, value_name = "UUID", value_parser = MissionId::parse, conflicts_with = "write_heartbeat")]
    pub init_cell: Option<MissionId>,
    /// After the scan, write the cron heartbeat `lazarus-pit.last` into `daemon.heartbeat_directory`
    #[arg(long)]
    pub write_heartbeat: bool,
    /// How often that is done, as the cron heartbeat says: `30s`, `5m`, `1h` or seconds
    #[arg(long, value_name = "TIME", value_parser = parse_every, default_value = "60s", requires = "write_heartbeat")]
    pub every: Duration,
    /// The scan.
    #[command(flatten)]
    pub scan: Scan,
}

/// `lazarus-pit COMMAND`
#[derive(Debug, Subcommand)]
pub enum PitCommand {
    /// Beat once for a cell
    #[command(
        before_help = "Example: lazarus-pit beat --cell /var/missions/123e4567-e89b-12d3-a456-426614174000 --state working"
    )]
    Beat(BeatArguments),
    /// Beat while a command lives, then say how it ended, and exit as it did
    ///
    /// The command finds the cell's absolute path in the variable `MISSION_CELL`.
    #[command(before_help = "Example: lazarus-pit run --every 30s -- ./wizard --spell resurrection")]
    Run(Run),
}

/// For which cell to beat, and on which way.
#[derive(Clone, Debug, Args)]
pub struct BeatFor {
    /// The cell; else the one that the variable `MISSION_CELL` names, else the nearest one upwards from here
    #[arg(long, value_name = "DIR")]
    pub cell: Option<PathBuf>,
    /// Beat over HTTP: the daemon's address, or the whole address `http://…/missions/UUID/heartbeat`
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub url: Option<Url>,
    /// The file that holds the cell's token; else `config/heartbeat.token` in the cell
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
}

/// `lazarus-pit beat`
#[derive(Clone, Debug, Args)]
pub struct BeatArguments {
    /// Where.
    #[command(flatten)]
    pub beat_for: BeatFor,
    /// What the wizard says of itself
    #[arg(long, value_name = "STATE", default_value = "working")]
    pub state: StateArgument,
    /// A few words for people; more than 200 characters are cut
    #[arg(long, value_name = "TEXT")]
    pub message: Option<OsString>,
    /// Which run of the wizard this is, any text; a new one begins to count anew
    #[arg(long, value_name = "TEXT")]
    pub session: Option<OsString>,
}

/// `lazarus-pit run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// How often to beat: `30s`, `5m`, `1h` or seconds; else every minute, or three times within the cell's limit where
    /// that is more often
    #[arg(long, value_name = "TIME", value_parser = parse_every)]
    pub every: Option<Duration>,
    /// Where.
    #[command(flatten)]
    pub beat_for: BeatFor,
    /// The command, with its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// The longest that `--every` takes, in seconds.
const EVERY_SECONDS_MAX: u64 = 86_400;

fn parse_every(text: &str) -> Result<Duration, NotA> {
    let wanted = "a time from 1 second to 1 day, such as `30s`, `5m` or `1h`";
    let seconds = || parse_short_length(&format!("{text}s"));
    let every = parse_short_length(text).or_else(seconds);
    let every = every.filter(|every| (1..=EVERY_SECONDS_MAX).contains(&every.as_secs()));
    every.ok_or_else(|| NotA { text: text.to_owned(), wanted })
}

fn parse_age(text: &str) -> Result<Duration, NotA> {
    let wanted = "an age such as `30d`, `12h`, `90m` or `10s`";
    parse_short_length(text).ok_or_else(|| NotA { text: text.to_owned(), wanted })
}

fn parse_url(text: &str) -> Result<Url, NotA> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| NotA { text: text.to_owned(), wanted: "an address such as `http://127.0.0.1:8787`" })
}

/// A wizard's state on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArgument {
    /// at work
    Working,
    /// waits for a person
    Waiting,
    /// has finished
    Done,
    /// has given up
    Failed,
}
