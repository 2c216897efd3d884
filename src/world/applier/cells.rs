//! What is done to cells: made, taken up, filled, repaired, moved away and back.

use crate::mission::archive::ArchiveName;
use crate::mission::cell::Part;
use crate::mission::change::Change;
use crate::mission::identity::MissionId;
use crate::mission::papers::CellPapers;
use crate::mission::record::{IssueKey, Record};
use crate::mission::worktree::WorktreeSource;
use crate::world::WorldError;
use crate::world::applier::{Applier, logged};
use crate::world::checkout::{keep_worktree, log_checkout, staged_worktree};

impl Applier {
    /// The record first: a cell that nobody remembers would belong to nobody.
    pub(super) async fn create_cell(&self, papers: &CellPapers, record: &Record) -> Result<(), WorldError> {
        let (mut papers, record) = (papers.clone(), record.clone());
        let worktree = self.hold(|hold| hold.staged.remove(&papers.mission_id));
        papers.commit = worktree.as_ref().map(|checked_out| checked_out.commit.clone());
        self.write(move |writer, here| {
            let staged = worktree.as_ref().map(|_| staged_worktree(papers.mission_id));
            keep_worktree(writer, &record, |known| known.checked_out.clone_from(&worktree))?;
            writer.create_cell(&papers, staged.as_deref(), here.now)?;
            if let Some(checked_out) = &worktree {
                log_checkout(writer, papers.mission_id, checked_out, here.now);
            }
            Ok(())
        })
        .await
    }

    /// Checks out in staging; into the cell where there is one, else for the one that is about to be made.
    pub(super) async fn check_out(
        &self,
        issue: &IssueKey,
        mission_id: MissionId,
        source: &WorktreeSource,
    ) -> Result<(), WorldError> {
        let _turn = self.checkouts.turn().await;
        let order = self.checkouts.order(&self.gitea.url(), source, self.gitea.token(), self.access.group);
        let (issue, source) = (issue.clone(), source.clone());
        let (sender, staged) = std::sync::mpsc::channel();
        self.write(move |writer, here| {
            let checked_out = order.into_cell(writer, (&issue, mission_id), source, here.now)?;
            let _ = sender.send(checked_out);
            Ok(())
        })
        .await?;
        if let Some(checked_out) = staged.try_recv().ok().flatten() {
            self.hold(|hold| hold.staged.insert(mission_id, checked_out));
        }
        Ok(())
    }

    pub(super) async fn archive_cell(
        &self,
        papers: &CellPapers,
        name: ArchiveName,
        record: &Record,
        change: &Change,
    ) -> Result<(), WorldError> {
        let (papers, record, logged) = (papers.clone(), record.clone(), logged(change));
        self.write(move |writer, here| {
            keep_worktree(writer, &record, |_| ())?;
            writer.log(papers.mission_id, logged.0, &logged.1, here.now);
            Ok(writer.archive_cell(&papers, name)?)
        })
        .await
    }

    /// The record last: as long as it names an archive that exists, the cell is there.
    pub(super) async fn restore_cell(
        &self,
        papers: &CellPapers,
        (name, displaced): (ArchiveName, Option<ArchiveName>),
        missing: &[Part],
        (record, change): (&Record, &Change),
    ) -> Result<(), WorldError> {
        let (papers, record, logged) = (papers.clone(), record.clone(), logged(change));
        let missing = missing.to_vec();
        self.write(move |writer, here| {
            writer.restore_cell(&papers, name, displaced)?;
            keep_worktree(writer, &record, |_| ())?;
            for part in missing {
                writer.restore_part(&papers, part)?;
            }
            writer.log(papers.mission_id, logged.0, &logged.1, here.now);
            Ok(())
        })
        .await
    }

    pub(super) async fn bind_cell(&self, record: &Record, change: &Change) -> Result<(), WorldError> {
        let (record, logged) = (record.clone(), logged(change));
        self.write(move |writer, here| {
            keep_worktree(writer, &record, |_| ())?;
            if let Some(binding) = &record.binding {
                writer.log(binding.mission_id, logged.0, &logged.1, here.now);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn restore_part(
        &self,
        papers: &CellPapers,
        part: Part,
        change: &Change,
    ) -> Result<(), WorldError> {
        let (papers, logged) = (papers.clone(), logged(change));
        self.write(move |writer, here| {
            writer.restore_part(&papers, part)?;
            writer.log(papers.mission_id, logged.0, &logged.1, here.now);
            Ok(())
        })
        .await
    }
}
