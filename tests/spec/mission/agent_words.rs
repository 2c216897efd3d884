//! What an agent says to people: its question on the issue, its failure at once, and nothing of that while it works.

use crate::alerts::passes::Story;
use crate::life::scenes::here;
use crate::mission::comment::{QUESTION, without_code};
use crate::support::cells::{at, seconds, with_heartbeat, with_heartbeat_and};
use crate::support::forge::Forge;
use crate::support::host::run;
use crate::support::missions::{active, settled};
use crate::support::stories;
use lazarus::mission::alert::config::{AlertCause, Notify};
use lazarus::mission::alert::state::Notification;
use lazarus::mission::cell::health::Reason;
use lazarus::mission::cell::{CellFacts, CellObservation};
use lazarus::mission::fleet::mass_change_guard::{Guarded, held};
use lazarus::mission::observation::{AlertPermit, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::record::{Published, Record};
use lazarus::mission::status::comment::render;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::text::{MESSAGE_SHOWN_MAX, quoted_spans};
use serde_json::json;

stories![questions_and_failures_of_agents_are_published_and_alerted];

/// The same mission so many seconds after the beginning, with this cell.
fn later(mission: &Observation, now: i64, mut cell: CellFacts) -> Observation {
    let mut later = here(mission.clone(), |here| here.now = at(now));
    if let CellObservation::Cell(manifest) = &mission.sighting {
        (cell.mission, cell.config) = (manifest.mission.clone(), manifest.config.clone());
    }
    later.sighting = CellObservation::Cell(Box::new(cell));
    later
}

/// What is written on the issue, and the mission after it.
fn pass(mission: &Observation) -> (Vec<String>, Observation) {
    let is_written = |change: &&Change| !change.is_record_only() && !matches!(change, Change::UpdateFile { .. });
    let written = preview(mission).iter().filter(is_written).map(ToString::to_string).collect();
    (written, settled(mission.clone()))
}

fn comment(mission: &Observation) -> String {
    let (status, _) = status(mission, &Lifecycle::of(mission)).unwrap();
    render(&mission.here, &status)
}

fn headline(mission: &Observation) -> String {
    comment(mission).lines().nth(1).unwrap().to_owned()
}

fn said(mission: &Observation) -> &Published {
    mission.record.as_ref().unwrap().published.as_ref().unwrap()
}

/// A mission whose agent has worked until now.
fn working() -> Observation {
    pass(&active(with_heartbeat(-10, "working"))).1
}

#[test]
fn a_question_is_in_the_headline_with_its_agent_and_its_time() {
    let waiting = later(&working(), 100, with_heartbeat_and(90, "waiting", QUESTION));
    let asked = format!("**Waiting for you:** `{QUESTION}`, asked by the agent, since 2026-11-18 11:08:20 UTC.");
    assert!(headline(&waiting).starts_with(&asked), "{}", headline(&waiting));
    let (written, after) = pass(&waiting);
    assert_eq!(written.last().unwrap(), "edit the comment: active, healthy (heartbeat-ok)");
    assert_eq!((said(&after).message.as_deref(), said(&after).agent_state_since), (Some(QUESTION), Some(at(100))));
    let history = &after.record.as_ref().unwrap().changes;
    assert_eq!(history.last().unwrap().what, format!("the agent reports `waiting`: `{QUESTION}`"));
    assert_eq!(pass(&later(&after, 200, with_heartbeat_and(190, "waiting", QUESTION))).0, [""; 0], "nothing is new");
}

#[test]
fn a_question_that_changes_is_edited_six_times_an_hour_at_most() {
    let mut mission = working();
    let (mut edits, mut shown) = (Vec::new(), String::new());
    for minute in 61..=120 {
        let message = format!("question {minute}");
        let (written, after) =
            pass(&later(&mission, minute * 60, with_heartbeat_and(minute * 60, "waiting", &message)));
        edits.extend(written.iter().filter(|line| line.starts_with("edit")).map(|_| minute));
        mission = after;
        shown = said(&mission).message.clone().unwrap();
    }
    assert_eq!((edits, shown.as_str()), ((61..=66).collect(), "question 66"));
    assert_eq!(said(&mission).agent_state_since, Some(at(61 * 60)), "it has waited all the while");
    let (written, after) = pass(&later(&mission, 121 * 60, with_heartbeat_and(121 * 60, "waiting", "the last")));
    assert_eq!((written.len(), said(&after).message.as_deref()), (1, Some("the last")));
}

#[test]
fn a_message_of_a_working_agent_is_not_on_the_issue() {
    for state in ["working", "done"] {
        let (_, mission) = pass(&later(&working(), 10, with_heartbeat_and(5, state, "first")));
        let talking = later(&mission, 20, with_heartbeat_and(15, state, "second"));
        assert_eq!((pass(&talking).0, &said(&talking).message), (vec![], &None));
        assert!(!comment(&talking).contains("second"));
    }
}

#[test]
fn an_agent_that_falls_silent_leaves_its_question_on_the_issue() {
    let waiting = pass(&later(&working(), 100, with_heartbeat_and(90, "waiting", QUESTION))).1;
    let silent = later(&waiting, 1_000, with_heartbeat_and(90, "waiting", QUESTION));
    let told = comment(&silent);
    assert!(told.contains("**Active, but stale: no recent heartbeat.**"), "{told}");
    assert!(told.contains(&format!(" **Waiting for you:** `{QUESTION}`, asked by the agent, since ")), "{told}");
    let null = later(&waiting, 1_000, crate::support::cells::whole());
    assert_eq!(said(&pass(&null).1).message.as_deref(), Some(QUESTION), "the last word stands");
}

#[test]
fn a_message_is_one_truncated_line_of_plain_text() {
    let long = "x".repeat(1_000);
    let hostile = [
        "@owner",
        "owner/missions#1",
        "![x](http://evil.test/p.gif)",
        "<script>alert(1)</script></details>",
        "`` ` `` @a `#1`",
        "`",
        "--> @owner",
        "\u{1b}[31mred",
        "x\u{202e}y",
        "x\n\n# y @owner",
        "**x**",
        "\n- cc @owner",
        &long,
    ];
    for text in hostile {
        for state in ["waiting", "failed"] {
            let before = pass(&later(&working(), 5, with_heartbeat_and(0, state, "before"))).1;
            let after = pass(&later(&before, 10, with_heartbeat_and(5, state, text))).1;
            let told = comment(&after);
            let dead = without_code(&told);
            for live in ["@", "#", "http", "<script", "![", "](", "\u{1b}", "\u{202e}", "**x**"] {
                assert!(!dead.contains(live), "{text} left {live} alive:\n{told}");
            }
            assert_eq!(dead.matches("</details>").count(), 1, "{told}");
            assert!(said(&after).message.as_ref().unwrap().chars().count() <= MESSAGE_SHOWN_MAX);
        }
    }
    let empty = later(&working(), 10, with_heartbeat_and(5, "waiting", "\u{200b} \n"));
    assert!(headline(&empty).starts_with("**Waiting for you:** the agent left no message, since "));
}

#[test]
fn a_record_of_an_earlier_version_is_read() {
    let (_, waiting) = pass(&later(&working(), 100, with_heartbeat(90, "waiting")));
    let mut record = serde_json::to_value(waiting.record.as_ref().unwrap()).unwrap();
    let fields = record["published"].as_object_mut().unwrap();
    assert!(fields.remove("agent_state_since").is_some() && !fields.contains_key("message"));
    let record: Record = serde_json::from_value(record).unwrap();
    assert_eq!(
        (&record.published.as_ref().unwrap().message, record.published.as_ref().unwrap().agent_state_since),
        (&None, None)
    );
    let old = Observation { record: Some(record), ..waiting };
    assert_eq!(said(&pass(&old).1).agent_state_since, Some(at(0)), "it is known since then");
    let silent: Published =
        serde_json::from_value(json!({ "phase": "active", "since": "2026-11-18T11:06:40Z" })).unwrap();
    assert_eq!((silent.agent_state, silent.message), (None, None));
}

#[test]
fn a_failure_is_published_immediately_with_the_last_message() {
    let failed = later(&working(), 100, with_heartbeat_and(95, "failed", "the crypt is empty"));
    let told = headline(&failed);
    let wanted = "**Failed:** `the crypt is empty`, reported by the agent, since 2026-11-18 11:08:20 UTC.";
    assert_eq!(told, wanted);
    let (written, after) = pass(&failed);
    assert_eq!(written.last().unwrap(), "edit the comment: active, stale (agent-failed)");
    assert_eq!(pass(&later(&after, 10_000_000, with_heartbeat_and(95, "failed", "the crypt is empty"))).0, [""; 0]);
    let (written, _) = pass(&later(&after, 200, with_heartbeat(190, "working")));
    assert_eq!(written.last().unwrap(), "edit the comment: active, healthy (heartbeat-ok)");
}

#[test]
fn no_mass_change_guard_holds_failures_back() {
    let mission = working();
    let count = |state: &str, age: i64| {
        let all: Vec<Observation> = (0..10).map(|_| later(&mission, 100, with_heartbeat(100 - age, state))).collect();
        held(all.iter().filter_map(Guarded::of).enumerate()).len()
    };
    assert_eq!((count("failed", 10), count("failed", 10_000), count("working", 10_000)), (0, 0, 10));
}

#[test]
fn an_agent_that_fails_repeatedly_is_damped_like_any_other() {
    let mut mission = working();
    let mut reasons = Vec::new();
    for minute in 61..=66 {
        let state = if minute % 2 == 1 { "failed" } else { "working" };
        mission = pass(&later(&mission, minute * 60, with_heartbeat(minute * 60, state))).1;
        reasons.push(said(&mission).verdict.unwrap().reason);
    }
    let (failed, beating) = (Reason::AgentFailed, Reason::HeartbeatOk);
    assert_eq!(reasons, [failed, beating, failed, beating, Reason::Flapping, Reason::Flapping]);
}

/// The causes of what is posted while an agent fails, is silent about it, and works again.
fn alerts(words: &[&str]) -> Vec<(Notification, String)> {
    let on = words.iter().map(|word| AlertCause::parse(word).unwrap()).collect();
    let notify = Notify { on, after: seconds(60), ..Notify::default() };
    let mut mission = here(active(with_heartbeat(-10, "working")), |here| here.notify = notify);
    mission.alert_permit = AlertPermit::Granted { others: 0 };
    let mut posted = Vec::new();
    let failed = |at| with_heartbeat_and(at, "failed", "the crypt is empty");
    for (now, cell) in
        [(100, failed(95)), (160, failed(95)), (10_000, failed(95)), (10_100, with_heartbeat(10_090, "working"))]
    {
        let now = later(&mission, now, cell);
        for change in preview(&now) {
            if let Change::PostAlert { alert_message, .. } = change {
                let rendered = alert_message.render();
                assert!(
                    alert_message.intent.kind == Notification::Resolved
                        || rendered.contains("**Failed:** `the crypt is empty`")
                );
                posted.push((alert_message.intent.kind, alert_message.intent.alert.cause.to_string()));
            }
        }
        mission = settled(now);
    }
    posted
}

#[test]
fn a_failure_fires_the_configured_alert_and_never_two() {
    let both = |cause: &str| vec![(Notification::Firing, cause.to_owned()), (Notification::Resolved, cause.to_owned())];
    assert_eq!(alerts(&["stale"]), both("stale"));
    assert_eq!(alerts(&["wizard/failed"]), both("wizard/failed"));
    assert_eq!(alerts(&["stale", "wizard/failed"]), both("wizard/failed"));
    assert_eq!(alerts(&["incomplete", "wizard/waiting"]), []);
}

async fn questions_and_failures_of_agents_are_published_and_alerted(forge: Forge) {
    let on = ["wizard/waiting", "wizard/failed", "stale"];
    let story = Story::new(&forge, json!({ "on": on, "after_seconds": 0, "mention": ["owner"] })).await;
    let number = story.repository.file("reader", "Mission: ask", &[("wizard", "merlin")]).await;
    story.pass(0).await;
    let why = "the crypt is `empty`";
    for (state, message, shown, labels) in [
        ("waiting", QUESTION, format!("`{QUESTION}`"), ["health/healthy", "wizard/waiting"]),
        ("failed", why, format!("`` {why} ``"), ["health/stale", "wizard/failed"]),
    ] {
        let (what, how) = if state == "waiting" { ("Waiting for you", "asked") } else { ("Failed", "reported") };
        let headline = format!("**{what}:** {shown}, {how} by the agent `merlin`, since ");
        let mut beat = story.host.command("lazarus-pit");
        beat.current_dir(story.host.cell()).args(["beat", "--state", state, "--message", message]);
        assert_eq!(run(&mut beat).await.code, 0);
        story.pass(0).await;
        let comments = story.repository.comments(number).await;
        let line = |at: usize, line: usize| comments[at].1.lines().nth(line).unwrap();
        assert!(line(0, 1).starts_with(&headline), "{}", line(0, 1));
        let alert = comments.len() - 1;
        assert!(line(alert, 2).starts_with(&headline) && comments[alert].1.ends_with("cc @owner\n"), "{comments:?}");
        let found = story.repository.labels(number).await;
        assert!(labels.iter().all(|label| found.contains(&(*label).to_owned())), "{found:?}");
        let text = quoted_spans(&headline.replace("**", ""));
        let mut status = story.host.reconciler(&story.repository);
        let told = run(status.args(["status", &number.to_string()])).await.stdout;
        assert!(told.contains(&text), "{told}");
        let table = run(story.host.reconciler(&story.repository).arg("status")).await.stdout;
        assert!(table.contains(&format!(": {what}: {shown}, {how} by `merlin`, since ")), "{table}");
        story.pass(60).await;
        assert_eq!(story.repository.comments(number).await.len(), comments.len(), "nothing is new");
        story.host.beat(&story.host.cell(), &[]).await;
        story.pass(0).await;
    }
    assert_eq!(story.repository.comments(number).await.len(), 5, "a status, and an alert and its end for each");
}
