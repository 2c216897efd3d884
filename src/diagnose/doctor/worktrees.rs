//! Checks that the repositories of `worktrees.repositories` are available.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::identity::{RepositoryName, RepositoryPattern};
use crate::world::forge::{ForgeError, Gitea};

/// Checks each entry. A mission whose repository is unavailable runs without a worktree.
pub(super) async fn check(settings: &Settings, gitea: &Gitea, checks: &mut Vec<Check>) {
    let mut available = 0;
    for pattern in &settings.worktrees {
        let problem = match pattern {
            RepositoryPattern::One(name) => of_repository(gitea, name).await,
            RepositoryPattern::OfOwner(owner) => of_owner(gitea, owner).await,
        };
        match problem {
            Ok(None) => available += 1,
            Ok(Some(problem)) => {
                let found = format!("`worktrees.repositories`: {problem}; missions get no worktree of it");
                let next = "fix the name, let the bot read it, or remove it from the list";
                checks.push(Check::warning("worktrees", "worktree-unavailable", found, next));
            }
            Err(error) => checks.push(Check::of_forge("worktrees", &error)),
        }
    }
    if available > 0 {
        checks.push(Check::pass("worktrees", format!("{available} of `worktrees.repositories` are available")));
    }
}

async fn of_repository(gitea: &Gitea, name: &RepositoryName) -> Result<Option<String>, ForgeError> {
    match gitea.repository(name).get().send().await {
        Ok(found) if found.empty => Ok(Some(format!("`{name}` is empty"))),
        Ok(found) if found.permissions.is_some_and(|permissions| !permissions.pull) => {
            Ok(Some(format!("the bot may not read the code of `{name}`")))
        }
        Ok(_) => Ok(None),
        Err(ForgeError::NotFound { .. }) => Ok(Some(format!("`{name}` does not exist, or the token may not see it"))),
        Err(ForgeError::Moved { location, .. }) => Ok(Some(format!("`{name}` has moved to `{location}`"))),
        Err(error) => Err(error),
    }
}

async fn of_owner(gitea: &Gitea, owner: &str) -> Result<Option<String>, ForgeError> {
    match gitea.user_named(owner).send().await {
        Ok(_) => Ok(None),
        Err(ForgeError::NotFound { .. }) => Ok(Some(format!("Gitea shows the bot no owner `{owner}`"))),
        Err(ForgeError::Moved { location, .. }) => Ok(Some(format!("the owner `{owner}` has moved to `{location}`"))),
        Err(error) => Err(error),
    }
}
