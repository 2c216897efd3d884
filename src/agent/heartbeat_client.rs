//! How a heartbeat reaches its cell: by the cell's file, or over HTTP by the daemon.

use crate::agent::heartbeat_file::{BeatError, HeartbeatPayload, beat, find_cell};
use crate::mission::cell::Part;
use crate::mission::cell::heartbeat_fields::bounded;
use crate::mission::cell::json_file::{FILE_BYTES_MAX, parse_object};
use crate::mission::identity::MissionId;
use crate::mission::time::Timestamp;
use crate::world::cells::safe_open::{self, FileRead, Resolver};
use crate::world::http_client::{Bearer, HttpClient, HttpClientError};
use crate::world::limits::Shortage;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The largest token file.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// What a command line says of the way.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatTarget<'a> {
    /// The cell, if one was named.
    pub cell: Option<&'a Path>,
    /// The daemon, or the whole address of the cell's heartbeat there.
    pub url: Option<&'a Url>,
    /// The file with the cell's token.
    pub token_file: Option<&'a Path>,
    /// Where to look upwards from for a cell.
    pub here: &'a Path,
}

/// Why a heartbeat was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatClientError {
    /// The cell, or its file.
    #[error(transparent)]
    Beat(#[from] BeatError),
    /// The cell does not say which one it is.
    #[error("`{}` names no `mission_id`; give `--url` the whole address `http://…/missions/UUID/heartbeat`", .0.display())]
    NoId(PathBuf),
    /// The token cannot be had.
    #[error("the token file `{}` cannot be used: {cause}; name another one by `--token-file`", .path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The daemon was not reached.
    #[error("the daemon at {whom} {cause}")]
    Courier {
        /// Where.
        whom: String,
        /// Why not.
        cause: HttpClientError,
    },
    /// The daemon did not take it.
    #[error("the daemon at {whom} answered {status}{}", meaning(*.status))]
    Refused {
        /// Where.
        whom: String,
        /// What it answered.
        status: u16,
    },
    /// Threads.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// We broke down.
    #[error("a defect of this program: {0}")]
    Defect(String),
}

impl HeartbeatClientError {
    /// Whether trying again is of no use before somebody does something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Beat(error) => error.needs_a_person(),
            Self::NoId(_) | Self::Token { .. } => true,
            Self::Refused { status, .. } => matches!(status, 300..=499) && !matches!(status, 408 | 409 | 429),
            Self::Courier { .. } | Self::Shortage(_) | Self::Start(_) | Self::Defect(_) => false,
        }
    }
}

/// What an answer of the daemon means.
fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => ": something in front of it does not let us in; see `--url`",
        404 => ": it has no such cell, or the token is not that cell's; see `--url` and `--token-file`",
        409 => ": it has accepted a later heartbeat, or one of a session after this one",
        413 => ": the heartbeat is larger than it takes",
        429 => ": that were too many at once",
        300..=399 => ": it sends us elsewhere, which is not followed; see `--url`",
        _ => "",
    }
}

/// Delivers heartbeats for one cell.
#[derive(Clone, Debug)]
pub struct HeartbeatClient {
    way: Transport,
    cell: Option<PathBuf>,
    stale_after: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Transport {
    /// The cell's own file.
    File(PathBuf),
    /// The daemon. The token is read for each heartbeat, since it may be replaced.
    Http { courier: HttpClient, token_file: PathBuf },
}

impl HeartbeatClient {
    /// Finds the way, and that it can be taken; sends nothing.
    pub fn find(wanted: HeartbeatTarget<'_>) -> Result<Self, HeartbeatClientError> {
        let cell = find_cell(wanted.cell, wanted.here);
        let config = cell.as_ref().ok().and_then(|cell| config(cell));
        let is_its_own = wanted.url.is_none_or(|url| is_address_of(url, config.as_ref()));
        let place = cell.as_ref().ok().filter(|_| is_its_own).map(|cell| absolute(cell));
        let config = config.filter(|_| is_its_own);
        let limit = config.as_ref().and_then(|config| config.get("stale_after_seconds")?.as_u64());
        let way = match wanted.url {
            None => Transport::File(cell?),
            Some(url) => {
                let (url, token_file) = address(wanted, url, cell, config.as_ref())?;
                bearer(&token_file)?;
                let whom = url.origin().ascii_serialization();
                let courier = HttpClient::to(url).map_err(|cause| HeartbeatClientError::Courier { whom, cause })?;
                Transport::Http { courier, token_file }
            }
        };
        Ok(Self { way, cell: place, stale_after: limit.map(Duration::from_secs) })
    }

    /// The absolute path of the cell that is told of, where it is at hand.
    #[must_use]
    pub fn cell(&self) -> Option<&Path> {
        self.cell.as_deref()
    }

    /// The limit of the cell, where the cell is at hand.
    #[must_use]
    pub fn stale_after(&self) -> Option<Duration> {
        self.stale_after
    }

    /// Delivers one heartbeat.
    pub async fn deliver(&self, word: &HeartbeatPayload, now: Timestamp) -> Result<(), HeartbeatClientError> {
        match &self.way {
            Transport::File(cell) => {
                let (cell, word) = (cell.clone(), word.clone());
                let beating = tokio::task::spawn_blocking(move || beat(&cell, &word, now));
                let beaten = beating.await.map_err(|error| HeartbeatClientError::Defect(error.to_string()))?;
                Ok(beaten?)
            }
            Transport::Http { courier, token_file } => post(courier, token_file, word).await,
        }
    }
}

/// Whether heartbeats that go to this address are those of the cell at hand. A whole address names its cell itself, and
/// may be used in another one.
fn is_address_of(url: &Url, config: Option<&Map<String, Value>>) -> bool {
    let named = url.path().strip_suffix("/heartbeat").and_then(|path| path.rsplit('/').next());
    named.is_none_or(|named| MissionId::parse(named).ok().is_some_and(|named| mission_id(config) == Some(named)))
}

fn mission_id(config: Option<&Map<String, Value>>) -> Option<MissionId> {
    config.and_then(|config| MissionId::parse(config.get("mission_id")?.as_str()?).ok())
}

/// Without links and dots, so that its last part is the cell's id.
fn absolute(cell: &Path) -> PathBuf {
    cell.canonicalize().or_else(|_| std::path::absolute(cell)).unwrap_or_else(|_| cell.to_owned())
}

async fn post(courier: &HttpClient, token_file: &Path, word: &HeartbeatPayload) -> Result<(), HeartbeatClientError> {
    let word = HeartbeatPayload { message: word.message.as_deref().map(|message| bounded(message).0), ..word.clone() };
    let whom = || courier.whom();
    match courier.post(&bearer(token_file)?, &word).await {
        Ok(204) => Ok(()),
        Ok(status) => Err(HeartbeatClientError::Refused { whom: whom(), status }),
        Err(cause) => Err(HeartbeatClientError::Courier { whom: whom(), cause }),
    }
}

/// The whole address and the token's file; what was not said comes from the cell.
fn address(
    wanted: HeartbeatTarget<'_>,
    url: &Url,
    cell: Result<PathBuf, BeatError>,
    config: Option<&Map<String, Value>>,
) -> Result<(Url, PathBuf), HeartbeatClientError> {
    let is_whole = url.path().ends_with("/heartbeat");
    if let (true, Some(token_file)) = (is_whole, wanted.token_file) {
        return Ok((url.clone(), token_file.to_owned()));
    }
    let cell = cell?;
    let token_file = wanted.token_file.map_or_else(|| cell.join(Part::Token.path()), Path::to_owned);
    if is_whole {
        return Ok((url.clone(), token_file));
    }
    let id = mission_id(config).ok_or_else(|| HeartbeatClientError::NoId(cell.join(Part::Cell.path())))?;
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["missions", &id.to_string(), "heartbeat"]);
    }
    Ok((url, token_file))
}

fn config(cell: &Path) -> Option<Map<String, Value>> {
    let directory = File::open(cell).ok()?;
    match safe_open::read(directory, Part::Cell.path(), FILE_BYTES_MAX, Resolver::Kernel) {
        Ok(FileRead::Whole(bytes, _)) => parse_object(&bytes).ok(),
        Ok(FileRead::TooLarge | FileRead::WrongType(_)) | Err(_) => None,
    }
}

fn bearer(path: &Path) -> Result<Bearer, HeartbeatClientError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
    let unusable = |cause: String| HeartbeatClientError::Token { path: path.to_owned(), cause };
    read.map_err(|error| unusable(error.to_string()))?;
    Bearer::parse(&text).ok_or_else(|| unusable("it holds no token".to_owned()))
}
