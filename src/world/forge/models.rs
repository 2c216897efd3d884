//! The forge's answers, as far as we use them; everything else may be absent, null or new.

use crate::mission::status::marker::Marker;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Deserializer};

/// An account. Ghosts and job tokens have negative ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Never changes.
    pub id: i64,
    /// Can be renamed, and then taken by somebody else.
    #[serde(default)]
    pub login: String,
    /// Whether it administers the whole forge.
    #[serde(default)]
    pub is_admin: bool,
}

/// What the forge is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerVersion {
    /// Such as `1.26.0` or `11.0.1+gitea-1.22.0`.
    pub version: String,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate switch of the server")]
pub struct Repository {
    /// Never changes.
    pub id: i64,
    /// `owner/name` as it is now.
    pub full_name: String,
    /// Its page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
    /// Whether nothing may be written any more.
    #[serde(default)]
    pub archived: bool,
    /// Whether there is not one commit in it.
    #[serde(default)]
    pub empty: bool,
    /// What the account of the token may do in it, where the forge says so.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Whether not everybody may see it.
    #[serde(default)]
    pub private: bool,
    /// Whether it has issues, be it in an external tracker.
    #[serde(default = "yes")]
    pub has_issues: bool,
    /// The tracker that has its issues instead of the forge.
    #[serde(default)]
    pub external_tracker: Option<ExternalTracker>,
    /// Whether only those who are signed in may see it.
    #[serde(default)]
    pub internal: bool,
    /// The branch that the form and the workflow are read from.
    #[serde(default, deserialize_with = "or_default")]
    pub default_branch: String,
}

/// What an account may do with the code of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Permissions {
    /// Whether it may read it.
    #[serde(default = "yes")]
    pub pull: bool,
}

/// A tracker elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExternalTracker {
    /// Where it is.
    #[serde(default, rename = "external_tracker_url", deserialize_with = "or_default")]
    pub url: String,
}

/// A form or template for new issues, as the forge has parsed it from the default branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssueTemplate {
    /// Where it is.
    #[serde(default, deserialize_with = "or_default")]
    pub file_name: String,
    /// The labels that what is filed by it gets.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<String>,
    /// What a Markdown template begins an issue with.
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
    /// What it asks; nothing for a Markdown template.
    #[serde(default, deserialize_with = "or_default")]
    pub body: Vec<TemplateField>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TemplateField {
    /// `input`, `markdown`, …
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// What programs call it.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// Its label, options and value, by name.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// What the chooser before new issues is set to; where it is not, or where its file is wrong, the usual.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IssueConfig {
    /// Whether issues may be filed without a form.
    #[serde(default = "yes")]
    pub blank_issues_enabled: bool,
    /// Where else people are sent.
    #[serde(default, deserialize_with = "or_default")]
    pub contact_links: Vec<serde_json::Value>,
}

impl Default for IssueConfig {
    fn default() -> Self {
        Self { blank_issues_enabled: true, contact_links: Vec::new() }
    }
}

/// What is at a path of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FileContents {
    /// A folder, with what is in it, but not below.
    Folder(Vec<RemoteFile>),
    /// A file.
    File(RemoteFile),
}

/// A file on a branch; in a list, without its contents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RemoteFile {
    /// Where.
    #[serde(default, deserialize_with = "or_default")]
    pub path: String,
    /// The id of its contents, which an edit must name.
    #[serde(default)]
    pub sha: String,
    /// Its contents in base64.
    #[serde(default, deserialize_with = "or_default")]
    pub content: String,
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Branch {
    /// Whether a rule protects it.
    #[serde(default)]
    pub protected: bool,
    /// Whether the account may push to it all the same.
    #[serde(default)]
    pub user_can_push: bool,
}

/// A webhook of a repository, without its secret, which the forge never tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hook {
    /// Unique.
    pub id: i64,
    /// Whether it is in use.
    #[serde(default)]
    pub active: bool,
    /// What it is sent for.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<String>,
    /// Where to (`url`), and as what (`content_type`).
    #[serde(default, deserialize_with = "or_default")]
    pub config: std::collections::BTreeMap<String, String>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// Its number.
    pub number: i64,
    /// Its page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ForgeLabel {
    /// Unique.
    pub id: i64,
    /// Not unique (go-gitea/gitea `models/issues/label.go`).
    pub name: String,
    /// Whether an issue carries at most one of its scope.
    #[serde(default)]
    pub exclusive: bool,
    /// Whether people are no longer offered it.
    #[serde(default)]
    pub is_archived: bool,
    /// What it means.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
}

/// An issue. On a load error the forge sends one whose fields are all zero
/// (go-gitea/gitea `services/convert/issue.go`), so `id` must be checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Unique on the forge.
    pub id: i64,
    /// Unique in the repository.
    #[serde(default)]
    pub number: i64,
    /// Who filed it.
    #[serde(default)]
    pub user: Option<User>,
    /// Its title.
    #[serde(default, deserialize_with = "or_default")]
    pub title: String,
    /// Its text.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The labels on it.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Vec<ForgeLabel>,
    /// `open` or `closed`; any other word, or none, is an answer that nothing is concluded from.
    #[serde(default, deserialize_with = "or_default")]
    pub state: String,
    /// RFC 3339; the last second of a day.
    #[serde(default)]
    pub due_date: Option<String>,
    /// How many comments it has.
    #[serde(default)]
    pub comments: i64,
    /// RFC 3339, in the server's zone.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
    /// The same.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
    /// Its page.
    #[serde(default, deserialize_with = "or_default")]
    pub html_url: String,
    /// Set when this is a pull request, which shares the numbers of issues.
    #[serde(default)]
    pub pull_request: Option<serde_json::Value>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// Unique on the forge.
    pub id: i64,
    /// Who posted it; null after an edit that changed nothing.
    #[serde(default)]
    pub user: Option<User>,
    /// Its text, HTML comments included.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The page of its issue; empty where it is about a pull request.
    #[serde(default, deserialize_with = "or_default")]
    pub issue_url: String,
    /// When it was posted.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
    /// When it was last edited; else when it was posted.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
}

/// A comment in a repository's listing of them: what it can be recognised by, and not the text, since there may be very
/// many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedComment {
    /// Unique on the forge.
    pub id: i64,
    /// Who posted it.
    #[serde(default)]
    pub user: Option<User>,
    /// The page of its issue; empty where it is about a pull request.
    #[serde(default, deserialize_with = "or_default")]
    pub issue_url: String,
    /// Its text.
    #[serde(default, rename = "body", deserialize_with = "kept_of_text")]
    pub text: ListedText,
    /// When it was last edited; else when it was posted.
    #[serde(default, deserialize_with = "or_default")]
    pub updated_at: String,
}

/// What is kept of a listed comment's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedText {
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its first line, where that is a marker of ours.
    pub marker: Option<Marker>,
}

fn kept_of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ListedText, D::Error> {
    let text: String = or_default(deserializer)?;
    Ok(ListedText { sha256: sha256(&text), marker: Marker::parse(&text) })
}

/// The number of the issue that a comment is on, by the page of that issue.
fn number_in(issue_url: &str) -> Option<i64> {
    issue_url.rsplit('/').next()?.parse().ok()
}

impl ListedComment {
    /// The number of its issue.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        number_in(&self.issue_url)
    }

    /// When it was last edited; else when it was posted.
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

    /// When it was posted.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        time_or_latest(&self.created_at)
    }

    /// When it was last edited; else when it was posted.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        time_or_latest(&self.updated_at)
    }
}

/// A time that cannot be read is one after which nothing has happened yet.
fn time_or_latest(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(Timestamp::latest)
}

/// A line of an issue's timeline (go-gitea/gitea `services/convert/issue_comment.go`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TimelineEntry {
    /// In one sequence with the ids of comments.
    pub id: i64,
    /// `label`, `close`, `comment`, …
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// Who did it.
    #[serde(default)]
    pub user: Option<User>,
    /// For a label, `1` where it was put on.
    #[serde(default, deserialize_with = "or_default")]
    pub body: String,
    /// The label, where it is about one that still exists.
    #[serde(default)]
    pub label: Option<ForgeLabel>,
    /// When.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
}

fn yes() -> bool {
    true
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
