//! Whether the missions root is one, is ours, has room, and can be written in.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::fleet::admission::{CapacityLimit, shortage};
use crate::mission::text::{format_bytes, shell_word};
use crate::world::store::root::{ModeProblem, Root, RootError};

/// Looks at the root. It, if there is one to look at.
pub(super) fn look(settings: &Settings, checks: &mut Vec<Check>) -> Option<Root> {
    let path = settings.missions_root.display().to_string();
    let root = match settings.open_root() {
        Ok(root) => root,
        Err(error) => {
            checks.push(refused(settings, &error));
            return None;
        }
    };
    let Some(file) = root.file() else {
        let error = root.check_can_be_initialised().err();
        let found = format!("`{path}` is not initialised");
        checks.push(error.map_or_else(
            || {
                let next = format!("{}, or let the first pass do it", init(settings));
                Check::warning("root", "root-not-initialised", found, next)
            },
            |error| refused(settings, &error),
        ));
        checks.push(space(settings, &root));
        return Some(root);
    };
    checks.push(Check::pass("root", format!("`{path}` is root {} of host `{}`", file.root_id, file.manifest.host)));
    if let (Some(remembered), Some(now)) = (&file.manifest.forge, &settings.forge_url)
        && remembered != now
    {
        let found = format!("its missions come from `{remembered}`, and `forge.url` is `{now}`");
        let (preview, init) = (settings.given.command("--dry-run"), init(settings));
        let next = format!(
            "set `forge.url` right; {preview} shows whether it is the same forge, and if it has moved there for good, {init} \
             remembers that"
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

/// The command that makes it a root.
fn init(settings: &Settings) -> String {
    let path = settings.missions_root.display().to_string();
    settings.given.command(&format!("init --root {}", shell_word(&path)))
}

/// The refusals of a pass, under the same names.
fn refused(settings: &Settings, error: &RootError) -> Check {
    let next = match error {
        RootError::Missing { .. } | RootError::NotInitialised { .. } => {
            format!("{}, or mount its disk", init(settings))
        }
        RootError::Unusable { path, .. } => format!("`namei -l {}`", shell_word(path)),
        RootError::Occupied { .. } => "name an empty directory by `--root` or `missions_root`".to_owned(),
        RootError::Damaged { file, .. } => format!("restore `{file}` from a backup"),
        RootError::NotOwner { owner, .. } => {
            format!("`sudo -u {owner} lazarus-reconcile doctor{}`", settings.given.beside(""))
        }
        RootError::Unwritable { path, .. } => format!("`findmnt -T {}`", shell_word(path)),
        RootError::AnotherRootExpected { .. } | RootError::Foreign { .. } | RootError::Locked { .. } => {
            "do as it says".to_owned()
        }
    };
    Check::failure("root", error.kind(), error.to_string(), next)
}

fn owner(settings: &Settings, root: &Root) -> Check {
    match root.check_owner() {
        Ok(()) => Check::pass("owner", "the root belongs to the account that this runs as"),
        Err(error) => Check { check: "owner", ..refused(settings, &error) },
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
            let found = format!("others may look into `{path}/.lazarus` (mode {own:04o})");
            Check::failure("modes", "root-open", found, format!("`chmod 700 {}/.lazarus`", shell_word(path)))
        }
        Ok((directory, own)) => Check::pass("modes", format!("root {directory:04o}, its own directory {own:04o}")),
        Err(error) => {
            Check::failure("modes", "root-unusable", error.to_string(), format!("`ls -la {}`", shell_word(path)))
        }
    }
}

fn space(settings: &Settings, root: &Root) -> Check {
    let Some(space) = root.space() else { return Check::skipped("space", "the file system does not tell") };
    let next = format!("{}, or a larger disk; until then new missions wait", settings.given.command("gc"));
    match shortage(space, settings.limits) {
        Some(CapacityLimit::FreeInodes(reserve)) => {
            let left = space.inodes.map_or(0, |(free, _)| free);
            Check::failure("space", "root-full", format!("{left} inodes are free, {reserve} are to stay so"), next)
        }
        Some(CapacityLimit::FreeBytes(reserve)) => {
            let (left, reserve) = (format_bytes(space.bytes.0), format_bytes(reserve));
            Check::failure("space", "root-full", format!("{left} are free, {reserve} are to stay so"), next)
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
            None => Check::pass("records", format!("{} issues are remembered", records.by_issue.len())),
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
        Ok(()) => Check::pass("writing", "files can be made, synced and renamed in it"),
        Err(error) => {
            let next =
                format!("`findmnt -T {}`: it has to be a local file system, mounted for writing", shell_word(path));
            Check::failure("writing", error.kind(), error.to_string(), next)
        }
    }
}
