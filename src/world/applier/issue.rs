//! Applies changes on an issue: adds and removes labels, posts, edits and deletes our comment.

use crate::mission::observation::AttachedLabel;
use crate::mission::record::{IssueKey, Record, StatusComment};
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::comment::render;
use crate::mission::status::label::Label;
use crate::mission::status::marker::Marker;
use crate::mission::status::view::Status;
use crate::mission::status::written::Written;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::forge::{self, ForgeError, NewLabel};

/// The most attempts to create a comment when responses are lost; each first looks for the comment.
const CREATES_MAX: usize = 3;

impl Applier {
    pub(super) async fn create_label(&self, repository: &RepositoryRef, label: &Label) -> Result<(), WorldError> {
        let look = self.gitea.repository(&repository.name);
        let exclusive = label.is_exclusive();
        let appearance = label.appearance();
        let new =
            NewLabel { name: &appearance.name, color: appearance.colour, description: appearance.meaning, exclusive };
        for attempt in 1.. {
            match look.create_label(&new).send().await {
                Ok(created) => {
                    self.know_label(repository.id, label, created.id);
                    return Ok(());
                }
                Err(error) if error.may_have_happened() && attempt < CREATES_MAX => {}
                Err(error) => return Err(error.into()),
            }
            let labels = look.labels().await?;
            if let Some(found) = labels.iter().find(|found| found.name == new.name) {
                self.know_label(repository.id, label, found.id);
                return Ok(());
            }
        }
        Ok(())
    }

    fn label_ids(&self, issue: &IssueKey, labels: &[Label]) -> Result<Vec<i64>, WorldError> {
        let id = |label: &Label| {
            let known = self
                .with_state(|state| state.label_ids.get(&(issue.repository_id, label.name().into_owned())).copied());
            known.ok_or(WorldError::NoLabel { label: label.name().into_owned(), repository: issue.repository.clone() })
        };
        labels.iter().map(id).collect()
    }

    pub(super) async fn add_labels(&self, issue: &IssueKey, labels: &[Label]) -> Result<(), WorldError> {
        let ids = self.label_ids(issue, labels)?;
        let answer = self.gitea.issues(&issue.repository).add_labels(issue.number, &ids).send().await?;
        check_labels(issue, labels, &[], &answer)
    }

    pub(super) async fn replace_labels(
        &self,
        issue: &IssueKey,
        add: &[Label],
        remove: &[AttachedLabel],
    ) -> Result<(), WorldError> {
        let issues = self.gitea.issues(&issue.repository);
        let current = issues.labels(issue.number).send().await?;
        let stays = |id: &i64| !remove.iter().any(|label| label.id == *id);
        let mut ids: Vec<i64> = current.iter().map(|label| label.id).filter(stays).collect();
        ids.extend(self.label_ids(issue, add)?);
        ids.sort_unstable();
        ids.dedup();
        let answer = issues.replace_labels(issue.number, &ids).send().await?;
        check_labels(issue, add, remove, &answer)
    }

    pub(super) async fn post_comment(
        &self,
        issue: &IssueKey,
        status: &Status,
        is_repost: bool,
    ) -> Result<(), WorldError> {
        let context = self.here();
        let body = render(&context, status);
        let reposted_at = is_repost.then_some(context.now);
        let issues = self.gitea.issues(&issue.repository);
        for attempt in 1.. {
            match issues.create_comment(issue.number, &body).send().await {
                Ok(comment) => {
                    return self.record_comment(issue, written(&comment).posted(status, reposted_at)).await;
                }
                Err(error) if error.may_have_happened() && attempt < CREATES_MAX => {}
                Err(error) => {
                    self.clear_intent(issue, &error).await?;
                    return Err(error.into());
                }
            }
            let marker = Marker::parse(&body);
            let ours = |comment: &forge::Comment| {
                let poster = comment.user.as_ref().map_or(0, |user| user.id);
                (context.is_ours(poster) && Marker::parse(&comment.body) == marker).then(|| written(comment))
            };
            if let Some(found) = issues.comments(issue.number, &ours).await?.0.into_iter().next() {
                // The response was lost, so the sent text is recorded, whatever the comment holds by now.
                let written = Written { body_sha256: sha256(&body), ..found };
                return self.record_comment(issue, written.posted(status, reposted_at)).await;
            }
        }
        Ok(())
    }

    /// Edits a comment, which stays unconfirmed after a claim. `requested_at` is the time since when a continuing
    /// approval request has been shown.
    pub(super) async fn edit_comment(
        &self,
        issue: &IssueKey,
        id: i64,
        status: &Status,
        (is_claim, requested_at): (bool, Option<Timestamp>),
    ) -> Result<(), WorldError> {
        let body = render(&self.here(), status);
        match self.gitea.issues(&issue.repository).edit_comment(id, &body).send().await {
            Ok(comment) => {
                let (written, status) = (written(&comment), status.clone());
                let edit = move |known: &mut Record| {
                    known.remember_comment(written.edited(&status, !is_claim, requested_at, known.comment.as_ref()));
                };
                self.update_record(issue, edit).await
            }
            Err(ForgeError::NotFound { .. }) => Err(WorldError::CommentGone { id }),
            Err(error) => {
                self.mark_unconfirmed(issue, status.digest()).await?;
                self.clear_intent(issue, &error).await?;
                Err(refused(issue, id, error))
            }
        }
    }

    /// Drops the recorded intent of a failed write, unless the comment may exist now; in that case the comment is read
    /// before the next change.
    async fn clear_intent(&self, issue: &IssueKey, error: &ForgeError) -> Result<(), WorldError> {
        if error.may_have_happened() {
            return Ok(());
        }
        self.update_record(issue, |known| (known.comment_intent, known.comment_intent_body) = (None, None)).await
    }

    /// The text that was to be repaired may still be there, so it is read before the next change.
    async fn mark_unconfirmed(&self, issue: &IssueKey, digest: String) -> Result<(), WorldError> {
        let unconfirm = move |known: &mut Record| {
            if let Some(comment) = known.comment.as_mut().filter(|comment| comment.digest == digest) {
                comment.is_confirmed = false;
            }
        };
        self.update_record(issue, unconfirm).await
    }

    /// Writes the record before any change on its issue: without a working record each pass would repeat the change.
    /// For a comment, the record holds its meaning and the digest of its text.
    pub async fn prepare(&self, issue: &IssueKey, status: Option<&Status>) -> Result<(), WorldError> {
        let issue = issue.clone();
        let meant = status.map(|status| (status.digest(), sha256(&render(&self.here(), status))));
        let prepare = move |known: &mut Record| {
            if let Some((digest, body_sha256)) = meant {
                (known.comment_intent, known.comment_intent_body) = (Some(digest), Some(body_sha256));
            }
        };
        self.write(move |writer, _| Ok(writer.rewrite_record(&issue, prepare)?)).await
    }

    pub(super) async fn record_comment(&self, issue: &IssueKey, comment: StatusComment) -> Result<(), WorldError> {
        self.update_record(issue, |known| known.remember_comment(comment)).await
    }
}

/// Only an account that may not edit other accounts' comments gets an error without a message (go-gitea/gitea
/// `routers/api/v1/repo/issue_comment.go`).
fn refused(issue: &IssueKey, id: i64, error: ForgeError) -> WorldError {
    let is_bare = matches!(&error, ForgeError::Forbidden { message, .. } if message.is_empty());
    if !is_bare {
        return error.into();
    }
    WorldError::CommentByOtherAccount { id, issue: issue.to_string(), error: error.found() }
}

fn written(comment: &forge::Comment) -> Written {
    Written { id: comment.id, body_sha256: sha256(&comment.body), updated_at: comment.updated() }
}

/// Compares the response with the request: Gitea answers success even if it dropped a label.
fn check_labels(
    issue: &IssueKey,
    wanted: &[Label],
    unwanted: &[AttachedLabel],
    answer: &[forge::ForgeLabel],
) -> Result<(), WorldError> {
    let has = |name: &str| answer.iter().any(|label| label.name == name);
    let missing = wanted.iter().map(|label| label.name().into_owned()).filter(|name| !has(name));
    let left =
        unwanted.iter().filter(|label| answer.iter().any(|found| found.id == label.id)).map(|label| label.name.clone());
    let wrong: Vec<String> = missing.chain(left).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let labels = wrong.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(WorldError::LabelsIgnored { issue: issue.to_string(), labels })
}
