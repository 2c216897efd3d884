//! Renders the status comment of an issue.

use crate::mission::observation::PassContext;
use crate::mission::record::Event;
use crate::mission::status::marker::Marker;
use crate::mission::status::templates::fill;
use crate::mission::status::view::{Status, StatusView};
use serde::Serialize;

/// The first line of the comment for a status.
#[must_use]
pub fn marker(context: &PassContext, status: &Status) -> Marker {
    let mission = status.view.mission;
    Marker {
        mission,
        root: mission.and(context.root),
        host: mission.map(|_| context.host.clone()),
        digest: status.digest(),
    }
}

/// The whole comment, including its first line.
#[must_use]
pub fn render(context: &PassContext, status: &Status) -> String {
    #[derive(Serialize)]
    struct TemplateContext<'a> {
        #[serde(flatten)]
        view: &'a StatusView,
        changes: &'a [Event],
    }
    let filled = fill("comment.md", &TemplateContext { view: &status.view, changes: &status.changes });
    format!("{}\n{filled}\n", marker(context, status))
}
