//! Parses the issue form, which is the schema of a proposal: its fields, their order and their types.

use crate::mission::text::shown;
use serde::Deserialize;
use std::sync::LazyLock;

/// The form that this program ships, installs and parses proposals with.
pub const FORM: &str = include_str!("../../../.gitea/ISSUE_TEMPLATE/mission-proposal.yaml");

/// The text that Gitea writes for an empty answer.
pub const NO_RESPONSE: &str = "_No response_";

/// The form's default path in a repository; a team may keep its own form at another path.
pub const FORM_PATH: &str = ".gitea/ISSUE_TEMPLATE/mission-proposal.yaml";

/// The largest form that is parsed; the shipped one has 3 KiB.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// A parsed issue form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The HTML comment that is the first line of every body that the form renders.
    pub marker: String,
    /// The text with which the page prefills the title.
    pub title_prefix: String,
    /// The fields that have a heading in the body, in order.
    pub fields: Vec<FormField>,
}

/// One question of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// The id that programs use.
    pub id: String,
    /// The label that people see, which is also the heading in the body.
    pub label: String,
    /// Whether an answer is required.
    pub required: bool,
    /// The type of the answer.
    pub kind: FieldKind,
    /// The preselected option.
    pub default: Option<String>,
}

/// The type of a field's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One line of text.
    Line,
    /// Text in a fenced block.
    FencedText,
    /// One of these options.
    Choice(Vec<String>),
    /// A checkbox for each of these labels.
    Ticks(Vec<String>),
}

/// Why a form cannot serve as the schema.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// It is not YAML, or lacks the structure of a form.
    #[error("the form is not a Gitea issue form: {0}")]
    Shape(String),
    /// It has no marker that every filed issue would carry.
    #[error("the form has no `markdown` field that is visible in the content and holds an HTML comment")]
    NoMarker,
    /// A field has a type that cannot be parsed in a body, or lacks a required attribute.
    #[error("the form's field `{field}` {problem}")]
    Field {
        /// The field's id.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

static EMBEDDED: LazyLock<Form> =
    LazyLock::new(|| Form::parse(FORM).expect("the embedded form always parses: tests/spec/mission/form.rs"));

impl Form {
    /// The form embedded in this binary.
    #[must_use]
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Parses a form file in Gitea's syntax (go-gitea/gitea `modules/issue/template/template.go`).
    pub fn parse(yaml: &str) -> Result<Self, FormError> {
        let file = FormFile::read(yaml)?;
        let marker = file.marker()?;
        let answered = file.body.into_iter().filter(|field| field.kind != "markdown");
        let fields = answered.map(FieldFile::into_field).collect::<Result<_, _>>()?;
        Ok(Self { marker, title_prefix: file.title, fields })
    }

    /// The body that the form renders without any answer, for authors who write an issue by hand.
    #[must_use]
    pub fn unanswered(&self) -> String {
        let section = |field: &FormField| {
            let answer = match &field.kind {
                FieldKind::Line => NO_RESPONSE.to_owned(),
                FieldKind::FencedText => "```text\n\n```".to_owned(),
                FieldKind::Choice(_) => field.default.clone().unwrap_or_else(|| NO_RESPONSE.to_owned()),
                FieldKind::Ticks(labels) => {
                    labels.iter().map(|label| format!("- [ ] {label}")).collect::<Vec<_>>().join("\n")
                }
            };
            format!("### {}\n\n{answer}", field.label)
        };
        self.fields.iter().map(section).collect::<Vec<_>>().join("\n\n")
    }

    /// The fields of this form that a team's own form lacks or changes; its additional fields do not count.
    pub fn differences(&self, yaml: &str) -> Result<Vec<String>, FormError> {
        let theirs = FormFile::read(yaml)?;
        if theirs.marker()? != self.marker {
            return Err(FormError::NoMarker);
        }
        let difference = |field: &FormField| {
            let id = &field.id;
            let Some(found) = theirs.body.iter().find(|found| found.id == *id) else {
                return Some(format!("it lacks the field `{id}`"));
            };
            match found.clone().into_field() {
                Err(FormError::Field { field: _, problem }) => Some(format!("`{id}` {problem}")),
                Err(error @ (FormError::Shape(_) | FormError::NoMarker)) => Some(error.to_string()),
                Ok(found) if found.label != field.label => {
                    Some(format!("`{id}` is called `{}` instead of `{}`", shown(&found.label), field.label))
                }
                Ok(_) => None,
            }
        };
        Ok(self.fields.iter().filter_map(difference).collect())
    }

    /// The field with this id.
    #[must_use]
    pub fn field(&self, id: &str) -> Option<&FormField> {
        self.fields.iter().find(|field| field.id == id)
    }
}

#[derive(Deserialize)]
struct FormFile {
    #[serde(default)]
    title: String,
    body: Vec<FieldFile>,
}

impl FormFile {
    fn read(yaml: &str) -> Result<Self, FormError> {
        if yaml.len() > FORM_BYTES_MAX {
            return Err(FormError::Shape(format!("{} bytes, limit is {FORM_BYTES_MAX}", yaml.len())));
        }
        serde_yaml::from_str(yaml).map_err(|error| FormError::Shape(error.to_string()))
    }

    fn marker(&self) -> Result<String, FormError> {
        self.body.iter().find_map(FieldFile::marker).ok_or(FormError::NoMarker)
    }
}

#[derive(Clone, Deserialize)]
struct FieldFile {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    attributes: Attributes,
    #[serde(default)]
    validations: Validations,
    #[serde(default)]
    visible: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Attributes {
    #[serde(default)]
    label: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    render: Option<String>,
    #[serde(default)]
    options: Vec<Choice>,
    #[serde(default)]
    default: Option<usize>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Choice {
    Text(String),
    Tick { label: String },
}

#[derive(Clone, Default, Deserialize)]
struct Validations {
    #[serde(default)]
    required: bool,
}

impl FieldFile {
    fn marker(&self) -> Option<String> {
        let in_content = self.kind == "markdown" && self.visible.iter().any(|at| at == "content");
        let value = self.attributes.value.trim();
        (in_content && value.starts_with("<!--") && value.ends_with("-->")).then(|| value.to_owned())
    }

    fn into_field(self) -> Result<FormField, FormError> {
        let FieldFile { kind, id, attributes, validations, visible: _ } = self;
        let invalid = |problem| FormError::Field { field: id.clone(), problem };
        let labels: Vec<String> = attributes.options.into_iter().map(Choice::into_label).collect();
        let default = attributes.default.and_then(|at| labels.get(at).cloned());
        let (kind, required) = match kind.as_str() {
            "input" => (FieldKind::Line, validations.required),
            "textarea" if attributes.render.is_some() => (FieldKind::FencedText, validations.required),
            "textarea" => return Err(invalid("needs `render`, or its text could forge other fields")),
            "dropdown" => (FieldKind::Choice(labels), validations.required),
            "checkboxes" => (FieldKind::Ticks(labels), true),
            _ => return Err(invalid("has a type that cannot be parsed in an issue")),
        };
        if attributes.label.is_empty() {
            return Err(invalid("has no label"));
        }
        Ok(FormField { id, label: attributes.label, required, kind, default })
    }
}

impl Choice {
    fn into_label(self) -> String {
        match self {
            Self::Text(label) | Self::Tick { label } => label,
        }
    }
}
