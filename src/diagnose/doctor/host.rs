//! What a pass needs of the host: git, the group for cells, and where the cron heartbeat goes.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::text::shell_word;
use crate::world::git::{FLOOR, Git};
use rustix::fs::{Access, access};

/// Looks at the host.
pub(super) fn look(settings: &Settings, checks: &mut Vec<Check>) {
    checks.push(git());
    if let Some(group) = &settings.group {
        checks.push(match settings.group_id() {
            Ok(_) => Check::pass("group", format!("cells are handed to `{group}`")),
            Err(error) => Check::failure(
                "group",
                "group-missing",
                error.to_string(),
                format!("`groupadd --system {}`", shell_word(group)),
            ),
        });
    }
    if let Some(directory) = &settings.daemon.heartbeat_directory {
        let shown = directory.display();
        checks.push(match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Check::pass("cron", format!("the cron heartbeat goes to `{shown}`")),
            Err(error) => {
                let found = format!("`daemon.heartbeat_directory`: nothing can be written in `{shown}`: {error}");
                let next = format!("`install -d -o \"$USER\" {}`", shell_word(&shown.to_string()));
                Check::failure("cron", "heartbeat-directory", found, next)
            }
        });
    }
}

/// Without git a mission goes on, but has no worktree.
fn git() -> Check {
    match Git::find() {
        Ok(git) => Check::pass("git", format!("{} at `{}`", git.version(), git.path().display())),
        Err(error) => Check::failure("git", "git-missing", error.to_string(), format!("install git {FLOOR} or later")),
    }
}
