//! A visit to one repository: who asks, what they may do there, and what they find.

use crate::sandbox::accounts::{Actor, Scopes};
use crate::sandbox::hooks::Happened;
use crate::sandbox::http_message::{Reply, Request};
use crate::sandbox::issue::{Entry, Issue};
use crate::sandbox::state::{Repository, Right, State};
use chrono::{DateTime, SubsecRound, Utc};
use serde::de::DeserializeOwned;

/// A request about one repository, by somebody who may at least read it.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) state: &'a mut State,
    pub(super) request: &'a Request,
    /// Who asks; 0 is nobody in particular.
    pub(super) user: i64,
    pub(super) is_job: bool,
    pub(super) right: Right,
    /// The repository's place in the state.
    pub(super) at: usize,
}

/// A span of time, of which both ends are part, to the second.
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

pub(super) type Answer = Result<Reply, Reply>;

/// Lets somebody in, who may at least read.
pub(super) fn visit<'a>(
    state: &'a mut State,
    request: &'a Request,
    actor: Option<&Actor>,
    at: Option<usize>,
) -> Result<Visit<'a>, Reply> {
    let right = at.map_or(Right::None, |at| state.right(actor, at));
    let Some(at) = at.filter(|_| right > Right::None) else { return Err(Reply::not_found(&state.url)) };
    if actor.is_none() && request.method != "GET" {
        return Err(Reply::refusal(&state.url, 401, "token is required"));
    }
    let user = actor.map_or(0, |actor| actor.user);
    let is_job = actor.is_some_and(|actor| matches!(actor.scopes, Scopes::Job(_)));
    Ok(Visit { state, request, user, is_job, right, at })
}

impl Visit<'_> {
    pub(super) fn repository(&self) -> &Repository {
        &self.state.repositories[self.at]
    }

    pub(super) fn repository_mut(&mut self) -> &mut Repository {
        &mut self.state.repositories[self.at]
    }

    /// The issue of this number; none where there is none.
    pub(super) fn find_issue(&self, number: &str) -> Option<&Issue> {
        let number: i64 = number.parse().ok()?;
        self.repository().issues.iter().find(|issue| issue.number == number)
    }

    pub(super) fn issue(&self, number: &str) -> Result<&Issue, Reply> {
        self.find_issue(number).ok_or_else(|| self.not_found())
    }

    pub(super) fn issue_mut(&mut self, number: &str) -> Result<&mut Issue, Reply> {
        let not_found = self.not_found();
        let number: Option<i64> = number.parse().ok();
        self.repository_mut().issues.iter_mut().find(|issue| Some(issue.number) == number).ok_or(not_found)
    }

    /// The `since` and `before` of the request (go-gitea/gitea `services/context/utils.go`).
    pub(super) fn period(&self) -> Result<Period, Reply> {
        let time = |key| self.request.query(key).map(|text| self.time(text)).transpose();
        Ok(Period { before: time("before")?, since: time("since")? })
    }

    fn time(&self, text: &str) -> Result<DateTime<Utc>, Reply> {
        // Fractions of a second are cut off.
        DateTime::parse_from_rfc3339(text).map(|time| time.to_utc().trunc_subsecs(0)).map_err(|_| {
            let layout = "2006-01-02T15:04:05Z07:00";
            self.refusal(422, &format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
        })
    }

    /// Tells webhooks what the visitor did to a comment.
    pub(super) fn deliver(&mut self, number: i64, entry: Entry, what: Happened) {
        self.state.deliver((self.at, self.user, self.right), number, (entry, what));
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        self.request.json(&self.state.url)
    }

    pub(super) fn not_found(&self) -> Reply {
        Reply::not_found(&self.state.url)
    }

    pub(super) fn internal(&self) -> Reply {
        Reply::internal(&self.state.url)
    }

    pub(super) fn refusal(&self, status: u16, message: &str) -> Reply {
        Reply::refusal(&self.state.url, status, message)
    }

    pub(super) fn needs(&self, right: Right, message: &str) -> Result<(), Reply> {
        if self.right >= right { Ok(()) } else { Err(self.refusal(403, message)) }
    }

    /// Comments and new issues are refused in an archived repository; label writes are not.
    pub(super) fn needs_life(&self) -> Result<(), Reply> {
        let Repository { owner_login, name, is_archived, .. } = self.repository();
        if !is_archived {
            return Ok(());
        }
        Err(self.refusal(423, &format!("{owner_login}/{name} is archived")))
    }
}
