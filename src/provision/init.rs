//! Makes a missions root on purpose, and scaffolds of cells that belong to no issue.

use crate::config::{Settings, SettingsError};
use crate::mission::cell::manifest::CellManifest;
use crate::mission::cell::{CellObservation, Part, PartObservation};
use crate::mission::identity::{ForgeUrl, MissionId, RootId};
use crate::mission::paths::heartbeat_command;
use crate::mission::root_metadata::RootMetadata;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use crate::world::cells::look;
use crate::world::store::lock::LockOptions;
use crate::world::store::open::RootAccess;
use crate::world::store::root::{ROOT_MODE, Root, RootError};
use crate::world::store::writer::{WriteError, Writer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The directory.
    #[error(
        "cannot make the directory `{path}`: {cause}; make it as root and give it to the account that passes run as"
    )]
    Directory {
        /// Where.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// The root that is to be replaced is this one.
    #[error(
        "root {0} is this root itself; `--replace` wants the id of the one that is lost, as the refusal of a pass names it"
    )]
    Itself(RootId),
    /// A file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The cell's place, or a part's, is taken.
    #[error("cannot make the cell `{path}`: {why}; look at it, and move it away")]
    InTheWay {
        /// Where.
        path: String,
        /// By what.
        why: String,
    },
}

/// What `init` found or made.
#[derive(Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The root's id.
    pub root_id: RootId,
    /// Whether it was made just now.
    pub is_new: bool,
    /// The address of its forge, where it remembered another one before.
    pub moved_to: Option<ForgeUrl>,
}

/// Makes the directory if need be, and a missions root of it unless it is one. With `replaced`, notes that its missions
/// take the place of those on a root that is lost. The address of the forge that it remembers is the configured one then.
pub fn init(settings: &Settings, replaced: Option<RootId>, now: Timestamp) -> Result<Initialised, InitError> {
    let path = &settings.missions_root;
    make_root(path).map_err(|cause| InitError::Directory { path: path.display().to_string(), cause })?;
    let (writer, is_new) = open(settings, now)?;
    if let Ok(Some(problem)) = writer.root().mode_problem() {
        tracing::warn!("{}; run {}", problem.found, problem.next);
    }
    let file = writer.file();
    if replaced == Some(file.root_id) {
        return Err(InitError::Itself(file.root_id));
    }
    let mut manifest = file.manifest.clone();
    manifest.replaced.extend(replaced.filter(|old| !file.manifest.replaced.contains(old)));
    let moved_to =
        settings.forge_url.clone().filter(|forge| manifest.forge.as_ref().is_some_and(|known| known != forge));
    if let Some(forge) = &moved_to {
        // Where people see it, it says itself.
        (manifest.forge, manifest.web_url) = (Some(forge.clone()), None);
    }
    if manifest != file.manifest {
        writer.update_root(manifest)?;
    }
    Ok(Initialised { root_id: file.root_id, is_new, moved_to })
}

/// Makes the directory, unless it is there, with the mode of a root whatever the umask is.
fn make_root(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(ROOT_MODE))
}

fn open(settings: &Settings, now: Timestamp) -> Result<(Arc<Writer>, bool), InitError> {
    let access = LockOptions { lock_wait: settings.lock_wait, is_lasting: false, group: settings.group_id()? };
    let ground = match RootAccess::to(&settings.missions_root, access).map_err(|error| settings.refused_root(error))? {
        RootAccess::Known(writer) => return Ok((writer, false)),
        RootAccess::New(ground) => ground,
    };
    let manifest = RootMetadata {
        host: settings.host.clone(),
        forge: settings.forge_url.clone(),
        web_url: None,
        repositories: Vec::new(),
        former_names: Vec::new(),
        people: BTreeMap::new(),
        replaced: Vec::new(),
    };
    Ok((Arc::new(Writer::initialise(&ground, manifest, now, access)?), true))
}

/// The JSON document of `lazarus-pit --init-cell UUID --json`.
#[derive(Debug, Serialize)]
pub struct Scaffold {
    /// The cell's id.
    pub mission_id: MissionId,
    /// Where it is.
    pub path: String,
    /// Whether it was made just now.
    pub created: bool,
    /// The parts of a cell that was there already, but lacked these.
    pub restored: Vec<&'static str>,
}

/// Makes a whole cell without an issue, or makes again what one lacks; never touches what is there.
pub fn init_cell(settings: &Settings, mission_id: MissionId, now: Timestamp) -> Result<Scaffold, InitError> {
    check_ground(settings)?;
    let (writer, _) = open(settings, now)?;
    let root = Arc::clone(writer.root());
    let had_beaten = had_beaten(&root, mission_id)?;
    let path = root.path().join(mission_id.to_string()).display().to_string();
    let manifest = manifest(settings, &root, mission_id, now);
    let blocked = |why: String| InitError::InTheWay { path: path.clone(), why };
    let mut scaffold = Scaffold { mission_id, path: path.clone(), created: false, restored: Vec::new() };
    match look::look(&*root, mission_id, root.resolver()) {
        CellObservation::Absent => {
            writer.create_cell(&manifest, None, now)?;
            scaffold.created = true;
        }
        CellObservation::Cell(cell) => {
            let taken = Part::ALL.into_iter().find_map(|part| match cell.part(part) {
                PartObservation::WrongType(kind) => Some((part, *kind)),
                PartObservation::Missing
                | PartObservation::Present
                | PartObservation::Unreadable(_)
                | PartObservation::Failed(_) => None,
            });
            if let Some((part, kind)) = taken {
                return Err(blocked(format!("{kind} is in the place of `{}`", part.path())));
            }
            let lost = Part::ALL.into_iter().filter(|part| *cell.part(*part) == PartObservation::Missing);
            // A wizard that has beaten knows more of its heartbeat than an empty file would say.
            for part in lost.filter(|part| !(had_beaten && *part == Part::Heartbeat)) {
                writer.restore_part(&manifest, part)?;
                scaffold.restored.push(part.path());
            }
        }
        CellObservation::NotADirectory(kind) => return Err(blocked(format!("{kind} is in its place"))),
        CellObservation::Failed(_) => return Err(blocked("its place cannot be looked at".to_owned())),
    }
    Ok(scaffold)
}

/// A root is never initialised on the side in a job, where it may be gone tomorrow.
fn check_ground(settings: &Settings) -> Result<(), RootError> {
    let root = settings.open_root()?;
    if root.file().is_some() || !settings.is_job {
        return Ok(());
    }
    let (path, flags) = (root.path().display().to_string(), settings.given.beside("--root"));
    Err(RootError::NotInitialised { path, why: "a job does not do that", flags })
}

fn had_beaten(root: &Root, mission_id: MissionId) -> Result<bool, RootError> {
    let records = root.records()?.by_issue;
    let mut bindings = records.values().filter_map(|record| record.binding.as_ref());
    Ok(bindings.any(|binding| binding.mission_id == mission_id && binding.ever_heartbeat))
}

fn manifest(settings: &Settings, root: &Root, mission_id: MissionId, now: Timestamp) -> CellManifest {
    CellManifest {
        mission_id,
        created_at: now,
        phase: Phase::Active,
        name: None,
        host: settings.host.clone(),
        issue: None,
        spec: None,
        commit: None,
        stale_after_seconds: settings.stale_after.as_secs(),
        beat_command: heartbeat_command(&root.path().display().to_string(), mission_id),
    }
}
