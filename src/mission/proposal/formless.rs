//! What somebody is shown who has filed a proposal without the form.

use crate::mission::observation::Observation;
use crate::mission::proposal::BODY_BYTES_MAX;
use crate::mission::proposal::form::{FORM_PATH, Form};
use crate::mission::proposal::form_body::FormAnswers;
use serde::Serialize;

/// Where the form is, and what it would have made of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormHelp {
    /// The page that files a new issue by our form.
    pub page: String,
    /// The page that offers every form of the repository.
    pub chooser: String,
    /// All headings, with nothing that somebody has to answer answered.
    pub text: String,
}

/// Help where not one heading of the form is in the body.
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
