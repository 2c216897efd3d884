//! What a run of the real binary asks of the kernel, as `strace` sees it: which programs it runs, where, and what it
//! changes.

use crate::life::hostile::canary::Canary;
use crate::support::host::{Host, Run, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::world::git::Git;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Every call that runs a program, goes to a directory, opens something, or changes what is in a directory.
const CALLS: [&str; 33] = [
    "chdir",
    "chmod",
    "chown",
    "creat",
    "execve",
    "execveat",
    "fchdir",
    "fchmodat",
    "fchownat",
    "lchown",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "mount",
    "open",
    "openat",
    "openat2",
    "pivot_root",
    "ptrace",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "symlink",
    "symlinkat",
    "truncate",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
];

/// Ours, when it is run once more to guard git.
const GUARD: &str = "/proc/self/exe";

/// One call of one thread; its arguments and what it came to, as `strace` prints them.
#[derive(Clone, Debug)]
struct Call {
    thread: u32,
    name: String,
    text: String,
}

/// What happened, in order.
#[derive(Debug)]
enum Event {
    Called(Call),
    Ended(u32),
}

/// What one run did.
#[derive(Debug)]
pub(super) struct Trace(Vec<Event>);

/// Runs a command of a host under `strace`; where that may not trace, the name of what is not checked is told.
pub(super) async fn traced(host: &Host, what: &str, command: &Command) -> (Run, Option<Trace>) {
    let log = host.path().join("strace.log");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-q", "-y", "-v", "-s", "8192", "--seccomp-bpf", "-o"]).arg(&log);
    traced.args(["-e", &format!("trace={}", CALLS.join(",")), "-e", "signal=none"]);
    traced.arg(command.get_program()).args(command.get_args());
    traced.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    let outcome = if is_there { Some(run(traced.current_dir(host.path())).await) } else { None };
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    match outcome {
        Some(outcome) if log.contains("execve(") => (outcome, Some(Trace(events(&log)))),
        Some(_) | None => {
            let line = format!("skipped: what is run and changed by {what}, since strace cannot trace here\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            let mut plain = Command::new(command.get_program());
            plain.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            (run(plain.args(command.get_args()).current_dir(host.path())).await, None)
        }
    }
}

/// A call that another thread interrupts is printed in two pieces.
fn events(log: &str) -> Vec<Event> {
    let (mut events, mut begun) = (Vec::new(), BTreeMap::new());
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let (thread, rest): (u32, &str) = (thread.parse().unwrap(), rest.trim_start());
        if rest.starts_with("+++") {
            events.push(Event::Ended(thread));
        } else if let Some(piece) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, piece.to_owned());
        } else {
            let resumed = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"));
            let whole = match resumed {
                Some((_, piece)) => begun.remove(&thread).unwrap_or_default() + piece,
                None => rest.to_owned(),
            };
            if let Some((name, text)) = whole.split_once('(') {
                events.push(Event::Called(Call { thread, name: name.to_owned(), text: text.to_owned() }));
            }
        }
    }
    events
}

impl Call {
    fn has_succeeded(&self) -> bool {
        self.text.rsplit_once(" = ").is_some_and(|(_, result)| !result.starts_with('-'))
    }

    /// Every path that it names, those of open directories and files included. What stands beside a directory is in it;
    /// what stands alone is where the process is.
    fn paths(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut rest = self.text.as_str();
        // `5</directory>, "name"` and `"name"`
        while let Some(at) = rest.find(['<', '"']) {
            let (is_open, after) = (rest[at..].starts_with('<'), &rest[at + 1..]);
            let end = if is_open { after.find('>') } else { after.find('"') };
            let Some(end) = end else { break };
            let path = Path::new(&after[..end]);
            let directory = if !is_open && rest[..at] == *">, " { found.pop() } else { None };
            found.push(directory.map_or_else(|| path.to_owned(), |directory| directory.join(path)));
            // What follows the directory tells whether a name belongs to it.
            rest = &after[if is_open { end } else { end + 1 }..];
        }
        found
    }

    fn is_change(&self) -> bool {
        match self.name.as_str() {
            "open" | "openat" | "openat2" => {
                ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| self.text.contains(flag))
            }
            "execve" | "execveat" | "chdir" | "fchdir" => false,
            _ => true,
        }
    }

    /// The program, its arguments and its environment.
    fn program(&self) -> Option<(&str, &str, &str)> {
        if !self.name.starts_with("execve") || !self.has_succeeded() {
            return None;
        }
        let (arguments, environment) = self.text.split_once("], [").unwrap_or((&self.text, ""));
        let program = arguments.split('"').nth(1)?;
        Some((program, arguments, environment))
    }
}

impl Trace {
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().filter_map(|event| match event {
            Event::Called(call) => Some(call),
            Event::Ended(_) => None,
        })
    }

    /// The programs that were run, after the one that was asked for, and without the guards.
    pub(super) fn programs(&self) -> Vec<&str> {
        let programs = self.runs().filter_map(Call::program).map(|(program, _, _)| program);
        programs.filter(|program| *program != GUARD).collect()
    }

    /// How many calls changed something on a disk.
    pub(super) fn changes(&self) -> usize {
        self.calls().filter(|call| call.is_change() && call.has_succeeded()).count()
    }

    /// Everything that holds for every run.
    pub(super) fn check(&self, host: &Host, token: &str, canary: &Canary) {
        let offences = self.offences(host, token, canary);
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }

    /// What must not be: another program than git, git elsewhere than in staging or with the token among its arguments, a
    /// change outside the root, a look at the canary, somebody at work in what is handed over.
    pub(super) fn offences(&self, host: &Host, token: &str, canary: &Canary) -> Vec<String> {
        let staging = host.root().join(".lazarus/staging");
        let mut offences = self.wrong_programs(&staging, token);
        let gits: BTreeSet<u32> = self.runs().map(|call| call.thread).collect();
        let ours = host.path().join("strace.log");
        for call in self.calls().filter(|call| !call.name.starts_with("execve")) {
            let is_git = gits.contains(&call.thread);
            for path in call.paths().iter().filter(|path| **path != ours) {
                let wrong = wrong_path(call, path, is_git, &host.root()).filter(|_| !path.starts_with(canary.path()));
                let wrong = if path.starts_with(canary.path()) { Some("comes to the canary") } else { wrong };
                offences.extend(wrong.map(|wrong| format!("{wrong}: {call:?}")));
            }
        }
        offences.extend(self.hasty_handovers(&staging).map(|call| format!("hands over what is worked in: {call:?}")));
        offences
    }

    /// The programs after the one that was asked for.
    fn runs(&self) -> impl Iterator<Item = &Call> {
        self.calls().filter(|call| call.program().is_some()).skip(1)
    }

    fn wrong_programs(&self, staging: &Path, token: &str) -> Vec<String> {
        let git = Git::find().unwrap();
        let parts = Command::new(git.path()).arg("--exec-path").output().unwrap();
        let parts = String::from_utf8(parts.stdout).unwrap().trim_end().to_owned();
        let encoded = STANDARD.encode(format!("lazarus-reconcile:{token}"));
        let forbidden = [token, &encoded, "Authorization", "\"-C\"", "\"--git-dir", "\"--work-tree", "\"--exec-path="];
        let mut wrong = Vec::new();
        for (program, arguments, environment) in self.runs().filter_map(Call::program) {
            if program != GUARD && program != git.path().to_str().unwrap() && !Path::new(program).starts_with(&parts) {
                wrong.push(format!("is not git: {program}"));
            }
            if let Some(word) = forbidden.iter().find(|word| arguments.contains(**word)) {
                wrong.push(format!("has {word} among its arguments: {arguments}"));
            }
            let directories = environment.split("\"GIT_DIR=").skip(1).filter_map(|rest| rest.split('"').next());
            let elsewhere = |directory: &&str| *directory != ".git" && !Path::new(directory).starts_with(staging);
            wrong.extend(directories.filter(elsewhere).map(|directory| format!("works in {directory}: {arguments}")));
        }
        wrong
    }

    /// When a worktree or a cell leaves staging, nobody works in it any more.
    fn hasty_handovers(&self, staging: &Path) -> impl Iterator<Item = &Call> {
        let mut at_work = BTreeMap::<u32, PathBuf>::new();
        self.0.iter().filter_map(move |event| match event {
            Event::Ended(thread) => {
                at_work.remove(thread);
                None
            }
            Event::Called(call) if call.name == "chdir" => {
                at_work.insert(call.thread, call.paths().remove(0));
                None
            }
            Event::Called(call) if call.name.starts_with("rename") => {
                let left: Vec<PathBuf> = call.paths().into_iter().filter(|path| path.starts_with(staging)).collect();
                at_work.values().any(|place| left.iter().any(|left| place.starts_with(left))).then_some(call)
            }
            Event::Called(_) => None,
        })
    }
}

/// Whether writing there changes nothing; a guard gives itself its name in `/proc/self/comm`.
fn is_nothing(path: &Path) -> bool {
    path == Path::new("/dev/null") || (path.starts_with("/proc") && path.ends_with("comm"))
}

/// What is wrong about a path in a call.
fn wrong_path(call: &Call, path: &Path, is_git: bool, root: &Path) -> Option<&'static str> {
    let staging = root.join(".lazarus/staging");
    let is_plain = !path.components().any(|part| part == Component::ParentDir);
    // A name alone is where the process is, and git is in staging.
    let is_here = path.is_relative() && is_plain && is_git;
    let is_in_root = path.starts_with(root) && is_plain;
    if matches!(call.name.as_str(), "chdir" | "fchdir") && path != Path::new("/") && !path.starts_with(&staging) {
        Some("goes elsewhere")
    } else if call.is_change() && !is_in_root && !is_here && !is_nothing(path) {
        Some("changes what is outside")
    } else if is_git && path.starts_with(root) && !path.starts_with(&staging) {
        Some("is git, and comes to a cell")
    } else {
        None
    }
}
