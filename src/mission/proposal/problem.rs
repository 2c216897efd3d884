//! Problems of answers, phrased so that the author can correct them.

use serde::Serialize;

/// One answer that needs correcting. Its texts are part of the status digest: a changed text edits comments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field's label on the form.
    pub field: String,
    /// The answer, which is untrusted text: shown in a code span only.
    pub answer: Option<String>,
    /// What is wrong; after an answer it continues the sentence.
    pub wrong: String,
    /// How to correct it.
    pub right: String,
}

impl Problem {
    fn body(label: &str, wrong: &str, right: &str) -> Self {
        Self { field: label.to_owned(), answer: None, wrong: wrong.to_owned(), right: right.to_owned() }
    }

    pub(crate) fn too_long(limit: usize) -> Self {
        let wrong = format!("is longer than {} KiB, and was not read", limit / 1024);
        Self::body("The whole text", &wrong, "Put the details into a file of the repository")
    }

    pub(crate) fn heading_twice(label: &str) -> Self {
        Self::body(label, &format!("the heading `{label}` appears twice"), "Keep the one with your answer")
    }

    pub(crate) fn heading_out_of_order(label: &str) -> Self {
        let wrong = format!("the heading `{label}` is not where the form puts it");
        Self::body(label, &wrong, "Keep the headings in the form's order")
    }

    pub(crate) fn fence_open(label: &str) -> Self {
        let right = "End the text with a line that has the same backticks as its first line";
        Self::body(label, "its block of text is never closed", right)
    }

    pub(crate) fn text_outside_fence(label: &str) -> Self {
        let wrong = "there is text outside its block, which would be lost";
        Self::body(label, wrong, "Move it between the two lines of backticks")
    }
}
