//! Checks that the configured accounts exist, and that one of them can approve.

use crate::config::{Account, Settings};
use crate::diagnose::doctor::check::Check;
use crate::mission::approval::policy::ApprovalMode;
use crate::world::forge::Gitea;
use crate::world::forge::accounts::find_account;

/// Resolves each login, as a pass does; `me` is the account of the token, if known.
pub(super) async fn check(settings: &Settings, gitea: &Gitea, me: Option<i64>, checks: &mut Vec<Check>) {
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
    checks.extend(me.and_then(|me| no_approver(settings, &approvers, me)));
}

/// Approvals by this bot and by the bots of other hosts do not count, so a list of them alone blocks all approvals. In
/// open mode that concerns adoptions only.
fn no_approver(settings: &Settings, approvers: &[Option<i64>], me: i64) -> Option<Check> {
    let is_bot = |id: i64| id == me || settings.trusted_posters.contains(&id);
    if approvers.is_empty() || approvers.iter().any(|approver| !approver.is_some_and(is_bot)) {
        return None;
    }
    let is_alone = approvers.iter().all(|approver| *approver == Some(me));
    let bots = if is_alone { "the bot" } else { "the bot and `forge.trusted_posters`" };
    let found = format!("`approval.approvers` lists only {bots}, whose approval never counts");
    let next = "add a person to it, or leave it empty: then anyone who may set labels can approve";
    let code = "approver-is-bot";
    Some(match settings.approval.mode {
        ApprovalMode::Label => Check::failure("accounts", code, format!("{found}: no proposal can be approved"), next),
        ApprovalMode::Open => {
            Check::warning("accounts", code, format!("{found}: no existing cell can be adopted"), next)
        }
    })
}
