//! The message of an agent that waits or has failed, as one line.

use crate::mission::cell::heartbeat::WizardState;
use crate::mission::record::Record;
use crate::mission::text::message_span;

/// The message as last published; none unless the agent waits or has failed.
pub(super) fn for_people(record: &Record) -> Option<String> {
    let published = record.published.as_ref()?;
    let (what, how) = match published.agent_state? {
        WizardState::Waiting => ("Waiting for you", "asked"),
        WizardState::Failed => ("Failed", "reported"),
        WizardState::Working | WizardState::Done => return None,
    };
    let message = published.message.as_deref().map_or("no message".to_owned(), message_span);
    let wizard = record.binding.as_ref().and_then(|binding| binding.spec.wizard.as_ref());
    let by = wizard.map_or(String::new(), |wizard| format!(", {how} by `{wizard}`"));
    let since = published.agent_state_since.map_or(String::new(), |since| format!(", since {}", since.formatted()));
    Some(format!("{what}: {message}{by}{since}"))
}
