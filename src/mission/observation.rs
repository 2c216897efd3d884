//! The facts about one mission, gathered before anything is decided.

use crate::mission::alert::config::Notify;
use crate::mission::alert::state::AlertMarker;
use crate::mission::approval::policy::ApprovalPolicy;
use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::health::{CellPath, Verdict};
use crate::mission::cell::starts::{Grace, Starts};
use crate::mission::cell::worktree::{CheckoutUnderWay, TOLD_AFTER, UnderWay};
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

/// `host.take`: which proposals a host takes that no host has taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Take {
    /// Those that name no other host.
    #[default]
    Any,
    /// Those that name it.
    Named,
}

/// What is the same for all missions of one pass.
#[derive(Clone, Debug)]
pub struct PassContext {
    /// The one reading of the clock in this pass.
    pub now: Timestamp,
    /// This missions root; none before it is initialised.
    pub root: Option<RootId>,
    /// Roots whose missions this one has taken over (`init --replace`).
    pub replaced: Vec<RootId>,
    /// The root's path, as people type it.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// The forge, by the address that the root remembers, whichever it is asked by.
    pub forge: ForgeUrl,
    /// Where people see it.
    pub web_url: ForgeUrl,
    /// The account that we write as; a job token is −2 (go-gitea/gitea `models/user/user_system.go`).
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
    /// `close.grace_seconds`: how long a wizard that still beats keeps its cell where it is.
    pub close_grace: TimeDelta,
    /// `notify.*`
    pub notify: Notify,
    /// When the daemon was started; empty in a single pass.
    pub starts: Arc<Starts>,
    /// What deciding has cost so far.
    pub effort: Arc<Effort>,
}

impl PassContext {
    /// Whether a comment that names this root speaks of us.
    #[must_use]
    pub fn is_this_root(&self, root: RootId) -> bool {
        self.root == Some(root) || self.replaced.contains(&root)
    }

    /// Whether a poster speaks for us.
    #[must_use]
    pub fn is_ours(&self, poster: i64) -> bool {
        poster == self.me || self.trusted_posters.contains(&poster)
    }

    /// Where people see an issue, by the address that is remembered.
    #[must_use]
    pub fn page_of(&self, issue: &IssueKey) -> String {
        format!("{}/{}/issues/{}", self.web_url, issue.repository, issue.number)
    }

    /// Where people file a new issue, by the same address.
    #[must_use]
    pub fn filing_page_of(&self, repository: &RepositoryName) -> String {
        format!("{}/{repository}/issues/new", self.web_url)
    }

    /// A job token cannot take single labels off (go-gitea/gitea#37011).
    #[must_use]
    pub fn is_job_token(&self) -> bool {
        self.me == -2
    }
}

/// An issue as the forge tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueFacts {
    /// Which one.
    pub key: IssueKey,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// Its page.
    pub url: String,
    /// The labels on it, ours and others'.
    pub labels: Vec<AttachedLabel>,
    /// Whether it is open, or there at all.
    pub state: IssueState,
    /// Its due date.
    pub due_at: Option<Timestamp>,
    /// When the forge last touched it.
    pub updated_at: Timestamp,
    /// How many comments it has.
    pub comments: i64,
}

impl IssueFacts {
    /// What is left of an issue that the forge says is not there.
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

    /// Whether it carries this label of ours.
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
    /// Whether the forge drops it when a sibling is added; a label of an organisation may not be as ours are.
    pub is_exclusive: bool,
}

/// A comment that may be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentFacts {
    /// Its id on the forge.
    pub id: i64,
    /// Who posted it.
    pub poster: i64,
    /// Its first line, where that is a marker of ours.
    pub marker: Option<Marker>,
    /// Its first two lines, where they are those of an alarm of ours; then it is no status comment.
    pub alert: Option<AlertMarker>,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it was last edited; else the same.
    pub updated_at: Timestamp,
}

/// Somebody put a label of ours on an issue, or took it off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEvent {
    /// Its id on the forge, in one sequence with those of comments.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// Which label.
    pub label: Label,
    /// Whether it was put on.
    pub is_added: bool,
}

/// The timeline of an issue is read only where the plan depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// Not asked for.
    Unread,
    /// What it tells of labels of ours.
    Read(Vec<LabelEvent>),
}

/// What the forge says of the repository that a worktree is wanted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was not asked.
    Unasked,
    /// It was asked, and did not answer.
    Unanswered,
    /// There is one.
    Found {
        /// Whether not everybody may see it.
        is_private: bool,
    },
    /// There is none, or it is not for us to see.
    NotFound,
}

/// What lies in the archive of a mission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSight {
    /// What lies under the name that we remember; none where there is nothing, or we remember none.
    pub kept: Option<CellObservation>,
    /// A name that nothing lies under.
    pub free: ArchiveName,
}

/// Whether an alarm may be said now; the hour's count and those that fail together are known only to whoever sees all
/// missions ([`crate::mission::alert::fleet`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertPermit {
    /// It may.
    Granted {
        /// How many others have to wait then.
        others: usize,
    },
    /// It waits, or somebody speaks for it.
    Denied,
}

/// The comments of an issue are read only where the plan depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comments {
    /// Not asked for.
    Unread,
    /// All that may be ours, as of this pass.
    Read(Vec<CommentFacts>),
}

/// Whether this pass asks for our comment by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentCheck {
    /// It does not.
    NotDue,
    /// It is to ask.
    Due,
    /// It has asked, or had no need to.
    Done,
}

/// All facts about one mission.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What is the same for all missions.
    pub here: Arc<PassContext>,
    /// The issue.
    pub issue: IssueFacts,
    /// What its title and body ask for: read once, when the observation begins.
    pub asked: Result<Proposal, Vec<Problem>>,
    /// Its comments, as far as they may be ours.
    pub comments: Comments,
    /// How many others there are, where they were read.
    pub other_comments: i64,
    /// Whether somebody may have changed or deleted our comment since we read it.
    pub is_comment_suspect: bool,
    /// Whether this pass asks for our comment by its id.
    pub comment_check: CommentCheck,
    /// Its timeline.
    pub timeline: Timeline,
    /// What we remember.
    pub record: Option<Record>,
    /// The id of this mission: the bound one, else the cell that it wants to take over, else the one that the issue gives.
    pub mission_id: MissionId,
    /// The cell's place on the disk.
    pub sighting: CellObservation,
    /// Its place in the archive.
    pub archive: ArchiveSight,
    /// Another issue that this cell belongs to.
    pub owner: Option<IssueKey>,
    /// What is known of the repository that its worktree is wanted from.
    pub origin: Origin,
    /// A checkout for its cell that this turn has found under way.
    pub checkout: Option<Box<CheckoutUnderWay>>,
    /// Whether there is room for a new cell.
    pub admission: Admission,
    /// What this pass has made again.
    pub repaired: Vec<CellPath>,
    /// What could not be done about the cell in this turn, and only a person can mend.
    pub obstructed: Option<MissionFailure>,
    /// Whether it vanished, turned stale or was closed together with too many others, so that the next pass has to confirm it.
    pub is_held: bool,
    /// Whether it may raise or end an alarm now.
    pub alert_permit: AlertPermit,
}

impl Observation {
    /// An issue with what we remember of it, and nothing else seen yet.
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

    /// What the issue asks for, or what is wrong with its answers.
    pub fn proposal(&self) -> Result<&Proposal, &[Problem]> {
        self.asked.as_ref().map_err(Vec::as_slice)
    }

    /// The verdict on a cell that the issue is bound to, before anything is held back.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.binding().map(|binding| self.judge(binding))
    }

    /// The verdict in the light of a binding that may be newer than what was remembered.
    #[must_use]
    pub fn judge(&self, binding: &Binding) -> Verdict {
        let (sighting, stale_after, now) = (&self.sighting, binding.spec.stale_after(), self.here.now);
        let published = self.record.as_ref().and_then(Record::published);
        let grace = Grace { starts: &self.here.starts, published, sighting, stale_after, now };
        grace.applied_to(binding.judge(sighting, now))
    }

    /// Whether it was open until now, and too many were closed together with it for that to be believed.
    #[must_use]
    pub fn is_closing_held(&self) -> bool {
        self.is_held && self.record.as_ref().is_some_and(|record| record.state == IssueState::Open)
    }

    /// The checkout that takes so long that it is told.
    #[must_use]
    pub fn slow_checkout(&self) -> Option<&UnderWay> {
        self.checkout.as_ref()?.told()
    }

    /// Takes the checkout that was told last to be still under way, for whoever only repeats what was told.
    pub fn recall_checkout(&mut self) {
        let told = self.record.as_ref().and_then(|record| record.worktree.under_way.as_deref());
        let under_way = |what: &UnderWay| CheckoutUnderWay { what: what.clone(), lasted: TOLD_AFTER };
        self.checkout = told.map(under_way).map(Box::new);
    }

    /// The cell that belongs to the issue, if one does.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.record.as_ref()?.binding.as_ref()
    }

    /// Our status comments, smallest id first: the one that we remember, whoever posted it and whatever it says now, and
    /// those that have our marker and a poster who speaks for us. The first one counts.
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

fn parse(here: &PassContext, issue: &IssueFacts) -> Result<Proposal, Vec<Problem>> {
    here.effort.parse();
    let intake = Intake { repository: &issue.key.repository, worktrees: &here.worktrees };
    proposal::parse(Form::embedded(), &issue.title, &issue.body, intake)
}
