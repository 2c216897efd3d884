//! Texts for users speak the field's language: phrases that readers would have to learn are found in all of them.

use std::path::{Path, PathBuf};

/// What no text for users says. A phrase is found as whole words, in any case, also across lines.
const BANNED: [&str; 40] = [
    "a person must act",
    "a stranger",
    "an alarm",
    "anew",
    "are told",
    "at once",
    "be had",
    "beaten for",
    "beats for",
    "but for",
    "by itself",
    "by themselves",
    "defect of this program",
    "for ever",
    "from elsewhere",
    "has beaten",
    "is gone",
    "is looked at",
    "is spoken",
    "is told",
    "made again",
    "no room",
    "nobody else",
    "not well",
    "put into words",
    "put right",
    "says so",
    "settings file",
    "somebody who",
    "taken off",
    "that nobody",
    "the alarm",
    "the forge",
    "the page of",
    "the settings",
    "the verdict",
    "was told",
    "were told",
    "whoever",
    "wizard beats",
];

/// Where a banned phrase stays: the place, the phrase, and the reason.
const EXCEPTIONS: [(&str, &str, &str); 5] = [
    (".gitea/ISSUE_TEMPLATE/mission-proposal.yaml", "whoever", "an option of the form: filed issues are read by it"),
    ("tests/fixtures/comments.md", "whoever", "the comment quotes that option"),
    ("src/mission/status/former_words.rs", "the forge", "earlier wordings, which only digests use"),
    ("src/mission/status/label.rs", "has beaten", "a description by an earlier version, which `install` replaces"),
    ("src/mission/status/label.rs", "wizard beats", "a description by an earlier version, which `install` replaces"),
];

/// What is read: a file, or a directory with everything below it, and the endings of names that count there.
const PLACES: [(&str, &[&str]); 7] = [
    ("README.md", &["md"]),
    ("docs", &["md"]),
    ("templates", &["md", "html", "css", "svg"]),
    (".gitea", &["yaml"]),
    ("config", &[]),
    ("tests/fixtures", &["md", "txt"]),
    ("src", &["rs"]),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a place, by their paths in the repository.
fn files(place: &str, endings: &[&str]) -> Vec<String> {
    let (mut left, mut found): (Vec<PathBuf>, Vec<String>) = (vec![repository().join(place)], Vec::new());
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if endings.is_empty() || endings.contains(&ending) {
            found.push(path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(!found.is_empty(), "{place} holds no text");
    found.sort_unstable();
    found
}

/// A file's path and its text.
fn texts() -> Vec<(String, String)> {
    let paths = PLACES.iter().flat_map(|(place, endings)| files(place, endings));
    paths.map(|path| (path.clone(), std::fs::read_to_string(repository().join(path)).unwrap())).collect()
}

/// The end of a block comment that starts here; such comments may hold others.
fn after_block(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Behind a character literal, or behind the quote of a lifetime.
fn after_quote(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => (start + 3..chars.len()).find(|at| chars[*at] == '\'').map_or(chars.len(), |at| at + 1),
        (_, Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// The text of a string that starts behind its quote, and where it ends.
fn string(chars: &[char], start: usize) -> (String, usize) {
    let (mut text, mut at) = (String::new(), start);
    while at < chars.len() && chars[at] != '"' {
        if chars[at] != '\\' {
            text.push(chars[at]);
            at += 1;
            continue;
        }
        match chars.get(at + 1) {
            Some('\n') => {
                at += 1;
                while chars.get(at).is_some_and(|c| c.is_whitespace()) {
                    at += 1;
                }
                continue;
            }
            Some('n' | 'r' | 't' | 'u' | 'x') => text.push(' '),
            Some(escaped) => text.push(*escaped),
            None => {}
        }
        at += 2;
    }
    (text, at + 1)
}

/// The text of a raw string whose `r` is here, and where it ends; none where it is a name.
fn raw_string(chars: &[char], start: usize) -> Option<(String, usize)> {
    let is_name = |at: usize| chars[at].is_alphanumeric() || chars[at] == '_';
    let first = if start > 0 && matches!(chars[start - 1], 'b' | 'c') { start - 1 } else { start };
    if first > 0 && is_name(first - 1) {
        return None;
    }
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let begin = start + 1 + hashes;
    if chars.get(begin) != Some(&'"') {
        return None;
    }
    let closes =
        |at: &usize| chars[*at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let end = (begin + 1..chars.len()).find(closes)?;
    Some((chars[begin + 1..end].iter().collect(), end + 1 + hashes))
}

/// Whether the literal that starts here is the reason of a lint's attribute, which is for developers.
fn is_reason(chars: &[char], start: usize) -> bool {
    let before = chars[..start].iter().rev().filter(|c| !c.is_whitespace());
    before.take(8).eq(",reason=".chars().rev().collect::<Vec<_>>().iter())
}

/// The string literals of a Rust source; its comments and the reasons of its lints are not among them.
fn literals(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        at = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => (at..chars.len()).find(|at| chars[*at] == '\n').unwrap_or(chars.len()),
            ('/', Some('*')) => after_block(&chars, at),
            ('\'', _) => after_quote(&chars, at),
            ('"', _) => {
                let (text, end) = string(&chars, at + 1);
                if !is_reason(&chars, at) {
                    found.push(text);
                }
                end
            }
            ('r', Some('"' | '#')) => match raw_string(&chars, at) {
                Some((text, end)) => {
                    found.push(text);
                    end
                }
                None => at + 1,
            },
            _ => at + 1,
        };
    }
    found
}

/// What a reader meets: of sources the literals, of anything else the whole text. In lower case, with one space between
/// words, and without the marks that begin a line of a comment.
fn as_read(path: &str, text: &str) -> String {
    let is_source = path.starts_with("src/");
    let text = if is_source { literals(text).join("\n;\n") } else { text.to_owned() };
    let is_mark = |c: char| c.is_whitespace() || "#>/*!".contains(c);
    let words = text.lines().map(|line| line.trim_start_matches(is_mark)).flat_map(str::split_whitespace);
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// Each banned phrase in a text, with the words around it.
fn banned(path: &str, text: &str) -> Vec<(&'static str, String)> {
    let text = as_read(path, text);
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut found = Vec::new();
    for phrase in BANNED {
        for (at, _) in text.match_indices(phrase) {
            let (before, after) = (&text[..at], &text[at + phrase.len()..]);
            if before.chars().next_back().is_some_and(is_word) || after.chars().next().is_some_and(is_word) {
                continue;
            }
            let before: Vec<char> = before.chars().rev().take(40).collect();
            let before: String = before.into_iter().rev().collect();
            found.push((phrase, format!("…{before}{phrase}{}…", after.chars().take(30).collect::<String>())));
        }
    }
    found
}

fn is_exception(path: &str, phrase: &str) -> bool {
    EXCEPTIONS.iter().any(|(place, excepted, _)| *place == path && *excepted == phrase)
}

#[test]
fn no_text_for_users_holds_a_banned_phrase() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        let phrases = banned(&path, &text).into_iter().filter(|(phrase, _)| !is_exception(&path, phrase));
        found.extend(phrases.map(|(phrase, around)| format!("{path}: \"{phrase}\": {around}")));
    }
    assert!(found.is_empty(), "{} banned phrases:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_exception_is_needed_and_has_a_reason() {
    let texts = texts();
    for (place, phrase, reason) in EXCEPTIONS {
        let (_, text) = texts.iter().find(|(path, _)| path == place).unwrap_or_else(|| panic!("there is no {place}"));
        assert!(banned(place, text).iter().any(|(found, _)| *found == phrase), "{place} does not hold \"{phrase}\"");
        assert!(BANNED.contains(&phrase) && reason.len() > 10, "{place}: {phrase}");
    }
}

/// Each place is read whole: a phrase at the end of any file is found, and of a source only in its literals.
#[test]
fn a_banned_phrase_is_found_in_every_text() {
    for (path, text) in texts() {
        let count = |text: &str| banned(&path, text).iter().filter(|(phrase, _)| *phrase == "put right").count();
        let before = count(&text);
        if path.starts_with("src/") {
            for literal in
                ["\"It is Put \\\n   right.\"", "r#\"\"is put\n right\"\"#", "b\"\\\"put right\"", "(r\"put right\")"]
            {
                let planted = format!("{text}\nconst PLANTED: &str = {literal};\n");
                assert_eq!(count(&planted), before + 1, "{path}: {literal}");
            }
            let commented = format!(
                "{text}\n// it is \"put right\"\n/* /* \"put right\" */ \"put right\" */\nfn put_right() {{}}\n"
            );
            assert_eq!(count(&commented), before, "{path}: comments are for developers");
        } else {
            assert_eq!(count(&format!("{text}\n# It is Put\n# right.\n")), before + 1, "{path}");
            assert_eq!(
                count(&format!("{text}\ninput right, put-right, put rights\n")),
                before,
                "{path}: whole words only"
            );
        }
    }
}

#[test]
fn string_literals_are_distinguished_from_chars_and_lifetimes() {
    let source = r##"
        fn first<'a>(text: &'a str) -> char { if text == "one \"two\"" { '"' } else { '\'' } }
        // "not this" and 'neither
        #[allow(dead_code, reason = "nor \"this\"")] const REASON: &str = "zero";
        const RAW: &str = r#"three "four" \"#;
        fn r#for(bar: char) -> bool { bar == '\u{22}' || bar == 'r' }
        const BYTES: &[u8] = b"five"; const OF_C: &CStr = c"six"; const PAIR: (&[u8], &str) = (br"seven\", "eight\\");
    "##;
    assert_eq!(literals(source), ["one \"two\"", "zero", "three \"four\" \\", "five", "six", "seven\\", "eight\\"]);
}
