//! Reports a pass in a job of Gitea Actions: the summary, the outputs, and errors that the log marks.

use crate::config::Environment;
use crate::engine::report::{MissionReport, Report};
use crate::mission::text::whole_span;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// The maximum number of missions, and of errors, in the summary.
const SUMMARY_ROWS_MAX: usize = 200;

/// Writes the summary and the outputs to the files that the runner names.
pub fn publish(report: &Report, environment: &Environment) -> std::io::Result<()> {
    if let Some(path) = environment.get("GITHUB_STEP_SUMMARY") {
        append(path, &summary(report))?;
    }
    if let Some(path) = environment.get("GITHUB_OUTPUT") {
        append(path, &outputs(report))?;
    }
    Ok(())
}

fn append(path: &str, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// A line that the runner shows as an error. Special characters are escaped, so that text of untrusted users cannot
/// start a workflow command.
#[must_use]
pub fn error_line(message: &str) -> String {
    format!("::error::{}", escaped(message))
}

/// A line that the runner shows as a warning.
#[must_use]
pub fn warning_line(message: &str) -> String {
    format!("::warning::{}", escaped(message))
}

fn escaped(message: &str) -> String {
    message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn summary(report: &Report) -> String {
    let mut text = format!("### Missions\n\n{}\n", report.headline());
    if !report.missions.is_empty() {
        text.push_str("\n| issue | state | changes | error |\n|---|---|---|---|\n");
    }
    for mission in report.missions.iter().take(SUMMARY_ROWS_MAX) {
        let _ = writeln!(text, "{}", row(mission));
    }
    if let Some(more) = report.missions.len().checked_sub(SUMMARY_ROWS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n… and {more} more.");
    }
    for failure in report.errors.iter().take(SUMMARY_ROWS_MAX) {
        let _ = writeln!(text, "\n- {}", whole_span(&failure.message));
    }
    text.push('\n');
    text
}

fn row(mission: &MissionReport) -> String {
    let changes: Vec<&str> = mission.changes.iter().map(|change| change.text.as_str()).collect();
    let error = mission.error.as_ref().map_or("", |error| error.kind);
    format!(
        "| {}#{} | {} | {} | {error} |",
        mission.repository,
        mission.issue,
        mission.state().replace('|', "\\|"),
        if changes.is_empty() { String::new() } else { cell(&changes.join("; ")) },
    )
}

/// Text for a table cell, as a code span: it may quote untrusted users.
fn cell(text: &str) -> String {
    whole_span(text).replace('|', "\\|")
}

fn outputs(report: &Report) -> String {
    let mut text = format!("complete={}\nmissions={}\n", report.complete, report.missions.len());
    let counts = report.summary.phase.iter().chain(&report.summary.health);
    for (word, count) in counts {
        let _ = writeln!(text, "{word}={count}");
    }
    let changes: usize = report.missions.iter().map(|mission| mission.changes.len()).sum();
    let _ = writeln!(text, "changes={}\nwrites={}", changes + report.changes.len(), report.requests.accepted);
    text
}
