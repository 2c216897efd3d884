//! Accounts, their tokens and scopes, and their former logins.

use crate::sandbox::seams;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The account of every Actions job (go-gitea/gitea `models/user/user_system.go`).
pub(super) const JOB_USER: i64 = -2;

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent option of the forge")]
pub(super) struct SandboxUser {
    pub(super) id: i64,
    pub(super) login: String,
    /// Owns every repository of the site.
    pub(super) is_admin: bool,
    /// Whether it may not sign in, nor use the API.
    pub(super) is_prohibited: bool,
    /// Whether it must change its password before anything else.
    pub(super) must_change_password: bool,
    /// Whether only its followers and the accounts it follows see its profile.
    pub(super) is_private: bool,
}

impl SandboxUser {
    fn new(id: i64, login: &str, is_admin: bool) -> Self {
        let login = login.to_owned();
        Self { id, login, is_admin, is_prohibited: false, must_change_password: false, is_private: false }
    }
}

/// An administrator's changes to an account; absent fields stay.
#[derive(Debug, Deserialize)]
pub(super) struct AccountEdit {
    prohibit_login: Option<bool>,
    must_change_password: Option<bool>,
    visibility: Option<String>,
}

/// The caller of a request, with the scopes of the token.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) user: i64,
    pub(super) scopes: Scopes,
}

#[derive(Clone, Debug)]
pub(super) enum Scopes {
    All,
    Some(Vec<String>),
    /// A job's token: all access to the repository of this id, none to others.
    Job(i64),
}

impl Scopes {
    /// Whether they allow `read` or `write` in a category, for example `issue`. Writing includes reading.
    pub(super) fn allow(&self, access: &str, category: &str) -> bool {
        match self {
            Self::All | Self::Job(_) => true,
            Self::Some(scopes) => {
                let is_enough = |scope: &String| {
                    scope.split_once(':').is_some_and(|(granted, of)| {
                        of == category && (granted == access || granted == "write" && access == "read")
                    })
                };
                scopes.iter().any(is_enough)
            }
        }
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: Vec<SandboxUser>,
    /// Accounts by their former logins in lower case.
    former_logins: BTreeMap<String, i64>,
    tokens: BTreeMap<String, Actor>,
    sessions: BTreeMap<String, i64>,
    /// Pairs of the blocking and the blocked account.
    blocks: BTreeSet<(i64, i64)>,
    last_id: i64,
}

impl Accounts {
    pub(super) fn add(&mut self, login: &str, is_admin: bool) {
        self.last_id += 1;
        self.users.push(SandboxUser::new(self.last_id, login, is_admin));
    }

    pub(super) fn named(&self, login: &str) -> Option<&SandboxUser> {
        self.users.iter().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    /// An account by its id; an unknown one is `Ghost`.
    pub(super) fn get(&self, id: i64) -> SandboxUser {
        if id == JOB_USER {
            return SandboxUser::new(id, "gitea-actions", false);
        }
        let known = self.users.iter().find(|user| user.id == id).cloned();
        known.unwrap_or_else(|| SandboxUser::new(-1, "Ghost", false))
    }

    /// Changes an account, if there is one of this login.
    pub(super) fn edit(&mut self, login: &str, edit: AccountEdit) -> Option<SandboxUser> {
        let AccountEdit { prohibit_login, must_change_password, visibility } = edit;
        let user = self.users.iter_mut().find(|user| user.login.eq_ignore_ascii_case(login))?;
        user.is_prohibited = prohibit_login.unwrap_or(user.is_prohibited);
        user.must_change_password = must_change_password.unwrap_or(user.must_change_password);
        user.is_private = visibility.map_or(user.is_private, |visibility| visibility == "private");
        Some(user.clone())
    }

    pub(super) fn rename(&mut self, id: i64, login: &str) {
        if let Some(user) = self.users.iter_mut().find(|user| user.id == id) {
            let former = std::mem::replace(&mut user.login, login.to_owned());
            self.former_logins.insert(former.to_lowercase(), id);
        }
    }

    pub(super) fn block(&mut self, by: i64, whom: i64) {
        self.blocks.insert((by, whom));
    }

    pub(super) fn unblock(&mut self, by: i64, whom: i64) {
        self.blocks.remove(&(by, whom));
    }

    pub(super) fn blocks(&self, by: i64, whom: i64) -> bool {
        self.blocks.contains(&(by, whom))
    }

    /// Removes an account; its issues and comments stay, by the user `Ghost`.
    pub(super) fn remove(&mut self, id: i64) {
        self.users.retain(|user| user.id != id);
        self.former_logins.retain(|_, user| *user != id);
        self.tokens.retain(|_, actor| actor.user != id);
        self.sessions.retain(|_, user| *user != id);
    }

    /// The current login of the account that had this one before. A new account with a former login ends its redirect.
    pub(super) fn moved_to(&self, login: &str) -> Option<&str> {
        let id = self.former_logins.get(&login.to_lowercase())?;
        let user = self.users.iter().find(|user| user.id == *id)?;
        self.named(login).is_none().then_some(user.login.as_str())
    }

    pub(super) fn add_token(&mut self, user: i64, scopes: Scopes) -> String {
        let token = seams::random_id();
        self.tokens.insert(token.clone(), Actor { user, scopes });
        token
    }

    pub(super) fn revoke_tokens(&mut self, login: &str) {
        let user = self.named(login).map(|user| user.id);
        self.tokens.retain(|_, actor| Some(actor.user) != user);
    }

    pub(super) fn actor(&self, token: &str) -> Option<Actor> {
        self.tokens.get(token).cloned()
    }

    /// Every account's password is its login.
    pub(super) fn by_password(&self, login: &str, password: &str) -> Option<Actor> {
        let user = self.named(login).filter(|user| user.login == password)?;
        Some(Actor { user: user.id, scopes: Scopes::All })
    }

    pub(super) fn log_in(&mut self, user: i64) -> String {
        let session = seams::random_id();
        self.sessions.insert(session.clone(), user);
        session
    }

    pub(super) fn session(&self, session: &str) -> Option<Actor> {
        self.sessions.get(session).map(|&user| Actor { user, scopes: Scopes::All })
    }
}
