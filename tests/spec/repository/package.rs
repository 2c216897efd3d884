//! What the packages hold is what the repository has, and their scripts agree with the files for systemd.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIST: &str = include_str!("../../../config/package.txt");
const SCRIPT: &str = include_str!("../../../.ci/package");
const CHECK: &str = include_str!("../../../.ci/package-check");
const CONTROL: &str = include_str!("../../../config/debian/control");
const POSTINST: &str = include_str!("../../../config/debian/postinst");
const PRERM: &str = include_str!("../../../config/debian/prerm");
const POSTRM: &str = include_str!("../../../config/debian/postrm");
const USERS: &str = include_str!("../../../config/sysusers.d/lazarus.conf");
const DIRECTORIES: &str = include_str!("../../../config/tmpfiles.d/lazarus.conf");
const CONTAINER: &str = include_str!("../../../Containerfile");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Source, destination and mode of each line.
fn listed() -> Vec<[&'static str; 3]> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let words = |line: &'static str| line.split_whitespace().collect::<Vec<_>>().try_into();
    lines.map(|line| words(line).unwrap_or_else(|words| panic!("three words, not {words:?}"))).collect()
}

/// The lines of a configuration file of systemd, word by word.
fn entries(file: &str) -> Vec<Vec<&str>> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

/// A script's commands that begin so.
fn commands<'a>(script: &'a str, program: &str) -> Vec<&'a str> {
    script.lines().map(str::trim).filter(|line| line.split(' ').next() == Some(program)).collect()
}

#[test]
fn every_packaged_file_exists_or_is_built_and_has_a_unique_path() {
    let mut taken = BTreeSet::new();
    for [source, destination, mode] in listed() {
        match source.strip_prefix("built/") {
            Some(built) => {
                let stem = built.split('.').next().unwrap();
                assert!(SCRIPT.contains(stem), "{source} is made by nothing");
            }
            None => assert!(repository(source).is_file(), "{source}"),
        }
        assert!(taken.insert(destination), "{destination} is taken twice");
        assert!(!destination.starts_with('/') && !destination.contains(".."), "{destination}");
        let is_program = match source.strip_prefix("built/") {
            Some(_) => destination.starts_with("bin/"),
            None => repository(source).metadata().unwrap().permissions().mode() & 0o100 != 0,
        };
        assert_eq!(mode, if is_program { "755" } else { "644" }, "{destination}");
    }
}

#[test]
fn every_file_for_hosts_is_packaged() {
    let sources: BTreeSet<&str> = listed().into_iter().map(|[source, ..]| source).collect();
    for directory in
        ["config/systemd", "config/sysusers.d", "config/tmpfiles.d", ".gitea/ISSUE_TEMPLATE", "config/wizard", "docs"]
    {
        let entries = std::fs::read_dir(repository(directory)).unwrap().map(|entry| entry.unwrap());
        for entry in entries.filter(|entry| entry.path().is_file()) {
            let path = format!("{directory}/{}", entry.file_name().into_string().unwrap());
            assert!(sources.contains(path.as_str()), "{path}");
        }
    }
}

#[test]
fn without_systemd_the_same_users_and_directories_are_created() {
    for words in entries(USERS) {
        match words[..] {
            ["g", group, ..] => assert!(POSTINST.contains(&format!("groupadd --system {group}\n")), "{group}"),
            ["u", user, "-", ..] => {
                let joined = POSTINST.replace("\\\n", "").replace("||", "\n");
                let [useradd] = commands(&joined, "useradd")[..] else { panic!("one user") };
                let about = words[3..].join(" ");
                assert!(useradd.ends_with(user) && useradd.contains(&format!("--comment {about}")), "{useradd}");
            }
            ["m", user, group] => {
                assert_eq!(commands(POSTINST, "usermod"), [format!("usermod --append --groups {group} {user}")]);
            }
            ref other => panic!("a kind of its own: {other:?}"),
        }
    }
    let made = entries(DIRECTORIES).into_iter().map(|words| match words[..] {
        ["d", path, mode, user, group, "-"] => format!("install -d -m {mode} -o {user} -g {group} {path}"),
        ref other => panic!("a kind of its own: {other:?}"),
    });
    assert_eq!(commands(POSTINST, "install"), made.collect::<Vec<_>>());
}

#[test]
fn package_scripts_start_nothing_enable_nothing_and_keep_the_missions() {
    for (script, name) in [(POSTINST, "postinst"), (PRERM, "prerm"), (POSTRM, "postrm")] {
        for command in commands(script, "systemctl") {
            let verb = command.split(' ').nth(1).unwrap();
            assert!(matches!(verb, "daemon-reload" | "try-restart" | "stop"), "{command}");
        }
        assert!(script.matches("[ -d /run/systemd/system ]").count() == 1, "{name} asks whether systemd runs");
        let read = Command::new("sh").arg("-n").arg(repository("config/debian").join(name)).output().unwrap();
        assert!(read.status.success(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
    }
    let [stop] = commands(PRERM, "systemctl")[..] else { panic!("one stop") };
    let units = listed().into_iter().filter_map(|[_, destination, _]| destination.strip_prefix("lib/systemd/system/"));
    units.for_each(|unit| assert!(stop.split(' ').any(|word| word == unit), "{unit} is stopped"));
    assert!(!PRERM.contains("missions") && !POSTRM.contains("/var"), "what a mission has made stays");
}

#[test]
fn the_package_requires_the_minimum_git_and_the_image_keeps_its_ids() {
    let floor = lazarus::world::git::FLOOR;
    assert!(CONTROL.contains(&format!("git (>= 1:{floor})")), "{floor}");
    for user in ["USER lazarus", "VOLUME /var/missions", "groupadd --gid 10001 lazarus ", "--uid 10001 --gid lazarus "]
    {
        assert!(CONTAINER.contains(user), "{user}");
    }
    let settings = concat!(include_str!("../../../src/config/mod.rs"), include_str!("../../../src/config/layers.rs"));
    let variables = CONTAINER.split("LAZARUS_").skip(1).map(|rest| rest.split('=').next().unwrap());
    variables.for_each(|name| assert!(settings.contains(&format!("\"LAZARUS_{name}\"")), "LAZARUS_{name}"));
}

#[test]
fn the_package_is_tested_only_in_a_clean_debian() {
    for script in ["package", "package-check"] {
        let read = Command::new("bash").arg("-n").arg(repository(".ci").join(script)).output().unwrap();
        assert!(read.status.success(), "{script}: {}", String::from_utf8_lossy(&read.stderr));
    }
    let refused = CHECK.find("[ ! -e /run/systemd/system ]").unwrap();
    assert!(refused < CHECK.find("dpkg -i").unwrap(), "before anything is done");
}
