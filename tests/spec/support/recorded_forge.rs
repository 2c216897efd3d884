//! A forge that answers as one once did: from recorded issues, comments and labels. It notes what would change them, and
//! takes comments and labels.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The ids of new comments follow after this one, by the numbers of their issues.
const NEW_COMMENTS: i64 = 10_000;

/// Listens on a port of its own until the tests end.
pub(crate) struct RecordedForge {
    pub(crate) url: String,
    writes: Arc<Mutex<Vec<String>>>,
}

impl RecordedForge {
    pub(crate) fn of(mut world: Value) -> Self {
        // Issues name their labels by ids alone.
        let labels = world["labels"].clone();
        for issue in world["issues"].as_array_mut().unwrap() {
            let ids = issue["labels"].as_array().unwrap();
            issue["labels"] = ids.iter().map(|id| find(&labels, |label| label["id"] == *id).unwrap()).collect();
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let writes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&writes);
        let world = Arc::new(Mutex::new(world));
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (stream, world, noted) = (stream.unwrap(), Arc::clone(&world), Arc::clone(&noted));
                // Not every connection asks something at once.
                std::thread::spawn(move || serve(&stream, &world, &noted));
            }
        });
        Self { url, writes }
    }

    /// The requests since the last call that would change something, and those that it had no answer for.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }
}

fn serve(mut stream: &TcpStream, world: &Mutex<Value>, noted: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap_or_default();
        line.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
    let length =
        |line: &String| line.to_lowercase().strip_prefix("content-length: ").and_then(|size| size.parse().ok());
    let length: u64 = headers.iter().find_map(length).unwrap_or_default();
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).unwrap_or_default();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut world = world.lock().unwrap();
    let found = if method == "GET" { answer(&world, target) } else { take(&mut world, method, target, &body) };
    if method != "GET" || found.is_none() {
        noted.lock().unwrap().push(format!("{method} {}", target.trim_start_matches("/api/v1/repos/")));
    }
    let (status, value) = match found {
        Some(value) => ("200 OK", value),
        None => ("500 Internal Server Error", json!({ "message": "only what was recorded" })),
    };
    let (total, text) = (value.as_array().map_or(0, Vec::len), value.to_string());
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-total-count: {total}\r\n");
    let rest = format!("content-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    let _ = stream.write_all((head + &rest).as_bytes());
}

fn answer(world: &Value, target: &str) -> Option<Value> {
    let url = url::Url::parse("http://recorded").unwrap().join(target).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let segments: Vec<&str> = url.path_segments().unwrap().skip(2).collect();
    let rest = match segments.as_slice() {
        ["version"] => return Some(world["version"].clone()),
        ["user"] => return Some(world["user"].clone()),
        ["settings", "api"] => return Some(json!({ "max_response_items": 50, "default_paging_num": 30 })),
        ["users", login] => return find(&world["users"], |user| user["login"] == *login),
        ["repos", _, _, rest @ ..] | ["repositories", _, rest @ ..] => rest,
        _ => return None,
    };
    let issues = || world["issues"].as_array().unwrap().iter();
    let of_issue = |number: &str| {
        let page = format!("/issues/{number}");
        let is_its = |comment: &&Value| comment["issue_url"].as_str().unwrap().ends_with(&page);
        world["comments"].as_array().unwrap().iter().filter(is_its).cloned().collect::<Vec<_>>()
    };
    match rest {
        [] => Some(world["repository"].clone()),
        ["labels"] => Some(page(world["labels"].as_array().unwrap().clone(), &query)),
        ["issues"] => {
            let state = query.get("state").map_or("open", String::as_str);
            let of_state = issues().filter(|issue| state == "all" || issue["state"] == state);
            Some(page(of_state.cloned().collect(), &query))
        }
        ["issues", "comments"] => Some(page(world["comments"].as_array().unwrap().clone(), &query)),
        ["issues", "comments", id] => find(&world["comments"], |comment| is(&comment["id"], id)),
        ["issues", number] => find(&world["issues"], |issue| is(&issue["number"], number)),
        ["issues", number, "labels"] => {
            find(&world["issues"], |issue| is(&issue["number"], number)).map(|issue| issue["labels"].clone())
        }
        ["issues", number, "comments"] => Some(page(of_issue(number), &query)),
        _ => None,
    }
}

/// Posts or edits a comment, or adds labels to an issue; an exclusive one replaces those of its scope.
fn take(world: &mut Value, method: &str, target: &str, body: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(body).ok()?;
    let segments: Vec<&str> = target.split('/').skip(6).collect();
    match (method, segments.as_slice()) {
        ("PATCH", ["issues", "comments", id]) => {
            let now = world["now"].clone();
            let comments = world["comments"].as_array_mut().unwrap();
            let comment = comments.iter_mut().find(|comment| is(&comment["id"], id))?;
            (comment["body"], comment["updated_at"]) = (body["body"].clone(), now);
            Some(comment.clone())
        }
        ("POST", ["issues", number, "comments"]) => {
            let issues = world["issues"].as_array_mut().unwrap();
            let issue = issues.iter_mut().find(|issue| is(&issue["number"], number))?;
            issue["comments"] = json!(issue["comments"].as_i64()? + 1);
            let page = issue["html_url"].clone();
            let (now, user, id) =
                (world["now"].clone(), world["user"].clone(), NEW_COMMENTS + number.parse::<i64>().ok()?);
            let comment = json!({
                "id": id, "user": user, "body": body["body"], "created_at": now, "updated_at": now, "issue_url": page,
            });
            world["comments"].as_array_mut().unwrap().push(comment.clone());
            Some(comment)
        }
        ("POST", ["issues", number, "labels"]) => {
            let known = world["labels"].clone();
            let issues = world["issues"].as_array_mut().unwrap();
            let issue = issues.iter_mut().find(|issue| is(&issue["number"], number))?;
            let labels = issue["labels"].as_array_mut().unwrap();
            for id in body["labels"].as_array()? {
                let new = find(&known, |label| label["id"] == *id)?;
                let scope = |label: &Value| label["name"].as_str().unwrap().split_once('/').unwrap().0.to_owned();
                labels.retain(|label| new["exclusive"] != true || scope(label) != scope(&new));
                labels.push(new);
            }
            Some(issue["labels"].clone())
        }
        _ => None,
    }
}

fn is(id: &Value, segment: &str) -> bool {
    id.as_i64().is_some_and(|id| segment.parse() == Ok(id))
}

fn find(all: &Value, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
    all.as_array().unwrap().iter().find(|one| is_it(one)).cloned()
}

/// Those since a moment, by pages if pages are asked for.
fn page(mut all: Vec<Value>, query: &BTreeMap<String, String>) -> Value {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    if let Some(since) = query.get("since").map(|since| time(since)) {
        let updated = |one: &Value| -> DateTime<Utc> { time(one["updated_at"].as_str().unwrap()) };
        all.retain(|one| updated(one) >= since);
    }
    let number = |key: &str| query.get(key).and_then(|number| number.parse::<usize>().ok());
    let Some(page) = number("page") else { return Value::Array(all) };
    let size = number("limit").unwrap_or(30).min(50);
    Value::Array(all.into_iter().skip((page.max(1) - 1) * size).take(size).collect())
}
