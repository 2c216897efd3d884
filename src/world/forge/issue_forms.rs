//! Reads a repository's issue forms and chooser as Gitea resolves them.

use crate::mission::identity::RepositoryName;
use crate::mission::proposal::form::{FORM_PATH, Form, FormError};
use crate::mission::status::label::Label;
use crate::world::forge::{FileContents, ForgeError, Gitea, IssueConfig, IssueTemplate};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::ffi::OsStr;
use std::path::Path;

/// The folders on the default branch where Gitea looks for forms, in all of them (go-gitea/gitea
/// `services/issue/template.go`).
const FOLDERS: [&str; 8] = [
    ".gitea/ISSUE_TEMPLATE",
    ".gitea/issue_template",
    ".github/ISSUE_TEMPLATE",
    ".github/issue_template",
    "ISSUE_TEMPLATE",
    "issue_template",
    ".gitlab/ISSUE_TEMPLATE",
    ".gitlab/issue_template",
];

/// The first folders may hold the chooser's file; Gitea uses the first file found.
const CHOOSER_FOLDERS: usize = 4;

/// The most files of one folder that are read in search of a form that Gitea cannot parse.
const UNREAD_MAX: usize = 20;

/// A file: its blob id and its text.
pub type FoundFile = Option<(String, String)>;

/// The form for missions, as found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundForm {
    /// No form for missions.
    #[default]
    Missing,
    /// The form has all fields of ours.
    Good {
        /// Its path.
        path: String,
    },
    /// The form exists, but is unusable.
    Faulty {
        /// Its path.
        path: String,
        /// The id of its blob.
        id: String,
        /// The defect.
        fault: FormFault,
    },
}

/// A defect of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormFault {
    /// Gitea cannot parse it and does not offer it.
    Unreadable,
    /// It does not mark issues as missions.
    NoMarker,
    /// Its fields differ from ours: one sentence each.
    Differs(Vec<String>),
}

/// Finds the form in all places where Gitea looks.
pub async fn find_form(gitea: &Gitea, name: &RepositoryName) -> Result<FoundForm, ForgeError> {
    let templates = gitea.repository(name).templates().send_page().await?.items;
    let mut found = FoundForm::Missing;
    for template in templates.iter().filter(|template| asks_for_missions(template)) {
        let path = template.file_name.clone();
        let Some((id, text)) = file(gitea, name, &path).await? else { continue };
        match judge(path, id, &text) {
            good @ FoundForm::Good { .. } => return Ok(good),
            faulty @ FoundForm::Faulty { .. } if found == FoundForm::Missing => found = faulty,
            FoundForm::Faulty { .. } | FoundForm::Missing => {}
        }
    }
    if found == FoundForm::Missing {
        found = find_unread(gitea, name, &templates).await?;
    }
    Ok(found)
}

/// Whether Gitea offers any form for missions, whatever its fields: one request.
pub async fn offers_form(gitea: &Gitea, name: &RepositoryName) -> Result<bool, ForgeError> {
    let templates = gitea.repository(name).templates().send_page().await?.items;
    Ok(templates.iter().any(asks_for_missions))
}

/// Whether the repository has its own chooser, which a file of ours could hide.
pub async fn has_chooser(gitea: &Gitea, name: &RepositoryName) -> Result<bool, ForgeError> {
    let config = there(gitea.repository(name).issue_config().send().await)?;
    if config.is_some_and(|config| config != IssueConfig::default()) {
        return Ok(true);
    }
    // A file with the defaults, or one that cannot be parsed, counts as the repository's own.
    for folder in &FOLDERS[..CHOOSER_FOLDERS] {
        let files = files_in(gitea, name, folder).await?;
        let is_config = |path: &String| matches!(path.rsplit('/').next(), Some("config.yaml" | "config.yml"));
        if files.iter().any(is_config) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether issues filed with this template are proposals, or were meant to be.
fn asks_for_missions(template: &IssueTemplate) -> bool {
    let marker = &Form::embedded().marker;
    let fields = template.body.iter().filter(|field| field.kind == "markdown");
    let mut hidden = fields.filter_map(|field| field.attributes.get("value")?.as_str());
    template.file_name == FORM_PATH
        || template.content.contains(marker)
        || template.labels.iter().any(|label| *label == Label::Proposal.name())
        || hidden.any(|text| text.contains(marker))
}

/// A Markdown template is good if it has every heading; otherwise it is not a form.
fn judge(path: String, id: String, text: &str) -> FoundForm {
    let ours = Form::embedded();
    if ending(&path) == Some("md") {
        let has = |label: &str| text.lines().any(|line| line.strip_prefix("### ").is_some_and(|it| it.trim() == label));
        let is_whole = text.contains(&ours.marker) && ours.fields.iter().all(|field| has(&field.label));
        return if is_whole { FoundForm::Good { path } } else { FoundForm::Missing };
    }
    let fault = match ours.differences(text) {
        Ok(differences) if differences.is_empty() => return FoundForm::Good { path },
        Ok(differences) => FormFault::Differs(differences),
        Err(FormError::NoMarker) => FormFault::NoMarker,
        Err(error @ (FormError::Shape(_) | FormError::Field { .. })) => FormFault::Differs(vec![error.to_string()]),
    };
    FoundForm::Faulty { path, id, fault }
}

/// Finds a form that Gitea omits from its list because it cannot parse it.
async fn find_unread(gitea: &Gitea, name: &RepositoryName, read: &[IssueTemplate]) -> Result<FoundForm, ForgeError> {
    let is_unread = |path: &String| {
        let is_form = matches!(ending(path), Some("yaml" | "yml"));
        is_form && !read.iter().any(|template| template.file_name == *path)
    };
    for folder in FOLDERS {
        let files = files_in(gitea, name, folder).await?;
        for path in files.into_iter().filter(is_unread).take(UNREAD_MAX) {
            let Some((id, text)) = file(gitea, name, &path).await? else { continue };
            if path == FORM_PATH || text.contains(&Form::embedded().marker) {
                return Ok(FoundForm::Faulty { path, id, fault: FormFault::Unreadable });
            }
        }
    }
    Ok(FoundForm::Missing)
}

fn ending(path: &str) -> Option<&str> {
    Path::new(path).extension().and_then(OsStr::to_str)
}

async fn files_in(gitea: &Gitea, name: &RepositoryName, folder: &str) -> Result<Vec<String>, ForgeError> {
    match there(gitea.repository(name).contents(folder).send().await)? {
        Some(FileContents::Folder(entries)) => Ok(entries.into_iter().map(|entry| entry.path).collect()),
        Some(FileContents::File(_)) | None => Ok(Vec::new()),
    }
}

/// Turns 404 into none.
pub(crate) fn there<T>(answer: Result<T, ForgeError>) -> Result<Option<T>, ForgeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ForgeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file of the default branch.
pub(crate) async fn file(gitea: &Gitea, name: &RepositoryName, path: &str) -> Result<FoundFile, ForgeError> {
    let Some(FileContents::File(file)) = there(gitea.repository(name).contents(path).send().await)? else {
        return Ok(None);
    };
    // Binary files and invalid base64 cannot be forms of ours.
    let bytes = STANDARD.decode(file.content.replace(['\n', '\r'], "")).unwrap_or_default();
    Ok(Some((file.sha, String::from_utf8_lossy(&bytes).into_owned())))
}
