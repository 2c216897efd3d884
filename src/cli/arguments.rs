//! The command lines of `lazarus-reconcile` and `lazarus-pit`.

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

/// The version, the commit and the target, formatted by `build.rs`.
const VERSION: &str = env!("VERSION_LINE");

/// `lazarus-reconcile`
#[derive(Debug, Parser)]
#[command(
    name = "lazarus-reconcile",
    version = VERSION,
    about = "Reconciles Mission Cells on disk with issues in Gitea, and reports their health on the issues.",
    before_help = "Example: lazarus-reconcile --once --gitea-url https://git.example.com --repo owner/missions --token-file token",
    after_help = "Exit codes: 0 complete; 1 incomplete, or something failed; 2 manual action required;\n\
                  with --exit-code: 3 a mission is unhealthy, 4 a dry run has changes to make.",
    args_conflicts_with_subcommands = true
)]
pub struct Reconcile {
    /// The command; without one, a pass or the daemon runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a pass and of the daemon.
    #[command(flatten)]
    pub pass: Pass,
}

/// The flags of a pass and of the daemon.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct Pass {
    /// Run one complete pass
    #[arg(long)]
    pub once: bool,
    /// Print the changes that a pass would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Reconcile one issue only
    #[arg(long, value_name = "[OWNER/NAME#]N")]
    pub issue: Option<IssueArgument>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Exit 3 if a mission is unhealthy, 4 if a dry run has changes
    #[arg(long)]
    pub exit_code: bool,
    /// Archive the cells of at most N deleted issues
    #[arg(long, value_name = "N")]
    pub allow_archive: Option<usize>,
    /// The address for webhooks and heartbeats
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// The flags that choose configuration values.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct SettingsFlags {
    /// The configuration file, JSON or YAML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The missions root, which holds the cells
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The address of the Gitea server
    #[arg(long, value_name = "URL")]
    pub gitea_url: Option<String>,
    /// The file that holds the access token; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A repository with proposals; repeatable
    #[arg(long = "repo", value_name = "OWNER/NAME")]
    pub repositories: Vec<String>,
    /// The format of log lines
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
    /// Initialize a missions root, or record the new address of its Gitea server
    #[command(before_help = "Example: lazarus-reconcile init --root /var/missions")]
    Init {
        /// Adopt the missions of a lost root; the error of a pass names its id
        #[arg(long, value_name = "OLD_ROOT_ID", value_parser = RootId::parse)]
        replace: Option<RootId>,
        /// The configuration flags.
        #[command(flatten)]
        settings: SettingsFlags,
    },
    /// Report the health of every cell in the missions root
    #[command(before_help = "Example: lazarus-reconcile scan --health stale")]
    Scan(Scan),
    /// Prepare repositories for missions: labels, form, workflow, webhook
    ///
    /// It prints what it will do, and changes only what differs.
    #[command(
        before_help = "Example: lazarus-reconcile install --dry-run --gitea-url https://git.example.com --repo owner/missions --token-file token"
    )]
    Install(Install),
    /// Check everything that a pass depends on, and name each problem's next command
    ///
    /// It checks configuration, root, host, Gitea, token, repositories and daemon.
    #[command(before_help = "Example: lazarus-reconcile doctor")]
    Doctor(Doctor),
    /// Show all missions of this root, or explain one from issue to heartbeat
    #[command(before_help = "Example: lazarus-reconcile status owner/missions#12")]
    Status(StatusArguments),
    /// Show the configuration in force, or the schema of its file
    #[command(before_help = "Example: lazarus-reconcile config show")]
    Config {
        /// The command below `config`.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// List the archives of closed missions, and delete the ones that you choose
    ///
    /// No other command deletes data of a mission.
    #[command(before_help = "Example: lazarus-reconcile gc --older-than 30d")]
    Gc(Gc),
    /// Run the demo on the built-in sandbox
    ///
    /// It needs no Gitea, no configuration and no missions root.
    #[command(before_help = "Example: lazarus-reconcile demo")]
    Demo {
        /// Keep the demo's directory, with its cells
        #[arg(long)]
        keep: bool,
    },
    /// Print the completions for a shell
    #[command(before_help = "Example: lazarus-reconcile completions bash")]
    Completions {
        /// The shell
        shell: ShellArgument,
        /// The program
        #[arg(long, value_name = "NAME", default_value = "lazarus-reconcile")]
        program: Program,
    },
    /// Print the man page of lazarus-reconcile, or write the pages of all commands
    #[command(before_help = "Example: lazarus-reconcile man /usr/local/share/man/man1")]
    Man {
        /// Write the pages of all commands into this directory
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// The shells that have completions.
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
    /// Only cells of this agent
    #[arg(long, value_parser = WizardName::parse)]
    pub wizard: Option<WizardName>,
    /// Only cells with this health
    #[arg(long)]
    pub health: Option<HealthArgument>,
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `config COMMAND`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show each configuration value and its source
    #[command(before_help = "Example: lazarus-reconcile config show --json")]
    Show {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        /// The configuration flags.
        #[command(flatten)]
        settings: SettingsFlags,
    },
    /// Print the JSON Schema of the configuration file, for editors
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
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `install`
#[derive(Clone, Debug, Default, Args)]
pub struct Install {
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only these parts; otherwise all but the workflow
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<InstallPart>,
    /// Set the webhook's secret again: Gitea does not show it, so it cannot be compared
    #[arg(long)]
    pub reset_secret: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `doctor`
#[derive(Clone, Debug, Default, Args)]
pub struct Doctor {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// `gc`
#[derive(Clone, Debug, Args)]
pub struct Gc {
    /// Only archives of at least this age: `30d`, `12h`, `90m`, `10s`
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: Option<Duration>,
    /// Delete them; otherwise they are only listed
    #[arg(long, requires = "older_than")]
    pub yes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// The configuration flags.
    #[command(flatten)]
    pub settings: SettingsFlags,
}

/// A health on the command line.
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

/// Parses the command line of this process; a mistake ends the process with an error.
#[must_use]
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let matches = with_short_help(T::command()).get_matches();
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// `-h` and `--help` print the same help, short enough for one screen.
fn with_short_help(command: clap::Command) -> clap::Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort)
        .help("Print help")
        .help_heading("Options");
    command.disable_help_flag(true).arg(help).mut_subcommands(with_short_help)
}

impl Pass {
    /// The issues that the pass reconciles.
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
    about = "Creates Mission Cells on this host, reports their health and sends heartbeats, without Gitea.",
    before_help = "Example: lazarus-pit --json",
    args_conflicts_with_subcommands = true
)]
pub struct Pit {
    /// The command; without one, a scan runs.
    #[command(subcommand)]
    pub command: Option<PitCommand>,
    /// Create the scaffold of a cell that belongs to no issue
    #[arg(long, value_name = "UUID", value_parser = MissionId::parse, conflicts_with = "write_heartbeat")]
    pub init_cell: Option<MissionId>,
    /// After the scan, write the cron heartbeat `lazarus-pit.last` into `daemon.heartbeat_directory`
    #[arg(long)]
    pub write_heartbeat: bool,
    /// How often you run it, for the watcher: `30s`, `5m`, `1h` or seconds
    #[arg(long, value_name = "TIME", value_parser = parse_every, default_value = "60s", requires = "write_heartbeat")]
    pub every: Duration,
    /// The flags of the scan.
    #[command(flatten)]
    pub scan: Scan,
}

/// `lazarus-pit COMMAND`
#[derive(Debug, Subcommand)]
pub enum PitCommand {
    /// Send one heartbeat for a cell
    #[command(
        before_help = "Example: lazarus-pit beat --cell /var/missions/123e4567-e89b-12d3-a456-426614174000 --state working"
    )]
    Beat(BeatArguments),
    /// Send heartbeats while a command lives, report how it ended, and exit with its code
    ///
    /// The command finds the absolute path of its cell in the variable `MISSION_CELL`.
    #[command(before_help = "Example: lazarus-pit run --every 30s -- ./wizard --spell resurrection")]
    Run(Run),
}

/// The cell to send heartbeats for, and the transport.
#[derive(Clone, Debug, Args)]
pub struct TargetFlags {
    /// The cell; otherwise the variable `MISSION_CELL`, otherwise the nearest cell upwards from here
    #[arg(long, value_name = "DIR")]
    pub cell: Option<PathBuf>,
    /// Send over HTTP: the daemon's address, or the whole address `http://…/missions/UUID/heartbeat`
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub url: Option<Url>,
    /// The file that holds the cell's token; otherwise `config/heartbeat.token` in the cell
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
}

/// `lazarus-pit beat`
#[derive(Clone, Debug, Args)]
pub struct BeatArguments {
    /// The flags that choose cell and transport.
    #[command(flatten)]
    pub target: TargetFlags,
    /// The state that the agent reports
    #[arg(long, value_name = "STATE", default_value = "working")]
    pub state: StateArgument,
    /// A message for people; more than 200 characters are cut
    #[arg(long, value_name = "TEXT")]
    pub message: Option<OsString>,
    /// The name of this run of the agent; a new session restarts the sequence
    #[arg(long, value_name = "TEXT")]
    pub session: Option<OsString>,
}

/// `lazarus-pit run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// How often to send: `30s`, `5m`, `1h` or seconds; otherwise every minute, or a third of the cell's stale-after
    /// time if that is less
    #[arg(long, value_name = "TIME", value_parser = parse_every)]
    pub every: Option<Duration>,
    /// The flags that choose cell and transport.
    #[command(flatten)]
    pub target: TargetFlags,
    /// The command, with its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// The maximum of `--every`, in seconds.
const EVERY_SECONDS_MAX: u64 = 86_400;

fn parse_every(text: &str) -> Result<Duration, NotA> {
    let wanted = "a time from 1 second to 1 day, for example `30s`, `5m` or `1h`";
    let seconds = || parse_short_length(&format!("{text}s"));
    let every = parse_short_length(text).or_else(seconds);
    let every = every.filter(|every| (1..=EVERY_SECONDS_MAX).contains(&every.as_secs()));
    every.ok_or_else(|| NotA { text: text.to_owned(), wanted })
}

fn parse_age(text: &str) -> Result<Duration, NotA> {
    let wanted = "an age, for example `30d`, `12h`, `90m` or `10s`";
    parse_short_length(text).ok_or_else(|| NotA { text: text.to_owned(), wanted })
}

fn parse_url(text: &str) -> Result<Url, NotA> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| NotA { text: text.to_owned(), wanted: "an address, for example `http://127.0.0.1:8787`" })
}

/// The state of an agent on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArgument {
    /// at work
    Working,
    /// waiting for a person
    Waiting,
    /// finished
    Done,
    /// given up
    Failed,
}
