//! A request about one repository: the caller, its rights, and access to the repository's data.

use crate::sandbox::accounts::{Actor, Scopes};
use crate::sandbox::hooks::HookEvent;
use crate::sandbox::http_message::{SandboxReply, SandboxRequest};
use crate::sandbox::issue::{SandboxIssue, SandboxTimelineEntry};
use crate::sandbox::state::{Right, SandboxRepository, SandboxState};
use chrono::{DateTime, SubsecRound, Utc};
use serde::de::DeserializeOwned;

/// A request about one repository, by a caller who may at least read it.
#[derive(Debug)]
pub(super) struct RepoRequest<'a> {
    pub(super) state: &'a mut SandboxState,
    pub(super) request: &'a SandboxRequest,
    /// The caller; 0 is anonymous.
    pub(super) user: i64,
    pub(super) is_job: bool,
    pub(super) right: Right,
    /// The repository's index in the state.
    pub(super) at: usize,
}

/// A range of time with inclusive ends, in whole seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    since: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Period {
    pub(super) fn has(self, time: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| time >= since) && self.before.is_none_or(|before| time <= before)
    }
}

pub(super) type Handled = Result<SandboxReply, SandboxReply>;

/// The context of a request; 404 if the caller may not read the repository.
pub(super) fn authorize<'a>(
    state: &'a mut SandboxState,
    request: &'a SandboxRequest,
    actor: Option<&Actor>,
    at: Option<usize>,
) -> Result<RepoRequest<'a>, SandboxReply> {
    let right = at.map_or(Right::None, |at| state.right(actor, at));
    let Some(at) = at.filter(|_| right > Right::None) else { return Err(SandboxReply::not_found(&state.url)) };
    if actor.is_none() && request.method != "GET" {
        return Err(SandboxReply::error(&state.url, 401, "token is required"));
    }
    let user = actor.map_or(0, |actor| actor.user);
    let is_job = actor.is_some_and(|actor| matches!(actor.scopes, Scopes::Job(_)));
    Ok(RepoRequest { state, request, user, is_job, right, at })
}

impl RepoRequest<'_> {
    pub(super) fn repository(&self) -> &SandboxRepository {
        &self.state.repositories[self.at]
    }

    pub(super) fn repository_mut(&mut self) -> &mut SandboxRepository {
        &mut self.state.repositories[self.at]
    }

    /// The issue of this number, if it exists.
    pub(super) fn find_issue(&self, number: &str) -> Option<&SandboxIssue> {
        let number: i64 = number.parse().ok()?;
        self.repository().issues.iter().find(|issue| issue.number == number)
    }

    pub(super) fn issue(&self, number: &str) -> Result<&SandboxIssue, SandboxReply> {
        self.find_issue(number).ok_or_else(|| self.not_found())
    }

    pub(super) fn issue_mut(&mut self, number: &str) -> Result<&mut SandboxIssue, SandboxReply> {
        let not_found = self.not_found();
        let number: Option<i64> = number.parse().ok();
        self.repository_mut().issues.iter_mut().find(|issue| Some(issue.number) == number).ok_or(not_found)
    }

    /// The `since` and `before` of the request (go-gitea/gitea `services/context/utils.go`).
    pub(super) fn period(&self) -> Result<Period, SandboxReply> {
        let time = |key| self.request.query(key).map(|text| self.time(text)).transpose();
        Ok(Period { before: time("before")?, since: time("since")? })
    }

    fn time(&self, text: &str) -> Result<DateTime<Utc>, SandboxReply> {
        // Fractions of a second are cut off.
        DateTime::parse_from_rfc3339(text).map(|time| time.to_utc().trunc_subsecs(0)).map_err(|_| {
            let layout = "2006-01-02T15:04:05Z07:00";
            self.error(422, &format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
        })
    }

    /// Queues deliveries about the caller's change to a comment.
    pub(super) fn deliver(&mut self, number: i64, entry: SandboxTimelineEntry, what: HookEvent) {
        self.state.deliver((self.at, self.user, self.right), number, (entry, what));
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, SandboxReply> {
        self.request.json(&self.state.url)
    }

    pub(super) fn not_found(&self) -> SandboxReply {
        SandboxReply::not_found(&self.state.url)
    }

    pub(super) fn internal(&self) -> SandboxReply {
        SandboxReply::internal(&self.state.url)
    }

    pub(super) fn error(&self, status: u16, message: &str) -> SandboxReply {
        SandboxReply::error(&self.state.url, status, message)
    }

    pub(super) fn require(&self, right: Right, message: &str) -> Result<(), SandboxReply> {
        if self.right >= right { Ok(()) } else { Err(self.error(403, message)) }
    }

    /// Comments and new issues are refused in an archived repository; label writes are not.
    pub(super) fn require_not_archived(&self) -> Result<(), SandboxReply> {
        let SandboxRepository { owner_login, name, is_archived, .. } = self.repository();
        if !is_archived {
            return Ok(());
        }
        Err(self.error(423, &format!("{owner_login}/{name} is archived")))
    }
}
