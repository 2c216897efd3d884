//! The dashboard: the fleet page and the mission pages, and that users' text stays plain text there.

mod browser;
mod hostile;
mod html;
mod scene;

use html::{links, text};
use lazarus::engine::snapshot::{MissionView, Snapshot};
use lazarus::http::page::query::Column;
use lazarus::http::page::{fleet, mission};
use lazarus::mission::cell::health::Health;
use lazarus::mission::cell::heartbeat::WizardState;
use lazarus::mission::identity::{MissionId, WizardName};
use lazarus::mission::record::Event;
use lazarus::mission::status::phase::Phase;
use lazarus::mission::text::quoted_spans;
use scene::{before, everything, fleet_of, id, not_ready, with_health};
use std::sync::Arc;

/// The numbers of the missions in the rows, in order.
fn rows(snapshot: &Snapshot, query: &str) -> Vec<i64> {
    let html = fleet(snapshot, query);
    let known: Vec<_> = (0..200).map(|number| (format!("/missions/{}", id(number)), number)).collect();
    let number = |link: &String| known.iter().find(|(known, _)| known == link).map(|(_, number)| *number);
    links(&html).iter().filter_map(number).collect()
}

fn fleet_text(snapshot: &Snapshot, query: &str) -> String {
    text(&fleet(snapshot, query))
}

fn mission_text(view: &MissionView) -> String {
    text(&mission(&fleet_of(vec![view.clone()]), view.mission_id).unwrap())
}

fn has(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "`{wanted}` is not in:\n{text}");
}

fn mixed() -> Snapshot {
    let without = MissionView { health: None, reason: None, phase: Some(Phase::Pending), ..scene::mission(6) };
    fleet_of(vec![
        with_health(1, Health::Healthy, "heartbeat-ok", 10),
        with_health(2, Health::Stale, "heartbeat-timeout", 10),
        with_health(3, Health::Stale, "heartbeat-timeout", 30),
        with_health(4, Health::Incomplete, "missing logs", 5),
        with_health(5, Health::Unknown, "io", 5),
        without,
        with_health(7, Health::Uninitialized, "no-heartbeat", 5),
    ])
}

#[test]
fn rows_sort_by_health_worst_first_then_by_its_duration() {
    assert_eq!(rows(&mixed(), ""), [4, 3, 2, 5, 7, 1, 6]);
    assert_eq!(rows(&mixed(), "order=desc"), [1, 7, 5, 3, 2, 4, 6], "those without health are last either way");
}

#[test]
fn every_column_sorts_both_ways_with_missing_values_last() {
    let change = |number: i64, wizard: &str, minutes: Option<i64>, says| MissionView {
        wizard: WizardName::parse(wizard).ok(),
        last_heartbeat_at: minutes.map(before),
        agent_state: says,
        name: Some(format!("mission {}", 9 - number)),
        since: Some(before(number)),
        ..scene::mission(number)
    };
    let mut nameless = change(3, "", None, None);
    (nameless.name, nameless.issue, nameless.since) = (None, None, None);
    let snapshot = fleet_of(vec![
        change(1, "Circe", Some(5), Some(WizardState::Done)),
        change(2, "merlin", Some(50), Some(WizardState::Failed)),
        nameless,
        change(10, "arthur", Some(1), Some(WizardState::Waiting)),
    ]);
    for (column, order) in [
        ("wizard", [10, 1, 2]),
        ("heartbeat", [2, 1, 10]),
        ("says", [2, 10, 1]),
        ("since", [10, 2, 1]),
        ("issue", [1, 2, 10]),
        ("name", [10, 2, 1]),
    ] {
        let mut expected = order.to_vec();
        expected.push(3);
        assert_eq!(rows(&snapshot, &format!("sort={column}&order=asc")), expected, "{column}");
        expected[..3].reverse();
        assert_eq!(rows(&snapshot, &format!("sort={column}&order=desc")), expected, "{column} the other way");
    }
}

#[test]
fn the_column_headings_link_to_every_sort_and_back() {
    let html = fleet(&mixed(), "sort=wizard&health=stale");
    let found = links(&html);
    for link in ["/?sort=wizard&order=desc&health=stale", "/?health=stale", "/?sort=since&order=asc&health=stale"] {
        assert!(found.iter().any(|known| known == link), "{link} is not in {found:#?}");
    }
    assert_eq!(html.matches("aria-sort=\"ascending\"").count(), 1);
}

#[test]
fn a_filter_shows_its_count_and_the_matching_missions() {
    let all = fleet_text(&everything(), "");
    for wanted in
        ["incomplete 1", "stale 4", "unknown 1", "uninitialized 2", "active", "without an issue 1", "closed 1"]
    {
        has(&all, wanted);
    }
    for (query, count) in [("health=stale", 4), ("phase=suspended", 1), ("says=failed", 1), ("phase=none", 1)] {
        assert_eq!(fleet_text(&everything(), query).matches(" of 39 missions").count(), 1, "{query}");
        has(&fleet_text(&everything(), query), &format!("{count} of 39 missions · show all"));
    }
    let both = fleet_text(&everything(), "health=stale&phase=suspended");
    has(&both, "1 of 39 missions");
    has(&both, "stale 1");
    has(&both, "active 3");
    has(&fleet_text(&everything(), "health=unknown&says=done"), "No mission matches these filters.");
}

#[test]
fn unknown_parts_of_a_query_are_ignored_and_never_echoed() {
    let plain = fleet(&mixed(), "");
    let nonsense = "sort=colour&order=up&health=HEALTHY&says=%3Cscript%3E&phase=&page=-1&page=x&x=%00&%ff=%fe&&==&a;b";
    assert_eq!(fleet(&mixed(), nonsense), plain);
    assert_eq!(rows(&mixed(), &"health=stale&".repeat(1_000)), [3, 2]);
    assert_eq!(fleet(&mixed(), "page=99999999999999999999"), plain);
    assert_eq!(fleet(&mixed(), &format!("page={}", usize::MAX)), plain, "beyond the last page is the last page");
}

#[test]
fn a_page_has_a_hundred_rows_and_stays_small_with_10000_missions() {
    let snapshot = fleet_of((0..10_000).map(scene::mission).collect());
    let first = fleet(&snapshot, "");
    assert!(first.len() < 200_000, "{} bytes", first.len());
    assert_eq!(first.matches("<tr").count(), 101);
    has(&text(&first), "10,000 missions · 1 to 100");
    assert!(links(&first).contains(&"/?page=2".to_owned()));
    let last = fleet(&snapshot, "health=healthy&page=100");
    has(&text(&last), "page 100 of 100 next →");
    assert!(links(&last).contains(&"/?health=healthy&page=99".to_owned()));
    assert_eq!(links(&last).iter().filter(|link| link.contains("page=101")).count(), 0);
}

#[test]
fn an_empty_fleet_shows_how_to_start_a_mission() {
    let page = fleet_text(&fleet_of(Vec::new()), "health=stale");
    has(&page, "No missions yet File the form Mission proposal in one of the repositories on https://git.example.com");
    has(&page, "within 30 seconds");
    let alone = Snapshot { forge: None, ..fleet_of(Vec::new()) };
    has(&text(&fleet(&alone, "")), "Create a cell with lazarus-pit --init-cell UUID");
}

#[test]
fn a_daemon_that_is_not_ready_shows_why_and_greys_everything() {
    for html in [fleet(&not_ready(mixed(), 12), ""), mission(&not_ready(mixed(), 12), id(2)).unwrap()] {
        assert!(html.contains("<html lang=\"en\" class=\"grey\">"), "{html}");
        has(&text(&html), "Not up to date: this data may be 12 minutes old");
        has(&text(&html), "502 Bad Gateway");
        has(&text(&html), "Next: check the log of lazarus-reconcile on alpha .");
    }
    let mut starting = mixed();
    (starting.passes.finished_at, starting.passes.complete_at) = (None, None);
    has(&fleet_text(&starting, ""), "Not up to date: no complete pass since the start, 2 days ago");
    starting.passes.started_at = None;
    has(&fleet_text(&starting, ""), "Not up to date: no complete pass yet no pass has ended for 3 intervals: none yet");
    assert!(!fleet(&mixed(), "").contains("grey"));
}

#[test]
fn the_banner_shows_each_error_once() {
    let mut snapshot = not_ready(mixed(), 3);
    let error = "`GET /api/v1/user`: the forge answered 502";
    snapshot.passes.forge_error = Some(error.to_owned());
    snapshot.passes.errors = vec![error.to_owned(), format!("wizards/missions: {error}"), "a".into(), "a".into()];
    for html in [fleet(&snapshot, ""), mission(&snapshot, id(2)).unwrap()] {
        assert_eq!(text(&html).matches("the forge answered 502").count(), 1, "{html}");
        assert_eq!(html.matches("<li><bdi>").count(), 1, "{html}");
    }
}

#[test]
fn code_spans_of_messages_are_quoted_where_markdown_is_not_read() {
    let mut snapshot = not_ready(mixed(), 3);
    let what = "`merlin` set ``a `b` c`` and `` ` ``";
    snapshot.passes.errors = vec![what.to_owned()];
    let changes = [Event { at: snapshot.tick.now(), what: what.to_owned() }].into();
    snapshot.missions = vec![Arc::new(MissionView { changes, ..scene::mission(2) })];
    snapshot.passes.forge_error = Some("`GET /x`: 502".to_owned());
    let [fleet, mission] = [fleet(&snapshot, ""), mission(&snapshot, id(2)).unwrap()].map(|html| text(&html));
    for page in [&fleet, &mission] {
        has(page, "“GET /x”: 502");
        has(page, "“merlin” set “a `b` c” and “`”");
    }
    assert_eq!(mission.matches("“merlin” set").count(), 2, "the error and the change");
    assert_eq!(quoted_spans("a `b` ```c``` `d"), "a “b” “c” `d");
}

#[test]
fn errors_of_a_ready_daemon_are_a_note_with_the_first_five() {
    let mut snapshot = mixed();
    snapshot.passes.errors = (1..=9).map(|number| format!("thing {number} failed")).collect();
    let page = fleet_text(&snapshot, "");
    has(&page, "The last pass was incomplete; the next pass retries. thing 1 failed");
    has(&page, "thing 5 failed and 4 more");
    assert!(!page.contains("Not up to date"));
}

#[test]
fn a_row_shows_every_fact_and_the_exact_time_as_a_tooltip() {
    let view =
        MissionView { message: Some("reading".to_owned()), ..with_health(1, Health::Stale, "heartbeat-timeout", 90) };
    let html = fleet(&fleet_of(vec![view]), "");
    has(
        &text(&html),
        "stale heartbeat-timeout Mission 1 working reading merlin 2 minutes ago 90 minutes ago wizards/missions#1",
    );
    has(&html, "<time datetime=\"2026-11-23T14:00:11Z\" title=\"2026-11-23 14:00:11 UTC\">2 minutes ago</time>");
    has(&html, "<title>1 stale on alpha</title>");
    has(&html, "<meta http-equiv=\"refresh\" content=\"30\">");
}

#[test]
fn a_mission_page_shows_the_facts_and_the_next_step() {
    let page = mission_text(&with_health(1, Health::Stale, "heartbeat-timeout", 90));
    has(&page, "Stale: the last heartbeat is too old Next: check on alpha whether the agent still runs");
    has(&page, "Since 2026-11-23 12:32:11 UTC 90 minutes ago");
    for wanted in
        ["Last heartbeat 2026-11-23 14:00:11 UTC", "Agent (wizard) merlin", "wizards/spellbook", "wizards/missions#1"]
    {
        has(&page, wanted);
    }
    has(&page, &format!("/var/missions/{} on alpha", id(1)));
    has(&page, "Last changes uninitialized to healthy 2026-11-23 13:02:11 UTC 1 hour ago");
}

#[test]
fn a_lost_heartbeat_is_not_shown_as_never_sent() {
    let lost = MissionView {
        last_heartbeat_at: None,
        ever_heartbeat: true,
        ..with_health(1, Health::Incomplete, "missing", 90)
    };
    let page = mission_text(&lost);
    has(&page, "Last heartbeat there was one, but it cannot be read now");
    assert!(!page.contains("never"), "{page}");
    has(&text(&fleet(&fleet_of(vec![lost]), "")), "not readable");
}

#[test]
fn the_next_step_names_an_edit_that_waits_for_approval() {
    let page =
        mission_text(&MissionView { needs_a_person: true, ..with_health(1, Health::Healthy, "heartbeat-ok", 90) });
    has(&page, "Next: read the edit that waits for approval, in the comment on the issue.");
}

#[test]
fn the_page_shows_the_command_for_heartbeats_from_other_hosts() {
    let view = with_health(1, Health::Uninitialized, "no-heartbeat", 90);
    let public_url = Some("https://pit.example.com/lazarus/".parse().unwrap());
    let page = text(&mission(&Snapshot { public_url, ..fleet_of(vec![view.clone()]) }, view.mission_id).unwrap());
    let beat = format!("-d '{{\"state\":\"working\"}}' 'https://pit.example.com/lazarus/missions/{}/heartbeat'", id(1));
    has(&page, &beat);
    assert!(!mission_text(&view).contains("curl"), "without a public address there is no command");
}

#[test]
fn every_reason_of_health_has_a_headline_and_a_next_step() {
    let cases = [
        (Health::Healthy, "heartbeat-ok", "in time Next: nothing; to end the mission, close the issue."),
        (
            Health::Healthy,
            "completed",
            "has completed the mission Next: collect the results in artifacts/ and worktree/",
        ),
        (
            Health::Uninitialized,
            "no-heartbeat",
            "no heartbeat yet Next: have the agent send a heartbeat: lazarus-pit beat --cell",
        ),
        (Health::Uninitialized, "not-initialized", "lazarus-pit --init-cell"),
        (Health::Stale, "clock-skew", "the timestamp of the heartbeat is in the future Next: correct the clock"),
        (Health::Stale, "flapping", "Stale: flapping Next: check on alpha"),
        (Health::Incomplete, "missing .", "the cell is missing Next: check on alpha why it cannot be recreated"),
        (
            Health::Incomplete,
            "missing state/heartbeat.json",
            "is missing Next: have the agent send a heartbeat, which recreates the file",
        ),
        (
            Health::Incomplete,
            "unreadable state/heartbeat.json",
            "cannot be used Next: have the agent send a heartbeat, which replaces",
        ),
        (Health::Incomplete, "wrong-type logs", "has the wrong file type Next: check it on alpha"),
        (
            Health::Unknown,
            "permission",
            "has no permission to read the cell Next: every pass retries; to check by hand, on alpha : lazarus-reconcile scan",
        ),
        (Health::Unknown, "io", "reading the cell failed Next: every pass"),
        (Health::Unknown, "timeout", "took too long Next: every pass"),
    ];
    for (health, reason, wanted) in cases {
        has(&mission_text(&with_health(1, health, reason, 90)), wanted);
    }
    for health in Health::ALL {
        let bare = MissionView { reason: None, ..with_health(1, health, "", 90) };
        has(&mission_text(&bare), "Next: ");
    }
    for (phase, wanted) in [(Phase::Pending, "there is no cell yet"), (Phase::Invalid, "answers need correcting")] {
        let view = MissionView { phase: Some(phase), health: None, reason: None, has_cell: false, ..scene::mission(1) };
        has(&mission_text(&view), wanted);
        has(&mission_text(&view), "not created yet; planned on alpha");
    }
}

#[test]
fn a_question_is_shown_with_the_agent_and_the_time() {
    let message = Some("May I delete the <b>3</b> tests?".to_owned());
    let waiting = MissionView { agent_state: Some(WizardState::Waiting), message, ..scene::mission(1) };
    has(&mission_text(&waiting), "Waiting for you: May I delete the <b>3</b> tests? Asked by merlin , since 2026-");
    has(&mission_text(&waiting), "Next: answer it on alpha ;");
    has(
        &text(&fleet(&fleet_of(vec![waiting.clone()]), "")),
        "Waiting for you: May I delete the <b>3</b> tests? , since 1",
    );
    let timed_out =
        MissionView { health: Some(Health::Stale), reason: Some("heartbeat-timeout".to_owned()), ..waiting.clone() };
    has(
        &mission_text(&timed_out),
        "Stale: the last heartbeat is too old Waiting for you: May I delete the <b>3</b> tests? . Asked by",
    );
    has(&mission_text(&MissionView { message: None, ..waiting }), "Waiting for you: the agent left no message");
    let failed = MissionView {
        agent_state: Some(WizardState::Failed),
        message: Some("no more mana".to_owned()),
        wizard: None,
        ..with_health(1, Health::Stale, "agent-failed", 90)
    };
    has(&mission_text(&failed), "Failed: no more mana Reported by the agent, since 2026-");
    has(&mission_text(&failed), "Next: check on alpha what the agent left in the cell;");
}

#[test]
fn problems_and_notes_are_shown_without_backticks() {
    let view = MissionView {
        problem: Some("`state/heartbeat.json` cannot be used: its `timestamp` is a number".to_owned()),
        notes: vec!["the heartbeat's `message` has more than 200 characters and is truncated".to_owned()],
        ..with_health(1, Health::Incomplete, "unreadable state/heartbeat.json", 90)
    };
    let snapshot = fleet_of(vec![view]);
    let page = mission(&snapshot, id(1)).unwrap();
    assert!(!page.contains('`'), "{page}");
    has(&text(&page), "state/heartbeat.json cannot be used: its timestamp is a number");
    has(&text(&page), "the heartbeat's message has more than 200 characters and is truncated");
}

#[test]
fn a_mission_without_any_known_fact_has_a_page_too() {
    let known = scene::mission(1);
    let nothing = MissionView {
        needs_a_person: false,
        ever_heartbeat: false,
        mission_id: known.mission_id,
        has_cell: false,
        is_archived: false,
        comment_refusal: None,
        is_published: true,
        path: String::new(),
        phase: None,
        health: None,
        reason: None,
        problem: None,
        since: None,
        last_heartbeat_at: None,
        agent_state: None,
        agent_state_since: None,
        message: None,
        notes: Vec::new(),
        wizard: None,
        name: Some("\u{200b}\u{202e} ".to_owned()),
        repository: None,
        issue: None,
        changes: Arc::default(),
    };
    let page = mission_text(&nothing);
    has(&page, &format!("← Missions on alpha {} Not checked yet Next: nothing.", id(1)));
    has(&text(&fleet(&fleet_of(vec![nothing]), "")), &format!("not checked yet {}", id(1)));
}

#[test]
fn the_reference_lists_every_value_of_the_address() {
    let reference = include_str!("../../../docs/reference.md");
    let (_, page) = reference.split_once("| in the address |").unwrap();
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}`"))).unwrap();
    assert!(Column::ALL.iter().all(|column| row("sort").contains(&format!("`{}`", column.word()))));
    assert!(WizardState::ALL.iter().all(|state| row("says").contains(&format!("`{state}`"))));
}

#[test]
fn an_unknown_mission_has_no_page() {
    assert_eq!(mission(&mixed(), MissionId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()), None);
}
