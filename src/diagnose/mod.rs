//! Reads and explains, and changes nothing: `doctor`, `status` and `scan`.

pub mod doctor;
pub mod document;
pub mod scan;
pub mod status;
