//! Whether the repositories that worktrees may come from are available.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::identity::{RepositoryName, RepositoryPattern};
use crate::world::forge::{ForgeError, Gitea};

/// Looks at each entry of `worktrees.repositories`. A proposal that names an unavailable one goes on without a worktree.
pub(super) async fn look(settings: &Settings, gitea: &Gitea, checks: &mut Vec<Check>) {
    let mut good = 0;
    for pattern in &settings.worktrees {
        let flaw = match pattern {
            RepositoryPattern::One(name) => of_repository(gitea, name).await,
            RepositoryPattern::OfOwner(owner) => of_owner(gitea, owner).await,
        };
        match flaw {
            Ok(None) => good += 1,
            Ok(Some(flaw)) => {
                let found = format!("`worktrees.repositories`: {flaw}; no mission can have a worktree of it");
                let next = "put its name right, let the bot read it, or take it out";
                checks.push(Check::warning("worktrees", "worktree-unavailable", found, next));
            }
            Err(error) => checks.push(Check::of_forge("worktrees", &error)),
        }
    }
    if good > 0 {
        checks.push(Check::pass("worktrees", format!("{good} of `worktrees.repositories` are available")));
    }
}

async fn of_repository(gitea: &Gitea, name: &RepositoryName) -> Result<Option<String>, ForgeError> {
    match gitea.repository(name).get().send().await {
        Ok(found) if found.empty => Ok(Some(format!("`{name}` is empty"))),
        Ok(found) if found.permissions.is_some_and(|permissions| !permissions.pull) => {
            Ok(Some(format!("the bot may not read the code of `{name}`")))
        }
        Ok(_) => Ok(None),
        Err(ForgeError::NotFound { .. }) => Ok(Some(format!("`{name}` is not there, or the token may not see it"))),
        Err(ForgeError::Moved { location, .. }) => Ok(Some(format!("`{name}` has moved to `{location}`"))),
        Err(error) => Err(error),
    }
}

async fn of_owner(gitea: &Gitea, owner: &str) -> Result<Option<String>, ForgeError> {
    match gitea.user_named(owner).send().await {
        Ok(_) => Ok(None),
        Err(ForgeError::NotFound { .. }) => Ok(Some(format!("the forge shows us no owner `{owner}`"))),
        Err(ForgeError::Moved { location, .. }) => Ok(Some(format!("the owner `{owner}` has moved to `{location}`"))),
        Err(error) => Err(error),
    }
}
