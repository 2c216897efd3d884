//! `lazarus-pit run`: beats while a command lives, says how it ended, and ends as it did.

use crate::support::PATIENCE;
use crate::support::host::{Host, Run, run};
use crate::support::listener::{Heard, Listener};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// A host with one cell.
async fn cell() -> (Host, PathBuf) {
    let host = Host::on_disk();
    let made = run(host.command("lazarus-pit").args(["--init-cell", ID])).await;
    assert_eq!(made.code, 0, "{made:?}");
    let cell = host.root().join(ID);
    (host, cell)
}

/// `lazarus-pit` with `PATH`, in the cell.
fn pit(host: &Host, cell: &Path, arguments: &[&str]) -> Command {
    let mut command = host.command("lazarus-pit");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(cell).args(arguments);
    command
}

fn heartbeat(cell: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap()
}

/// State and message of the last heartbeat.
fn posted(cell: &Path) -> (Value, Value) {
    let heartbeat = heartbeat(cell);
    (heartbeat["state"].clone(), heartbeat["message"].clone())
}

/// The same command with these signals at their defaults or ignored, in a process group of its own, where no terminal
/// plays a part; its input stays open until the child is dropped.
fn start(command: &Command, signals: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut wrapped = Command::new("env");
    wrapped.args(signals).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.current_dir(command.get_current_dir().unwrap()).process_group(0);
    let mut child = wrapped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// The line that begins so, when it comes; a terminal may have echoed a key before it.
fn wait_for_line(out: &mut impl BufRead, wanted: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "`{wanted}` never came");
        if line.trim_start_matches("^C").starts_with(wanted) {
            return line.trim_end().to_owned();
        }
    }
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[tokio::test]
async fn pit_run_exits_like_its_command_and_reports_it() {
    let (host, cell) = cell().await;
    for (command, code, state, message) in [
        (&["true"][..], 0, "done", Value::Null),
        (&["--", "sh", "-c", "exit 3"], 3, "failed", json!("exit code 3")),
        (&["--every", "2m", "sh", "-c", "kill -KILL $$"], 137, "failed", json!("killed by SIGKILL")),
        (&["sh", "-c", "kill -34 $$"], 162, "failed", json!("killed by signal 34")),
        (
            &["no-such-wizard", "--every", "x"],
            127,
            "failed",
            json!("cannot start `no-such-wizard`: No such file or directory (os error 2)"),
        ),
        (&["/etc"], 126, "failed", json!("cannot start `/etc`: Permission denied (os error 13)")),
    ] {
        let ended = run(pit(&host, &cell, &["run"]).args(command)).await;
        assert_eq!((ended.code, posted(&cell)), (code, (json!(state), message)), "{command:?}: {ended:?}");
        let beats = if matches!(code, 126 | 127) { 1 } else { 2 };
        assert_eq!(heartbeat(&cell)["sequence"], beats, "each run is a session of its own: {command:?}");
        let reported =
            matches!(code, 126 | 127).then(|| format!("lazarus-pit: {}\n", posted(&cell).1.as_str().unwrap()));
        assert_eq!((ended.stdout.as_str(), ended.stderr), ("", reported.unwrap_or_default()), "{command:?}");
    }
}

#[tokio::test]
async fn pit_run_passes_the_standard_streams_through() {
    let (host, cell) = cell().await;
    let script = "read line; echo out $line; echo err $line >&2";
    let (mut child, mut out) = start(pit(&host, &cell, &["run", "sh", "-c"]).arg(script), &[]);
    child.stdin.as_ref().unwrap().write_all(b"words\n").unwrap();
    wait_for_line(&mut out, "out words");
    assert!(child.wait().unwrap().success());
    let ended = run(pit(&host, &cell, &["run", "sh", "-c"]).arg(script)).await;
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
}

#[tokio::test]
async fn pit_run_forwards_signals() {
    let (host, cell) = cell().await;
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
        (Signal::SIGUSR1, 138),
        (Signal::SIGUSR2, 140),
    ] {
        let command = pit(&host, &cell, &["run", "--", "sh", "-c", "ulimit -c 0; echo ready; exec cat"]);
        let (mut child, mut out) = start(&command, &["--default-signal"]);
        // `wait` would close its input, and that would race with the signal for its end.
        let _open = child.stdin.take();
        wait_for_line(&mut out, "ready");
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(posted(&cell), (json!("failed"), json!(format!("killed by {signal}"))));
    }
}

#[tokio::test]
async fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let (host, cell) = cell().await;
    let command = pit(&host, &cell, &["run", "--", "sh", "-c", "echo ready; exec cat"]);
    let (mut child, mut out) = start(&command, &["--default-signal", "--ignore-signal=HUP"]);
    let _open = child.stdin.take();
    wait_for_line(&mut out, "ready");
    send(&child, Signal::SIGHUP);
    send(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[tokio::test]
async fn a_signal_of_the_terminal_reaches_the_command_once() {
    let (_host, cell) = cell().await;
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: a_signal_of_the_terminal_reaches_the_command_once (there is no `script`)");
        return;
    }
    let count = "trap 'n=$((n+1)); echo interrupted' INT; trap 'echo $n interrupts' USR1";
    let script = format!("n=0; {count}; echo ready $PPID; read a; read b; read c");
    let typed = format!("exec {} run -- sh -c '{}'", env!("CARGO_BIN_EXE_lazarus-pit"), script.replace('\'', r"'\''"));
    let mut command = Command::new("script");
    command.args(["-qec", &typed, "/dev/null"]).current_dir(&cell).env_clear().env("PATH", "/usr/bin:/bin");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let ready = wait_for_line(&mut out, "ready");
    let pit = Pid::from_raw(ready.trim_start_matches("ready ").parse().unwrap());
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    wait_for_line(&mut out, "interrupted");
    // Were it handed on, it would be so before this one.
    kill(pit, Signal::SIGUSR1).unwrap();
    assert_eq!(wait_for_line(&mut out, ""), "1 interrupts");
    keys.write_all(b"\n\n\n").unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn pit_run_sends_heartbeats_while_its_command_runs() {
    let (host, cell) = cell().await;
    let (mut child, _out) = start(&pit(&host, &cell, &["run", "--every", "1", "--", "cat"]), &[]);
    let began = Instant::now();
    while heartbeat(&cell)["sequence"].as_u64() < Some(3) {
        assert!(began.elapsed() < PATIENCE, "{}", heartbeat(&cell));
        std::thread::yield_now();
    }
    assert_eq!(posted(&cell), (json!("working"), Value::Null));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(posted(&cell), (json!("done"), Value::Null));
}

#[tokio::test]
async fn a_short_stale_after_shortens_the_interval_and_a_slow_one_warns() {
    let (host, cell) = cell().await;
    let config = std::fs::read_to_string(cell.join("config/cell.json")).unwrap();
    let config = config.replace("\"stale_after_seconds\": 300", "\"stale_after_seconds\": 3");
    std::fs::write(cell.join("config/cell.json"), config).unwrap();
    let (mut child, _out) = start(&pit(&host, &cell, &["run", "cat"]), &[]);
    let began = Instant::now();
    while heartbeat(&cell)["sequence"].as_u64() < Some(2) {
        assert!(began.elapsed() < PATIENCE, "{}", heartbeat(&cell));
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let slow = run(&mut pit(&host, &cell, &["run", "--every", "1m", "true"])).await;
    assert_eq!(
        (slow.code, slow.stderr.as_str()),
        (0, "lazarus-pit: `--every`: one heartbeat every 1 minute is too few: the cell is stale after 3 seconds\n")
    );
}

#[tokio::test]
async fn over_http_address_and_token_come_from_the_cell_or_from_flags() {
    let (host, cell) = cell().await;
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    let daemon = Listener::answering(&[204]);
    let before = heartbeat(&cell);
    let ended = run(&mut pit(&host, &cell, &["run", "--url", &daemon.url, "--", "sh", "-c", "exit 9"])).await;
    assert_eq!((ended.code, ended.stderr.as_str(), heartbeat(&cell)), (9, "", before));
    let asked = format!("POST /missions/{ID}/heartbeat");
    let heard = |token: &str, body: Value| Heard {
        asked: asked.clone(),
        authorization: format!("Bearer {}", token.trim()),
        body,
    };
    let session = &daemon.heard()[0].body["session"];
    let working = json!({ "state": "working", "session": session, "sequence": 1 });
    let failed = json!({ "state": "failed", "session": session, "sequence": 2, "message": "exit code 9" });
    assert_eq!(daemon.heard(), [heard(&token, working), heard(&token, failed)]);

    let elsewhere = Listener::answering(&[204]);
    std::fs::write(host.path().join("token"), "secret\n").unwrap();
    let whole = format!("{}/missions/{ID}/heartbeat", elsewhere.url);
    let beat = ["beat", "--url", &whole, "--token-file", "token", "--state", "waiting", "--message", "for \u{202e}you"];
    let with_heartbeat = run(host.command("lazarus-pit").args(beat)).await;
    assert_eq!((with_heartbeat.code, with_heartbeat.stderr.as_str()), (0, ""), "no cell is needed");
    assert_eq!(elsewhere.heard(), [heard("secret", json!({ "state": "waiting", "message": "for you" }))]);
    let named = ["beat", "--url", &whole, "--token-file", "token", "--session", "night \u{202e}shift"];
    assert_eq!(run(host.command("lazarus-pit").args(named)).await.code, 0);
    let of_session = json!({ "state": "working", "session": "night shift" });
    assert_eq!(elsewhere.heard()[1], heard("secret", of_session));
    let address_only = run(host.command("lazarus-pit").args(["beat", "--url", &elsewhere.url])).await;
    assert!(address_only.code == 2 && address_only.stderr.contains("no cell: "), "{address_only:?}");
}

#[tokio::test]
async fn the_command_gets_the_absolute_cell_path_in_a_variable() {
    let (host, cell) = cell().await;
    let other = host.root().join("123e4567-e89b-12d3-a456-426614174001");
    run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174001"])).await;
    std::os::unix::fs::symlink(host.root(), host.path().join("link")).unwrap();
    let daemon = Listener::answering(&[204]);
    let whole = format!("{}/missions/{}/heartbeat", daemon.url, ID.to_uppercase());
    let linked = host.path().join("link").join(ID).display().to_string();
    let token = cell.join("config/heartbeat.token").display().to_string();
    let show = ["--", "sh", "-c", "echo $MISSION_CELL"];
    for (here, arguments, inherited, wanted) in [
        (&cell.join("worktree"), &[][..], None, Some(&cell)),
        (&cell, &["--cell", "worktree/.."], None, Some(&cell)),
        (&other, &["--cell", &linked], None, Some(&cell)),
        (&other, &[], Some(&cell), Some(&cell)),
        (&cell, &["--url", &daemon.url], None, Some(&cell)),
        (&cell, &["--url", &whole], None, Some(&cell)),
        (&other, &["--url", &whole, "--token-file", &token], None, None),
        (&other, &["--url", &whole, "--token-file", &token, "--every", "9m"], None, None),
        (&host.root(), &["--url", &whole, "--token-file", &token], None, None),
    ] {
        let mut command = pit(&host, here, &["run"]);
        command.args(arguments).args(show).envs(inherited.map(|cell| ("MISSION_CELL", cell)));
        let ended = run(&mut command).await;
        let wanted = wanted.map(|cell| cell.canonicalize().unwrap().display().to_string()).unwrap_or_default();
        assert_eq!((ended.code, ended.stdout.trim_end(), &*ended.stderr), (0, &*wanted, ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn each_run_is_a_session_of_its_own_from_its_start() {
    let (host, cell) = cell().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        // Not before the first one of the run itself.
        let script =
            "until grep -q '\"sequence\": 1$' state/heartbeat.json; do n=$((n+1)); [ $n -lt 9999 ] || exit 9; done
            lazarus-pit beat --message inside && lazarus-pit beat --message again";
        let mut command = pit(&host, &cell, &["run", "sh", "-c", script]);
        let beside = Path::new(env!("CARGO_BIN_EXE_lazarus-pit")).parent().unwrap().display();
        command.env("PATH", format!("{beside}:/usr/local/bin:/usr/bin:/bin"));
        let ended = run(&mut command).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        let last = heartbeat(&cell);
        assert_eq!((&last["state"], &last["sequence"]), (&json!("done"), &json!(4)), "all four are of the run");
        let session = last["session"].as_str().unwrap().to_owned();
        let started_at = session.rsplit_once('-').unwrap().0;
        assert!(chrono::DateTime::parse_from_rfc3339(started_at).is_ok(), "{session}");
        sessions.push(session);
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 3);
}

#[tokio::test]
async fn a_refused_heartbeat_is_reported_with_the_next_step() {
    let (host, cell) = cell().await;
    for (status, code, reported) in [
        (
            &[404][..],
            2,
            "404: it has no such cell, or the token belongs to another cell; check `--url` and `--token-file`\n",
        ),
        (&[409], 1, "409: it has accepted a later heartbeat, or one of a session after this one\n"),
        (&[302], 2, "302: it redirects, and redirects are not followed; check `--url`\n"),
        (&[200], 1, "200\n"),
        (&[503], 1, "503\n"),
    ] {
        let daemon = Listener::answering(status);
        let with_heartbeat = run(&mut pit(&host, &cell, &["beat", "--url", &daemon.url])).await;
        assert_eq!(
            (with_heartbeat.code, with_heartbeat.stderr),
            (code, format!("error: the daemon at {} answered {reported}", daemon.url)),
            "{status:?}"
        );
        assert_eq!(daemon.heard().len(), 1);
    }
    std::fs::write(cell.join("config/heartbeat.token"), "two words").unwrap();
    let no_token = run(&mut pit(&host, &cell, &["run", "--url", "http://127.0.0.1:1", "--", "touch", "ran"])).await;
    assert!(no_token.code == 2 && no_token.stderr.contains("it holds no token; name another"), "{no_token:?}");
    assert!(!cell.join("ran").exists(), "what cannot work is refused before the command starts");
}

#[tokio::test]
async fn heartbeat_errors_are_reported_once_and_never_disturb_the_command() {
    tokio::join!(trouble_that_passes(), trouble_that_stays(), no_place_for_heartbeats());
}

async fn trouble_that_passes() {
    let (host, cell) = cell().await;
    let flaky = Listener::answering(&[503, 503, 204]);
    let ended = run(&mut pit(&host, &cell, &["run", "--url", &flaky.url, "--", "sh", "-c", "exit 5"])).await;
    let reported = format!(
        "lazarus-pit: the heartbeat was not delivered: the daemon at {} answered 503\n\
         lazarus-pit: heartbeats are delivered again\n",
        flaky.url
    );
    assert_eq!((ended.code, ended.stderr), (5, reported));
    assert_eq!(flaky.heard().last().unwrap().body["state"], "failed", "the last word was tried again");
}

async fn trouble_that_stays() {
    let (host, cell) = cell().await;
    let Run { code, stdout, stderr } =
        run(&mut pit(&host, &cell, &["run", "--url", "http://127.0.0.1:1", "--", "echo", "magic"])).await;
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (0, "magic\n", 1), "{stderr}");
    assert!(stderr.starts_with("lazarus-pit: the heartbeat was not delivered: the daemon at http://127.0.0.1:1 "));
    assert!(stderr.trim_end().ends_with("Connection refused (os error 111)"), "{stderr}");
}

async fn no_place_for_heartbeats() {
    let (host, cell) = cell().await;
    std::fs::remove_dir_all(cell.join("state")).unwrap();
    let no_file = run(&mut pit(&host, &cell, &["run", "sh", "-c", "exit 6"])).await;
    assert!(no_file.code == 6 && no_file.stderr.lines().count() == 1, "{no_file:?}");
}

#[tokio::test]
async fn intervals_accept_the_usual_duration_notations() {
    let (host, cell) = cell().await;
    for right in ["1", "30s", "5m", "24h", "1d", "86400"] {
        assert_eq!(run(&mut pit(&host, &cell, &["run", "--every", right, "true"])).await.code, 0, "{right}");
    }
    for wrong in ["0", "25h", "-1", "+5", "2d", "", "s", "1.5m", "99999999999999999999h"] {
        let refused = run(&mut pit(&host, &cell, &["run", &format!("--every={wrong}"), "true"])).await;
        assert!(
            refused.code == 2 && refused.stderr.contains("for example `30s`, `5m` or `1h`"),
            "{wrong}: {refused:?}"
        );
    }
}
