//! Explains one mission: its spec, the decision and the reason, the files on disk, what is published, and what comes
//! next.

use crate::config::Settings;
use crate::diagnose::status::for_people::for_people;
use crate::diagnose::status::on_disk::{OnDisk, on_disk};
use crate::diagnose::status::plain::sentences;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::reconcile::{TurnOutcome, simulate};
use crate::engine::report;
use crate::engine::survey::{CommentScope, Scope, SurveyRequest, survey};
use crate::mission::cell::CellObservation;
use crate::mission::identity::MissionId;
use crate::mission::observation::Observation;
use crate::mission::plan::step::Candidate;
use crate::mission::proposal::Spec;
use crate::mission::proposal::form::Form;
use crate::mission::proposal::problem::Problem;
use crate::mission::record::{Event, IssueState, Record};
use crate::mission::selector::{IssueArgument, MissionSelector};
use crate::mission::status::comment;
use crate::mission::status::compose::status;
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::Lifecycle;
use crate::mission::text::shown;
use crate::mission::time::{Timestamp, format_length};
use crate::world::cells::look;
use crate::world::store::root::{Records, Root, RootError};
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// The JSON document of `status MISSION --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// When the root and the issue were read.
    pub generated_at: Timestamp,
    /// `owner/name#12`; null for a cell without an issue.
    pub issue: Option<String>,
    /// The mission's id, where it has a cell, had one, or would get one.
    pub mission_id: Option<MissionId>,
    /// The spec that the issue requests; null for a cell without an issue, and for an issue that is no proposal.
    pub spec: Option<RequestedSpec>,
    /// The decision that follows from the spec.
    pub decided: Decided,
    /// The files in the cell's place.
    pub on_disk: Option<OnDisk>,
    /// The labels and the comment on the issue; null if Gitea did not answer.
    pub published: Option<PublishedStatus>,
    /// The changes that the next pass would make; null if they are unknown.
    pub next: Option<Vec<String>>,
    /// The last changes, oldest first.
    pub history: Vec<Event>,
    /// What could not be read, and why.
    pub errors: Vec<String>,
}

/// The issue, and the answers in its form.
#[derive(Clone, Debug, Serialize)]
pub struct RequestedSpec {
    /// The title.
    pub title: String,
    /// The author's id.
    pub author_id: i64,
    /// The address of the issue for browsers; empty if Gitea did not answer.
    pub url: String,
    /// Whether the issue is open, closed or deleted.
    pub state: IssueState,
    /// The answers; null if they need correcting.
    pub answers: Option<Spec>,
    /// The answers that need correcting, each with a correct example.
    pub problems: Vec<String>,
}

/// The decision about a mission.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// Phase and health, for example `active, stale (heartbeat-timeout)`.
    pub state: String,
    /// The reason, in plain sentences.
    pub why: Vec<String>,
}

/// What the service has published on the issue.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedStatus {
    /// The service's labels on the issue.
    pub labels: Vec<String>,
    /// The id of the status comment.
    pub comment_id: Option<i64>,
    /// Why the comment is out of date, if Gitea refuses to let it be written.
    pub out_of_date: Option<String>,
}

/// Why a mission cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Gitea is unavailable or not configured, and there is no record either.
    #[error(transparent)]
    Refused(FatalError),
    /// There is no such issue. The text is without the flag `--issue`, which this command does not have.
    #[error("{0}")]
    NoIssue(String),
    /// There is no such cell.
    #[error("there is no mission {mission_id} in `{root}`; {list} lists all missions")]
    NoMission {
        /// The id that was asked for.
        mission_id: MissionId,
        /// The missions root.
        root: String,
        /// The command that lists them.
        list: String,
    },
}

impl From<FatalError> for ExplainError {
    fn from(error: FatalError) -> Self {
        match error {
            FatalError::Issue(what) => Self::NoIssue(what),
            FatalError::Settings(_) | FatalError::Root(_) | FatalError::Token(_) | FatalError::Repositories(_) => {
                Self::Refused(error)
            }
        }
    }
}

/// Explains one mission, with the state of its issue if Gitea is available. Writes nothing.
pub async fn explain(
    settings: &Settings,
    subject: &MissionSelector,
    now: Timestamp,
) -> Result<Explanation, ExplainError> {
    let root = Arc::new(settings.open_root()?);
    let records = root.records()?;
    let recorded = recorded(&records, subject);
    let wanted = match (subject, recorded) {
        (MissionSelector::Issue(issue), None) => issue.clone(),
        (_, Some(record)) => {
            IssueArgument { repository: Some(record.issue.repository.clone()), number: record.issue.number }
        }
        (MissionSelector::Mission(mission_id), None) => return from_cell(settings, &root, *mission_id, now),
    };
    let scope = Scope::Issue { repository: wanted.repository.clone(), number: wanted.number };
    let surveyed = match settings.gitea() {
        Ok(gitea) => {
            let (fleet, starts, scope) = (Mutex::default(), Arc::default(), &scope);
            let (starts, comments) = (&starts, &CommentScope::at(now));
            let request = SurveyRequest { settings, scope, now, starts, fleet: &fleet, is_only_pass: true, comments };
            survey(request, gitea, &root).await
        }
        Err(error) => Err(FatalError::Settings(error)),
    };
    let mut survey = match surveyed {
        Ok(survey) => survey,
        Err(error) => {
            let error = ExplainError::from(error);
            let Some(record) = recorded else { return Err(error) };
            return Ok(from_record(&root, record, vec![error.to_string()], now));
        }
    };
    let errors: Vec<String> = survey.failures.iter().map(Failure::message_with_subject).collect();
    match (survey.candidates.pop(), recorded) {
        (Some(candidate), _) => Ok(Explanation { errors, ..from_issue(candidate, &survey.setup, now) }),
        (None, Some(record)) => Ok(from_record(&root, record, errors, now)),
        (None, None) => Ok(no_proposal(settings, &wanted, errors, now)),
    }
}

fn recorded<'a>(records: &'a Records, subject: &MissionSelector) -> Option<&'a Record> {
    let is_it = |record: &&Record| match subject {
        MissionSelector::Mission(id) => record.binding.as_ref().is_some_and(|binding| binding.mission_id == *id),
        MissionSelector::Issue(IssueArgument { repository, number }) => {
            let is_there = repository.as_ref().is_none_or(|name| name.is_same(&record.issue.repository));
            record.issue.number == *number && is_there
        }
    };
    let mut found = records.by_issue.values().filter(is_it);
    let first = found.next();
    // If several repositories match, the user has to name one.
    first.filter(|_| found.next().is_none())
}

/// Explains a mission whose issue was read.
fn from_issue(candidate: Candidate, setup: &[crate::mission::plan::change::Change], now: Timestamp) -> Explanation {
    let mut observation = candidate.seen.clone();
    // Only the daemon knows the running checkouts; the record holds the one that it published.
    observation.recall_checkout();
    let observation = &observation;
    let (issue, here) = (&observation.issue, &observation.here);
    let parsed = observation.proposal();
    let found = Lifecycle::of(observation);
    let TurnOutcome { changes, .. } = simulate(candidate);
    let changes = setup.iter().chain(&changes).map(ToString::to_string).collect();
    let labels =
        issue.labels.iter().filter(|attached| is_managed(&attached.name)).map(|attached| attached.name.clone());
    let record = observation.record.as_ref();
    Explanation {
        generated_at: now,
        issue: Some(issue.key.to_string()),
        mission_id: observation
            .binding()
            .map(|binding| binding.mission_id)
            .or_else(|| matches!(found, Lifecycle::Active(_) | Lifecycle::Waits(..)).then_some(observation.mission_id)),
        spec: Some(RequestedSpec {
            title: shown(&issue.title),
            author_id: issue.key.author_id,
            url: issue.url.clone(),
            state: issue.state,
            problems: parsed.err().into_iter().flatten().map(describe).collect(),
            answers: parsed.ok().map(|proposal| proposal.spec.clone()),
        }),
        decided: decided(observation, &found),
        on_disk: Some(on_disk(&here.missions_root, observation.mission_id, &observation.sighting, record)),
        published: Some(PublishedStatus {
            labels: labels.collect(),
            comment_id: record.and_then(|record| record.comment.as_ref()).map(|comment| comment.id),
            out_of_date: record.and_then(Record::comment_refusal).map(str::to_owned),
        }),
        next: Some(changes),
        history: record.map(|record| record.changes.clone()).unwrap_or_default(),
        errors: Vec::new(),
    }
}

fn is_managed(name: &str) -> bool {
    Label::named(name).is_some() || name.starts_with("host/")
}

fn describe(problem: &Problem) -> String {
    let Problem { field, answer, wrong, right } = problem;
    let answer = answer.as_ref().map_or(String::new(), |answer| format!("`{}` ", shown(answer)));
    format!("{field}: {answer}{wrong}; {right}")
}

/// If the issue gets a comment, the comment gives the reason; otherwise the lifecycle does.
fn decided(observation: &Observation, found: &Lifecycle) -> Decided {
    let here = &observation.here;
    if let Some((status, _)) = status(observation, found) {
        let comment = comment::render(here, &status);
        // The first line is for programs, and the history has a field of its own.
        let (_, text) = comment.split_once('\n').unwrap_or_default();
        let (text, _) = text.split_once("\n<details>").unwrap_or((text, ""));
        return Decided { state: status.summary(), why: sentences(text) };
    }
    let (state, why) = match found {
        Lifecycle::NotForThisHost => {
            ("not for this host", "it names another host, or `host.take` of this host is `named`".to_owned())
        }
        Lifecycle::OwnedByOtherRoot(owner, _) => {
            let host = owner.host.as_ref().map_or("another host".to_owned(), |host| format!("host `{host}`"));
            ("other-host", format!("{host} owns it, on root {}, as the status comment says", owner.root))
        }
        Lifecycle::Missing => ("missing", "Gitea reports no such issue; a second pass has to confirm that".to_owned()),
        Lifecycle::Deleted(_) => {
            ("deleted", "the issue was deleted; its cell is archived, and no file of it is deleted".to_owned())
        }
        Lifecycle::Blocked(obstacle) => ("blocked", report::blocked(observation, here, obstacle).message),
        Lifecycle::NotAProposal
        | Lifecycle::Closed(_)
        | Lifecycle::Waits(..)
        | Lifecycle::Invalid(_)
        | Lifecycle::Active(_) => ("no proposal", why_no_proposal()),
    };
    Decided { state: state.to_owned(), why: sentences(&why) }
}

fn why_no_proposal() -> String {
    format!(
        "it is no Mission proposal: its first line is not `{}`, and it lacks the label `{}`; or it was closed before \
         this service first read it",
        Form::embedded().marker,
        Label::Proposal.name()
    )
}

fn no_proposal(settings: &Settings, wanted: &IssueArgument, errors: Vec<String>, now: Timestamp) -> Explanation {
    let repository = wanted.repository.as_ref().or(settings.repositories.first());
    let issue = repository.map(|repository| format!("{repository}#{}", wanted.number));
    let decided = if errors.is_empty() {
        Decided { state: "no proposal".to_owned(), why: sentences(&why_no_proposal()) }
    } else {
        Decided { state: "unknown".to_owned(), why: vec!["Gitea did not answer, and there is no record".to_owned()] }
    };
    let next = errors.is_empty().then(Vec::new);
    let (spec, on_disk, published, history) = (None, None, None, Vec::new());
    Explanation { generated_at: now, issue, mission_id: None, spec, decided, on_disk, published, next, history, errors }
}

/// Explains a mission from its record, if Gitea did not answer.
fn from_record(root: &Root, record: &Record, errors: Vec<String>, now: Timestamp) -> Explanation {
    let binding = record.binding.as_ref();
    let missions_root = root.path().display().to_string();
    let state =
        record.published.as_ref().map_or("nothing published yet".to_owned(), |published| match published.verdict {
            None => published.phase.to_string(),
            Some(verdict) => format!("{}, {} ({})", published.phase, verdict.health, verdict.reason),
        });
    let since =
        record.published.as_ref().map_or(String::new(), |published| format!(", since {}", published.since.formatted()));
    let message = for_people(record).map(|line| sentences(&line)).unwrap_or_default();
    let checkout = record.worktree.under_way.as_ref().map(ToString::to_string);
    let why = message.into_iter().chain(checkout).chain([format!("cached: the last published state{since}")]).collect();
    Explanation {
        generated_at: now,
        issue: Some(record.issue.to_string()),
        mission_id: binding.map(|binding| binding.mission_id),
        spec: record.name().map(|name| RequestedSpec {
            title: shown(name),
            author_id: record.issue.author_id,
            url: String::new(),
            state: record.state,
            answers: binding.map(|binding| binding.spec.clone()),
            problems: Vec::new(),
        }),
        decided: Decided { state, why },
        on_disk: binding.map(|binding| {
            let sighting = look::look(root, binding.mission_id, root.resolver());
            on_disk(&missions_root, binding.mission_id, &sighting, Some(record))
        }),
        published: None,
        next: None,
        history: record.changes.clone(),
        errors,
    }
}

/// Explains a cell without an issue.
fn from_cell(
    settings: &Settings,
    root: &Root,
    mission_id: MissionId,
    now: Timestamp,
) -> Result<Explanation, ExplainError> {
    let sighting = look::look(root, mission_id, root.resolver());
    let missions_root = root.path().display().to_string();
    if sighting == CellObservation::Absent {
        let list = settings.given.command("status");
        return Err(ExplainError::NoMission { mission_id, root: missions_root, list });
    }
    let default = format_length(settings.stale_after);
    let scan = settings.given.command("scan");
    let why = format!(
        "it belongs to no issue; stale after its own `stale_after_seconds`, otherwise {default}; {scan} reports its health"
    );
    Ok(Explanation {
        generated_at: now,
        issue: None,
        mission_id: Some(mission_id),
        spec: None,
        decided: Decided { state: "a cell without an issue".to_owned(), why: sentences(&why) },
        on_disk: Some(on_disk(&missions_root, mission_id, &sighting, None)),
        published: None,
        next: Some(Vec::new()),
        history: Vec::new(),
        errors: Vec::new(),
    })
}
