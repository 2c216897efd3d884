//! Missions as they are observed, without a forge.

use crate::support::cells::{at, seconds};
use lazarus::mission::alert::config::Notify;
use lazarus::mission::approval::policy::ApprovalPolicy;
use lazarus::mission::cell::{CellFacts, CellObservation};
use lazarus::mission::identity::{ForgeUrl, HostName, RepositoryName, RepositoryPattern, RootId};
use lazarus::mission::observation::{
    AttachedLabel, CommentFacts, Comments, IssueFacts, Observation, Origin, PassContext, Take,
};
use lazarus::mission::plan::cell::plan_cell;
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::missing_facts::{MissingFacts, missing_facts};
use lazarus::mission::plan::plan_status;
use lazarus::mission::plan::project::project;
use lazarus::mission::plan::step::preview;
use lazarus::mission::record::{IssueKey, IssueState, Record, StatusComment};
use lazarus::mission::status::comment::render;
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::marker::Marker;
use lazarus::mission::status::view::Status;
use lazarus::mission::status::written::Written;
use lazarus::mission::text::sha256;
use std::fmt::Write;
use std::sync::Arc;

pub(crate) const ROOT: &str = "11111111-1111-4111-8111-111111111111";

/// A body as the form renders it, from (label, answer) pairs; the rest is answered well.
pub(crate) fn body(answers: &[(&str, &str)]) -> String {
    let tick = "- [x] This text holds no secrets: whoever can read this repository can read it";
    let fields = [
        ("Repository", "_No response_"),
        ("Ref", "_No response_"),
        ("Stale after", "5 minutes"),
        ("Wizard", "_No response_"),
        ("Host", "_No response_"),
        ("Existing cell", "_No response_"),
        ("Objective", "```text\nRaise the dead.\n```"),
        ("Before you file", tick),
    ];
    let mut body = "<!-- lazarus:mission-proposal v1 -->\n\n".to_owned();
    for (label, default) in fields {
        let answer = answers.iter().find(|(asked, _)| *asked == label).map_or(default, |(_, answer)| answer);
        write!(body, "### {label}\n\n{answer}\n\n").unwrap();
    }
    body
}

/// A good proposal that nobody has looked at yet.
pub(crate) fn proposal(answers: &[(&str, &str)]) -> Observation {
    let here = PassContext {
        now: at(0),
        root: Some(RootId::parse(ROOT).unwrap()),
        replaced: Vec::new(),
        missions_root: "/var/missions".to_owned(),
        host: HostName::parse("alpha").unwrap(),
        forge: ForgeUrl::parse("https://git.example.com").unwrap(),
        web_url: ForgeUrl::parse("https://git.example.com").unwrap(),
        me: 3,
        trusted_posters: Vec::new(),
        worktrees: vec![RepositoryPattern::parse("wizards/*").unwrap()],
        take: Take::Any,
        has_label: false,
        approval: ApprovalPolicy::default(),
        close_grace: seconds(900),
        notify: Notify::default(),
        starts: Arc::default(),
        effort: Arc::default(),
    };
    let key = IssueKey {
        repository_id: 7,
        repository: RepositoryName::parse("owner/missions").unwrap(),
        issue_id: 42,
        number: 12,
        author_id: 4,
    };
    let issue = IssueFacts {
        key,
        title: "Mission: raise the dead".to_owned(),
        body: body(answers),
        url: "https://git.example.com/owner/missions/issues/12".to_owned(),
        labels: Vec::new(),
        state: IssueState::Open,
        due_at: None,
        updated_at: at(-10),
        comments: 0,
    };
    let mut observation = Observation::new(Arc::new(here), issue, None);
    observation.comments = Comments::Read(Vec::new());
    observation.origin = Origin::Found { is_private: false };
    observation
}

/// The author edits the body, and it is read again.
pub(crate) fn edit(observation: &mut Observation, body: &str) {
    body.clone_into(&mut observation.issue.body);
    read_again(observation);
}

/// The author edits the title, and it is read again.
pub(crate) fn retitle(observation: &mut Observation, title: &str) {
    title.clone_into(&mut observation.issue.title);
    read_again(observation);
}

fn read_again(observation: &mut Observation) {
    let Observation { here, issue, record, .. } = observation.clone();
    observation.asked = Observation::new(here, issue, record).asked;
}

/// What the cell's half of a turn would change.
pub(crate) fn planned_cell(observation: &Observation) -> Vec<Change> {
    plan_cell(observation, &Lifecycle::of(observation))
}

/// What the status's half of a turn would change.
pub(crate) fn planned_status(observation: &Observation) -> Vec<Change> {
    plan_status(observation, &Lifecycle::of(observation))
}

/// What a turn has to ask before it plans.
pub(crate) fn missing(observation: &Observation) -> MissingFacts {
    missing_facts(observation, &Lifecycle::of(observation))
}

/// Labels on an issue, with ids of their own.
pub(crate) fn labelled(names: &[&str]) -> Vec<AttachedLabel> {
    let attached = |(id, name): (i64, &&str)| {
        let is_exclusive = Label::named(name).is_some_and(|label| label.is_exclusive());
        AttachedLabel { id, name: (*name).to_owned(), is_exclusive }
    };
    (1..).zip(names).map(attached).collect()
}

/// A status comment that names a root, on host `beta`.
pub(crate) fn comment(id: i64, poster: i64, root: &str) -> CommentFacts {
    let mission = "123e4567-e89b-12d3-a456-426614174000";
    let line = format!("<!-- lazarus:status v1 mission={mission} root={root} host=beta digest=abc -->");
    let (marker, body_sha256) = (Marker::parse(&line), sha256(&line));
    CommentFacts { id, poster, marker, alert: None, body_sha256, created_at: at(-5), updated_at: at(-5) }
}

/// The world after all changes of a preview have been made, as the next pass sees it.
pub(crate) fn settled(mut observation: Observation) -> Observation {
    let changes = preview(&observation);
    let mut after = project(&observation, &changes);
    observation.repaired.clear();
    after.repaired.clear();
    for change in &changes {
        make(&mut after, change);
    }
    after.comments = Comments::Unread;
    after
}

/// Makes a change on the issue or in our memory, as forge and disk would.
pub(crate) fn make(after: &mut Observation, change: &Change) {
    match change {
        Change::AddLabels { issue: _, labels, displaced: _ } => add_labels(after, labels),
        Change::RemoveLabel { issue: _, label } => after.issue.labels.retain(|known| known.id != label.id),
        Change::ReplaceLabels { issue: _, add, remove, displaced } => {
            after.issue.labels.retain(|known| !remove.contains(known) && !displaced.contains(known));
            add_labels(after, add);
        }
        Change::PostComment { issue: _, status, is_repost } => {
            after.issue.comments += 1;
            let reposted_at = is_repost.then_some(after.here.now);
            let comment = written(after, 20, status).posted(status, reposted_at);
            remember(after, StatusComment { is_confirmed: true, ..comment });
        }
        Change::EditComment { issue: _, id, status, is_claim: _, requested_at } => {
            let before = after.record.as_ref().and_then(|record| record.comment.as_ref());
            let comment = written(after, *id, status).edited(status, true, *requested_at, before);
            remember(after, comment);
        }
        Change::RemoveComment { issue: _, id } => {
            after.issue.comments -= 1;
            if let Comments::Read(comments) = &mut after.comments {
                comments.retain(|comment| comment.id != *id);
            }
        }
        Change::RecordComment { issue, comment } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.comment = Some(comment.clone());
        }
        Change::RecordFailure { issue, failure } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.failure.clone_from(failure);
        }
        Change::WriteRecord { record } => {
            let known = after.record.take().unwrap_or_else(|| Record::new(record.issue.clone()));
            after.record = Some((**record).clone().with_publish_state_of(known));
        }
        Change::PostAlert { issue, alert_message, memory } => {
            after.issue.comments += 1;
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.alert = memory.posted_now(alert_message.intent);
        }
        Change::RecordAlert { issue, memory } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.alert = (**memory).clone();
        }
        Change::InitialiseRoot { .. }
        | Change::UpdateRoot { .. }
        | Change::CreateLabel { .. }
        | Change::CorrectLabel { .. }
        | Change::CreateCell { .. }
        | Change::CheckOut { .. }
        | Change::ArchiveCell { .. }
        | Change::RestoreCell { .. }
        | Change::BindCell { .. }
        | Change::RestorePart { .. }
        | Change::PostFleetAlert { .. }
        | Change::RecordFleetAlert { .. }
        | Change::UpdateFile { .. } => {}
    }
}

/// Our comment as it stands once it is written.
pub(crate) fn written(after: &Observation, id: i64, status: &Status) -> Written {
    Written { id, body_sha256: sha256(&render(&after.here, status)), updated_at: after.here.now }
}

fn remember(after: &mut Observation, comment: StatusComment) {
    let key = after.issue.key.clone();
    after.record.get_or_insert_with(|| Record::new(key)).comment = Some(comment);
}

/// As the forge does: an exclusive label that was not there before drops its siblings.
fn add_labels(after: &mut Observation, labels: &[Label]) {
    for label in labels {
        let known = &mut after.issue.labels;
        if known.iter().any(|there| there.name == label.name()) {
            continue;
        }
        if label.is_exclusive() {
            let is_sibling = |there: &AttachedLabel| there.name.starts_with(&format!("{}/", label.scope()));
            known.retain(|there| !(there.is_exclusive && is_sibling(there)));
        }
        // Labels of hosts are not among those.
        let id = (1_000..).zip(Label::ALL).find(|(_, any)| any == label).map_or(1_900, |(id, _)| id);
        known.push(AttachedLabel { id, name: label.name().into_owned(), is_exclusive: label.is_exclusive() });
    }
}

/// A mission that has been active for a while and needs nothing.
pub(crate) fn active(cell: CellFacts) -> Observation {
    let made = settled(proposal(&[]));
    let manifest = match &made.sighting {
        CellObservation::Cell(cell) => (cell.mission.clone(), cell.config.clone()),
        CellObservation::Absent | CellObservation::NotADirectory(_) | CellObservation::Failed(_) => {
            unreachable!("it was made")
        }
    };
    let mut cell = cell;
    (cell.mission, cell.config) = manifest;
    let mut seen = made;
    seen.sighting = CellObservation::Cell(Box::new(cell));
    settled(seen)
}

/// A proposal that waits for another host, and needs nothing.
pub(crate) fn waiting() -> Observation {
    settled(proposal(&[("Host", "beta")]))
}
