//! Man pages, completions and the version: they follow from the command lines, and shells take them.

use crate::support::host::{Host, Run, run};
use clap::{Command, CommandFactory};
use lazarus::cli::arguments::{Pit, Reconcile};
use std::collections::BTreeSet;
use std::path::Path;

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

fn programs() -> [Command; 2] {
    [Reconcile::command(), Pit::command()]
}

async fn reconcile(host: &Host, arguments: &[&str]) -> Run {
    run(host.command("lazarus-reconcile").args(arguments)).await
}

/// What a shell says of a script that it only reads; nothing, and a word of it, where that shell is not installed.
fn read_by(shell: &str, script: &Path) -> Option<String> {
    match std::process::Command::new(shell).arg("-n").arg(script).output() {
        Ok(output) => Some(format!("{}{}", output.status, String::from_utf8_lossy(&output.stderr))),
        Err(error) => {
            eprintln!("skipped: every_shell_completes_every_command_and_flag (`{shell}`: {error})");
            None
        }
    }
}

#[tokio::test]
async fn every_shell_completes_every_command_and_flag() {
    let host = Host::new();
    for (program, shell) in programs().iter().flat_map(|program| SHELLS.map(|shell| (program, shell))) {
        let name = program.get_name();
        let made = reconcile(&host, &["completions", shell, "--program", name]).await;
        assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{shell} {name}");
        for command in program.get_subcommands().chain([program]) {
            assert!(made.stdout.contains(command.get_name()), "{shell} {name} {}", command.get_name());
            for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(made.stdout.contains(flag), "{shell} {name} {} --{flag}", command.get_name());
            }
        }
        let script = host.path().join(shell);
        std::fs::write(&script, &made.stdout).unwrap();
        if let Some(reported) = read_by(shell, &script) {
            assert_eq!(reported, "exit status: 0", "{shell} {name}");
        }
    }
    let default = reconcile(&host, &["completions", "bash"]).await;
    let named = reconcile(&host, &["completions", "bash", "--program", "lazarus-reconcile"]).await;
    assert_eq!(default.stdout, named.stdout);
    let unknown = reconcile(&host, &["completions", "tcsh"]).await;
    assert!(unknown.code == 2 && unknown.stderr.contains("[possible values: bash, zsh, fish]"), "{unknown:?}");
}

#[tokio::test]
async fn bash_offers_the_commands_as_they_are_typed() {
    let host = Host::new();
    let made = reconcile(&host, &["completions", "bash"]).await;
    let script = host.path().join("script");
    std::fs::write(&script, made.stdout).unwrap();
    let ask = "source \"$1\"; COMP_WORDS=(lazarus-reconcile s) COMP_CWORD=1; \
               _lazarus__reconcile lazarus-reconcile s lazarus-reconcile; echo \"${COMPREPLY[@]}\"";
    let offered = std::process::Command::new("bash").args(["-c", ask, "bash"]).arg(&script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&offered.stdout), "scan status\n", "{offered:?}");
}

#[tokio::test]
async fn every_command_has_a_man_page_that_lists_its_flags() {
    let host = Host::new();
    let directory = host.path().join("share/man1");
    let written = reconcile(&host, &["man", &directory.display().to_string()]).await;
    assert_eq!((written.code, written.stdout.as_str(), written.stderr.as_str()), (0, "", ""));
    let mut wanted = BTreeSet::new();
    for program in programs() {
        for command in program.get_subcommands().chain([&program]) {
            let is_program = command.get_name() == program.get_name();
            let name = if is_program { String::new() } else { format!("-{}", command.get_name()) };
            let name = format!("{}{name}.1", program.get_name());
            let page = std::fs::read_to_string(directory.join(&name)).unwrap();
            let title = format!(".TH {} 1 ", name.trim_end_matches(".1"));
            assert!(page.contains(&title) && page.contains("\n.SH VERSION\n") == is_program, "{name}: {page}");
            for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
                assert!(page.contains(&format!("\\-\\-{}", flag.replace('-', "\\-"))), "{name} --{flag}");
            }
            wanted.insert(name);
        }
    }
    let entries = std::fs::read_dir(&directory).unwrap();
    let found: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, wanted);
    let printed = reconcile(&host, &["man"]).await;
    assert_eq!(printed.stdout, std::fs::read_to_string(directory.join("lazarus-reconcile.1")).unwrap());
    let nowhere = reconcile(&host, &["man", "/proc/none"]).await;
    assert!(nowhere.code == 1 && nowhere.stderr.contains("cannot write man pages into `/proc/none`: "), "{nowhere:?}");
}

#[tokio::test]
async fn the_version_names_the_commit_and_the_target() {
    let host = Host::new();
    for program in ["lazarus-reconcile", "lazarus-pit"] {
        let reported = run(host.command(program).arg("--version")).await;
        let start = format!("{program} {} (commit ", env!("CARGO_PKG_VERSION"));
        let rest = reported.stdout.strip_prefix(&start).unwrap_or_else(|| panic!("{reported:?}"));
        let (commit, target) = rest.strip_suffix(")\n").unwrap().split_once(", ").unwrap();
        let is_hash = commit.len() >= 7 && commit.trim_end_matches("-dirty").chars().all(|c| c.is_ascii_hexdigit());
        assert!(commit == "unknown" || is_hash, "{commit}");
        assert!(target.starts_with(std::env::consts::ARCH) && target.contains("linux"), "{target}");
    }
}
