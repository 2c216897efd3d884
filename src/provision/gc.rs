//! Lists the archives of closed missions, and deletes the ones that a person chooses. Nothing else deletes mission
//! data.

use crate::config::{Settings, SettingsError};
use crate::mission::cell::archive::{Archive, ArchiveName};
use crate::mission::record::Record;
use crate::mission::text::Printable;
use crate::mission::time::{Timestamp, format_age, format_length};
use crate::world::store::archive::{self, Archives};
use crate::world::store::lock::LockOptions;
use crate::world::store::open::RootAccess;
use crate::world::store::removal::BUDGET;
use crate::world::store::root::{Root, RootError, user_name};
use crate::world::store::trash;
use crate::world::store::writer::{WriteError, Writer};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use strum::VariantArray;

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The configuration is unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The root cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// The JSON document of `gc --json`.
#[derive(Clone, Debug, Serialize)]
pub struct ArchiveReport {
    /// When the archives were listed.
    pub generated_at: Timestamp,
    /// The missions root that holds them.
    pub missions_root: String,
    /// The minimum age, if the command line sets one.
    pub older_than_seconds: Option<u64>,
    /// Every archive, the oldest first.
    pub archives: Vec<ListedArchive>,
    /// Names of other entries in the archive directory, which are left alone.
    pub others: Vec<String>,
    /// Errors about files of deleted archives that are left.
    pub left: Vec<String>,
    #[serde(skip)]
    is_sweep: bool,
}

/// One archive.
#[derive(Clone, Debug, Serialize)]
pub struct ListedArchive {
    /// The name of the archive.
    pub archive: ArchiveName,
    /// The path of the archive, also after its deletion.
    pub path: String,
    /// When the cell was archived.
    pub archived_at: Timestamp,
    /// The age of the archive.
    pub age_seconds: i64,
    /// The space that it takes on the disk.
    pub bytes: u64,
    /// The number of files in it.
    pub files: u64,
    /// Whether it holds more than was counted.
    pub is_more: bool,
    /// What happened to it, or would happen.
    pub fate: Fate,
    /// The reason why it was not or cannot be deleted.
    pub error: Option<String>,
}

/// What happens to an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "lowercase")]
pub enum Fate {
    /// It is kept: no age was given, or it is younger.
    Kept,
    /// It is old enough, and would be deleted.
    #[strum(to_string = "would go")]
    Due,
    /// It was deleted.
    Deleted,
    /// It is old enough, but cannot be deleted completely, and so is kept completely.
    Hindered,
    /// Its deletion failed.
    Failed,
}

/// A line of the root's journal about a deletion.
#[derive(Serialize)]
struct Deletion<'a> {
    at: Timestamp,
    change: &'static str,
    archive: ArchiveName,
    archived_at: Timestamp,
    bytes: u64,
    files: u64,
    user: &'a str,
    sudo_user: Option<&'a str>,
}

/// Lists the archives, and marks those of at least this age. Takes no lock and writes nothing.
pub fn list(settings: &Settings, older_than: Option<Duration>, now: Timestamp) -> Result<ArchiveReport, RootError> {
    let root = settings.open_root()?;
    if root.file().is_none() {
        tracing::warn!(
            "`{}` is not initialized as a missions root yet; the first pass or `init` does that",
            root.path().display()
        );
    }
    Ok(ArchiveReport::of(&root, archive::list(&root)?, older_than, now))
}

/// Deletes the archives of at least this age. It may run beside a daemon, since an archive is moved away in one step.
pub fn sweep(
    settings: &Settings,
    older_than: Duration,
    sudo_user: Option<&str>,
    now: Timestamp,
) -> Result<ArchiveReport, GcError> {
    let root = settings.open_root()?;
    root.check_owner().map_err(|error| settings.refused_root(error))?;
    let mut report = ArchiveReport::of(&root, archive::list(&root)?, Some(older_than), now);
    report.is_sweep = true;
    if root.file().is_none() {
        return Ok(report);
    }
    let user = user_name(rustix::process::geteuid().as_raw());
    for listed in report.archives.iter_mut().filter(|listed| listed.fate == Fate::Due) {
        listed.delete(&root, &user, sudo_user, now);
    }
    if report.archives.iter().any(|listed| listed.fate == Fate::Deleted) {
        note_deleted(settings, &report, now)?;
    }
    report.left = trash::empty(&root, BUDGET);
    Ok(report)
}

/// Notes the deletions in the records, so that the next pass publishes them. Beside a daemon, which holds the lock, a
/// pass detects them on its own.
fn note_deleted(settings: &Settings, report: &ArchiveReport, now: Timestamp) -> Result<(), GcError> {
    let access = LockOptions { lock_wait: settings.lock_wait, is_lasting: false, group: settings.group_id()? };
    let writer = match RootAccess::to(&settings.missions_root, access) {
        Ok(RootAccess::Known(writer)) => writer,
        Ok(RootAccess::New(_)) | Err(RootError::Locked { .. }) => return Ok(()),
        Err(error) => return Err(settings.refused_root(error).into()),
    };
    let deleted = report.archives.iter().filter(|listed| listed.fate == Fate::Deleted);
    let deleted: BTreeSet<ArchiveName> = deleted.map(|listed| listed.archive).collect();
    note_in_records(&writer, &deleted, now);
    Ok(())
}

fn note_in_records(writer: &Writer, deleted: &BTreeSet<ArchiveName>, now: Timestamp) {
    let records = match writer.root().records() {
        Ok(records) => records,
        Err(error) => return tracing::warn!("{error}"),
    };
    let is_of_deleted = |record: &&Record| record.archive.is_some_and(|name| deleted.contains(&name));
    for record in records.by_issue.values().filter(is_of_deleted) {
        let what = "`lazarus-reconcile gc` deleted the archive of the cell";
        if let Err(error) = writer.remember(&record.issue, |record| record.note_deleted_archive(now, what)) {
            tracing::warn!("{error}");
        }
    }
}

impl ArchiveReport {
    fn of(root: &Root, found: Archives, older_than: Option<Duration>, now: Timestamp) -> Self {
        let Archives { archives, others } = found;
        let listed = archives.into_iter().map(|archive| ListedArchive::of(root, archive, older_than, now)).collect();
        Self {
            generated_at: now,
            missions_root: root.path().display().to_string(),
            older_than_seconds: older_than.map(|age| age.as_secs()),
            archives: listed,
            others,
            left: Vec::new(),
            is_sweep: false,
        }
    }

    /// The deletions that failed.
    pub fn errors(&self) -> impl Iterator<Item = &String> {
        let refused = self.archives.iter().filter(|_| self.is_sweep).filter_map(|listed| listed.error.as_ref());
        refused.chain(&self.left)
    }

    fn sum(&self, fates: &[Fate]) -> (usize, String) {
        let some = self.archives.iter().filter(|listed| fates.contains(&listed.fate));
        (some.clone().count(), size(some.map(|listed| listed.bytes).sum()))
    }
}

impl ListedArchive {
    fn of(root: &Root, archive: Archive, older_than: Option<Duration>, now: Timestamp) -> Self {
        let is_due = older_than.is_some_and(|age| archive.is_as_old_as(age, now));
        let Archive { name, archived_at, measure } = archive;
        Self {
            archive: name,
            path: archive::path(root, name).display().to_string(),
            archived_at,
            age_seconds: now.after(archived_at).num_seconds(),
            bytes: measure.bytes,
            files: measure.files,
            is_more: measure.is_more,
            fate: match (is_due, &measure.obstacle) {
                (false, _) => Fate::Kept,
                (true, None) => Fate::Due,
                (true, Some(_)) => Fate::Hindered,
            },
            error: measure.obstacle.filter(|_| is_due).map(|why| {
                format!("the archive `{name}` cannot be deleted completely, and so is kept completely: {why}")
            }),
        }
    }

    fn delete(&mut self, root: &Root, user: &str, sudo_user: Option<&str>, now: Timestamp) {
        let &mut Self { archive, archived_at, bytes, files, .. } = self;
        let line = Deletion { at: now, change: "delete-archive", archive, archived_at, bytes, files, user, sudo_user };
        match delete(root, &line) {
            Ok(()) => {
                self.fate = Fate::Deleted;
                tracing::info!(%archive, bytes, files, user, "deleted the archive");
            }
            Err(error) => {
                self.fate = Fate::Failed;
                self.error = Some(error.to_string());
            }
        }
    }
}

/// Deletes one archive. The journal line is written first, since the next start deletes whatever was moved to the
/// trash; on a full disk it is written afterwards. Leftovers are reported when the trash is emptied.
fn delete(root: &Root, line: &Deletion<'_>) -> Result<(), WriteError> {
    let noted = archive::note(root, line);
    let removed = archive::take_out(root, line.archive, line.archived_at)?;
    if let Err(why) = removed.remove() {
        tracing::debug!("{why}");
    }
    noted.or_else(|_| archive::note(root, line))
}

/// The report as a table.
impl fmt::Display for ArchiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:8}  {:20}  {:18}  {:>10}  {:>7}  ARCHIVE", "", "ARCHIVED", "AGE", "SIZE", "FILES")?;
        for listed in &self.archives {
            let ListedArchive { archive, archived_at, age_seconds, bytes, files, is_more, fate, .. } = listed;
            let (age, more) = (format_age(*age_seconds), if *is_more { ">" } else { "" });
            let (size, files) = (format!("{more}{}", size(*bytes)), format!("{more}{files}"));
            writeln!(f, "{fate:8}  {archived_at}  {age:18}  {size:>10}  {files:>7}  {archive}")?;
        }
        for other in &self.others {
            writeln!(f, "left alone, not an archive: `{}`", Printable::new(other))?;
        }
        for error in self.archives.iter().filter(|_| !self.is_sweep).filter_map(|listed| listed.error.as_ref()) {
            writeln!(f, "{error}")?;
        }
        let (count, size) = self.sum(Fate::VARIANTS);
        writeln!(f, "{} in {}: {size}", archives(count), Printable::new(&self.missions_root))?;
        let Some(age) = self.older_than_seconds.map(Duration::from_secs).map(format_length) else { return Ok(()) };
        let (count, size) = self.sum(if self.is_sweep { &[Fate::Deleted] } else { &[Fate::Due] });
        let count = archives(count);
        if self.is_sweep {
            writeln!(f, "Deleted: {count} of at least {age}, {size}")
        } else {
            writeln!(f, "Nothing was deleted. `--yes` would delete {count} of at least {age}, {size}")
        }
    }
}

fn archives(count: usize) -> String {
    format!("{count} archive{}", if count == 1 { "" } else { "s" })
}

/// `1.4 GiB`
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(power, _)| bytes >> power > 0) {
        None => format!("{bytes} B"),
        Some((power, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> power;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}
