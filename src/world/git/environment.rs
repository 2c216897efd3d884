//! What git gets to see: nothing of our own environment, and no settings but these.

use crate::world::git::error::CheckoutError;
use crate::world::git::guard;
use crate::world::git::source::CheckoutSource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::process::Command;

/// As settings of the command line they go before whatever a repository's own file says.
const ALWAYS: [(&str, &str); 21] = [
    // Nothing but git itself is ever run.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("protocol.allow", "never"),
    // A link comes out as a plain file, so that no path in a checkout leads out of it.
    ("core.symlinks", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    // What happens before the hand-over is no history of whoever works there.
    ("core.logAllRefUpdates", "false"),
    // Memory that stays below its limit however large a blob or a pack is: larger blobs are streamed.
    ("core.bigFileThreshold", "32m"),
    ("core.packedGitWindowSize", "32m"),
    ("core.packedGitLimit", "256m"),
    ("core.deltaBaseCacheLimit", "32m"),
    ("pack.threads", "1"),
    ("index.threads", "1"),
    ("checkout.workers", "1"),
];

const FETCH: [(&str, &str); 13] = [
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    ("http.emptyAuth", "false"),
    ("http.sslVerify", "true"),
    // Less than 1,000 bytes a second for a minute is no answer: a forge that packs for so long sends a few bytes now and
    // then meanwhile, and whoever sends a byte a second would hold a checkout to its last second.
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("transfer.bundleURI", "false"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    // One pack, whatever its number of objects: one file is what the limit on a file's size can hold.
    ("fetch.unpackLimit", "1"),
    ("fetch.showForcedUpdates", "false"),
];

/// Flaws that old tools left in the histories of ordinary repositories, and that harm no checkout. What concerns paths,
/// submodules and the order of a tree is not among them.
const FORGIVEN: [&str; 14] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badFilemode",
    "badName",
    "badTagName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];

/// What a step of git may do.
#[derive(Debug)]
pub(super) struct Leave {
    /// The one protocol that it may speak; empty for none.
    protocol: String,
    /// By key and value.
    settings: Vec<(String, String)>,
}

/// The leave of every step that needs no forge.
pub(super) fn to_work_here() -> Leave {
    Leave { protocol: String::new(), settings: owned(&ALWAYS).collect() }
}

/// The leave of the one step that speaks with the forge, and that alone gets the token.
pub(super) fn to_fetch(source: &CheckoutSource) -> Result<Leave, CheckoutError> {
    let mut settings: Vec<_> = owned(&ALWAYS).chain(owned(&FETCH)).collect();
    settings.extend(FORGIVEN.iter().map(|flaw| (format!("fetch.fsck.{flaw}"), "ignore".to_owned())));
    settings.push((format!("protocol.{}.allow", source.url().scheme()), "always".to_owned()));
    if let Some(credentials) = credentials(source) {
        let origin = source.url().origin().ascii_serialization();
        settings.push((format!("http.{origin}/.extraHeader"), format!("Authorization: Basic {credentials}")));
    }
    if let Some(file) = source.ca_file() {
        // git runs elsewhere than we do.
        let file = std::path::absolute(file).map_err(|error| CheckoutError::failed("find the CA file", &error))?;
        settings.push(("http.sslCAInfo".to_owned(), file.display().to_string()));
    }
    Ok(Leave { protocol: source.url().scheme().to_owned(), settings })
}

fn owned(settings: &'static [(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
}

/// The token as git sends it: the password of a user whose name the forge does not look at.
fn credentials(source: &CheckoutSource) -> Option<String> {
    source.token().map(|token| STANDARD.encode(format!("lazarus-reconcile:{}", token.plain())))
}

/// The token in every form in which it is sent, to look for where it must not be.
pub(super) fn secrets(source: &CheckoutSource) -> Vec<String> {
    source.token().map(|token| token.plain().to_owned()).into_iter().chain(credentials(source)).collect()
}

/// git under guard, to be run in a directory with this leave. The configuration is not in its arguments, which every user
/// can read.
pub(super) fn command(git: &Path, directory: &Path, leave: &Leave) -> Result<Command, CheckoutError> {
    let mut command = guard::command(git)?;
    command.env_clear().current_dir(directory);
    let own_directory = git.parent().unwrap_or(Path::new("/"));
    command
        .env("PATH", own_directory)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", &leave.protocol)
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        // The repository is the one here, and none that a directory above might be.
        .env("GIT_DIR", ".git");
    command.env("GIT_CONFIG_COUNT", leave.settings.len().to_string());
    for (at, (key, value)) in leave.settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    Ok(command)
}
