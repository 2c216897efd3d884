//! Checks git, the group of cells, and the directory of the cron heartbeat.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::text::shell_word;
use crate::world::git::{FLOOR, Git};
use rustix::fs::{Access, access};

/// Checks what a pass needs on this host.
pub(super) fn check(settings: &Settings, checks: &mut Vec<Check>) {
    checks.push(git());
    if let Some(group) = &settings.group {
        checks.push(match settings.group_id() {
            Ok(_) => Check::pass("group", format!("new cells belong to the group `{group}`")),
            Err(error) => Check::failure(
                "group",
                "group-missing",
                error.to_string(),
                format!("`groupadd --system {}`", shell_word(group)),
            ),
        });
    }
    if let Some(directory) = &settings.daemon.heartbeat_directory {
        let path = directory.display();
        checks.push(match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Check::pass("cron", format!("the cron heartbeat is written to `{path}`")),
            Err(error) => {
                let found = format!("`daemon.heartbeat_directory`: `{path}` is not writable: {error}");
                let next = format!("`install -d -o \"$USER\" {}`", shell_word(&path.to_string()));
                Check::failure("cron", "heartbeat-directory", found, next)
            }
        });
    }
}

/// Without git, missions run without worktrees.
fn git() -> Check {
    match Git::find() {
        Ok(git) => Check::pass("git", format!("{} at `{}`", git.version(), git.path().display())),
        Err(error) => Check::failure("git", "git-missing", error.to_string(), format!("install git {FLOOR} or later")),
    }
}
