//! What the sandbox holds, as plain data, and the rules that its data keep whoever changes them.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The account of every Actions job (go-gitea/gitea `models/user/user_system.go`).
pub(super) const JOB_USER: i64 = -2;

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) url: String,
    users: Vec<User>,
    tokens: BTreeMap<String, Actor>,
    sessions: BTreeMap<String, i64>,
    pub(super) repositories: Vec<Repository>,
    /// Former names, in lower case, of repositories by id.
    former_names: BTreeMap<(String, String), i64>,
    ids: Ids,
}

/// The last id given out, of each kind. Comments and timeline entries share one.
#[derive(Debug, Default)]
struct Ids {
    user: i64,
    repository: i64,
    label: i64,
    issue: i64,
    entry: i64,
}

fn next(id: &mut i64) -> i64 {
    *id += 1;
    *id
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) login: String,
}

/// Somebody who asks, with what the token allows.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) user: i64,
    pub(super) scopes: Scopes,
}

#[derive(Clone, Debug)]
pub(super) enum Scopes {
    All,
    Some(Vec<String>),
    /// A job's token: everything in the repository of this id, nothing elsewhere.
    Job(i64),
}

/// What somebody may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    None,
    Read,
    Write,
    Own,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) id: i64,
    pub(super) owner: i64,
    pub(super) owner_login: String,
    pub(super) name: String,
    pub(super) is_private: bool,
    pub(super) is_archived: bool,
    pub(super) has_issues: bool,
    pub(super) created: DateTime<Utc>,
    pub(super) readers: BTreeSet<i64>,
    pub(super) writers: BTreeSet<i64>,
    /// The files of the default branch.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) labels: Vec<Label>,
    pub(super) issues: Vec<Issue>,
    numbers: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) color: String,
    pub(super) description: String,
    pub(super) is_exclusive: bool,
    pub(super) is_archived: bool,
}

impl Label {
    /// Everything before the last slash (go-gitea/gitea `models/issues/label.go`).
    fn scope(&self) -> Option<&str> {
        let (scope, value) = self.name.rsplit_once('/')?;
        (self.is_exclusive && !scope.is_empty() && !value.is_empty()).then_some(scope)
    }

    fn is_sibling_of(&self, other: &Self) -> bool {
        self.id != other.id && self.scope().is_some() && self.scope() == other.scope()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) id: i64,
    pub(super) number: i64,
    pub(super) author: i64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) is_open: bool,
    pub(super) is_locked: bool,
    pub(super) is_pull: bool,
    pub(super) labels: BTreeSet<i64>,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) entries: Vec<Entry>,
}

/// A comment, or a line of the timeline.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) author: i64,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Comment(String),
    LabelAdded(i64),
    LabelRemoved(i64),
    Closed,
    Reopened,
}

impl Issue {
    pub(super) fn comments(&self) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Comment(body) => Some((entry, body.as_str())),
            What::LabelAdded(_) | What::LabelRemoved(_) | What::Closed | What::Reopened => None,
        })
    }
}

/// An issue to be filed.
#[derive(Debug)]
pub(super) struct NewIssue {
    pub(super) author: i64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) is_pull: bool,
    pub(super) labels: Vec<i64>,
}

pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

impl State {
    /// Everything that has happened was so much earlier.
    pub(super) fn grow_older(&mut self, by: TimeDelta) {
        for issue in self.repositories.iter_mut().flat_map(|repository| &mut repository.issues) {
            (issue.created, issue.updated) = (issue.created - by, issue.updated - by);
            for entry in &mut issue.entries {
                (entry.created, entry.updated) = (entry.created - by, entry.updated - by);
            }
        }
    }

    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            users: Vec::new(),
            tokens: BTreeMap::new(),
            sessions: BTreeMap::new(),
            repositories: Vec::new(),
            former_names: BTreeMap::new(),
            ids: Ids::default(),
        }
    }

    pub(super) fn add_user(&mut self, login: &str) {
        let id = next(&mut self.ids.user);
        self.users.push(User { id, login: login.to_owned() });
    }

    pub(super) fn user_named(&self, login: &str) -> Option<&User> {
        self.users.iter().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    /// An account by its id; what is not known is a ghost.
    pub(super) fn user(&self, id: i64) -> User {
        if id == JOB_USER {
            return User { id, login: "gitea-actions".to_owned() };
        }
        let known = self.users.iter().find(|user| user.id == id).cloned();
        known.unwrap_or_else(|| User { id: -1, login: "Ghost".to_owned() })
    }

    pub(super) fn add_token(&mut self, user: i64, scopes: Scopes) -> String {
        let token = Uuid::new_v4().simple().to_string();
        self.tokens.insert(token.clone(), Actor { user, scopes });
        token
    }

    pub(super) fn revoke_tokens(&mut self, login: &str) {
        let user = self.user_named(login).map(|user| user.id);
        self.tokens.retain(|_, actor| Some(actor.user) != user);
    }

    pub(super) fn actor(&self, token: &str) -> Option<Actor> {
        self.tokens.get(token).cloned()
    }

    pub(super) fn log_in(&mut self, user: i64) -> String {
        let session = Uuid::new_v4().simple().to_string();
        self.sessions.insert(session.clone(), user);
        session
    }

    pub(super) fn session(&self, session: &str) -> Option<Actor> {
        self.sessions.get(session).map(|&user| Actor { user, scopes: Scopes::All })
    }

    pub(super) fn add_repository(&mut self, owner: i64, name: &str) -> usize {
        let owner_login = self.user(owner).login;
        // Whoever takes a former name ends its redirect.
        self.former_names.remove(&(owner_login.to_lowercase(), name.to_lowercase()));
        self.repositories.push(Repository {
            id: next(&mut self.ids.repository),
            owner,
            owner_login,
            name: name.to_owned(),
            is_private: false,
            is_archived: false,
            has_issues: true,
            created: now(),
            readers: BTreeSet::new(),
            writers: BTreeSet::new(),
            files: BTreeMap::new(),
            labels: Vec::new(),
            issues: Vec::new(),
            numbers: 0,
        });
        self.repositories.len() - 1
    }

    pub(super) fn rename(&mut self, at: usize, name: &str) {
        let repository = &mut self.repositories[at];
        let former = (repository.owner_login.to_lowercase(), repository.name.to_lowercase());
        self.former_names.insert(former, repository.id);
        name.clone_into(&mut repository.name);
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
        let id = self.former_names.get(&(owner.to_lowercase(), name.to_lowercase()))?;
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
        if actor.user == repository.owner {
            Right::Own
        } else if repository.writers.contains(&actor.user) {
            Right::Write
        } else if repository.readers.contains(&actor.user) {
            Right::Read
        } else {
            everybody
        }
    }

    pub(super) fn add_label(&mut self, at: usize, mut label: Label) -> i64 {
        label.id = next(&mut self.ids.label);
        let id = label.id;
        self.repositories[at].labels.push(label);
        id
    }

    /// Files an issue. Exclusive scopes are not enforced here (go-gitea/gitea `models/issues/issue_update.go`), and
    /// labels set at filing are the author's.
    pub(super) fn add_issue(&mut self, at: usize, new: NewIssue) -> i64 {
        let NewIssue { author, title, body, is_pull, labels } = new;
        let repository = &mut self.repositories[at];
        let number = next(&mut repository.numbers);
        let title = title.trim().to_owned();
        let mut issue = Issue {
            id: next(&mut self.ids.issue),
            number,
            author,
            title,
            body,
            is_open: true,
            is_locked: false,
            is_pull,
            labels: labels.into_iter().filter(|id| repository.labels.iter().any(|label| label.id == *id)).collect(),
            created: now(),
            updated: now(),
            entries: Vec::new(),
        };
        for label in issue.labels.clone() {
            note(&mut issue, &mut self.ids.entry, author, What::LabelAdded(label));
        }
        repository.issues.push(issue);
        number
    }

    /// Adds a line to an issue's timeline, which also moves its `updated_at`; the line's id.
    pub(super) fn note(&mut self, at: usize, number: i64, author: i64, what: What) -> Option<i64> {
        let issue = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number)?;
        Some(note(issue, &mut self.ids.entry, author, what))
    }

    /// Puts labels on an issue, in the order of their names. Only a label that was not there before drops its
    /// siblings (go-gitea/gitea `models/issues/issue_label.go`).
    pub(super) fn put_labels(&mut self, at: usize, number: i64, author: i64, ids: &[i64]) {
        let Repository { labels, issues, .. } = &mut self.repositories[at];
        let Some(issue) = issues.iter_mut().find(|issue| issue.number == number) else { return };
        let mut new: Vec<&Label> = labels.iter().filter(|label| ids.contains(&label.id)).collect();
        new.sort_by(|a, b| a.name.cmp(&b.name));
        for label in new {
            if issue.labels.contains(&label.id) {
                continue;
            }
            for sibling in labels.iter().filter(|known| known.is_sibling_of(label)) {
                if issue.labels.remove(&sibling.id) {
                    note(issue, &mut self.ids.entry, author, What::LabelRemoved(sibling.id));
                }
            }
            issue.labels.insert(label.id);
            note(issue, &mut self.ids.entry, author, What::LabelAdded(label.id));
        }
    }

    /// Takes a label off an issue.
    pub(super) fn take_label(&mut self, at: usize, number: i64, author: i64, id: i64) {
        let Some(issue) = self.repositories[at].issues.iter_mut().find(|issue| issue.number == number) else { return };
        if issue.labels.remove(&id) {
            note(issue, &mut self.ids.entry, author, What::LabelRemoved(id));
        }
    }
}

fn note(issue: &mut Issue, ids: &mut i64, author: i64, what: What) -> i64 {
    let (id, at) = (next(ids), now());
    issue.updated = at;
    issue.entries.push(Entry { id, author, created: at, updated: at, what });
    id
}
