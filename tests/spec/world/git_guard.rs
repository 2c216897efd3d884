//! Whatever ends the program, git and all that git started end with it.

use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::service::{command, start};
use crate::support::soon;
use crate::support::worktree::lodgers;
use lazarus::sandbox::Fault;
use lazarus::world::git::guard;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Far longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// Each that ends a program which does not expect it, and the two that ask the daemon to stop.
const SIGNALS: [Signal; 7] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::ABORT, Signal::KILL, Signal::TERM, Signal::USR1];

/// A forge that never answers git, and a proposal that names a repository of it.
async fn slow_checkout() -> (Repository, Host) {
    let (forge, host) = (Forge::sandbox().await, Host::new());
    let repository = forge.repository().await;
    forge.engine().break_next(usize::MAX, "GET", "/info/refs", Fault::Delay(FOR_EVER));
    repository.file("reader", "Mission: slow", &[("repository", &repository.name)]).await;
    (repository, host)
}

/// Who works below the host's directory; whoever looks for it lets the forge answer meanwhile.
pub(crate) async fn at_work(host: &Host) -> Vec<(i32, String)> {
    let directory = host.path().to_owned();
    tokio::task::spawn_blocking(move || lodgers(&directory)).await.unwrap()
}

/// Until a process of this name works there.
pub(crate) async fn begun(host: &Host, name: &str) {
    soon(name, async || at_work(host).await.iter().any(|(_, command)| name.starts_with(command))).await;
}

/// Until no process works there.
pub(crate) async fn nobody_is_left(host: &Host, after: &str) {
    soon(after, async || at_work(host).await.iter().all(|(_, command)| command.starts_with("lazarus-rec"))).await;
}

#[tokio::test]
async fn no_signal_leaves_git_behind() {
    for signal in SIGNALS {
        // Before git is there, and when all of it is.
        for moment in [guard::NAME, "git-remote-http"] {
            let (repository, host) = slow_checkout().await;
            let service = start(command(&host, Some(&repository), json!({}))).await;
            begun(&host, moment).await;
            service.end(signal).await;
            nobody_is_left(&host, &format!("{signal:?} while there is {moment}")).await;
        }
    }
}

#[tokio::test]
async fn a_single_pass_that_is_killed_leaves_no_git_behind() {
    for signal in [Signal::INT, Signal::KILL] {
        let (repository, host) = slow_checkout().await;
        let mut once = host.reconciler(&repository);
        let mut once = once.arg("--once").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        begun(&host, "git-remote-http").await;
        kill_process(Pid::from_child(&once), signal).unwrap();
        once.wait().unwrap();
        nobody_is_left(&host, "a single pass").await;
    }
}

#[tokio::test]
async fn git_ends_too_when_its_guard_is_killed() {
    let (repository, host) = slow_checkout().await;
    let service = start(command(&host, Some(&repository), json!({}))).await;
    begun(&host, "git-remote-http").await;
    let at_first = at_work(&host).await;
    let guards = at_first.iter().filter(|(_, command)| guard::NAME.starts_with(command));
    for (pid, _) in guards {
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap();
    }
    // The service tries the checkout again after a while, by others.
    let is_of_the_first = |(pid, command): &(i32, String)| {
        !command.starts_with("lazarus-rec") && at_first.iter().any(|(old, _)| old == pid)
    };
    soon("the guard", async || !at_work(&host).await.iter().any(is_of_the_first)).await;
    service.end(Signal::TERM).await;
}

/// A guard for a program, as its parent starts it.
fn guarded(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazarus-pit"));
    command.arg0(guard::NAME).arg(program).args(arguments).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_guard_starts_after_its_whole_order_and_exits_like_its_program() {
    let run = |program: &str, arguments: &[&str], order: &str, is_held: bool| {
        let mut guard = guarded(program, arguments).spawn().unwrap();
        let mut pipe = guard.stdin.take().unwrap();
        pipe.write_all(order.as_bytes()).unwrap();
        let pipe = Some(pipe).filter(|_| is_held);
        let output = guard.wait_with_output().unwrap();
        drop(pipe);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.to_string(), text(output.stdout), text(output.stderr))
    };
    let ended =
        |status: &str, posted: &str, complained: &str| (status.to_owned(), posted.to_owned(), complained.to_owned());
    assert_eq!(run("cat", &[], "5\nabove", true), ended("exit status: 0", "above", ""));
    assert_eq!(run("cat", &[], "0\n", true), ended("exit status: 0", "", ""));
    assert_eq!(run("sh", &["-c", "exit 3"], "0\n", true), ended("exit status: 3", "", ""));
    assert_eq!(run("sh", &["-c", "kill -KILL $$"], "0\n", true), ended("signal: 9 (SIGKILL)", "", ""));
    let missing = format!("{}: No such file or directory (os error 2)\n", guard::NAME);
    assert_eq!(run("/nonexistent/git", &[], "0\n", true), ended("exit status: 127", "", &missing));
    for order in ["", "5", "5\n", "5\nabov", "five\nabove"] {
        assert_eq!(run("echo", &["started"], order, false), ended("exit status: 1", "", ""), "{order:?}");
    }
    assert_eq!(run("sleep", &["3600"], "0\n", false).0, "signal: 9 (SIGKILL)", "its parent has ended");
}

#[test]
fn the_guard_is_hidden_from_the_help() {
    for program in ["lazarus-reconcile", "lazarus-pit"] {
        for arguments in [&["--help"][..], &["help"], &[guard::NAME]] {
            let output = Host::new().command(program).args(arguments).output().unwrap();
            let reported = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            assert!(arguments == [guard::NAME] || !reported.contains("guard"), "{program} {arguments:?}: {reported}");
            assert!(arguments != [guard::NAME] || !output.status.success(), "it is no command: {reported}");
        }
    }
}
