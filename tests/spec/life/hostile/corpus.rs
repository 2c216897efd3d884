//! What strangers write into the form, and what becomes of each: `tests/fixtures/hostile.json`.

use crate::support::missions::body;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A repository that is the issue's own, for the refs.
pub(super) const OWN: &str = "owner/missions";

/// The fields of one line, in the form's order.
const FIELDS: [&str; 6] = ["Repository", "Ref", "Stale after", "Wizard", "Host", "Existing cell"];

/// What becomes of an input.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The answer needs correcting, and no cell is made.
    Refused,
    /// It is text, or no answer, and the cell is made.
    Taken,
    /// The cell is made, and its worktree cannot be had.
    Unknown,
    /// Another host, or an approval, has to come first.
    Waits,
}

#[derive(Deserialize)]
struct Group {
    kind: String,
    field: String,
    outcome: Outcome,
    /// What is wrong, where it is refused.
    #[serde(default)]
    reported: String,
    /// Which fields are named then, where it is not the one that it was written into.
    names: Option<Vec<String>>,
    /// Whether it goes under the heading as it is, also where the form puts a block of text.
    #[serde(default)]
    raw: bool,
    inputs: Vec<Input>,
}

/// An input that is refused; or one with what is kept of it and how many invisible characters are not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Refused(Text),
    Kept(Text, Option<Text>, usize),
}

/// Long ones are told by what they consist of.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Run { of: String, times: usize },
}

impl Text {
    fn written_out(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Run { of, times } => of.repeat(times),
        }
    }
}

/// One input.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) kind: String,
    pub(super) field: String,
    pub(super) text: String,
    pub(super) outcome: Outcome,
    pub(super) reported: String,
    pub(super) names: Vec<String>,
    /// What the cell's files say of it.
    pub(super) kept: Option<String>,
    /// How many invisible characters they lack.
    pub(super) removed: usize,
    raw: bool,
    /// Whether it has to be filed by itself.
    is_alone: bool,
}

impl Attempt {
    /// For whoever has to find it.
    pub(super) fn name(&self) -> String {
        let text: String = self.text.chars().take(60).collect();
        format!("{} in {}: {text:?}", self.kind, self.field)
    }

    /// What stands under its heading.
    fn written(&self) -> String {
        if self.field == "Objective" && !self.raw { format!("```text\n{}\n```", self.text) } else { self.text.clone() }
    }
}

/// Attempts that are made at once, each in a field of its own, in the form's order.
#[derive(Clone, Debug)]
pub(super) struct Filing(pub(super) Vec<Attempt>);

impl Filing {
    pub(super) fn title(&self) -> &str {
        let title = self.0.iter().find(|attempt| attempt.field == "Title");
        title.map_or("Mission: raise the dead", |attempt| &attempt.text)
    }

    pub(super) fn body(&self) -> String {
        // A ref is one of a repository.
        let own = ("Repository", OWN.to_owned());
        let needs_own = self.0.iter().all(|attempt| attempt.field != "Repository");
        let written = self.0.iter().map(|attempt| (attempt.field.as_str(), attempt.written()));
        let has_ref = self.0.iter().any(|attempt| attempt.field == "Ref");
        let answers: Vec<(&str, String)> = written.chain((needs_own && has_ref).then_some(own)).collect();
        body(&answers.iter().map(|(field, text)| (*field, text.as_str())).collect::<Vec<_>>())
    }
}

/// All of them; what is refused by one field alone is filed together with what the others refuse, so that all of it has
/// to be told at once.
pub(super) fn filings() -> Vec<Filing> {
    let (mut together, mut filings): (BTreeMap<usize, Vec<Attempt>>, Vec<Filing>) = Default::default();
    let mut counts = BTreeMap::<String, usize>::new();
    for attempt in attempts() {
        let is_shared =
            attempt.outcome == Outcome::Refused && !attempt.is_alone && FIELDS.contains(&attempt.field.as_str());
        if is_shared {
            let count = counts.entry(attempt.field.clone()).or_default();
            together.entry(*count).or_default().push(attempt);
            *count += 1;
        } else {
            filings.push(Filing(vec![attempt]));
        }
    }
    let place = |attempt: &Attempt| FIELDS.iter().position(|field| *field == attempt.field);
    filings.extend(together.into_values().map(|mut attempts| {
        attempts.sort_by_key(place);
        Filing(attempts)
    }));
    filings
}

/// All of them, each once.
fn attempts() -> Vec<Attempt> {
    let groups: Vec<Group> = serde_json::from_str(include_str!("../../../fixtures/hostile.json")).unwrap();
    let mut attempts = Vec::new();
    for Group { kind, field, outcome, reported, names, raw, inputs } in groups {
        let is_alone = names.is_some();
        let names = names.unwrap_or_else(|| vec![field.clone()]);
        for input in inputs {
            let (text, kept, removed) = match input {
                Input::Refused(text) => (text, None, 0),
                Input::Kept(text, kept, removed) => (text, kept, removed),
            };
            let (kind, field, reported, names) = (kind.clone(), field.clone(), reported.clone(), names.clone());
            let (text, kept) = (text.written_out(), kept.map(Text::written_out));
            attempts.push(Attempt { kind, field, text, outcome, reported, names, kept, removed, raw, is_alone });
        }
    }
    let distinct: BTreeSet<_> = attempts.iter().map(|attempt| (&attempt.field, attempt.raw, &attempt.text)).collect();
    assert_eq!(distinct.len(), attempts.len(), "none is there twice");
    attempts
}
