//! A small Gitea-compatible forge in memory, served over real HTTP on loopback, for the demo and the tests.
//!
//! It shares no code with the client in `world`, so that a bug in one shows against the other. It has the quirks of a
//! real Gitea that the client meets (each documented where it is implemented), and injects faults on request. Actions
//! of users go over HTTP; the methods of [`Sandbox`] are for actions of the forge's operator.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use lazarus::sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start().await?;
//! sandbox.user("merlin");
//! let token = sandbox.token("merlin", &["read:user"]);
//! println!("{}/api/v1/user answers to `{token}`", sandbox.url());
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod accounts;
mod api;
mod bare_repos;
mod comments;
mod events;
mod fault;
mod form;
mod git;
mod hooks;
mod http_message;
mod issue;
mod issues;
mod labels;
mod repo_request;
mod repositories;
mod seams;
mod server;
mod setup;
mod state;
mod templates;
mod timeline;
mod view;
mod web;

pub use fault::{Fault, Logged};

use accounts::{JOB_USER, Scopes};
use bare_repos::BareRepos;
use chrono::TimeDelta;
use fault::Faults;
use issue::NewIssue;
use server::Server;
use state::SandboxState;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A running forge; dropping it stops it and discards all data. Git can clone from it if git is installed.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    servers: Mutex<Vec<Server>>,
}

/// The state that the server's connections and the handle share.
#[derive(Debug)]
struct Shared {
    state: Mutex<SandboxState>,
    faults: Mutex<Faults>,
    bare_repos: Arc<BareRepos>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, SandboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandbox {
    /// Starts an empty forge on a free port of the loopback address.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}");
        let bare_repos = Arc::new(BareRepos::new(address.port()));
        let state = Mutex::new(SandboxState::new(url));
        let shared = Arc::new(Shared { state, faults: Mutex::default(), bare_repos });
        let servers = Mutex::new(vec![Server::start(listener, Arc::clone(&shared))]);
        Ok(Self { shared, servers })
    }

    /// Listens on another address too, as behind a proxy; returns its URL.
    pub async fn answer_elsewhere(&self) -> std::io::Result<String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        self.shared.state().addresses.push(url.clone());
        let server = Server::start(listener, Arc::clone(&self.shared));
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).push(server);
        Ok(url)
    }

    /// Uses its first address in all links, whichever address a request names, as a Gitea before 1.26.
    pub fn keep_one_name(&self) {
        self.shared.state().has_one_name = true;
    }

    /// The URL, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.state().addresses[0].clone()
    }

    /// Creates an account whose password is its login.
    pub fn user(&self, login: &str) {
        self.shared.state().accounts.add(login, false);
    }

    /// Creates an administrator, with owner rights in every repository; the password is the login.
    pub fn admin(&self, login: &str) {
        self.shared.state().accounts.add(login, true);
    }

    /// Renames an account and its repositories; the former login redirects.
    ///
    /// # Panics
    /// If there is no account of this login.
    pub fn rename_user(&self, login: &str, new: &str) {
        let mut state = self.shared.state();
        let id = state.accounts.named(login).expect("accounts that exist are renamed").id;
        state.rename_user(id, new);
    }

    /// Removes an account that owns no repository; its issues and comments stay, by the user `Ghost`.
    ///
    /// # Panics
    /// If there is no account of this login, or one that owns a repository.
    pub fn remove_user(&self, login: &str) {
        let mut state = self.shared.state();
        let id = state.accounts.named(login).expect("accounts that exist are removed").id;
        assert!(state.repositories.iter().all(|repository| repository.owner != id), "`{login}` owns a repository");
        state.accounts.remove(id);
    }

    /// Creates an access token with scopes, for example `write:issue`, or `all`.
    ///
    /// # Panics
    /// If there is no account of this login.
    #[must_use]
    pub fn token(&self, login: &str, scopes: &[&str]) -> String {
        let scopes = if scopes.contains(&"all") {
            Scopes::All
        } else {
            Scopes::Some(scopes.iter().map(|&scope| scope.to_owned()).collect())
        };
        let mut state = self.shared.state();
        let user = state.accounts.named(login).expect("tokens are created for accounts that exist").id;
        state.accounts.add_token(user, scopes)
    }

    /// Creates the token of an Actions job that runs in the repository of this id.
    #[must_use]
    pub fn job_token(&self, repository: i64) -> String {
        self.shared.state().accounts.add_token(JOB_USER, Scopes::Job(repository))
    }

    /// Revokes all tokens of an account.
    pub fn revoke_tokens(&self, login: &str) {
        self.shared.state().accounts.revoke_tokens(login);
    }

    /// Opens a pull request in the repository of this id, which shares the numbers of issues; its number.
    ///
    /// # Panics
    /// If there is no account of this login, or no such repository.
    #[must_use]
    pub fn pull_request(&self, repository: i64, login: &str, title: &str, body: &str) -> i64 {
        let mut state = self.shared.state();
        let author = state.accounts.named(login).expect("pull requests are opened by accounts that exist").id;
        let at = state.repository_by_id(repository).expect("pull requests are opened in repositories that exist");
        let (title, body) = (title.to_owned(), body.to_owned());
        state.add_issue(at, NewIssue { author, title, body, due: None, is_pull: true, labels: Vec::new() })
    }

    /// Serves the repository of this id from the bare repository at `path` instead of its files.
    ///
    /// # Panics
    /// If there is no such repository.
    pub fn serve_git(&self, repository: i64, path: &Path) {
        let mut state = self.shared.state();
        let at = state.repository_by_id(repository).expect("repositories that exist are served");
        state.repositories[at].git = Some(path.to_owned());
    }

    /// Injects `fault` into the next `times` requests of this method whose path contains `path`; empty texts match all.
    pub fn break_next(&self, times: usize, method: &str, path: &str, fault: Fault) {
        self.shared.faults().add(times, method, path, fault);
    }

    /// Injects faults into `per_mille` of 1,000 requests, at random from `seed`, until [`Sandbox::heal`].
    pub fn break_at_random(&self, seed: u64, per_mille: u32) {
        self.shared.faults().at_random(seed, per_mille);
    }

    /// Moves all times so far into the past, so that tests need not wait.
    pub fn grow_older(&self, by: Duration) {
        self.shared.state().grow_older(TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX));
    }

    /// Moves the forge's clock forward, so that tests need not wait.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let mut state = self.shared.state();
        state.ahead = state.ahead.checked_add(&by).unwrap_or(TimeDelta::MAX);
    }

    /// Sets the version that it reports.
    pub fn call_itself(&self, version: &str) {
        version.clone_into(&mut self.shared.state().version);
    }

    /// The secrets of the webhooks of the repository of this id; the API never returns them.
    #[must_use]
    pub fn hook_secrets(&self, repository: i64) -> Vec<String> {
        let state = self.shared.state();
        let found = state.repository_by_id(repository).map(|at| &state.repositories[at].hooks);
        let secrets = found.into_iter().flatten().filter_map(|hook| hook.config.get("secret").cloned());
        secrets.collect()
    }

    /// Stops all injected faults.
    pub fn heal(&self) {
        self.shared.faults().heal();
    }

    /// All requests so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.shared.faults().log.clone()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.bare_repos.close();
    }
}
