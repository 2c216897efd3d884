//! A small Gitea-compatible forge in memory, behind real HTTP on loopback: what the demo and the tests run on.
//!
//! It shares no code with the client in `world`, so that the two can disagree. It has the quirks of a
//! real Gitea that the client meets (each named where it is made), and it breaks on request. Everything that a person
//! can do on the forge is done over HTTP; the methods of [`Sandbox`] are for what only a forge's operator can do.
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
use bare_repos::Shelf;
use chrono::TimeDelta;
use fault::Faults;
use issue::NewIssue;
use server::Server;
use state::SandboxState;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A running forge. Stops, and forgets everything, when dropped. Git clones from it on a machine that has git.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    servers: Mutex<Vec<Server>>,
}

/// What the server's connections and the handle have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<SandboxState>,
    faults: Mutex<Faults>,
    shelf: Arc<Shelf>,
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
        let shelf = Arc::new(Shelf::new(address.port()));
        let shared = Arc::new(Shared { state: Mutex::new(SandboxState::new(url)), faults: Mutex::default(), shelf });
        let servers = Mutex::new(vec![Server::start(listener, Arc::clone(&shared))]);
        Ok(Self { shared, servers })
    }

    /// Answers at one more address from now on, as behind a proxy; where that is.
    pub async fn answer_elsewhere(&self) -> std::io::Result<String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        self.shared.state().addresses.push(url.clone());
        let server = Server::start(listener, Arc::clone(&self.shared));
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).push(server);
        Ok(url)
    }

    /// Calls itself by its first address from now on, whichever it is asked by, as a Gitea before 1.26.
    pub fn keep_one_name(&self) {
        self.shared.state().has_one_name = true;
    }

    /// Where it is, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.state().addresses[0].clone()
    }

    /// Makes an account whose password is its login.
    pub fn user(&self, login: &str) {
        self.shared.state().accounts.add(login, false);
    }

    /// Makes an account of an administrator, to whom every repository belongs; its password is its login.
    pub fn admin(&self, login: &str) {
        self.shared.state().accounts.add(login, true);
    }

    /// Renames an account; its repositories go with it, and its former login leads to it.
    ///
    /// # Panics
    /// If there is no account of this login.
    pub fn rename_user(&self, login: &str, new: &str) {
        let mut state = self.shared.state();
        let id = state.accounts.named(login).expect("accounts that exist are renamed").id;
        state.rename_user(id, new);
    }

    /// Removes an account that owns no repository; what it wrote stays, as a ghost's.
    ///
    /// # Panics
    /// If there is no account of this login, or one that owns a repository.
    pub fn remove_user(&self, login: &str) {
        let mut state = self.shared.state();
        let id = state.accounts.named(login).expect("accounts that exist are removed").id;
        assert!(state.repositories.iter().all(|repository| repository.owner != id), "`{login}` owns a repository");
        state.accounts.remove(id);
    }

    /// Makes an access token with scopes such as `write:issue`, or `all`.
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
        let user = state.accounts.named(login).expect("tokens are made for accounts that exist").id;
        state.accounts.add_token(user, scopes)
    }

    /// Makes the token of an Actions job that runs in the repository of this id.
    #[must_use]
    pub fn job_token(&self, repository: i64) -> String {
        self.shared.state().accounts.add_token(JOB_USER, Scopes::Job(repository))
    }

    /// No token of this account is accepted any more.
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

    /// Lets git serve the repository of this id from the bare repository at `path`, whatever its files are.
    ///
    /// # Panics
    /// If there is no such repository.
    pub fn serve_git(&self, repository: i64, path: &Path) {
        let mut state = self.shared.state();
        let at = state.repository_by_id(repository).expect("repositories that exist are served");
        state.repositories[at].git = Some(path.to_owned());
    }

    /// The next `times` requests of this method whose path contains `path` meet `fault`; empty texts match everything.
    pub fn break_next(&self, times: usize, method: &str, path: &str, fault: Fault) {
        self.shared.faults().add(times, method, path, fault);
    }

    /// Of every 1,000 requests, `per_mille` meet a fault drawn from `seed`, until [`Sandbox::heal`].
    pub fn break_at_random(&self, seed: u64, per_mille: u32) {
        self.shared.faults().at_random(seed, per_mille);
    }

    /// Everything that has happened so far was so much longer ago, so that nobody has to wait until it is.
    pub fn grow_older(&self, by: Duration) {
        self.shared.state().grow_older(TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX));
    }

    /// The forge's clock goes forward by so much, so that nobody has to wait until it does.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let mut state = self.shared.state();
        state.ahead = state.ahead.checked_add(&by).unwrap_or(TimeDelta::MAX);
    }

    /// Says of itself that it is of this version from now on.
    pub fn call_itself(&self, version: &str) {
        version.clone_into(&mut self.shared.state().version);
    }

    /// The secrets that the webhooks of the repository of this id are signed with, which the forge itself never tells.
    #[must_use]
    pub fn hook_secrets(&self, repository: i64) -> Vec<String> {
        let state = self.shared.state();
        let found = state.repository_by_id(repository).map(|at| &state.repositories[at].hooks);
        let secrets = found.into_iter().flatten().filter_map(|hook| hook.config.get("secret").cloned());
        secrets.collect()
    }

    /// No request meets a fault any more.
    pub fn heal(&self) {
        self.shared.faults().heal();
    }

    /// All requests that came in so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.shared.faults().log.clone()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.shelf.close();
    }
}
