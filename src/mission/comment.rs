//! Our one comment on an issue: its first line, by which we know it again, and its words.

use crate::mission::identity::{HostName, MissionId, RootId};
use crate::mission::observation::{Here, Observation};
use crate::mission::record::Happened;
use crate::mission::status::{Meaning, Status};
use crate::mission::text;
use crate::mission::time::{Timestamp, spoken_length};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

const TEMPLATE: &str = include_str!("../../templates/comment.md");

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(templates);

/// The comment's first line. The sanitizer of the forge's page hides it, the API keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The mission, where the issue has a cell.
    pub mission: Option<MissionId>,
    /// The root that holds the cell.
    pub root: Option<RootId>,
    /// The host that holds the cell.
    pub host: Option<HostName>,
    /// The digest of what the comment means.
    pub digest: String,
}

impl Marker {
    /// The marker of what we say now.
    #[must_use]
    pub fn of(observation: &Observation, status: &Status) -> Self {
        Self::here(&observation.here, status)
    }

    fn here(here: &Here, status: &Status) -> Self {
        let mission = status.meaning.mission;
        Self {
            mission,
            root: mission.and(here.root),
            host: mission.map(|_| here.host.clone()),
            digest: status.digest(),
        }
    }

    /// Reads the first line of a comment; anything that is not exactly ours is none.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let line = body.lines().next()?.trim_end();
        let fields = line.strip_prefix("<!-- lazarus:status v1 ")?.strip_suffix(" -->")?;
        let mut fields = fields.split(' ');
        let mut value = |key: &str| fields.next()?.strip_prefix(key)?.strip_prefix('=');
        let (mission, root) = (value("mission")?, value("root")?);
        let (host, digest) = (value("host")?, value("digest")?);
        Some(Self {
            mission: optional(mission, MissionId::parse).ok()?,
            root: optional(root, RootId::parse).ok()?,
            host: optional(host, HostName::parse).ok()?,
            digest: digest.to_owned(),
        })
    }
}

/// `none`, or a value.
fn optional<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, E> {
    if text == "none" { Ok(None) } else { parse(text).map(Some) }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mission, root, host, digest } = self;
        let (mission, root, host) = (or_none(mission.as_ref()), or_none(root.as_ref()), or_none(host.as_ref()));
        write!(f, "<!-- lazarus:status v1 mission={mission} root={root} host={host} digest={digest} -->")
    }
}

fn or_none<T: fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
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
    format!("{}\n{}\n", Marker::here(here, status), words.trim())
}

fn templates() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax());
    environment.add_filter("code", |text: String| text::code_span(&text));
    environment.add_filter("whole", |ours: String| text::whole_span(&ours));
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
