//! Gathers the facts: asks the forge, looks at the disk, decides nothing.

use crate::mission::alarm::AlarmMarker;
use crate::mission::cell::{Failure, Sighting};
use crate::mission::comment_check::SeenComment;
use crate::mission::ground::{KnownRepository, RepositoryLabel};
use crate::mission::identity::{MissionId, RepositoryId, RepositoryName};
use crate::mission::label::Label;
use crate::mission::marker::Marker;
use crate::mission::notify::{IssueName, Notify};
use crate::mission::observation::{AttachedLabel, CommentFacts, IssueFacts, LabelEvent, Observation, Origin, Timeline};
use crate::mission::person::Person;
use crate::mission::record::{IssueKey, IssueState};
use crate::mission::repository::FoundRepository;
use crate::mission::text::{sha256, shown};
use crate::mission::time::Timestamp;
use crate::world::accounts::{AccountError, find_account};
use crate::world::alert_targets::{AlertTargetError, check_alert_issue, check_alert_targets};
use crate::world::cells;
use crate::world::crew::{self, LOOK_PATIENCE, blocking};
use crate::world::gitea::{self, CommentListing, ForgeError, Gitea, Issue, Listing, State};
use crate::world::repository::{RepositoryError, find_repository};
use crate::world::root::Root;
use std::sync::Arc;

/// Eyes, and no hands.
#[derive(Clone, Debug)]
pub struct Observer {
    gitea: Gitea,
    root: Arc<Root>,
}

impl Observer {
    /// Looks through this client and at this root.
    #[must_use]
    pub fn new(gitea: Gitea, root: Arc<Root>) -> Self {
        Self { gitea, root }
    }

    /// The id of the account that we act as.
    pub async fn me(&self) -> Result<i64, ForgeError> {
        self.gitea.user().send().await.map(|user| user.id)
    }

    /// As [`find_repository`].
    pub async fn repository(
        &self,
        name: &RepositoryName,
        remembered: Option<RepositoryId>,
    ) -> Result<FoundRepository, RepositoryError> {
        find_repository(&self.gitea, name, remembered).await
    }

    /// The labels that a repository has.
    pub async fn labels(&self, repository: &RepositoryName) -> Result<Vec<RepositoryLabel>, ForgeError> {
        let labels = self.gitea.repository(repository).labels().await?;
        Ok(labels.into_iter().map(RepositoryLabel::from).collect())
    }

    /// All open issues of a repository.
    pub async fn open_issues(&self, repository: &KnownRepository) -> Result<ListedIssues, ForgeError> {
        self.listed(repository, State::Open, None).await
    }

    /// The issues, open or not, that were touched since then.
    pub async fn issues_since(
        &self,
        repository: &KnownRepository,
        since: Timestamp,
    ) -> Result<ListedIssues, ForgeError> {
        self.listed(repository, State::All, Some(since)).await
    }

    async fn listed(
        &self,
        repository: &KnownRepository,
        state: State,
        since: Option<Timestamp>,
    ) -> Result<ListedIssues, ForgeError> {
        let listing = self.gitea.issues(&repository.name).list().state(state).since(since).all().await?;
        let Listing { issues, skipped, is_complete, begun_at } = listing;
        let issues = issues.into_iter().map(|issue| issue_facts(repository, issue)).collect::<Result<_, _>>()?;
        Ok(ListedIssues { issues, skipped, is_complete, begun_at })
    }

    /// One issue, open or not; none where there is none.
    pub async fn issue(&self, repository: &KnownRepository, number: i64) -> Result<Option<IssueFacts>, ForgeError> {
        match self.gitea.issues(&repository.name).get(number).send().await {
            Ok(issue) if issue.pull_request.is_some() => Ok(None),
            Ok(issue) => issue_facts(repository, issue).map(Some),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everything that is said on an issue, and where that is asked for, who has set which label since we spoke.
    pub async fn said_on(
        &self,
        issue: &IssueKey,
        with_timeline: bool,
    ) -> Result<(Vec<CommentFacts>, Timeline), ForgeError> {
        let comments = self.comments(issue).await?;
        if !with_timeline {
            return Ok((comments, Timeline::Unread));
        }
        let marked = comments.iter().filter(|comment| comment.marker.is_some());
        let since = marked.map(|comment| comment.created_at).min();
        let entries = self.gitea.issues(&issue.repository).timeline(issue.number, since).await?;
        Ok((comments, Timeline::Read(entries.into_iter().filter_map(label_event).collect())))
    }

    /// The comments of an issue that may be ours, and those that only look like it.
    pub async fn comments(&self, issue: &IssueKey) -> Result<Vec<CommentFacts>, ForgeError> {
        let comments = self.gitea.issues(&issue.repository).comments(issue.number).send().await?;
        let facts = comments.into_iter().map(|comment| CommentFacts {
            id: comment.id,
            created_at: comment.created(),
            updated_at: comment.updated(),
            poster: comment.user.map_or(0, |user| user.id),
            marker: Marker::parse(&comment.body),
            alarm: AlarmMarker::parse(&comment.body),
            body_sha256: sha256(&comment.body),
        });
        Ok(facts.collect())
    }

    /// One comment of an issue by its id; none where it is gone.
    pub async fn comment(&self, issue: &IssueKey, id: i64) -> Result<Option<SeenComment>, ForgeError> {
        let found = self.gitea.issues(&issue.repository).comment(id).await?;
        let updated_at = found.as_ref().map_or_else(Timestamp::latest, gitea::Comment::updated);
        Ok(found.map(|comment| SeenComment {
            id: comment.id,
            poster: comment.user.map_or(0, |user| user.id),
            number: Some(issue.number),
            marker: Marker::parse(&comment.body),
            body_sha256: sha256(&comment.body),
            updated_at,
        }))
    }

    /// The comments on issues of a repository that were posted or edited since then.
    pub async fn comments_since(
        &self,
        repository: &KnownRepository,
        since: Timestamp,
    ) -> Result<ListedComments, ForgeError> {
        let listing = self.gitea.issues(&repository.name).comments_since(since).all().await?;
        let CommentListing { comments, is_complete, has_more, begun_at } = listing;
        let of_issues = comments.into_iter().filter(|comment| !comment.issue_url.is_empty());
        Ok(ListedComments { comments: of_issues.map(seen_comment).collect(), is_complete, has_more, begun_at })
    }

    /// The alarms on an issue, each with who posted it.
    pub async fn alarms(&self, issue: &IssueName) -> Result<Vec<(i64, AlarmMarker)>, ForgeError> {
        let comments = self.gitea.issues(&issue.repository).comments(issue.number).send().await?;
        let alarm = |comment: gitea::Comment| {
            Some((comment.user.map_or(0, |user| user.id), AlarmMarker::parse(&comment.body)?))
        };
        Ok(comments.into_iter().filter_map(alarm).collect())
    }

    /// What keeps alerts from whom they should reach.
    pub async fn check_alert_targets(&self, notify: &Notify, repositories: &[RepositoryName]) -> Vec<AlertTargetError> {
        check_alert_targets(&self.gitea, notify, repositories).await
    }

    /// Whether no comment can be on an issue, and so none can have been lost there.
    pub async fn takes_no_alert(&self, issue: &IssueName) -> bool {
        check_alert_issue(&self.gitea, issue).await.is_some_and(|error| !error.is_passing())
    }

    /// What a repository that a worktree is wanted from is like.
    pub async fn origin(&self, repository: &RepositoryName) -> Result<Origin, ForgeError> {
        match self.gitea.repository(repository).get().send().await {
            Ok(found) => Ok(Origin::Found { is_private: found.private }),
            // Whoever moved it away may have made room for another one by its name.
            Err(ForgeError::NotFound { .. } | ForgeError::Moved { .. }) => Ok(Origin::NotFound),
            Err(error) => Err(error),
        }
    }

    /// As [`find_account`].
    pub async fn account(&self, login: &str, repositories: &[RepositoryName]) -> Result<i64, AccountError> {
        find_account(&self.gitea, login, repositories).await
    }

    /// Looks at the cells of these missions, and where they have ended, at the archive.
    pub async fn see(&self, mut observations: Vec<&mut Observation>) {
        let cells = observations.iter().map(|observation| observation.mission_id).collect();
        let sightings = self.look(cells).await;
        for (observation, sighting) in observations.iter_mut().zip(sightings) {
            observation.sighting = sighting;
        }
        let is_asked = |observation: &Observation| {
            let record = observation.record.as_ref();
            let has_moved = record.is_some_and(|record| record.archive.is_some() || record.elsewhere.is_some());
            observation.binding().is_some() && (has_moved || !observation.issue.is_open())
        };
        for observation in observations {
            if is_asked(observation) {
                self.see_archive(observation).await;
            }
        }
    }

    /// Looks at the archive of one mission.
    pub async fn see_archive(&self, observation: &mut Observation) {
        let kept = observation.record.as_ref().and_then(|record| record.archive);
        let (root, mission_id) = (Arc::clone(&self.root), observation.mission_id);
        observation.archive = blocking(move || root.look_in_archive(kept, mission_id)).await;
    }

    /// Looks at these cells, several at a time; one that is not seen in time is not seen at all.
    pub async fn look(&self, cells: Vec<MissionId>) -> Vec<Sighting> {
        let (root, count) = (Arc::clone(&self.root), cells.len());
        let look = move |index: usize| cells::look(&*root, cells[index], root.resolver());
        let seen = blocking(move || crew::gather(count, LOOK_PATIENCE, look)).await;
        seen.into_iter().map(|sighting| sighting.unwrap_or(Sighting::Failed(Failure::Timeout))).collect()
    }
}

impl From<gitea::Label> for RepositoryLabel {
    fn from(label: gitea::Label) -> Self {
        let gitea::Label { id, name, exclusive, is_archived, description } = label;
        Self { id, name, is_exclusive: exclusive, description, is_archived }
    }
}

/// Issues of one repository.
#[derive(Clone, Debug)]
pub struct ListedIssues {
    /// By id.
    pub issues: Vec<IssueFacts>,
    /// What could not be read.
    pub skipped: Vec<String>,
    /// Whether all were seen.
    pub is_complete: bool,
    /// What the forge's clock said when it was asked; what is touched later is not among them.
    pub begun_at: Option<Timestamp>,
}

/// Comments of one repository.
#[derive(Clone, Debug)]
pub struct ListedComments {
    /// By id, without those of pull requests.
    pub comments: Vec<SeenComment>,
    /// Whether all were seen that one listing reads.
    pub is_complete: bool,
    /// Whether there were more.
    pub has_more: bool,
    /// What the forge's clock said when it was asked.
    pub begun_at: Option<Timestamp>,
}

fn seen_comment(comment: gitea::ListedComment) -> SeenComment {
    let updated_at = comment.updated();
    let gitea::ListedComment { id, user, issue_url, text, updated_at: _ } = comment;
    SeenComment {
        id,
        poster: user.map_or(0, |user| user.id),
        number: issue_url.rsplit('/').next().and_then(|number| number.parse().ok()),
        marker: text.marker,
        body_sha256: text.sha256,
        updated_at,
    }
}

fn issue_facts(repository: &KnownRepository, issue: Issue) -> Result<IssueFacts, ForgeError> {
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
    let attached = |label: crate::world::gitea::Label| AttachedLabel {
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

fn label_event(entry: gitea::TimelineEntry) -> Option<LabelEvent> {
    if entry.kind != "label" {
        return None;
    }
    let label = Label::named(&entry.label?.name)?;
    let who =
        entry.user.map_or(Person { id: 0, login: String::new() }, |user| Person { id: user.id, login: user.login });
    // That nobody knows when it was put there makes it older than everything.
    let at = Timestamp::parse(&entry.created_at)?;
    // Put on says `1`, taken off says nothing (go-gitea/gitea `models/issues/issue_label.go`).
    Some(LabelEvent { id: entry.id, at, who, label, is_added: entry.body == "1" })
}
