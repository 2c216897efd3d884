//! Initializes a missions root, and creates scaffolds of cells that belong to no issue.

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

/// Why nothing was initialized or created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The configuration is unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The root cannot be opened.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The directory cannot be created.
    #[error(
        "cannot create the directory `{path}`: {cause}; create it as root, owned by the account that passes run as"
    )]
    Directory {
        /// The directory.
        path: String,
        /// The reason.
        cause: std::io::Error,
    },
    /// `--replace` names this root.
    #[error("root {0} is this root itself; `--replace` takes the id of the lost root, which the error of a pass names")]
    Itself(RootId),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something else is in the place of the cell or of one of its parts.
    #[error("cannot create the cell `{path}`: {why}; check it, and move it away")]
    Obstructed {
        /// The cell's path.
        path: String,
        /// What is there.
        why: String,
    },
}

/// The result of `init`.
#[derive(Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The root's id.
    pub root_id: RootId,
    /// Whether it was initialized now.
    pub is_new: bool,
    /// The address of its forge, if the root had recorded another one before.
    pub moved_to: Option<ForgeUrl>,
}

/// Creates the directory if necessary, and initializes it as a missions root unless it is one. With `replaced`, records
/// that its missions replace those of a lost root. Afterwards the recorded address of the forge is the configured one.
pub fn init(settings: &Settings, replaced: Option<RootId>, now: Timestamp) -> Result<Initialised, InitError> {
    let path = &settings.missions_root;
    create_root(path).map_err(|cause| InitError::Directory { path: path.display().to_string(), cause })?;
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
        // The forge reports its address for browsers in the next pass.
        (manifest.forge, manifest.web_url) = (Some(forge.clone()), None);
    }
    if manifest != file.manifest {
        writer.update_root(manifest)?;
    }
    Ok(Initialised { root_id: file.root_id, is_new, moved_to })
}

/// Creates the directory unless it exists, with the mode of a root whatever the umask is.
fn create_root(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(ROOT_MODE))
}

fn open(settings: &Settings, now: Timestamp) -> Result<(Arc<Writer>, bool), InitError> {
    let access = LockOptions { lock_wait: settings.lock_wait, is_lasting: false, group: settings.group_id()? };
    let uninitialized =
        match RootAccess::to(&settings.missions_root, access).map_err(|error| settings.refused_root(error))? {
            RootAccess::Known(writer) => return Ok((writer, false)),
            RootAccess::New(uninitialized) => uninitialized,
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
    Ok((Arc::new(Writer::initialise(&uninitialized, manifest, now, access)?), true))
}

/// The JSON document of `lazarus-pit --init-cell UUID --json`.
#[derive(Debug, Serialize)]
pub struct Scaffold {
    /// The id of the cell.
    pub mission_id: MissionId,
    /// The path of the cell.
    pub path: String,
    /// Whether the cell was created now.
    pub created: bool,
    /// The recreated parts, if the cell existed without them.
    pub restored: Vec<&'static str>,
}

/// Creates a cell without an issue, or recreates its missing parts; never changes what exists.
pub fn init_cell(settings: &Settings, mission_id: MissionId, now: Timestamp) -> Result<Scaffold, InitError> {
    check_root(settings)?;
    let (writer, _) = open(settings, now)?;
    let root = Arc::clone(writer.root());
    let had_heartbeat = had_heartbeat(&root, mission_id)?;
    let path = root.path().join(mission_id.to_string()).display().to_string();
    let manifest = manifest(settings, &root, mission_id, now);
    let blocked = |why: String| InitError::Obstructed { path: path.clone(), why };
    let mut scaffold = Scaffold { mission_id, path: path.clone(), created: false, restored: Vec::new() };
    match look::look(&*root, mission_id, root.resolver()) {
        CellObservation::Absent => {
            writer.create_cell(&manifest, None, now)?;
            scaffold.created = true;
        }
        CellObservation::Cell(cell) => {
            let obstructed = Part::ALL.into_iter().find_map(|part| match cell.part(part) {
                PartObservation::WrongType(kind) => Some((part, *kind)),
                PartObservation::Missing
                | PartObservation::Present
                | PartObservation::Unreadable(_)
                | PartObservation::Failed(_) => None,
            });
            if let Some((part, kind)) = obstructed {
                return Err(blocked(format!("{kind} is in the place of `{}`", part.path())));
            }
            let missing = Part::ALL.into_iter().filter(|part| *cell.part(*part) == PartObservation::Missing);
            // After the first heartbeat, only the agent can recreate the file: an empty one would look like no
            // heartbeat.
            for part in missing.filter(|part| !(had_heartbeat && *part == Part::Heartbeat)) {
                writer.restore_part(&manifest, part)?;
                scaffold.restored.push(part.path());
            }
        }
        CellObservation::NotADirectory(kind) => return Err(blocked(format!("{kind} is in its place"))),
        CellObservation::Failed(_) => return Err(blocked("its path cannot be read".to_owned())),
    }
    Ok(scaffold)
}

/// A job never initializes a root: its file system may be discarded afterwards.
fn check_root(settings: &Settings) -> Result<(), RootError> {
    let root = settings.open_root()?;
    if root.file().is_some() || !settings.is_job {
        return Ok(());
    }
    let (path, flags) = (root.path().display().to_string(), settings.given.beside("--root"));
    Err(RootError::NotInitialised { path, why: "a job does not initialize it", flags })
}

fn had_heartbeat(root: &Root, mission_id: MissionId) -> Result<bool, RootError> {
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
