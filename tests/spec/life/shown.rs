//! On a page, too, an approver sees all that a cell gets: the real Markdown of a forge, if there is one, and the real files.

use crate::life::pass;
use crate::support::bodies::bodies;
use crate::support::fences::{Fence, blocks, fences};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

stories![every_cell_gets_the_text_that_was_shown_at_its_approval, a_plain_form_filed_in_the_browser_needs_one_approval,];

const LABEL_MODE: &str = r#"{ "approval": { "mode": "label" } }"#;

async fn every_cell_gets_the_text_that_was_shown_at_its_approval(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let (path, mut filed) = (format!("{}/issues", repository.path()), BTreeMap::new());
    for body in bodies() {
        let issue = json!({ "title": body.title, "body": body.body });
        let (status, issue) = forge.call("reader", Method::POST, &path, issue).await;
        assert_eq!(status, 201, "{}: {issue}", body.name);
        filed.insert(issue["number"].as_i64().unwrap(), body.name);
    }
    pass(&host, &repository, LABEL_MODE).await;
    assert!(host.cells().is_empty());
    let mut shown = BTreeMap::new();
    for (number, name) in &filed {
        let comment = repository.comment(*number).await;
        let fences = fences(&comment);
        if let Some(html) = forge.rendered(&repository.name, &comment).await {
            let seen: Vec<&str> = fences.iter().map(|fence| fence.shown.as_str()).collect();
            assert_eq!(blocks(&html), seen, "{name}: {html}");
            for live in ["<a ", "<img", "class=\"emoji", "ref-issue"] {
                assert!(!html.contains(live), "{name} became {live}: {html}");
            }
        }
        shown.insert(*number, fences.iter().map(Fence::text).collect::<Vec<_>>());
        repository.put_label(*number, "approval/granted").await;
    }
    pass(&host, &repository, LABEL_MODE).await;
    let mut made = BTreeMap::new();
    for cell in host.cells() {
        let file: Value = serde_json::from_slice(&std::fs::read(cell.join("meta/mission.json")).unwrap()).unwrap();
        let text = |key: &str| file[key].as_str().unwrap().to_owned();
        made.insert(file["issue"]["number"].as_i64().unwrap(), vec![text("name"), text("objective")]);
    }
    for (number, name) in &filed {
        assert_eq!(made.get(number), shown.get(number), "{name}");
    }
}

async fn a_plain_form_filed_in_the_browser_needs_one_approval(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let objective = "Raise the dead.\r\n\r\n```sh\r\nls\r\n```";
    let number = repository.file("reader", "Mission: raise", &[("objective", objective), ("wizard", "merlin")]).await;
    pass(&host, &repository, LABEL_MODE).await;
    let comment = repository.comment(number).await;
    assert!(!comment.contains("Not part of the request") && !comment.contains("invisible"), "{comment}");
    let shown: Vec<String> = fences(&comment).iter().map(Fence::text).collect();
    assert_eq!(shown, ["raise", "Raise the dead.\n\n```sh\nls\n```"]);
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, LABEL_MODE).await;
    let labels = repository.labels(number).await;
    assert!(labels.contains(&"mission/active".to_owned()), "{labels:?}");
    assert_eq!(fences(&repository.comment(number).await), [], "only while an approval is asked for");
}
