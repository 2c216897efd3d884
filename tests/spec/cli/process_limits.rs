//! A process limit that is too low leads to one message and an exit code, never to an abort or a hang.

use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use std::path::Path;
use std::process::Command;

/// Every command of ours, set up so that it works where nothing is limited.
fn commands(host: &Host) -> Vec<(&'static str, Command)> {
    let of = |program: &str, arguments: &[&str]| {
        let mut command = host.command(program);
        command.env("LAZARUS_GITEA_URL", "http://127.0.0.1:1").env("LAZARUS_REPOSITORIES", "owner/missions");
        command.env("LAZARUS_GITEA_TOKEN", "0123abcd").env("LAZARUS_LISTEN", "127.0.0.1:0").args(arguments);
        command
    };
    let cell = host.cells().first().unwrap().to_string_lossy().into_owned();
    vec![
        ("--once", of("lazarus-reconcile", &["--once"])),
        ("daemon", of("lazarus-reconcile", &[])),
        ("status", of("lazarus-reconcile", &["status"])),
        ("status of one", of("lazarus-reconcile", &["status", "owner/missions#1"])),
        ("doctor", of("lazarus-reconcile", &["doctor"])),
        ("init", of("lazarus-reconcile", &["init"])),
        ("demo", of("lazarus-reconcile", &["demo"])),
        ("scan", of("lazarus-reconcile", &["scan"])),
        ("pit", of("lazarus-pit", &[])),
        ("pit beat", of("lazarus-pit", &["beat", "--cell", &cell])),
        ("pit run", of("lazarus-pit", &["run", "--cell", &cell, "--", "true"])),
    ]
}

const MAKE_CELL: [&str; 2] = ["--init-cell", "5a0a6a4e-6b7c-4f2f-9d0e-6f1f1f5d7c11"];

/// The same command by a copy of its program that every account can run.
fn moved(host: &Host, command: &Command) -> Command {
    let program = host.path().join(Path::new(command.get_program()).file_name().unwrap());
    std::fs::copy(command.get_program(), &program).unwrap();
    let mut moved = Command::new(program);
    moved.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    moved.args(command.get_args()).current_dir(host.path());
    moved
}

/// A shell that has this limit and becomes the command. What never ends is killed, and so fails.
fn limited(command: &Command, limit: &str) -> Command {
    let mut shell = Command::new("/bin/bash");
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let script = format!("exec timeout --signal=KILL 30 bash -c 'ulimit {limit}; exec \"$@\"' bash \"$@\"");
    shell.args(["-c", &script, "bash"]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[tokio::test]
async fn a_process_limit_that_is_too_low_is_one_error_that_names_it() {
    let host = Host::new();
    assert_eq!(run(host.command("lazarus-pit").args(MAKE_CELL)).await.code, 0);
    for (flag, values) in [
        ("-s", &["64", "128", "256"][..]),
        ("-n", &["4", "8", "16"]),
        ("-f", &["0"]),
        ("-v", &["131072", "262144"]),
        ("-d", &["16384", "65536"]),
    ] {
        for value in values {
            for (name, command) in commands(&host) {
                let ended = run(&mut limited(&command, &format!("{flag} {value}"))).await;
                let is_one = ended.stderr.lines().count() == 1 && ended.stderr.contains(&format!("`ulimit {flag}`"));
                let what = format!("{name}, {flag} {value}: {ended:?}");
                assert!(ended.code == 1 && is_one && ended.stdout.is_empty(), "{what}");
            }
        }
    }
}

/// Root may have as many threads as it likes, and so it is not root who runs these.
#[tokio::test]
async fn without_threads_commands_work_or_report_the_limit() {
    let host = Host::new();
    let made = run(&mut host.unprivileged(host.command("lazarus-pit").args(MAKE_CELL))).await;
    assert_eq!(made.code, 0, "{made:?}");
    for (name, command) in commands(&host) {
        let command = moved(&host, &command);
        for most in [1, 2, 3, 8] {
            let ended = run(&mut host.unprivileged(&limited(&command, &format!("-u {most}")))).await;
            let posted = ended.stderr.lines().count() == 1 && ended.stderr.contains("`ulimit -u`");
            let works = ended.code == 0 && ended.stderr.is_empty();
            let is_right = match name {
                "status" | "init" | "scan" | "pit" => works,
                // Two threads are enough for these, and there may be so many.
                "pit beat" | "pit run" if most > 2 => works || (ended.code == 1 && posted),
                _ => ended.code == 1 && posted,
            };
            assert!(is_right, "{name}, {most}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_file_that_grows_too_large_is_an_error_and_no_crash() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    let passed = run(&mut limited(host.reconciler(&repository).args(["--once", "--json"]), "-f 1")).await;
    assert!(passed.code == 1 && passed.stderr.contains("File too large"), "{passed:?}");
    let _ = run(&mut limited(host.reconciler(&repository).arg("--once"), "-f 8")).await;
    host.once(&repository).await;
    assert!(repository.labels(number).await.iter().any(|label| label.starts_with("mission/")));
}
