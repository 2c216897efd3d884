//! Renders the dashboard: the fleet page and the mission pages, as HTML without scripts.
//!
//! Users' text is always plain text: the formatter here removes invisible characters from every value that a template
//! prints and escapes it, and no template can switch that off.

pub mod fleet;
pub mod format;
pub mod mission;
pub mod query;
pub mod sort;

use crate::engine::snapshot::Snapshot;
use crate::mission::identity::MissionId;
use crate::mission::text::without_invisible;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, Output, State, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;
use std::sync::LazyLock;

/// The style sheet of both pages; served as `/style.css`.
pub const STYLE: &str = include_str!("../../../templates/style.css");

/// The icon of both pages; served as `/icon.svg`, of the type `image/svg+xml`.
pub const ICON: &str = include_str!("../../../templates/icon.svg");

const FLEET: &str =
    concat!(include_str!("../../../templates/base.html"), include_str!("../../../templates/fleet.html"));
const MISSION: &str =
    concat!(include_str!("../../../templates/base.html"), include_str!("../../../templates/mission.html"));

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(templates);

/// The page at `/`: all missions, sorted and filtered by the raw query string. Unknown keys and values are ignored.
#[must_use]
pub fn fleet(snapshot: &Snapshot, query: &str) -> String {
    fleet_of(snapshot, &query::Query::parse(query))
}

/// The same, for a parsed query.
pub(super) fn fleet_of(snapshot: &Snapshot, query: &query::Query) -> String {
    render("fleet.html", &fleet::FleetPage::new(snapshot, query))
}

/// The page at `/missions/{id}`; none where there is no such mission.
#[must_use]
pub fn mission(snapshot: &Snapshot, id: MissionId) -> Option<String> {
    Some(render("mission.html", &mission::MissionPage::find(snapshot, id)?))
}

fn render(name: &str, context: &impl Serialize) -> String {
    TEMPLATES
        .get_template(name)
        .and_then(|template| template.render(Serde(context)))
        .expect("the embedded template always renders: tests/spec/http/page.rs renders every state")
}

fn templates() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax());
    environment.set_formatter(print);
    environment.remove_filter("safe");
    environment.add_filter("grouped", grouped);
    for (name, source) in [("fleet.html", FLEET), ("mission.html", MISSION)] {
        // The suffix `.html` turns escaping on.
        environment.add_template(name, source).expect("the embedded template always parses: tests/spec/http/page.rs");
    }
    environment
}

/// Removes the blank lines that lines with only a tag would leave.
fn syntax() -> SyntaxConfig {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.expect("the default delimiters are always valid")
}

/// Escapes every value except the output of macros, which minijinja marks as safe.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(without_invisible(text).0)),
        Some(_) | None => escape_formatter(out, state, value),
    }
}

/// Groups digits by thousands: `10,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}
