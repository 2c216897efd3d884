//! What is made of a repository has the bounds of what is in it: whatever its attributes say, what is written is counted.

use crate::support::git_forge::{Bare, GitForge, Manner};
use crate::support::worktree::{Place, files};
use crate::world::removal::dig;
use lazarus::world::git::{CheckoutError, CheckoutLimits, Git};
use lazarus::world::store::removal::{BUDGET, remove_tree_at};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const NAME: &str = "wizards/grower";

/// How many files of these bytes there are.
const FILES: usize = 8;

/// A tree of equal files with these attributes, and how many bytes it holds.
fn plant(bare: &Bare, attributes: &str, text: &str, count: usize) -> (String, u64) {
    let (rules, blob) = (bare.blob(attributes), bare.blob(text));
    let names: Vec<String> = (0..count).map(|at| format!("{at:04}.t")).collect();
    let files = names.iter().map(|name| ("100644", name.as_str(), blob.as_str()));
    let entries: Vec<_> = [("100644", ".gitattributes", rules.as_str())].into_iter().chain(files).collect();
    (bare.tree(&entries), u64::try_from(attributes.len() + text.len() * count).unwrap())
}

fn within(bytes: u64) -> CheckoutLimits {
    CheckoutLimits { bytes, ..CheckoutLimits::default() }
}

/// How many bytes the files of a worktree have, git's own left out.
fn size(place: &Place) -> u64 {
    place.files().iter().map(|path| place.worktree().join(path).metadata().unwrap()).map(|file| file.len()).sum()
}

#[test]
fn law_8_bounded_files_count_with_their_size_after_attributes() {
    let (lines, words) = ("\n".repeat(16_384), "abracadabra ".repeat(1_024));
    let (unexpanded, mixed) = ("$Id$ ".repeat(2_048), format!("{}{}", "$Id$\n".repeat(1_024), "\n".repeat(8_192)));
    for (attributes, text) in [
        ("*.t ident\n", &unexpanded),
        ("*.t text eol=crlf\n", &lines),
        ("*.t eol=crlf\n", &lines),
        ("* text=auto eol=crlf\n", &lines),
        ("*.t working-tree-encoding=UTF-16\n", &words),
        ("*.t text working-tree-encoding=UTF-32LE\n", &words),
        ("[attr]large working-tree-encoding=UTF-32\n*.t large\n", &words),
        ("*.t text eol=crlf ident\n", &mixed),
    ] {
        let (forge, place) = (GitForge::new(Manner::Open), Place::new());
        let bare = forge.repository(NAME);
        let (tree, held) = plant(&bare, attributes, text, FILES);
        bare.publish(&tree);
        place.check_out(&forge.source(NAME)).unwrap();
        let written = size(&place);
        // No file of it is too large by itself, and what the commit holds is not too large either.
        let limit = held + (written - held) / 2;
        assert!(written >= held * 3 / 2 && written < limit * 8, "{attributes}: {held} bytes became {written}");
        let refused = Place::new().check_out_within(&forge.source(NAME), within(limit), None);
        assert_eq!(refused.unwrap_err(), CheckoutError::TooLarge { limit }, "{attributes}");
        Place::new().check_out_within(&forge.source(NAME), within(written), None).expect(attributes);
    }
}

#[test]
fn law_8_bounded_attributes_without_effect_add_no_bytes() {
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9999999999\n", "5a".repeat(32));
    let long = "x".repeat(9_000);
    for (name, attributes, mode, text) in [
        ("an LFS pointer", "*.t filter=lfs diff=lfs merge=lfs -text\n", "100644", pointer.as_str()),
        ("a filter", "*.t filter=grow\n", "100644", "x\n"),
        ("export-subst", "*.t export-subst\n", "100644", "$Format:%H%H%H%H$\n"),
        ("a link", "*.t eol=crlf ident\n", "120000", "../outside"),
        ("a long link", "*.t working-tree-encoding=UTF-32\n", "120000", &long),
        ("binary", "*.t binary ident=\n", "100644", "\n\n\n"),
        ("an unknown encoding", "*.t working-tree-encoding=no-such\n", "100644", "x\n"),
        ("sparse patterns", "*.t -text\n", "100644", "/*\n!/*.t\n"),
    ] {
        let (forge, place) = (GitForge::new(Manner::Open), Place::new());
        let bare = forge.repository(NAME);
        let (rules, blob) = (bare.blob(attributes), bare.blob(text));
        let settings = bare.blob("[submodule \"sub\"]\npath = sub\nurl = ../other.git\n");
        let held = attributes.len() + text.len() + bare.git(&["cat-file", "blob", &settings], b"").len() + 1;
        bare.publish(&bare.tree(&[
            ("100644", ".gitattributes", &rules),
            ("100644", ".gitmodules", &settings),
            (mode, "a.t", &blob),
            ("160000", "sub", &"1".repeat(40)),
        ]));
        let limit = u64::try_from(held).unwrap();
        let less = Place::new().check_out_within(&forge.source(NAME), within(limit - 1), None);
        assert_eq!(less.unwrap_err(), CheckoutError::TooLarge { limit: limit - 1 }, "{name}");
        // The pack and git's own files have the same limit, each by itself.
        place.check_out_within(&forge.source(NAME), within(limit.max(4_096)), None).expect(name);
        assert_eq!((size_of_files(&place), place.files().len()), (limit, 4), "{name}");
        assert_eq!(std::fs::read_to_string(place.worktree().join("a.t")).unwrap(), text, "{name}");
        assert!(files(&place.worktree().join("sub")).is_empty(), "{name}");
    }
}

/// The same, directories left out.
fn size_of_files(place: &Place) -> u64 {
    let files = place.files().into_iter().map(|path| place.worktree().join(path).metadata().unwrap());
    files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

#[test]
fn law_8_bounded_a_growing_checkout_is_stopped_early() {
    const COUNT: usize = 400;
    let (forge, place) = (GitForge::new(Manner::Open), Place::new());
    let bare = forge.repository(NAME);
    let (tree, held) = plant(&bare, "*.t ident\n", &"$Id$".repeat(50_000), COUNT);
    bare.publish(&tree);
    let (most, is_over, worktree) = (AtomicUsize::new(0), AtomicBool::new(false), place.worktree());
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let count = std::fs::read_dir(&worktree).into_iter().flatten().count();
                most.fetch_max(count, Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let refused = place.check_out_within(&forge.source(NAME), within(held + 1), None);
        is_over.store(true, Ordering::Relaxed);
        refused
    });
    assert_eq!(refused.unwrap_err(), CheckoutError::TooLarge { limit: held + 1 });
    assert!(
        most.load(Ordering::Relaxed) < COUNT,
        "it was stopped at {} of {COUNT} files",
        most.load(Ordering::Relaxed)
    );
}

#[test]
fn a_worktree_that_is_too_deep_is_refused_without_deep_recursion() {
    let place = Place::new();
    dig(&place.worktree(), 5_000);
    let directory = openat(CWD, place.worktree(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let hand_over = move || Git::hand_over(directory.as_fd(), None, Duration::from_secs(60));
    let small = std::thread::Builder::new().stack_size(64 * 1024).spawn(hand_over).unwrap();
    let error = small.join().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the repository cannot be checked out safely: it has directories more than 64 deep; fix that in the repository"
    );
    remove_tree_at(&place.worktree(), BUDGET).unwrap();
}
