//! The tables of `docs/reference.md`, both ways: what is told is there, and what is there is told.

use crate::repository::documents::{Document, document, documents};
use crate::support::site::{Setup, Site, snapshot};
use clap::{Command, CommandFactory};
use lazarus::cli::arguments::{Pit, Reconcile};
use lazarus::cli::exit::Exit;
use lazarus::diagnose::doctor::CODES;
use lazarus::engine::metrics::Metrics;
use lazarus::engine::queue::Queue;
use lazarus::mission::cell::Part;
use lazarus::mission::proposal::form::{FORM, Form};
use lazarus::mission::status::label::Label;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../../config/lazarus_pit.json");
const CI: &str = include_str!("../../../../.ci/run");
const SETTINGS: &str =
    concat!(include_str!("../../../../src/config/mod.rs"), include_str!("../../../../src/config/layers.rs"));

fn reference() -> Document {
    document("docs/reference.md")
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
fn the_label_table_matches_the_labels() {
    let rows = reference().table("Labels");
    assert_eq!(rows.len(), Label::ALL.len());
    for (row, label) in rows.iter().zip(Label::ALL) {
        let appearance = label.appearance();
        assert_eq!(
            [unquoted(&row[0]), unquoted(&row[1]), &row[2]],
            [appearance.name.into_owned(), appearance.colour.to_owned(), appearance.meaning.to_owned()]
        );
    }
}

#[test]
fn every_label_in_the_documents_exists() {
    let known: BTreeSet<String> = Label::ALL.iter().map(|label| label.name().into_owned()).collect();
    let scopes: BTreeSet<&str> = known.iter().map(|name| name.split('/').next().unwrap()).collect();
    // A branch of a worktree, and a file here.
    let is_other = |span: &str| span == "mission/<uuid>" || Path::new(span).extension().is_some();
    let mut reported = 0;
    for document in documents() {
        for span in document.spans() {
            let Some((scope, value)) = span.split_once('/') else { continue };
            if scopes.contains(scope) && !value.is_empty() && !is_other(&span) {
                assert!(known.contains(&span), "{}: `{span}`", document.path);
                reported += 1;
            }
        }
    }
    assert!(reported > known.len(), "{reported}");
}

#[test]
fn every_field_of_the_form_is_in_its_table() {
    let rows = reference().table("The form");
    let reported: Vec<(&str, bool)> = rows.iter().map(|row| (row[0].as_str(), row[1] == "yes")).collect();
    let asked: Vec<(&str, bool)> = Form::embedded().fields.iter().map(|f| (f.label.as_str(), f.required)).collect();
    assert_eq!(reported, asked);
    let marker = &Form::embedded().marker;
    assert!(reference().text.contains(&format!("`{marker}`")) && FORM.contains(marker));
}

#[test]
fn every_configuration_key_is_in_its_table_with_its_default() {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    let rows = reference().table("Configuration");
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
    keys.sort_unstable();
    assert_eq!(keys, known_keys());
}

fn known_keys() -> Vec<String> {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    let mut known = Vec::new();
    for (group, value) in example.as_object().unwrap() {
        match value.as_object() {
            Some(fields) => known.extend(fields.keys().map(|key| format!("{group}.{key}"))),
            None => known.push(group.clone()),
        }
    }
    known.sort_unstable();
    known
}

#[test]
fn every_configuration_key_in_the_documents_exists() {
    let known = known_keys();
    let groups: BTreeSet<&str> = known.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    for document in documents() {
        for span in document.spans() {
            let Some((group, field)) = span.split_once('.') else { continue };
            let is_key = groups.contains(group) && field.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_key || known.contains(&span), "{}: `{span}`", document.path);
        }
    }
}

#[test]
fn every_environment_variable_is_documented_and_no_other() {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let texts: String = documents().into_iter().map(|document| document.text).collect();
    let mut reported = words(&texts, "LAZARUS_", is_name);
    // Of the tests, and of the workflow.
    reported.retain(|name| !name.starts_with("LAZARUS_TEST_") && *name != "LAZARUS_RUNNER");
    assert_eq!(reported, words(SETTINGS, "LAZARUS_", is_name));
    assert_eq!(words(&reference().text, "LAZARUS_", is_name), reported, "all of them in the reference");
}

/// The long flags of a command, but for those that every command has.
fn flags(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    own.filter(|long| !matches!(*long, "help" | "version")).map(|long| format!("--{long}")).collect()
}

/// A command and all below it that do something by themselves, by what people type.
fn commands(name: &str, command: &Command) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    let below = below.flat_map(|below| commands(&format!("{name} {}", below.get_name()), below));
    let own = (!command.is_subcommand_required_set()).then(|| (name.to_owned(), command.clone()));
    own.into_iter().chain(below).collect()
}

/// Each command has a row, and the row names each of its flags that is not in the table of settings.
#[test]
fn every_command_and_every_flag_is_documented_in_its_table() {
    let (reference, rows) = (reference(), reference().table("The commands"));
    let of_settings = reference.text.split("\n## ").find(|section| section.starts_with("Configuration\n")).unwrap();
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    let mut told_commands = BTreeSet::from(["lazarus-reconcile".to_owned(), "lazarus-pit".to_owned()]);
    for (program, command) in [("lazarus-reconcile", Reconcile::command()), ("lazarus-pit", Pit::command())] {
        for (name, command) in commands(program, &command) {
            let is_of = |row: &&Vec<String>| {
                let reported = unquoted(&row[0]);
                reported == name || (name == program && reported.starts_with(&format!("{program} --")))
            };
            let row: String = rows.iter().filter(is_of).flatten().cloned().collect();
            assert!(!row.is_empty(), "`{name}` has no row");
            let known = flags(&command);
            for flag in &known {
                let is_told = |text: &str| words(text, "--", is_flag).contains(flag.as_str());
                assert!(is_told(&row) || is_told(of_settings), "`{name}`: `{flag}` is not told");
            }
            for flag in words(&row, "--", is_flag) {
                assert!(known.contains(flag), "`{name}`: there is no `{flag}`");
            }
            told_commands.insert(name);
        }
    }
    for row in &rows {
        let command = unquoted(&row[0]).split(" --").next().unwrap();
        assert!(told_commands.contains(command), "there is no `{command}`");
    }
}

#[test]
fn every_doctor_code_is_documented() {
    let rows = reference().table("Doctor codes");
    assert_eq!(rows.iter().map(|row| unquoted(&row[0])).collect::<Vec<_>>(), CODES);
}

#[test]
fn every_exit_code_is_documented() {
    let reported: Vec<String> = reference().table("Exit codes").into_iter().map(|row| row[0].clone()).collect();
    let all = [Exit::Complete, Exit::Failed, Exit::ManualAction, Exit::Unhealthy, Exit::Changes];
    assert_eq!(reported, all.map(|exit| (exit as u8).to_string()));
}

#[test]
fn every_part_of_a_cell_is_documented() {
    let rows = reference().table("A cell");
    let parts: Vec<&str> = rows.iter().map(|row| unquoted(&row[0])).collect();
    let known = Part::ALL.map(Part::path);
    assert!(parts.iter().all(|part| known.contains(part)), "{parts:?}");
    let is_told = |part: &Part| parts.iter().any(|reported| reported.starts_with(part.path()));
    assert!(Part::ALL.iter().all(is_told), "{parts:?}");
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(document("README.md").text.contains(&format!("```sh\n{command}\n```")), "{command}");
        assert!(CI.lines().any(|line| line.contains(command)), "{command}");
    }
}

#[test]
fn the_readme_is_short() {
    let lines = document("README.md").text.lines().count();
    assert!(lines < 300, "{lines} lines; what is longer belongs into docs/");
}

/// Asked with a method that it does not take, each address names the one that is told; no other address is there.
#[tokio::test]
async fn every_endpoint_of_the_daemon_is_in_its_table() {
    let rows = reference().table("Endpoints");
    let site = Site::new(Setup { webhook_secret: Some("a secret of so many characters at least"), ..Setup::default() });
    let site = site.await;
    for row in &rows {
        let (method, path) = unquoted(&row[0]).split_once(' ').unwrap();
        let path = path.replace("<uuid>", "123e4567-e89b-12d3-a456-426614174000");
        let other = if method == "GET" { Method::POST } else { Method::GET };
        let (on_doors, on_page) = match unquoted(&row[1]) {
            "daemon.listen" => (true, false),
            "daemon.page_listen" => (false, true),
            "both" => (true, true),
            other => panic!("{other}"),
        };
        for (address, is_there) in [(site.doors, on_doors), (site.page, on_page)] {
            let url = format!("http://{address}{path}");
            let answer = crate::support::forge::client().request(other.clone(), &url).send().await.unwrap();
            let allowed = answer.headers().get("allow").map(|allowed| allowed.to_str().unwrap().to_owned());
            let takes = allowed.is_some_and(|allowed| allowed.split(", ").any(|allowed| allowed == method));
            assert_eq!(takes, is_there, "{method} {url}: {}", answer.status());
        }
    }
    let sources =
        [include_str!("../../../../src/http/ingress.rs"), include_str!("../../../../src/http/pages.rs")].concat();
    let written = sources.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/') && text.len() > 1);
    let of_pages = ["/style.css", "/icon.svg"];
    for path in written.filter(|path| !of_pages.contains(path)) {
        assert!(rows.iter().any(|row| row[0].contains(path)), "{path}");
    }
}

/// Name, type, labels and meaning of a metric, as its table has them.
type Metric = [String; 4];

fn registered() -> Vec<Metric> {
    let text = Metrics::default().render(&snapshot(), &Queue::default());
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let metric = |(name, kind): (&str, &str)| {
        let sample = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let series = text.lines().find(|line| line.starts_with(&sample)).unwrap();
        let labels = series.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        let labels: Vec<String> = labels.filter(|name| *name != "le").map(|name| format!("`{name}`")).collect();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        let help = line(&format!("# HELP {name} "));
        [format!("`{sample}`"), kind.to_owned(), labels, help.trim_end_matches('.').to_owned()]
    };
    types.map(metric).collect()
}

#[test]
fn every_metric_is_in_its_table_and_no_document_names_another() {
    let reported: Vec<Metric> = reference().table("Metrics").into_iter().map(|row| row.try_into().unwrap()).collect();
    assert_eq!(reported, registered());
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    for document in documents() {
        for name in words(&document.text, "lazarus_", is_name) {
            let is_file = name == "lazarus_pit";
            assert!(is_file || reported.iter().any(|row| unquoted(&row[0]) == name), "{}: {name}", document.path);
        }
    }
}
