//! Renders form answers into an issue's body as Gitea does, byte for byte (go-gitea/gitea
//! `modules/issue/template/template.go`).

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

const NO_RESPONSE: &str = "_No response_\n";

/// A form file: the parts that rendering and the page need.
#[derive(Debug, Deserialize)]
pub(super) struct FormTemplate {
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    body: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    attributes: Attributes,
    visible: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Attributes {
    #[serde(default)]
    label: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    render: String,
    #[serde(default)]
    hide_label: bool,
    #[serde(default)]
    list: bool,
    #[serde(default)]
    options: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Choice {
    Text(String),
    Tick { label: String, visible: Option<Vec<String>> },
}

/// The answers as a browser posts them, by input name.
pub(super) type Posted = BTreeMap<String, String>;

impl FormTemplate {
    pub(super) fn parse(yaml: &[u8]) -> Option<Self> {
        serde_yaml::from_str(std::str::from_utf8(yaml).ok()?).ok()
    }

    pub(super) fn render(&self, posted: &Posted) -> String {
        let mut body = String::new();
        for field in self.body.iter().filter(|field| field.is_in_content()) {
            if field.kind != "markdown" && !field.attributes.hide_label {
                let _ = write!(body, "### {}\n\n", field.attributes.label);
            }
            let _ = writeln!(body, "{}", field.answer(posted));
        }
        body
    }

    /// The names of the page's inputs.
    pub(super) fn inputs(&self) -> Vec<String> {
        let fields = self.body.iter().filter(|field| field.kind != "markdown");
        fields.map(|field| format!("form-field-{}", field.id)).collect()
    }
}

impl Field {
    fn is_in_content(&self) -> bool {
        let default = self.kind != "markdown";
        self.visible.as_ref().map_or(default, |visible| visible.iter().any(|at| at == "content"))
    }

    fn posted<'a>(&self, posted: &'a Posted) -> &'a str {
        posted.get(&format!("form-field-{}", self.id)).map_or("", String::as_str)
    }

    /// The answer with its line end.
    fn answer(&self, posted: &Posted) -> String {
        let value = self.posted(posted).trim();
        match self.kind.as_str() {
            "markdown" => format!("{}\n", self.attributes.value),
            "checkboxes" => self.ticks(posted),
            "dropdown" => self.chosen(posted),
            _ if value.is_empty() => NO_RESPONSE.to_owned(),
            "textarea" if !self.attributes.render.is_empty() => {
                let fence = fence(value);
                format!("{fence}{}\n{value}\n{fence}\n", self.attributes.render)
            }
            _ => format!("{value}\n"),
        }
    }

    fn ticks(&self, posted: &Posted) -> String {
        let mut lines = String::new();
        for (at, choice) in self.attributes.options.iter().enumerate() {
            let Choice::Tick { label, visible } = choice else { continue };
            if visible.as_ref().is_some_and(|visible| !visible.iter().any(|at| at == "content")) {
                continue;
            }
            let is_ticked = posted.get(&format!("form-field-{}-{at}", self.id)).is_some_and(|value| value == "on");
            let _ = writeln!(lines, "- [{}] {label}", if is_ticked { "x" } else { " " });
        }
        lines
    }

    fn chosen(&self, posted: &Posted) -> String {
        let indices: Vec<&str> = self.posted(posted).split(',').collect();
        let mut chosen = Vec::new();
        for (at, choice) in self.attributes.options.iter().enumerate() {
            if let Choice::Text(text) = choice
                && indices.contains(&at.to_string().as_str())
            {
                chosen.push(text.as_str());
            }
        }
        match (chosen.is_empty(), self.attributes.list) {
            (true, _) => NO_RESPONSE.to_owned(),
            (false, true) => format!("- {}\n", chosen.join("\n- ")),
            (false, false) => format!("{}\n", chosen.join(", ")),
        }
    }
}

/// One backtick more than the longest run at the start of a line; runs after blanks do not count.
fn fence(value: &str) -> String {
    let run = |line: &str| line.len() - line.trim_start_matches('`').len();
    let longest = value.split('\n').map(run).max().unwrap_or(0);
    "`".repeat(if longest >= 3 { longest + 1 } else { 3 })
}
