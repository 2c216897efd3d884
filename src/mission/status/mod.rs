//! Computes what a pass publishes about a mission: lifecycle, labels and the status comment.

pub mod comment;
pub mod comment_check;
pub mod compose;
pub mod fence;
mod former_words;
pub mod label;
pub mod lifecycle;
pub mod marker;
pub mod own_comment;
pub mod phase;
pub(crate) mod templates;
pub mod view;
pub mod written;
