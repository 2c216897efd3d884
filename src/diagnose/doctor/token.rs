//! Whether the token is known, whose it is, and whether it may do what it must and no more.

use crate::config::Settings;
use crate::diagnose::doctor::accounts;
use crate::diagnose::doctor::check::Check;
use crate::world::forge::{ForgeError, Gitea};

/// Where tokens are made.
const SCOPES: &str = "a token of the bot with the scopes `write:issue,read:repository,read:user`";

/// Looks at the token. The client, if the forge knows it.
pub(super) async fn look(settings: &Settings, gitea: Gitea, checks: &mut Vec<Check>) -> Option<Gitea> {
    let make = format!("make {SCOPES}: {}/user/settings/applications", settings.forge_url().ok()?);
    if let Err(error) = settings.read_token() {
        checks.push(Check::failure("token", "token-missing", error.to_string(), make));
        return None;
    }
    let user = gitea.user().send().await;
    let me = user.as_ref().ok().map(|user| user.id);
    match user {
        Ok(user) if user.is_admin => {
            let found = format!("it belongs to `{}`, who administers the forge", user.login);
            checks.push(Check::warning("token", "token-of-admin", found, "make an ordinary account for the bot"));
        }
        // A job's token has no scopes that anybody chose.
        Ok(user) if user.id < 0 => {
            checks.push(Check::pass("token", "it is the job's own"));
            accounts::look(settings, &gitea, me, checks).await;
            return Some(gitea);
        }
        Ok(user) => checks.push(Check::pass("token", format!("it belongs to `{}` (id {})", user.login, user.id))),
        Err(error @ ForgeError::MissingScope { .. }) => checks.push(Check::of_forge("token", &error)),
        Err(error) => {
            checks.push(Check::of_forge("token", &error));
            return None;
        }
    }
    checks.push(excess(&gitea, &make).await);
    accounts::look(settings, &gitea, me, checks).await;
    Some(gitea)
}

/// A token that may read what the bot never reads was made with more than it needs, most often with all.
async fn excess(gitea: &Gitea, make: &str) -> Check {
    if gitea.notifications().send_page().await.is_err() {
        return Check::pass("scopes", "no more than are needed, as far as can be seen");
    }
    let found = "it may also read notifications, so it was made with more scopes than are needed";
    Check::warning("scopes", "token-scope-excess", found, make)
}
