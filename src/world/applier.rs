//! Performs one change at a time, and decides nothing.

use crate::mission::archive::ArchiveName;
use crate::mission::cell::Part;
use crate::mission::change::Change;
use crate::mission::comment::render;
use crate::mission::ground::{KnownRepository, RepositoryLabel, RootPapers};
use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::label::Label;
use crate::mission::marker::Marker;
use crate::mission::observation::{AttachedLabel, Here};
use crate::mission::papers::CellPapers;
use crate::mission::record::{IssueKey, Record, Spoken};
use crate::mission::status::Status;
use crate::mission::time::Timestamp;
use crate::mission::worktree::{CheckedOut, WorktreeSource};
use crate::world::WorldError;
use crate::world::checkout::{Checkouts, keep_worktree, staged_worktree};
use crate::world::entry::Entry;
use crate::world::gitea::{self, ForgeError, Gitea, NewLabel};
use crate::world::lock::{Access, Ground};
use crate::world::mutex::locked;
use crate::world::writer::Writer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// How often a create is tried whose answer was lost, looking for its work each time before.
const CREATES_MAX: usize = 3;

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
    /// What lies checked out in staging, until its cell is made.
    staged: HashMap<MissionId, CheckedOut>,
}

impl Applier {
    /// Writes through this client and in this root.
    #[must_use]
    pub fn new(gitea: Gitea, here: Arc<Here>, access: Access, entry: Entry, checkouts: Checkouts) -> Self {
        let (ground, writer) = match entry {
            Entry::New(ground) => (Some(ground), None),
            Entry::Known(writer) => (None, Some(writer)),
        };
        let hold = Hold { here, ground, writer, label_ids: HashMap::new(), staged: HashMap::new() };
        Self { gitea, access, checkouts, hold: Mutex::new(hold) }
    }

    /// The same hands at another time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let hold = self.hold(|hold| {
            let here = Arc::new(Here { now, ..(*hold.here).clone() });
            let (writer, label_ids) = (hold.writer.clone(), hold.label_ids.clone());
            Hold { here, ground: None, writer, label_ids, staged: HashMap::new() }
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
            Change::CreateCell { papers, record } => self.create_cell(papers, record).await,
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
            Change::Remember { record } => self.remember(record).await,
            Change::AddLabels { issue, labels } => self.add_labels(issue, labels).await,
            Change::RemoveLabel { issue, label } => {
                Ok(self.gitea.issues(&issue.repository).remove_label(issue.number, label.id).done().await?)
            }
            Change::ReplaceLabels { issue, add, remove } => self.replace_labels(issue, add, remove).await,
            Change::PostComment { issue, status } => self.post_comment(issue, status).await,
            Change::EditComment { issue, id, status, is_claim } => {
                self.edit_comment(issue, *id, status, !is_claim).await
            }
            Change::RemoveComment { issue, id } => {
                match self.gitea.issues(&issue.repository).delete_comment(*id).done().await {
                    Ok(()) | Err(ForgeError::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// The record first: a cell that nobody remembers would belong to nobody.
    async fn create_cell(&self, papers: &CellPapers, record: &Record) -> Result<(), WorldError> {
        let (mut papers, record) = (papers.clone(), record.clone());
        let worktree = self.hold(|hold| hold.staged.remove(&papers.mission_id));
        papers.commit = worktree.as_ref().map(|checked_out| checked_out.commit.clone());
        self.write(move |writer, here| {
            let staged = worktree.as_ref().map(|_| staged_worktree(papers.mission_id));
            keep_worktree(writer, &record, |known| known.checked_out.clone_from(&worktree))?;
            Ok(writer.create_cell(&papers, staged.as_deref(), here.now)?)
        })
        .await
    }

    /// Checks out in staging; into the cell where there is one, else for the one that is about to be made.
    async fn check_out(
        &self,
        issue: &IssueKey,
        mission_id: MissionId,
        source: &WorktreeSource,
    ) -> Result<(), WorldError> {
        let _turn = self.checkouts.turn().await;
        let order = self.checkouts.order(&self.here().forge, source, self.gitea.token(), self.access.group);
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

    async fn archive_cell(
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
    async fn restore_cell(
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

    /// Our label of this name; of hosts' labels only this host's is ours.
    fn label_named(&self, name: &str) -> Option<Label> {
        let own = Label::Host(self.here().host.clone());
        Label::named(name).or_else(|| (own.name() == name).then_some(own))
    }

    async fn bind_cell(&self, record: &Record, change: &Change) -> Result<(), WorldError> {
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

    async fn restore_part(&self, papers: &CellPapers, part: Part, change: &Change) -> Result<(), WorldError> {
        let (papers, logged) = (papers.clone(), logged(change));
        self.write(move |writer, here| {
            writer.restore_part(&papers, part)?;
            writer.log(papers.mission_id, logged.0, &logged.1, here.now);
            Ok(())
        })
        .await
    }

    /// All but the comment, which belongs to the changes that write it.
    async fn remember(&self, record: &Record) -> Result<(), WorldError> {
        let record = record.clone();
        self.write(move |writer, _| {
            writer.remember(&record.issue, |known| {
                let comment = known.comment.take();
                *known = Record { comment, ..record.clone() };
            })?;
            Ok(())
        })
        .await
    }

    /// What is remembered of an issue now.
    pub async fn remembered(&self, issue: &IssueKey) -> Result<Option<Record>, WorldError> {
        let writer = self.hold(|hold| hold.writer.clone()).ok_or(WorldError::NoRoot)?;
        let issue = issue.clone();
        let read = tokio::task::spawn_blocking(move || writer.remembered(&issue));
        Ok(read.await.expect("reading a record never panics")?)
    }

    /// Writing on a disk blocks, so it gets a thread.
    async fn write(
        &self,
        write: impl FnOnce(&Writer, &Here) -> Result<(), WorldError> + Send + 'static,
    ) -> Result<(), WorldError> {
        let (writer, here) = self.hold(|hold| (hold.writer.clone(), Arc::clone(&hold.here)));
        let writer = writer.ok_or(WorldError::NoRoot)?;
        let written = tokio::task::spawn_blocking(move || write(&writer, &here));
        written.await.expect("writing in the root never panics")
    }

    async fn initialise(&self, papers: RootPapers) -> Result<(), WorldError> {
        let (access, now) = (self.access, self.here().now);
        let ground = self.hold(|hold| hold.ground.take()).ok_or(WorldError::NoRoot)?;
        let initialise = move || (Writer::initialise(&ground, papers, now, access), ground);
        let initialised = tokio::task::spawn_blocking(initialise).await.expect("initialising a root never panics");
        let writer = match initialised {
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

    async fn create_label(&self, repository: &KnownRepository, label: &Label) -> Result<(), WorldError> {
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
            let known =
                self.hold(|hold| hold.label_ids.get(&(issue.repository_id, label.name().into_owned())).copied());
            known.ok_or(WorldError::NoLabel { label: label.name().into_owned(), repository: issue.repository.clone() })
        };
        labels.iter().map(id).collect()
    }

    async fn add_labels(&self, issue: &IssueKey, labels: &[Label]) -> Result<(), WorldError> {
        let ids = self.label_ids(issue, labels)?;
        let answer = self.gitea.issues(&issue.repository).add_labels(issue.number, &ids).send().await?;
        check_labels(issue, labels, &[], &answer)
    }

    async fn replace_labels(
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

    async fn post_comment(&self, issue: &IssueKey, status: &Status) -> Result<(), WorldError> {
        let here = self.here();
        let body = render(&here, status);
        let issues = self.gitea.issues(&issue.repository);
        for attempt in 1.. {
            match issues.create_comment(issue.number, &body).send().await {
                Ok(comment) => return self.remember_comment(issue, posted(comment.id, status)).await,
                Err(error) if error.may_have_happened() && attempt < CREATES_MAX => {}
                Err(error) => return Err(error.into()),
            }
            let comments = issues.comments(issue.number).send().await?;
            let marker = Marker::parse(&body);
            let is_it = |comment: &gitea::Comment| {
                let poster = comment.user.as_ref().map_or(0, |user| user.id);
                here.is_ours(poster) && Marker::parse(&comment.body) == marker
            };
            if let Some(found) = comments.iter().find(|comment| is_it(comment)) {
                return self.remember_comment(issue, posted(found.id, status)).await;
            }
        }
        Ok(())
    }

    async fn edit_comment(
        &self,
        issue: &IssueKey,
        id: i64,
        status: &Status,
        is_confirmed: bool,
    ) -> Result<(), WorldError> {
        let body = render(&self.here(), status);
        match self.gitea.issues(&issue.repository).edit_comment(id, &body).send().await {
            Ok(_) => {
                let comment =
                    Spoken { id, digest: status.digest(), is_confirmed, asks: status.asks(), is_edited: true };
                self.remember_comment(issue, comment).await
            }
            Err(ForgeError::NotFound { .. }) => Err(WorldError::CommentGone { id }),
            Err(error) => Err(error.into()),
        }
    }

    async fn remember_comment(&self, issue: &IssueKey, comment: Spoken) -> Result<(), WorldError> {
        let issue = issue.clone();
        self.write(move |writer, _| {
            writer.remember(&issue, |known| known.comment = Some(comment))?;
            Ok(())
        })
        .await
    }
}

/// The words of a change for the cell's own log.
fn logged(change: &Change) -> (&'static str, String) {
    (change.kind(), change.to_string())
}

/// A comment that nobody has looked at again yet.
fn posted(id: i64, status: &Status) -> Spoken {
    Spoken { id, digest: status.digest(), is_confirmed: false, asks: status.asks(), is_edited: false }
}

/// The forge answers success also when it has dropped a label, so its answer is held against the request.
fn check_labels(
    issue: &IssueKey,
    wanted: &[Label],
    unwanted: &[AttachedLabel],
    answer: &[gitea::Label],
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
