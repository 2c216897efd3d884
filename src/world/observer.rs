//! Gathers the facts from Gitea and disk; decides nothing.

use crate::mission::alert::config::{IssueName, Notify};
use crate::mission::alert::state::AlertMarker;
use crate::mission::cell::{CellObservation, ReadFailure};
use crate::mission::identity::{MissionId, RepositoryId, RepositoryName};
use crate::mission::observation::{
    AttachedLabel, CommentFacts, IssueFacts, LabelEvent, Observation, Origin, PassContext, Timeline,
};
use crate::mission::person::Person;
use crate::mission::record::{IssueKey, IssueState};
use crate::mission::repository::FoundRepository;
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef};
use crate::mission::status::comment_check::SeenComment;
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::is_filed_as_proposal;
use crate::mission::status::marker::Marker;
use crate::mission::text::{sha256, shown};
use crate::mission::time::Timestamp;
use crate::world::blocking_pool::{self, LOOK_PATIENCE, blocking};
use crate::world::cells::look;
use crate::world::forge::accounts::{AccountError, find_account};
use crate::world::forge::alert_targets::{AlertTargetError, check_alert_issue, check_alert_targets};
use crate::world::forge::repository::{RepositoryError, find_repository};
use crate::world::forge::{
    self, CommentListing, ForgeError, Gitea, HELD_BYTES_MAX, Issue, IssueFilter, Listing, ListingFilter,
};
use crate::world::store::root::Root;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads facts; changes nothing.
#[derive(Clone, Debug)]
pub struct Observer {
    gitea: Gitea,
    root: Arc<Root>,
}

impl Observer {
    /// Reads through this client and from this root.
    #[must_use]
    pub fn new(gitea: Gitea, root: Arc<Root>) -> Self {
        Self { gitea, root }
    }

    /// The id of the token's account.
    pub async fn me(&self) -> Result<i64, ForgeError> {
        self.gitea.user().send().await.map(|user| user.id)
    }

    /// See [`find_repository`].
    pub async fn repository(
        &self,
        name: &RepositoryName,
        remembered: Option<RepositoryId>,
    ) -> Result<FoundRepository, RepositoryError> {
        find_repository(&self.gitea, name, remembered).await
    }

    /// The labels of a repository.
    pub async fn labels(&self, repository: &RepositoryName) -> Result<Vec<RepositoryLabel>, ForgeError> {
        let labels = self.gitea.repository(repository).labels().await?;
        Ok(labels.into_iter().map(RepositoryLabel::from).collect())
    }

    /// The open issues of a repository that are proposals, or known.
    pub async fn open_issues(
        &self,
        repository: &RepositoryRef,
        known: KnownIssues,
    ) -> Result<ListedIssues, ForgeError> {
        self.listed(repository, IssueFilter::Open, None, known).await
    }

    /// The same issues, open or closed, updated since a time.
    pub async fn issues_since(
        &self,
        repository: &RepositoryRef,
        since: Timestamp,
        known: KnownIssues,
    ) -> Result<ListedIssues, ForgeError> {
        self.listed(repository, IssueFilter::All, Some(since), known).await
    }

    async fn listed(
        &self,
        repository: &RepositoryRef,
        state: IssueFilter,
        since: Option<Timestamp>,
        known: KnownIssues,
    ) -> Result<ListedIssues, ForgeError> {
        let KnownIssues { ids, repositories } = known;
        let is_wanted = move |issue: &Issue| {
            let labels = issue.labels.iter().map(|label| label.name.as_str());
            ids.contains(&issue.id) || is_filed_as_proposal(&issue.body, labels)
        };
        let wanted = ListingFilter { is_wanted: Arc::new(is_wanted), bytes_max: HELD_BYTES_MAX / repositories.max(1) };
        let listing = self.gitea.issues(&repository.name).list().state(state).since(since).all(wanted).await?;
        let Listing { issues, seen, left_out, mut skipped, is_complete, begun_at } = listing;
        let issues = issues.into_iter().map(|issue| issue_facts(repository, issue)).collect::<Result<_, _>>()?;
        // Summed up, since there may be as many as there are issues.
        if skipped.len() > SKIPPED_MAX {
            let more = skipped.len() - SKIPPED_MAX;
            skipped.truncate(SKIPPED_MAX);
            skipped.push(format!("{more} more issues could not be read"));
        }
        Ok(ListedIssues { issues, seen, left_out, skipped, is_complete, begun_at })
    }

    /// One issue, open or closed; none if it does not exist.
    pub async fn issue(&self, repository: &RepositoryRef, number: i64) -> Result<Option<IssueFacts>, ForgeError> {
        match self.gitea.issues(&repository.name).get(number).send().await {
            Ok(issue) if issue.pull_request.is_some() => Ok(None),
            Ok(issue) => issue_facts(repository, issue).map(Some),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Our comments on an issue, the number of all comments, and optionally the label events since our first comment.
    pub async fn said_on(&self, whose: &OwnComments, with_timeline: bool) -> Result<IssueThread, ForgeError> {
        let OwnComments { here, issue, remembered } = whose;
        let issues = self.gitea.issues(&issue.repository);
        let own = |comment: &forge::Comment| {
            let facts = comment_facts(comment);
            let is_marked = facts.marker.is_some() || facts.alert.is_some();
            (Some(facts.id) == *remembered || (is_marked && here.is_ours(facts.poster))).then_some(facts)
        };
        let (comments, count) = issues.comments(issue.number, &own).await?;
        if !with_timeline {
            return Ok(IssueThread { comments, count, timeline: Timeline::Unread });
        }
        let marked = comments.iter().filter(|comment| comment.marker.is_some());
        let since = marked.map(|comment| comment.created_at).min();
        let events = issues.timeline(issue.number, since, &label_event).await?;
        Ok(IssueThread { comments, count, timeline: Timeline::Read(events) })
    }

    /// One comment of an issue by its id; none if it was deleted.
    pub async fn comment(&self, issue: &IssueKey, id: i64) -> Result<Option<SeenComment>, ForgeError> {
        let found = self.gitea.issues(&issue.repository).comment(id).await?;
        let updated_at = found.as_ref().map_or_else(Timestamp::latest, forge::Comment::updated);
        Ok(found.map(|comment| SeenComment {
            id: comment.id,
            poster: comment.user.map_or(0, |user| user.id),
            number: Some(issue.number),
            marker: Marker::parse(&comment.body),
            body_sha256: sha256(&comment.body),
            updated_at,
        }))
    }

    /// The comments of a repository that were posted or edited since a time.
    pub async fn comments_since(
        &self,
        repository: &RepositoryRef,
        since: Timestamp,
    ) -> Result<ListedComments, ForgeError> {
        let listing = self.gitea.issues(&repository.name).comments_since(since).all().await?;
        let CommentListing { comments, is_complete, has_more, begun_at } = listing;
        let of_issues = comments.into_iter().filter(|comment| !comment.issue_url.is_empty());
        Ok(ListedComments { comments: of_issues.map(seen_comment).collect(), is_complete, has_more, begun_at })
    }

    /// Whether an alert of ours is on an issue.
    pub async fn has_alert(
        &self,
        here: &PassContext,
        issue: &IssueName,
        wanted: &AlertMarker,
    ) -> Result<bool, ForgeError> {
        let is_same_alert = |comment: &forge::Comment| is_alert(here, comment, wanted).then_some(());
        let (found, _) = self.gitea.issues(&issue.repository).comments(issue.number, &is_same_alert).await?;
        Ok(!found.is_empty())
    }

    /// The obstacles between alerts and their targets.
    pub async fn check_alert_targets(&self, notify: &Notify, repositories: &[RepositoryName]) -> Vec<AlertTargetError> {
        check_alert_targets(&self.gitea, notify, repositories).await
    }

    /// Whether the issue accepts no comments, so that none can have been lost there.
    pub async fn takes_no_alert(&self, issue: &IssueName) -> bool {
        check_alert_issue(&self.gitea, issue).await.is_some_and(|error| !error.is_passing())
    }

    /// Whether the repository of a wanted worktree exists and is private.
    pub async fn origin(&self, repository: &RepositoryName) -> Result<Origin, ForgeError> {
        match self.gitea.repository(repository).get().send().await {
            Ok(found) => Ok(Origin::Found { is_private: found.private }),
            // After a move another repository may take its name.
            Err(ForgeError::NotFound { .. } | ForgeError::Moved { .. }) => Ok(Origin::NotFound),
            Err(error) => Err(error),
        }
    }

    /// See [`find_account`].
    pub async fn account(&self, login: &str, repositories: &[RepositoryName]) -> Result<i64, AccountError> {
        find_account(&self.gitea, login, repositories).await
    }

    /// Reads the cells of these missions and, for ended ones, the archive.
    pub async fn see(&self, mut observations: Vec<&mut Observation>) {
        let cells = observations.iter().map(|observation| observation.mission_id).collect();
        let sightings = self.look(cells).await;
        for (observation, sighting) in observations.iter_mut().zip(sightings) {
            observation.sighting = sighting;
        }
        let needs_archive = |observation: &Observation| {
            let record = observation.record.as_ref();
            let has_moved = record.is_some_and(|record| record.archive.is_some() || record.other_owner.is_some());
            observation.binding().is_some() && (has_moved || !observation.issue.is_open())
        };
        for observation in observations {
            if needs_archive(observation) {
                self.see_archive(observation).await;
            }
        }
    }

    /// Reads the archive of one mission.
    pub async fn see_archive(&self, observation: &mut Observation) {
        let kept = observation.record.as_ref().and_then(|record| record.archive);
        let (root, mission_id) = (Arc::clone(&self.root), observation.mission_id);
        observation.archive = blocking(move || root.look_in_archive(kept, mission_id)).await;
    }

    /// Reads these cells concurrently; one that is not read in time is a failure.
    pub async fn look(&self, cells: Vec<MissionId>) -> Vec<CellObservation> {
        let (root, count) = (Arc::clone(&self.root), cells.len());
        let look = move |index: usize| look::look(&*root, cells[index], root.resolver());
        let seen = blocking(move || blocking_pool::map_with_stall_timeout(count, LOOK_PATIENCE, look)).await;
        seen.into_iter().map(|sighting| sighting.unwrap_or(CellObservation::Failed(ReadFailure::Timeout))).collect()
    }
}

impl From<forge::ForgeLabel> for RepositoryLabel {
    fn from(label: forge::ForgeLabel) -> Self {
        let forge::ForgeLabel { id, name, exclusive, is_archived, description } = label;
        Self { id, name, is_exclusive: exclusive, description, is_archived }
    }
}

/// Whether a comment is an alert of ours.
pub(in crate::world) fn is_alert(here: &PassContext, comment: &forge::Comment, wanted: &AlertMarker) -> bool {
    let found = AlertMarker::parse(&comment.body);
    here.is_ours(comment.user.as_ref().map_or(0, |user| user.id))
        && found.is_some_and(|found| wanted.is_written_as(&found))
}

/// Selects the comments of ours on an issue.
#[derive(Clone, Debug)]
pub struct OwnComments {
    /// The context of the pass, which knows our accounts.
    pub here: Arc<PassContext>,
    /// The issue.
    pub issue: IssueKey,
    /// The id of our comment, if recorded.
    pub remembered: Option<i64>,
}

impl OwnComments {
    /// Those that an observation lacks.
    #[must_use]
    pub fn of(seen: &Observation) -> Self {
        let known = seen.record.as_ref().and_then(|record| record.comment.as_ref());
        let (here, issue) = (Arc::clone(&seen.here), seen.issue.key.clone());
        Self { here, issue, remembered: known.map(|known| known.id) }
    }
}

/// The comments and events of an issue.
#[derive(Clone, Debug)]
pub struct IssueThread {
    /// The comments that may be ours.
    pub comments: Vec<CommentFacts>,
    /// The number of all comments.
    pub count: i64,
    /// The timeline, if requested.
    pub timeline: Timeline,
}

/// The issues of a repository that are listed whatever their content.
#[derive(Clone, Debug, Default)]
pub struct KnownIssues {
    /// The ids of the issues.
    pub ids: BTreeSet<i64>,
    /// The number of repositories that share the memory limit.
    pub repositories: usize,
}

/// The most messages about unreadable items that are kept.
const SKIPPED_MAX: usize = 20;

/// The issues of one repository.
#[derive(Clone, Debug)]
pub struct ListedIssues {
    /// The wanted issues.
    pub issues: Vec<IssueFacts>,
    /// The ids of all issues seen, including those that are not proposals.
    pub seen: BTreeSet<i64>,
    /// The numbers of issues that exceeded the memory limit.
    pub left_out: Vec<i64>,
    /// What could not be read.
    pub skipped: Vec<String>,
    /// Whether all issues were seen.
    pub is_complete: bool,
    /// The time of the request by the server's clock; later updates are not included.
    pub begun_at: Option<Timestamp>,
}

/// The comments of one repository.
#[derive(Clone, Debug)]
pub struct ListedComments {
    /// The comments, without those of pull requests.
    pub comments: Vec<SeenComment>,
    /// Whether all comments that one listing reads were seen.
    pub is_complete: bool,
    /// Whether there are more.
    pub has_more: bool,
    /// The time of the request by the server's clock.
    pub begun_at: Option<Timestamp>,
}

fn comment_facts(comment: &forge::Comment) -> CommentFacts {
    CommentFacts {
        id: comment.id,
        created_at: comment.created(),
        updated_at: comment.updated(),
        poster: comment.user.as_ref().map_or(0, |user| user.id),
        marker: Marker::parse(&comment.body),
        alert: AlertMarker::parse(&comment.body),
        body_sha256: sha256(&comment.body),
    }
}

fn seen_comment(comment: forge::ListedComment) -> SeenComment {
    let (updated_at, number) = (comment.updated(), comment.number());
    let forge::ListedComment { id, user, issue_url: _, text, updated_at: _ } = comment;
    SeenComment {
        id,
        poster: user.map_or(0, |user| user.id),
        number,
        marker: text.marker,
        body_sha256: text.sha256,
        updated_at,
    }
}

fn issue_facts(repository: &RepositoryRef, issue: Issue) -> Result<IssueFacts, ForgeError> {
    let updated_at = Timestamp::parse(&issue.updated_at).ok_or_else(|| {
        let what = format!("`updated_at` is `{}`", shown(&issue.updated_at));
        ForgeError::protocol(format!("issue {} of {}", issue.number, repository.name), what)
    })?;
    let state = match issue.state.as_str() {
        "open" => IssueState::Open,
        "closed" => IssueState::Closed,
        other => {
            let what = format!("`state` is `{}`, which is neither `open` nor `closed`", shown(other));
            return Err(ForgeError::protocol(format!("issue {} of {}", issue.number, repository.name), what));
        }
    };
    let key = IssueKey {
        repository_id: repository.id,
        repository: repository.name.clone(),
        issue_id: issue.id,
        number: issue.number,
        author_id: issue.user.map_or(0, |user| user.id),
    };
    let attached = |label: crate::world::forge::ForgeLabel| AttachedLabel {
        id: label.id,
        name: label.name,
        is_exclusive: label.exclusive,
    };
    Ok(IssueFacts {
        key,
        title: issue.title,
        body: issue.body,
        url: issue.html_url,
        labels: issue.labels.into_iter().map(attached).collect(),
        state,
        due_at: issue.due_date.as_deref().and_then(Timestamp::parse),
        updated_at,
        comments: issue.comments,
    })
}

fn label_event(entry: forge::TimelineEntry) -> Option<LabelEvent> {
    if entry.kind != "label" {
        return None;
    }
    let label = Label::named(&entry.label?.name)?;
    let who =
        entry.user.map_or(Person { id: 0, login: String::new() }, |user| Person { id: user.id, login: user.login });
    // An event without a readable time is ignored.
    let at = Timestamp::parse(&entry.created_at)?;
    // `1` for an added label, empty for a removed one (go-gitea/gitea `models/issues/issue_label.go`).
    Some(LabelEvent { id: entry.id, at, who, label, is_added: entry.body == "1" })
}
