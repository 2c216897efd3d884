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
struct Unsaid {
    error: ForgeError,
    /// Whether it is certain that it was not posted.
    is_known: bool,
}

impl Applier {
    /// Records the intent before the post and the result after it, so that a restart in between can find out whether
    /// the alert was posted.
    pub(super) async fn post_alarm(
        &self,
        issue: &IssueKey,
        notice: &AlertMessage,
        memory: &AlertRecord,
    ) -> Result<(), WorldError> {
        self.remember_alarm(issue, memory.intending(notice.intent)).await?;
        let place = IssueName { repository: issue.repository.clone(), number: issue.number };
        let posted = self.say(&place, &notice.render(), notice.marker()).await;
        if let Err(Unsaid { error, is_known }) = posted {
            if is_known {
                self.remember_alarm(issue, memory.clone()).await?;
            }
            return Err(error.into());
        }
        self.remember_alarm(issue, memory.posted_now(notice.intent)).await
    }

    pub(super) async fn post_fleet_alarm(
        &self,
        issue: &IssueName,
        notice: &FleetAlertMessage,
        memory: &FleetAlertRecord,
    ) -> Result<(), WorldError> {
        self.remember_fleet(memory.intending(notice.intent.clone())).await?;
        let posted = self.say(issue, &notice.render(), notice.marker()).await;
        if let Err(Unsaid { error, is_known }) = posted {
            if self.is_refused(issue, &error).await {
                self.remember_fleet(memory.refused(notice.intent.at)).await?;
            } else if is_known {
                self.remember_fleet(memory.clone()).await?;
            }
            return Err(error.into());
        }
        self.remember_fleet(memory.posted_now(notice.intent.clone())).await
    }

    /// Whether the issue rejects comments until manual action. For a missing issue Gitea only answers 500.
    async fn is_refused(&self, issue: &IssueName, error: &ForgeError) -> bool {
        if error.needs_a_person() {
            return error.scope() != FailureScope::Service;
        }
        check_alert_issue(&self.gitea, issue).await.is_some_and(|error| !error.is_passing())
    }

    pub(super) async fn remember_alarm(&self, issue: &IssueKey, memory: AlertRecord) -> Result<(), WorldError> {
        self.alter(issue, |known| known.alert = memory).await
    }

    pub(super) async fn remember_fleet(&self, memory: FleetAlertRecord) -> Result<(), WorldError> {
        self.write(move |writer, _| Ok(writer.remember_fleet(&memory)?)).await
    }

    async fn say(&self, issue: &IssueName, body: &str, marker: AlertMarker) -> Result<(), Unsaid> {
        let here = self.here();
        let issues = self.gitea.issues(&issue.repository);
        let is_it = |comment: &forge::Comment| is_alert(&here, comment, &marker).then_some(());
        for attempt in 1.. {
            match issues.create_comment(issue.number, body).send().await {
                Ok(_) => return Ok(()),
                Err(error) if error.may_have_happened() && attempt < CREATES_MAX => {}
                Err(error) => return Err(Unsaid { is_known: !error.may_have_happened(), error }),
            }
            let found = issues.comments(issue.number, &is_it).await;
            if !found.map_err(|error| Unsaid { error, is_known: false })?.0.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}
