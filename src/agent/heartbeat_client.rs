//! Delivers heartbeats: to the cell's file, or over HTTP to the daemon.

use crate::agent::heartbeat_file::{HeartbeatFileError, HeartbeatPayload, find_cell, write_heartbeat};
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

/// The maximum size of a token file.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// The cell and the transport, as the command line chooses them.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatTarget<'a> {
    /// The cell, if the command line names one.
    pub cell: Option<&'a Path>,
    /// The daemon's address, or the whole address of the cell's heartbeat.
    pub url: Option<&'a Url>,
    /// The file that holds the cell's token, if it is not in the cell.
    pub token_file: Option<&'a Path>,
    /// The directory from which a cell is searched upwards.
    pub working_directory: &'a Path,
}

/// Why a heartbeat was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatClientError {
    /// The cell was not found, or its file cannot be written.
    #[error(transparent)]
    File(#[from] HeartbeatFileError),
    /// The cell's configuration has no id.
    #[error("`{}` has no `mission_id`; give `--url` the whole address `http://…/missions/UUID/heartbeat`", .0.display())]
    NoId(PathBuf),
    /// The token cannot be read.
    #[error("the token file `{}` cannot be used: {cause}; name another file with `--token-file`", .path.display())]
    Token {
        /// The token file.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// The daemon cannot be reached.
    #[error("the daemon at {origin} {cause}")]
    Http {
        /// The scheme, host and port of the daemon.
        origin: String,
        /// The reason.
        cause: HttpClientError,
    },
    /// The daemon did not accept the heartbeat.
    #[error("the daemon at {origin} answered {status}{}", meaning(*.status))]
    Refused {
        /// The scheme, host and port of the daemon.
        origin: String,
        /// The HTTP status.
        status: u16,
    },
    /// Too few threads are available.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The runtime could not be started.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// A fault of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

impl HeartbeatClientError {
    /// Whether no retry can help before a person acts.
    #[must_use]
    pub fn needs_manual_action(&self) -> bool {
        match self {
            Self::File(error) => error.needs_manual_action(),
            Self::NoId(_) | Self::Token { .. } => true,
            Self::Refused { status, .. } => matches!(status, 300..=499) && !matches!(status, 408 | 409 | 429),
            Self::Http { .. } | Self::Shortage(_) | Self::Start(_) | Self::Internal(_) => false,
        }
    }
}

/// The likely cause of a status that is not 204.
fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => ": a proxy in front of it denies access; check `--url`",
        404 => ": it has no such cell, or the token belongs to another cell; check `--url` and `--token-file`",
        409 => ": it has accepted a later heartbeat, or one of a session after this one",
        413 => ": the heartbeat is too large",
        429 => ": too many heartbeats in a short time",
        300..=399 => ": it redirects, and redirects are not followed; check `--url`",
        _ => "",
    }
}

/// Delivers heartbeats for one cell.
#[derive(Clone, Debug)]
pub struct HeartbeatClient {
    transport: Transport,
    cell: Option<PathBuf>,
    stale_after: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Transport {
    /// The cell's own file.
    File(PathBuf),
    /// The daemon. The token is read again for each heartbeat, since it may be replaced.
    Http { http: HttpClient, token_file: PathBuf },
}

impl HeartbeatClient {
    /// Finds the cell and the transport, and checks that both can be used; sends nothing.
    pub fn find(target: HeartbeatTarget<'_>) -> Result<Self, HeartbeatClientError> {
        let cell = find_cell(target.cell, target.working_directory);
        let config = cell.as_ref().ok().and_then(|cell| config(cell));
        let is_this_cell = target.url.is_none_or(|url| is_address_of(url, config.as_ref()));
        let path = cell.as_ref().ok().filter(|_| is_this_cell).map(|cell| absolute(cell));
        let config = config.filter(|_| is_this_cell);
        let stale_after = config.as_ref().and_then(|config| config.get("stale_after_seconds")?.as_u64());
        let transport = match target.url {
            None => Transport::File(cell?),
            Some(url) => {
                let (url, token_file) = address(target, url, cell, config.as_ref())?;
                bearer(&token_file)?;
                let origin = url.origin().ascii_serialization();
                let http = HttpClient::to(url).map_err(|cause| HeartbeatClientError::Http { origin, cause })?;
                Transport::Http { http, token_file }
            }
        };
        Ok(Self { transport, cell: path, stale_after: stale_after.map(Duration::from_secs) })
    }

    /// The absolute path of the cell, if it is on this host.
    #[must_use]
    pub fn cell(&self) -> Option<&Path> {
        self.cell.as_deref()
    }

    /// The cell's *stale after*, if the cell is on this host.
    #[must_use]
    pub fn stale_after(&self) -> Option<Duration> {
        self.stale_after
    }

    /// Delivers one heartbeat.
    pub async fn deliver(&self, payload: &HeartbeatPayload, now: Timestamp) -> Result<(), HeartbeatClientError> {
        match &self.transport {
            Transport::File(cell) => {
                let (cell, payload) = (cell.clone(), payload.clone());
                let writing = tokio::task::spawn_blocking(move || write_heartbeat(&cell, &payload, now));
                let written = writing.await.map_err(|error| HeartbeatClientError::Internal(error.to_string()))?;
                Ok(written?)
            }
            Transport::Http { http, token_file } => post(http, token_file, payload).await,
        }
    }
}

/// Whether this address belongs to the cell that was found. A whole address names its cell itself, and may be used
/// inside another one.
fn is_address_of(url: &Url, config: Option<&Map<String, Value>>) -> bool {
    let named = url.path().strip_suffix("/heartbeat").and_then(|path| path.rsplit('/').next());
    named.is_none_or(|named| MissionId::parse(named).ok().is_some_and(|named| mission_id(config) == Some(named)))
}

fn mission_id(config: Option<&Map<String, Value>>) -> Option<MissionId> {
    config.and_then(|config| MissionId::parse(config.get("mission_id")?.as_str()?).ok())
}

/// The path without links and dots, so that its last part is the cell's id.
fn absolute(cell: &Path) -> PathBuf {
    cell.canonicalize().or_else(|_| std::path::absolute(cell)).unwrap_or_else(|_| cell.to_owned())
}

async fn post(http: &HttpClient, token_file: &Path, payload: &HeartbeatPayload) -> Result<(), HeartbeatClientError> {
    let message = payload.message.as_deref().map(|message| bounded(message).0);
    let payload = HeartbeatPayload { message, ..payload.clone() };
    let origin = || http.whom();
    match http.post(&bearer(token_file)?, &payload).await {
        Ok(204) => Ok(()),
        Ok(status) => Err(HeartbeatClientError::Refused { origin: origin(), status }),
        Err(cause) => Err(HeartbeatClientError::Http { origin: origin(), cause }),
    }
}

/// The whole address and the token file; what the command line leaves out comes from the cell.
fn address(
    target: HeartbeatTarget<'_>,
    url: &Url,
    cell: Result<PathBuf, HeartbeatFileError>,
    config: Option<&Map<String, Value>>,
) -> Result<(Url, PathBuf), HeartbeatClientError> {
    let is_whole = url.path().ends_with("/heartbeat");
    if let (true, Some(token_file)) = (is_whole, target.token_file) {
        return Ok((url.clone(), token_file.to_owned()));
    }
    let cell = cell?;
    let token_file = target.token_file.map_or_else(|| cell.join(Part::Token.path()), Path::to_owned);
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
