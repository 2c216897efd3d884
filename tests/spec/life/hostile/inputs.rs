//! Every hostile input is filed, and one pass of the real binary answers each as it is documented.

use crate::life::hostile::canary::Canary;
use crate::life::hostile::corpus::{Attempt, Filing, OWN, Outcome, filings};
use crate::life::hostile::trace::traced;
use crate::mission::comment::without_code;
use crate::support::forge::Forge;
use crate::support::host::{Host, changes};
use crate::support::repository::Repository;
use lazarus::mission::status::marker::Marker;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// What nobody sees: controls, and what Unicode lets a program leave out (`Default_Ignorable_Code_Point`), but for the
/// two selectors of an emoji's form, with the separators and annotations that no editor shows.
fn is_unseen(c: char) -> bool {
    let ranges = [
        (0x00, 0x08),
        (0x0b, 0x1f),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0d),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfffb),
        (0x1_bca0, 0x1_bca3),
        (0x1_d173, 0x1_d17a),
        (0xe_0000, 0xe_0fff),
    ];
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(c)))
}

/// Files them, four at a time; each with its number.
async fn file(repository: &Repository, filings: Vec<Filing>) -> BTreeMap<i64, Filing> {
    let token = repository.forge.token("reader").to_owned();
    let (mut filed, mut under_way) = (BTreeMap::new(), tokio::task::JoinSet::new());
    for filing in filings {
        let (forge, path, token) = (repository.forge.clone(), format!("{}/issues", repository.path()), token.clone());
        under_way.spawn(async move {
            let issue = json!({ "title": filing.title(), "body": filing.body() });
            let (status, issue) = forge.call_with(&token, Method::POST, &path, issue).await;
            assert_eq!(status, 201, "{filing:?}");
            (issue["number"].as_i64().unwrap(), filing)
        });
        if under_way.len() >= 4 {
            filed.extend(under_way.join_next().await.unwrap());
        }
    }
    filed.extend(under_way.join_all().await);
    filed
}

/// The labels of all issues, by number.
async fn labels(repository: &Repository) -> BTreeMap<i64, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for page in 1.. {
        let path = format!("{}/issues?state=open&type=issues&limit=50&page={page}", repository.path());
        let issues = repository.forge.get(&path).await;
        let issues = issues.as_array().unwrap();
        for issue in issues {
            let names = issue["labels"].as_array().unwrap().iter();
            let names = names.map(|label| label["name"].as_str().unwrap().to_owned()).collect();
            all.insert(issue["number"].as_i64().unwrap(), names);
        }
        if issues.is_empty() {
            break;
        }
    }
    all
}

/// Nothing but code is foreign in a comment: what is left when the code is gone has no markup but ours.
pub(super) fn check_dead(comment: &str, name: &str) {
    assert!(!comment.chars().any(is_unseen), "{name}:\n{comment}");
    let ours = without_code(comment).replace("<details><summary>Last changes</summary>", "").replace("</details>", "");
    for live in ["@", "#", "<", ">", "](", "![", "://", "www.", "|", "&", "evil", "owner", "touch", "ignore", "canary"]
    {
        assert!(!ours.contains(live), "{name} left {live} alive:\n{comment}");
    }
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(values) => values.iter().for_each(|(key, value)| {
            found.push(key);
            strings(value, found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// No text in a file of ours holds anything that nobody sees; every line of a log is a document of its own.
fn check_visible(path: &Path, name: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let documents: Vec<&str> = if path.ends_with("daemon.log") { text.lines().collect() } else { vec![&text] };
    for document in documents {
        let value: Value = serde_json::from_str(document).unwrap();
        let mut found = Vec::new();
        strings(&value, &mut found);
        assert!(!found.iter().any(|text| text.chars().any(is_unseen)), "{name}: {}:\n{document}", path.display());
    }
}

fn check_cell(cell: &Path, attempt: &Attempt, comment: &str) {
    let name = attempt.name();
    for file in ["meta/mission.json", "config/cell.json", "state/heartbeat.json", "logs/daemon.log"] {
        check_visible(&cell.join(file), &name);
    }
    let manifest: Value = serde_json::from_slice(&std::fs::read(cell.join("meta/mission.json")).unwrap()).unwrap();
    let kept = match attempt.field.as_str() {
        "Title" => &manifest["name"],
        "Objective" => &manifest["spec"]["objective"],
        field => &manifest["spec"][field.to_lowercase()],
    };
    assert_eq!(*kept, json!(attempt.kept), "{name}");
    let s = if attempt.removed > 1 { "s" } else { "" };
    let reported =
        format!("- Left out of the cell's files: {} invisible character{s} of title and objective", attempt.removed);
    assert_eq!(comment.lines().any(|line| line == reported), attempt.removed > 0, "{name}:\n{comment}");
    assert_eq!(comment.contains("Left out"), attempt.removed > 0, "{name}:\n{comment}");
}

/// Every field that is named as wrong, with what is said of it.
fn corrections(comment: &str) -> Vec<(&str, &str)> {
    comment.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**: ")).collect()
}

/// Holds the answer to what was filed against what is documented; the mission's cell, if it has one.
fn check(host: &Host, filing: &Filing, labels: &BTreeSet<String>, comment: &str) -> Option<String> {
    let name = filing.0[0].name();
    check_dead(comment, &name);
    let mission = Marker::parse(comment).unwrap().mission;
    let phase: Vec<&str> = labels.iter().filter_map(|label| label.strip_prefix("mission/")).collect();
    let (phase, outcome) = (phase.join(" "), filing.0[0].outcome);
    match outcome {
        Outcome::Refused => {
            assert_eq!((phase.as_str(), mission), ("invalid", None), "{name}:\n{comment}");
            let wrong = corrections(comment);
            let named: Vec<&str> = wrong.iter().map(|(field, _)| *field).collect();
            let expected: Vec<&String> = filing.0.iter().flat_map(|attempt| &attempt.names).collect();
            assert_eq!(named, expected, "{name}:\n{comment}");
            for Attempt { reported, names, .. } in &filing.0 {
                let is_told =
                    wrong.iter().any(|(field, what)| names.contains(&(*field).to_owned()) && what.contains(reported));
                assert!(is_told, "{reported}: {name}:\n{comment}");
            }
            assert!(comment.contains("No cell was created"), "{name}:\n{comment}");
            None
        }
        Outcome::Waits => {
            assert_eq!((phase.as_str(), mission), ("pending", None), "{name}:\n{comment}");
            assert!(comment.contains("**Waiting for"), "{name}:\n{comment}");
            None
        }
        Outcome::Taken | Outcome::Unknown => {
            assert_eq!(phase, "active", "{name}:\n{comment}");
            let cell = mission.unwrap().to_string();
            let is_canonical = cell.len() == 36 && cell.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-'));
            assert!(is_canonical && host.root().join(&cell).is_dir(), "{name}: {cell}");
            assert_eq!(comment.contains("could not be checked out"), outcome == Outcome::Unknown, "{name}");
            check_cell(&host.root().join(&cell), &filing.0[0], comment);
            Some(cell)
        }
    }
}

#[tokio::test]
async fn a_thousand_hostile_inputs_get_their_documented_results() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository_named("missions").await;
    assert_eq!(repository.name, OWN);
    let (host, filings) = (Host::new(), filings());
    let canary = Canary::beside(&host);
    let inputs: usize = filings.iter().map(|filing| filing.0.len()).sum();
    assert!(inputs >= 1_000, "{inputs}");
    let filed = file(&repository, filings).await;
    let more = r#"{ "limits": { "new_cells_per_pass": 2000, "cells_per_author": 2000 } }"#;
    std::fs::write(host.path().join("more.json"), more).unwrap();
    let mut command = host.reconciler(&repository);
    let (run, trace) =
        traced(&host, "a pass over hostile inputs", command.args(["--once", "--config", "more.json"])).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    for posted in [&run.stdout, &run.stderr] {
        let line = posted.lines().find(|line| line.chars().any(is_unseen));
        assert_eq!(line, None, "what is shown on a terminal can be seen");
    }
    let labels = labels(&repository).await;
    let mut cells = BTreeSet::new();
    for (number, filing) in &filed {
        let comment = repository.comment(*number).await;
        cells.extend(check(&host, filing, &labels[number], &comment));
    }
    let made: BTreeSet<String> =
        host.cells().iter().map(|cell| cell.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(made, cells, "there is a cell for each mission that is active, and nothing else");
    canary.check();
    if let Some(trace) = trace {
        trace.check(&host, forge.token("bot"), &canary);
        assert!(trace.changes() > cells.len() * 20 && trace.programs().len() > 20, "{}", trace.changes());
    }
    // A mission whose checkout was slow was pending first: the pass after it confirms the comment that names its root.
    let again = async || {
        let mut pass = host.reconciler(&repository);
        crate::support::host::run(pass.args(["--once", "--json", "--config", "more.json"])).await
    };
    assert_eq!(again().await.code, 0);
    let quiet = again().await;
    assert_eq!((quiet.code, changes(&quiet.json())), (0, 0), "{}", quiet.stderr);
    let line = format!("hostile inputs: {inputs} in {} proposals, {} cells made\n", filed.len(), cells.len());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
