//! Issue templates and the chooser's configuration, read from the default branch (go-gitea/gitea
//! `services/issue/template.go`).

use crate::sandbox::bare_repos::Files;
use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::repo_request::RepoRequest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

/// All of them are read, not recursively.
const FOLDERS: [&str; 8] = [
    "ISSUE_TEMPLATE",
    "issue_template",
    ".gitea/ISSUE_TEMPLATE",
    ".gitea/issue_template",
    ".github/ISSUE_TEMPLATE",
    ".github/issue_template",
    ".gitlab/ISSUE_TEMPLATE",
    ".gitlab/issue_template",
];

/// The chooser's configuration is the first of these that exists, as `.yaml` or `.yml`.
const CONFIGS: [&str; 4] = [
    ".gitea/ISSUE_TEMPLATE/config",
    ".gitea/issue_template/config",
    ".github/ISSUE_TEMPLATE/config",
    ".github/issue_template/config",
];

/// All valid forms and templates; a header has the number of invalid ones.
pub(super) fn list(context: &RepoRequest<'_>) -> SandboxReply {
    let files = &context.repository().files;
    let read: Vec<Option<Value>> = FOLDERS.iter().flat_map(|folder| in_folder(files, folder)).collect();
    let invalid = read.iter().filter(|template| template.is_none()).count();
    let templates: Vec<Value> = read.into_iter().flatten().collect();
    // An empty list is `null`.
    let reply = SandboxReply::json(200, &if templates.is_empty() { Value::Null } else { json!(templates) });
    if invalid == 0 {
        return reply;
    }
    reply.with("x-gitea-warning", &format!("error occurs when parsing issue template: count={invalid}"))
}

fn in_folder<'a>(files: &'a Files, folder: &'a str) -> impl Iterator<Item = Option<Value>> + 'a {
    let inside = files.iter().filter(move |(path, _)| {
        let name = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| !name.contains('/') && is_template(name))
    });
    inside.map(|(path, contents)| template(path, std::str::from_utf8(contents).ok()?))
}

fn is_template(name: &str) -> bool {
    let is_config = matches!(name, "config.yaml" | "config.yml");
    !is_config && matches!(ending(name), Some("md" | "yaml" | "yml"))
}

fn ending(path: &str) -> Option<&str> {
    Path::new(path).extension().and_then(OsStr::to_str)
}

fn template(path: &str, text: &str) -> Option<Value> {
    let is_markdown = ending(path) == Some("md");
    let (head, content) = if is_markdown { split(text) } else { (text.to_owned(), String::new()) };
    let read: Value = serde_yaml::from_str(&head).ok()?;
    let field =
        |key: &str| if read[key].is_null() { Some(String::new()) } else { read[key].as_str().map(str::to_owned) };
    let (name, title, about) = (field("name")?, field("title")?, field("about")?);
    let about = if about.is_empty() { field("description")? } else { about };
    if name.trim().is_empty() || about.trim().is_empty() {
        return None;
    }
    let body = if is_markdown { Value::Null } else { json!(fields(&read["body"])?) };
    let branch = field("ref")?;
    let reference = if branch.starts_with("refs/") { branch } else { format!("refs/heads/{branch}") };
    Some(json!({
        "name": name, "title": title, "about": about, "labels": texts(&read["labels"])?,
        "assignees": texts(&read["assignees"])?, "ref": reference, "content": content, "body": body, "file_name": path,
    }))
}

/// The front matter of a Markdown template, between two lines of dashes, and the rest.
fn split(text: &str) -> (String, String) {
    let is_line = |line: &str| line.trim().len() > 2 && line.trim().bytes().all(|byte| byte == b'-');
    let (mut front, mut lines) = (Vec::new(), text.split('\n'));
    let mut seen = 0;
    while seen < 2 {
        match lines.next() {
            None => break,
            Some(line) if is_line(line) => seen += 1,
            Some(line) => front.push(line),
        }
    }
    (front.join("\n"), lines.collect::<Vec<_>>().join("\n"))
}

/// A list of texts, or one text with commas; absent is `null`.
fn texts(value: &Value) -> Option<Value> {
    match value {
        Value::Null => Some(Value::Null),
        Value::String(text) => Some(text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()),
        Value::Array(items) => items.iter().all(Value::is_string).then(|| value.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The fields of a form; none if one of them is invalid (go-gitea/gitea `modules/issue/template/template.go`).
fn fields(body: &Value) -> Option<Vec<Value>> {
    let mut ids = BTreeSet::new();
    let fields = body.as_array().filter(|fields| !fields.is_empty())?.iter().enumerate();
    fields.map(|(at, field)| shown(at, field).filter(|shown| ids.insert(shown["id"].to_string()))).collect()
}

fn shown(at: usize, field: &Value) -> Option<Value> {
    let (kind, attributes) = (field["type"].as_str()?, &field["attributes"]);
    let has = |key: &str| attributes[key].as_str().is_some_and(|text| !text.trim().is_empty());
    let options = attributes["options"].as_array().filter(|options| !options.is_empty());
    let is_valid = match kind {
        "markdown" => has("value"),
        "input" | "textarea" => has("label"),
        "dropdown" => has("label") && options?.iter().all(Value::is_string),
        "checkboxes" => has("label") && options?.iter().all(|option| option["label"].is_string()),
        _ => false,
    };
    let id = if field["id"].is_null() { at.to_string() } else { field["id"].as_str()?.to_owned() };
    let is_name = id.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let default = if kind == "markdown" { json!(["form"]) } else { json!(["form", "content"]) };
    let visible = if field["visible"].is_null() { default } else { field["visible"].clone() };
    (is_valid && is_name).then(|| {
        json!({
            "type": kind, "id": id, "attributes": attributes, "validations": field["validations"], "visible": visible,
        })
    })
}

/// The chooser's configuration; the default if its file is invalid.
pub(super) fn config(context: &RepoRequest<'_>) -> SandboxReply {
    SandboxReply::json(200, &read_config(&context.repository().files).unwrap_or_else(|_| default_config()))
}

/// Whether the chooser's configuration is valid, with the error.
pub(super) fn check_config(context: &RepoRequest<'_>) -> SandboxReply {
    let error = read_config(&context.repository().files).err();
    SandboxReply::json(200, &json!({ "valid": error.is_none(), "message": error.unwrap_or_default() }))
}

fn default_config() -> Value {
    json!({ "blank_issues_enabled": true, "contact_links": [] })
}

fn read_config(files: &Files) -> Result<Value, String> {
    let candidates = CONFIGS.iter().flat_map(|config| [format!("{config}.yaml"), format!("{config}.yml")]);
    let Some(contents) = candidates.into_iter().find_map(|path| files.get(&path)) else { return Ok(default_config()) };
    let text = std::str::from_utf8(contents).map_err(|error| error.to_string())?;
    let read: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let mut config = default_config();
    if let Some(enabled) = read.get("blank_issues_enabled") {
        config["blank_issues_enabled"] = json!(enabled.as_bool().ok_or("cannot unmarshal into bool")?);
    }
    for (at, link) in read["contact_links"].as_array().into_iter().flatten().enumerate() {
        for key in ["name", "url", "about"] {
            if link[key].as_str().is_none_or(str::is_empty) {
                return Err(format!("contact_link at position {} is missing {key} key", at + 1));
            }
        }
    }
    if let Some(links) = read.get("contact_links").filter(|links| links.is_array()) {
        config["contact_links"] = links.clone();
    }
    Ok(config)
}
