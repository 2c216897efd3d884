//! The house keeps its floors: imports point down only, the heart is pure, and the sandbox stands alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every source file: its path below `src`, and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut left: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources are here: {}", root.display());
    found
}

/// The modules of this crate that a text names, by their first part below the crate.
fn named(text: &str) -> Vec<&str> {
    let after = text.split("crate::").skip(1);
    after.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

/// Each folder of the sources, and the folders that it may import from beside itself; `docs/architecture.md` draws them.
const LAYERS: [(&str, &[&str]); 11] = [
    ("mission", &[]),
    ("world", &["mission"]),
    ("config", &["mission", "world"]),
    ("agent", &["mission", "world"]),
    ("engine", &["config", "mission", "world"]),
    ("provision", &["config", "mission", "world"]),
    ("diagnose", &["config", "engine", "mission", "provision", "world"]),
    ("http", &["config", "diagnose", "engine", "mission", "world"]),
    ("sandbox", &[]),
    ("demo", &["agent", "config", "engine", "mission", "sandbox", "world"]),
    ("cli", &["agent", "config", "demo", "diagnose", "engine", "http", "mission", "provision", "world"]),
];

#[test]
fn law_1_downward_imports_point_down_only() {
    let sources = sources();
    for (path, text) in sources.iter().filter(|(path, _)| path.contains('/') && !path.starts_with("bin/")) {
        let folder = path.split('/').next().unwrap();
        let below = LAYERS.iter().find(|(name, _)| *name == folder).map(|(_, below)| *below);
        let below = below.unwrap_or_else(|| panic!("src/{folder} is a new folder: say what it may import"));
        for module in named(text) {
            assert!(
                module == folder || below.contains(&module),
                "src/{path} names crate::{module}; {folder} may name only {below:?}"
            );
        }
    }
    // Nothing is left loose beside the folders, and no row is left behind.
    let loose: Vec<&str> = sources.iter().map(|(path, _)| path.as_str()).filter(|path| !path.contains('/')).collect();
    assert_eq!(loose, ["lib.rs", "main.rs"]);
    for (position, (folder, below)) in LAYERS.iter().enumerate() {
        assert!(sources.iter().any(|(path, _)| path.starts_with(&format!("{folder}/"))), "src/{folder} is gone");
        for name in *below {
            let is_above = LAYERS[..position].iter().any(|(above, _)| above == name);
            assert!(is_above, "{folder} imports {name}, which is not listed before it");
        }
    }
}

/// Each file with the files that it imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let is_file = |path: &String| sources.iter().any(|(known, _)| known == path);
    let imported = |line: &str| -> Option<String> {
        let path = line.trim().trim_start_matches("pub ").strip_prefix("use crate::")?;
        let parts: Vec<&str> = path.split("::").collect();
        // The longest beginning of the path that is a file; the rest names something in it.
        let files = (1..=parts.len()).rev().flat_map(|count| {
            let stem = parts[..count].join("/");
            [format!("{stem}.rs"), format!("{stem}/mod.rs")]
        });
        files.map(|file| file.replace(';', "")).find(is_file)
    };
    sources.iter().map(|(path, text)| (path.clone(), text.lines().filter_map(imported).collect())).collect()
}

#[test]
fn law_1_downward_imports_between_files_form_no_cycle() {
    let mut left = imports();
    assert!(left["mission/plan/mod.rs"].contains("mission/status/compose.rs"), "imports are read as they are written");
    // Whatever imports nothing that is left can be taken away; a circle cannot.
    loop {
        let ground: Vec<String> = left
            .iter()
            .filter(|(path, imports)| imports.iter().all(|import| import == *path || !left.contains_key(import)))
            .map(|(path, _)| path.clone())
            .collect();
        if ground.is_empty() {
            break;
        }
        left.retain(|path, _| !ground.contains(path));
    }
    assert_eq!(left.keys().collect::<Vec<_>>(), [""; 0], "these import each other");
}

#[test]
fn the_mission_module_uses_no_file_socket_clock_or_environment() {
    let impure = [
        "async ",
        ".await;",
        ".await?",
        ".await.",
        ".await)",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "::now(",
        "reqwest",
        "tokio",
        "rustix",
    ];
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("mission/")) {
        for word in impure {
            assert!(!text.contains(word), "src/{path} holds `{word}`");
        }
    }
}

#[test]
fn only_arguments_and_reports_know_dry_run_and_readers_hold_no_writer() {
    for (path, text) in sources() {
        let is_allowed = matches!(
            path.as_str(),
            "cli/arguments.rs" | "cli/commands/mod.rs" | "engine/report.rs" | "provision/install/report.rs"
        );
        assert!(is_allowed || !text.contains("dry_run"), "src/{path} knows of a dry run");
        let is_reader = path.starts_with("engine/survey") || path.ends_with("observer.rs");
        assert!(!is_reader || !text.contains("Writer"), "src/{path} holds a writer");
    }
}

/// Parts of `src/world` that reach neither the forge nor the disk.
const NEUTRAL: [&str; 2] = ["use crate::world::clock;", "use crate::world::catch_unwind::catch_unwind;"];

#[test]
fn http_uses_only_heartbeats_and_the_clock_of_the_world_module() {
    let found: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with("http/"))
        .flat_map(|(path, text)| text.lines().map(|line| (path.clone(), line.to_owned())).collect::<Vec<_>>())
        .filter(|(_, line)| line.contains("world") && !NEUTRAL.contains(&line.as_str()))
        .collect();
    let heartbeats = "use crate::world::cells::heartbeats::{HeartbeatReceiver, HeartbeatRejected};";
    assert_eq!(found, [("http/mod.rs".to_owned(), heartbeats.to_owned())]);
}

/// Ways to a clock, to a wait and to chance.
const WAYS: [&str; 25] = [
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant::now",
    "elapsed(",
    "::elapsed",
    "clock_gettime",
    "Timespec",
    "tokio::time",
    "tracing_subscriber::fmt",
    "thread::sleep",
    "park_timeout",
    "wait_timeout",
    "recv_timeout",
    "connect_timeout",
    "read_timeout",
    "shutdown_timeout",
    ".timeout(",
    "fastrand",
    "rand::",
    "getrandom",
    "new_v4",
    "new_v7",
    "now_v",
    "RandomState::",
];

/// Who goes one of these ways, and why.
const GOES: [(&str, &[&str], &str); 11] = [
    (
        "world/clock.rs",
        &["SystemTime", "Instant::now", "clock_gettime", "tokio::time", "thread::sleep"],
        "time is read and waited for here",
    ),
    ("world/random.rs", &["fastrand", "rand::", "new_v4", "RandomState::"], "everything is drawn here"),
    ("sandbox/seams.rs", &["Utc::now", "tokio::time", "new_v4"], "the same for the sandbox, which names nothing else"),
    ("sandbox/fault.rs", &["fastrand", "rand::"], "its numbers follow from the seed that a test names"),
    ("world/git/child.rs", &["Timespec"], "the kernel wakes it when a child has said something, or at a deadline"),
    ("world/blocking_pool.rs", &["wait_timeout"], "threads that hang on a disk are waited for by a thread"),
    (
        "world/http_client.rs",
        &["connect_timeout", ".timeout("],
        "limits of the HTTP client, which keeps them by itself",
    ),
    ("world/forge/connection.rs", &["connect_timeout", "read_timeout", ".timeout("], "the same"),
    ("http/server.rs", &["read_timeout"], "turns a timer of hyper's off"),
    ("cli/commands/mod.rs", &["shutdown_timeout"], "the end of the process"),
    ("cli/console.rs", &["tracing_subscriber::fmt"], "the log's own stamps, which are part of no decision"),
];

#[test]
fn time_and_randomness_come_only_through_their_own_modules() {
    // Types read nothing.
    let types = ["use tokio::time::Instant;", "use tokio::time::MissedTickBehavior;"];
    let both = "use tokio::time::{Instant, MissedTickBehavior};";
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let lines = text.lines().filter(|line| !types.contains(line) && *line != both);
        for line in lines {
            let ways = WAYS.iter().filter(|way| line.contains(*way));
            found.extend(ways.map(|way| (path.clone(), (*way).to_owned())));
        }
    }
    let goes = GOES.iter().flat_map(|(path, ways, _)| ways.iter().map(|way| ((*path).to_owned(), (*way).to_owned())));
    let goes: BTreeSet<(String, String)> = goes.collect();
    assert_eq!(
        found.difference(&goes).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new(),
        "these go round the seams"
    );
    assert_eq!(goes.difference(&found).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "these do not any more");
}

#[test]
fn no_two_types_of_the_crate_share_a_name() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        for line in text.lines() {
            let line = line.trim_start();
            let Some(rest) =
                line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(")?.split_once(") ").map(|it| it.1))
            else {
                continue;
            };
            let keyword =
                ["struct ", "enum ", "trait ", "type "].into_iter().find_map(|keyword| rest.strip_prefix(keyword));
            let name = keyword.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
            if let Some(name) = name {
                places.entry(name.to_owned()).or_default().insert(path.clone());
            }
        }
    }
    assert!(places.len() > 250 && places.contains_key("Lifecycle"), "types are found: {}", places.len());
    let shared: Vec<_> = places.iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert!(shared.is_empty(), "these names stand for two types: {shared:?}");
}

#[test]
fn every_module_starts_with_a_doc_comment_and_has_no_test_branch() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "src/{path} does not open with a sentence");
        assert!(!text.contains("cfg(test)") && !text.contains("cfg(not(test))"), "src/{path}");
    }
}
