//! Turns Gitea's answer to a write of the status comment into the record of that comment.

use crate::mission::record::StatusComment;
use crate::mission::status::view::Status;
use crate::mission::time::Timestamp;

/// A comment as Gitea returned it after a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The comment's id in Gitea.
    pub id: i64,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was written, by Gitea's clock.
    pub updated_at: Timestamp,
}

impl Written {
    /// The record of a new comment, which still has to be confirmed by a later read.
    #[must_use]
    pub fn posted(self, status: &Status, reposted_at: Option<Timestamp>) -> StatusComment {
        StatusComment { is_confirmed: false, is_edited: false, reposted_at, ..self.record(status, None) }
    }

    /// The record of an edited comment. An approval request that continues keeps the time at which it was first shown.
    #[must_use]
    pub fn edited(
        self,
        status: &Status,
        is_confirmed: bool,
        requested_at: Option<Timestamp>,
        before: Option<&StatusComment>,
    ) -> StatusComment {
        let reposted_at = before.and_then(|before| before.reposted_at);
        StatusComment { is_confirmed, is_edited: true, reposted_at, ..self.record(status, requested_at) }
    }

    fn record(self, status: &Status, requested_at: Option<Timestamp>) -> StatusComment {
        let requested_digest = status.requested_digest();
        StatusComment {
            id: self.id,
            digest: status.digest(),
            is_confirmed: true,
            requested_at: requested_at.or(requested_digest.is_some().then_some(self.updated_at)),
            requested_digest,
            is_edited: true,
            body_sha256: Some(self.body_sha256),
            updated_at: Some(self.updated_at),
            reposted_at: None,
        }
    }
}
