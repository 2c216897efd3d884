//! Whatever is written where a ref or a repository's name belongs: it is refused, or it is harmless to the real git.

use crate::support::git_forge::{GitForge, Manner};
use crate::support::worktree::Place;
use lazarus::mission::identity::{GitRef, RepositoryName};
use lazarus::world::git::CheckoutError;

/// What somebody would try; `X` stands for a command.
const ATTEMPTS: [&str; 62] = [
    "",
    " ",
    "-",
    "--",
    "-X",
    "--X",
    "--upload-pack=X",
    "--upload-pack",
    "-u",
    "-uX",
    "--exec=X",
    "--output=/tmp/x",
    "--template=/tmp",
    "--config=core.fsmonitor=X",
    "-c core.fsmonitor=X",
    "--receive-pack=X",
    "--no-index",
    "--help",
    "ext::sh -c X",
    "ext::X",
    "file:///etc",
    "/etc/passwd",
    "/",
    "//host/x",
    "..",
    ".",
    "../..",
    "a/../b",
    "./a",
    "http://host/x",
    "ssh://-oProxyCommand=X/x",
    "git@host:x",
    "user:pass@host/x",
    "host:path",
    "C:\\x",
    "\\\\host\\x",
    "$(X)",
    "`X`",
    ";X",
    "|X",
    "&X",
    ">x",
    "a b",
    "a\tb",
    "a\nb",
    "a\rb",
    "a\0b",
    "%2e%2e",
    "%00",
    "a%0ab",
    "*",
    "?",
    "[a]",
    "~",
    "^{}",
    ":",
    "@",
    "@{u}",
    "HEAD^{/x}",
    "+refs/heads/*:refs/heads/*",
    "\u{ff0e}\u{ff0e}/x",
    "\u{202e}x",
];

/// How it is written.
const SHAPES: [fn(&str) -> String; 4] =
    [str::to_owned, |text| format!("main{text}"), |text| format!("{text}/main"), |text| format!("main/{text}")];

/// Those that are words like any other to us; what is strange in them is git's to understand.
const STRANGE: [&str; 24] = [
    "HEAD",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "refs",
    "refs/heads",
    "refs/stash",
    "refs/replace/x",
    "config",
    "origin",
    "a/-x",
    "a/--upload-pack",
    "a-",
    "a.",
    "a/.b",
    "a/b.",
    "x.lock/y",
    "0",
    "00000000",
    "main/.git",
    "a/.git/config",
    "0000000000000000000000000000000000000000",
    "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    "refs/pull/1/head",
];

#[test]
fn a_hostile_ref_is_refused_or_unknown() {
    let forge = GitForge::new(Manner::Open);
    let bare = forge.repository("wizards/spellbook");
    bare.publish(&bare.tree(&[("100644", "README", &bare.blob("x"))]));
    let hostile: Vec<String> = ATTEMPTS.iter().flat_map(|text| SHAPES.map(|shape| shape(text))).collect();
    let long = ["a".repeat(202), "a/".repeat(101), format!("{}.lock", "a".repeat(10))];
    let all: Vec<String> = hostile.into_iter().chain(long).chain(STRANGE.map(str::to_owned)).collect();
    let known: Vec<GitRef> = all.iter().filter_map(|text| GitRef::parse(text).ok()).collect();
    assert!(all.len() - known.len() >= 200, "{} of {} are refused", all.len() - known.len(), all.len());
    for git_ref in known {
        let place = Place::new();
        let came = place.check_out(&forge.source("wizards/spellbook").at(Some(git_ref.clone())));
        let is_there = matches!(git_ref.to_string().as_str(), "HEAD" | "main");
        assert_eq!(came.is_ok(), is_there, "{git_ref}");
        assert!(is_there || came == Err(CheckoutError::CannotBeHad), "{git_ref}: {came:?}");
    }
}

#[test]
fn a_hostile_name_of_a_repository_is_refused_or_unknown() {
    let forge = GitForge::new(Manner::Open);
    let shapes: [fn(&str) -> String; 4] = [
        |text| format!("wizards/{text}"),
        |text| format!("{text}/book"),
        |text| format!("wizards/book{text}"),
        str::to_owned,
    ];
    let hostile: Vec<String> = ATTEMPTS.iter().flat_map(|text| shapes.map(|shape| shape(text))).collect();
    let strange =
        ["-/-", "--upload-pack/x", ".git/config", "x/.git", "x/x.git", ".../...", "x/..git", "-c/--exec", "_/_"];
    let all: Vec<String> = hostile.into_iter().chain(strange.map(str::to_owned)).collect();
    let known: Vec<RepositoryName> = all.iter().filter_map(|text| RepositoryName::parse(text).ok()).collect();
    assert!(all.len() - known.len() >= 200, "{} of {} are refused", all.len() - known.len(), all.len());
    for name in known {
        let source = forge.source(&name.to_string());
        assert_eq!(
            source.url().as_str(),
            format!("{}/{name}.git", forge.url),
            "the name is in the path, and only there"
        );
        assert_eq!(Place::new().check_out(&source), Err(CheckoutError::CannotBeHad), "{name}");
    }
}
