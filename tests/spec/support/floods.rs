//! What a forge may be full of: each list is what the sandbox has, among very much that it has not.

use crate::support::flood::{Flood, FloodedForge};
use crate::support::host::Host;
use crate::support::repository::Repository;
use serde_json::{Value, json};
use std::io::Write;

/// An issue that the sandbox does not have.
pub(crate) fn issue(at: u64, text: &str, bytes: usize, out: &mut dyn Write) {
    let at = 1_000_000 + at;
    let start = json!({
        "id": at, "number": at, "user": { "id": 7, "login": "flood" }, "title": "Flood", "labels": [], "state": "open",
        "comments": 0, "updated_at": "2026-01-01T00:00:00Z", "html_url": "", "pull_request": null,
    });
    out.write_all(start.to_string().strip_suffix('}').unwrap().as_bytes()).unwrap();
    long(text, bytes, out);
}

/// The end of an object, with a body that begins with a text and has so many bytes more.
fn long(text: &str, bytes: usize, out: &mut dyn Write) {
    let text = json!(text).to_string();
    out.write_all(format!(",\"body\":{}", text.trim_end_matches('"')).as_bytes()).unwrap();
    let filling = [b'x'; 16 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(filling.len());
        out.write_all(&filling[..part]).unwrap();
        left -= part;
    }
    out.write_all(b"\"}").unwrap();
}

pub(crate) fn tell(value: &Value, out: &mut dyn Write) {
    out.write_all(value.to_string().as_bytes()).unwrap();
}

pub(crate) fn is_issues(path: &str, query: &str) -> Option<usize> {
    (path.ends_with("/issues") && query.contains("type=issues")).then_some(0)
}

/// The issue that was filed, and so many others of this size.
pub(crate) async fn beside(repository: &Repository, number: i64, count: u64, bytes: usize) -> Flood {
    let filed = repository.forge.get(&repository.issue_path(number)).await;
    let item = move |at: u64, out: &mut dyn Write| {
        if at == 3 { tell(&filed, out) } else { issue(at, "A bug:\n", bytes, out) }
    };
    Flood { count, total: Some(count), is_paged: true, item: Box::new(item) }
}

/// Comments of strangers with the real ones behind them.
pub(crate) async fn comments(repository: &Repository, number: i64, count: u64, bytes: usize) -> [Flood; 2] {
    let real = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let (real, page) = (real.as_array().unwrap().clone(), format!("{}/issues/{number}", repository.name));
    let all = count + real.len() as u64;
    let item = move |at: u64, out: &mut dyn Write| {
        if let Some(real) = at.checked_sub(count).and_then(|at| real.get(usize::try_from(at).unwrap())) {
            return tell(real, out);
        }
        let start = json!({
            "id": 1_000_000 + at, "user": { "id": 7, "login": "flood" }, "issue_url": page, "pull_request_url": "",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        out.write_all(start.to_string().strip_suffix('}').unwrap().as_bytes()).unwrap();
        long("What about this?\n", bytes, out);
    };
    let item = std::sync::Arc::new(item);
    [false, true].map(|is_paged| {
        let item = std::sync::Arc::clone(&item);
        Flood { count: all, total: Some(all), is_paged, item: Box::new(move |at, out| item(at, out)) }
    })
}

/// Labels of a team with the real ones behind them.
pub(crate) async fn labels(repository: &Repository, others: u64) -> Flood {
    let ours = repository.forge.get(&format!("{}/labels", repository.path())).await.as_array().unwrap().clone();
    let count = others + ours.len() as u64;
    let item = move |at: u64, out: &mut dyn Write| match at.checked_sub(others) {
        Some(at) => tell(&ours[usize::try_from(at).unwrap()], out),
        None => tell(
            &json!({
                "id": 1_000_000 + at, "name": format!("area/{at}"), "exclusive": true, "is_archived": false,
                "color": "000000", "description": "x".repeat(1_000),
            }),
            out,
        ),
    };
    Flood { count, total: Some(count), is_paged: false, item: Box::new(item) }
}

/// Very much talk, and what really happened to an issue after it.
pub(crate) async fn timeline(repository: &Repository, number: i64, talk: u64) -> Flood {
    let path = format!("{}/timeline", repository.issue_path(number));
    let real = repository.forge.get(&path).await.as_array().unwrap().clone();
    let count = talk + real.len() as u64;
    let item = move |at: u64, out: &mut dyn Write| match at.checked_sub(talk) {
        Some(at) => tell(&real[usize::try_from(at).unwrap()], out),
        None => tell(&json!({ "id": 1 + at, "type": "comment", "body": "x".repeat(1_000) }), out),
    };
    Flood { count, total: None, is_paged: true, item: Box::new(item) }
}

/// A mission that somebody has just paused, so that its timeline is read: its number, and the id of its comment.
pub(crate) async fn famous(repository: &Repository, host: &Host) -> (i64, i64) {
    let number = repository.file("reader", "Mission: famous", &[]).await;
    host.once(repository).await;
    repository.put_label(number, "mission/suspended").await;
    let comments = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    (number, comments[0]["id"].as_i64().unwrap())
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Issues of so many MiB, and one that is larger than anything that is read.
    pub(crate) issues: u64,
    pub(crate) issue_mib: usize,
    /// Comments of 1 MiB on one issue.
    pub(crate) comments: u64,
    pub(crate) labels: u64,
    pub(crate) timeline: u64,
}

/// All of this at once around one issue, by a forge that says of each list that there are 100,000.
pub(crate) async fn everything(repository: &Repository, number: i64, extent: Extent) -> FloodedForge {
    const MIB: usize = 1024 * 1024;
    let Extent { issues, issue_mib, comments: posted, labels: others, timeline: talk } = extent;
    let issues = beside(repository, number, issues, issue_mib * MIB).await;
    let count = issues.count;
    let oversized = move |at: u64, out: &mut dyn Write| match at {
        7 => issue(at, "A bug:\n", 65 * MIB, out),
        _ => (issues.item)(at, out),
    };
    let listed = Flood { count, total: None, is_paged: true, item: Box::new(oversized) };
    let [of_issue, of_repository] = comments(repository, number, posted, MIB).await;
    let labels = Flood { is_paged: true, ..labels(repository, others).await };
    let timeline = timeline(repository, number, talk).await;
    let floods = [listed, of_issue, of_repository, labels, timeline];
    let floods = floods.into_iter().map(|flood| Flood { total: Some(100_000), ..flood }).collect();
    let choose = move |path: &str, query: &str| match path {
        path if path.ends_with(&format!("/issues/{number}/comments")) => Some(1),
        path if path.ends_with("/issues/comments") => Some(2),
        path if path.ends_with("/labels") && !path.contains("/issues/") => Some(3),
        path if path.ends_with("/timeline") => Some(4),
        path => is_issues(path, query),
    };
    FloodedForge::before(&repository.forge.url, floods, Box::new(choose))
}
