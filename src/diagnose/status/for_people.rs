//! What an agent wants people to read, in one line.

use crate::mission::cell::heartbeat::WizardState;
use crate::mission::record::Record;
use crate::mission::text::message_span;

/// What the wizard wants people to read, as it was published last.
pub(super) fn for_people(record: &Record) -> Option<String> {
    let said = record.published.as_ref()?;
    let (what, how) = match said.agent_state? {
        WizardState::Waiting => ("Waiting for you", "asked"),
        WizardState::Failed => ("Failed", "said"),
        WizardState::Working | WizardState::Done => return None,
    };
    let message = said.message.as_deref().map_or("no message".to_owned(), message_span);
    let wizard = record.binding.as_ref().and_then(|binding| binding.spec.wizard.as_ref());
    let by = wizard.map_or(String::new(), |wizard| format!(", {how} by `{wizard}`"));
    let since = said.agent_state_since.map_or(String::new(), |since| format!(", since {}", since.formatted()));
    Some(format!("{what}: {message}{by}{since}"))
}
