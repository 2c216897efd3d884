//! On a terminal: colours unless somebody minds, tables that fit; elsewhere neither, so that programs can read it.

use crate::support::host::Host;
use lazarus::cli::console::progress;
use lazarus::world::terminal::{Table, Terminal, Tone};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a command shows on a terminal of so many columns.
fn on_a_terminal(command: &mut Command, columns: u16) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let inner = || std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(inner()).stderr(inner()).spawn().unwrap();
    // The command holds the inner ends that were made for it, too.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut shown = Vec::new();
    // When the last inner end is closed, reading fails rather than ends.
    let _ = std::fs::File::from(terminal).read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}

fn host_with_a_cell() -> Host {
    let host = Host::new();
    let made = host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"]).output();
    assert!(made.unwrap().status.success());
    host
}

#[test]
fn health_is_coloured_only_on_a_terminal_without_no_color() {
    let host = host_with_a_cell();
    let scan = || {
        let mut command = host.command("lazarus-reconcile");
        command.arg("scan");
        command
    };
    let coloured = on_a_terminal(&mut scan(), 120);
    assert!(coloured.contains("\u{1b}[33muninitialized\u{1b}[0m  no-heartbeat"), "{coloured}");
    let minded = on_a_terminal(scan().env("NO_COLOR", "1"), 120);
    assert!(!minded.contains('\u{1b}') && minded.contains("uninitialized  no-heartbeat"), "{minded}");
    assert!(on_a_terminal(scan().env("NO_COLOR", ""), 120).contains('\u{1b}'), "an empty one says nothing");
    let piped = scan().output().unwrap().stdout;
    assert_eq!(String::from_utf8(piped).unwrap(), minded);
}

#[test]
fn a_table_fits_its_terminal_and_marks_truncated_text() {
    let host = host_with_a_cell();
    let narrow = on_a_terminal(host.command("lazarus-reconcile").arg("scan").env("NO_COLOR", "1"), 60);
    let row = narrow.lines().nth(1).unwrap();
    assert!(row.chars().count() <= 60 && row.ends_with('…'), "{narrow}");
    let rows =
        vec![(Tone::Bad, ["stale".to_owned(), "x".repeat(40)]), (Tone::Good, ["healthy".to_owned(), "é".repeat(9)])];
    let table = Table { head: ["HEALTH", "WHAT"], rows };
    let plain = table.render(Terminal::default());
    assert_eq!(plain.as_str(), format!("HEALTH   WHAT\nstale    {}\nhealthy  ééééééééé\n", "x".repeat(40)));
    let fitted = table.render(Terminal { width: Some(20), has_colours: true });
    assert_eq!(
        fitted.as_str(),
        format!(
            "HEALTH   WHAT\n\u{1b}[31mstale  \u{1b}[0m  {}…\n\u{1b}[32mhealthy\u{1b}[0m  ééééééééé\n",
            "x".repeat(10)
        )
    );
}

#[test]
fn work_of_a_second_or_more_shows_its_progress() {
    assert_eq!(progress(Duration::from_millis(999), 1, 2), None);
    assert_eq!(progress(Duration::from_secs(1), 1, 2).as_deref(), Some("\r1 of 2 missions\u{1b}[K"));
    assert_eq!(progress(Duration::from_secs(1), 2, 2).as_deref(), Some("\r\u{1b}[K"), "the line is cleared at the end");
}
