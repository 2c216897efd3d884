//! Every link and every file name in the documents leads somewhere.

use crate::repository::documents::{Document, document, documents, repository};
use lazarus::mission::cell::Part;
use std::path::Path;

/// The targets of links and pictures.
fn targets(document: &Document) -> Vec<String> {
    let prose = document.prose();
    let found = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    found.collect()
}

/// A heading's anchor, as Gitea makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(document: &Document) -> Vec<String> {
    let prose = document.prose();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// A path from a document, seen from the repository.
fn resolved(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop().unwrap_or_else(|| panic!("{from}: `{path}` leads out of the repository"));
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut count = 0;
    for here in documents() {
        for target in targets(&here).iter().filter(|target| !target.starts_with("https://")) {
            let (path, wanted) = target.split_once('#').map_or((target.as_str(), None), |(path, id)| (path, Some(id)));
            let path = if path.is_empty() { here.path.clone() } else { resolved(&here.path, path) };
            assert!(repository().join(&path).exists(), "{}: there is no `{path}`", here.path);
            if let Some(wanted) = wanted {
                let found = anchors(&document(&path));
                assert!(found.iter().any(|found| found == wanted), "{}: `{target}`: {found:?}", here.path);
            }
            count += 1;
        }
    }
    assert!(count > 40, "the links are found: {count}");
}

#[test]
fn every_document_is_linked_from_the_readme() {
    let linked = targets(&document("README.md"));
    for document in documents().iter().filter(|document| document.path != "README.md") {
        assert!(linked.contains(&document.path), "{}", document.path);
    }
}

/// Whether a name in back-quotes is meant as one of the repository's files.
fn is_of_the_repository(span: &str) -> bool {
    let is_path = span.chars().all(|c| c.is_ascii_alphanumeric() || "./_-*".contains(c));
    let is_of_a_cell = Part::ALL.iter().any(|part| part.path().trim_end_matches('/') == span.trim_end_matches('/'));
    let roots = ["src/", "tests/", "config/", "docs/", "templates/", ".gitea/", ".ci/"];
    let is_source = Path::new(span).extension().is_some_and(|ending| ending == "rs");
    is_path && !is_of_a_cell && (is_source || roots.iter().any(|root| span.starts_with(root)))
}

#[test]
fn every_repository_file_that_is_named_exists() {
    let mut count = 0;
    for document in documents() {
        for span in document.spans().into_iter().filter(|span| is_of_the_repository(span)) {
            let path = span.split('*').next().unwrap();
            let is_there = repository().join(path).exists() || repository().join("src").join(path).exists();
            assert!(is_there, "{}: there is no `{span}`", document.path);
            count += 1;
        }
    }
    assert!(count > 20, "they are found: {count}");
}

/// Large pictures make the front door slow.
#[test]
fn every_picture_is_small_and_shown() {
    let shown: Vec<String> = documents().iter().flat_map(targets).collect();
    for entry in std::fs::read_dir(repository().join("docs/images")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(entry.metadata().unwrap().len() < 200_000, "{name}");
        assert!(shown.iter().any(|target| target.ends_with(&format!("images/{name}"))), "{name} is shown nowhere");
    }
}
