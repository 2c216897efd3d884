//! Checks the token: its account, its scopes, and whether it has more than it needs.

use crate::config::Settings;
use crate::diagnose::doctor::accounts;
use crate::diagnose::doctor::check::Check;
use crate::world::forge::{ForgeError, Gitea};

/// The token that the service needs.
const SCOPES: &str = "a token of the bot with the scopes `write:issue,read:repository,read:user`";

/// Checks the token. Returns the client, if the forge accepts it.
pub(super) async fn check(settings: &Settings, gitea: Gitea, checks: &mut Vec<Check>) -> Option<Gitea> {
    let create = format!("create {SCOPES}: {}/user/settings/applications", settings.forge_url().ok()?);
    if let Err(error) = settings.read_token() {
        checks.push(Check::failure("token", "token-missing", error.to_string(), create));
        return None;
    }
    let user = gitea.user().send().await;
    let me = user.as_ref().ok().map(|user| user.id);
    match user {
        Ok(user) if user.is_admin => {
            let found = format!("it belongs to `{}`, an administrator of the Gitea server", user.login);
            checks.push(Check::warning("token", "token-of-admin", found, "create an ordinary account for the bot"));
        }
        // The scopes of a job's token cannot be chosen.
        Ok(user) if user.id < 0 => {
            checks.push(Check::pass("token", "it is the token of the job"));
            accounts::check(settings, &gitea, me, checks).await;
            return Some(gitea);
        }
        Ok(user) => checks.push(Check::pass("token", format!("it belongs to `{}` (id {})", user.login, user.id))),
        Err(error @ ForgeError::MissingScope { .. }) => checks.push(Check::of_forge("token", &error)),
        Err(error) => {
            checks.push(Check::of_forge("token", &error));
            return None;
        }
    }
    checks.push(excess(&gitea, &create).await);
    accounts::check(settings, &gitea, me, checks).await;
    Some(gitea)
}

/// A token that can read notifications, which the bot never does, has more scopes than needed, most often all.
async fn excess(gitea: &Gitea, create: &str) -> Check {
    if gitea.notifications().send_page().await.is_err() {
        return Check::pass("scopes", "no excess scope was detected");
    }
    let found = "it can also read notifications, so it has more scopes than needed";
    Check::warning("scopes", "token-scope-excess", found, create)
}
