//! Alarms that are heard: a new comment when a mission goes bad and stays so, one when it is over, never too many.

mod daemon;
mod forge;
mod many;
pub(crate) mod passes;
mod targets;
mod words;

use crate::life::scenes::{closed, here, suspended};
use crate::support::cells::{at, seconds, whole, with_heartbeat};
use crate::support::missions::{active, missing, planned_status, settled};
use lazarus::mission::alert::config::{AlertCause, IssueName, Login, Notify};
use lazarus::mission::alert::message::AlertMessage;
use lazarus::mission::alert::plan::has_passed;
use lazarus::mission::alert::state::{AlertIntent, AlertMarker, AlertRecord, FiringAlert, Notification};
use lazarus::mission::cell::{CellFacts, CellObservation, ReadFailure};
use lazarus::mission::observation::{AlertPermit, CommentFacts, Comments, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::text::sha256;

/// Settings with these words and nothing else but defaults.
fn on(words: &[&str]) -> Notify {
    Notify { on: words.iter().map(|word| AlertCause::parse(word).unwrap()).collect(), ..Notify::default() }
}

/// A mission whose alarms are wanted and allowed.
fn loud(mission: Observation, notify: &Notify) -> Observation {
    let mut loud = here(mission, |here| here.notify = notify.clone());
    loud.alert_permit = AlertPermit::Granted { others: 0 };
    loud
}

/// The same mission so many seconds after the beginning, with this cell.
fn later(mission: &Observation, now: i64, cell: CellFacts) -> Observation {
    let mut later = here(mission.clone(), |here| here.now = at(now));
    let (CellObservation::Cell(new), CellObservation::Cell(manifest)) =
        (CellObservation::Cell(Box::new(cell)), &mission.sighting)
    else {
        unreachable!("it has a cell")
    };
    let mut new = new;
    (new.mission, new.config) = (manifest.mission.clone(), manifest.config.clone());
    later.sighting = CellObservation::Cell(new);
    later
}

/// What a pass says in new comments besides the status, and the mission after it.
fn pass(mission: &Observation) -> (Vec<AlertMessage>, Observation) {
    let mut notices = Vec::new();
    for change in preview(mission) {
        if let Change::PostAlert { issue: _, alert_message, memory: _ } = change {
            notices.push(*alert_message);
        }
    }
    (notices, settled(mission.clone()))
}

/// What is said in each of these moments: the time, the age of the heartbeat, and the wizard's word.
fn reported(notify: &Notify, moments: &[(i64, i64, &str)]) -> Vec<String> {
    let mut mission = loud(active(with_heartbeat(-10, "working")), notify);
    let mut reported = Vec::new();
    for (now, age, word) in moments {
        let (notices, after) = pass(&later(&mission, *now, with_heartbeat(now - age, word)));
        reported.extend(notices.iter().map(|alert_message| format!("{now}: {}", alert_message.summary())));
        mission = after;
    }
    reported
}

#[test]
fn no_alert_is_sent_unless_its_cause_is_configured() {
    let moments = [(100, 400, "failed"), (10_000, 400, "failed"), (20_000, 10, "working")];
    assert_eq!(reported(&Notify::default(), &moments), [""; 0]);
    assert_eq!(reported(&on(&["incomplete", "wizard/waiting"]), &moments), [""; 0]);
}

#[test]
fn an_alert_fires_once_after_its_delay_and_resolves_once() {
    let moments = [
        (100, 400, "working"),
        (399, 699, "working"),
        (400, 700, "working"),
        (9_000, 9_300, "working"),
        (9_100, 10, "working"),
    ];
    let said = ["400: post an alert: stale (heartbeat-timeout)", "9100: resolve the alert: healthy (heartbeat-ok)"];
    assert_eq!(reported(&on(&["stale"]), &moments), said);
    let at_once = Notify { after: seconds(0), ..on(&["stale"]) };
    assert_eq!(reported(&at_once, &moments)[0], "100: post an alert: stale (heartbeat-timeout)");
}

#[test]
fn a_recovery_before_the_delay_sends_no_alert() {
    let moments = [(100, 400, "working"), (390, 10, "working"), (500, 400, "working"), (790, 690, "working")];
    assert_eq!(reported(&on(&["stale"]), &moments), [""; 0], "each break counts from the beginning");
}

#[test]
fn a_reminder_is_sent_only_if_it_is_configured() {
    let nagging = Notify { repeat: Some(seconds(3_600)), ..on(&["stale"]) };
    let stays = |now| (now, now, "working");
    let moments = [400, 700, 4_299, 4_300, 7_000, 7_900].map(stays);
    let again = "post a reminder: still stale (heartbeat-timeout)";
    let said = [
        "700: post an alert: stale (heartbeat-timeout)".to_owned(),
        format!("4300: {again}"),
        format!("7900: {again}"),
    ];
    assert_eq!(reported(&nagging, &moments), said);
    assert_eq!(reported(&on(&["stale"]), &moments).len(), 1);
}

#[test]
fn an_agent_state_fires_an_alert_while_its_cell_is_healthy() {
    let moments =
        [(100, 10, "waiting"), (400, 10, "waiting"), (500, 10, "working"), (600, 10, "failed"), (900, 10, "failed")];
    let said = ["400: post an alert: the agent reports `waiting`", "500: resolve the alert: healthy (heartbeat-ok)"];
    assert_eq!(reported(&on(&["wizard/waiting"]), &moments), said);
    assert_eq!(reported(&on(&["wizard/failed"]), &moments), ["900: post an alert: the agent reports `failed`"]);
}

#[test]
fn an_unknown_condition_neither_resolves_an_alert_nor_resets_its_delay() {
    let mission = loud(active(with_heartbeat(-10, "working")), &on(&["stale"]));
    let stale = pass(&later(&mission, 400, with_heartbeat(0, "working"))).1;
    let raised = pass(&later(&stale, 800, with_heartbeat(0, "working")));
    assert_eq!(raised.0.len(), 1);
    for before in [stale, raised.1] {
        let has_alert = before.record.as_ref().unwrap().alert.firing.is_some();
        let mut unseen = here(before, |here| here.now = at(900));
        unseen.sighting = CellObservation::Failed(ReadFailure::Io);
        let (notices, after) = pass(&unseen);
        assert!(notices.is_empty());
        let back =
            later(&Observation { sighting: mission.sighting.clone(), ..after }, 950, with_heartbeat(0, "working"));
        assert_eq!(pass(&back).0.len(), usize::from(!has_alert), "it was bad all the while");
    }
}

#[test]
fn a_mission_without_a_heartbeat_fires_an_alert_if_configured() {
    let mission = loud(active(whole()), &on(&["uninitialized"]));
    let (notices, _) = pass(&later(&mission, 300, whole()));
    assert_eq!(notices[0].summary(), "post an alert: uninitialized (no-heartbeat)");
}

#[test]
fn an_alert_follows_the_published_health_while_flapping() {
    let notify = Notify { after: seconds(600), ..on(&["stale"]) };
    // It flaps from the third fall on, and so is held while it beats.
    let mut moments: Vec<(i64, i64, &str)> =
        (1..=5).map(|at| (60 * at, if at % 2 == 1 { 400 } else { 10 }, "working")).collect();
    moments.extend([(600, 10, "working"), (880, 10, "working"), (900, 10, "working")]);
    assert_eq!(reported(&notify, &moments), ["900: post an alert: stale (flapping)"]);
}

#[test]
fn a_suspended_mission_fires_no_alert_and_a_closed_one_resolves_its_own() {
    let notify = Notify { after: seconds(0), ..on(&["stale"]) };
    let resolved = "resolve the alert: closed";
    for (quiet, said) in
        [(suspended(with_heartbeat(-400, "working")), None), (closed(with_heartbeat(-400, "working")), Some(resolved))]
    {
        let mut quiet = loud(quiet, &notify);
        let alarm = FiringAlert { at: at(-100), since: at(-200), cause: AlertCause::parse("stale").unwrap() };
        for raised in [None, Some(alarm)] {
            quiet.record.as_mut().unwrap().alert.firing = raised;
            let (notices, after) = pass(&quiet);
            let reported: Vec<String> = notices.iter().map(AlertMessage::summary).collect();
            let wanted: Vec<&str> = said.filter(|_| raised.is_some()).into_iter().collect();
            assert_eq!(
                (reported, after.record.unwrap().alert.firing),
                (wanted.iter().map(ToString::to_string).collect(), None)
            );
        }
    }
}

#[test]
fn an_alert_that_is_no_longer_configured_is_dropped_silently() {
    let (_, raised) = pass(&later(
        &loud(active(with_heartbeat(-10, "working")), &Notify { after: seconds(0), ..on(&["stale"]) }),
        400,
        with_heartbeat(0, "working"),
    ));
    assert!(raised.record.as_ref().unwrap().alert.firing.is_some());
    for notify in [Notify::default(), on(&["incomplete"])] {
        let (notices, after) = pass(&loud(raised.clone(), &notify));
        assert_eq!((notices.len(), after.record.unwrap().alert.firing), (0, None));
    }
}

#[test]
fn a_failing_since_ahead_of_the_clock_is_reset_to_now() {
    let mut mission = loud(active(with_heartbeat(-400, "working")), &on(&["stale"]));
    mission.record.as_mut().unwrap().failing_since = Some(at(1_000_000));
    let (_, after) = pass(&mission);
    assert_eq!(after.record.as_ref().unwrap().failing_since, Some(at(0)));
    assert_eq!(pass(&later(&after, 300, with_heartbeat(-400, "working"))).0.len(), 1);
}

/// What lies ahead by no more than the span may be another clock's minute; by more, ours was wrong once.
#[test]
fn a_span_has_passed_at_its_last_second_or_if_it_starts_too_far_ahead() {
    for (since, has) in [(-301, true), (-300, true), (-299, false), (0, false), (300, false), (301, true)] {
        assert_eq!(has_passed(at(since), seconds(300), at(0)), has, "{since}");
    }
    let nagging = Notify { repeat: Some(seconds(3_600)), ..on(&["stale"]) };
    let mut mission = loud(active(with_heartbeat(-10, "working")), &nagging);
    for now in [400, 700] {
        mission = pass(&later(&mission, now, with_heartbeat(0, "working"))).1;
    }
    for (raised_at, again) in [(4_401, 1), (4_400, 0)] {
        let mut ahead = later(&mission, 800, with_heartbeat(0, "working"));
        ahead.record.as_mut().unwrap().alert.firing.as_mut().unwrap().at = at(raised_at);
        assert_eq!(pass(&ahead).0.len(), again, "said at {raised_at}, which is not yet");
    }
}

/// A mission that was killed while it raised an alarm, with these comments on its issue.
fn killed(comments: impl FnOnce(&Observation, AlertMarker) -> Vec<CommentFacts>) -> Observation {
    let notify = on(&["stale"]);
    let stale =
        pass(&later(&loud(active(with_heartbeat(-10, "working")), &notify), 400, with_heartbeat(0, "working"))).1;
    let mut mission = later(&stale, 800, with_heartbeat(0, "working"));
    let raised = FiringAlert { at: at(760), since: at(400), cause: AlertCause::parse("stale").unwrap() };
    let intended = AlertIntent { kind: Notification::Firing, at: at(760), alert: raised };
    mission.record.as_mut().unwrap().alert = AlertRecord { intent: Some(intended), ..AlertRecord::default() };
    assert!(missing(&mission).comments, "nobody knows whether it was said");
    assert!(!preview(&mission).iter().any(|change| matches!(change, Change::PostAlert { .. })));
    let marker = AlertMarker {
        kind: Notification::Firing,
        mission: Some(mission.mission_id),
        root: mission.here.root,
        at: at(760),
    };
    mission.comments = Comments::Read(comments(&mission, marker));
    mission
}

fn said(poster: i64, alarm: AlertMarker) -> CommentFacts {
    let body_sha256 = sha256(&alarm.to_string());
    CommentFacts {
        id: 90,
        poster,
        marker: None,
        alert: Some(alarm),
        body_sha256,
        created_at: at(760),
        updated_at: at(760),
    }
}

#[test]
fn an_alert_of_unknown_outcome_is_searched_for_before_it_is_reposted() {
    let found = killed(|seen, marker| vec![said(seen.here.me, marker)]);
    let (notices, after) = pass(&found);
    assert_eq!(notices.len(), 0);
    let alarm = after.record.unwrap().alert;
    assert_eq!((alarm.firing.unwrap().at, alarm.posted, alarm.intent), (at(760), vec![at(760)], None));
    let other = AlertMarker { at: at(759), ..killed(|_, _| Vec::new()).record.map(|_| found_marker(&found)).unwrap() };
    for comments in [vec![], vec![said(99, found_marker(&found))], vec![said(3, other)]] {
        let (notices, after) = pass(&killed(|_, _| comments));
        assert_eq!((notices.len(), after.record.unwrap().alert.posted), (1, vec![at(800)]));
    }
}

fn found_marker(found: &Observation) -> AlertMarker {
    let Comments::Read(comments) = &found.comments else { unreachable!() };
    comments[0].alert.unwrap()
}

#[test]
fn an_alert_is_no_status_comment_and_is_never_edited_or_deleted() {
    let found = killed(|seen, marker| {
        vec![said(seen.here.me, marker), said(seen.here.me, AlertMarker { root: None, ..marker })]
    });
    assert_eq!(found.our_comments(), Vec::<&CommentFacts>::new());
    let touches =
        |change: &Change| matches!(change, Change::EditComment { id: 90, .. } | Change::RemoveComment { id: 90, .. });
    assert!(!planned_status(&found).iter().any(touches));
}

#[test]
fn an_alert_marker_round_trips_and_other_text_is_not_parsed() {
    let marker = found_marker(&killed(|seen, marker| vec![said(seen.here.me, marker)]));
    let text = marker.to_string();
    assert_eq!(text.lines().next(), Some("<!-- lazarus:alarm v1 -->"));
    assert_eq!(AlertMarker::parse(&format!("{text}\nwords")), Some(marker));
    let fleet = AlertMarker { mission: None, root: None, ..marker };
    assert_eq!(AlertMarker::parse(&fleet.to_string()), Some(fleet));
    let spoilt = [
        text.replace("v1", "v2"),
        text.replace("raised", "razed"),
        text.replace(" at=", " at"),
        text.replace(" -->", " x=1 -->"),
    ];
    for wrong in
        spoilt.iter().map(String::as_str).chain([text.lines().last().unwrap(), "", "<!-- lazarus:alarm v1 -->"])
    {
        assert_eq!(AlertMarker::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn only_valid_alert_causes_logins_and_issue_names_are_accepted() {
    for word in ["stale", "incomplete", "unknown", "uninitialized", "wizard/waiting", "wizard/failed"] {
        assert_eq!(AlertCause::parse(word).unwrap().to_string(), word);
    }
    for wrong in ["healthy", "wizard/working", "Stale", "health/stale", ""] {
        assert!(AlertCause::parse(wrong).is_err(), "{wrong}");
    }
    for right in ["merlin", "m", "the-grey_one.2"] {
        assert_eq!(Login::parse(right).unwrap().to_string(), right);
    }
    for wrong in ["", "@merlin", "a b", "a/b", "-a", "a-", "a--b", "a.", "é", "<b>", &"x".repeat(41)] {
        assert!(Login::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(IssueName::parse("owner/ops#12").unwrap().to_string(), "owner/ops#12");
    for wrong in ["owner/ops", "owner/ops#", "owner/ops#0", "owner/ops#-1", "owner/ops#+1", "ops#1", "#1", "a/b/c#1"] {
        assert!(IssueName::parse(wrong).is_err(), "{wrong}");
    }
}
