//! Reads the value of each key from its sources, by precedence.

use crate::config::{Environment, Flags, LogFormat, SECRET_BYTES_MAX, SettingsError, SettingsFile, TokenSource};
use crate::mission::identity::{HostName, NotA, RepositoryName};
use crate::world::forge::Token;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The default missions root.
const DEFAULT_ROOT: &str = "/var/missions";
/// The configuration file of a checkout.
const LOCAL_FILE: &str = "config/lazarus_pit.json";
/// The configuration file of a host.
const HOST_FILE: &str = "/etc/lazarus/lazarus_pit.json";

/// The paths of the configuration files to try, if no flag names one.
#[derive(Clone, Copy, Debug)]
pub struct ConfigPaths<'a> {
    /// The file of the host.
    pub host: &'a Path,
    /// The file of the working directory.
    pub local: &'a Path,
}

impl Default for ConfigPaths<'_> {
    fn default() -> Self {
        Self { host: Path::new(HOST_FILE), local: Path::new(LOCAL_FILE) }
    }
}

/// The configuration file to use.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) source: Option<PathBuf>,
    pub(super) file: SettingsFile,
    /// A file that exists and is not read.
    pub(super) unread: Option<PathBuf>,
}

/// The configuration file to use: the one of `--config`; otherwise the host's; otherwise the checkout's own, if no
/// other account could have put it there. So the example in a checkout never hides the configuration of a host.
pub(super) fn used_file(
    flags: &Flags,
    is_job: bool,
    named_root: Option<&Path>,
    paths: ConfigPaths<'_>,
) -> Result<Used, SettingsError> {
    if let Some(path) = &flags.config {
        return Ok(Used { source: Some(path.clone()), file: SettingsFile::read(path)?, unread: None });
    }
    let ConfigPaths { host, local } = paths;
    let root = |file: &SettingsFile| named_root.or(file.missions_root.as_deref()).map(Path::to_owned);
    let is_local =
        |root: Option<PathBuf>| !is_job && is_trustworthy(local, root.as_deref().unwrap_or(Path::new(DEFAULT_ROOT)));
    if host.exists() {
        let file = SettingsFile::read(host)?;
        let unread = is_local(root(&file)).then(|| local.to_owned());
        return Ok(Used { source: Some(host.to_owned()), file, unread });
    }
    if is_local(named_root.map(Path::to_owned)) {
        let file = SettingsFile::read(local)?;
        // The root that the file itself names has to pass the check, too.
        if is_local(root(&file)) {
            return Ok(Used { source: Some(local.to_owned()), file, unread: None });
        }
    }
    Ok(Used::default())
}

fn is_trustworthy(path: &Path, root: &Path) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    let user = rustix::process::geteuid().as_raw();
    let is_inside = match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) => path.starts_with(root),
        (Ok(_), Err(_)) => false,
        (Err(_), _) => true,
    };
    metadata.is_file() && (metadata.uid() == user || metadata.uid() == 0) && !is_inside
}

/// Comments and metadata name the root's path, so it must be absolute.
pub(super) fn absolute(root: Option<PathBuf>) -> PathBuf {
    let root = root.unwrap_or_else(|| PathBuf::from(DEFAULT_ROOT));
    std::path::absolute(&root).unwrap_or(root)
}

/// The value of the flag, otherwise of the variable, of the file, of the job.
pub(super) fn layered<T>(
    texts: &[(&str, Option<&String>)],
    from_file: Option<T>,
    (job_variable, job_value): (&str, Option<&String>),
    parse: impl Fn(&str) -> Result<T, NotA>,
) -> Result<Option<T>, SettingsError> {
    let parse = |origin: &str, text: &String| {
        parse(text).map_err(|cause| SettingsError::Value { origin: format!("`{origin}`"), cause })
    };
    if let Some((origin, text)) = texts.iter().find_map(|(origin, text)| Some((origin, (*text)?))) {
        return parse(origin, text).map(Some);
    }
    match (from_file, job_value) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(text)) => parse(job_variable, text).map(Some),
        (None, None) => Ok(None),
    }
}

pub(super) fn repositories<'a>(
    flags: &Flags,
    variable: &impl Fn(&str) -> Option<&'a String>,
    from_file: Option<Vec<RepositoryName>>,
    of_job: Option<&String>,
) -> Result<Vec<RepositoryName>, SettingsError> {
    let listed = |text: &String| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    let (origin, names) = if !flags.repositories.is_empty() {
        ("`--repo`", flags.repositories.clone())
    } else if let Some(text) = variable("LAZARUS_REPOSITORIES") {
        ("`LAZARUS_REPOSITORIES`", listed(text))
    } else if let Some(names) = from_file {
        ("`repositories`", names.iter().map(ToString::to_string).collect())
    } else {
        ("`GITHUB_REPOSITORY`", of_job.map(listed).unwrap_or_default())
    };
    let mut parsed: Vec<RepositoryName> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        let name = RepositoryName::parse(name);
        let name = name.map_err(|cause| SettingsError::Value { origin: origin.to_owned(), cause })?;
        if !parsed.iter().any(|known| known.is_same(&name)) {
            parsed.push(name);
        }
    }
    Ok(parsed)
}

pub(super) fn token<'a>(
    flags: &Flags,
    variable: &impl Fn(&str) -> Option<&'a String>,
    from_file: Option<PathBuf>,
    of_job: Option<&String>,
) -> Result<TokenSource, SettingsError> {
    let given = |name: &str, text: &str| {
        // The error must not print the token.
        let cause = NotA { text: "…".to_owned(), wanted: "an access token, which has no blanks or line ends" };
        Token::parse(text)
            .map(TokenSource::Given)
            .map_err(|_| SettingsError::Value { origin: format!("`{name}`"), cause })
    };
    match &flags.token_file {
        // Standard input passes a token on without writing it to a file.
        Some(path) if path.as_os_str() == "-" => return given("--token-file -", &read_stdin()?),
        Some(path) => return Ok(TokenSource::File(path.clone())),
        None => {}
    }
    if let Some(text) = variable("LAZARUS_GITEA_TOKEN") {
        return given("LAZARUS_GITEA_TOKEN", text);
    }
    if let Some(path) = variable("LAZARUS_GITEA_TOKEN_FILE") {
        return Ok(TokenSource::File(PathBuf::from(path)));
    }
    match (from_file, of_job) {
        (Some(path), _) => Ok(TokenSource::File(path)),
        (None, Some(text)) => given("GITEA_TOKEN", text),
        (None, None) => Ok(TokenSource::None),
    }
}

fn read_stdin() -> Result<String, SettingsError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text);
    let unusable = |error: std::io::Error| SettingsError::Named {
        key: "forge.token_file",
        path: "-".into(),
        cause: error.to_string(),
    };
    read.map(|_| text).map_err(unusable)
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, SettingsError> {
    text.parse().map_err(|_| SettingsError::Value {
        origin: "`LAZARUS_LISTEN`".to_owned(),
        cause: NotA { text: text.to_owned(), wanted: "an address with a port, such as `127.0.0.1:8787`" },
    })
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, SettingsError> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(SettingsError::Value {
            origin: "`LAZARUS_LOG`".to_owned(),
            cause: NotA { text: text.to_owned(), wanted: "`text` or `json`" },
        }),
    }
}

pub(super) fn own_host_name() -> Result<HostName, SettingsError> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    HostName::parse(&name).map_err(|cause| SettingsError::Value {
        origin: "the name of this host cannot be used, set `host.name`".to_owned(),
        cause,
    })
}

/// The variables that the service reads.
const VARIABLES: [&str; 9] = [
    "LAZARUS_GITEA_TOKEN",
    "LAZARUS_GITEA_TOKEN_FILE",
    "LAZARUS_GITEA_URL",
    "LAZARUS_HEARTBEAT_DIRECTORY",
    "LAZARUS_HOST",
    "LAZARUS_LISTEN",
    "LAZARUS_LOG",
    "LAZARUS_MISSIONS_ROOT",
    "LAZARUS_REPOSITORIES",
];

/// The prefixes of variables that belong to tests, build and workflow.
const OTHERS: [&str; 3] = ["TEST_", "COMMIT", "RUNNER"];

/// A warning for each unknown variable that begins with `LAZARUS_`, with the most similar known name.
pub(super) fn unknown_variables(environment: &Environment) -> Vec<String> {
    let is_prefixed = |name: &str| name.to_ascii_uppercase().starts_with("LAZARUS_");
    let is_other = |name: &str| {
        OTHERS.iter().any(|other| name.strip_prefix("LAZARUS_").is_some_and(|rest| rest.starts_with(other)))
    };
    let is_known = |name: &str| VARIABLES.contains(&name) || is_other(name);
    let unknown = environment.keys().filter(|name| is_prefixed(name) && !is_known(name));
    let warning = |name: &String| {
        let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, &name.to_ascii_uppercase());
        let nearest = VARIABLES.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default();
        format!("the variable `{name}` is unknown, and is not read; did you mean `{nearest}`?")
    };
    unknown.map(warning).collect()
}
