//! What the sandbox holds, as plain data, and the rules that its data keep whoever changes them.

use crate::sandbox::accounts::{Accounts, Actor, Scopes};
use crate::sandbox::bare_repos::Files;
use crate::sandbox::hooks::Delivery;
use crate::sandbox::issue::{NewIssue, SandboxIssue, SandboxLabel, What};
use crate::sandbox::seams::now;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything.
#[derive(Debug)]
pub(super) struct SandboxState {
    /// By which it calls itself in the answer to the request at hand.
    pub(super) url: String,
    /// Where it answers; the first is its `ROOT_URL`.
    pub(super) addresses: Vec<String>,
    /// Whether it calls itself by the first, whichever it is asked by.
    pub(super) has_one_name: bool,
    /// What it says that it is.
    pub(super) version: String,
    pub(super) accounts: Accounts,
    pub(super) repositories: Vec<SandboxRepository>,
    /// What waits to be sent to webhooks.
    pub(super) deliveries: Vec<Delivery>,
    /// By owner and former name in lower case: the id of the repository.
    former_names: BTreeMap<(i64, String), i64>,
    /// How far its clock is ahead of the machine's.
    pub(super) ahead: TimeDelta,
    ids: Ids,
}

/// The last id given out, of each kind but accounts. Comments and timeline entries share one.
#[derive(Debug, Default)]
struct Ids {
    repository: i64,
    label: i64,
    issue: i64,
    entry: i64,
}

fn next(id: &mut i64) -> i64 {
    *id += 1;
    *id
}

/// What somebody may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    None,
    Read,
    Write,
    Own,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the forge")]
pub(super) struct SandboxRepository {
    pub(super) id: i64,
    pub(super) owner: i64,
    pub(super) owner_login: String,
    pub(super) name: String,
    pub(super) is_private: bool,
    pub(super) is_archived: bool,
    pub(super) has_issues: bool,
    /// Where its issues are, if not here.
    pub(super) external_tracker: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) readers: BTreeSet<i64>,
    pub(super) writers: BTreeSet<i64>,
    /// To whom it was offered, who has not accepted it yet.
    pub(super) offered_to: Option<i64>,
    /// The bare repository that git is served from; where there is none, the files are.
    pub(super) git: Option<PathBuf>,
    /// The files of the default branch.
    pub(super) files: Files,
    /// The files of every other branch.
    pub(super) branches: BTreeMap<String, Files>,
    /// Whether nobody may push to the default branch.
    pub(super) is_protected: bool,
    pub(super) pulls: Vec<SandboxPull>,
    pub(super) hooks: Vec<RegisteredHook>,
    pub(super) labels: Vec<SandboxLabel>,
    pub(super) issues: Vec<SandboxIssue>,
    numbers: i64,
}

/// A pull request that was opened with a branch.
#[derive(Debug)]
pub(super) struct SandboxPull {
    pub(super) number: i64,
    pub(super) head: String,
    pub(super) base: String,
}

/// A webhook. The sandbox sends what happens to comments, and nothing else.
#[derive(Debug)]
pub(super) struct RegisteredHook {
    pub(super) id: i64,
    pub(super) is_active: bool,
    pub(super) events: Vec<String>,
    pub(super) config: BTreeMap<String, String>,
}

impl SandboxState {
    /// The time now, by the forge's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        now() + self.ahead
    }

    /// Everything that has happened was so much earlier.
    pub(super) fn grow_older(&mut self, by: TimeDelta) {
        let issues = self.repositories.iter_mut().flat_map(|repository| &mut repository.issues);
        issues.for_each(|issue| issue.grow_older(by));
    }

    /// From 1.26 on a Gitea calls itself by what it is asked by (`[server] PUBLIC_URL_DETECTION`); whatever else a request
    /// names is none of its addresses.
    pub(super) fn asked_at(&mut self, host: Option<&str>) {
        let is_it = |address: &&String| address.strip_prefix("http://") == host;
        let named = self.addresses.iter().find(is_it).filter(|_| !self.has_one_name);
        self.url = named.unwrap_or(&self.addresses[0]).clone();
    }

    pub(super) fn new(url: String) -> Self {
        Self {
            addresses: vec![url.clone()],
            has_one_name: false,
            url,
            version: "1.26.3+sandbox".to_owned(),
            accounts: Accounts::default(),
            repositories: Vec::new(),
            deliveries: Vec::new(),
            former_names: BTreeMap::new(),
            ahead: TimeDelta::zero(),
            ids: Ids::default(),
        }
    }

    pub(super) fn add_repository(&mut self, owner: i64, name: &str) -> usize {
        let owner_login = self.accounts.get(owner).login;
        // Whoever takes a former name ends its redirect.
        self.former_names.remove(&(owner, name.to_lowercase()));
        self.repositories.push(SandboxRepository {
            id: next(&mut self.ids.repository),
            owner,
            owner_login,
            name: name.to_owned(),
            has_issues: true,
            external_tracker: None,
            created: self.now(),
            ..SandboxRepository::default()
        });
        self.repositories.len() - 1
    }

    pub(super) fn rename(&mut self, at: usize, name: &str) {
        self.leave_name(at);
        let repository = &mut self.repositories[at];
        name.clone_into(&mut repository.name);
        self.former_names.remove(&(repository.owner, name.to_lowercase()));
    }

    /// Gives a repository to another account, at once (go-gitea/gitea `services/repository/transfer.go`).
    pub(super) fn transfer(&mut self, at: usize, owner: i64) {
        self.leave_name(at);
        let repository = &mut self.repositories[at];
        (repository.owner, repository.owner_login) = (owner, self.accounts.get(owner).login);
        repository.offered_to = None;
        repository.readers.remove(&owner);
        repository.writers.remove(&owner);
        self.former_names.remove(&(owner, repository.name.to_lowercase()));
    }

    /// The name that a repository has will lead to it when it has another.
    fn leave_name(&mut self, at: usize) {
        let SandboxRepository { id, owner, name, .. } = &self.repositories[at];
        self.former_names.insert((*owner, name.to_lowercase()), *id);
    }

    /// Renames an account; its repositories go with it.
    pub(super) fn rename_user(&mut self, id: i64, login: &str) {
        self.accounts.rename(id, login);
        for repository in self.repositories.iter_mut().filter(|repository| repository.owner == id) {
            login.clone_into(&mut repository.owner_login);
        }
    }

    pub(super) fn repository_named(&self, owner: &str, name: &str) -> Option<usize> {
        self.repositories.iter().position(|repository| {
            repository.owner_login.eq_ignore_ascii_case(owner) && repository.name.eq_ignore_ascii_case(name)
        })
    }

    pub(super) fn repository_by_id(&self, id: i64) -> Option<usize> {
        self.repositories.iter().position(|repository| repository.id == id)
    }

    /// Where a repository is that had this name before.
    pub(super) fn moved_to(&self, owner: &str, name: &str) -> Option<String> {
        let owner = self.accounts.named(owner)?.id;
        let id = self.former_names.get(&(owner, name.to_lowercase()))?;
        let repository = &self.repositories[self.repository_by_id(*id)?];
        Some(format!("{}/{}", repository.owner_login, repository.name))
    }

    pub(super) fn right(&self, actor: Option<&Actor>, at: usize) -> Right {
        let repository = &self.repositories[at];
        let everybody = if repository.is_private { Right::None } else { Right::Read };
        let Some(actor) = actor else { return everybody };
        if let Scopes::Job(own) = actor.scopes {
            // Not even a public repository of others (go-gitea/gitea `models/perm/access/repo_permission.go`).
            return if own == repository.id { Right::Write } else { Right::None };
        }
        if actor.user == repository.owner || self.accounts.get(actor.user).is_admin {
            Right::Own
        } else if repository.writers.contains(&actor.user) {
            Right::Write
        } else if repository.readers.contains(&actor.user) {
            Right::Read
        } else {
            everybody
        }
    }

    pub(super) fn add_label(&mut self, at: usize, mut label: SandboxLabel) -> i64 {
        label.id = next(&mut self.ids.label);
        let id = label.id;
        self.repositories[at].labels.push(label);
        id
    }

    /// Files an issue. Exclusive scopes are not enforced here (go-gitea/gitea `models/issues/issue_update.go`), and
    /// labels set at filing are the author's.
    pub(super) fn add_issue(&mut self, at: usize, new: NewIssue) -> i64 {
        let NewIssue { author, title, body, due, is_pull, labels } = new;
        let now = self.now();
        let repository = &mut self.repositories[at];
        let number = next(&mut repository.numbers);
        let mut issue = SandboxIssue {
            id: next(&mut self.ids.issue),
            number,
            author,
            title: title.trim().to_owned(),
            body,
            closed: None,
            due,
            is_locked: false,
            is_pull,
            labels: labels.into_iter().filter(|id| repository.labels.iter().any(|label| label.id == *id)).collect(),
            created: now,
            updated: now,
            entries: Vec::new(),
        };
        for label in issue.labels.clone() {
            issue.note(next(&mut self.ids.entry), author, What::LabelAdded(label), now);
        }
        repository.issues.push(issue);
        number
    }

    /// Adds a line to an issue's timeline, which also moves its `updated_at`; the line's id.
    pub(super) fn note(&mut self, at: usize, number: i64, author: i64, what: What) -> Option<i64> {
        let now = self.now();
        let issue = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number)?;
        let id = next(&mut self.ids.entry);
        issue.note(id, author, what, now);
        Some(id)
    }

    /// Puts labels on an issue.
    pub(super) fn put_labels(&mut self, at: usize, number: i64, author: i64, ids: &[i64]) {
        let now = self.now();
        let SandboxRepository { labels, issues, .. } = &mut self.repositories[at];
        let Some(issue) = issues.iter_mut().find(|issue| issue.number == number) else { return };
        for what in issue.put_labels(labels, ids) {
            issue.note(next(&mut self.ids.entry), author, what, now);
        }
    }

    /// Takes a label off an issue.
    pub(super) fn take_label(&mut self, at: usize, number: i64, author: i64, id: i64) {
        let now = self.now();
        let Some(issue) = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number) else { return };
        if issue.labels.remove(&id) {
            issue.note(next(&mut self.ids.entry), author, What::LabelRemoved(id), now);
        }
    }
}
