//! What reads and explains.

mod diagnosis;
mod doctor;
mod scan;
mod status;
