//! Renders the comment templates, with filters for untrusted text, lengths and times.

use crate::mission::status::fence;
use crate::mission::text;
use crate::mission::time::{Timestamp, format_length};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use std::time::Duration;

/// The templates of all comments, by file name.
const TEMPLATES: [(&str, &str); 3] = [
    ("comment.md", include_str!("../../../templates/comment.md")),
    ("alert.md", include_str!("../../../templates/alert.md")),
    ("fleet_alert.md", include_str!("../../../templates/fleet_alert.md")),
];

static ENVIRONMENT: std::sync::LazyLock<Environment<'static>> = std::sync::LazyLock::new(environment);

/// Renders a template, without surrounding blank lines.
pub(crate) fn fill(template: &str, context: &impl Serialize) -> String {
    let rendered = ENVIRONMENT.get_template(template).and_then(|template| template.render(Serde(context))).expect(
        "an embedded template always renders: tests/spec/mission/comment.rs and alerts/words.rs render each case",
    );
    rendered.trim().to_owned()
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax());
    environment.add_filter("code", |text: String| text::code_span(&text));
    environment.add_filter("message", |text: String| text::message_span(&text));
    environment.add_filter("whole", |name: String| text::whole_span(&name));
    environment.add_filter("fenced", |text: String| fence::fenced(&text));
    environment.add_filter("extent", |text: String| fence::extent(&text));
    environment.add_filter("bytes", |bytes: u64| text::format_bytes(bytes));
    environment.add_filter("formatted", formatted_time);
    environment.add_filter("length", |seconds: u64| format_length(Duration::from_secs(seconds)));
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .expect("an embedded template always parses: tests/spec/mission/comment.rs");
    }
    environment
}

/// Lines that hold only a tag leave no blank line.
fn syntax() -> SyntaxConfig {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.expect("the default delimiters are always valid")
}

fn formatted_time(time: &str) -> Result<String, Error> {
    let time = Timestamp::parse(time);
    time.map(Timestamp::formatted).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "not a time"))
}
