//! Whatever is written where a ref or a repository's name belongs: it is refused, or it is harmless to the real git; and
//! what git itself takes for a ref is taken.

use crate::support::git_forge::{GitForge, Manner};
use crate::support::worktree::Place;
use lazarus::mission::identity::{GitRef, RepositoryName};
use lazarus::world::git::CheckoutError;
use std::process::Command;

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
    assert!(all.len() - known.len() >= 150, "{} of {} are refused", all.len() - known.len(), all.len());
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

/// Names of branches and tags that teams have, and some that git alone would take.
const NAMES: [&str; 70] = [
    "v1.28.2+k3s1",
    "feature/#42-raise",
    "effect@4.0.0-beta.65",
    "_wip",
    "größe",
    "日本/語",
    "ветка",
    "🚀",
    "a@b",
    "a@",
    "@a",
    "a/@",
    "@/a",
    "@",
    "@{",
    "a@{b",
    "a{b}",
    "a%b",
    "50%",
    "%2f",
    "a`b",
    "`a`",
    "a'b",
    "a\"b",
    "$HOME",
    "a;b",
    "a&b",
    "a|b",
    "<a>",
    "a,b",
    "a=b",
    "a!",
    "#1",
    "(a)",
    "a#",
    "a.b",
    ".a",
    "a/.b",
    "a.",
    "a./b",
    "a..b",
    "...",
    "a.lock",
    "a.lock/b",
    "a.LOCK",
    "a.locked",
    ".lock",
    "a/b.lock",
    "a/",
    "/a",
    "a//b",
    "a/b/c/d",
    "a-",
    "a/-b",
    "a+",
    "a/+b",
    "a b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b]",
    "a]",
    "a\\b",
    "a\tb",
    "a\u{7f}",
    "a\u{1}",
    "refs/heads/a",
    "HEAD",
];

fn is_taken_by_git(name: &str) -> bool {
    let posted = Command::new("git").args(["check-ref-format", "--allow-onelevel", name]).output().unwrap();
    posted.status.success()
}

#[test]
fn refs_are_accepted_exactly_if_git_accepts_them() {
    let shaped = ATTEMPTS.iter().flat_map(|text| SHAPES.map(|shape| shape(text)));
    let all: Vec<String> = NAMES.iter().chain(&STRANGE).map(|name| (*name).to_owned()).chain(shaped).collect();
    // What these are to a command line, and what is in no argument, is none of git's concern here.
    let is_asked = |name: &&String| !name.starts_with(['-', '+']) && !name.contains(['\0', '\u{202e}']);
    let mut taken = 0;
    for name in all.iter().filter(is_asked) {
        assert_eq!(GitRef::parse(name).is_ok(), is_taken_by_git(name), "{name:?}");
        taken += usize::from(is_taken_by_git(name));
    }
    assert!(taken > 60, "{taken}");
}

#[test]
fn refs_with_invisible_characters_or_leading_signs_are_refused() {
    let unseen = ["\u{202e}", "\u{2066}", "\u{200b}", "\u{200d}", "\u{feff}", "\u{ad}", "\u{e0041}", "\u{2028}"];
    let blank = ["\u{a0}", "\u{2003}", "\u{3000}", "\u{85}"];
    for c in unseen.into_iter().chain(blank) {
        for name in [format!("{c}main"), format!("ma{c}in"), format!("main{c}")] {
            assert!(is_taken_by_git(&name) && GitRef::parse(&name).is_err(), "{name:?}");
        }
    }
    for name in ["-", "-main", "--all", "+", "+main", "+refs/heads/main"] {
        assert!(GitRef::parse(name).is_err(), "{name:?}");
    }
    assert!(GitRef::parse(&"a".repeat(201)).is_ok() && GitRef::parse(&"a".repeat(202)).is_err());
}

#[test]
fn a_branch_or_tag_of_any_accepted_name_is_checked_out() {
    let forge = GitForge::new(Manner::Open);
    let bare = forge.repository("wizards/spellbook");
    let commit = bare.publish(&bare.tree(&[("100644", "README", &bare.blob("x"))]));
    let other = bare.commit(&bare.tree(&[("100644", "README", &bare.blob("y"))]));
    let known: Vec<&str> = NAMES.into_iter().filter(|name| GitRef::parse(name).is_ok()).collect();
    let is_branch = |name: &&&str| !name.starts_with("refs/") && !matches!(**name, "HEAD" | "@a" | "a");
    for (at, name) in known.iter().filter(is_branch).enumerate() {
        let kind = if at % 2 == 0 { "heads" } else { "tags" };
        // git itself makes it, so that it is one.
        bare.git(&["update-ref", &format!("refs/{kind}/{name}"), &other], b"");
        let source = forge.source("wizards/spellbook").at(Some(GitRef::parse(name).unwrap()));
        let came = Place::new().check_out(&source).map(|commit| commit.to_string());
        assert_eq!(came, Ok(other.clone()), "{name}");
        bare.git(&["update-ref", "-d", &format!("refs/{kind}/{name}")], b"");
    }
    assert!(known.len() > 40 && commit != other, "{}", known.len());
}

#[test]
fn a_ref_in_an_older_record_is_still_read() {
    for name in ["a/.b", "x.lock/y", "a.", "main"] {
        let json = format!("\"{name}\"");
        assert_eq!(serde_json::from_str::<GitRef>(&json).unwrap().to_string(), name);
    }
    for name in ["-x", "a b", "a:b", "\u{202e}main", ""] {
        assert!(serde_json::from_str::<GitRef>(&serde_json::to_string(name).unwrap()).is_err(), "{name:?}");
    }
}
