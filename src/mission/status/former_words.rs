//! The digest of a status uses the names and texts of the first version: renaming a field or rewording a text edits no comment.

use serde_json::Value;

/// Phrases of texts in a status view: the current one, and the one in digests.
const FORMER_TEXTS: [(&str, &str); 29] = [
    // Why a file of a cell is unusable, and notes about a heartbeat.
    (
        "JSON is truncated; write it to a temporary file, then rename that into place",
        "JSON ends too early; write it whole under another name, then rename it into place",
    ),
    ("there is data after the end", "something follows after the end"),
    ("have the agent's account replace it", "let the account of the agent replace it"),
    ("a string", "a text"),
    ("an array", "a list"),
    ("a number that is negative, too large, or has a fraction", "a number below 0, too large, or with a fraction"),
    ("has no time zone", "has no zone"),
    ("is not a time", "is a text that is no time"),
    ("not valid UTF-8; invalid bytes are replaced", "not all UTF-8; what is not is replaced"),
    ("characters and is truncated", "characters and is cut"),
    ("; it is ignored", "; it is left out"),
    ("a file with several hard links", "a file with more than one name"),
    // Why a checkout failed.
    (
        "the repository or ref was not found, is not visible to this service, or is not allowed here",
        "the forge has no such repository or ref for us, or it may not be used here",
    ),
    ("name a commit by its full id of 40 digits", "a commit has to be named in full, by all 40 digits of its id"),
    ("; fix that in the repository", "; put that right in the repository"),
    ("object ids have a format that git does not know", "object ids are of no kind that git knows"),
    ("is nested too deeply", "lies too deep"),
    ("leads out of the checkout", "leads elsewhere"),
    ("is reserved for git", "would be git's own"),
    ("git cannot fetch from Gitea", "git cannot fetch from the forge"),
    ("does not report a git version", "does not say which git it is"),
    ("cannot set the resource limits of git", "cannot limit what git may use"),
    ("cannot create the ", "cannot make the "),
    // What else blocks a host.
    ("is not an empty directory; its contents are kept", "is no empty directory, and what is there stays"),
    ("cannot recreate `", "cannot make again `"),
    ("cannot archive the cell", "cannot move to the archive the cell"),
    ("cannot restore the cell", "cannot move back from the archive the cell"),
    ("cannot inspect `", "cannot look into `"),
    ("cannot read the output of git", "cannot listen to git"),
];

/// Names of fields: the current one, and the one in digests.
const FORMER_FIELDS: [(&str, &str); 4] = [
    ("agent_state", "says"),
    ("agent_state_since", "says_since"),
    ("approval_prompt", "asked"),
    ("teardown", "ending"),
];

/// Reasons of health: the current name, and the one in digests.
const FORMER_REASONS: [(&str, &str); 6] = [
    ("no-heartbeat", "never-beaten"),
    ("not-initialized", "not-scaffolded"),
    ("heartbeat-ok", "beating"),
    ("completed", "finished"),
    ("heartbeat-timeout", "silent"),
    ("clock-skew", "stamp-in-future"),
];

fn use_former_names(view: &mut Value) {
    let Value::Object(fields) = view else { return };
    for (now, former) in FORMER_FIELDS {
        if let Some(value) = fields.remove(now) {
            fields.insert(former.to_owned(), value);
        }
    }
    let prompt = fields.get_mut("asked").and_then(Value::as_object_mut);
    if let Some((prompt, request)) = prompt.and_then(|prompt| prompt.remove("request").map(|request| (prompt, request)))
    {
        prompt.insert("asking".to_owned(), request);
    }
    if let Some(reason) = fields.get_mut("reason")
        && let Some((_, former)) = FORMER_REASONS.iter().find(|(now, _)| reason == now)
    {
        *reason = Value::from(*former);
    }
}

/// Puts a serialized status view into the names and texts of the first version; what people and agents wrote stays.
pub(super) fn use_former_words(view: &mut Value) {
    use_former_names(view);
    use_former_texts(view);
}

fn use_former_texts(view: &mut Value) {
    for path in ["/flaw", "/obstructed", "/worktree/failed/1"] {
        if let Some(text) = view.pointer_mut(path) {
            reword(text);
        }
    }
    if let Some(Value::Array(notes)) = view.get_mut("notes") {
        notes.iter_mut().for_each(reword);
    }
}

fn reword(text: &mut Value) {
    let Value::String(text) = text else { return };
    for (now, former) in FORMER_TEXTS {
        if text.contains(now) {
            *text = text.replace(now, former);
        }
    }
}
