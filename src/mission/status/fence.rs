//! Shows a text whole in a Markdown fence: nothing in it can end the fence, and no line is so long that it leaves the page.

use crate::mission::text::longest_backtick_run;

/// The longest line that a fence shows, in characters; a page scrolls sideways beyond that.
pub const LINE_CHARS_MAX: usize = 200;

/// As how many characters a tab counts.
pub const TAB_CHARS: usize = 8;

/// What ends a line that goes on in the next one.
const MARK: char = '↩';

/// The text in a fence that is longer than any run of backticks in it.
#[must_use]
pub fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_backtick_run(text).max(2) + 1);
    let shown = break_mark(text).map_or_else(|| text.to_owned(), |mark| broken(text, &mark));
    format!("{fence}text\n{shown}\n{fence}")
}

/// How much text a fence shows, and where it breaks lines: `2 lines, 450 characters`.
#[must_use]
pub fn extent(text: &str) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (lines, chars) = (count(text.split('\n').count(), "line"), count(text.chars().count(), "character"));
    let marked = break_mark(text).map(|mark| {
        format!("; each line over {LINE_CHARS_MAX} characters is broken at `{mark}`, which is not part of it")
    });
    format!("{lines}, {chars}{}", marked.unwrap_or_default())
}

/// What marks the breaks of a text with long lines. It does not occur in the text, so that without marked breaks the
/// display is the text.
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
