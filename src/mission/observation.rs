//! Observations: the facts about one mission that decisions are based on.

use crate::mission::alert::config::Notify;
use crate::mission::alert::state::AlertMarker;
use crate::mission::approval::policy::ApprovalPolicy;
use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::health::{CellPath, Verdict};
use crate::mission::cell::starts::{Grace, Starts};
use crate::mission::cell::worktree::{CheckoutUnderWay, PUBLISHED_AFTER, UnderWay};
use crate::mission::failure::MissionFailure;
use crate::mission::fleet::admission::Admission;
use crate::mission::identity::{ForgeUrl, HostName, MissionId, RepositoryName, RepositoryPattern, RootId};
use crate::mission::person::Person;
use crate::mission::plan::effort::Effort;
use crate::mission::proposal::form::Form;
use crate::mission::proposal::problem::Problem;
use crate::mission::proposal::{self, Intake, Proposal};
use crate::mission::record::{Binding, IssueKey, IssueState, Record};
use crate::mission::status::label::Label;
use crate::mission::status::marker::Marker;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `host.take`: which unclaimed proposals a host takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    /// Those that name no other host.
    #[default]
    Any,
    /// Those that name this host.
    Named,
}

/// The context that all missions of a pass share.
#[derive(Clone, Debug)]
pub struct PassContext {
    /// The time of the pass; its only reading of the clock.
    pub now: Timestamp,
    /// The id of this missions root; none before it is initialized.
    pub root: Option<RootId>,
    /// The roots whose missions this one has adopted (`init --replace`).
    pub replaced: Vec<RootId>,
    /// The root's path, as configured.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// The forge's address as recorded in the root, which may differ from the one that requests use.
    pub forge: ForgeUrl,
    /// The forge's address for browsers.
    pub web_url: ForgeUrl,
    /// The id of our account; a job token has −2 (go-gitea/gitea `models/user/user_system.go`).
    pub me: i64,
    /// `forge.trusted_posters`: accounts whose status comments count as ours.
    pub trusted_posters: Vec<i64>,
    /// `worktrees.repositories`.
    pub worktrees: Vec<RepositoryPattern>,
    /// `host.take`.
    pub take: Take,
    /// `host.label`: whether the issue carries this host's label.
    pub has_label: bool,
    /// `approval.*`.
    pub approval: ApprovalPolicy,
    /// `close.grace_seconds`: how long the cell of a closed mission stays while its agent sends heartbeats.
    pub close_grace: TimeDelta,
    /// `notify.*`
    pub notify: Notify,
    /// The daemon's starts; empty in a single pass.
    pub starts: Arc<Starts>,
    /// Counters of the work that decisions took.
    pub effort: Arc<Effort>,
}

impl PassContext {
    /// Whether this is our root, or one that it replaces.
    #[must_use]
    pub fn is_this_root(&self, root: RootId) -> bool {
        self.root == Some(root) || self.replaced.contains(&root)
    }

    /// Whether comments of this account count as ours.
    #[must_use]
    pub fn is_ours(&self, poster: i64) -> bool {
        poster == self.me || self.trusted_posters.contains(&poster)
    }

    /// The page of an issue, by the recorded address.
    #[must_use]
    pub fn page_of(&self, issue: &IssueKey) -> String {
        format!("{}/{}/issues/{}", self.web_url, issue.repository, issue.number)
    }

    /// The page for filing a new issue, by the recorded address.
    #[must_use]
    pub fn filing_page_of(&self, repository: &RepositoryName) -> String {
        format!("{}/{repository}/issues/new", self.web_url)
    }

    /// Whether we use a job token, which cannot remove single labels (go-gitea/gitea#37011).
    #[must_use]
    pub fn is_job_token(&self) -> bool {
        self.me == -2
    }
}

/// An issue as reported by the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueFacts {
    /// Its key.
    pub key: IssueKey,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// Its page.
    pub url: String,
    /// Its labels, ours and others.
    pub labels: Vec<AttachedLabel>,
    /// Whether it is open, closed or deleted.
    pub state: IssueState,
    /// Its due date.
    pub due_at: Option<Timestamp>,
    /// When the forge last updated it.
    pub updated_at: Timestamp,
    /// How many comments it has.
    pub comments: i64,
}

impl IssueFacts {
    /// The facts of an issue that the forge reports as not found.
    #[must_use]
    pub fn deleted(record: &Record, now: Timestamp) -> Self {
        Self {
            key: record.issue.clone(),
            title: String::new(),
            body: String::new(),
            url: String::new(),
            labels: Vec::new(),
            state: IssueState::Deleted,
            due_at: None,
            updated_at: now,
            comments: 0,
        }
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == IssueState::Open
    }

    /// Whether it has this label of ours.
    #[must_use]
    pub fn has(&self, label: &Label) -> bool {
        self.labels.iter().any(|attached| attached.name == label.name())
    }
}

/// A label on an issue. Names are not unique in a repository, ids are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedLabel {
    /// The forge's id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether the forge removes it when another label of its scope is added; labels of an organization may differ from
    /// ours.
    pub is_exclusive: bool,
}

/// A comment that may be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentFacts {
    /// Its id on the forge.
    pub id: i64,
    /// The id of its poster's account.
    pub poster: i64,
    /// The marker in its first line, if it has one.
    pub marker: Option<Marker>,
    /// The alert marker in its first two lines, if it has one; then it is not a status comment.
    pub alert: Option<AlertMarker>,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it was last edited; otherwise when it was posted.
    pub updated_at: Timestamp,
}

/// The addition or removal of a label of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEvent {
    /// Its id on the forge, in one sequence with those of comments.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The account that did it.
    pub who: Person,
    /// The label.
    pub label: Label,
    /// Whether it was added, and not removed.
    pub is_added: bool,
}

/// The timeline of an issue is read only where the plan depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// Not requested.
    Unread,
    /// Its events about labels of ours.
    Read(Vec<LabelEvent>),
}

/// The forge's answer about the repository that a worktree is checked out from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The forge was not asked.
    Unasked,
    /// The forge was asked, but did not answer.
    Unanswered,
    /// It exists.
    Found {
        /// Whether it is private.
        is_private: bool,
    },
    /// It does not exist, or is not visible to us.
    NotFound,
}

/// The observation of a mission's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSight {
    /// The contents under the recorded name; none if nothing is there, or no name is recorded.
    pub kept: Option<CellObservation>,
    /// An unused name for the next archive.
    pub free: ArchiveName,
}

/// Whether a mission may post an alert now; decided over all missions, because of the hourly limit and grouping
/// ([`crate::mission::alert::fleet`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertPermit {
    /// It may post one.
    Granted {
        /// How many other alerts are pending.
        others: usize,
    },
    /// It has to wait, or a fleet alert covers it.
    Denied,
}

/// The comments of an issue are read only where the plan depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comments {
    /// Not requested.
    Unread,
    /// All that may be ours, as of this pass.
    Read(Vec<CommentFacts>),
}

/// Whether this pass requests our comment by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentCheck {
    /// No request is due.
    NotDue,
    /// A request is due.
    Due,
    /// The request was sent, or was not needed.
    Done,
}

/// All facts about one mission.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The context of the pass.
    pub here: Arc<PassContext>,
    /// The issue.
    pub issue: IssueFacts,
    /// The proposal in its title and body, or what is wrong with it; parsed once.
    pub asked: Result<Proposal, Vec<Problem>>,
    /// Those of its comments that may be ours.
    pub comments: Comments,
    /// How many other comments it has, once they were read.
    pub other_comments: i64,
    /// Whether our comment may have been changed or deleted by others since it was read.
    pub is_comment_suspect: bool,
    /// Whether this pass requests our comment by its id.
    pub comment_check: CommentCheck,
    /// Its timeline.
    pub timeline: Timeline,
    /// Its record.
    pub record: Option<Record>,
    /// The id of this mission: the bound one, otherwise the cell that it adopts, otherwise the one derived from the
    /// issue.
    pub mission_id: MissionId,
    /// The observation of the cell's path.
    pub sighting: CellObservation,
    /// The observation of its archive.
    pub archive: ArchiveSight,
    /// Another issue that this cell belongs to.
    pub owner: Option<IssueKey>,
    /// The facts about the repository that its worktree is checked out from.
    pub origin: Origin,
    /// A running checkout for its cell, as this turn found it.
    pub checkout: Option<Box<CheckoutUnderWay>>,
    /// Whether there is capacity for a new cell.
    pub admission: Admission,
    /// The parts that this pass has recreated.
    pub repaired: Vec<CellPath>,
    /// The failure of this turn that only a person can fix.
    pub obstructed: Option<MissionFailure>,
    /// Whether its change is held back by the mass change guard until the next pass confirms it.
    pub is_held: bool,
    /// Whether it may post an alert now.
    pub alert_permit: AlertPermit,
}

impl Observation {
    /// An observation of an issue and its record, without any other facts yet.
    #[must_use]
    pub fn new(here: Arc<PassContext>, issue: IssueFacts, record: Option<Record>) -> Self {
        let bound = record.as_ref().and_then(|record| record.binding.as_ref()).map(|binding| binding.mission_id);
        let asked = parse(&here, &issue);
        let wanted = || asked.as_ref().ok().and_then(|proposal| proposal.spec.cell);
        let of_issue = || MissionId::of_issue(&here.forge, issue.key.repository_id, issue.key.issue_id);
        let mission_id = bound.or_else(wanted).unwrap_or_else(of_issue);
        Self {
            here,
            issue,
            asked,
            comments: Comments::Unread,
            other_comments: 0,
            is_comment_suspect: false,
            comment_check: CommentCheck::NotDue,
            timeline: Timeline::Unread,
            record,
            mission_id,
            sighting: CellObservation::Absent,
            archive: ArchiveSight { kept: None, free: ArchiveName::first(mission_id) },
            owner: None,
            origin: Origin::Unasked,
            checkout: None,
            admission: Admission::Admitted,
            repaired: Vec::new(),
            obstructed: None,
            is_held: false,
            alert_permit: AlertPermit::Denied,
        }
    }

    /// The proposal, or the problems with its answers.
    pub fn proposal(&self) -> Result<&Proposal, &[Problem]> {
        self.asked.as_ref().map_err(Vec::as_slice)
    }

    /// The health of the bound cell, before anything is held back.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.binding().map(|binding| self.judge(binding))
    }

    /// The health of the cell by a binding that may be newer than the record.
    #[must_use]
    pub fn judge(&self, binding: &Binding) -> Verdict {
        let (sighting, stale_after, now) = (&self.sighting, binding.spec.stale_after(), self.here.now);
        let published = self.record.as_ref().and_then(Record::published);
        let grace = Grace { starts: &self.here.starts, published, sighting, stale_after, now };
        grace.applied_to(binding.judge(sighting, now))
    }

    /// Whether its closing is held back, since too many issues were closed together.
    #[must_use]
    pub fn is_closing_held(&self) -> bool {
        self.is_held && self.record.as_ref().is_some_and(|record| record.state == IssueState::Open)
    }

    /// The running checkout, if it takes long enough to be published.
    #[must_use]
    pub fn slow_checkout(&self) -> Option<&UnderWay> {
        self.checkout.as_ref()?.published()
    }

    /// Assumes that the checkout that was published last is still running, for a report without a daemon.
    pub fn recall_checkout(&mut self) {
        let published = self.record.as_ref().and_then(|record| record.worktree.under_way.as_deref());
        let under_way = |what: &UnderWay| CheckoutUnderWay { what: what.clone(), lasted: PUBLISHED_AFTER };
        self.checkout = published.map(under_way).map(Box::new);
    }

    /// The binding of the issue to its cell, if any.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.record.as_ref()?.binding.as_ref()
    }

    /// Our status comments, smallest id first: the recorded one, regardless of its poster and text, and those with our
    /// marker by one of our accounts. The first one counts.
    #[must_use]
    pub fn our_comments(&self) -> Vec<&CommentFacts> {
        let Comments::Read(comments) = &self.comments else { return Vec::new() };
        let remembered = self.record.as_ref().and_then(|record| record.comment.as_ref()).map(|comment| comment.id);
        let is_marked = |comment: &CommentFacts| comment.marker.is_some() && self.here.is_ours(comment.poster);
        let is_status = |comment: &&CommentFacts| Some(comment.id) == remembered || is_marked(comment);
        let mut ours: Vec<_> = comments.iter().filter(is_status).collect();
        ours.sort_by_key(|comment| comment.id);
        ours
    }
}

fn parse(context: &PassContext, issue: &IssueFacts) -> Result<Proposal, Vec<Problem>> {
    context.effort.parse();
    let intake = Intake { repository: &issue.key.repository, worktrees: &context.worktrees };
    proposal::parse(Form::embedded(), &issue.title, &issue.body, intake)
}
