//! What a forge makes of our comments: no text of a stranger becomes a link, an image, a mention or a reference.

use crate::life::hostile::inputs::check_dead;
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};

stories![no_forge_renders_live_markup_from_user_text_in_a_comment];

/// Each would be something, were it not dead.
const LIVE: [&str; 16] = [
    "@owner",
    "#1",
    "!1",
    "closes #1",
    "owner/missions-1#1",
    "[x](http://evil.test)",
    "![x](http://evil.test/p.gif)",
    "<img src=http://evil.test/p.gif>",
    "<a href=http://evil.test>x</a>",
    "https://evil.test/x",
    "www.evil.test",
    "x@evil.test",
    ":tada: x",
    "`` @owner ` #1",
    "</code> @owner",
    "0123456789abcdef0123456789abcdef01234567 x",
];

async fn no_forge_renders_live_markup_from_user_text_in_a_comment(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let path = format!("{}/issues", repository.path());
    let file = async |title: &str, body: String| {
        let (status, issue) = forge.call("reader", Method::POST, &path, json!({ "title": title, "body": body })).await;
        assert_eq!(status, 201, "{title}");
        issue["number"].as_i64().unwrap()
    };
    let first = file("Mission: to be referred to", body(&[])).await;
    let mut filed = Vec::new();
    for text in LIVE {
        let wrong = ["Repository", "Ref", "Stale after", "Wizard", "Host", "Existing cell"].map(|field| (field, text));
        filed.push((text, file("Mission: x", body(&wrong)).await));
    }
    host.once(&repository).await;
    let alive = forge.rendered(&repository.name, "@owner #1").await;
    assert!(alive.is_none_or(|html| html.matches("<a href=").count() == 2), "it would be seen");
    for (text, number) in filed {
        let comment = repository.comment(number).await;
        check_dead(&comment, text);
        if let Some(html) = forge.rendered(&repository.name, &comment).await {
            for live in ["<a ", "<img", "<svg", "class=\"emoji", "ref-issue"] {
                assert!(!html.contains(live), "{text} became {live}: {html}");
            }
            assert!(html.contains("<code>"), "{html}");
        }
    }
    let timeline = forge.get(&format!("{}/timeline", repository.issue_path(first))).await;
    let by_us = |entry: &&Value| entry["user"]["login"] == "bot" && entry["type"].as_str().unwrap().ends_with("_ref");
    assert_eq!(timeline.as_array().unwrap().iter().filter(by_us).count(), 0, "{timeline}");
}
