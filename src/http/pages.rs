//! The listener for whoever looks: pages for people, the health report and the metrics for programs.

use crate::http::page::query::Query;
use crate::http::render_cache::{Kept, Page};
use crate::http::reply::{self, Reply};
use crate::http::{Web, access, ingress, page};
use crate::mission::identity::MissionId;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};

/// Nothing can be changed from here.
const METHODS: &str = "GET, HEAD";

/// What can be looked at.
enum View {
    Fleet,
    Mission(MissionId),
    Style,
    Icon,
    Health,
    Metrics,
    Lives,
}

impl View {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Fleet),
            "/style.css" => Some(Self::Style),
            "/icon.svg" => Some(Self::Icon),
            "/health" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Lives),
            _ => MissionId::parse(path.strip_prefix("/missions/")?).ok().map(Self::Mission),
        }
    }
}

/// Answers one request; `is_local` says that the listener can be reached from this machine alone.
pub(super) fn answer(web: &Web, kept: &Kept, is_local: bool, request: &Request<Incoming>) -> Reply {
    if is_local && !access::names_this_machine(request) {
        let line = "this page is at localhost or 127.0.0.1 only; a proxy in front of it has to ask for one of these";
        return reply::text(StatusCode::MISDIRECTED_REQUEST, line);
    }
    let view = View::at(request.uri().path());
    let is_open = matches!(view, Some(View::Lives));
    if !is_open && web.page_token.as_ref().is_some_and(|token| !access::may_look(request, token)) {
        return reply::unauthorized_on_page();
    }
    let Some(view) = view else { return reply::not_found() };
    if !ingress::allows(METHODS, request.method()) {
        return reply::method_not_allowed(METHODS);
    }
    show(web, kept, &view, request.uri().query().unwrap_or_default())
}

fn show(web: &Web, kept: &Kept, view: &View, query: &str) -> Reply {
    let snapshot = web.snapshot();
    let shown = |asked| kept.show(&snapshot, snapshot.tick.now(), asked);
    match view {
        View::Fleet => shown(Page::Fleet(Query::parse(query))).map_or_else(reply::not_found, reply::html),
        View::Mission(mission_id) => shown(Page::Mission(*mission_id)).map_or_else(reply::not_found, reply::html),
        View::Style => reply::css(page::STYLE),
        View::Icon => reply::svg(page::ICON),
        View::Health => shown(Page::Health).map_or_else(reply::broken, reply::json),
        View::Metrics => reply::metrics(web.metrics.render(&snapshot, &web.queue)),
        View::Lives => reply::text(StatusCode::OK, "ok"),
    }
}
