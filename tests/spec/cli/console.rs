//! What is told where: results on standard output, trouble on standard error, both as programs want them too.

use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use lazarus::mission::selector::IssueArgument;
use lazarus::sandbox::Fault;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

#[tokio::test]
async fn an_output_error_is_a_failure_and_a_closed_pipe_is_not() {
    let host = Host::new();
    run(host.command("lazarus-reconcile").arg("init")).await;
    let mut full = host.command("lazarus-reconcile");
    let output = full.arg("scan").stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot write to standard output"), "{stderr}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut gone = host.command("lazarus-reconcile");
    let output = gone.arg("scan").stdout(Stdio::from(writer)).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// Here a settings file in use is told of before anything is done.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_no_command() {
    let host = Host::new();
    std::fs::write(host.path().join("settings.json"), "{}").unwrap();
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for stderr in [Stdio::from(full), Stdio::from(gone)] {
        run(host.command("lazarus-reconcile").arg("init")).await;
        let mut command = host.command("lazarus-pit");
        let made = command.args(["--init-cell", id, "--config", "settings.json"]).stderr(stderr).output().unwrap();
        assert!(made.status.success() && !made.stdout.is_empty(), "{made:?}");
        std::fs::remove_dir_all(host.cell()).unwrap();
    }
}

#[tokio::test]
async fn errors_are_json_lines_if_the_log_format_is_json() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Refuse(500));
    let failed = run(host.reconciler(&repository).args(["--once", "--log-format", "json"])).await;
    let line: Value = serde_json::from_str(failed.stderr.trim()).unwrap();
    assert_eq!((failed.code, &line["level"]), (1, &json!("ERROR")), "{failed:?}");
    assert!(line["fields"]["message"].as_str().unwrap().contains("Gitea answered 500"), "{line}");
    assert!(failed.stdout.starts_with("no proposals seen; "), "{failed:?}");
}

#[tokio::test]
async fn a_closed_or_deleted_issue_is_reported_as_such() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    repository.set_state(number, "closed").await;
    let closed = run(host.reconciler(&repository).arg("--once")).await;
    assert!(closed.stdout.contains("1 proposal: 1 closed; changed 5; "), "{closed:?}");
    repository.set_state(number, "open").await;
    host.once(&repository).await;
    forge.change(reqwest::Method::DELETE, &repository.issue_path(number), json!({})).await;
    for reported in ["was not found", "is deleted"] {
        let gone = run(host.reconciler(&repository).arg("--once")).await;
        let line = format!("write the record: {}#{number} {reported}\n", repository.name);
        assert!(gone.stdout.contains(&line) && gone.stdout.contains("1 proposal: 1 not open; "), "{gone:?}");
    }
}

#[test]
fn an_issue_argument_accepts_its_usual_notations() {
    for (text, repository, number) in
        [("12", None, 12), ("#12", None, 12), ("owner/name#12", Some("owner/name".to_owned()), 12)]
    {
        let issue: IssueArgument = text.parse().unwrap();
        assert_eq!((issue.repository.map(|name| name.to_string()), issue.number), (repository, number));
    }
    for wrong in ["", "#", "0", "#0", "-1", "owner#1", "owner/name#", "owner/name#x"] {
        assert!(wrong.parse::<IssueArgument>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn untrusted_text_starts_no_log_line_and_controls_no_terminal() {
    let host = Host::new();
    let hostile = "x\n ERROR forged\r\u{1b}[31m\u{9b}2J\u{7}\u{202e}\u{e0041}.json";
    std::fs::write(host.path().join(hostile), "{}").unwrap();
    let init = ["--init-cell", "123e4567-e89b-12d3-a456-426614174000", "--config", hostile];
    let text = run(host.command("lazarus-pit").args(init)).await;
    let shown = r" INFO configuration: `x\n ERROR forged\x1b[31m\u{9b}2J\x07.json`";
    assert_eq!((text.code, text.stderr.as_str()), (0, format!("{shown}\n").as_str()));
    let json = run(host.command("lazarus-pit").args(init).args(["--log-format", "json"])).await;
    let line: Value = serde_json::from_str(&json.stderr).unwrap();
    let message = line["fields"]["message"].as_str().unwrap();
    assert!(message.starts_with("configuration: `x\n ERROR forged"), "{line}");
    assert!(json.stderr.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
    assert!(!json.stderr.contains(['\u{202e}', '\u{e0041}']), "{json:?}");
}

#[tokio::test]
async fn without_a_journal_errors_are_printed_to_standard_error() {
    let host = Host::new();
    std::fs::remove_dir(host.root()).unwrap();
    let elsewhere = run(host.command("lazarus-pit").env("JOURNAL_STREAM", "1:2")).await;
    assert!(elsewhere.code == 2 && elsewhere.stderr.starts_with("error: the missions root"), "{elsewhere:?}");
    if Path::new("/run/systemd/journal/socket").exists() {
        eprintln!("skipped: the half of a_journal_that_is_not_there that needs a host without a journal");
        return;
    }
    let path = host.path().join("stderr");
    let file = File::create(&path).unwrap();
    let status = file.metadata().unwrap();
    let mut command = host.command("lazarus-pit");
    command.env("JOURNAL_STREAM", format!("{}:{}", status.dev(), status.ino())).stderr(file);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
    let reported = std::fs::read_to_string(path).unwrap();
    assert!(
        reported.starts_with("ERROR the missions root"),
        "as a log line, which a journal gives its priority: {reported}"
    );
}
