//! The environment and configuration that git gets: nothing is inherited.

use crate::world::git::error::CheckoutError;
use crate::world::git::guard;
use crate::world::git::source::CheckoutSource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::process::Command;

/// Configuration of the command line takes precedence over a repository's own file.
const ALWAYS: [(&str, &str); 21] = [
    // Nothing but git itself is run.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("protocol.allow", "never"),
    // Links are checked out as plain files, so that no path leads out of the checkout.
    ("core.symlinks", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    // The steps before the hand-over are no history for its users.
    ("core.logAllRefUpdates", "false"),
    // Memory stays below its limit however large a blob or a pack is: larger blobs are streamed.
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
    // Less than 1,000 bytes a second for a minute counts as no answer: a server that packs for long sends a few bytes
    // now and then, and one that sends a byte a second would hold a checkout to its deadline.
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("transfer.bundleURI", "false"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    // One pack, whatever its number of objects: the limit of file size applies to one file.
    ("fetch.unpackLimit", "1"),
    ("fetch.showForcedUpdates", "false"),
];

/// Flaws that old tools left in common repositories, and that harm no checkout. Checks of paths, submodules and the
/// order of a tree stay on.
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

/// The permissions of a git command.
#[derive(Debug)]
pub(super) struct GitPermissions {
    /// The only allowed protocol; empty for none.
    protocol: String,
    /// Configuration by key and value.
    configuration: Vec<(String, String)>,
}

/// The permissions of every step that needs no network.
pub(super) fn local() -> GitPermissions {
    GitPermissions { protocol: String::new(), configuration: owned(&ALWAYS).collect() }
}

/// The permissions of the fetch, the only step that uses the network and gets the token.
pub(super) fn for_fetch(source: &CheckoutSource) -> Result<GitPermissions, CheckoutError> {
    let mut configuration: Vec<_> = owned(&ALWAYS).chain(owned(&FETCH)).collect();
    configuration.extend(FORGIVEN.iter().map(|flaw| (format!("fetch.fsck.{flaw}"), "ignore".to_owned())));
    configuration.push((format!("protocol.{}.allow", source.url().scheme()), "always".to_owned()));
    if let Some(credentials) = credentials(source) {
        let origin = source.url().origin().ascii_serialization();
        configuration.push((format!("http.{origin}/.extraHeader"), format!("Authorization: Basic {credentials}")));
    }
    if let Some(file) = source.ca_file() {
        // git runs in another directory.
        let file = std::path::absolute(file).map_err(|error| CheckoutError::failed("find the CA file", &error))?;
        configuration.push(("http.sslCAInfo".to_owned(), file.display().to_string()));
    }
    Ok(GitPermissions { protocol: source.url().scheme().to_owned(), configuration })
}

fn owned(configuration: &'static [(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    configuration.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
}

/// The token as git sends it: the password of a user whose name Gitea ignores.
fn credentials(source: &CheckoutSource) -> Option<String> {
    source.token().map(|token| STANDARD.encode(format!("lazarus-reconcile:{}", token.plain())))
}

/// The token in every form in which it is sent, to search for leaks.
pub(super) fn secrets(source: &CheckoutSource) -> Vec<String> {
    source.token().map(|token| token.plain().to_owned()).into_iter().chain(credentials(source)).collect()
}

/// Builds a guarded git command in a directory with these permissions. The configuration is not in its arguments, which
/// every user can read.
pub(super) fn command(git: &Path, directory: &Path, permissions: &GitPermissions) -> Result<Command, CheckoutError> {
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
        .env("GIT_ALLOW_PROTOCOL", &permissions.protocol)
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        // Uses the repository in this directory, never one of a parent directory.
        .env("GIT_DIR", ".git");
    command.env("GIT_CONFIG_COUNT", permissions.configuration.len().to_string());
    for (at, (key, value)) in permissions.configuration.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    Ok(command)
}
