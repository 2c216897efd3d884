//! Which git is new enough.

/// The oldest git that is used. From 2.31 on it takes settings from its environment, so that the token is in no
/// argument list; before 2.38 it may ask other hosts for bundles; and 2.39 is the oldest that distributions still
/// mend: what has been found in its handling of hostile repositories since (CVE-2024-32002, CVE-2025-48384) is put
/// right in Debian 12's 2.39.5, while for anything older nobody would.
pub const FLOOR: GitVersion = GitVersion { major: 2, minor: 39 };

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{major}.{minor}")]
pub struct GitVersion {
    major: u32,
    minor: u32,
}

impl GitVersion {
    /// Reads what `git --version` prints: `git version 2.39.5`, and after it whatever a distribution adds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix("git version ")?.split('.');
        let mut next = || numbers.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()? })
    }
}
