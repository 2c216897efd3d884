//! The listener for webhooks and heartbeats: its endpoints, and no others.

use crate::http::endpoints::{CELL, NOWHERE};
use crate::support::cells::at;
use crate::support::site::{Setup, Site, ask, snapshot};
use lazarus::engine::snapshot::{Passes, Snapshot};
use lazarus::mission::identity::ForgeUrl;
use std::sync::Arc;

#[tokio::test]
async fn each_endpoint_has_its_own_methods_and_there_are_no_others() {
    let site = Site::new(Setup { webhook_secret: Some("a secret of the forge"), ..Setup::default() }).await;
    let beat = format!("/missions/{CELL}/heartbeat");
    let cases = [
        ("GET", "/healthz", 200, ""),
        ("HEAD", "/readyz", 200, ""),
        ("POST", "/healthz", 405, "GET, HEAD"),
        ("DELETE", "/readyz", 405, "GET, HEAD"),
        ("GET", "/webhook", 405, "POST"),
        ("PUT", &beat, 405, "POST"),
        ("GET", "/", 404, ""),
        ("GET", "/health", 404, ""),
        ("GET", "/metrics", 404, ""),
        ("POST", "/webhook/", 404, ""),
        ("POST", "/missions/../heartbeat", 404, ""),
        ("POST", "/missions//heartbeat", 404, ""),
        ("OPTIONS", "/nothing", 404, ""),
    ];
    for (method, path, status, allow) in cases {
        let answer = ask(site.doors, method, path, &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
    }
}

#[tokio::test]
async fn every_unknown_resource_gets_the_same_404() {
    let site = Site::new(Setup::default()).await;
    let (_, token) = site.cell(CELL);
    let unknown = [
        ask(site.doors, "POST", "/webhook", &[], b"{}").await,
        ask(site.doors, "GET", "/nothing", &[], b"").await,
        site.beat(NOWHERE, &token, "{}").await,
        site.beat(CELL, "wrong", "{}").await,
        site.beat("no-uuid", &token, "{}").await,
    ];
    for answer in unknown {
        let length = answer.header("content-length");
        assert_eq!((answer.status, answer.body.as_str(), length), (404, "not found\n", "10"));
    }
}

#[tokio::test]
async fn readiness_follows_the_snapshot_and_gives_the_reason() {
    let site = Site::new(Setup::default()).await;
    let readiness = async |snapshot: Snapshot| {
        site.snapshot.send_replace(Arc::new(snapshot));
        let answer = ask(site.doors, "GET", "/readyz", &[], b"").await;
        (answer.status, answer.body)
    };
    assert_eq!(readiness(snapshot()).await, (200, "ready\n".to_owned()));
    let none = Snapshot { passes: Passes::default(), ..snapshot() };
    assert_eq!(readiness(none).await, (503, "no pass has ended for 3 intervals: none yet\n".to_owned()));
    let unread = Passes { complete_at: Some(at(-36_001)), last_complete: false, ..snapshot().passes };
    assert_eq!(readiness(Snapshot { passes: unread, ..snapshot() }).await.0, 200, "one repository of several");
    let rootless = Passes { service_error: Some("the root is missing".to_owned()), ..snapshot().passes };
    let answer = readiness(Snapshot { passes: rootless, ..snapshot() }).await;
    assert_eq!(answer, (503, "the root is missing\n".to_owned()));
    let passes = Passes { forge_error: Some("502".to_owned()), ..snapshot().passes };
    let forge = Some(ForgeUrl::parse("https://git.example.com").unwrap());
    let (status, reason) = readiness(Snapshot { forge, passes, ..snapshot() }).await;
    assert_eq!((status, reason.as_str()), (503, "502\n"));
    assert_eq!(ask(site.doors, "GET", "/healthz", &[], b"").await.body, "ok\n", "the process answers all the same");
}
