//! What a reader copies out of the documents works: shells take it, our programs know it, settings load.

use crate::repository::documents::{Block, documents};
use clap::{CommandFactory, Parser};
use lazarus::cli::arguments::{Pit, Reconcile};
use lazarus::config::{Environment, Flags, Settings};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Every block in one of these languages, with the path of its document.
fn blocks(languages: &[&str], check: impl Fn(&str, &Block<'_>)) {
    let mut count = 0;
    for document in documents() {
        for block in document.blocks().iter().filter(|block| languages.contains(&block.language)) {
            check(&document.path, block);
            count += 1;
        }
    }
    assert!(count > 3, "the blocks are found: {count}");
}

/// The simple commands of a line of shell, word by word.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("a quote without an end: {line}"));
    let ends = |word: &String| matches!(word.as_str(), "&&" | "||" | ";" | "|" | "&" | ">" | "<");
    words.split(ends).map(<[String]>::to_vec).collect()
}

/// Our programs parse what begins with their names, also behind `sudo -u SOMEBODY` and `runuser -u SOMEBODY --`.
fn check_ours(path: &str, words: &[String]) {
    let after = |words: &[String], first: &[&str], count: usize| {
        let is_it = words.first().is_some_and(|word| first.contains(&word.as_str()));
        if is_it { count } else { 0 }
    };
    let words = &words[after(words, &["sudo", "runuser"], 1)..];
    let words = &words[after(words, &["-u"], 2)..];
    let words = &words[after(words, &["--"], 1)..];
    let outcome = match words.first().map(String::as_str) {
        Some("lazarus-reconcile") => Reconcile::try_parse_from(words).map(drop),
        Some("lazarus-pit") => Pit::try_parse_from(words).map(drop),
        Some(_) | None => Ok(()),
    };
    outcome.unwrap_or_else(|error| panic!("{path}: `{}`: {error}", words.join(" ")));
}

#[test]
fn shell_blocks_parse_and_their_commands_are_known() {
    blocks(&["sh"], |path, block| {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(block.text.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "{path}: {}\n{}", block.text, String::from_utf8_lossy(&output.stderr));
        for line in block.text.replace("\\\n", " ").lines() {
            for words in simple_commands(line) {
                check_ours(path, &words);
            }
        }
    });
}

#[test]
fn every_block_is_in_a_checked_language() {
    let known = ["sh", "yaml", "json", "text", "mermaid", "python", "rust"];
    for document in documents() {
        for block in document.blocks() {
            assert!(known.contains(&block.language), "{}: a block of `{}`", document.path, block.language);
        }
    }
}

/// Commands within a sentence leave placeholders, so only their names and their flags are looked at.
#[test]
fn every_command_in_prose_exists() {
    let mut count = 0;
    for document in documents() {
        for span in document.spans() {
            let mut words = span.split_whitespace().map(|word| word.trim_start_matches('['));
            let root = match words.next() {
                Some("lazarus-reconcile") => Reconcile::command(),
                Some("lazarus-pit") => Pit::command(),
                Some(_) | None => continue,
            };
            let mut command = &root;
            for word in words.take_while(|word| *word != "--") {
                if let Some(flag) = word.strip_prefix("--") {
                    let flag = flag.trim_end_matches(']');
                    let is_known = command.get_arguments().any(|argument| argument.get_long() == Some(flag));
                    assert!(is_known, "{}: `{span}`: no flag --{flag}", document.path);
                } else if std::ptr::eq(command, &raw const root) && word.chars().all(|c| c.is_ascii_lowercase()) {
                    let found = root.find_subcommand(word);
                    command = found.unwrap_or_else(|| panic!("{}: `{span}`: no command {word}", document.path));
                }
            }
            count += 1;
        }
    }
    assert!(count > 20, "they are found: {count}");
}

/// A flag on its own is a flag of one of our commands.
#[test]
fn every_flag_in_prose_exists() {
    let mut known = Vec::new();
    for root in [Reconcile::command(), Pit::command()] {
        let commands = root.get_subcommands().chain([&root]);
        let flags = commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long);
        known.extend(flags.map(|flag| format!("--{flag}")));
    }
    for document in documents() {
        for span in document.spans().into_iter().filter(|span| span.starts_with("--")) {
            for flag in span.split_whitespace().filter(|word| word.starts_with("--")) {
                assert!(known.iter().any(|known| known == flag), "{}: `{span}`", document.path);
            }
        }
    }
}

/// Whatever is YAML or JSON and no workflow is a settings file.
#[test]
fn every_configuration_example_loads() {
    let directory = tempfile::tempdir().unwrap();
    blocks(&["yaml", "json"], |path, block| {
        let parsed: Value = serde_yaml::from_str(&block.text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(parsed.get("jobs").is_none(), "{path}: a workflow has its place in `.gitea/workflows/`");
        let file = directory.path().join(format!("settings.{}", block.language));
        std::fs::write(&file, &block.text).unwrap();
        let loaded = Settings::load(&Flags { config: Some(file), ..Flags::default() }, &Environment::default());
        loaded.unwrap_or_else(|error| panic!("{path}: {error}\n{}", block.text));
    });
}
