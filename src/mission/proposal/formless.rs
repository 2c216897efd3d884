//! Help for authors who filed a proposal without the form.

use crate::mission::observation::Observation;
use crate::mission::proposal::BODY_BYTES_MAX;
use crate::mission::proposal::form::{FORM_PATH, Form};
use crate::mission::proposal::form_body::FormAnswers;
use serde::Serialize;

/// Links to the form, and the headings that it would have rendered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormHelp {
    /// The page that files a new issue with the form.
    pub page: String,
    /// The page that offers every form of the repository.
    pub chooser: String,
    /// All headings of the form, with empty answers.
    pub text: String,
}

/// Help if the body has no heading of the form.
#[must_use]
pub fn form_help(observation: &Observation) -> Option<FormHelp> {
    let (form, body) = (Form::embedded(), &observation.issue.body);
    if body.len() > BODY_BYTES_MAX || FormAnswers::read(form, body).has_headings {
        return None;
    }
    let page = observation.here.filing_page_of(&observation.issue.key.repository);
    let chooser = format!("{page}/choose");
    Some(FormHelp { page: format!("{page}?template={FORM_PATH}"), chooser, text: form.unanswered() })
}
