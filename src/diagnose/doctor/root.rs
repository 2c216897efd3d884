//! Checks the missions root: identity, owner, modes, free space, records and writes.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::fleet::admission::{CapacityLimit, shortage};
use crate::mission::text::{format_bytes, shell_word};
use crate::world::store::root::{ModeProblem, Root, RootError};

/// Checks the root, and returns it if it can be opened.
pub(super) fn check(settings: &Settings, checks: &mut Vec<Check>) -> Option<Root> {
    let path = settings.missions_root.display().to_string();
    let root = match settings.open_root() {
        Ok(root) => root,
        Err(error) => {
            checks.push(failure(settings, &error));
            return None;
        }
    };
    let Some(file) = root.file() else {
        let error = root.check_can_be_initialised().err();
        let found = format!("`{path}` is not initialized");
        checks.push(error.map_or_else(
            || {
                let next = format!("{}, or wait for the first pass, which does it", init(settings));
                Check::warning("root", "root-not-initialised", found, next)
            },
            |error| failure(settings, &error),
        ));
        checks.push(space(settings, &root));
        return Some(root);
    };
    checks.push(Check::pass("root", format!("`{path}` is root {} of host `{}`", file.root_id, file.manifest.host)));
    if let (Some(recorded), Some(configured)) = (&file.manifest.forge, &settings.forge_url)
        && recorded != configured
    {
        let found = format!("its missions come from `{recorded}`, but `forge.url` is `{configured}`");
        let (preview, init) = (settings.given.command("--dry-run"), init(settings));
        let next = format!(
            "fix `forge.url`; or, if {preview} shows that it is the same Gitea at a new address, record that with {init}"
        );
        checks.push(Check::warning("root", "root-foreign", found, next));
    }
    checks.push(owner(settings, &root));
    checks.push(modes(&root, &path));
    checks.push(space(settings, &root));
    checks.push(records(settings, &root));
    checks.push(writing(&root, &path));
    Some(root)
}

/// The command that initializes the root.
fn init(settings: &Settings) -> String {
    let path = settings.missions_root.display().to_string();
    settings.given.command(&format!("init --root {}", shell_word(&path)))
}

/// An error that a pass reports too, with the same code.
fn failure(settings: &Settings, error: &RootError) -> Check {
    let next = match error {
        RootError::Missing { .. } | RootError::NotInitialised { .. } => {
            format!("{}, or mount its disk", init(settings))
        }
        RootError::Unusable { path, .. } => format!("`namei -l {}`", shell_word(path)),
        RootError::Occupied { .. } => "name an empty directory with `--root` or `missions_root`".to_owned(),
        RootError::Damaged { file, .. } => format!("restore `{file}` from a backup"),
        RootError::NotOwner { owner, .. } => {
            format!("`sudo -u {owner} lazarus-reconcile doctor{}`", settings.given.beside(""))
        }
        RootError::Unwritable { path, .. } => format!("`findmnt -T {}`", shell_word(path)),
        RootError::AnotherRootExpected { .. } | RootError::Foreign { .. } | RootError::Locked { .. } => {
            "follow the error above".to_owned()
        }
    };
    Check::failure("root", error.kind(), error.to_string(), next)
}

fn owner(settings: &Settings, root: &Root) -> Check {
    match root.check_owner() {
        Ok(()) => Check::pass("owner", "the root belongs to the account that runs `doctor`"),
        Err(error) => Check { check: "owner", ..failure(settings, &error) },
    }
}

fn modes(root: &Root, path: &str) -> Check {
    if let Ok(Some(ModeProblem { is_open, found, next })) = root.mode_problem() {
        return if is_open {
            Check::failure("modes", "root-open", found, next)
        } else {
            Check::warning("modes", "root-readable", found, next)
        };
    }
    match root.modes() {
        Ok((_, own)) if own & 0o077 != 0 => {
            let found = format!("other accounts may read `{path}/.lazarus` (mode {own:04o})");
            Check::failure("modes", "root-open", found, format!("`chmod 700 {}/.lazarus`", shell_word(path)))
        }
        Ok((directory, own)) => Check::pass("modes", format!("root {directory:04o}, its own directory {own:04o}")),
        Err(error) => {
            Check::failure("modes", "root-unusable", error.to_string(), format!("`ls -la {}`", shell_word(path)))
        }
    }
}

fn space(settings: &Settings, root: &Root) -> Check {
    let Some(space) = root.space() else {
        return Check::skipped("space", "the file system does not report its free space");
    };
    let next = format!("{}, or use a larger disk; until then, new missions wait", settings.given.command("gc"));
    match shortage(space, settings.limits) {
        Some(CapacityLimit::FreeInodes(reserve)) => {
            let left = space.inodes.map_or(0, |(free, _)| free);
            Check::failure("space", "root-full", format!("{left} inodes are free, and {reserve} must stay free"), next)
        }
        Some(CapacityLimit::FreeBytes(reserve)) => {
            let (left, reserve) = (format_bytes(space.bytes.0), format_bytes(reserve));
            Check::failure("space", "root-full", format!("{left} are free, and {reserve} must stay free"), next)
        }
        Some(CapacityLimit::Cells(_) | CapacityLimit::CellsPerAuthor(_) | CapacityLimit::NewCellsPerPass(_)) | None => {
            let inodes = space.inodes.map_or(String::new(), |(free, _)| format!(", {free} inodes"));
            Check::pass("space", format!("{} free{inodes}", format_bytes(space.bytes.0)))
        }
    }
}

fn records(settings: &Settings, root: &Root) -> Check {
    match root.records() {
        Ok(records) => match records.damaged.values().next() {
            None => Check::pass("records", format!("{} records of issues", records.by_issue.len())),
            Some(message) => {
                let others = records.damaged.len() - 1;
                let more = if others == 0 { String::new() } else { format!("; and {others} more") };
                let next = settings.given.command("status");
                Check::failure("records", "record-damaged", format!("{message}{more}"), next)
            }
        },
        Err(error) => Check::failure("records", error.kind(), error.to_string(), "restore it from a backup"),
    }
}

fn writing(root: &Root, path: &str) -> Check {
    match root.probe_rename() {
        Ok(()) => Check::pass("writing", "files can be created, synced and renamed in the root"),
        Err(error) => {
            let next =
                format!("`findmnt -T {}`: it has to be a local file system, mounted read-write", shell_word(path));
            Check::failure("writing", error.kind(), error.to_string(), next)
        }
    }
}
