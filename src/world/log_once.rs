//! What is told once: a trouble when it comes or changes, and when it is over.

/// Remembers what was told last.
#[derive(Debug, Default)]
pub struct Told {
    trouble: Option<String>,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A trouble that was not told before, or was another one.
    Trouble(String),
    /// The trouble that was told is over.
    Over,
}

impl Told {
    /// Takes in how it went this time. A trouble has to say the same as long as it is the same.
    pub fn hear(&mut self, trouble: Option<String>) -> Option<News> {
        if trouble == self.trouble {
            return None;
        }
        self.trouble.clone_from(&trouble);
        Some(trouble.map_or(News::Over, News::Trouble))
    }
}
