//! The facts about one mission, gathered before anything is decided.

use crate::mission::admission::Admission;
use crate::mission::cell::Sighting;
use crate::mission::health::Place;
use crate::mission::identity::{ForgeUrl, HostName, MissionId, RepositoryPattern, RootId};
use crate::mission::marker::Marker;
use crate::mission::record::{Binding, IssueKey, Record};
use crate::mission::time::Timestamp;
use std::sync::Arc;

/// What is the same for all missions of one pass.
#[derive(Clone, Debug)]
pub struct Here {
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
    /// The forge.
    pub forge: ForgeUrl,
    /// The account that we write as; a job token is −2 (go-gitea/gitea `models/user/user_system.go`).
    pub me: i64,
    /// `forge.trusted_posters`: accounts whose status comments count as ours.
    pub trusted_posters: Vec<i64>,
    /// `worktrees.repositories`.
    pub worktrees: Vec<RepositoryPattern>,
}

impl Here {
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
    /// Whether it is open.
    pub is_open: bool,
    /// When the forge last touched it.
    pub updated_at: Timestamp,
    /// How many comments it has.
    pub comments: i64,
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
}

/// The comments of an issue are read only where the plan depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comments {
    /// Not asked for.
    Unread,
    /// All of them, as of this pass.
    Read(Vec<CommentFacts>),
}

/// All facts about one mission.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What is the same for all missions.
    pub here: Arc<Here>,
    /// The issue.
    pub issue: IssueFacts,
    /// Its comments.
    pub comments: Comments,
    /// What we remember.
    pub record: Option<Record>,
    /// The cell's place on the disk.
    pub sighting: Sighting,
    /// Whether there is room for a new cell.
    pub admission: Admission,
    /// What this pass has made again.
    pub repaired: Vec<Place>,
    /// Whether it vanished or turned stale together with too many others, so that the next pass has to confirm it.
    pub is_braked: bool,
}

impl Observation {
    /// The cell that belongs to the issue, if one does.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.record.as_ref()?.binding.as_ref()
    }

    /// The id of this mission: the bound one, else the one that the issue gives.
    #[must_use]
    pub fn mission_id(&self) -> MissionId {
        let key = &self.issue.key;
        self.binding().map_or_else(
            || MissionId::of_issue(&self.here.forge, key.repository_id, key.issue_id),
            |binding| binding.mission_id,
        )
    }

    /// Our status comment: the smallest id that has our marker and a poster who speaks for us.
    #[must_use]
    pub fn our_comments(&self) -> Vec<(i64, &Marker)> {
        let Comments::Read(comments) = &self.comments else { return Vec::new() };
        let mut ours: Vec<_> = comments
            .iter()
            .filter(|comment| self.here.is_ours(comment.poster))
            .filter_map(|comment| Some((comment.id, comment.marker.as_ref()?)))
            .collect();
        ours.sort_by_key(|(id, _)| *id);
        ours
    }
}
