//! Other people's code comes from crates.io only, and each crate once, except for those listed here.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates with two incompatible versions: the name, the versions, and who needs which.
const DUPLICATES: [(&str, [&str; 2], &str); 3] = [
    ("getrandom", ["0.2", "0.4"], "ring needs 0.2; uuid and tempfile need 0.4"),
    ("syn", ["2", "3"], "derive_more and strum need 2; serde, clap, tokio and thiserror need 3"),
    ("synstructure", ["0.13", "0.14"], "a part of rcgen that is never built names 0.13; yoke and zerofrom need 0.14"),
];

/// What cargo resolves for Linux, tests and benchmarks included. What other platforms need is never downloaded.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The packages that do not come from crates.io; this one has no source.
fn foreign(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    let from_elsewhere = packages.filter(|package| package["source"] != CRATES_IO);
    from_elsewhere.map(|package| format!("{} from {}", package["name"].as_str().unwrap(), package["source"])).collect()
}

/// The part of a version within which versions are compatible.
fn compatible(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').collect();
    if parts[0] == "0" { parts[..2].join(".") } else { parts[0].to_owned() }
}

/// The crates with more than one version, each with its versions in ascending order.
fn duplicates(metadata: &Value) -> Vec<(String, Vec<String>)> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let version = compatible(package["version"].as_str().unwrap());
        versions.entry(package["name"].as_str().unwrap()).or_default().insert(version);
    }
    let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    several.map(|(name, versions)| (name.to_owned(), versions.into_iter().collect())).collect()
}

#[test]
fn every_dependency_comes_from_crates_io() {
    assert_eq!(foreign(&metadata()), ["lazarus-reconcile from null"]);
    // The lock files hold every platform's.
    for lock in [include_str!("../../../Cargo.lock"), include_str!("../../sdk_compat/Cargo.lock")] {
        let sources: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
        assert_eq!(sources, BTreeSet::from([format!("\"{CRATES_IO}\"").as_str()]));
    }
}

#[test]
fn a_crate_has_a_second_version_only_for_a_listed_reason() {
    let listed = DUPLICATES.map(|(name, versions, _)| (name.to_owned(), versions.map(str::to_owned).to_vec()));
    assert_eq!(duplicates(&metadata()), listed);
    assert!(DUPLICATES.iter().all(|(name, versions, reason)| reason.contains(versions[0]) && *reason != *name));
}

#[test]
fn a_git_source_and_a_second_version_are_found() {
    let package =
        |name: &str, version: &str, source: &str| json!({ "name": name, "version": version, "source": source });
    let git = "git+https://git.example.com/serde";
    let packages = [
        package("serde", "1.0.1", CRATES_IO),
        package("serde", "1.2.0", git),
        package("ring", "0.16.1", CRATES_IO),
        package("ring", "0.17.0", CRATES_IO),
    ];
    let planted = json!({ "packages": packages });
    assert_eq!(foreign(&planted), [format!("serde from \"{git}\"")]);
    assert_eq!(duplicates(&planted), [("ring".to_owned(), vec!["0.16".to_owned(), "0.17".to_owned()])]);
}
