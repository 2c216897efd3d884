//! Validated names and ids: each is parsed once, where it enters.

use crate::mission::text::without_invisible;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

/// A repository's number on its forge; it survives a rename, the name does not.
pub type RepositoryId = i64;

/// An issue's id, unique on its whole forge; an issue's number is unique only in its repository.
pub type IssueId = i64;

/// Why a text is not a value of one of these types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct NotA {
    /// The text as given.
    pub text: String,
    /// The expected form, with an example.
    pub wanted: &'static str,
}

impl NotA {
    /// An error about a text and the form that it does not have.
    pub(crate) fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.to_owned(), wanted }
    }
}

/// Implements the text form of a newtype in JSON and on the command line, always through its parser.
macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = $crate::mission::identity::NotA;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}
pub(crate) use as_text;

/// The name of a cell's directory: a UUID, printed in lower case with hyphens, and never nil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct MissionId(Uuid);
as_text!(MissionId);

impl MissionId {
    /// Accepts exactly the hyphenated form, in either case: 36 characters.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "a UUID such as `123e4567-e89b-12d3-a456-426614174000`";
        parse_hyphenated(text).map(Self).ok_or_else(|| NotA::new(text, wanted))
    }

    /// The id of the mission that an issue asks for. The same issue always gives the same id, and
    /// two issues never share one: the name hashed is the forge, the repository's id and the issue's id.
    #[must_use]
    pub fn of_issue(forge: &ForgeUrl, repository: RepositoryId, issue: IssueId) -> Self {
        let name = format!("{forge}/repositories/{repository}/issues/{issue}");
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }
}

/// The id of a missions root, generated when the root is initialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct RootId(Uuid);
as_text!(RootId);

impl RootId {
    /// Accepts exactly the hyphenated form.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "a root id such as `123e4567-e89b-12d3-a456-426614174000`";
        parse_hyphenated(text).map(Self).ok_or_else(|| NotA::new(text, wanted))
    }
}

impl From<Uuid> for RootId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

/// The `uuid` crate also accepts braces, URNs and digits without hyphens; a directory's name has one spelling.
fn parse_hyphenated(text: &str) -> Option<Uuid> {
    let uuid = Uuid::parse_str(text).ok()?;
    (text.len() == 36 && !uuid.is_nil()).then_some(uuid)
}

/// The forge's address, normalized: lower-case scheme and host, no default port, no trailing slash,
/// no user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
#[display("{}", _0.as_str().trim_end_matches('/'))]
pub struct ForgeUrl(Url);
as_text!(ForgeUrl);

impl ForgeUrl {
    /// Accepts `http` and `https` addresses, with a path if the forge has one; the address of its API means the same
    /// forge.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "the address of a Gitea, such as `https://git.example.com`";
        // The part before an `@` may contain a password, and a query a token.
        let shown = if text.contains(['@', '?', '#']) { "…" } else { text };
        let refused = || NotA { text: shown.to_owned(), wanted };
        let mut url = Url::parse(text.trim()).map_err(|_| refused())?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
            return Err(refused());
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The address as a value of the `url` crate, for building requests.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// A repository's full name: `owner/name`. Forges compare both parts case-insensitively.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
#[display("{owner}/{name}")]
pub struct RepositoryName {
    owner: String,
    name: String,
}
as_text!(RepositoryName);

impl RepositoryName {
    /// Two parts of `[A-Za-z0-9._-]`, neither of them `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        match text.split_once('/') {
            Some((owner, name)) if is_path_part(owner) && is_path_part(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            Some(_) | None => Err(NotA::new(text, "of the form `owner/name`")),
        }
    }

    /// The part before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both names mean the same repository on a forge.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

fn is_path_part(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && !matches!(text, "." | "..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Which repositories a worktree may come from besides the issue's own: `owner/name` or `owner/*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub enum RepositoryPattern {
    /// Exactly this repository.
    One(RepositoryName),
    /// Every repository of this owner.
    #[display("{_0}/*")]
    OfOwner(String),
}
as_text!(RepositoryPattern);

impl RepositoryPattern {
    /// Accepts `owner/name` and `owner/*`.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        match text.strip_suffix("/*") {
            Some(owner) if is_path_part(owner) => Ok(Self::OfOwner(owner.to_owned())),
            Some(_) | None => RepositoryName::parse(text)
                .map(Self::One)
                .map_err(|_| NotA::new(text, "of the form `owner/name` or `owner/*`")),
        }
    }

    /// Whether it allows this repository.
    #[must_use]
    pub fn allows(&self, repository: &RepositoryName) -> bool {
        match self {
            Self::One(name) => name.is_same(repository),
            Self::OfOwner(owner) => owner.eq_ignore_ascii_case(repository.owner()),
        }
    }
}

/// The longest ref, in bytes.
const REF_BYTES_MAX: usize = 201;

/// A branch, tag or commit that git cannot mistake for an option, a refspec or a revision expression, and that is
/// displayed unambiguously.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct GitRef(String);

impl GitRef {
    /// Accepts the names that `git check-ref-format --allow-onelevel` accepts, except for those with a leading `-` or
    /// `+`, whitespace or invisible characters.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let is_visible = without_invisible(text).1 == 0 && !text.contains(char::is_whitespace);
        if text.len() <= REF_BYTES_MAX && is_ref_format(text) && !text.starts_with(['-', '+']) && is_visible {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotA::new(text, "a branch, tag or commit"))
        }
    }

    /// Whether it may be an abbreviated commit id; a branch may have such a name, too.
    #[must_use]
    pub fn may_be_short_commit(&self) -> bool {
        (7..40).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// The rules of git for names (git/git `refs.c`, `check_refname_format`).
fn is_ref_format(text: &str) -> bool {
    let is_refused = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    let is_component = |part: &str| !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none();
    text != "@"
        && !text.contains(is_refused)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && text.split('/').all(is_component)
}

/// Names that earlier versions accepted are still read from records, though git rejects them.
impl TryFrom<String> for GitRef {
    type Error = NotA;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let was_taken = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
        Self::parse(&text).or_else(|not| if was_taken { Ok(Self(text)) } else { Err(not) })
    }
}

impl From<GitRef> for String {
    fn from(value: GitRef) -> String {
        value.0
    }
}

/// A commit by its whole id, as git prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);
as_text!(CommitId);

impl CommitId {
    /// 40 lower-case hexadecimal digits, or 64 where the repository uses SHA-256.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && matches!(text.len(), 40 | 64))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| NotA::new(text, "a whole commit id of 40 or 64 lower-case hexadecimal digits"))
    }
}

/// Makes a newtype for a short plain name: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`.
macro_rules! plain_name {
    ($name:ident, $what:literal, $wanted:literal) => {
        #[doc = $what]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, derive_more::Display)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        as_text!($name);

        impl $name {
            /// `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, so that it is safe in a path, a label and a log line.
            pub fn parse(text: &str) -> Result<Self, NotA> {
                is_plain_name(text).then(|| Self(text.to_owned())).ok_or_else(|| NotA::new(text, $wanted))
            }
        }
    };
}

plain_name!(
    WizardName,
    "The name of the agent that works in a cell.",
    "one word of letters, digits and `._-`, at most 64"
);
plain_name!(HostName, "The name of a host.", "one word of letters, digits and `._-`, at most 64");
plain_name!(
    GatewayName,
    "The name of a gateway whose health is shown.",
    "one word of letters, digits and `._-`, at most 64"
);

impl HostName {
    /// Whether both names mean the same host; case does not matter.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

fn is_plain_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
