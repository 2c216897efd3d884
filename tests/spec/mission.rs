//! Decisions: pure parts by their values.

mod admission;
mod agent_files;
mod agent_words;
mod approved_text;
mod clock_skew;
pub(crate) mod comment;
mod comment_check;
mod due;
mod flap_damping;
mod form;
mod formatting;
mod formless;
mod health;
mod host_clock;
mod identity;
mod job_status;
mod label;
mod own_comment;
mod plan;
mod replays;
mod repository;
mod reworded;
mod trusted_authors;
