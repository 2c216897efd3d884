//! Reports a failure once: when it begins or changes, and when it is resolved.

/// Remembers the last reported failure.
#[derive(Debug, Default)]
pub struct LogOnce {
    failure: Option<String>,
}

/// A change worth logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChange {
    /// A new or changed failure.
    Failing(String),
    /// The reported failure is resolved.
    Resolved,
}

impl LogOnce {
    /// Takes the result of one run. The same failure must have the same text each time.
    pub fn observe(&mut self, failure: Option<String>) -> Option<LogChange> {
        if failure == self.failure {
            return None;
        }
        self.failure.clone_from(&failure);
        Some(failure.map_or(LogChange::Resolved, LogChange::Failing))
    }
}
