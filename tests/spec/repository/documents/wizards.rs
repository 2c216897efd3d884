//! A program that a document shows is the file that it links to, byte for byte.

use crate::repository::documents::{Block, documents, repository};
use std::path::Path;

/// The file whose text a block shows: the line before it is a link to it and a colon.
fn shown_file<'a>(block: &Block<'a>) -> Option<&'a str> {
    let target = block.before.strip_suffix("):")?.rsplit_once("](")?.1;
    block.before.starts_with('[').then(|| target.trim_start_matches("../"))
}

#[test]
fn shown_programs_match_their_files() {
    for document in documents() {
        for block in document.blocks() {
            let Some(file) = shown_file(&block) else {
                assert!(!matches!(block.language, "python" | "rust"), "{}: no file is named", document.path);
                continue;
            };
            let text =
                std::fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            if std::env::var_os("BLESS").is_some() {
                let path = repository().join(&document.path);
                let whole = std::fs::read_to_string(&path).unwrap();
                let old = format!("{}\n\n```{}\n{}```", block.before, block.language, block.text);
                let new = format!("{}\n\n```{}\n{text}```", block.before, block.language);
                assert!(whole.contains(&old), "{}: {old}", document.path);
                std::fs::write(path, whole.replace(&old, &new)).unwrap();
            } else {
                assert_eq!(block.text, text, "{} shows {file}; BLESS=1 cargo test writes it anew", document.path);
            }
        }
    }
}

/// Whoever adds a wizard to the repository shows it.
#[test]
fn every_wizard_of_the_repository_is_shown() {
    let wizards = repository().join("config/wizard");
    let documents = documents();
    let page = documents.iter().find(|document| document.path == "docs/wizards.md").unwrap();
    let blocks = page.blocks();
    let shown: Vec<&str> = blocks.iter().filter_map(shown_file).collect();
    for entry in std::fs::read_dir(wizards).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(repository()).unwrap().to_str().unwrap();
        let is_program = Path::new(name).file_stem().is_some_and(|stem| stem == "beat");
        assert!(!is_program || shown.contains(&name), "docs/wizards.md does not show {name}");
    }
}
