//! The sandbox's data, and the operations that keep it consistent.

use crate::sandbox::accounts::{Accounts, Actor, Scopes};
use crate::sandbox::bare_repos::Files;
use crate::sandbox::hooks::Delivery;
use crate::sandbox::issue::{NewIssue, SandboxIssue, SandboxLabel, What};
use crate::sandbox::seams::now;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// All data of the forge.
#[derive(Debug)]
pub(super) struct SandboxState {
    /// The base URL of links in the response to the current request.
    pub(super) url: String,
    /// The addresses that it listens on; the first is its `ROOT_URL`.
    pub(super) addresses: Vec<String>,
    /// Whether links use the first address, whichever one a request names.
    pub(super) has_one_name: bool,
    /// The version that it reports.
    pub(super) version: String,
    pub(super) accounts: Accounts,
    pub(super) repositories: Vec<SandboxRepository>,
    /// Deliveries to webhooks that are not sent yet.
    pub(super) deliveries: Vec<Delivery>,
    /// Ids of repositories by owner and former name in lower case.
    former_names: BTreeMap<(i64, String), i64>,
    /// The difference between its clock and the machine's.
    pub(super) ahead: TimeDelta,
    ids: Ids,
}

/// The last id of each kind except accounts. Comments and timeline entries share one sequence.
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

/// The rights of an account in a repository, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    None,
    Read,
    Write,
    Own,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent option of the forge")]
pub(super) struct SandboxRepository {
    pub(super) id: i64,
    pub(super) owner: i64,
    pub(super) owner_login: String,
    pub(super) name: String,
    pub(super) is_private: bool,
    pub(super) is_archived: bool,
    pub(super) has_issues: bool,
    /// The external issue tracker, if any.
    pub(super) external_tracker: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) readers: BTreeSet<i64>,
    pub(super) writers: BTreeSet<i64>,
    /// The new owner of a pending transfer.
    pub(super) offered_to: Option<i64>,
    /// The bare repository that git serves; without one, git serves `files`.
    pub(super) git: Option<PathBuf>,
    /// The files of the default branch.
    pub(super) files: Files,
    /// The files of every other branch.
    pub(super) branches: BTreeMap<String, Files>,
    /// Whether the default branch is protected against pushes.
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

/// A webhook. The sandbox sends events of comments only.
#[derive(Debug)]
pub(super) struct RegisteredHook {
    pub(super) id: i64,
    pub(super) is_active: bool,
    pub(super) events: Vec<String>,
    pub(super) config: BTreeMap<String, String>,
}

impl SandboxState {
    /// The current time by the forge's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        now() + self.ahead
    }

    /// Moves all times of issues into the past.
    pub(super) fn grow_older(&mut self, by: TimeDelta) {
        let issues = self.repositories.iter_mut().flat_map(|repository| &mut repository.issues);
        issues.for_each(|issue| issue.grow_older(by));
    }

    /// From 1.26 on, links use the address that a request names (`[server] PUBLIC_URL_DETECTION`); an unknown one falls
    /// back to the first.
    pub(super) fn set_url_for(&mut self, host: Option<&str>) {
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
        // A new repository with a former name ends its redirect.
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
        self.add_redirect(at);
        let repository = &mut self.repositories[at];
        name.clone_into(&mut repository.name);
        self.former_names.remove(&(repository.owner, name.to_lowercase()));
    }

    /// Transfers a repository to another account immediately (go-gitea/gitea `services/repository/transfer.go`).
    pub(super) fn transfer(&mut self, at: usize, owner: i64) {
        self.add_redirect(at);
        let repository = &mut self.repositories[at];
        (repository.owner, repository.owner_login) = (owner, self.accounts.get(owner).login);
        repository.offered_to = None;
        repository.readers.remove(&owner);
        repository.writers.remove(&owner);
        self.former_names.remove(&(owner, repository.name.to_lowercase()));
    }

    /// Records the current name, so that it redirects after a change.
    fn add_redirect(&mut self, at: usize) {
        let SandboxRepository { id, owner, name, .. } = &self.repositories[at];
        self.former_names.insert((*owner, name.to_lowercase()), *id);
    }

    /// Renames an account and its repositories.
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

    /// The current `owner/name` of the repository that had this name before.
    pub(super) fn moved_to(&self, owner: &str, name: &str) -> Option<String> {
        let owner = self.accounts.named(owner)?.id;
        let id = self.former_names.get(&(owner, name.to_lowercase()))?;
        let repository = &self.repositories[self.repository_by_id(*id)?];
        Some(format!("{}/{}", repository.owner_login, repository.name))
    }

    pub(super) fn right(&self, actor: Option<&Actor>, at: usize) -> Right {
        let repository = &self.repositories[at];
        let default_right = if repository.is_private { Right::None } else { Right::Read };
        let Some(actor) = actor else { return default_right };
        if let Scopes::Job(own) = actor.scopes {
            // A job cannot even read other public repositories (go-gitea/gitea
            // `models/perm/access/repo_permission.go`).
            return if own == repository.id { Right::Write } else { Right::None };
        }
        if actor.user == repository.owner || self.accounts.get(actor.user).is_admin {
            Right::Own
        } else if repository.writers.contains(&actor.user) {
            Right::Write
        } else if repository.readers.contains(&actor.user) {
            Right::Read
        } else {
            default_right
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

    /// Adds a timeline entry, which also changes the issue's `updated_at`; returns the entry's id.
    pub(super) fn note(&mut self, at: usize, number: i64, author: i64, what: What) -> Option<i64> {
        let now = self.now();
        let issue = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number)?;
        let id = next(&mut self.ids.entry);
        issue.note(id, author, what, now);
        Some(id)
    }

    /// Adds labels to an issue.
    pub(super) fn add_labels(&mut self, at: usize, number: i64, author: i64, ids: &[i64]) {
        let now = self.now();
        let SandboxRepository { labels, issues, .. } = &mut self.repositories[at];
        let Some(issue) = issues.iter_mut().find(|issue| issue.number == number) else { return };
        for what in issue.add_labels(labels, ids) {
            issue.note(next(&mut self.ids.entry), author, what, now);
        }
    }

    /// Removes a label from an issue.
    pub(super) fn remove_label(&mut self, at: usize, number: i64, author: i64, id: i64) {
        let now = self.now();
        let Some(issue) = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number) else { return };
        if issue.labels.remove(&id) {
            issue.note(next(&mut self.ids.entry), author, What::LabelRemoved(id), now);
        }
    }
}
