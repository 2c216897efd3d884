//! What is told once: a trouble when it comes or changes, and when it is over.

/// Remembers what was told last.
#[derive(Debug, Default)]
pub struct LogOnce {
    trouble: Option<String>,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChange {
    /// A trouble that was not told before, or was another one.
    Failing(String),
    /// The trouble that was told is over.
    Resolved,
}

impl LogOnce {
    /// Takes in how it went this time. A trouble has to say the same as long as it is the same.
    pub fn observe(&mut self, trouble: Option<String>) -> Option<LogChange> {
        if trouble == self.trouble {
            return None;
        }
        self.trouble.clone_from(&trouble);
        Some(trouble.map_or(LogChange::Resolved, LogChange::Failing))
    }
}
