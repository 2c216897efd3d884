//! Performs one change at a time, and decides nothing.

mod alarm;
mod cells;
mod issue;

use crate::mission::change::Change;
use crate::mission::ground::{KnownRepository, RepositoryLabel, RootPapers};
use crate::mission::identity::RepositoryId;
use crate::mission::label::Label;
use crate::mission::observation::Here;
use crate::mission::record::{IssueKey, Record};
use crate::mission::time::Timestamp;
use crate::world::WorldError;
use crate::world::checkout::Checkouts;
use crate::world::crew::blocking;
use crate::world::entry::Entry;
use crate::world::gitea::{ForgeError, Gitea};
use crate::world::lock::{Access, Ground};
use crate::world::mutex::locked;
use crate::world::writer::Writer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Hands, and no judgement.
#[derive(Debug)]
pub struct Applier {
    gitea: Gitea,
    access: Access,
    checkouts: Checkouts,
    hold: Mutex<Hold>,
}

/// What becomes known while changes are made.
#[derive(Debug)]
struct Hold {
    here: Arc<Here>,
    /// Until the root is initialised.
    ground: Option<Ground>,
    /// From then on.
    writer: Option<Arc<Writer>>,
    label_ids: HashMap<(RepositoryId, String), i64>,
}

impl Applier {
    /// Writes through this client and in this root.
    #[must_use]
    pub fn new(gitea: Gitea, here: Arc<Here>, access: Access, entry: Entry, checkouts: Checkouts) -> Self {
        let (ground, writer) = match entry {
            Entry::New(ground) => (Some(ground), None),
            Entry::Known(writer) => (None, Some(writer)),
        };
        let hold = Hold { here, ground, writer, label_ids: HashMap::new() };
        Self { gitea, access, checkouts, hold: Mutex::new(hold) }
    }

    /// The same hands at another time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let hold = self.hold(|hold| {
            let here = Arc::new(Here { now, ..(*hold.here).clone() });
            let (writer, label_ids) = (hold.writer.clone(), hold.label_ids.clone());
            Hold { here, ground: None, writer, label_ids }
        });
        let checkouts = self.checkouts.clone();
        Self { gitea: self.gitea.clone(), access: self.access, checkouts, hold: Mutex::new(hold) }
    }

    /// Takes note of who we are and where.
    pub fn know_here(&self, here: Arc<Here>) {
        self.hold(|hold| hold.here = here);
    }

    /// Which labels a repository has, and no others, so that they can be named by id. Of two with one name, the older
    /// counts.
    pub fn know_labels(&self, repository: &KnownRepository, labels: &[RepositoryLabel]) {
        self.hold(|hold| hold.label_ids.retain(|(id, _), _| *id != repository.id));
        for found in labels {
            if let Some(label) = self.label_named(&found.name) {
                self.know_label(repository.id, &label, found.id);
            }
        }
    }

    fn know_label(&self, repository: RepositoryId, label: &Label, id: i64) {
        self.hold(|hold| {
            let known = hold.label_ids.entry((repository, label.name().into_owned())).or_insert(id);
            *known = id.min(*known);
        });
    }

    /// What is the same for all missions; names the root once it has a name.
    #[must_use]
    pub fn here(&self) -> Arc<Here> {
        self.hold(|hold| Arc::clone(&hold.here))
    }

    fn hold<T>(&self, with: impl FnOnce(&mut Hold) -> T) -> T {
        with(&mut locked(&self.hold))
    }

    /// Performs one change.
    pub async fn apply(&self, change: &Change) -> Result<(), WorldError> {
        match change {
            Change::InitialiseRoot { path: _, root } => self.initialise((**root).clone()).await,
            Change::UpdateRoot { root, what: _ } => {
                let root = (**root).clone();
                self.write(move |writer, _| Ok(writer.update_root(root)?)).await
            }
            Change::CreateLabel { repository, label } => self.create_label(repository, label).await,
            Change::CorrectLabel { repository, label, found } => {
                let call = self.gitea.repository(&repository.name);
                call.set_exclusive(found.id, label.is_exclusive(), found.is_archived).send().await?;
                Ok(())
            }
            Change::CreateCell { papers, worktree, record } => {
                self.create_cell(papers, worktree.as_ref(), record).await
            }
            Change::BindCell { record } => self.bind_cell(record, change).await,
            Change::CheckOut { issue, mission_id, source } => self.check_out(issue, *mission_id, source).await,
            Change::ArchiveCell { papers, name, record } => self.archive_cell(papers, *name, record, change).await,
            Change::RestoreCell { papers, name, displaced, missing, record } => {
                self.restore_cell(papers, (*name, *displaced), missing, (record, change)).await
            }
            Change::RestorePart { papers, part } => self.restore_part(papers, *part, change).await,
            Change::UpdateFile { mission_id, part, contents } => {
                let (mission_id, part, contents) = (*mission_id, *part, contents.clone());
                let logged = logged(change);
                self.write(move |writer, here| {
                    writer.update_file(mission_id, part, &contents)?;
                    writer.log(mission_id, logged.0, &logged.1, here.now);
                    Ok(())
                })
                .await
            }
            Change::RememberComment { issue, comment } => self.remember_comment(issue, comment.clone()).await,
            Change::PostAlarm { issue, notice, memory } => self.post_alarm(issue, notice, memory).await,
            Change::RememberAlarm { issue, memory } => self.remember_alarm(issue, (**memory).clone()).await,
            Change::PostFleetAlarm { issue, notice, memory } => self.post_fleet_alarm(issue, notice, memory).await,
            Change::RememberFleet { memory } => self.remember_fleet((**memory).clone()).await,
            Change::RememberFailure { issue, failure } => {
                let failure = failure.clone();
                self.alter(issue, |known| known.failure = failure).await
            }
            Change::Remember { record } => self.remember(record).await,
            Change::AddLabels { issue, labels, displaced: _ } => self.add_labels(issue, labels).await,
            Change::RemoveLabel { issue, label } => {
                Ok(self.gitea.issues(&issue.repository).remove_label(issue.number, label.id).done().await?)
            }
            Change::ReplaceLabels { issue, add, remove, displaced } => {
                let remove = [&remove[..], &displaced[..]].concat();
                self.replace_labels(issue, add, &remove).await
            }
            Change::PostComment { issue, status, is_repost } => self.post_comment(issue, status, *is_repost).await,
            Change::EditComment { issue, id, status, is_claim, requested_at } => {
                self.edit_comment(issue, *id, status, (*is_claim, *requested_at)).await
            }
            Change::RemoveComment { issue, id } => {
                match self.gitea.issues(&issue.repository).delete_comment(*id).done().await {
                    Ok(()) | Err(ForgeError::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Our label of this name; of hosts' labels only this host's is ours.
    fn label_named(&self, name: &str) -> Option<Label> {
        let own = Label::Host(self.here().host.clone());
        Label::named(name).or_else(|| (own.name() == name).then_some(own))
    }

    /// All but comment and alarm, which belong to the changes that write them.
    async fn remember(&self, record: &Record) -> Result<(), WorldError> {
        let record = record.clone();
        let issue = record.issue.clone();
        self.alter(&issue, |known| *known = record.keeping_what_was_said(known.clone())).await
    }

    /// Changes one record.
    async fn alter(
        &self,
        issue: &IssueKey,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<(), WorldError> {
        let issue = issue.clone();
        self.write(move |writer, _| Ok(writer.remember(&issue, change).map(drop)?)).await
    }

    /// What is remembered of an issue now.
    pub async fn remembered(&self, issue: &IssueKey) -> Result<Option<Record>, WorldError> {
        let writer = self.hold(|hold| hold.writer.clone()).ok_or(WorldError::NoRoot)?;
        let issue = issue.clone();
        Ok(blocking(move || writer.remembered(&issue)).await?)
    }

    /// Writing on a disk blocks, so it gets a thread.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Writer, &Here) -> Result<T, WorldError> + Send + 'static,
    ) -> Result<T, WorldError> {
        let (writer, here) = self.hold(|hold| (hold.writer.clone(), Arc::clone(&hold.here)));
        let writer = writer.ok_or(WorldError::NoRoot)?;
        blocking(move || write(&writer, &here)).await
    }

    async fn initialise(&self, papers: RootPapers) -> Result<(), WorldError> {
        let (access, now) = (self.access, self.here().now);
        let ground = self.hold(|hold| hold.ground.take()).ok_or(WorldError::NoRoot)?;
        let initialise = move || (Writer::initialise(&ground, papers, now, access), ground);
        let writer = match blocking(initialise).await {
            (Ok(writer), _) => writer,
            (Err(error), ground) => {
                // Another try may go better.
                self.hold(|hold| hold.ground = Some(ground));
                return Err(error.into());
            }
        };
        self.hold(|hold| {
            let file = writer.file();
            let mut here = (*hold.here).clone();
            here.root = Some(file.root_id);
            here.replaced.clone_from(&file.papers.replaced);
            hold.here = Arc::new(here);
            hold.writer = Some(Arc::new(writer));
        });
        Ok(())
    }
}

/// The words of a change for the cell's own log.
fn logged(change: &Change) -> (&'static str, String) {
    (change.kind(), change.to_string())
}
