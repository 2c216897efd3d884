//! Applies changes of cells: create, restore, check out, repair, archive.

use crate::mission::cell::Part;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::manifest::CellManifest;
use crate::mission::cell::worktree::WorktreeSource;
use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::PassContext;
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueKey, Record};
use crate::world::WorldError;
use crate::world::applier::{Applier, logged};
use crate::world::checkout::{Remaining, finish, hand_over, keep_worktree, staged_worktree};
use crate::world::store::writer::Writer;
use tokio::time::Instant;

impl Applier {
    /// Writes the record first: a cell without a record would have no owner.
    pub(super) async fn create_cell(
        &self,
        manifest: &CellManifest,
        worktree: Option<&WorktreeSource>,
        record: &Record,
    ) -> Result<(), WorldError> {
        // A running checkout works in the staging directory.
        self.checkouts.check_idle(manifest.mission_id)?;
        let (mut manifest, wanted, record) = (manifest.clone(), worktree.cloned(), record.clone());
        self.write(move |writer, context| {
            let (issue, mission_id) = (&record.issue, manifest.mission_id);
            let staged = staged_worktree(mission_id);
            // If the checkout is not found there, it is repeated in the cell.
            let directory = writer.identify_staged(&staged).ok();
            let known = keep_worktree(writer, &record, |known| {
                *known = std::mem::take(known).of_new_cell(wanted.as_ref(), directory.as_ref());
            })?;
            let ready = known.worktree.placing.map(|placing| placing.checked_out);
            manifest.commit = ready.as_ref().map(|checked_out| checked_out.commit.clone());
            let created = writer.create_cell(&manifest, ready.as_ref().map(|_| staged.as_str()), context.now);
            // The staged worktree is of no use to another cell.
            writer.discard_worktree(&staged);
            created?;
            match ready {
                Some(checked_out) => Ok(hand_over(writer, (issue, mission_id), checked_out, context.now)?),
                None => Ok(()),
            }
        })
        .await
    }

    /// Starts a checkout in staging on another thread, or places one that has ended: into the cell if it exists, otherwise it
    /// stays in staging for the cell that is about to be created. Never waits for a checkout.
    pub(super) async fn check_out(
        &self,
        issue: &IssueKey,
        mission_id: MissionId,
        source: &WorktreeSource,
    ) -> Result<(), WorldError> {
        self.checkouts.check_idle(mission_id)?;
        let forge = (&self.gitea.url(), self.gitea.token());
        let request = self.checkouts.request((issue, mission_id), source, forge, self.access.group);
        let result = self.checkouts.take(&request);
        let (issue, source) = (issue.clone(), source.clone());
        let finish = move |writer: &Writer, context: &PassContext| {
            finish(writer, (&issue, mission_id), (&source, result), context.now)
        };
        match self.write(finish).await? {
            Remaining::Nothing => Ok(()),
            Remaining::Checkout => {
                let (writer, now) = self.with_state(|state| (state.writer.clone(), state.context.now));
                let under_way = self.checkouts.begin(request, writer.ok_or(WorldError::NoRoot)?, now);
                Err(WorldError::CheckoutUnderWay(Box::new(under_way)))
            }
        }
    }

    /// Discards the results of checkouts that ended before a turn of their issue began which did not take them.
    pub async fn forget_checkouts(&self, place: (RepositoryId, i64), begun: Instant) {
        for mission_id in self.checkouts.forget(place, begun) {
            let discard = move |writer: &Writer, _: &PassContext| {
                writer.discard_worktree(&staged_worktree(mission_id));
                Ok(())
            };
            if let Err(error) = self.write(discard).await {
                tracing::debug!("a checkout for the cell `{mission_id}` is left in staging: {error}");
            }
        }
    }

    pub(super) async fn archive_cell(
        &self,
        manifest: &CellManifest,
        name: ArchiveName,
        record: &Record,
        change: &Change,
    ) -> Result<(), WorldError> {
        let (manifest, record, logged) = (manifest.clone(), record.clone(), logged(change));
        self.write(move |writer, context| {
            keep_worktree(writer, &record, |_| ())?;
            writer.log(manifest.mission_id, logged.0, &logged.1, context.now);
            Ok(writer.archive_cell(&manifest, name)?)
        })
        .await
    }

    /// Writes the record last: while it names an existing archive, the cell is there.
    pub(super) async fn restore_cell(
        &self,
        manifest: &CellManifest,
        (name, displaced): (ArchiveName, Option<ArchiveName>),
        missing: &[Part],
        (record, change): (&Record, &Change),
    ) -> Result<(), WorldError> {
        let (manifest, record, logged) = (manifest.clone(), record.clone(), logged(change));
        let missing = missing.to_vec();
        self.write(move |writer, context| {
            writer.restore_cell(&manifest, name, displaced)?;
            keep_worktree(writer, &record, |_| ())?;
            for part in missing {
                writer.restore_part(&manifest, part)?;
            }
            writer.log(manifest.mission_id, logged.0, &logged.1, context.now);
            Ok(())
        })
        .await
    }

    pub(super) async fn bind_cell(&self, record: &Record, change: &Change) -> Result<(), WorldError> {
        let (record, logged) = (record.clone(), logged(change));
        self.write(move |writer, context| {
            keep_worktree(writer, &record, |_| ())?;
            if let Some(binding) = &record.binding {
                writer.log(binding.mission_id, logged.0, &logged.1, context.now);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn restore_part(
        &self,
        manifest: &CellManifest,
        part: Part,
        change: &Change,
    ) -> Result<(), WorldError> {
        let (manifest, logged) = (manifest.clone(), logged(change));
        self.write(move |writer, context| {
            writer.restore_part(&manifest, part)?;
            writer.log(manifest.mission_id, logged.0, &logged.1, context.now);
            Ok(())
        })
        .await
    }
}
