//! The README says what is so: its tables are held against the code.

use clap::{Command, CommandFactory};
use lazarus::arguments::{Pit, Reconcile};
use lazarus::exit::Exit;
use lazarus::mission::cell::Part;
use lazarus::mission::form::{FORM, Form};
use lazarus::mission::label::Label;
use serde_json::Value;
use std::collections::BTreeSet;

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../config/lazarus_pit.json");
const CI: &str = include_str!("../../.ci/run");

/// The rows of the first table under a heading, cell by cell.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) =
        README.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = lines.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "{heading} has no table");
    rows
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// Words of a text that begin like this and go on with such characters.
fn words<'a>(text: &'a str, start: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<&'a str> {
    let found = text.match_indices(start).map(|(at, _)| &text[at..]);
    found.map(|rest| &rest[..rest.find(|c| !goes_on(c)).unwrap_or(rest.len())]).collect()
}

#[test]
fn every_label_is_in_its_table_as_it_is_on_the_forge() {
    let rows = table("Labels");
    let used: Vec<Label> = Label::ALL.into_iter().collect();
    assert_eq!(rows.len(), used.len());
    for (row, label) in rows.iter().zip(used) {
        let appearance = label.appearance();
        assert_eq!(
            [unquoted(&row[0]), unquoted(&row[1]), &row[2]],
            [appearance.name.into_owned(), appearance.colour.to_owned(), appearance.meaning.to_owned()]
        );
    }
    for label in Label::ALL {
        assert!(README.contains(&format!("`{}`", label.name())), "{}", label.name());
    }
}

#[test]
fn every_field_of_the_form_is_in_its_table() {
    let rows = table("The form");
    let told: Vec<(&str, bool)> = rows.iter().map(|row| (row[0].as_str(), row[1] == "yes")).collect();
    let asked: Vec<(&str, bool)> = Form::embedded().fields.iter().map(|f| (f.label.as_str(), f.required)).collect();
    assert_eq!(told, asked);
    assert!(README.contains(&format!("`{}`", Form::embedded().marker)) && FORM.contains(&Form::embedded().marker));
}

#[test]
fn every_setting_is_in_its_table_with_its_default() {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    let rows = table("Settings");
    let mut keys = Vec::new();
    for row in &rows {
        let key = unquoted(&row[0]);
        let value = key.split('.').fold(&example, |value, key| &value[key]);
        let default = match (value.as_str(), value.is_null()) {
            (Some(text), _) => format!("`{text}`"),
            (None, true) if key == "host.name" => "the host's own".to_owned(),
            (None, true) => "none".to_owned(),
            (None, false) => format!("`{value}`"),
        };
        assert_eq!(row[2], default, "{key}");
        keys.push(key.to_owned());
    }
    let mut known = Vec::new();
    for (group, value) in example.as_object().unwrap() {
        match value.as_object() {
            Some(fields) => known.extend(fields.keys().map(|key| format!("{group}.{key}"))),
            None => known.push(group.clone()),
        }
    }
    keys.sort_unstable();
    known.sort_unstable();
    assert_eq!(keys, known);
}

#[test]
fn every_variable_and_flag_of_the_settings_is_told_and_no_other() {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut told = words(README, "LAZARUS_", is_name);
    told.retain(|name| !name.starts_with("LAZARUS_TEST_"));
    assert_eq!(told, words(include_str!("../../src/settings/mod.rs"), "LAZARUS_", is_name));
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    let mut flags = BTreeSet::new();
    collect_flags(&Reconcile::command(), &mut flags);
    collect_flags(&Pit::command(), &mut flags);
    let of_others =
        ["--release", "--path", "--open", "--create", "--now", "--foreground", "--strip-components", "--test", "--"];
    let told: BTreeSet<&str> =
        words(README, "--", is_flag).into_iter().filter(|flag| !of_others.contains(flag)).collect();
    let told: BTreeSet<&str> = told.into_iter().filter(|flag| !flag.trim_matches('-').is_empty()).collect();
    assert_eq!(told, flags.iter().map(String::as_str).collect());
}

fn collect_flags(command: &Command, flags: &mut BTreeSet<String>) {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    flags.extend(own.map(|long| format!("--{long}")).filter(|flag| !matches!(flag.as_str(), "--help" | "--version")));
    command.get_subcommands().for_each(|command| collect_flags(command, flags));
}

#[test]
fn every_command_exit_code_and_part_of_a_cell_is_told() {
    for (program, command) in [("lazarus-reconcile", Reconcile::command()), ("lazarus-pit", Pit::command())] {
        for name in command.get_subcommands().map(Command::get_name) {
            assert!(README.contains(&format!("| `{program} {name}` |")), "{program} {name}");
        }
    }
    let (_, exits) = README.split_once("| exit | meaning |\n|---|---|\n").unwrap();
    let told: Vec<&str> =
        exits.lines().take_while(|l| l.starts_with('|')).map(|l| l.split('|').nth(1).unwrap().trim()).collect();
    let all = [Exit::Complete, Exit::Failed, Exit::Refused, Exit::Alarm, Exit::Changes];
    assert_eq!(told, all.map(|exit| (exit as u8).to_string()));
    let parts: Vec<String> = table("A cell").into_iter().map(|row| unquoted(&row[0]).to_owned()).collect();
    let known = Part::ALL.map(Part::path);
    assert!(parts.iter().all(|part| known.contains(&part.as_str())), "{parts:?}");
    let is_told = |part: &Part| parts.iter().any(|told| told.starts_with(part.path()));
    assert!(Part::ALL.iter().all(is_told), "{parts:?}");
}

#[test]
fn the_two_commands_are_those_that_ci_runs() {
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(README.contains(&format!("```sh\n{command}\n```")), "{command}");
        assert!(CI.lines().any(|line| line.contains(command)), "{command}");
    }
}

#[test]
fn the_workflow_of_the_readme_is_yaml_that_passes_no_text_of_an_issue_to_a_shell() {
    let (_, workflow) = README.split_once("```yaml\n").unwrap();
    let workflow = workflow.split("```").next().unwrap();
    let parsed: Value = serde_yaml::from_str(workflow).unwrap();
    let step = &parsed["jobs"]["reconcile"]["steps"][0];
    assert!(step["run"].as_str().unwrap().starts_with("lazarus-reconcile --once"), "{step}");
    assert!(!workflow.contains("event."), "{workflow}");
}

#[test]
fn every_address_of_the_daemon_is_in_its_table() {
    let sources = [include_str!("../../src/http/doors.rs"), include_str!("../../src/http/views.rs")].concat();
    let told: Vec<String> = table("The daemon").into_iter().map(|row| unquoted(&row[0]).to_owned()).collect();
    for address in &told {
        let path = address.split(' ').nth(1).unwrap().split('<').next().unwrap();
        assert!(sources.contains(&format!("\"{path}")), "{address}");
    }
    let written = sources.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/') && text.len() > 1);
    let of_pages = ["/style.css", "/icon.svg"];
    for path in written.filter(|path| !of_pages.contains(path)) {
        assert!(told.iter().any(|address| address.contains(path)), "{path}");
    }
}
