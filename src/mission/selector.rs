//! Selects a mission by its issue or its id.

use crate::mission::identity::{MissionId, NotA, RepositoryName};
use std::str::FromStr;

/// `12` or `owner/name#12`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueArgument {
    /// The repository, if given.
    pub repository: Option<RepositoryName>,
    /// The issue's number.
    pub number: i64,
}

impl FromStr for IssueArgument {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let invalid = || NotA { text: text.to_owned(), wanted: "an issue such as `12` or `owner/name#12`" };
        let (repository, number) = match text.split_once('#') {
            Some(("", number)) => (None, number),
            Some((name, number)) => (Some(RepositoryName::parse(name).map_err(|_| invalid())?), number),
            None => (None, text),
        };
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(invalid)?;
        Ok(Self { repository, number })
    }
}

/// A mission, as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissionSelector {
    /// By its issue.
    Issue(IssueArgument),
    /// By its id.
    Mission(MissionId),
}

impl FromStr for MissionSelector {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let wanted = "an issue such as `12` or `owner/name#12`, or the id of a mission";
        let invalid = || NotA { text: text.to_owned(), wanted };
        MissionId::parse(text).map(Self::Mission).or_else(|_| text.parse().map(Self::Issue)).map_err(|_| invalid())
    }
}
