//! Calls about a repository, its labels, files and webhooks.

use crate::mission::identity::RepositoryName;
use crate::mission::status::label::{Label as OurLabel, SCOPES};
use crate::world::forge::call::{Call, Page};
use crate::world::forge::connection::Connection;
use crate::world::forge::error::ForgeError;
use crate::world::forge::models::{
    Branch, FileContents, ForgeLabel, Hook, IssueConfig, IssueTemplate, Pull, Repository, User,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The most labels of one repository that are read by pages.
const LABELS_MAX: u64 = 100_000;

/// The most labels of one repository that are kept.
const LABELS_KEPT_MAX: usize = 5_000;

/// The most bytes of a label's name and description together, within Gitea's limits.
const LABEL_BYTES_MAX: usize = 4 * 1024;

/// The most pages of collaborators that are read.
const COLLABORATORS_PAGES_MAX: u32 = 20;

/// Calls about one repository.
#[derive(Debug)]
pub struct Repositories {
    connection: Arc<Connection>,
    name: RepositoryName,
}

/// A label to create.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewLabel<'a> {
    /// `scope/value`.
    pub name: &'a str,
    /// Six hexadecimal digits.
    pub color: &'a str,
    /// The description.
    pub description: &'a str,
    /// Whether an issue has at most one label of this scope.
    pub exclusive: bool,
}

impl Repositories {
    pub(super) fn new(connection: &Arc<Connection>, name: &RepositoryName) -> Self {
        Self { connection: Arc::clone(connection), name: name.clone() }
    }

    fn call<T>(&self, rest: &[&str], make: impl FnOnce(&Arc<Connection>, &[&str]) -> Call<T>) -> Call<T> {
        let path: Vec<&str> =
            ["repos", self.name.owner(), self.name.name()].into_iter().chain(rest.iter().copied()).collect();
        make(&self.connection, &path)
    }

    /// Gets the repository. Needs the scope `read:repository`.
    pub fn get(&self) -> Call<Repository> {
        self.call(&[], Call::get)
    }

    /// Finds an account by its login among the possible assignees (writers and team members) and the collaborators,
    /// including read-only ones.
    pub async fn worker(&self, login: &str) -> Result<Option<User>, ForgeError> {
        let is_it = |user: User| user.login.eq_ignore_ascii_case(login).then_some(user);
        let assignees: Page<User> = self.call(&["assignees"], Call::get).sift(&is_it).await?;
        if let Some(found) = assignees.items.into_iter().next() {
            return Ok(Some(found));
        }
        let mut seen = 0;
        for page in 1..=COLLABORATORS_PAGES_MAX {
            let call = self.call(&["collaborators"], Call::get).query("page", page).query("limit", 50);
            let Page { items, count, total, date: _ } = call.sift(&is_it).await?;
            seen += count;
            let is_last = count == 0 || total.is_some_and(|total| seen >= total);
            if is_last || !items.is_empty() {
                return Ok(items.into_iter().next());
            }
        }
        Ok(None)
    }

    /// Lists our labels, those of hosts, and those that Gitea may remove when one of ours is added. Without a page most
    /// versions send all labels; newer ones may not (go-gitea/gitea#21158).
    pub async fn labels(&self) -> Result<Vec<ForgeLabel>, ForgeError> {
        let keep = |label: ForgeLabel| may_matter(&label).then_some(label);
        let first: Page<ForgeLabel> = self.call(&["labels"], Call::get).sift(&keep).await?;
        if first.total.is_none_or(|total| first.count >= total) {
            return self.bounded(first.items);
        }
        let (mut labels, mut count) = (Vec::new(), 0);
        for page in 1.. {
            let call = self.call(&["labels"], Call::get).query("page", page).query("limit", 50);
            let read: Page<ForgeLabel> = call.sift(&keep).await?;
            labels.extend(read.items);
            count += read.count;
            let is_all = read.total.is_some_and(|total| count >= total);
            if read.count == 0 || is_all || count >= LABELS_MAX || labels.len() > LABELS_KEPT_MAX {
                break;
            }
        }
        self.bounded(labels)
    }

    fn bounded(&self, labels: Vec<ForgeLabel>) -> Result<Vec<ForgeLabel>, ForgeError> {
        if labels.len() <= LABELS_KEPT_MAX {
            return Ok(labels);
        }
        let tried = format!("the labels of {}", self.name);
        let problem = format!("more than {LABELS_KEPT_MAX} of them have a scope of this service, for example `host/`");
        let next = "delete unused ones: the repository, Issues, Labels".to_owned();
        Err(ForgeError::Protocol { tried, problem, next })
    }

    /// Creates a label. Gitea accepts duplicate names, so this is not retried blindly.
    pub fn create_label(&self, label: &NewLabel<'_>) -> Call<ForgeLabel> {
        self.call(&["labels"], |connection, path| Call::post(connection, path, label))
    }

    /// Sets a label's `exclusive` flag. `is_archived` is sent too, or Gitea would unarchive the label.
    pub fn set_exclusive(&self, id: i64, exclusive: bool, is_archived: bool) -> Call<ForgeLabel> {
        let body = json!({ "exclusive": exclusive, "is_archived": is_archived });
        self.call(&["labels", &id.to_string()], |connection, path| Call::patch(connection, path, &body))
    }

    /// Corrects a label's flag and description. `is_archived` is sent too, or Gitea would unarchive the label.
    pub fn correct_label(&self, label: &ForgeLabel, exclusive: bool, description: &str) -> Call<ForgeLabel> {
        let ForgeLabel { id, is_archived, exclusive: _, name: _, description: _ } = label;
        let body = json!({ "description": description, "exclusive": exclusive, "is_archived": is_archived });
        self.call(&["labels", &id.to_string()], |connection, path| Call::patch(connection, path, &body))
    }

    /// Edits a label that cannot exist: 404 shows that the account may write labels, 403 that it may not.
    pub fn probe_writing(&self) -> Call<ForgeLabel> {
        self.call(&["labels", "0"], |connection, path| Call::patch(connection, path, &json!({})))
    }

    /// Lists the forms for new issues on the default branch, without those that Gitea cannot parse (go-gitea/gitea
    /// `routers/api/v1/repo/repo.go`).
    pub fn templates(&self) -> Call<Vec<IssueTemplate>> {
        self.call(&["issue_templates"], Call::get)
    }

    /// Gets the configuration of the issue chooser on the default branch.
    pub fn issue_config(&self) -> Call<IssueConfig> {
        self.call(&["issue_config"], Call::get)
    }

    /// Gets a file or folder of the default branch.
    pub fn contents(&self, path: &str) -> Call<FileContents> {
        let parts: Vec<&str> = ["contents"].into_iter().chain(path.split('/')).collect();
        self.call(&parts, Call::get).uncut()
    }

    /// Commits files. Needs the scope `write:repository`. Gitea rejects a file that has changed meanwhile, so this is
    /// idempotent.
    pub fn commit(&self, commit: &FileCommit<'_>) -> Call<Value> {
        let body = commit.body();
        self.call(&["contents"], |connection, path| Call::post(connection, path, &body))
    }

    /// Gets a branch.
    pub fn branch(&self, name: &str) -> Call<Branch> {
        self.call(&["branches", name], Call::get)
    }

    /// Opens a pull request.
    pub fn create_pull(&self, head: &str, base: &str, title: &str, body: &str) -> Call<Pull> {
        let body = json!({ "head": head, "base": base, "title": title, "body": body });
        self.call(&["pulls"], |connection, path| Call::post(connection, path, &body))
    }

    /// Gets the open pull request from one branch to another; 404 if there is none.
    pub fn pull(&self, base: &str, head: &str) -> Call<Pull> {
        self.call(&["pulls", base, head], Call::get)
    }

    /// Lists the webhooks. Only administrators of the repository may read them.
    pub fn hooks(&self) -> Call<Vec<Hook>> {
        self.call(&["hooks"], |connection, path| Call::get(connection, path).query("page", 1).query("limit", 50))
    }

    /// Creates a webhook.
    pub fn create_hook(&self, hook: &NewHook<'_>) -> Call<Hook> {
        let mut body = hook.body();
        body["type"] = json!("gitea");
        self.call(&["hooks"], |connection, path| Call::post(connection, path, &body))
    }

    /// Updates a webhook.
    pub fn edit_hook(&self, id: i64, hook: &NewHook<'_>) -> Call<Hook> {
        let body = hook.body();
        self.call(&["hooks", &id.to_string()], |connection, path| Call::patch(connection, path, &body))
    }
}

/// Whether a label is ours, a host's, or one that Gitea may remove when one of ours is added.
fn may_matter(label: &ForgeLabel) -> bool {
    let is_of = |scope: &str| label.name.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
    let is_near = is_of("host") || (label.exclusive && SCOPES.into_iter().any(is_of));
    (OurLabel::named(&label.name).is_some() || is_near) && label.name.len() + label.description.len() <= LABEL_BYTES_MAX
}

/// The files of one commit.
#[derive(Clone, Debug)]
pub struct FileCommit<'a> {
    /// The commit message.
    pub message: &'a str,
    /// A branch that is created from the default branch; none commits to the default branch.
    pub new_branch: Option<&'a str>,
    /// The path, contents, and blob id of the replaced file.
    pub files: Vec<(&'a str, &'a str, Option<String>)>,
}

impl FileCommit<'_> {
    fn body(&self) -> Value {
        let files = self.files.iter().map(|(path, contents, replaced)| {
            let operation = if replaced.is_some() { "update" } else { "create" };
            json!({ "operation": operation, "path": path, "content": STANDARD.encode(contents), "sha": replaced })
        });
        let files: Vec<Value> = files.collect();
        match self.new_branch {
            Some(branch) => json!({ "message": self.message, "new_branch": branch, "files": files }),
            None => json!({ "message": self.message, "files": files }),
        }
    }
}

/// A webhook to create.
#[derive(Clone, Copy)]
pub struct NewHook<'a> {
    /// The target address.
    pub url: &'a str,
    /// The secret that signs deliveries; never printed.
    pub secret: &'a str,
    /// The events that trigger it (go-gitea/gitea `routers/api/v1/utils/hook.go`).
    pub events: &'a [&'a str],
}

impl NewHook<'_> {
    fn body(&self) -> Value {
        let config = json!({ "url": self.url, "content_type": "json", "secret": self.secret });
        json!({ "active": true, "events": self.events, "config": config })
    }
}
