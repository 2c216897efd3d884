//! The page: what a person sees of the fleet and of one mission, and what a stranger's text can not do there.

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
use scene::{before, everything, fleet_of, id, judged, unwell};
use std::sync::Arc;

/// The numbers of the missions whose rows stand there, in order.
fn rows(snapshot: &Snapshot, query: &str) -> Vec<i64> {
    let html = fleet(snapshot, query);
    let known: Vec<_> = (0..200).map(|number| (format!("/missions/{}", id(number)), number)).collect();
    let number = |link: &String| known.iter().find(|(known, _)| known == link).map(|(_, number)| *number);
    links(&html).iter().filter_map(number).collect()
}

fn told(snapshot: &Snapshot, query: &str) -> String {
    text(&fleet(snapshot, query))
}

fn told_of(view: &MissionView) -> String {
    text(&mission(&fleet_of(vec![view.clone()]), view.mission_id).unwrap())
}

fn has(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "`{wanted}` is not in:\n{text}");
}

fn mixed() -> Snapshot {
    let without = MissionView { health: None, reason: None, phase: Some(Phase::Pending), ..scene::mission(6) };
    fleet_of(vec![
        judged(1, Health::Healthy, "beating", 10),
        judged(2, Health::Stale, "silent", 10),
        judged(3, Health::Stale, "silent", 30),
        judged(4, Health::Incomplete, "missing logs", 5),
        judged(5, Health::Unknown, "io", 5),
        without,
        judged(7, Health::Uninitialized, "never-beaten", 5),
    ])
}

#[test]
fn the_worst_come_first_and_of_those_the_longest() {
    assert_eq!(rows(&mixed(), ""), [4, 3, 2, 5, 7, 1, 6]);
    assert_eq!(rows(&mixed(), "order=desc"), [1, 7, 5, 3, 2, 4, 6], "those without a verdict are last either way");
}

#[test]
fn every_column_sorts_both_ways_and_what_has_nothing_there_comes_last() {
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
fn the_heads_lead_to_every_sort_and_back() {
    let html = fleet(&mixed(), "sort=wizard&health=stale");
    let found = links(&html);
    for link in ["/?sort=wizard&order=desc&health=stale", "/?health=stale", "/?sort=since&order=asc&health=stale"] {
        assert!(found.iter().any(|known| known == link), "{link} is not in {found:#?}");
    }
    assert_eq!(html.matches("aria-sort=\"ascending\"").count(), 1);
}

#[test]
fn a_filter_says_how_many_it_shows_and_shows_those() {
    let all = told(&everything(), "");
    for wanted in
        ["incomplete 1", "stale 4", "unknown 1", "uninitialized 2", "active", "without an issue 1", "closed 1"]
    {
        has(&all, wanted);
    }
    for (query, count) in [("health=stale", 4), ("phase=suspended", 1), ("says=failed", 1), ("phase=none", 1)] {
        assert_eq!(told(&everything(), query).matches(" of 39 missions").count(), 1, "{query}");
        has(&told(&everything(), query), &format!("{count} of 39 missions · show all"));
    }
    let both = told(&everything(), "health=stale&phase=suspended");
    has(&both, "1 of 39 missions");
    has(&both, "stale 1");
    has(&both, "active 3");
    has(&told(&everything(), "health=unknown&says=done"), "No mission is like that at the moment.");
}

#[test]
fn what_a_query_asks_that_is_not_known_is_ignored_and_never_echoed() {
    let plain = fleet(&mixed(), "");
    let nonsense = "sort=colour&order=up&health=HEALTHY&says=%3Cscript%3E&phase=&page=-1&page=x&x=%00&%ff=%fe&&==&a;b";
    assert_eq!(fleet(&mixed(), nonsense), plain);
    assert_eq!(rows(&mixed(), &"health=stale&".repeat(1_000)), [3, 2]);
    assert_eq!(fleet(&mixed(), "page=99999999999999999999"), plain);
    assert_eq!(fleet(&mixed(), &format!("page={}", usize::MAX)), plain, "beyond the last page is the last page");
}

#[test]
fn a_hundred_rows_stand_on_a_page_and_ten_thousand_missions_stay_small() {
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
fn an_empty_fleet_says_what_to_do() {
    let told = told(&fleet_of(Vec::new()), "health=stale");
    has(&told, "No missions yet File the form Mission proposal in one of the repositories on https://git.example.com");
    has(&told, "within 30 seconds");
    let alone = Snapshot { forge: None, ..fleet_of(Vec::new()) };
    has(&text(&fleet(&alone, "")), "Make a cell with lazarus-pit --init-cell UUID");
}

#[test]
fn a_daemon_that_is_not_well_says_so_and_greys_everything() {
    for html in [fleet(&unwell(mixed(), 12), ""), mission(&unwell(mixed(), 12), id(2)).unwrap()] {
        assert!(html.contains("<html lang=\"en\" class=\"grey\">"), "{html}");
        has(&text(&html), "Not up to date: what you see may be 12 minutes old");
        has(&text(&html), "502 Bad Gateway");
        has(&text(&html), "Next: look at the log of lazarus-reconcile on alpha .");
    }
    let mut unborn = mixed();
    (unborn.passes.finished_at, unborn.passes.complete_at) = (None, None);
    has(&told(&unborn, ""), "no pass has been complete since the start, 2 days ago");
    unborn.passes.started_at = None;
    has(&told(&unborn, ""), "Not up to date: no pass has been complete no pass has ended for 3 intervals: none yet");
    assert!(!fleet(&mixed(), "").contains("grey"));
}

#[test]
fn the_banner_says_each_thing_once() {
    let mut snapshot = unwell(mixed(), 3);
    let trouble = "`GET /api/v1/user`: the forge answered 502";
    snapshot.passes.forge_error = Some(trouble.to_owned());
    snapshot.passes.errors = vec![trouble.to_owned(), format!("wizards/missions: {trouble}"), "a".into(), "a".into()];
    for html in [fleet(&snapshot, ""), mission(&snapshot, id(2)).unwrap()] {
        assert_eq!(text(&html).matches("the forge answered 502").count(), 1, "{html}");
        assert_eq!(html.matches("<li><bdi>").count(), 1, "{html}");
    }
}

#[test]
fn code_spans_of_messages_are_quoted_where_markdown_is_not_read() {
    let mut snapshot = unwell(mixed(), 3);
    let what = "`merlin` set ``a `b` c`` and `` ` ``";
    snapshot.passes.errors = vec![what.to_owned()];
    let changes = [Event { at: snapshot.tick.now(), what: what.to_owned() }].into();
    snapshot.missions = vec![Arc::new(MissionView { changes, ..scene::mission(2) })];
    snapshot.passes.forge_error = Some("`GET /x`: 502".to_owned());
    let [fleet, mission] = [fleet(&snapshot, ""), mission(&snapshot, id(2)).unwrap()].map(|html| text(&html));
    for told in [&fleet, &mission] {
        has(told, "“GET /x”: 502");
        has(told, "“merlin” set “a `b` c” and “`”");
    }
    assert_eq!(mission.matches("“merlin” set").count(), 2, "the error and the change");
    assert_eq!(quoted_spans("a `b` ```c``` `d"), "a “b” “c” `d");
}

#[test]
fn errors_of_a_daemon_that_is_ready_are_a_note_and_only_the_first_are_shown() {
    let mut snapshot = mixed();
    snapshot.passes.errors = (1..=9).map(|number| format!("thing {number} failed")).collect();
    let told = told(&snapshot, "");
    has(&told, "The last pass left something undone; the next one tries again. thing 1 failed");
    has(&told, "thing 5 failed and 4 more");
    assert!(!told.contains("Not up to date"));
}

#[test]
fn a_row_tells_everything_with_its_exact_time_at_hand() {
    let view = MissionView { message: Some("reading".to_owned()), ..judged(1, Health::Stale, "silent", 90) };
    let html = fleet(&fleet_of(vec![view]), "");
    has(&text(&html), "stale silent Mission 1 working reading merlin 2 minutes ago 90 minutes ago wizards/missions#1");
    has(&html, "<time datetime=\"2026-11-23T14:00:11Z\" title=\"2026-11-23 14:00:11 UTC\">2 minutes ago</time>");
    has(&html, "<title>1 stale on alpha</title>");
    has(&html, "<meta http-equiv=\"refresh\" content=\"30\">");
}

#[test]
fn a_mission_tells_its_facts_and_what_to_do_next() {
    let told = told_of(&judged(1, Health::Stale, "silent", 90));
    has(&told, "Stale: the wizard is silent Next: look on alpha whether the wizard still runs");
    has(&told, "Since 2026-11-23 12:32:11 UTC 90 minutes ago");
    for wanted in ["Last heartbeat 2026-11-23 14:00:11 UTC", "Wizard merlin", "wizards/spellbook", "wizards/missions#1"]
    {
        has(&told, wanted);
    }
    has(&told, &format!("/var/missions/{} on alpha", id(1)));
    has(&told, "Last changes uninitialized to healthy 2026-11-23 13:02:11 UTC 1 hour ago");
}

#[test]
fn a_cell_that_had_a_heartbeat_never_looks_as_if_it_had_none() {
    let lost =
        MissionView { last_heartbeat_at: None, ever_heartbeat: true, ..judged(1, Health::Incomplete, "missing", 90) };
    let told = told_of(&lost);
    has(&told, "Last heartbeat there was one, and none can be read now");
    assert!(!told.contains("never"), "{told}");
    has(&text(&fleet(&fleet_of(vec![lost]), "")), "not readable");
}

#[test]
fn an_edit_that_waits_for_approval_is_what_comes_next() {
    let told = told_of(&MissionView { needs_a_person: true, ..judged(1, Health::Healthy, "beating", 90) });
    has(&told, "Next: read the edit that waits for approval, in the comment on the issue.");
}

#[test]
fn a_wizard_elsewhere_hears_where_to_beat() {
    let view = judged(1, Health::Uninitialized, "never-beaten", 90);
    let public_url = Some("https://pit.example.com/lazarus/".parse().unwrap());
    let told = text(&mission(&Snapshot { public_url, ..fleet_of(vec![view.clone()]) }, view.mission_id).unwrap());
    let beat = format!("-d '{{\"state\":\"working\"}}' 'https://pit.example.com/lazarus/missions/{}/heartbeat'", id(1));
    has(&told, &beat);
    assert!(!told_of(&view).contains("curl"), "nobody knows from where");
}

#[test]
fn every_verdict_has_its_words_and_its_next_step() {
    let cases = [
        (Health::Healthy, "beating", "in time Next: nothing; to end the mission, close the issue."),
        (Health::Healthy, "finished", "has finished Next: collect what it left in artifacts/ and worktree/"),
        (
            Health::Uninitialized,
            "never-beaten",
            "nobody has beaten yet Next: let the wizard beat: lazarus-pit beat --cell",
        ),
        (Health::Uninitialized, "not-scaffolded", "lazarus-pit --init-cell"),
        (Health::Stale, "stamp-in-future", "stamped in the future Next: set the clock right"),
        (Health::Stale, "flapping", "Stale: flapping Next: look on alpha"),
        (Health::Incomplete, "missing .", "the cell is missing Next: look on alpha why it cannot be made again"),
        (
            Health::Incomplete,
            "missing state/heartbeat.json",
            "is missing Next: let the wizard beat; that makes it again",
        ),
        (
            Health::Incomplete,
            "unreadable state/heartbeat.json",
            "cannot be used Next: let the wizard beat; that replaces",
        ),
        (Health::Incomplete, "wrong-type logs", "is something else than it should be Next: look at it on alpha"),
        (
            Health::Unknown,
            "permission",
            "may not read the cell Next: every pass tries again; to look by hand, on alpha : lazarus-reconcile scan",
        ),
        (Health::Unknown, "io", "reading the cell failed Next: every pass"),
        (Health::Unknown, "timeout", "took too long Next: every pass"),
    ];
    for (health, reason, wanted) in cases {
        has(&told_of(&judged(1, health, reason, 90)), wanted);
    }
    for health in Health::ALL {
        let bare = MissionView { reason: None, ..judged(1, health, "", 90) };
        has(&told_of(&bare), "Next: ");
    }
    for (phase, wanted) in [(Phase::Pending, "there is no cell yet"), (Phase::Invalid, "answers need correcting")] {
        let view = MissionView { phase: Some(phase), health: None, reason: None, has_cell: false, ..scene::mission(1) };
        has(&told_of(&view), wanted);
        has(&told_of(&view), "not made yet; would be on alpha");
    }
}

#[test]
fn a_question_stands_on_the_page_with_who_asks_it_and_since_when() {
    let message = Some("May I delete the <b>3</b> tests?".to_owned());
    let waiting = MissionView { agent_state: Some(WizardState::Waiting), message, ..scene::mission(1) };
    has(&told_of(&waiting), "Waiting for you: May I delete the <b>3</b> tests? Asked by merlin , since 2026-");
    has(&told_of(&waiting), "Next: answer it on alpha ;");
    has(
        &text(&fleet(&fleet_of(vec![waiting.clone()]), "")),
        "Waiting for you: May I delete the <b>3</b> tests? , since 1",
    );
    let silent = MissionView { health: Some(Health::Stale), reason: Some("silent".to_owned()), ..waiting.clone() };
    has(&told_of(&silent), "Stale: the wizard is silent Waiting for you: May I delete the <b>3</b> tests? . Asked by");
    has(&told_of(&MissionView { message: None, ..waiting }), "Waiting for you: the wizard left no message");
    let failed = MissionView {
        agent_state: Some(WizardState::Failed),
        message: Some("no more mana".to_owned()),
        wizard: None,
        ..judged(1, Health::Stale, "agent-failed", 90)
    };
    has(&told_of(&failed), "Failed: no more mana Said by the wizard, since 2026-");
    has(&told_of(&failed), "Next: look on alpha at what it left in the cell;");
}

#[test]
fn a_page_tells_what_is_wrong_and_what_is_remarkable_without_backticks() {
    let view = MissionView {
        problem: Some("`state/heartbeat.json` cannot be used: its `timestamp` is a number".to_owned()),
        notes: vec!["the heartbeat's `message` has more than 200 characters and is truncated".to_owned()],
        ..judged(1, Health::Incomplete, "unreadable state/heartbeat.json", 90)
    };
    let snapshot = fleet_of(vec![view]);
    let page = mission(&snapshot, id(1)).unwrap();
    assert!(!page.contains('`'), "{page}");
    has(&text(&page), "state/heartbeat.json cannot be used: its timestamp is a number");
    has(&text(&page), "the heartbeat's message has more than 200 characters and is truncated");
}

#[test]
fn a_mission_of_which_nothing_is_known_has_a_page_too() {
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
    let told = told_of(&nothing);
    has(&told, &format!("← Missions on alpha {} No verdict yet Next: nothing.", id(1)));
    has(&text(&fleet(&fleet_of(vec![nothing]), "")), &format!("no verdict {}", id(1)));
}

#[test]
fn every_word_of_the_address_is_told_in_the_reference() {
    let reference = include_str!("../../../docs/reference.md");
    let (_, page) = reference.split_once("| in the address |").unwrap();
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}`"))).unwrap();
    assert!(Column::ALL.iter().all(|column| row("sort").contains(&format!("`{}`", column.word()))));
    assert!(WizardState::ALL.iter().all(|says| row("says").contains(&format!("`{says}`"))));
}

#[test]
fn an_unknown_mission_has_no_page() {
    assert_eq!(mission(&mixed(), MissionId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()), None);
}
