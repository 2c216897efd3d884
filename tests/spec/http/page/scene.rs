//! Snapshots for the tests of the pages: a healthy fleet to modify, and one in which every state occurs.

use lazarus::engine::snapshot::{GatewayState, GatewayView, IssueView, MissionView, Passes, Snapshot, Tick};
use lazarus::mission::cell::health::Health;
use lazarus::mission::cell::heartbeat::WizardState;
use lazarus::mission::identity::{ForgeUrl, GatewayName, HostName, MissionId, WizardName};
use lazarus::mission::record::Event;
use lazarus::mission::status::phase::Phase;
use lazarus::mission::time::Timestamp;
use lazarus::world::forge::Traffic;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T14:02:11Z").unwrap()
}

pub(super) fn before(minutes: i64) -> Timestamp {
    now().plus(chrono::TimeDelta::minutes(-minutes))
}

fn forge() -> ForgeUrl {
    ForgeUrl::parse("https://git.example.com").unwrap()
}

pub(super) fn id(number: i64) -> MissionId {
    MissionId::of_issue(&forge(), 7, number)
}

/// A healthy mission.
pub(super) fn mission(number: i64) -> MissionView {
    MissionView {
        needs_a_person: false,
        ever_heartbeat: false,
        mission_id: id(number),
        has_cell: true,
        is_archived: false,
        comment_refusal: None,
        is_published: true,
        path: format!("/var/missions/{}", id(number)),
        phase: Some(Phase::Active),
        health: Some(Health::Healthy),
        reason: Some("heartbeat-ok".to_owned()),
        problem: None,
        since: Some(before(60 + number)),
        last_heartbeat_at: Some(before(2)),
        agent_state: Some(WizardState::Working),
        agent_state_since: Some(before(60)),
        message: None,
        notes: Vec::new(),
        wizard: WizardName::parse("merlin").ok(),
        name: Some(format!("Mission {number}")),
        repository: Some("wizards/spellbook".to_owned()),
        issue: Some(IssueView {
            name: format!("wizards/missions#{number}"),
            url: format!("https://git.example.com/wizards/missions/issues/{number}"),
        }),
        changes: [
            Event { at: before(62), what: "the cell was created".to_owned() },
            Event { at: before(60), what: "uninitialized to healthy".to_owned() },
        ]
        .into(),
    }
}

/// A mission with this health and reason, since so many minutes.
pub(super) fn with_health(number: i64, health: Health, reason: &str, minutes: i64) -> MissionView {
    MissionView {
        health: Some(health),
        reason: Some(reason.to_owned()),
        since: Some(before(minutes)),
        ..mission(number)
    }
}

/// A snapshot of a daemon that is ready.
pub(super) fn fleet_of(missions: Vec<MissionView>) -> Snapshot {
    Snapshot {
        tick: Tick::new(now()),
        interval: Duration::from_secs(30),
        missions_root: "/var/missions".to_owned(),
        host: HostName::parse("alpha").unwrap(),
        forge: Some(forge()),
        public_url: None,
        missions: missions.into_iter().map(Arc::new).collect(),
        passes: Passes {
            started_at: Some(before(3_000)),
            finished_at: Some(now()),
            complete_at: Some(now()),
            complete: 5_998,
            incomplete: 2,
            last_complete: true,
            ..Passes::default()
        },
        gateways: Vec::new(),
        traffic: Traffic::default(),
        clock_offset: None,
    }
}

/// The same daemon, not ready: its last complete pass is so many minutes old.
pub(super) fn not_ready(mut snapshot: Snapshot, minutes: i64) -> Snapshot {
    snapshot.passes.complete_at = Some(before(minutes));
    snapshot.passes.forge_error = Some("`GET /api/v1/repos/wizards/missions/issues`: 502 Bad Gateway".to_owned());
    snapshot.passes.errors = vec!["cannot list the issues of `wizards/missions`: 502 Bad Gateway".to_owned()];
    snapshot
}

/// A fleet in which every state occurs.
pub(super) fn everything() -> Snapshot {
    let titles = [
        "Translate the runes of the northern gate",
        "Find out why the crystal ball lags behind by a minute",
        "Rewrite the index of the spellbook",
        "Brew the weekly release",
        "Teach the gargoyles to answer politely, in every language that visitors of the tower speak",
        "Sweep the dungeon logs",
        "Draw the map of the lower library",
        "Migrate the owlery to the new perches",
    ];
    let wizards = ["merlin", "morgana", "prospero", "circe"];
    let named = |number: i64, mission: MissionView| {
        let at = usize::try_from(number).unwrap();
        MissionView {
            name: Some(titles[at % titles.len()].to_owned()),
            wizard: WizardName::parse(wizards[at % wizards.len()]).ok(),
            ..mission
        }
    };
    let mut all = every_state();
    all.extend((20..44).map(|number| MissionView { since: Some(before(number * 37)), ..mission(number) }));
    let missions = all.into_iter().zip(1..).map(|(mission, number)| named(number, mission)).collect();
    let gateway = |name, state, minutes, answer: &str| GatewayView {
        name: GatewayName::parse(name).unwrap(),
        state,
        asked_at: Some(before(minutes)),
        answer: answer.to_owned(),
    };
    Snapshot {
        public_url: Some("https://pit.example.com/a-rather-long-path/behind-a-proxy/".parse().unwrap()),
        gateways: vec![
            gateway("north-tower", GatewayState::Up, 0, "200 in 12 ms"),
            gateway("harbour", GatewayState::Down, 3, "no answer within 5 seconds"),
        ],
        ..fleet_of(missions)
    }
}

fn every_state() -> Vec<MissionView> {
    let never = |mission| MissionView { last_heartbeat_at: None, agent_state: None, ..mission };
    let reports = |state, message: &str, mission| MissionView {
        agent_state: Some(state),
        message: Some(message.to_owned()),
        ..mission
    };
    let without = |phase, mission| MissionView {
        phase: Some(phase),
        has_cell: false,
        health: None,
        reason: None,
        ..never(mission)
    };
    let timed_out = with_health(2, Health::Stale, "heartbeat-timeout", 95);
    vec![
        with_health(1, Health::Incomplete, "missing state/heartbeat.json", 12),
        reports(
            WizardState::Working,
            "reading the scrolls",
            MissionView { last_heartbeat_at: Some(before(95)), ..timed_out },
        ),
        MissionView {
            last_heartbeat_at: Some(before(4_000)),
            ..with_health(3, Health::Stale, "heartbeat-timeout", 3_990)
        },
        with_health(4, Health::Stale, "clock-skew", 3),
        with_health(5, Health::Unknown, "timeout", 1),
        never(with_health(6, Health::Uninitialized, "no-heartbeat", 40)),
        MissionView {
            phase: None,
            issue: None,
            ..never(with_health(7, Health::Uninitialized, "not-initialized", 400))
        },
        reports(WizardState::Waiting, "May I open the sealed door? It says: do not.", mission(8)),
        reports(WizardState::Failed, "the cauldron has a hole", mission(9)),
        reports(WizardState::Done, "all runes translated", with_health(10, Health::Healthy, "completed", 600)),
        MissionView { phase: Some(Phase::Suspended), ..with_health(11, Health::Stale, "heartbeat-timeout", 2_000) },
        without(Phase::Pending, mission(12)),
        without(Phase::Invalid, mission(13)),
        without(Phase::Closed, mission(14)),
        MissionView { name: None, wizard: None, repository: None, ..mission(15) },
    ]
}
