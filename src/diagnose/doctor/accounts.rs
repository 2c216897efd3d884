//! Whether the accounts that the settings name are there, and whether one of them can approve anything.

use crate::config::{Account, Settings};
use crate::diagnose::doctor::check::Check;
use crate::mission::approval::policy::ApprovalMode;
use crate::world::forge::Gitea;
use crate::world::forge::accounts::find_account;

/// Looks up each login once, as a pass does; `me` is the account of the token, where it is known.
pub(super) async fn look(settings: &Settings, gitea: &Gitea, me: Option<i64>, checks: &mut Vec<Check>) {
    let mut approvers = Vec::new();
    for (key, account) in settings.approval.accounts() {
        let id = match account {
            Account::Id(id) => Some(*id),
            Account::Login(login) => match find_account(gitea, login, &settings.repositories).await {
                Ok(id) => Some(id),
                Err(error) => {
                    let found = format!("`{key}`: {}", error.found());
                    checks.push(Check::failure("accounts", error.fault(), found, error.next()));
                    None
                }
            },
        };
        if key == "approval.approvers" {
            approvers.push(id);
        }
    }
    checks.extend(me.and_then(|me| nobody_approves(settings, &approvers, me)));
}

/// The bot is no person, nor are the accounts of other hosts' bots, so what they alone may approve is approved by nobody.
/// Without approvals adoptions ask for one still.
fn nobody_approves(settings: &Settings, approvers: &[Option<i64>], me: i64) -> Option<Check> {
    let is_bot = |id: i64| id == me || settings.trusted_posters.contains(&id);
    if approvers.is_empty() || approvers.iter().any(|approver| !approver.is_some_and(is_bot)) {
        return None;
    }
    let is_alone = approvers.iter().all(|approver| *approver == Some(me));
    let bots = if is_alone { "the bot" } else { "the bot and `forge.trusted_posters`" };
    let found = format!("`approval.approvers` names {bots} alone, whose own approval never counts");
    let next = "name a person there, or nobody: then whoever may set labels approves";
    let fault = "approver-is-bot";
    Some(match settings.approval.mode {
        ApprovalMode::Label => {
            Check::failure("accounts", fault, format!("{found}: no proposal is ever approved"), next)
        }
        ApprovalMode::Open => {
            Check::warning("accounts", fault, format!("{found}: no existing cell can be taken over"), next)
        }
    })
}
