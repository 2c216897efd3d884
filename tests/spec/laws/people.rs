//! What people, wizards and other hosts do between two passes, drawn at random.

use crate::laws::world::{AUTHOR, STRANGER, World};
use crate::support::cells::{at, beat, seconds};
use crate::support::missions::{ROOT, body, comment, labelled};
use fastrand::Rng;
use lazarus::mission::alert::config::{AlertCause, Notify};
use lazarus::mission::alert::state::{AlertIntent, AlertMarker, FiringAlert, Notification};
use lazarus::mission::approval::policy::{ApprovalMode, ApprovalPolicy};
use lazarus::mission::cell::json_file::Flaw;
use lazarus::mission::cell::{CellFacts, CellObservation, FileKind, Part, PartObservation, ReadFailure};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::identity::{MissionId, RepositoryPattern};
use lazarus::mission::observation::{AlertPermit, AttachedLabel, CommentFacts, Origin, Take};
use lazarus::mission::record::{IssueKey, IssueState};
use lazarus::mission::status::label::Label;
use lazarus::mission::status::marker::Marker;
use lazarus::mission::text::sha256;
use serde_json::{Map, json};
use std::collections::BTreeSet;

/// A cell that some proposals ask to take over.
const ADOPTED: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Another root.
pub(super) const OTHER: &str = "22222222-2222-4222-8222-222222222222";

/// May approve, and is named as an approver where some are.
const MAINTAINER: i64 = 5;

/// Everybody who may click on a label: a maintainer, another one, the author, nobody in particular, and a poster of ours.
const PEOPLE: [i64; 7] = [MAINTAINER, MAINTAINER, MAINTAINER, 6, AUTHOR, -1, 8];

const ORIGINS: [Origin; 4] =
    [Origin::Found { is_private: false }, Origin::Found { is_private: true }, Origin::NotFound, Origin::Unanswered];

const ROOM: [Admission; 3] =
    [Admission::Admitted, Admission::Full(CapacityLimit::FreeBytes(1)), Admission::Full(CapacityLimit::Cells(3))];

fn any<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

/// An issue at some moment of its life: filed, passed over a few times, and changed by people and wizards between.
pub(super) fn world(random: &mut Rng) -> World {
    let mut world = World::new();
    settings(random, &mut world);
    write_body(random, &mut world);
    world.issue.labels = some_labels(random);
    for _ in 0..any(random, &[0, 0, 1, 2]) {
        another_says(random, &mut world);
    }
    if random.bool() {
        let adopted = MissionId::parse(ADOPTED).unwrap();
        world.cells.insert(adopted, CellObservation::Cell(Box::new(worked_in(random, CellFacts::empty()))));
    }
    let mut writer = Rng::with_seed(random.clone().u64(..));
    for _ in 0..random.u8(..8) {
        world.pass();
        for _ in 0..random.u8(1..3) {
            disturb(random, &mut world);
            if writer.u8(..8) == 0 {
                tamper(&mut writer, &mut world);
            }
        }
    }
    world
}

/// What an operator has set, and what there is around it.
fn settings(random: &mut Rng, world: &mut World) {
    let here = &mut world.here;
    here.me = any(random, &[3, 3, 3, -2]);
    here.trusted_posters = vec![8];
    here.take = any(random, &[Take::Any, Take::Any, Take::Named]);
    here.has_label = random.u8(..3) == 0;
    here.close_grace = seconds(any(random, &[0, 900]));
    here.worktrees = ["wizards/*", "wizards/secret"].map(|text| RepositoryPattern::parse(text).unwrap()).to_vec();
    here.worktrees.truncate(random.usize(1..3));
    let some = |random: &mut Rng, people: &[i64]| {
        if random.bool() { people.iter().copied().collect() } else { BTreeSet::new() }
    };
    let mode = any(random, &[ApprovalMode::Open, ApprovalMode::Label]);
    let authors = if random.u8(..4) == 0 { some(random, &[AUTHOR]) } else { BTreeSet::new() };
    here.approval = ApprovalPolicy { mode, authors, approvers: some(random, &[MAINTAINER]) };
    here.notify = notify(random);
    world.allowance =
        any(random, &[AlertPermit::Granted { others: 0 }, AlertPermit::Granted { others: 2 }, AlertPermit::Denied]);
    world.origin = any(random, &ORIGINS);
    world.is_git_well = random.u8(..5) > 0;
}

/// What raises alarms, if anything does.
fn notify(random: &mut Rng) -> Notify {
    let on = AlertCause::ALL.into_iter().filter(|_| random.bool()).collect();
    let after = seconds(any(random, &[0, 0, 300]));
    let repeat = any(random, &[None, Some(seconds(100))]);
    let notify = Notify { on, after, repeat, ..Notify::default() };
    if random.u8(..3) == 0 { Notify::default() } else { notify }
}

fn write_body(random: &mut Rng, world: &mut World) {
    let answers: [(&str, &[&str]); 6] = [
        ("Repository", &["_No response_", "wizards/spellbook", "owner/missions", "wizards/secret", "evil/repo"]),
        ("Ref", &["_No response_", "_No response_", "main", "dev"]),
        ("Host", &["_No response_", "_No response_", "alpha", "beta", "be ta"]),
        ("Existing cell", &["_No response_", "_No response_", ADOPTED, "x"]),
        ("Stale after", &["1 minute", "5 minutes", "1 day", "soon"]),
        ("Wizard", &["_No response_", "merlin", "circe", "the grey one"]),
    ];
    // Most answers are right, or nothing would ever be made.
    let boldness = any(random, &[0, 3, 6]);
    let mut answer = |choices: &[&'static str]| {
        let most = if random.u8(..20) == 0 { choices.len() } else { choices.len() - 1 };
        if random.u8(..10) < boldness { choices[random.usize(..most)] } else { choices[0] }
    };
    let chosen: Vec<_> = answers.iter().map(|(label, choices)| (*label, answer(choices))).collect();
    let host = if world.here.take == Take::Named && boldness < 6 { [("Host", "alpha")].as_slice() } else { &[] };
    world.issue.body = body(&[host, &chosen].concat());
    world.issue.updated_at = world.forge_now;
}

fn some_labels(random: &mut Rng) -> Vec<AttachedLabel> {
    let foreign = ["bug", "kind/epic", "health/strange", "host/beta"];
    let ours: Vec<String> = Label::ALL.iter().map(|label| label.name().into_owned()).collect();
    let all: Vec<&str> = ours.iter().map(String::as_str).chain(foreign).collect();
    let chance = random.u8(..5);
    let names: Vec<&str> = all.into_iter().filter(|_| random.u8(..4) < chance).collect();
    labelled(&names)
}

/// A comment with a marker by a poster of ours or by somebody else: of another root, of this one, or of no root yet.
fn another_says(random: &mut Rng, world: &mut World) {
    let poster = any(random, &[world.here.me, 8, STRANGER]);
    let root = any(random, &[ROOT, OTHER]);
    let marker = match random.u8(..3) {
        0 => Marker::parse("<!-- lazarus:status v1 mission=none root=none host=none digest=abc -->"),
        _ => comment(1, poster, root).marker,
    };
    let (id, now) = (world.next_id, world.forge_now);
    let body_sha256 = sha256(&format!("{id} by another"));
    world.comments.push(CommentFacts {
        id,
        poster,
        marker,
        alert: None,
        body_sha256,
        created_at: now,
        updated_at: now,
    });
    (world.next_id, world.issue.updated_at) = (id + 1, now);
}

/// What happens between two passes.
fn disturb(random: &mut Rng, world: &mut World) {
    // The forge tells whole seconds, so much happens in one.
    world.forge_now = world.forge_now.plus(seconds(random.i64(0..3)));
    if world.issue.labels.iter().any(|label| label.name == "approval/needed") && random.u8(..3) == 0 {
        return click(random, world, "approval/granted");
    }
    match random.u8(..27) {
        0 | 1 => write_body(random, world),
        2 => world.issue.labels = some_labels(random),
        3..=6 => click(random, world, "approval/granted"),
        7 | 8 => click(random, world, "mission/suspended"),
        9 => take_off(random, world),
        10 => world.issue.due_at = any(random, &[None, Some(at(300)), Some(at(700))]),
        11..=13 => world.issue.state = any(random, &[IssueState::Open, IssueState::Closed]),
        14 if world.record.is_some() => world.issue.state = IssueState::Deleted,
        15 | 16 => on_the_disk(random, world),
        17 => in_the_archive(random, world),
        18 => world.blind = any(random, &[None, None, Some(ReadFailure::Io), Some(ReadFailure::Permission)]),
        19 => around(random, world),
        20 if random.bool() => another_says(random, world),
        21 if random.bool() => world.comments.retain(|_| random.bool()),
        22 => world.is_one_of_many = true,
        23 => world.allowance = any(random, &[AlertPermit::Granted { others: 0 }, AlertPermit::Denied]),
        24 => world.here.notify = notify(random),
        25 => lose_an_alarm(random, world),
        _ => world.here.now = at(random.i64(0..1_000)),
    }
}

/// A process died while it raised an alarm, before or after it was heard.
fn lose_an_alarm(random: &mut Rng, world: &mut World) {
    let seen = world.glanced();
    let Some(record) = world.record.as_mut().filter(|record| record.binding.is_some()) else { return };
    let kind = any(random, &[Notification::Firing, Notification::Reminder, Notification::Resolved]);
    let at = world.here.now;
    let alarm = FiringAlert { at, since: at, cause: any(random, &AlertCause::ALL) };
    record.alert.intent = Some(AlertIntent { kind, at, alert: alarm });
    if random.bool() {
        let marker = AlertMarker { kind, mission: Some(seen.mission_id), root: seen.here.root, at };
        world.sound(marker);
    }
}

/// A writer edits a comment of ours: its text, its first line too, or back to what it was.
fn tamper(random: &mut Rng, world: &mut World) {
    let (me, now) = (world.here.me, world.forge_now);
    let Some(ours) = world.comments.iter_mut().find(|ours| ours.poster == me && ours.marker.is_some()) else { return };
    let left = world.left.get(&ours.id).cloned();
    match (random.u8(..5), left) {
        (0, _) => (ours.marker, ours.body_sha256) = (None, sha256("defaced")),
        (1 | 2, Some(left)) => ours.body_sha256 = left,
        _ => ours.body_sha256 = sha256(&format!("forged {}", random.u8(..))),
    }
    ours.updated_at = now;
}

/// Somebody puts a label on. It is an approval if they may give one and have seen what it is for.
fn click(random: &mut Rng, world: &mut World, name: &str) {
    let who = any(random, &PEOPLE);
    if world.issue.labels.iter().any(|label| label.name == name) || world.issue.state == IssueState::Deleted {
        return;
    }
    let scope = name.split('/').next().unwrap();
    world.issue.labels.retain(|label| !(label.is_exclusive && label.name.starts_with(&format!("{scope}/"))));
    let label = AttachedLabel { id: world.next_id + 2_000, ..labelled(&[name]).remove(0) };
    world.issue.labels.push(label);
    world.tell(who, name, true);
    world.issue.updated_at = world.forge_now;
    let approvers = &world.here.approval.approvers;
    let is_trusted = world.here.approval.authors.contains(&AUTHOR);
    let may_approve = who != AUTHOR && (approvers.is_empty() || approvers.contains(&who));
    let may = who > 0 && who != 8 && (may_approve || (who == AUTHOR && is_trusted));
    let ours = world.comments.iter().filter(|comment| comment.marker.is_some());
    let ours = ours.filter(|comment| [world.here.me, 8].contains(&comment.poster));
    let first = ours.min_by_key(|comment| comment.id);
    // Under our first line may stand what somebody else has written.
    let first = first.filter(|comment| world.left.get(&comment.id) == Some(&comment.body_sha256));
    let asked = first.and_then(|comment| world.asks.get(&comment.id)).cloned().flatten();
    world.approved.extend(asked.filter(|_| may && name == "approval/granted"));
}

fn take_off(random: &mut Rng, world: &mut World) {
    if !world.issue.labels.is_empty() {
        let label = world.issue.labels.remove(random.usize(..world.issue.labels.len()));
        world.tell(MAINTAINER, &label.name, false);
        world.issue.updated_at = world.forge_now;
    }
}

/// A wizard works in its cell, spoils it, or loses it; now and then something else stands in its place.
fn on_the_disk(random: &mut Rng, world: &mut World) {
    let id = world.glanced().mission_id;
    let there = world.cells.remove(&id);
    let cell = match &there {
        Some(CellObservation::Cell(cell)) => (**cell).clone(),
        Some(CellObservation::Absent | CellObservation::NotADirectory(_) | CellObservation::Failed(_)) | None => {
            CellFacts::empty()
        }
    };
    match random.u8(..10) {
        0 => {}
        1 => drop(world.cells.insert(id, CellObservation::NotADirectory(FileKind::File))),
        _ => drop(world.cells.insert(id, CellObservation::Cell(Box::new(worked_in(random, cell))))),
    }
}

/// A cell with a beat, in which a part may be missing or of no use. What is of a wizard's own has a mark.
fn worked_in(random: &mut Rng, before: CellFacts) -> CellFacts {
    let stamp = any(random, &[None, Some(-10), Some(-10), Some(-400), Some(500), Some(-100_000)]);
    let state = any(random, &["new", "working", "waiting", "done", "failed"]);
    let mut cell = beat(stamp, state, stamp.unwrap_or(0).min(0));
    let mark = || Map::from_iter([("mark".to_owned(), json!(random.u64(..)))]);
    cell.mission = Some(before.mission.unwrap_or_default());
    cell.config = Some(before.config.filter(|config| config.contains_key("mark")).unwrap_or_else(mark));
    for _ in 0..random.u8(..3) {
        spoil(random, &mut cell);
    }
    cell
}

fn spoil(random: &mut Rng, cell: &mut CellFacts) {
    let part = Part::ALL[random.usize(..Part::ALL.len())];
    let failure =
        PartObservation::Failed(any(random, &[ReadFailure::Permission, ReadFailure::Io, ReadFailure::Timeout]));
    let flaws = [PartObservation::WrongType(FileKind::Link), PartObservation::Unreadable(Flaw::NotJson), failure];
    cell.see(part, if random.bool() { PartObservation::Missing } else { any(random, &flaws) });
    for child in Part::ALL.into_iter().filter(|child| child.parent() == Some(part)) {
        cell.see(child, PartObservation::Missing);
    }
    if *cell.part(Part::Heartbeat) != PartObservation::Present {
        cell.heartbeat = None;
    }
    if *cell.part(Part::Mission) != PartObservation::Present {
        cell.mission = None;
    }
    if *cell.part(Part::Cell) != PartObservation::Present {
        cell.config = None;
    }
}

/// Somebody deletes an archive, or puts something where a cell would come back to.
fn in_the_archive(random: &mut Rng, world: &mut World) {
    let Some(name) = world.archives.keys().next().copied() else { return };
    if random.bool() {
        world.archives.remove(&name);
        return;
    }
    let something = [
        CellObservation::NotADirectory(FileKind::File),
        CellObservation::Cell(Box::new(worked_in(random, CellFacts::empty()))),
    ];
    world.cells.entry(name.mission_id).or_insert_with(|| something[random.usize(..2)].clone());
}

/// Room, the other repository, git, and the owner of the cell that was to be taken over.
fn around(random: &mut Rng, world: &mut World) {
    match random.u8(..4) {
        0 => world.admission = any(random, &ROOM),
        1 => world.origin = any(random, &ORIGINS),
        2 => world.is_git_well = !world.is_git_well,
        _ => {
            let adopted = MissionId::parse(ADOPTED).unwrap();
            let binding = world.record.as_ref().and_then(|record| record.binding.as_ref());
            let is_ours = binding.is_some_and(|binding| binding.mission_id == adopted);
            if !is_ours {
                let other = IssueKey { issue_id: 43, number: 13, ..world.issue.key.clone() };
                world.owned.insert(adopted, other);
            }
        }
    }
}
