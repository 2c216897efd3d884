//! Parses an issue's body into the answers by field, so that no answer can be mistaken for another.
//!
//! Gitea pastes answers under `### Label` headings without escaping them
//! (go-gitea/gitea `modules/issue/template/template.go`), so headings count only outside fences, at
//! most once, and in the form's order; a fence ends only at its own opening string.

use crate::mission::proposal::form::{FieldKind, Form, FormField, NO_RESPONSE};
use crate::mission::proposal::problem::Problem;
use std::collections::BTreeMap;

/// The longest language name after the opening backticks of a fence, in bytes.
const LANGUAGE_BYTES_MAX: usize = 24;

/// The answers by field id, with the problems of the body as a whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FormAnswers {
    by_field: BTreeMap<String, String>,
    /// Headings that appear twice or out of order, and unclosed fences.
    pub problems: Vec<Problem>,
    /// Whether the body has any heading of the form, answered or not.
    pub has_headings: bool,
    /// The number of characters outside the answers, except those under headings that are not in the form.
    pub outside: usize,
}

impl FormAnswers {
    /// The answer to a field; `None` if the heading is absent or the answer is empty.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.by_field.get(field).map(String::as_str)
    }

    /// Parses a body. Line ends may be mixed: browsers send `\r\n` inside text areas.
    #[must_use]
    pub fn read(form: &Form, body: &str) -> Self {
        let body = body.replace("\r\n", "\n");
        let mut answers = Self::default();
        let before = &body[..heading_at(&body).unwrap_or(body.len())];
        answers.count_outside(before.trim_start().strip_prefix(form.marker.as_str()).unwrap_or(before));
        let mut furthest = 0;
        for section in sections(form, &body) {
            let Some(position) = section.field else { continue };
            let field = &form.fields[position];
            if answers.by_field.contains_key(&field.id) {
                answers.report(Problem::heading_twice(&field.label));
                continue;
            }
            if position < furthest {
                answers.report(Problem::heading_out_of_order(&field.label));
            }
            furthest = furthest.max(position);
            answers.insert(field, &section);
        }
        answers.has_headings = !answers.by_field.is_empty();
        answers.by_field.retain(|_, answer| !answer.is_empty());
        answers
    }

    /// Adds a problem once, however often it occurs.
    fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn count_outside(&mut self, text: &str) {
        self.outside += text.trim().chars().count();
    }

    fn insert(&mut self, field: &FormField, section: &Section<'_>) {
        if matches!(field.kind, FieldKind::Ticks(_)) {
            section.text.lines().filter(|line| !is_box(line)).for_each(|line| self.count_outside(line));
        }
        let answer = match &section.fence {
            Fence::None => {
                let text = section.text.trim();
                if text == NO_RESPONSE { "" } else { text }
            }
            Fence::Closed { info, inside, after } => {
                if !is_language(info) {
                    self.count_outside(info);
                }
                if !after.trim().is_empty() {
                    self.report(Problem::text_outside_fence(&field.label));
                }
                *inside
            }
            Fence::Open => {
                self.report(Problem::fence_open(&field.label));
                ""
            }
        };
        self.by_field.insert(field.id.clone(), answer.to_owned());
    }
}

/// The text under one heading.
struct Section<'a> {
    /// The field's position in the form; `None` for a heading that is not in the form.
    field: Option<usize>,
    text: &'a str,
    fence: Fence<'a>,
}

enum Fence<'a> {
    None,
    /// The text after the opening backticks, inside the fence, and after it.
    Closed {
        info: &'a str,
        inside: &'a str,
        after: &'a str,
    },
    Open,
}

fn sections<'a>(form: &Form, body: &'a str) -> Vec<Section<'a>> {
    let mut found = Vec::new();
    let mut rest = after_next_heading(body);
    while let Some((label, text)) = rest {
        let position = form.fields.iter().position(|field| field.label == label);
        let may_be_fenced = position.is_none_or(|at| form.fields[at].kind == FieldKind::FencedText);
        let (fence, unfenced) = if may_be_fenced { fence(text) } else { (Fence::None, text) };
        let end = heading_at(unfenced).unwrap_or(unfenced.len());
        let (own, following) = unfenced.split_at(end);
        let fence = match fence {
            Fence::Closed { info, inside, after: _ } => Fence::Closed { info, inside, after: own },
            Fence::None | Fence::Open => fence,
        };
        found.push(Section { field: position, text: own, fence });
        rest = after_next_heading(following);
    }
    found
}

/// The next heading's label, and the text after its line.
fn after_next_heading(text: &str) -> Option<(&str, &str)> {
    let from = &text[heading_at(text)?..];
    let (line, rest) = from.split_once('\n').unwrap_or((from, ""));
    Some((line.strip_prefix("### ")?.trim(), rest))
}

fn heading_at(text: &str) -> Option<usize> {
    if text.starts_with("### ") {
        return Some(0);
    }
    text.find("\n### ").map(|at| at + 1)
}

/// Parses a fenced block, which counts only directly under the heading, where the form puts it. Returns it with the
/// text after it.
fn fence(text: &str) -> (Fence<'_>, &str) {
    let block = text.trim_start_matches('\n');
    let ticks = block.len() - block.trim_start_matches('`').len();
    if ticks < 3 {
        return (Fence::None, text);
    }
    let Some((first, inside)) = block.split_once('\n') else {
        return (Fence::Open, "");
    };
    let closing = &block[..ticks];
    let mut at = 0;
    for line in inside.split_inclusive('\n') {
        if line.trim_end() == closing {
            let text = inside[..at].trim_end_matches('\n');
            let info = first[ticks..].trim();
            return (Fence::Closed { info, inside: text, after: "" }, &inside[at + line.len()..]);
        }
        at += line.len();
    }
    (Fence::Open, "")
}

/// Whether a line is a checkbox.
fn is_box(line: &str) -> bool {
    ["- [ ]", "- [x]", "- [X]"].iter().any(|begin| line.trim_start().starts_with(begin))
}

/// Whether the text after opening backticks is a language name, as forms write it.
fn is_language(info: &str) -> bool {
    info.len() <= LANGUAGE_BYTES_MAX && !info.contains(char::is_whitespace)
}
