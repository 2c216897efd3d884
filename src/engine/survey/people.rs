//! The accounts that the configuration names: each login is looked up once, since it can be renamed and then taken by
//! another account.

use crate::config::{Account, Settings, SettingsError};
use crate::engine::failure::FatalError;
use crate::world::forge::ForgeError;
use crate::world::forge::accounts::AccountError;
use crate::world::observer::Observer;
use std::collections::{BTreeMap, BTreeSet};

/// Looks up the ids of all logins in the configuration. An unknown login is a fatal error; an unreachable forge is not.
pub(super) async fn look_up(
    observer: &Observer,
    settings: &Settings,
    known: BTreeMap<String, i64>,
) -> Result<Result<BTreeMap<String, i64>, ForgeError>, FatalError> {
    let mut people = BTreeMap::new();
    for (key, account) in settings.approval.accounts() {
        let Account::Login(login) = account else { continue };
        let id = match known.get(login) {
            Some(id) => *id,
            None => match observer.account(login, &settings.repositories).await {
                Ok(id) => id,
                Err(AccountError::Forge(error)) if error.is_about_the_token() => return Err(FatalError::Token(error)),
                Err(AccountError::Forge(error)) => return Ok(Err(error)),
                Err(error @ (AccountError::Unknown { .. } | AccountError::Renamed { .. })) => {
                    return Err(SettingsError::Unfit { key, cause: error.to_string() }.into());
                }
            },
        };
        people.insert(login.clone(), id);
    }
    Ok(Ok(people))
}

/// The ids of these accounts.
pub(super) fn ids(accounts: &[Account], people: &BTreeMap<String, i64>) -> BTreeSet<i64> {
    let id = |account: &Account| match account {
        Account::Id(id) => Some(*id),
        Account::Login(login) => people.get(login).copied(),
    };
    accounts.iter().filter_map(id).collect()
}
