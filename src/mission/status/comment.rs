//! Our one comment on an issue, put into words.

use crate::mission::observation::Here;
use crate::mission::record::Happened;
use crate::mission::status::marker::Marker;
use crate::mission::status::templates::fill;
use crate::mission::status::view::{Meaning, Status};
use serde::Serialize;

/// The first line of what is said now.
#[must_use]
pub fn marker(here: &Here, status: &Status) -> Marker {
    let mission = status.meaning.mission;
    Marker { mission, root: mission.and(here.root), host: mission.map(|_| here.host.clone()), digest: status.digest() }
}

/// The whole comment, first line included.
#[must_use]
pub fn render(here: &Here, status: &Status) -> String {
    #[derive(Serialize)]
    struct Context<'a> {
        #[serde(flatten)]
        meaning: &'a Meaning,
        changes: &'a [Happened],
    }
    let context = Context { meaning: &status.meaning, changes: &status.changes };
    format!("{}\n{}\n", marker(here, status), fill("comment.md", &context))
}
