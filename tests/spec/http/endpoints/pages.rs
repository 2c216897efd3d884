//! The dashboard's listener: pages, headers, authorization and host names.

use crate::http::endpoints::{CELL, NOWHERE};
use crate::support::cells::at;
use crate::support::site::{Setup, Site, ask, snapshot};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::engine::snapshot::{MissionView, Snapshot};
use lazarus::http::page::query::Query;
use lazarus::http::render_cache::{PAGES_MAX, PageKey, RenderCache};
use lazarus::mission::cell::health::Health;
use lazarus::mission::identity::MissionId;
use lazarus::mission::status::phase::Phase;
use std::sync::Arc;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A cell of which only the health is known.
pub(super) fn view() -> MissionView {
    MissionView {
        needs_a_person: false,
        ever_heartbeat: false,
        mission_id: MissionId::parse(CELL).unwrap(),
        has_cell: true,
        is_archived: false,
        comment_refusal: None,
        is_published: true,
        path: format!("/var/missions/{CELL}"),
        phase: Some(Phase::Active),
        health: Some(Health::Uninitialized),
        reason: Some("no-heartbeat".to_owned()),
        problem: None,
        since: None,
        last_heartbeat_at: None,
        agent_state: None,
        agent_state_since: None,
        message: None,
        notes: Vec::new(),
        wizard: None,
        name: None,
        repository: None,
        issue: None,
        changes: Arc::default(),
    }
}

async fn site(setup: Setup) -> Site {
    let site = Site::new(setup).await;
    site.snapshot.send_replace(Arc::new(Snapshot { missions: vec![Arc::new(view())], ..snapshot() }));
    site
}

#[tokio::test]
async fn every_resource_is_read_only() {
    let site = site(Setup::default()).await;
    let known = format!("/missions/{CELL}");
    let cases = [
        ("GET", "/", 200, "text/html; charset=utf-8"),
        ("GET", "/?health=stale", 200, "text/html; charset=utf-8"),
        ("HEAD", "/", 200, "text/html; charset=utf-8"),
        ("GET", &known, 200, "text/html; charset=utf-8"),
        ("GET", &known.to_uppercase().replace("MISSIONS", "missions"), 200, "text/html; charset=utf-8"),
        ("GET", &format!("/missions/{NOWHERE}"), 404, "text/plain; charset=utf-8"),
        ("GET", "/missions/nothing", 404, "text/plain; charset=utf-8"),
        ("GET", "/style.css", 200, "text/css; charset=utf-8"),
        ("GET", "/health", 200, "application/json"),
        ("GET", "/metrics", 200, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("GET", "/healthz", 200, "text/plain; charset=utf-8"),
        ("GET", "/webhook", 404, "text/plain; charset=utf-8"),
        ("POST", "/", 405, "text/plain; charset=utf-8"),
        ("DELETE", &known, 405, "text/plain; charset=utf-8"),
    ];
    for (method, path, status, kind) in cases {
        let answer = ask(site.page, method, path, &[], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (status, kind), "{method} {path}");
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD" } else { "" }, "{method} {path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        assert_eq!(answer.header("content-security-policy"), if kind.contains("html") { policy } else { "" }, "{path}");
    }
}

#[tokio::test]
async fn a_dashboard_on_loopback_answers_to_loopback_names_only() {
    let local = site(Setup::default()).await;
    let cases = [
        ("localhost", 200),
        ("LOCALHOST:8788", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("[::1]:8788", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
        ("localhost@evil.example", 421),
        ("127.0.0.1:80:80", 421),
        ("", 421),
    ];
    for (host, status) in cases {
        for path in ["/", "/healthz", "/nothing"] {
            let expected = if status == 200 && path == "/nothing" { 404 } else { status };
            let answer = ask(local.page, "GET", path, &[("Host", host)], b"").await;
            assert_eq!(answer.status, expected, "{host} {path}");
        }
    }
    let twice = ask(local.page, "GET", "/", &[("Host", "localhost"), ("Host", "evil.example")], b"").await;
    assert_eq!(twice.status, 421);
    let absolute = ask(local.page, "GET", "http://evil.example/", &[("Host", "localhost")], b"").await;
    assert_eq!(absolute.status, 421);
    let open = site(Setup { page_token: Some(TOKEN), is_page_open: true, ..Setup::default() }).await;
    let bearer = format!("Bearer {TOKEN}");
    let named = ask(open.page, "GET", "/", &[("Host", "pit.example"), ("Authorization", &bearer)], b"").await;
    assert_eq!(named.status, 200, "a public dashboard may have any name");
}

#[tokio::test]
async fn a_missing_token_makes_a_browser_prompt_for_it() {
    let site = site(Setup { page_token: Some(TOKEN), ..Setup::default() }).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let cases = [
        (format!("Bearer {TOKEN}"), 200),
        (format!("bearer {TOKEN}"), 200),
        (basic(&format!("anybody:{TOKEN}")), 200),
        (basic(&format!(":{TOKEN}")), 200),
        (basic(TOKEN), 401),
        (basic(&format!("{TOKEN}:")), 401),
        (basic(&format!("x:{TOKEN}x")), 401),
        ("Basic ???".to_owned(), 401),
        (format!("Bearer {}", &TOKEN[1..]), 401),
        (format!("Token {TOKEN}"), 401),
        ("Bearer ".to_owned(), 401),
        (String::new(), 401),
    ];
    for (authorization, status) in cases {
        for path in ["/", "/health", "/metrics", "/style.css"] {
            let answer = ask(site.page, "GET", path, &[("Authorization", &authorization)], b"").await;
            assert_eq!(answer.status, status, "{authorization} {path}");
            let prompt = if status == 401 { "Basic realm=\"lazarus\"" } else { "" };
            assert_eq!(answer.header("www-authenticate"), prompt, "{authorization} {path}");
            assert!(status != 401 || answer.body == "unauthorized\n");
        }
    }
    assert_eq!(site.look("/nothing").await.status, 401, "a 401 does not reveal which paths exist");
    assert_eq!(site.look("/healthz").await.status, 200, "whether the process answers is no secret");
}

#[test]
fn a_page_is_rendered_once_per_snapshot_and_second() {
    let cache = RenderCache::default();
    let old = Arc::new(Snapshot { missions: vec![Arc::new(view())], ..snapshot() });
    let fleet = |query: &str| PageKey::Fleet(Query::parse(query));
    let mission = PageKey::Mission(MissionId::parse(CELL).unwrap());
    let show = |of: &Arc<Snapshot>, second: i64, page| cache.get_or_render(of, at(second), page).unwrap();
    for page in [fleet(""), fleet("health=stale"), mission, PageKey::Health] {
        let first = show(&old, 0, page);
        for _ in 0..100 {
            assert_eq!(show(&old, 0, page).as_ptr(), first.as_ptr(), "{page:?}");
        }
    }
    let plain = show(&old, 0, fleet(""));
    assert_eq!(show(&old, 0, fleet("health=none&x=y&sort=health")).as_ptr(), plain.as_ptr(), "it asks for the same");
    assert_ne!(show(&old, 0, fleet("sort=name")).as_ptr(), plain.as_ptr());
    assert_ne!(show(&old, 1, fleet("")).as_ptr(), plain.as_ptr(), "pages show ages in seconds");
    let new = Arc::new(snapshot());
    assert!(cache.get_or_render(&new, at(1), mission).is_none(), "a mission that is deleted has no page");
    assert_ne!(show(&new, 1, fleet("")), plain);
    // At the same address, perhaps.
    drop(new);
    assert_eq!(
        show(&Arc::new(Snapshot { missions: old.missions.clone(), ..snapshot() }), 1, mission),
        show(&old, 1, mission)
    );
}

#[test]
fn the_render_cache_is_bounded() {
    let (cache, snapshot) = (RenderCache::default(), Arc::new(snapshot()));
    let show = |page: usize| {
        cache.get_or_render(&snapshot, at(0), PageKey::Fleet(Query { page, ..Query::default() })).unwrap()
    };
    let pages: Vec<_> = (0..=PAGES_MAX).map(show).collect();
    assert_eq!(show(PAGES_MAX).as_ptr(), pages[PAGES_MAX].as_ptr());
    assert_eq!(show(1).as_ptr(), pages[1].as_ptr());
    assert_ne!(show(0).as_ptr(), pages[0].as_ptr(), "the oldest was dropped");
}
