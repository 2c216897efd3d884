//! The configuration flags of this command line, which the commands in errors and notes repeat.

use crate::config::{Flags, is_like_a_token};
use crate::mission::text::shell_word;
use std::fmt;
use std::path::Path;

/// The flags of this command line that every other command accepts too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(Vec<(&'static str, String)>);

/// The values are in the configuration, so they are left out here.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(…)")
    }
}

impl Given {
    pub(super) fn new(flags: &Flags) -> Self {
        let Flags { config, missions_root, gitea_url, token_file, repositories, .. } = flags;
        let path = |path: &Path| shell_word(&path.display().to_string());
        // A token in place of its file must not be printed.
        let token_file = token_file.as_deref().filter(|file| !is_like_a_token(file));
        let single = [
            ("--config", config.as_deref().map(path)),
            ("--root", missions_root.as_deref().map(path)),
            ("--gitea-url", gitea_url.as_deref().map(shell_word)),
            ("--token-file", token_file.map(path)),
        ];
        let single = single.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        let repeated = repositories.iter().map(|name| ("--repo", shell_word(name)));
        Self(single.chain(repeated).collect())
    }

    /// A command in a code span: its own arguments, and the flags of this command line that they lack.
    #[must_use]
    pub fn command(&self, arguments: &str) -> String {
        format!("`lazarus-reconcile {arguments}{}`", self.beside(arguments))
    }

    /// The flags of this command line that these arguments lack, each after a blank.
    #[must_use]
    pub fn beside(&self, arguments: &str) -> String {
        let is_missing = |flag: &str| !arguments.split(' ').any(|word| word == flag);
        let missing = self.0.iter().filter(|(flag, _)| is_missing(flag));
        missing.flat_map(|(flag, value)| [" ", flag, " ", value.as_str()]).collect()
    }
}
