//! Applies one change at a time and decides nothing.

mod alert;
mod cells;
mod issue;

use crate::mission::identity::RepositoryId;
use crate::mission::observation::PassContext;
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueKey, Record};
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef, RootMetadata};
use crate::mission::status::label::Label;
use crate::mission::time::Timestamp;
use crate::world::WorldError;
use crate::world::blocking_pool::blocking;
use crate::world::checkout::Checkouts;
use crate::world::forge::{ForgeError, Gitea};
use crate::world::lock_unpoisoned::locked;
use crate::world::store::lock::{LockOptions, UninitializedRoot};
use crate::world::store::open::RootAccess;
use crate::world::store::writer::Writer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Applies changes; decides nothing.
#[derive(Debug)]
pub struct Applier {
    gitea: Gitea,
    access: LockOptions,
    checkouts: Checkouts,
    state: Mutex<State>,
}

/// State that becomes known while changes are applied.
#[derive(Debug)]
struct State {
    context: Arc<PassContext>,
    /// Set until the root is initialised.
    uninitialized: Option<UninitializedRoot>,
    /// Set once the root is initialised.
    writer: Option<Arc<Writer>>,
    label_ids: HashMap<(RepositoryId, String), i64>,
}

impl Applier {
    /// Writes through this client and in this root.
    #[must_use]
    pub fn new(
        gitea: Gitea,
        context: Arc<PassContext>,
        access: LockOptions,
        root: RootAccess,
        checkouts: Checkouts,
    ) -> Self {
        let (uninitialized, writer) = match root {
            RootAccess::New(uninitialized) => (Some(uninitialized), None),
            RootAccess::Known(writer) => (None, Some(writer)),
        };
        let state = State { context, uninitialized, writer, label_ids: HashMap::new() };
        Self { gitea, access, checkouts, state: Mutex::new(state) }
    }

    /// The same applier at another time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let state = self.with_state(|state| {
            let context = Arc::new(PassContext { now, ..(*state.context).clone() });
            let (writer, label_ids) = (state.writer.clone(), state.label_ids.clone());
            State { context, uninitialized: None, writer, label_ids }
        });
        let checkouts = self.checkouts.clone();
        Self { gitea: self.gitea.clone(), access: self.access, checkouts, state: Mutex::new(state) }
    }

    /// Sets the context of the pass.
    pub fn know_here(&self, context: Arc<PassContext>) {
        self.with_state(|state| state.context = context);
    }

    /// Sets the labels of a repository, to name them by id. Of two labels with one name, the older counts.
    pub fn know_labels(&self, repository: &RepositoryRef, labels: &[RepositoryLabel]) {
        self.with_state(|state| state.label_ids.retain(|(id, _), _| *id != repository.id));
        for found in labels {
            if let Some(label) = self.label_named(&found.name) {
                self.know_label(repository.id, &label, found.id);
            }
        }
    }

    fn know_label(&self, repository: RepositoryId, label: &Label, id: i64) {
        self.with_state(|state| {
            let known = state.label_ids.entry((repository, label.name().into_owned())).or_insert(id);
            *known = id.min(*known);
        });
    }

    /// The context of the pass; has the root's id once the root is initialised.
    #[must_use]
    pub fn here(&self) -> Arc<PassContext> {
        self.with_state(|state| Arc::clone(&state.context))
    }

    fn with_state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut locked(&self.state))
    }

    /// Applies one change.
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
            Change::CreateCell { manifest, worktree, record } => {
                self.create_cell(manifest, worktree.as_ref(), record).await
            }
            Change::BindCell { record } => self.bind_cell(record, change).await,
            Change::CheckOut { issue, mission_id, source } => self.check_out(issue, *mission_id, source).await,
            Change::ArchiveCell { manifest, name, record } => self.archive_cell(manifest, *name, record, change).await,
            Change::RestoreCell { manifest, name, displaced, missing, record } => {
                self.restore_cell(manifest, (*name, *displaced), missing, (record, change)).await
            }
            Change::RestorePart { manifest, part } => self.restore_part(manifest, *part, change).await,
            Change::UpdateFile { mission_id, part, contents } => {
                let (mission_id, part, contents) = (*mission_id, *part, contents.clone());
                let logged = logged(change);
                self.write(move |writer, context| {
                    writer.update_file(mission_id, part, &contents)?;
                    writer.log(mission_id, logged.0, &logged.1, context.now);
                    Ok(())
                })
                .await
            }
            Change::RecordComment { issue, comment } => self.record_comment(issue, comment.clone()).await,
            Change::PostAlert { issue, alert_message, memory } => self.post_alert(issue, alert_message, memory).await,
            Change::RecordAlert { issue, memory } => self.record_alert(issue, (**memory).clone()).await,
            Change::PostFleetAlert { issue, alert_message, memory } => {
                self.post_fleet_alert(issue, alert_message, memory).await
            }
            Change::RecordFleetAlert { memory } => self.record_fleet_alert((**memory).clone()).await,
            Change::RecordFailure { issue, failure } => {
                let failure = failure.clone();
                self.update_record(issue, |known| known.failure = failure).await
            }
            Change::WriteRecord { record } => self.write_record(record).await,
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

    /// Our label with this name; of the hosts' labels only this host's is ours.
    fn label_named(&self, name: &str) -> Option<Label> {
        let own = Label::Host(self.here().host.clone());
        Label::named(name).or_else(|| (own.name() == name).then_some(own))
    }

    /// Writes the record except for comment and alert, which belong to the changes that write them.
    async fn write_record(&self, record: &Record) -> Result<(), WorldError> {
        let record = record.clone();
        let issue = record.issue.clone();
        self.update_record(&issue, |known| *known = record.with_publish_state_of(known.clone())).await
    }

    /// Changes one record.
    async fn update_record(
        &self,
        issue: &IssueKey,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<(), WorldError> {
        let issue = issue.clone();
        self.write(move |writer, _| Ok(writer.remember(&issue, change).map(drop)?)).await
    }

    /// The current record of an issue.
    pub async fn remembered(&self, issue: &IssueKey) -> Result<Option<Record>, WorldError> {
        let writer = self.with_state(|state| state.writer.clone()).ok_or(WorldError::NoRoot)?;
        let issue = issue.clone();
        Ok(blocking(move || writer.remembered(&issue)).await?)
    }

    /// Writing on a disk blocks, so it gets a thread.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Writer, &PassContext) -> Result<T, WorldError> + Send + 'static,
    ) -> Result<T, WorldError> {
        let (writer, context) = self.with_state(|state| (state.writer.clone(), Arc::clone(&state.context)));
        let writer = writer.ok_or(WorldError::NoRoot)?;
        blocking(move || write(&writer, &context)).await
    }

    async fn initialise(&self, manifest: RootMetadata) -> Result<(), WorldError> {
        let (access, now) = (self.access, self.here().now);
        let uninitialized = self.with_state(|state| state.uninitialized.take()).ok_or(WorldError::NoRoot)?;
        let initialise = move || (Writer::initialise(&uninitialized, manifest, now, access), uninitialized);
        let writer = match blocking(initialise).await {
            (Ok(writer), _) => writer,
            (Err(error), uninitialized) => {
                // A retry may succeed.
                self.with_state(|state| state.uninitialized = Some(uninitialized));
                return Err(error.into());
            }
        };
        self.with_state(|state| {
            let file = writer.file();
            let mut context = (*state.context).clone();
            context.root = Some(file.root_id);
            context.replaced.clone_from(&file.manifest.replaced);
            state.context = Arc::new(context);
            state.writer = Some(Arc::new(writer));
        });
        Ok(())
    }
}

/// The kind and text of a change for the cell's log.
fn logged(change: &Change) -> (&'static str, String) {
    (change.kind(), change.to_string())
}
