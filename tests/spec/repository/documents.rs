//! The documents say what is so: README.md and everything in `docs/` is held against the code and the files.

mod commands;
mod links;
mod tables;
mod wizards;
mod workflow;

use std::path::{Path, PathBuf};

/// A document, freed of HTML comments.
#[derive(Debug)]
struct Document {
    /// Its path in the repository.
    path: String,
    text: String,
}

/// A fenced block: the word after the fence, and what is in it.
#[derive(Debug)]
struct Block<'a> {
    language: &'a str,
    text: String,
    /// The last line before it that is not blank.
    before: &'a str,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(path: &str) -> Document {
    let mut text = std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    while let Some(start) = text.find("<!-- ").filter(|start| text[..*start].ends_with('\n')) {
        let end = text[start..].find("-->").unwrap_or_else(|| panic!("{path}: a comment without an end"));
        text.replace_range(start..start + end + "-->".len(), "");
    }
    Document { path: path.to_owned(), text }
}

/// All of them; a new one in `docs/` is among them by itself.
fn documents() -> Vec<Document> {
    let pages = std::fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.sort_unstable();
    let name = |path: &PathBuf| format!("docs/{}", path.file_name().unwrap().to_str().unwrap());
    let paths = ["README.md".to_owned()].into_iter().chain(pages.iter().map(name));
    let found: Vec<Document> = paths.map(|path| document(&path)).collect();
    assert!(found.len() > 6, "the documents are here: {found:?}");
    found
}

impl Document {
    /// The fenced blocks, those inside a list included.
    fn blocks(&self) -> Vec<Block<'_>> {
        let (mut blocks, mut before) = (Vec::new(), "");
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let Some(language) = line.trim_start().strip_prefix("```") else {
                before = if line.trim().is_empty() { before } else { line };
                continue;
            };
            let inside = lines.by_ref().take_while(|line| line.trim() != "```");
            let unindented = inside.map(|line| line.strip_prefix(indent).unwrap_or(line));
            let text = unindented.flat_map(|line| [line, "\n"]).collect();
            blocks.push(Block { language, text, before });
        }
        blocks
    }

    /// What stands outside of fenced blocks.
    fn prose(&self) -> String {
        let parts = self.text.split("```").step_by(2);
        parts.collect::<Vec<_>>().join("\n")
    }

    /// What stands in back-quotes outside of fenced blocks.
    fn spans(&self) -> Vec<String> {
        self.prose().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// The rows of the first table under a heading, cell by cell.
    fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let found = self.text.split_once(&format!("\n## {heading}\n"));
        let (_, section) = found.unwrap_or_else(|| panic!("{} has no heading {heading}", self.path));
        let section = section.split("\n## ").next().unwrap();
        let lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<Vec<String>> = lines.skip(2).map(cells).collect();
        assert!(!rows.is_empty(), "{heading} has no table");
        rows
    }
}
