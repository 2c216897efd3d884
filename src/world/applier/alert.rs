//! Posts alerts: each is one new comment, never edited or removed, and looked up before it is posted again.

use crate::mission::alert::config::IssueName;
use crate::mission::alert::message::{AlertMessage, FleetAlertMessage};
use crate::mission::alert::state::{AlertMarker, AlertRecord, FleetAlertRecord};
use crate::mission::failure::FailureScope;
use crate::mission::record::IssueKey;
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::forge::alert_targets::check_alert_issue;
use crate::world::forge::{self, ForgeError};
use crate::world::observer::is_alert;

/// The most attempts to post one alert when responses are lost; each first looks for the comment.
const CREATES_MAX: usize = 3;

/// An alert that was not posted, or whose state is unknown.
struct NotPosted {
    error: ForgeError,
    /// Whether it is certain that it was not posted.
    is_certain: bool,
}

impl Applier {
    /// Records the intent before the post and the result after it, so that a restart in between can find out whether
    /// the alert was posted.
    pub(super) async fn post_alert(
        &self,
        issue: &IssueKey,
        message: &AlertMessage,
        memory: &AlertRecord,
    ) -> Result<(), WorldError> {
        self.record_alert(issue, memory.intending(message.intent)).await?;
        let target = IssueName { repository: issue.repository.clone(), number: issue.number };
        let posted = self.post(&target, &message.render(), message.marker()).await;
        if let Err(NotPosted { error, is_certain }) = posted {
            if is_certain {
                self.record_alert(issue, memory.clone()).await?;
            }
            return Err(error.into());
        }
        self.record_alert(issue, memory.posted_now(message.intent)).await
    }

    pub(super) async fn post_fleet_alert(
        &self,
        issue: &IssueName,
        message: &FleetAlertMessage,
        memory: &FleetAlertRecord,
    ) -> Result<(), WorldError> {
        self.record_fleet_alert(memory.intending(message.intent.clone())).await?;
        let posted = self.post(issue, &message.render(), message.marker()).await;
        if let Err(NotPosted { error, is_certain }) = posted {
            if self.is_refused(issue, &error).await {
                self.record_fleet_alert(memory.refused(message.intent.at)).await?;
            } else if is_certain {
                self.record_fleet_alert(memory.clone()).await?;
            }
            return Err(error.into());
        }
        self.record_fleet_alert(memory.posted_now(message.intent.clone())).await
    }

    /// Whether the issue rejects comments until manual action. For a missing issue Gitea only answers 500.
    async fn is_refused(&self, issue: &IssueName, error: &ForgeError) -> bool {
        if error.needs_a_person() {
            return error.scope() != FailureScope::Service;
        }
        check_alert_issue(&self.gitea, issue).await.is_some_and(|error| !error.is_passing())
    }

    pub(super) async fn record_alert(&self, issue: &IssueKey, memory: AlertRecord) -> Result<(), WorldError> {
        self.update_record(issue, |known| known.alert = memory).await
    }

    pub(super) async fn record_fleet_alert(&self, memory: FleetAlertRecord) -> Result<(), WorldError> {
        self.write(move |writer, _| Ok(writer.write_fleet_alerts(&memory)?)).await
    }

    async fn post(&self, issue: &IssueName, body: &str, marker: AlertMarker) -> Result<(), NotPosted> {
        let context = self.here();
        let issues = self.gitea.issues(&issue.repository);
        let is_same_alert = |comment: &forge::Comment| is_alert(&context, comment, &marker).then_some(());
        for attempt in 1.. {
            match issues.create_comment(issue.number, body).send().await {
                Ok(_) => return Ok(()),
                Err(error) if error.may_have_happened() && attempt < CREATES_MAX => {}
                Err(error) => return Err(NotPosted { is_certain: !error.may_have_happened(), error }),
            }
            let found = issues.comments(issue.number, &is_same_alert).await;
            if !found.map_err(|error| NotPosted { error, is_certain: false })?.0.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}
