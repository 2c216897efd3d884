//! What a wizard can put where a part of its cell was.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The parts of a cell by their paths.
const DIRECTORIES: [&str; 6] = ["meta", "config", "state", "logs", "artifacts", "worktree"];
const FILES: [&str; 5] =
    ["meta/mission.json", "config/cell.json", "config/heartbeat.token", "state/heartbeat.json", "logs/daemon.log"];

/// What stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A link to the same part of the canary.
    Link,
    /// A link that leads to the same by way of the root and `..`.
    Upwards,
    /// A link to what would be made in the canary by whoever writes through it.
    Dangling,
    /// A link to what our own process keeps in its environment.
    Process,
    /// A link to itself.
    Circle,
    File,
    Directory,
    Fifo,
    Socket,
    Device,
    /// A second name of a file of the canary.
    HardLink,
    /// A terabyte, of which nothing is on the disk.
    Huge,
    /// No text.
    Garbage,
    /// JSON that is far too deep.
    Deep,
}

const FOR_DIRECTORIES: [Shape; 9] = [
    Shape::Link,
    Shape::Upwards,
    Shape::Dangling,
    Shape::Circle,
    Shape::File,
    Shape::Fifo,
    Shape::Socket,
    Shape::Device,
    Shape::HardLink,
];

const FOR_FILES: [Shape; 13] = [
    Shape::Link,
    Shape::Upwards,
    Shape::Dangling,
    Shape::Process,
    Shape::Circle,
    Shape::Directory,
    Shape::Fifo,
    Shape::Socket,
    Shape::Device,
    Shape::HardLink,
    Shape::Huge,
    Shape::Garbage,
    Shape::Deep,
];

/// A worktree and what a wizard makes of it; `X` stands for a command that would show.
const WORKTREES: [(&str, &str); 12] = [
    (
        ".git/config",
        "[core]\nfsmonitor = X\nhooksPath = .git/hooks\nsshCommand = X\neditor = X\npager = X\naskPass = X\n",
    ),
    (".git/config", "[include]\npath = ../../../canary/worktree/.git/config\n[core]\nworktree = ../../../../canary\n"),
    (
        ".git/config",
        "[filter \"x\"]\nclean = X\nsmudge = X\nprocess = X\nrequired = true\n[diff \"x\"]\ntextconv = X\n",
    ),
    (".git/config", "[alias]\nreset = !X\n[credential]\nhelper = !X\n[remote \"origin\"]\nuploadpack = X\nvcs = X\n"),
    (".git", "gitdir: ../../../canary/worktree/.git\n"),
    (".git", "gitdir: /proc/self/cwd\n"),
    (".git/commondir", "../../../../canary/worktree/.git\n"),
    (".git/objects/info/alternates", "../../../../../canary/worktree/.git\n"),
    (".git/hooks/post-checkout", "#!/bin/sh\nX\n"),
    (".git/hooks/reference-transaction", "#!/bin/sh\nX\n"),
    (".git/info/attributes", "* filter=x diff=x merge=x\n"),
    (".gitattributes", "* filter=x diff=x merge=x\n"),
];

/// One thing that is done to one cell.
#[derive(Clone, Debug)]
pub(super) enum Trap {
    /// A part, and what stands in its place.
    Part(&'static str, Shape),
    /// A file in the worktree, and what it says.
    Written(&'static str, &'static str),
    /// A link in the worktree's own `.git`.
    GitLink,
    /// A link among the parts that only we make.
    Beside(&'static str),
    /// The cell is a link to the canary.
    Cell(Shape),
}

/// All of them.
pub(super) fn traps() -> Vec<Trap> {
    let directories = DIRECTORIES.iter().flat_map(|part| FOR_DIRECTORIES.map(|shape| Trap::Part(part, shape)));
    let files = FILES.iter().flat_map(|part| FOR_FILES.map(|shape| Trap::Part(part, shape)));
    let written = WORKTREES.iter().map(|(path, text)| Trap::Written(path, text));
    let beside =
        ["logs/daemon.log.1", "state/.heartbeat.json", "meta/.mission.json", "artifacts/out"].map(Trap::Beside);
    let cells = [Shape::Link, Shape::Dangling, Shape::Circle, Shape::File, Shape::Fifo].map(Trap::Cell);
    directories.chain(files).chain(written).chain([Trap::GitLink]).chain(beside).chain(cells).collect()
}

impl Trap {
    /// Sets it in a cell that is whole. Everything outside that it leads to is the canary.
    pub(super) fn set(&self, cell: &Path, canary: &Path) {
        match self {
            Self::Part(part, shape) => put(*shape, &cell.join(part), part, canary),
            Self::Cell(shape) => put(*shape, cell, "", canary),
            Self::Beside(part) => symlink(canary.join(part), cell.join(part)).unwrap(),
            Self::GitLink => symlink(canary.join("worktree/.git"), cell.join("worktree/.git")).unwrap(),
            Self::Written(path, text) => {
                let path = cell.join("worktree").join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let command = format!("touch {}", canary.join("ran").display());
                std::fs::write(path, text.replace('X', &command)).unwrap();
            }
        }
    }
}

fn put(shape: Shape, at: &Path, part: &str, canary: &Path) {
    if at.is_dir() {
        std::fs::remove_dir_all(at).unwrap();
    } else {
        std::fs::remove_file(at).unwrap();
    }
    let node = |kind| mknodat(CWD, at, kind, Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 3));
    match shape {
        Shape::Link => symlink(canary.join(part), at).unwrap(),
        Shape::Upwards => {
            let steps = "../".repeat(part.matches('/').count() + 2);
            symlink(format!("{steps}canary/{part}"), at).unwrap();
        }
        Shape::Dangling => symlink(canary.join("made-through-a-link"), at).unwrap(),
        Shape::Process => symlink("/proc/self/environ", at).unwrap(),
        Shape::Circle => symlink(at, at).unwrap(),
        Shape::File => std::fs::write(at, "x").unwrap(),
        Shape::Directory => std::fs::create_dir(at).unwrap(),
        Shape::Fifo => node(FileType::Fifo).unwrap(),
        // The name of a socket may be only so long.
        Shape::Socket => drop(bind_in(at)),
        // Who may make none makes something that is no better.
        Shape::Device => node(FileType::CharacterDevice).or_else(|_| node(FileType::Fifo)).unwrap(),
        Shape::HardLink => {
            let part = if part.contains('/') { part } else { "artifacts/hand-off.txt" };
            std::fs::hard_link(canary.join(part), at).unwrap();
        }
        Shape::Huge => std::fs::File::create(at).unwrap().set_len(1 << 40).unwrap(),
        Shape::Garbage => std::fs::write(at, [0xff, 0xfe, 0, b'{']).unwrap(),
        Shape::Deep => std::fs::write(at, "[".repeat(60_000)).unwrap(),
    }
}

fn bind_in(at: &Path) -> UnixListener {
    UnixListener::bind(at).unwrap_or_else(|error| panic!("{}: {error}", at.display()))
}
