//! Approvals: who needs one, who may give one, and what is remembered of it.

use crate::mission::person::Person;
use crate::mission::proposal::{Proposal, digest};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// `approval.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalMode {
    /// Whoever may file gets a cell.
    #[default]
    Open,
    /// A label has to be swapped first.
    Label,
}

/// `approval.*`: who needs an approval, and who may give one. Accounts are known by their ids, which nobody can take over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// Whether approvals are asked for at all.
    pub mode: ApprovalMode,
    /// Whose proposals need none, as they were first read; what differs from that they may confirm themselves.
    pub authors: BTreeSet<i64>,
    /// Who may approve; empty for everybody who may set labels, but the author.
    pub approvers: BTreeSet<i64>,
}

/// An approval that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What was approved ([`asked_digest`]).
    pub digest: String,
    /// By whom.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// An approval that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// What is to be approved ([`asked_digest`]).
    pub digest: String,
    /// Why the last approval does not count, if there was one.
    #[serde(default)]
    pub denial: Option<Denial>,
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// It came before our comment showed what it would be for.
    Outdated(Option<Person>),
    /// Somebody else had changed our comment, so nobody knows what an approver saw; with whose approval that met, if one's.
    Changed(Option<Person>),
    /// The author gave it.
    Author(Person),
    /// `approval.approvers` does not name who gave it.
    NotAnApprover(Person),
    /// No person is known to have given it.
    Nobody,
}

/// What an approval is for: everything that the cell's files would get of a proposal. The title is a part of it, since
/// agents read it.
#[must_use]
pub fn approval_digest(proposal: &Proposal) -> String {
    digest(&(&proposal.name, &proposal.spec))
}

/// What is remembered of a comment that shows all that an approval is for. Earlier versions left the objective to the page,
/// which may hide some of it; they remembered the digest alone, so what they asked for is asked for again.
#[must_use]
pub fn requested_digest(digest: &str) -> String {
    format!("whole:{digest}")
}

/// What an issue says, before anything is read out of it. The forge does not report who edited it.
#[must_use]
pub fn text_digest(title: &str, body: &str) -> String {
    digest(&(title, body))
}
