//! Nothing that others wrote, be it a text or the name of a file, steers the terminal or the page that it is printed on.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use lazarus::cli::ci_job::error_line;
use lazarus::mission::text::{Printable, printable_json, printable_lines};
use lazarus::sandbox::Fault;
use lazarus::world::terminal::{Printed, Terminal, Tone};
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::fs::symlink;

/// Each is a name that a file may have, and a text that may be written.
const HOSTILE: [&str; 8] = [
    "\u{1b}[2J\u{1b}[31mred",
    "\u{1b}]0;title\u{7}",
    "\u{9b}31mred",
    "\r0 archives",
    "line\nDeleted: 9 archives",
    "\u{202e}txt.exe",
    "\u{200b}zero",
    "\u{7f}\u{8}\u{8}back",
];

/// Whether a terminal shows all of it as it is.
fn check(reported: &Run) {
    for text in [&reported.stdout, &reported.stderr] {
        let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!text.chars().any(steers), "{reported:?}");
        assert!(!text.lines().any(|line| line.starts_with("Deleted: 9")), "{reported:?}");
    }
}

#[test]
fn untrusted_text_is_printed_escaped_on_one_line() {
    let printed = HOSTILE.map(|name| Printable::new(name).to_string());
    assert_eq!(printed[0], r"\u{1b}[2J\u{1b}[31mred");
    assert_eq!(printed[4], r"line\nDeleted: 9 archives");
    assert_eq!(printed[5], r"\u{202e}txt.exe");
    assert!(printed.iter().all(|name| !name.contains(char::is_control)), "{printed:?}");
    assert_eq!(Printable::new("träge ❤\u{fe0f} `x`").to_string(), "träge ❤\u{fe0f} `x`");
    assert_eq!(printable_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
}

#[test]
fn only_colours_of_the_program_reach_a_terminal() {
    let screen = Terminal { width: None, has_colours: true };
    let mut text = Printed::default();
    text.paint("\u{1b}[2Jbad", Tone::Bad, screen);
    writeln!(text, " {}", HOSTILE[0]).unwrap();
    assert_eq!(text.as_str(), "\u{1b}[31m\\u{1b}[2Jbad\u{1b}[0m \\u{1b}[2J\\u{1b}[31mred\n");
}

#[test]
fn printed_json_controls_no_terminal_and_keeps_its_value() {
    let document = json!({ "names": HOSTILE, "emoji": "❤\u{fe0f}\u{e0041}" });
    let printed = printable_json(&document.to_string());
    assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{e0041}'), "{printed}");
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), document);
}

/// Names that an agent gives its files, in an archive that `gc` lists and deletes, and beside it.
#[tokio::test]
async fn file_names_in_the_output_of_gc_are_escaped() {
    let host = Host::on_disk();
    let id = "123e4567-e89b-12d3-a456-426614174000";
    assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", id])).await.code, 0);
    let archive = host.root().join(".lazarus/archive");
    std::fs::create_dir(&archive).unwrap();
    std::fs::rename(host.root().join(id), archive.join(id)).unwrap();
    for name in HOSTILE {
        std::fs::create_dir_all(archive.join(id).join("artifacts").join(name)).unwrap();
        std::fs::write(archive.join(id).join("artifacts").join(name).join(name), "").unwrap();
        symlink("/", archive.join(name)).unwrap();
    }
    for arguments in [&["gc"][..], &["gc", "--json"], &["gc", "--older-than", "0s", "--yes"]] {
        let reported = run(host.command("lazarus-reconcile").args(arguments)).await;
        check(&reported);
        assert!(
            reported.stdout.contains(r"u{202e}txt.exe") || reported.stdout.contains(r"\u202etxt.exe"),
            "{reported:?}"
        );
    }
}

#[tokio::test]
async fn names_in_a_directory_that_cannot_become_a_root_are_escaped() {
    for name in HOSTILE {
        let host = Host::new();
        std::fs::create_dir(host.root().join(name)).unwrap();
        for arguments in [&["init"][..], &["doctor"], &["scan"], &["status"], &["gc"]] {
            check(&run(host.command("lazarus-reconcile").args(arguments)).await);
        }
        let (named, config) = (host.root().join(name), host.path().join("x.json"));
        std::fs::write(&config, json!({ "missions_root": named }).to_string()).unwrap();
        for arguments in [&["init"][..], &["scan"], &["doctor"], &["config", "show"]] {
            let mut command = host.command("lazarus-reconcile");
            command.env_remove("LAZARUS_MISSIONS_ROOT").args(arguments).arg("--config").arg(&config);
            check(&run(&mut command).await);
        }
    }
}

/// The forge's own message, as a hostile one words it.
#[tokio::test]
async fn messages_of_the_forge_are_plain_text_in_the_job_summary() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    let summary = host.path().join("summary.md");
    let message = r#"{"message":"<img src=x> | [click](http://evil.test) ``` @root \u001b[31m","url":"x"}"#;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Answer(422, message));
    let mut once = host.reconciler(&repository);
    once.env("GITEA_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).arg("--once");
    check(&run(&mut once).await);
    let reported = std::fs::read_to_string(&summary).unwrap();
    let errors = reported.lines().filter(|line| line.starts_with("- ")).collect::<Vec<_>>();
    assert!(
        !errors.is_empty() && errors.iter().all(|line| line.starts_with("- `") && line.ends_with('`')),
        "{reported}"
    );
    assert_eq!(error_line("a\nb"), "::error::a%0Ab");
}
