//! The source, destination and limits of a checkout.

use crate::mission::identity::{ForgeUrl, GitRef, RepositoryName};
use crate::world::forge::Token;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The most files and directories of a checkout.
pub const ENTRIES_MAX: u64 = 100_000;

/// The most bytes of a checkout, of the fetched pack, and of each file.
pub const BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The time limit for all steps of a checkout together.
pub const TIME_MAX: Duration = Duration::from_secs(5 * 60);

/// The limits of a checkout.
#[derive(Clone, Copy, Debug)]
pub struct CheckoutLimits {
    /// Files and directories.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
    /// The time for all steps together.
    pub time: Duration,
}

impl Default for CheckoutLimits {
    fn default() -> Self {
        Self { entries: ENTRIES_MAX, bytes: BYTES_MAX, time: TIME_MAX }
    }
}

/// A repository on the forge. Its address is built of parsed parts, so it never holds credentials or points to another
/// server.
#[derive(Clone, Debug)]
pub struct CheckoutSource {
    url: Url,
    git_ref: Option<GitRef>,
    token: Option<Token>,
    ca_file: Option<PathBuf>,
}

impl CheckoutSource {
    /// A repository at its default branch, read anonymously.
    #[must_use]
    pub fn new(forge: &ForgeUrl, repository: &RepositoryName) -> Self {
        let mut url = forge.as_url().clone();
        let path = format!("{}/{repository}.git", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Self { url, git_ref: None, token: None, ca_file: None }
    }

    /// Selects a branch, tag or commit; a tag takes precedence over a branch of the same name.
    #[must_use]
    pub fn at(mut self, git_ref: Option<GitRef>) -> Self {
        self.git_ref = git_ref;
        self
    }

    /// Reads with this token.
    #[must_use]
    pub fn read_with(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    /// Trusts the CA in this file as well.
    #[must_use]
    pub fn trusting(mut self, ca_file: Option<PathBuf>) -> Self {
        self.ca_file = ca_file;
        self
    }

    /// The clone address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn git_ref(&self) -> Option<&GitRef> {
        self.git_ref.as_ref()
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }
}

/// The destination of a worktree.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// A directory that does not exist yet, below one that no other account can enter.
    pub directory: &'a Path,
    /// The branch to create; named by this service, never by a user.
    pub branch: &'a str,
    /// The group that may work in it.
    pub group: Option<u32>,
}
