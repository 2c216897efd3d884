//! The archives of closed missions: listed, and deleted for the person who says so. Nothing else ever deletes mission
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
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// The JSON document of `gc --json`.
#[derive(Clone, Debug, Serialize)]
pub struct ArchiveReport {
    /// When the archives were looked at.
    pub generated_at: Timestamp,
    /// Where they are.
    pub missions_root: String,
    /// The age that was asked for.
    pub older_than_seconds: Option<u64>,
    /// Every archive, the oldest first.
    pub archives: Vec<ListedArchive>,
    /// What else stands among them, and is left alone.
    pub others: Vec<String>,
    /// What is left of what was deleted, and why.
    pub left: Vec<String>,
    #[serde(skip)]
    is_sweep: bool,
}

/// One archive.
#[derive(Clone, Debug, Serialize)]
pub struct ListedArchive {
    /// What it is called.
    pub archive: ArchiveName,
    /// Where it is, or was.
    pub path: String,
    /// When it was put away.
    pub archived_at: Timestamp,
    /// How long ago that was.
    pub age_seconds: i64,
    /// How much room it takes on the disk.
    pub bytes: u64,
    /// How many files are in it.
    pub files: u64,
    /// Whether there is more in it than was counted.
    pub is_more: bool,
    /// What became of it.
    pub fate: Fate,
    /// Why it was not deleted, or cannot be.
    pub error: Option<String>,
}

/// What becomes of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "lowercase")]
pub enum Fate {
    /// Nothing, since nobody asked, or it is too young.
    Kept,
    /// It is old enough, and would be deleted.
    #[strum(to_string = "would go")]
    Due,
    /// It was deleted.
    Deleted,
    /// It is old enough, but cannot be deleted whole, and so is left whole.
    Hindered,
    /// It was to be deleted, and could not be.
    Failed,
}

/// A line of the root's journal.
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

/// Lists the archives, and which of them are at least so old. Takes no lock and writes nothing.
pub fn list(settings: &Settings, older_than: Option<Duration>, now: Timestamp) -> Result<ArchiveReport, RootError> {
    let root = settings.open_root()?;
    if root.file().is_none() {
        tracing::warn!("`{}` is no missions root yet; the first pass or `init` makes it one", root.path().display());
    }
    Ok(ArchiveReport::of(&root, archive::list(&root)?, older_than, now))
}

/// Deletes the archives that are at least so old, also beside a daemon: an archive leaves the archives in one step.
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

/// Notes in the records what was deleted, so that the next pass says so on the issues. A pass finds out by itself what could
/// not be noted, as beside a daemon, which alone writes the records then.
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

    /// What could not be done, though it was asked for.
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
            error: measure
                .obstacle
                .filter(|_| is_due)
                .map(|why| format!("the archive `{name}` cannot be deleted whole, and so is left whole: {why}")),
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

/// The journal tells of a deletion before it begins, since whatever was taken out is gone with the next start; on a full
/// disk, as soon as there is room for it. What is left of what was taken out is told when the trash is emptied.
fn delete(root: &Root, line: &Deletion<'_>) -> Result<(), WriteError> {
    let noted = archive::note(root, line);
    let going = archive::take_out(root, line.archive, line.archived_at)?;
    if let Err(why) = going.remove() {
        tracing::debug!("{why}");
    }
    noted.or_else(|_| archive::note(root, line))
}

/// A table for people.
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
            writeln!(f, "left alone, since it is no archive: `{}`", Printable::new(other))?;
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
            writeln!(f, "Deleted: {count} of {age} and more, {size}")
        } else {
            writeln!(f, "Nothing was deleted. With `--yes`, {count} of {age} and more would be, {size}")
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
