//! Parses and formats the first line of the status comment, which identifies mission, root and host.

use crate::mission::identity::{HostName, MissionId, RootId};
use std::fmt;

/// The comment's first line. Gitea's page hides it, its API returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The mission, if the issue has a cell.
    pub mission: Option<MissionId>,
    /// The root that holds the cell.
    pub root: Option<RootId>,
    /// The host that holds the cell.
    pub host: Option<HostName>,
    /// The digest of the published status.
    pub digest: String,
}

impl Marker {
    /// Parses the first line of a comment; none unless it has exactly this format.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let line = body.lines().next()?.trim_end();
        let fields = line.strip_prefix("<!-- lazarus:status v1 ")?.strip_suffix(" -->")?;
        let mut fields = fields.split(' ');
        let mut value = |key: &str| fields.next()?.strip_prefix(key)?.strip_prefix('=');
        let (mission, root) = (value("mission")?, value("root")?);
        let (host, digest) = (value("host")?, value("digest")?);
        let is_complete = fields.next().is_none() && digest.chars().all(|c| c.is_ascii_hexdigit());
        if !is_complete {
            return None;
        }
        Some(Self {
            mission: optional(mission, MissionId::parse).ok()?,
            root: optional(root, RootId::parse).ok()?,
            host: optional(host, HostName::parse).ok()?,
            digest: digest.to_owned(),
        })
    }
}

/// Parses `none` or a value.
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
