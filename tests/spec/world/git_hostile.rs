//! Whatever a repository holds, git does nothing with it but its work.

use crate::support::git_forge::{Bare, GitForge, Manner};
use crate::support::worktree::{Place, files};
use std::path::Path;

const NAME: &str = "wizards/trap";

/// A tree, and the ids of what it is made of.
pub(crate) type Plant = fn(&Bare, &Path) -> String;

/// Repositories that git takes although they want something.
pub(crate) const TAKEN: [(&str, Plant); 13] = [
    ("hooks", |bare, outside| {
        let hook = bare.blob(format!("#!/bin/sh\ntouch {}/hooked\n", outside.display()));
        let names = ["post-checkout", "post-index-change", "post-merge", "reference-transaction"];
        let hooks = bare.tree(&names.map(|name| ("100755", name, hook.as_str())));
        bare.tree(&[("40000", ".githooks", &hooks), ("40000", "hooks", &hooks)])
    }),
    ("a file submodule", |bare, outside| submodule(bare, &format!("file://{}", outside.display()))),
    ("a program as a submodule", |bare, outside| submodule(bare, &format!("ext::touch {}/x", outside.display()))),
    ("a submodule elsewhere", |bare, _| submodule(bare, "https://127.0.0.1:1/x/y.git")),
    ("filters", |bare, outside| {
        let attributes = "* filter=lfs diff=lfs merge=lfs -text\n*.t filter=x ident\n";
        let settings =
            format!("[filter \"x\"]\nsmudge = touch {0}/smudged\nprocess = touch {0}/smudged\n", outside.display());
        bare.tree(&[
            ("100644", ".gitattributes", &bare.blob(attributes)),
            ("100644", ".gitconfig", &bare.blob(settings)),
            ("100644", "x.t", &bare.blob("$Id$")),
        ])
    }),
    ("another encoding", |bare, _| {
        let attributes = "*.txt text eol=crlf working-tree-encoding=UTF-16\n*.nul working-tree-encoding=no-such\n";
        let text = bare.blob("one\ntwo\n");
        bare.tree(&[
            ("100644", ".gitattributes", &bare.blob(attributes)),
            ("100644", "a.nul", &text),
            ("100644", "a.txt", &text),
        ])
    }),
    ("links out", |bare, outside| {
        bare.tree(&[
            ("120000", "absolute", &bare.blob(outside.display().to_string())),
            ("120000", "dots", &bare.blob("../outside")),
            ("120000", "own", &bare.blob(".git/hooks")),
        ])
    }),
    ("a link as attributes", |bare, _| bare.tree(&[("120000", ".gitattributes", &bare.blob("/etc/passwd"))])),
    ("names like options", |bare, _| {
        let blob = bare.blob("x");
        bare.tree(&[
            ("100644", "--upload-pack=touch x", &blob),
            ("100644", "--work-tree=..", &blob),
            ("100644", "-c", &blob),
            ("100644", ":(top)x", &blob),
            ("100644", "HEAD", &blob),
            ("100644", "refs", &blob),
        ])
    }),
    ("names that are hard to print", |bare, _| {
        let blob = bare.blob("x");
        bare.tree(&[
            ("100644", "\u{1b}[2J", &blob),
            ("100644", "a\tb", &blob),
            ("100644", "a\nb", &blob),
            ("100644", "a\rb", &blob),
            ("100644", "c:\\x", &blob),
            ("100644", "\u{202e}gpj", &blob),
        ])
    }),
    ("a repository in it", |bare, outside| {
        let settings = format!("[core]\nbare = true\nfsmonitor = touch {}/monitored\n", outside.display());
        let empty = bare.tree(&[("100644", "x", &bare.blob("x"))]);
        bare.tree(&[
            ("100644", "HEAD", &bare.blob("ref: refs/heads/main\n")),
            ("100644", "config", &bare.blob(settings)),
            ("40000", "objects", &empty),
            ("40000", "refs", &empty),
        ])
    }),
    ("a mode of old", |bare, _| bare.tree(&[("100664", "x", &bare.blob("x")), ("040000", "y", &bare.tree(&[]))])),
    ("an agent's files", |bare, outside| {
        let line = bare.blob(format!("touch {}/ran\n", outside.display()));
        bare.tree(&[("100644", ".envrc", &line), ("100644", "AGENTS.md", &line), ("100644", "Makefile", &line)])
    }),
];

/// Repositories that no checkout is made of.
pub(crate) const REFUSED: [(&str, Plant); 12] = [
    ("git's own", |bare, _| named(bare, ".git")),
    ("in capitals", |bare, _| named(bare, ".GIT")),
    ("of Windows", |bare, _| named(bare, "git~1")),
    ("of macOS", |bare, _| named(bare, ".g\u{200c}it")),
    ("deeper", |bare, _| bare.tree(&[("40000", "x", &named(bare, ".git"))])),
    ("here", |bare, _| named(bare, ".")),
    ("above", |bare, _| named(bare, "..")),
    ("a path", |bare, _| bare.tree(&[("100644", "../outside/canary", &bare.blob("x"))])),
    ("an absolute path", |bare, _| bare.tree(&[("100644", "/etc/passwd", &bare.blob("x"))])),
    ("a name twice", |bare, _| {
        // First a link, then a directory in its place: whoever writes both writes elsewhere.
        let inner = bare.tree(&[("100644", "canary", &bare.blob("x"))]);
        bare.tree(&[("120000", "a", &bare.blob("../outside")), ("40000", "a", &inner)])
    }),
    ("a submodule with an option for a name", |bare, _| submodule(bare, "-u./payload")),
    ("a link as the list of submodules", |bare, _| bare.tree(&[("120000", ".gitmodules", &bare.blob("/etc/passwd"))])),
];

fn named(bare: &Bare, name: &str) -> String {
    bare.tree(&[("40000", name, &bare.tree(&[("100644", "config", &bare.blob("x"))]))])
}

fn submodule(bare: &Bare, url: &str) -> String {
    let settings = format!("[submodule \"x\"]\npath = sub\nurl = {url}\nupdate = checkout\nbranch = main\n");
    bare.tree(&[("100644", ".gitmodules", &bare.blob(settings)), ("160000", "sub", &"1".repeat(40))])
}

#[test]
fn a_hostile_repository_gets_a_plain_checkout() {
    let forge = GitForge::new(Manner::Open);
    for (name, plant) in TAKEN {
        let (bare, place) = (forge.repository(NAME), Place::new());
        let commit = bare.publish(&plant(&bare, &place.path().join("outside")));
        assert_eq!(place.check_out(&forge.source(NAME)).unwrap().to_string(), commit, "{name}");
        for path in files(&place.worktree()) {
            assert!(!place.worktree().join(&path).is_symlink(), "{name}: {}", path.display());
        }
        let submodule = place.worktree().join("sub");
        assert!(!submodule.exists() || files(&submodule).is_empty(), "{name}");
        assert_eq!(place.wizard(&["status", "--porcelain", "--ignore-submodules"]), "", "{name}");
        place.check_untouched();
    }
}

#[test]
fn an_unsafe_repository_is_refused() {
    let forge = GitForge::new(Manner::Open);
    for (name, plant) in REFUSED {
        let (bare, place) = (forge.repository(NAME), Place::new());
        bare.publish(&plant(&bare, &place.path().join("outside")));
        let error = place.check_out(&forge.source(NAME)).expect_err(name);
        assert_eq!(error.kind(), "worktree-unfit", "{name}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("the repository cannot be checked out safely: object "), "{name}: {text}");
        assert!(text.len() < 250 && !text.contains(char::is_control), "{name}: {text}");
    }
}

#[test]
fn history_flaws_of_old_tools_are_accepted() {
    let forge = GitForge::new(Manner::Open);
    let who = "Merlin <merlin@example.com> 1700000000 +0000";
    let authors = [
        "Merlin<m@x> 1 +0000",
        " <m@x> 1 +0000",
        "Merlin <m@x> 1 +051800",
        "Merlin <m@x> 01 +0000",
        "Merlin <m@x>1 +0000",
        "Merlin 1 +0000",
    ];
    let bare = forge.repository(NAME);
    for author in authors {
        let tree = bare.tree(&[("0100644", "x", &bare.blob("x"))]);
        let text = format!("tree {tree}\nauthor {author}\ncommitter {who}\n\nOld\n");
        let commit = bare.git(&["hash-object", "-t", "commit", "--literally", "-w", "--stdin"], text.as_bytes());
        bare.point("refs/heads/main", &commit);
        assert_eq!(Place::new().check_out(&forge.source(NAME)).unwrap().to_string(), commit, "{author}");
    }
}
