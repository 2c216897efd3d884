//! A worktree comes as its repository says, and whoever works in it can go on with it.

use crate::support::git_forge::{Bare, GitForge, Manner};
use crate::support::worktree::{BRANCH, Place, files, rights};
use lazarus::mission::cell::worktree::UNAVAILABLE;
use lazarus::mission::identity::{ForgeUrl, GitRef, RepositoryName};
use lazarus::world::forge::Token;
use lazarus::world::git::{CheckoutError, CheckoutLimits, CheckoutSource, Destination, FLOOR, Git};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

const NAME: &str = "wizards/spellbook";
const TOKEN: &str = "canary0123456789abcdef";

/// Two commits: the second is the head of the main branch.
struct Spellbook {
    forge: GitForge,
    bare: Bare,
    first: String,
    second: String,
}

impl Spellbook {
    fn new(manner: Manner) -> Self {
        let forge = GitForge::new(manner);
        let bare = forge.repository(NAME);
        let first = bare.commit(&bare.tree(&[("100644", "README", &bare.blob("one\n"))]));
        let tree = bare.tree(&[
            ("100644", "README", &bare.blob("two\n")),
            ("100755", "cast", &bare.blob("#!/bin/sh\n")),
            ("120000", "escape", &bare.blob("/etc/passwd")),
            ("40000", "src", &bare.tree(&[("100644", "main.rs", &bare.blob("fn main() {}\n"))])),
        ]);
        let second = bare.publish(&tree);
        Self { forge, bare, first, second }
    }

    /// The commit that a ref leads to.
    fn commit_at(&self, git_ref: Option<&str>) -> Result<String, CheckoutError> {
        let git_ref = git_ref.map(|text| GitRef::parse(text).unwrap());
        let came = Place::new().check_out(&self.forge.source(NAME).at(git_ref));
        came.map(|commit| commit.to_string())
    }
}

#[test]
fn a_branch_a_tag_a_commit_and_the_default_branch_lead_to_their_commit() {
    let Spellbook { forge, bare, first, second } = Spellbook::new(Manner::Open);
    let tag = |target: &str, kind: &str| {
        let text = format!("object {target}\ntype {kind}\ntag x\ntagger M <m@x> 1700000000 +0000\n\nx\n");
        bare.git(&["hash-object", "-t", "tag", "--literally", "-w", "--stdin"], text.as_bytes())
    };
    let annotated = tag(&first, "commit");
    bare.point("refs/heads/feature/one", &first);
    bare.point("refs/tags/v1", &first);
    bare.point("refs/tags/v2", &annotated);
    bare.point("refs/tags/v3", &tag(&annotated, "tag"));
    bare.point("refs/tags/file", &bare.blob("two\n"));
    bare.point("refs/pull/7/head", &first);
    let book = Spellbook { forge, bare, first: first.clone(), second: second.clone() };
    assert_eq!(book.commit_at(None), Ok(second.clone()));
    for at in ["main", "refs/heads/main", &second] {
        assert_eq!(book.commit_at(Some(at)), Ok(second.clone()), "{at}");
    }
    for at in ["feature/one", "v1", "v2", "v3", "refs/tags/v1", "refs/pull/7/head", &first] {
        assert_eq!(book.commit_at(Some(at)), Ok(first.clone()), "{at}");
    }
    assert_eq!(book.commit_at(Some("file")), Err(CheckoutError::CannotBeHad), "it is no commit");
}

#[test]
fn a_worktree_is_clean_and_allows_commit_fetch_and_push() {
    let book = Spellbook::new(Manner::Open);
    let place = Place::new();
    place.check_out(&book.forge.source(NAME)).unwrap();
    assert_eq!(place.files(), ["README", "cast", "escape", "src", "src/main.rs"]);
    let link = place.worktree().join("escape");
    assert!(link.symlink_metadata().unwrap().is_file(), "a link comes out as a plain file");
    assert_eq!(std::fs::read_to_string(link).unwrap(), "/etc/passwd");
    assert_eq!(place.wizard(&["status", "--porcelain", "--branch"]), format!("## {BRANCH}"));
    std::fs::write(place.worktree().join("README"), "three\n").unwrap();
    place.wizard(&["commit", "--quiet", "--all", "--message", "Three"]);
    assert_eq!(place.wizard(&["status", "--porcelain"]), "");
    assert_eq!(place.wizard(&["config", "remote.origin.url"]), format!("{}/{NAME}.git", book.forge.url));
    place.wizard(&["fetch", "--quiet", "origin"]);
    assert_eq!(place.wizard(&["rev-parse", "origin/main"]), book.second);
    place.wizard(&["push", "--quiet", "origin", "HEAD"]);
    let pushed = book.bare.git(&["rev-parse", &format!("refs/heads/{BRANCH}^")], b"");
    assert_eq!(pushed, book.second, "on top of what was there");
    assert_ne!(book.first, book.second);
}

#[test]
fn a_worktree_gives_its_group_the_rights_of_its_owner() {
    let book = Spellbook::new(Manner::Open);
    // Nobody but root can give files to a group that he is not in.
    let is_root = rustix::process::geteuid().is_root();
    let group = if is_root { 4_242 } else { rustix::process::getegid().as_raw() };
    let place = Place::new();
    place.check_out_within(&book.forge.source(NAME), CheckoutLimits::default(), Some(group)).unwrap();
    let worktree = place.worktree();
    assert_eq!(rights(&worktree), format!("{group} 42770"));
    for path in files(&worktree) {
        let found = rights(&worktree.join(&path));
        let expected: &[&str] = match path.to_str().unwrap() {
            "README" | "escape" | "src/main.rs" | ".git/config" | ".git/index" | ".git/HEAD" => &["100660"],
            "cast" => &["100770"],
            _ if worktree.join(&path).is_dir() => &["42770"],
            _ => &["100440", "100660"],
        };
        assert!(expected.iter().any(|mode| found == format!("{group} {mode}")), "{}: {found}", path.display());
    }
    if is_root {
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(place.wizard_of(group, &["status", "--porcelain"]), "");
        place.wizard_of(group, &["commit", "--quiet", "--allow-empty", "--message", "Mine"]);
    }
    place.wizard(&["commit", "--quiet", "--allow-empty", "--message", "Ours"]);
    assert_eq!(place.wizard(&["log", "--format=%s"]).lines().last(), Some("A spell"));
}

#[test]
fn a_private_repository_is_fetched_with_a_token_that_is_not_stored() {
    let book = Spellbook::new(Manner::Private(TOKEN));
    let place = Place::new();
    let source = book.forge.source(NAME).read_with(Some(Token::parse(TOKEN).unwrap()));
    assert_eq!(place.check_out(&source).unwrap().to_string(), book.second);
    let sent = book.forge.heard();
    assert!(sent.len() >= 2 && sent.iter().all(|header| *header == sent[0]), "{sent:?}");
    let coded = sent[0].strip_prefix("Basic ").unwrap().to_owned();
    for path in files(&place.worktree()) {
        let bytes = std::fs::read(place.worktree().join(&path)).unwrap_or_default();
        for secret in [TOKEN, &coded] {
            let is_there = bytes.windows(secret.len()).any(|found| found == secret.as_bytes());
            assert!(!is_there, "{} holds {secret}", path.display());
        }
    }
    assert!(!place.worktree().join(".git/FETCH_HEAD").exists());
    assert!(!format!("{source:?}").contains(TOKEN));
}

#[test]
fn missing_and_hidden_repositories_and_refs_get_the_same_error() {
    let open = Spellbook::new(Manner::Open);
    let private = Spellbook::new(Manner::Private(TOKEN));
    let at = |text: &str| Some(GitRef::parse(text).unwrap());
    let wrong = Token::parse("wrong").unwrap();
    let moved = GitForge::new(Manner::Moved(open.forge.url.clone()));
    open.forge.repository("wizards/empty");
    let before = open.forge.heard().len();
    let none_to_be_had = [
        moved.source(NAME),
        open.forge.source("wizards/no-such"),
        open.forge.source("wizards/empty"),
        open.forge.source(NAME).at(at("no-such")),
        open.forge.source(NAME).at(at(&"0123456789".repeat(4))),
        open.forge.source(NAME).at(at(&open.second[..12])),
        private.forge.source(NAME),
        private.forge.source(NAME).read_with(Some(wrong)),
        GitForge::new(Manner::Refusing(403)).source(NAME).read_with(Some(Token::parse(TOKEN).unwrap())),
        GitForge::new(Manner::Refusing(404)).source(NAME),
        GitForge::new(Manner::Refusing(410)).source(NAME),
        // A page where the refs should be is to git a repository without any.
        GitForge::new(Manner::Refusing(200)).source(NAME),
    ];
    for source in none_to_be_had {
        let error = Place::new().check_out(&source).unwrap_err();
        assert_eq!((&error, error.kind()), (&CheckoutError::CannotBeHad, "worktree-not-found"), "{source:?}");
        assert_eq!(error.to_string(), UNAVAILABLE);
        if source.url().as_str().starts_with(&moved.url) {
            assert_eq!(open.forge.heard().len(), before, "a redirect is not followed");
        }
    }
}

#[test]
fn a_failing_forge_is_distinguished_from_a_missing_repository() {
    let closed = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let closed = ForgeUrl::parse(&closed).unwrap();
    let name = RepositoryName::parse(NAME).unwrap();
    let open = GitForge::new(Manner::Open).url.replace("http:", "https:");
    let without_tls = ForgeUrl::parse(&open).unwrap();
    let refusing = |status| GitForge::new(Manner::Refusing(status)).source(NAME);
    let sources = [
        (refusing(500), "The requested URL returned error: 500"),
        (refusing(503), "The requested URL returned error: 503"),
        (refusing(429), "The requested URL returned error: 429"),
        (CheckoutSource::new(&closed, &name), "Failed to connect to 127.0.0.1"),
        (CheckoutSource::new(&without_tls, &name), ""),
    ];
    for (source, cause) in sources {
        let error = Place::new().check_out(&source).unwrap_err();
        assert_eq!(error.kind(), "worktree-unreachable", "{cause}: {error}");
        assert!(error.to_string().starts_with(&format!("git cannot fetch from Gitea: {cause}")), "{error}");
    }
}

#[test]
fn a_token_repeated_by_the_forge_is_removed_from_the_error() {
    let forge = GitForge::new(Manner::Telling);
    let source = forge.source(NAME).read_with(Some(Token::parse(TOKEN).unwrap()));
    let error = Place::new().check_out(&source).unwrap_err();
    let expected = "git cannot fetch from Gitea: remote error: Basic …; check that it runs, and `forge.url`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_sha256_repository_is_checked_out_like_any_other() {
    let forge = GitForge::new(Manner::Open);
    let bare = forge.repository(NAME);
    bare.git(&["init", "--quiet", "--bare", "--object-format=sha256"], b"");
    bare.git(&["config", "core.repositoryFormatVersion", "1"], b"");
    bare.git(&["config", "extensions.objectFormat", "sha256"], b"");
    let second = bare.publish(&bare.tree(&[("100644", "README", &bare.blob("two\n"))]));
    assert_eq!(second.len(), 64);
    let place = Place::new();
    assert_eq!(place.check_out(&forge.source(NAME)).unwrap().to_string(), second);
    assert_eq!(place.wizard(&["status", "--porcelain"]), "");
}

#[test]
fn an_occupied_worktree_directory_is_left_alone() {
    let book = Spellbook::new(Manner::Open);
    let place = Place::new();
    std::fs::create_dir(place.worktree()).unwrap();
    std::fs::write(place.worktree().join("mine"), "mine").unwrap();
    let destination = Destination { directory: &place.worktree(), branch: BRANCH, group: None };
    let error =
        Git::find().unwrap().check_out(&book.forge.source(NAME), destination, CheckoutLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot create the worktree: File exists (os error 17)");
    assert_eq!(place.files(), ["mine"]);
}

#[test]
fn git_is_found_in_path_and_must_be_recent_enough() {
    let place = Place::new();
    let found = Git::find().unwrap();
    assert!(found.path().is_absolute() && found.version() >= FLOOR);
    let program = place.path().join("git");
    let find = |text: &str| {
        std::fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Git::find_in(place.path().as_os_str()).map(|git| git.version().to_string()).map_err(|error| error.to_string())
    };
    let shown = program.display();
    assert_eq!(find("echo git version 2.50.1.windows.1"), Ok("2.50".to_owned()));
    assert_eq!(
        find("echo git version 2.30.2"),
        Err(format!("`{shown}` is git 2.30, which is too old; install git 2.39 or newer"))
    );
    assert_eq!(find("echo hello"), Err(format!("`{shown}` does not report a git version; install git 2.39 or newer")));
    let error = Git::find_in(OsStr::new("relative:/nonexistent:")).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        ("no-git", "there is no git in `PATH`; install git 2.39 or newer")
    );
}
