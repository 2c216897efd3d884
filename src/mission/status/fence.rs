//! Shows untrusted text in full in a Markdown fence that the text cannot end, with long lines broken visibly.

use crate::mission::text::longest_backtick_run;

/// The longest line in a fence, in characters; Gitea scrolls longer ones sideways.
pub const LINE_CHARS_MAX: usize = 200;

/// The width of a tab, in characters.
pub const TAB_CHARS: usize = 8;

/// The mark at the end of a broken line.
const MARK: char = '↩';

/// The text in a fence with more backticks than any run of them in the text.
#[must_use]
pub fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_backtick_run(text).max(2) + 1);
    let shown = break_mark(text).map_or_else(|| text.to_owned(), |mark| broken(text, &mark));
    format!("{fence}text\n{shown}\n{fence}")
}

/// The amount of text in a fence, and the mark of broken lines: `2 lines, 450 characters`.
#[must_use]
pub fn extent(text: &str) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (lines, chars) = (count(text.split('\n').count(), "line"), count(text.chars().count(), "character"));
    let marked = break_mark(text).map(|mark| {
        format!("; each line over {LINE_CHARS_MAX} characters is broken at `{mark}`, which is not part of it")
    });
    format!("{lines}, {chars}{}", marked.unwrap_or_default())
}

/// The mark for broken lines of a text that has long ones. It does not occur in the text, so removing all marked breaks
/// restores the text.
#[must_use]
pub fn break_mark(text: &str) -> Option<String> {
    if text.split('\n').all(|line| line.chars().map(width).sum::<usize>() <= LINE_CHARS_MAX) {
        return None;
    }
    if !text.contains(MARK) {
        return Some(MARK.to_string());
    }
    (1..=text.len()).map(|number| format!("{MARK}{number}")).find(|mark| !text.contains(mark))
}

fn broken(text: &str, mark: &str) -> String {
    let mut shown = String::with_capacity(text.len() + text.len() / 16);
    let mut filled = 0;
    for c in text.chars() {
        if c == '\n' {
            filled = 0;
        } else if filled + width(c) > LINE_CHARS_MAX {
            shown.push_str(mark);
            shown.push('\n');
            filled = width(c);
        } else {
            filled += width(c);
        }
        shown.push(c);
    }
    shown
}

fn width(c: char) -> usize {
    if c == '\t' { TAB_CHARS } else { 1 }
}
