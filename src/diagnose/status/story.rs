//! One mission's story: what was asked, what was decided and why, what is on disk, what the issue shows, what comes next.

use crate::config::Settings;
use crate::diagnose::status::for_people::for_people;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::reconcile::{TurnOutcome, simulate};
use crate::engine::report;
use crate::engine::survey::{CommentScope, Scope, SurveyRequest, survey};
use crate::mission::cell::heartbeat::ObservedHeartbeat;
use crate::mission::cell::{CellObservation, Part, PartObservation};
use crate::mission::identity::MissionId;
use crate::mission::observation::Observation;
use crate::mission::paths::{archive_path, cell_path};
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
use crate::mission::text::{MESSAGE_SHOWN_MAX, one_line, shown};
use crate::mission::time::{Timestamp, format_length};
use crate::world::cells::look;
use crate::world::store::root::{Records, Root, RootError};
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// The JSON document of `status MISSION --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// When it was looked at.
    pub generated_at: Timestamp,
    /// `owner/name#12`; null for a cell without an issue.
    pub issue: Option<String>,
    /// The mission's id, where it has a cell, had one, or would get one.
    pub mission_id: Option<MissionId>,
    /// What the issue asks for.
    pub asked: Option<RequestedSpec>,
    /// What follows from it.
    pub decided: Decided,
    /// What lies in the cell's place.
    pub on_disk: Option<OnDisk>,
    /// What the issue shows of it; null where the forge did not tell.
    pub shown: Option<PublishedStatus>,
    /// What the next pass would do; null where that cannot be told.
    pub next: Option<Vec<String>>,
    /// The last changes, oldest first.
    pub history: Vec<Event>,
    /// What could not be seen.
    pub troubles: Vec<String>,
}

/// What was asked.
#[derive(Clone, Debug, Serialize)]
pub struct RequestedSpec {
    /// The title.
    pub title: String,
    /// The author's id.
    pub author_id: i64,
    /// Its page.
    pub url: String,
    /// Whether the issue is open, closed or gone.
    pub state: IssueState,
    /// The answers; null where they need correcting.
    pub spec: Option<Spec>,
    /// What needs correcting.
    pub problems: Vec<String>,
}

/// What was decided.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// A few words: `active, stale (silent)`.
    pub state: String,
    /// Why, line by line.
    pub why: Vec<String>,
}

/// What is there.
#[derive(Clone, Debug, Serialize, Default)]
pub struct OnDisk {
    /// Where.
    pub path: String,
    /// What is there, in words.
    pub seen: String,
    /// Parts that are not as they should be.
    pub amiss: Vec<String>,
    /// Whether there ever was a heartbeat, also where none can be read now.
    pub ever_beat: bool,
    /// The last heartbeat's time.
    pub beaten_at: Option<Timestamp>,
    /// What the wizard says of itself.
    pub state: Option<String>,
    /// What it says to people.
    pub message: Option<String>,
    /// What is remarkable about the last heartbeat, which counts nevertheless.
    pub notes: Vec<String>,
    /// Where the cell was moved to.
    pub archive: Option<String>,
}

/// What people see.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedStatus {
    /// The labels of ours on the issue.
    pub labels: Vec<String>,
    /// Our comment's id.
    pub comment_id: Option<i64>,
    /// Why it does not say what is so, where the forge refuses that it is written.
    pub out_of_date: Option<String>,
}

/// Why there is no story.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The forge or the settings, and nothing is remembered either.
    #[error(transparent)]
    Refused(FatalError),
    /// There is no such issue; a flag of passes, which the refusal speaks of, has nothing to do with it.
    #[error("{0}")]
    NoIssue(String),
    /// There is no such cell.
    #[error("there is no mission {mission_id} in `{root}`; {list} lists all there are")]
    NoMission {
        /// Which.
        mission_id: MissionId,
        /// Where.
        root: String,
        /// The command that lists them.
        list: String,
    },
}

impl From<FatalError> for StoryError {
    fn from(refusal: FatalError) -> Self {
        match refusal {
            FatalError::Issue(what) => Self::NoIssue(what),
            FatalError::Settings(_) | FatalError::Root(_) | FatalError::Token(_) | FatalError::Repositories(_) => {
                Self::Refused(refusal)
            }
        }
    }
}

/// Tells the story of one mission, with the forge's word if it can be had. Writes nothing.
pub async fn story(settings: &Settings, subject: &MissionSelector, now: Timestamp) -> Result<Story, StoryError> {
    let root = Arc::new(settings.open_root()?);
    let records = root.records()?;
    let remembered = remembered(&records, subject);
    let asked_for = match (subject, remembered) {
        (MissionSelector::Issue(issue), None) => issue.clone(),
        (_, Some(record)) => {
            IssueArgument { repository: Some(record.issue.repository.clone()), number: record.issue.number }
        }
        (MissionSelector::Mission(mission_id), None) => return cell_alone(settings, &root, *mission_id, now),
    };
    let scope = Scope::Issue { repository: asked_for.repository.clone(), number: asked_for.number };
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
        Err(refusal) => {
            let error = StoryError::from(refusal);
            let Some(record) = remembered else { return Err(error) };
            return Ok(from_memory(&root, record, vec![error.to_string()], now));
        }
    };
    let troubles: Vec<String> = survey.failures.iter().map(Failure::message_with_subject).collect();
    match (survey.candidates.pop(), remembered) {
        (Some(candidate), _) => Ok(Story { troubles, ..describe(candidate, &survey.setup, now) }),
        (None, Some(record)) => Ok(from_memory(&root, record, troubles, now)),
        (None, None) => Ok(not_ours(settings, &asked_for, troubles, now)),
    }
}

fn remembered<'a>(records: &'a Records, subject: &MissionSelector) -> Option<&'a Record> {
    let is_it = |record: &&Record| match subject {
        MissionSelector::Mission(id) => record.binding.as_ref().is_some_and(|binding| binding.mission_id == *id),
        MissionSelector::Issue(IssueArgument { repository, number }) => {
            let is_there = repository.as_ref().is_none_or(|name| name.is_same(&record.issue.repository));
            record.issue.number == *number && is_there
        }
    };
    let mut found = records.by_issue.values().filter(is_it);
    let first = found.next();
    // Of several repositories the person has to say which.
    first.filter(|_| found.next().is_none())
}

/// With the forge's word.
fn describe(candidate: Candidate, setup: &[crate::mission::plan::change::Change], now: Timestamp) -> Story {
    let mut observation = candidate.seen.clone();
    // Only the daemon knows what is under way; the issue says what it has told of that.
    observation.recall_checkout();
    let observation = &observation;
    let (issue, here) = (&observation.issue, &observation.here);
    let parsed = observation.proposal();
    let found = Lifecycle::of(observation);
    let TurnOutcome { changes, .. } = simulate(candidate);
    let changes = setup.iter().chain(&changes).map(ToString::to_string).collect();
    let labels = issue.labels.iter().filter(|attached| is_ours(&attached.name)).map(|attached| attached.name.clone());
    let record = observation.record.as_ref();
    Story {
        generated_at: now,
        issue: Some(issue.key.to_string()),
        mission_id: observation
            .binding()
            .map(|binding| binding.mission_id)
            .or_else(|| matches!(found, Lifecycle::Active(_) | Lifecycle::Waits(..)).then_some(observation.mission_id)),
        asked: Some(RequestedSpec {
            title: shown(&issue.title),
            author_id: issue.key.author_id,
            url: issue.url.clone(),
            state: issue.state,
            problems: parsed.err().into_iter().flatten().map(spoken).collect(),
            spec: parsed.ok().map(|proposal| proposal.spec.clone()),
        }),
        decided: decided(observation, &found),
        on_disk: Some(on_disk(&here.missions_root, observation.mission_id, &observation.sighting, record)),
        shown: Some(PublishedStatus {
            labels: labels.collect(),
            comment_id: record.and_then(|record| record.comment.as_ref()).map(|comment| comment.id),
            out_of_date: record.and_then(Record::comment_refusal).map(str::to_owned),
        }),
        next: Some(changes),
        history: record.map(|record| record.changes.clone()).unwrap_or_default(),
        troubles: Vec::new(),
    }
}

fn is_ours(name: &str) -> bool {
    Label::named(name).is_some() || name.starts_with("host/")
}

fn spoken(problem: &Problem) -> String {
    let Problem { field, answer, wrong, right } = problem;
    let answer = answer.as_ref().map_or(String::new(), |answer| format!("`{}` ", shown(answer)));
    format!("{field}: {answer}{wrong}; {right}")
}

/// Where there is a comment, it says why; else the situation does.
fn decided(observation: &Observation, found: &Lifecycle) -> Decided {
    let here = &observation.here;
    if let Some((status, _)) = status(observation, found) {
        let words = comment::render(here, &status);
        // The first line is for programs, and the history is told below.
        let lines = words.lines().skip(1).take_while(|line| !line.starts_with("<details>"));
        let why = lines.filter(|line| !line.is_empty()).map(|line| line.replace("**", "")).collect();
        return Decided { state: status.summary(), why };
    }
    let (state, why) = match found {
        Lifecycle::NotForThisHost => {
            ("left alone", "another host is named in it, or `host.take` of this one is `named`".to_owned())
        }
        Lifecycle::OwnedByOtherRoot(elsewhere, _) => {
            let host = elsewhere.host.as_ref().map_or("another host".to_owned(), |host| format!("host `{host}`"));
            ("elsewhere", format!("{host} serves it, on root {}; our comment there says so", elsewhere.root))
        }
        Lifecycle::Missing => {
            ("missing", "the forge says that there is no such issue; one more pass has to be told the same".to_owned())
        }
        Lifecycle::Deleted(_) => {
            ("gone", "the issue was deleted; its cell is archived, and nothing of it is deleted".to_owned())
        }
        Lifecycle::Blocked(obstacle) => ("blocked", report::blocked(observation, here, obstacle).message),
        Lifecycle::NotAProposal
        | Lifecycle::Closed(_)
        | Lifecycle::Waits(..)
        | Lifecycle::Invalid(_)
        | Lifecycle::Active(_) => ("no proposal", why_not_ours()),
    };
    Decided { state: state.to_owned(), why: vec![why] }
}

fn why_not_ours() -> String {
    format!(
        "it is no Mission proposal: its first line is not `{}`, and it lacks the label `{}`; or it was closed before it was \
         ever seen here",
        Form::embedded().marker,
        Label::Proposal.name()
    )
}

fn not_ours(settings: &Settings, asked_for: &IssueArgument, troubles: Vec<String>, now: Timestamp) -> Story {
    let repository = asked_for.repository.as_ref().or(settings.repositories.first());
    let issue = repository.map(|repository| format!("{repository}#{}", asked_for.number));
    let decided = if troubles.is_empty() {
        Decided { state: "no proposal".to_owned(), why: vec![why_not_ours()] }
    } else {
        Decided {
            state: "unknown".to_owned(),
            why: vec!["the forge did not tell, and nothing is remembered".to_owned()],
        }
    };
    let next = troubles.is_empty().then(Vec::new);
    let (asked, on_disk, shown, history) = (None, None, None, Vec::new());
    Story { generated_at: now, issue, mission_id: None, asked, decided, on_disk, shown, next, history, troubles }
}

/// Without the forge's word.
fn from_memory(root: &Root, record: &Record, troubles: Vec<String>, now: Timestamp) -> Story {
    let binding = record.binding.as_ref();
    let missions_root = root.path().display().to_string();
    let state = record.published.as_ref().map_or("nothing was said yet".to_owned(), |said| match said.verdict {
        None => said.phase.to_string(),
        Some(verdict) => format!("{}, {} ({})", said.phase, verdict.health, verdict.reason),
    });
    let since = record.published.as_ref().map_or(String::new(), |said| format!(" since {}", said.since.formatted()));
    let under_way = record.worktree.under_way.as_ref().map(ToString::to_string);
    let why = for_people(record).into_iter().chain(under_way);
    let why = why.chain([format!("from memory: so it was told last{since}")]).collect();
    Story {
        generated_at: now,
        issue: Some(record.issue.to_string()),
        mission_id: binding.map(|binding| binding.mission_id),
        asked: record.name().map(|name| RequestedSpec {
            title: shown(name),
            author_id: record.issue.author_id,
            url: String::new(),
            state: record.state,
            spec: binding.map(|binding| binding.spec.clone()),
            problems: Vec::new(),
        }),
        decided: Decided { state, why },
        on_disk: binding.map(|binding| {
            let sighting = look::look(root, binding.mission_id, root.resolver());
            on_disk(&missions_root, binding.mission_id, &sighting, Some(record))
        }),
        shown: None,
        next: None,
        history: record.changes.clone(),
        troubles,
    }
}

/// A cell without an issue.
fn cell_alone(settings: &Settings, root: &Root, mission_id: MissionId, now: Timestamp) -> Result<Story, StoryError> {
    let sighting = look::look(root, mission_id, root.resolver());
    let missions_root = root.path().display().to_string();
    if sighting == CellObservation::Absent {
        let list = settings.given.command("status");
        return Err(StoryError::NoMission { mission_id, root: missions_root, list });
    }
    let limit = format_length(settings.stale_after);
    let judge = settings.given.command("scan");
    let why = format!("it belongs to no issue; its limit is its own, else {limit}: {judge} judges it");
    Ok(Story {
        generated_at: now,
        issue: None,
        mission_id: Some(mission_id),
        asked: None,
        decided: Decided { state: "a cell of its own".to_owned(), why: vec![why] },
        on_disk: Some(on_disk(&missions_root, mission_id, &sighting, None)),
        shown: None,
        next: Some(Vec::new()),
        history: Vec::new(),
        troubles: Vec::new(),
    })
}

fn on_disk(missions_root: &str, mission_id: MissionId, sighting: &CellObservation, record: Option<&Record>) -> OnDisk {
    let archive = record.filter(|record| record.archive_deleted_at.is_none()).and_then(|record| record.archive);
    let archive = archive.map(|name| archive_path(missions_root, name));
    let path = cell_path(missions_root, mission_id);
    let ever_beat = record.and_then(|record| record.binding.as_ref()).is_some_and(|binding| binding.ever_heartbeat);
    let nothing =
        |seen: String| OnDisk { path: path.clone(), seen, archive: archive.clone(), ever_beat, ..OnDisk::default() };
    let cell = match sighting {
        CellObservation::Absent => return nothing("nothing is there".to_owned()),
        CellObservation::NotADirectory(kind) => return nothing(format!("{kind} is in its place")),
        CellObservation::Failed(failure) => return nothing(format!("it cannot be looked at: {failure}")),
        CellObservation::Cell(cell) => cell,
    };
    let amiss: Vec<String> = Part::ALL.into_iter().filter_map(|part| amiss(part, *cell.part(part))).collect();
    let seen = if amiss.is_empty() { "every part is there".to_owned() } else { format!("amiss: {}", amiss.join(", ")) };
    let beat = cell.heartbeat.as_ref().map(|beat| &beat.heartbeat);
    let said = beat.filter(|beat| beat.timestamp.is_some());
    OnDisk {
        beaten_at: beat.and_then(|beat| beat.timestamp),
        state: said.map(|beat| shown(&beat.state)),
        message: said.and_then(|beat| beat.message.as_deref()).map(|message| one_line(message, MESSAGE_SHOWN_MAX)),
        notes: cell.heartbeat.as_ref().map_or_else(Vec::new, ObservedHeartbeat::remarks),
        amiss,
        ..nothing(seen)
    }
}

fn amiss(part: Part, sight: PartObservation) -> Option<String> {
    let path = part.path();
    match sight {
        PartObservation::Present => None,
        PartObservation::Missing => Some(format!("`{path}` is missing")),
        PartObservation::WrongType(kind) => Some(format!("{kind} is in the place of `{path}`")),
        PartObservation::Unreadable(flaw) => Some(format!("`{path}` cannot be used: {flaw}")),
        PartObservation::Failed(failure) => Some(format!("`{path}` cannot be looked at: {failure}")),
    }
}
