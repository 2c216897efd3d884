//! The Gitea client: the calls that a reconciler needs, in the builder style of octocrab and gitea-sdk.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use lazarus::mission::identity::{ForgeUrl, RepositoryName};
//! use lazarus::world::forge::{Gitea, IssueFilter, Token};
//!
//! let gitea = Gitea::builder(ForgeUrl::parse("https://git.example.com")?, Token::parse("…")?).build()?;
//! let missions = RepositoryName::parse("owner/missions")?;
//! let page = gitea.issues(&missions).list().state(IssueFilter::Open).limit(50).send().await?;
//! println!("{} of {:?} issues", page.items.len(), page.total);
//! # Ok(())
//! # }
//! ```
//!
//! It never follows a redirect (a renamed repository answers 301, and a followed POST would become a GET), never
//! retries a create blindly, and limits every wait and every body.

pub mod accounts;
pub mod alert_targets;
mod answer;
mod call;
mod cause;
mod connection;
mod error;
mod error_response;
mod held;
pub mod issue_forms;
mod issues;
mod listing;
mod models;
mod repositories;
pub mod repository;
mod shortener;
mod traffic;

pub use call::{Call, Page};
pub use cause::UnreachableCause;
pub(in crate::world) use cause::chain;
pub use connection::{Builder, Patience, Requests, Token};
pub(in crate::world) use connection::{as_needed_for, install_tls};
pub use error::ForgeError;
pub use issues::{CommentFeed, IssueFilter, IssueList, Issues};
pub use listing::{CommentListing, HELD_BYTES_MAX, Listing, ListingFilter};
pub use models::{
    Branch, Comment, ExternalTracker, FileContents, ForgeLabel, Hook, Issue, IssueConfig, IssueTemplate, ListedComment,
    ListedText, Permissions, Pull, RemoteFile, Repository, ServerVersion, TemplateField, TimelineEntry, User,
};
pub use repositories::{FileCommit, NewHook, NewLabel, Repositories};
pub use traffic::Traffic;

use crate::mission::identity::{ForgeUrl, RepositoryId, RepositoryName};
use connection::Connection;
use std::sync::Arc;

/// A Gitea server, accessed as one account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gitea(Arc<Connection>);

impl Gitea {
    /// Starts to configure a connection; nothing is sent before the first call.
    #[must_use]
    pub fn builder(url: ForgeUrl, token: Token) -> Builder {
        Builder::new(url, token)
    }

    /// Gets the server's version. Needs no scope, and a token only if the server requires sign-in.
    pub fn version(&self) -> Call<ServerVersion> {
        Call::get(&self.0, &["version"])
    }

    /// Lists at most one notification, to check the scope `read:notification`, which a bot's token should not have.
    pub fn notifications(&self) -> Call<Vec<serde_json::Value>> {
        Call::get(&self.0, &["notifications"]).query("limit", 1)
    }

    /// Gets the account of the token. Needs the scope `read:user`.
    pub fn user(&self) -> Call<User> {
        Call::get(&self.0, &["user"])
    }

    /// Gets an account by its login. Needs the scope `read:user`.
    pub fn user_named(&self, login: &str) -> Call<User> {
        Call::get(&self.0, &["users", login])
    }

    /// The server's base address.
    #[must_use]
    pub fn url(&self) -> ForgeUrl {
        self.0.base()
    }

    /// The current token.
    #[must_use]
    pub fn token(&self) -> Token {
        self.0.token()
    }

    /// Calls about a repository by its name.
    #[must_use]
    pub fn repository(&self, name: &RepositoryName) -> Repositories {
        Repositories::new(&self.0, name)
    }

    /// Gets a repository by its id, which survives a rename.
    pub fn repository_by_id(&self, id: RepositoryId) -> Call<Repository> {
        Call::get(&self.0, &["repositories", &id.to_string()])
    }

    /// Calls about the issues of a repository, their labels and comments.
    #[must_use]
    pub fn issues(&self, repository: &RepositoryName) -> Issues {
        Issues::new(&self.0, repository)
    }

    /// Resets the failure counter, and replaces the token if one is given.
    pub fn begin_anew(&self, token: Option<Token>) {
        self.0.begin_anew(token);
    }

    /// The requests sent so far, by method and class of status.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.traffic()
    }

    /// Seconds that this host's clock is ahead of the server's, by the last response.
    #[must_use]
    pub fn clock_offset(&self) -> Option<i64> {
        self.0.clock_offset()
    }

    /// The requests sent so far, by method.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.0.requests()
    }
}
