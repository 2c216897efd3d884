//! The ping to a watcher elsewhere, and what is told of it.

use crate::support::listener::Listener;
use lazarus::engine::notifiers::ping::{Ping, fail_url};
use lazarus::world::log_once::{LogChange, LogOnce};
use url::Url;

#[tokio::test]
async fn each_pass_pings_the_success_or_the_failure_url() {
    let watcher = Listener::answering(&[200, 500, 200]);
    let url = Url::parse(&format!("{}/uuid?create=1", watcher.url)).unwrap();
    let mut ping = Ping::new(&url).unwrap();
    for is_complete in [true, false, true] {
        ping.send(is_complete).await;
    }
    let asked: Vec<String> = watcher.heard().into_iter().map(|heard| heard.asked).collect();
    assert_eq!(asked, ["GET /uuid?create=1", "GET /uuid/fail?create=1", "GET /uuid?create=1"]);
    let mut nobody = Ping::new(&Url::parse("http://127.0.0.1:1/").unwrap()).unwrap();
    nobody.send(true).await;
}

#[test]
fn the_failure_url_keeps_its_query() {
    for (url, fail) in [
        ("https://hc.example.com/uuid", "https://hc.example.com/uuid/fail"),
        ("https://hc.example.com/uuid/", "https://hc.example.com/uuid/fail"),
        ("https://hc.example.com/a/b?rid=1&x=%2F", "https://hc.example.com/a/b/fail?rid=1&x=%2F"),
        ("https://hc.example.com", "https://hc.example.com/fail"),
    ] {
        assert_eq!(fail_url(&Url::parse(url).unwrap()).as_str(), fail);
    }
}

#[test]
fn a_failure_is_logged_when_it_starts_changes_and_ends() {
    let mut reported = LogOnce::default();
    let heard = ["", "down", "down", "slow", "slow", "", "", "down"].map(|trouble| {
        let trouble = Some(trouble.to_owned()).filter(|trouble| !trouble.is_empty());
        reported.observe(trouble)
    });
    let trouble = |what: &str| Some(LogChange::Failing(what.to_owned()));
    assert_eq!(
        heard,
        [None, trouble("down"), None, trouble("slow"), None, Some(LogChange::Resolved), None, trouble("down")]
    );
}
