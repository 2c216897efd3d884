//! Makes untrusted text safe to show: without invisible characters, without active markup, and of bounded length.

use sha2::{Digest, Sha256};
use std::fmt::{self, Write};

/// The most characters of an untrusted text that a comment or a log line shows in one place.
pub const SHOWN_MAX: usize = 80;

/// The most characters of an agent's message that are shown in one place.
pub const MESSAGE_SHOWN_MAX: usize = 200;

/// Removes what a reader cannot see but an agent would read: control characters other than newline
/// and tab, and bidi, zero-width and tag characters. Returns the text and how many were removed.
#[must_use]
pub fn without_invisible(text: &str) -> (String, usize) {
    let (mut kept, mut removed, mut last) = (String::with_capacity(text.len()), 0, None);
    for c in text.chars() {
        if is_invisible(c) || (is_form(c) && !last.is_some_and(has_forms)) {
            removed += 1;
        } else {
            kept.push(c);
            last = Some(c);
        }
    }
    (kept, removed)
}

/// Untrusted text, or a path with untrusted names in it, for terminals: on one line, with invisible and control
/// characters escaped, so that the name stays recognizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printable(String);

impl Printable {
    /// The text, escaped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(escaped(text, |_| false))
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text of several lines for terminals: escaped like [`Printable`], except for newlines and tabs.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let (mut printable, mut last) = (String::with_capacity(text.len()), None);
    for c in text.chars() {
        let is_unseen = c.is_control() || is_invisible(c) || (is_form(c) && !last.is_some_and(has_forms));
        if is_unseen && !is_kept(c) {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
        last = Some(c);
    }
    printable
}

/// The same JSON with control and invisible characters escaped, safe to print on a terminal.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() || is_invisible(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(printable, "\\u{unit:04x}");
            }
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Whether this is one of the two selectors that choose the text or emoji form of a character.
fn is_form(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Whether such a selector may follow this character. A second one, or one after a letter, has no effect, and rows of
/// them can smuggle bytes.
fn has_forms(c: char) -> bool {
    let is_keycap = c.is_ascii_digit() || matches!(c, '#' | '*');
    is_keycap || !(c.is_ascii() || c.is_alphabetic() || c.is_whitespace() || is_form(c))
}

/// The format characters of Unicode that hide or reorder text (Trojan Source, CVE-2021-42574), the tag characters, and
/// the variation selectors that can smuggle bytes; the two that choose an emoji's form are kept after an emoji.
fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0d}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// One line of at most [`SHOWN_MAX`] visible characters; a truncated text ends in `…`.
#[must_use]
pub fn shown(text: &str) -> String {
    one_line(text, SHOWN_MAX)
}

/// One line of at most `chars_max` visible characters; a truncated text ends in `…`.
#[must_use]
pub fn one_line(text: &str, chars_max: usize) -> String {
    let (visible, _) = without_invisible(text);
    cut(visible.split_whitespace().collect::<Vec<_>>().join(" "), chars_max).0
}

/// A text truncated to `chars_max` characters, and whether it was longer; then the last one is `…`.
#[must_use]
pub fn cut(text: String, chars_max: usize) -> (String, bool) {
    if text.chars().count() <= chars_max {
        return (text, false);
    }
    let mut cut: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    cut.push('…');
    (cut, true)
}

/// A human-readable number of bytes: `512 B`, `1.5 GiB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, to avoid floats.
    let mut tenths = bytes / 1_024 * 10 + bytes % 1_024 * 10 / 1_024;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    while tenths >= 10_240 {
        let Some(larger) = units.next() else { break };
        tenths /= 1_024;
        unit = larger;
    }
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

/// A word for a shell, quoted if necessary.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A Markdown code span: inside it `@name`, `#12`, links and HTML are plain text
/// (go-gitea/gitea `modules/references/references.go` skips code).
#[must_use]
pub fn code_span(text: &str) -> String {
    let line = shown(text);
    if line.is_empty() {
        return "(nothing)".to_owned();
    }
    span(&line)
}

/// A code span for an agent's message, which may be longer than other untrusted text.
#[must_use]
pub fn message_span(message: &str) -> String {
    let line = one_line(message, MESSAGE_SHOWN_MAX);
    if line.is_empty() { "(nothing)".to_owned() } else { span(&line) }
}

/// A code span for a trusted path or command, which is never truncated.
#[must_use]
pub fn whole_span(ours: &str) -> String {
    let line = without_invisible(ours).0.replace('\n', " ");
    if line.is_empty() { "(nothing)".to_owned() } else { span(&line) }
}

/// A text with Markdown code spans, for output without Markdown: their contents are quoted instead.
#[must_use]
pub fn quoted_spans(text: &str) -> String {
    let (mut quoted, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('`') {
        let fence = 1 + after.bytes().take_while(|byte| *byte == b'`').count();
        let after = &after[fence - 1..];
        quoted.push_str(before);
        if let Some(end) = closing(after, fence) {
            let (span, next) = (&after[..end], &after[end + fence..]);
            // A space at both ends separates the backticks of the text from those of the span.
            let padded = span.strip_prefix(' ').and_then(|span| span.strip_suffix(' '));
            quoted.extend(["“", padded.unwrap_or(span), "”"]);
            rest = next;
        } else {
            quoted.push_str(&"`".repeat(fence));
            rest = after;
        }
    }
    quoted + rest
}

/// The position of the next run of exactly `fence` backticks.
fn closing(text: &str, fence: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let begin = at + found;
        let run = text[begin..].bytes().take_while(|byte| *byte == b'`').count();
        if run == fence {
            return Some(begin);
        }
        at = begin + run;
    }
    None
}

fn span(line: &str) -> String {
    let fence = "`".repeat(longest_backtick_run(line) + 1);
    let touches = line.starts_with('`') || line.ends_with('`');
    let pad = if touches { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// The length of the longest run of backticks; a longer fence or span can hold the text.
pub(crate) fn longest_backtick_run(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The SHA-256 of a text, in hexadecimal.
#[must_use]
pub fn sha256(text: &str) -> String {
    let mut hexadecimal = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal
}
