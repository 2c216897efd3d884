//! The approval policy, and the recorded approvals and requests.

use crate::mission::person::Person;
use crate::mission::proposal::{Proposal, digest};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The configuration key `approval.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalMode {
    /// No approval: anyone who may open issues gets a cell.
    #[default]
    Open,
    /// Each proposal and each edit needs the label `approval/granted`.
    Label,
}

/// The configuration keys `approval.*`. Accounts are identified by their ids, which no other account can inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// Whether approvals are required.
    pub mode: ApprovalMode,
    /// Accounts whose proposals need none as first read; they may confirm later edits themselves.
    pub authors: BTreeSet<i64>,
    /// Accounts that may approve; if empty, anyone who may set labels except the author.
    pub approvers: BTreeSet<i64>,
}

/// An approval that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The digest of what was approved ([`approval_digest`]).
    pub digest: String,
    /// The person who approved it.
    pub by: Person,
    /// When it was approved.
    pub at: Timestamp,
}

/// A requested approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The digest of what is to be approved ([`approval_digest`]).
    pub digest: String,
    /// Why the last approval does not count, if there was one.
    #[serde(default)]
    pub denial: Option<Denial>,
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// It was given before the comment showed the request.
    Outdated(Option<Person>),
    /// Another account had changed the comment, so what an approver saw is unknown; with the approver, if any.
    Changed(Option<Person>),
    /// The author gave it.
    Author(Person),
    /// An account that `approval.approvers` does not list gave it.
    NotAnApprover(Person),
    /// No known person gave it.
    Nobody,
}

/// The digest that an approval is for: it covers everything of a proposal that gets into the cell's files, also the
/// title, since agents read it.
#[must_use]
pub fn approval_digest(proposal: &Proposal) -> String {
    digest(&(&proposal.name, &proposal.spec))
}

/// The recorded digest of a comment that shows a request in full. Earlier versions recorded the digest without prefix
/// and did not show the objective, so their requests are shown again.
#[must_use]
pub fn requested_digest(digest: &str) -> String {
    format!("whole:{digest}")
}

/// The digest of an issue's raw text, which detects edits: Gitea does not report who edited it.
#[must_use]
pub fn text_digest(title: &str, body: &str) -> String {
    digest(&(title, body))
}
