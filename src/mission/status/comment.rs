//! Our one comment on an issue, put into words.

use crate::mission::observation::PassContext;
use crate::mission::record::Event;
use crate::mission::status::marker::Marker;
use crate::mission::status::templates::fill;
use crate::mission::status::view::{Status, StatusView};
use serde::Serialize;

/// The first line of what is said now.
#[must_use]
pub fn marker(here: &PassContext, status: &Status) -> Marker {
    let mission = status.view.mission;
    Marker { mission, root: mission.and(here.root), host: mission.map(|_| here.host.clone()), digest: status.digest() }
}

/// The whole comment, first line included.
#[must_use]
pub fn render(here: &PassContext, status: &Status) -> String {
    #[derive(Serialize)]
    struct Context<'a> {
        #[serde(flatten)]
        meaning: &'a StatusView,
        changes: &'a [Event],
    }
    let context = Context { meaning: &status.view, changes: &status.changes };
    format!("{}\n{}\n", marker(here, status), fill("comment.md", &context))
}
