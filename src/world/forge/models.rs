//! The response types of the Gitea API, reduced to the fields in use; all others may be absent, null or new.

use crate::mission::status::marker::Marker;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Deserializer};

/// An account. Ghost users and job tokens have negative ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The id; never changes.
    pub id: i64,
    /// The login; may change and be taken by another account.
    #[serde(default)]
    pub login: String,
    /// Whether it is a site administrator.
    #[serde(default)]
    pub is_admin: bool,
}

/// The server's version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerVersion {
    /// The version, for example `1.26.0` or `11.0.1+gitea-1.22.0`.
    pub version: String,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate switch of the server")]
pub struct Repository {
    /// The id; never changes.
    pub id: i64,
    /// The current `owner/name`.
    pub full_name: String,
    /// The address of its web page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
    /// Whether it is archived and so read-only.
    #[serde(default)]
    pub archived: bool,
    /// Whether it has no commits.
    #[serde(default)]
    pub empty: bool,
    /// The permissions of the token's account, if reported.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Whether it is private.
    #[serde(default)]
    pub private: bool,
    /// Whether it has issues, also in an external tracker.
    #[serde(default = "yes")]
    pub has_issues: bool,
    /// The external tracker that replaces Gitea's issues.
    #[serde(default)]
    pub external_tracker: Option<ExternalTracker>,
    /// Whether it is visible only to signed-in users.
    #[serde(default)]
    pub internal: bool,
    /// The branch that forms and workflows are read from.
    #[serde(default, deserialize_with = "or_default")]
    pub default_branch: String,
}

/// The permissions of an account on a repository's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Permissions {
    /// Whether the account may read.
    #[serde(default = "yes")]
    pub pull: bool,
}

/// An external issue tracker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExternalTracker {
    /// Its address.
    #[serde(default, rename = "external_tracker_url", deserialize_with = "or_default")]
    pub url: String,
}

/// A form or template for new issues, parsed by Gitea from the default branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssueTemplate {
    /// The path of the file.
    #[serde(default, deserialize_with = "or_default")]
    pub file_name: String,
    /// The labels of issues filed with it.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<String>,
    /// The initial text of a Markdown template.
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
    /// The fields; empty for a Markdown template.
    #[serde(default, deserialize_with = "or_default")]
    pub body: Vec<TemplateField>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TemplateField {
    /// The type: `input`, `markdown`, …
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The id of the field.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// The label, options and value, by name.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// The configuration of the issue chooser; the defaults if it is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssueConfig {
    /// Whether issues may be filed without a form.
    #[serde(default = "yes")]
    pub blank_issues_enabled: bool,
    /// The external links of the chooser.
    #[serde(default, deserialize_with = "or_default")]
    pub contact_links: Vec<serde_json::Value>,
}

impl Default for IssueConfig {
    fn default() -> Self {
        Self { blank_issues_enabled: true, contact_links: Vec::new() }
    }
}

/// The content of a path on a branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FileContents {
    /// A folder with its direct entries.
    Folder(Vec<RemoteFile>),
    /// A file.
    File(RemoteFile),
}

/// A file on a branch; without its contents in a folder listing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RemoteFile {
    /// The path.
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
    /// The blob id, which an edit must name.
    #[serde(default)]
    pub sha: String,
    /// The contents in base64.
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Branch {
    /// Whether a rule protects it.
    #[serde(default)]
    pub protected: bool,
    /// Whether the account may push to it.
    #[serde(default)]
    pub user_can_push: bool,
}

/// A webhook of a repository, without its secret, which Gitea never returns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hook {
    /// The id.
    pub id: i64,
    /// Whether it is active.
    #[serde(default)]
    pub active: bool,
    /// The events that trigger it.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<String>,
    /// The target (`url`) and format (`content_type`).
    #[serde(default, deserialize_with = "or_default")]
    pub config: std::collections::BTreeMap<String, String>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// The number.
    pub number: i64,
    /// The address of its web page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ForgeLabel {
    /// The id.
    pub id: i64,
    /// The name; not unique (go-gitea/gitea `models/issues/label.go`).
    pub name: String,
    /// Whether an issue has at most one label of this scope.
    #[serde(default)]
    pub exclusive: bool,
    /// Whether it is hidden from the label menu.
    #[serde(default)]
    pub is_archived: bool,
    /// The description.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
}

/// An issue. On a load error Gitea sends one whose fields are all zero (go-gitea/gitea `services/convert/issue.go`), so
/// check `id`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// The id on the server.
    pub id: i64,
    /// The number in the repository.
    #[serde(default)]
    pub number: i64,
    /// The author.
    #[serde(default)]
    pub user: Option<User>,
    /// The title.
    #[serde(default, deserialize_with = "or_default")]
    pub title: String,
    /// The body.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The attached labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<ForgeLabel>,
    /// `open` or `closed`; nothing is concluded from any other value.
    #[serde(default, deserialize_with = "or_default")]
    pub state: String,
    /// RFC 3339; the last second of a day.
    #[serde(default)]
    pub due_date: Option<String>,
    /// The number of comments.
    #[serde(default)]
    pub comments: i64,
    /// RFC 3339, in the server's time zone.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
    /// RFC 3339, in the server's time zone.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
    /// The address of its web page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
    /// Set for a pull request, which shares the issues' numbers.
    #[serde(default)]
    pub pull_request: Option<serde_json::Value>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// The id on the server.
    pub id: i64,
    /// The poster; null after an edit that changed nothing.
    #[serde(default)]
    pub user: Option<User>,
    /// The body, including HTML comments.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The web page of its issue; empty for a pull request.
    #[serde(default, deserialize_with = "or_default")]
    pub issue_url: String,
    /// The time of posting.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
    /// The time of the last edit, otherwise of posting.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
}

/// A comment in a repository's listing, reduced to what identifies it, since there may be very many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedComment {
    /// The id on the server.
    pub id: i64,
    /// The poster.
    #[serde(default)]
    pub user: Option<User>,
    /// The web page of its issue; empty for a pull request.
    #[serde(default, deserialize_with = "or_default")]
    pub issue_url: String,
    /// The digest of its text.
    #[serde(default, rename = "body", deserialize_with = "kept_of_text")]
    pub text: ListedText,
    /// The time of the last edit, otherwise of posting.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
}

/// What is kept of a listed comment's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedText {
    /// The SHA-256 in hexadecimal.
    pub sha256: String,
    /// The marker in the first line, if it is one of ours.
    pub marker: Option<Marker>,
}

fn kept_of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ListedText, D::Error> {
    let text: String = or_default(deserializer)?;
    Ok(ListedText { sha256: sha256(&text), marker: Marker::parse(&text) })
}

/// Parses the issue's number from the address of its web page.
fn number_in(issue_url: &str) -> Option<i64> {
    issue_url.rsplit('/').next()?.parse().ok()
}

impl ListedComment {
    /// The number of its issue.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        number_in(&self.issue_url)
    }

    /// The time of the last edit, otherwise of posting.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        time_or_latest(&self.updated_at)
    }
}

impl Comment {
    /// The number of its issue.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        number_in(&self.issue_url)
    }

    /// The time of posting.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        time_or_latest(&self.created_at)
    }

    /// The time of the last edit, otherwise of posting.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        time_or_latest(&self.updated_at)
    }
}

/// An unreadable time counts as the latest, so that nothing is newer.
fn time_or_latest(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(Timestamp::latest)
}

/// An entry of an issue's timeline (go-gitea/gitea `services/convert/issue_comment.go`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TimelineEntry {
    /// The id, in one sequence with the ids of comments.
    pub id: i64,
    /// The type: `label`, `close`, `comment`, …
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The acting account.
    #[serde(default)]
    pub user: Option<User>,
    /// For a label, `1` if it was added.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The label, if it still exists.
    #[serde(default)]
    pub label: Option<ForgeLabel>,
    /// The time of the event.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
}

fn yes() -> bool {
    true
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
