//! Serves `daemon.page_listen`: the dashboard, the health report and the metrics.

use crate::http::page::query::Query;
use crate::http::render_cache::{PageKey, RenderCache};
use crate::http::reply::{self, Reply};
use crate::http::{Web, access, ingress, page};
use crate::mission::identity::MissionId;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};

/// Every resource is read-only.
const METHODS: &str = "GET, HEAD";

/// The resources of this listener.
enum Resource {
    Fleet,
    Mission(MissionId),
    Style,
    Icon,
    Health,
    Metrics,
    Liveness,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Fleet),
            "/style.css" => Some(Self::Style),
            "/icon.svg" => Some(Self::Icon),
            "/health" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Liveness),
            _ => MissionId::parse(path.strip_prefix("/missions/")?).ok().map(Self::Mission),
        }
    }
}

/// Answers one request; `is_local` means that the listener is bound to loopback.
pub(super) fn answer(web: &Web, cache: &RenderCache, is_local: bool, request: &Request<Incoming>) -> Reply {
    if is_local && !access::has_local_host(request) {
        let line = "the dashboard answers to localhost and 127.0.0.1 only; a reverse proxy must pass `Host: localhost`";
        return reply::text(StatusCode::MISDIRECTED_REQUEST, line);
    }
    let resource = Resource::at(request.uri().path());
    let is_public = matches!(resource, Some(Resource::Liveness));
    if !is_public && web.page_token.as_ref().is_some_and(|token| !access::is_authorized(request, token)) {
        return reply::unauthorized_with_prompt();
    }
    let Some(resource) = resource else { return reply::not_found() };
    if !ingress::allows(METHODS, request.method()) {
        return reply::method_not_allowed(METHODS);
    }
    serve(web, cache, &resource, request.uri().query().unwrap_or_default())
}

fn serve(web: &Web, cache: &RenderCache, resource: &Resource, query: &str) -> Reply {
    let snapshot = web.snapshot();
    let rendered = |page| cache.get_or_render(&snapshot, snapshot.tick.now(), page);
    match resource {
        Resource::Fleet => rendered(PageKey::Fleet(Query::parse(query))).map_or_else(reply::not_found, reply::html),
        Resource::Mission(mission_id) => {
            rendered(PageKey::Mission(*mission_id)).map_or_else(reply::not_found, reply::html)
        }
        Resource::Style => reply::css(page::STYLE),
        Resource::Icon => reply::svg(page::ICON),
        Resource::Health => rendered(PageKey::Health).map_or_else(reply::internal_error, reply::json),
        Resource::Metrics => reply::metrics(web.metrics.render(&snapshot, &web.queue)),
        Resource::Liveness => reply::text(StatusCode::OK, "ok"),
    }
}
