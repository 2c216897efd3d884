//! The oldest supported version of git.

/// The oldest git in use. Since 2.31 it takes configuration from its environment, so that the token is in no argument
/// list; before 2.38 it may fetch bundles from other hosts; 2.39 is the oldest that distributions still maintain: later
/// CVEs of hostile repositories (CVE-2024-32002, CVE-2025-48384) are fixed in Debian 12's 2.39.5, but in nothing older.
pub const FLOOR: GitVersion = GitVersion { major: 2, minor: 39 };

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{major}.{minor}")]
pub struct GitVersion {
    major: u32,
    minor: u32,
}

impl GitVersion {
    /// Parses the output of `git --version`: `git version 2.39.5`, with any suffix of a distribution.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix("git version ")?.split('.');
        let mut next = || numbers.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()? })
    }
}
