//! Our one comment on an issue, put into words.

use crate::mission::marker::Marker;
use crate::mission::meaning::{Meaning, Status};
use crate::mission::observation::Here;
use crate::mission::record::Happened;
use crate::mission::text;
use crate::mission::time::{Timestamp, spoken_length};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use std::sync::LazyLock;
use std::time::Duration;

const TEMPLATE: &str = include_str!("../../templates/comment.md");

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(templates);

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
    let words = TEMPLATES
        .get_template("comment.md")
        .and_then(|template| template.render(Serde(&context)))
        .expect("the embedded template always renders: tests/spec/comment.rs renders every situation");
    format!("{}\n{}\n", marker(here, status), words.trim())
}

fn templates() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax());
    environment.add_filter("code", |text: String| text::code_span(&text));
    environment.add_filter("whole", |ours: String| text::whole_span(&ours));
    environment.add_filter("bytes", |bytes: u64| text::spoken_bytes(bytes));
    environment.add_filter("spoken", spoken);
    environment.add_filter("length", |seconds: u64| spoken_length(Duration::from_secs(seconds)));
    environment
        .add_template("comment.md", TEMPLATE)
        .expect("the embedded template always parses: tests/spec/comment.rs");
    environment
}

/// Lines that hold only a tag leave no blank line behind.
fn syntax() -> SyntaxConfig {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.expect("the default delimiters are always valid")
}

fn spoken(time: &str) -> Result<String, Error> {
    let time = Timestamp::parse(time);
    time.map(Timestamp::spoken).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "not a time"))
}
