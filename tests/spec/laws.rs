//! The laws that planning keeps, over worlds drawn at random; a failing seed is printed.

use crate::support::cells::{at, beat, seconds};
use crate::support::missions::{ROOT, body, comment, labelled, make, proposal};
use fastrand::Rng;
use lazarus::mission::admission::{Admission, Limit};
use lazarus::mission::cell::{CellFacts, Failure, FileKind, Part, Sight, Sighting};
use lazarus::mission::cell_plan::plan_cell;
use lazarus::mission::change::Change;
use lazarus::mission::contents::Flaw;
use lazarus::mission::expected::expected;
use lazarus::mission::identity::Commit;
use lazarus::mission::label::Label;
use lazarus::mission::observation::{Comments, Observation};
use lazarus::mission::plan::{needs_comments, plan_status, preview};
use lazarus::mission::record::IssueState;
use lazarus::mission::worktree::CheckedOut;
use std::sync::Arc;

const SEEDS: u64 = 2_000;

fn for_each_world(check: impl Fn(&mut Rng, Observation)) {
    for seed in 0..SEEDS {
        let mut random = Rng::with_seed(seed);
        let world = world(&mut random);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut random, world)));
        assert!(checked.is_ok(), "seed {seed}");
    }
}

/// An issue at some moment of its life: filed, passed over a few times, and changed by people and wizards between.
fn world(random: &mut Rng) -> Observation {
    let mut world = proposal(&[]);
    world.issue.body = random_body(random);
    world.issue.labels = random_labels(random);
    world.comments = random_comments(random);
    if let Comments::Read(comments) = &world.comments {
        world.issue.comments = i64::try_from(comments.len()).unwrap();
    }
    if random.u8(..4) == 0 {
        let mut here = (*world.here).clone();
        here.me = -2;
        world.here = Arc::new(here);
    }
    for _ in 0..random.u8(..4) {
        world = passed(world);
        disturb(random, &mut world);
    }
    world
}

fn random_body(random: &mut Rng) -> String {
    let answers: [(&str, &[&str]); 5] = [
        ("Repository", &["_No response_", "wizards/spellbook", "a b", "evil/repo"]),
        ("Host", &["_No response_", "alpha", "beta", "be ta"]),
        ("Existing cell", &["_No response_", "_No response_", "123e4567-e89b-12d3-a456-426614174000", "x"]),
        ("Stale after", &["1 minute", "5 minutes", "1 day", "soon"]),
        ("Wizard", &["_No response_", "merlin", "the grey one", "@x"]),
    ];
    let is_bold = random.bool();
    let chosen: Vec<_> = answers
        .iter()
        .map(|(label, choices)| (*label, choices[if is_bold { random.usize(..choices.len()) } else { 0 }]))
        .collect();
    body(&chosen)
}

fn random_labels(random: &mut Rng) -> Vec<lazarus::mission::observation::AttachedLabel> {
    let foreign = ["bug", "kind/epic", "health/strange"];
    let ours: Vec<String> = Label::ALL.iter().map(|label| label.name().into_owned()).collect();
    let all: Vec<&str> = ours.iter().map(String::as_str).chain(foreign).collect();
    let chance = random.u8(..5);
    let names: Vec<&str> = all.into_iter().filter(|_| random.u8(..4) < chance).collect();
    labelled(&names)
}

fn random_comments(random: &mut Rng) -> Comments {
    let other = "22222222-2222-4222-8222-222222222222";
    let mut comments = Vec::new();
    for id in 1..=random.i64(0..3) {
        comments.push(comment(id, random.i64(3..5), if random.bool() { ROOT } else { other }));
    }
    Comments::Read(comments)
}

fn random_sighting(random: &mut Rng) -> Sighting {
    let failure = [Failure::Permission, Failure::Io, Failure::Timeout][random.usize(..3)];
    match random.u8(..10) {
        0 => Sighting::Absent,
        1 => Sighting::NotADirectory(FileKind::File),
        2 => Sighting::Failed(failure),
        _ => {
            let stamp = [None, Some(-10), Some(-400), Some(500), Some(-100_000)][random.usize(..5)];
            let state = ["new", "working", "waiting", "done", "failed"][random.usize(..5)];
            let mut cell = beat(stamp, state, stamp.unwrap_or(0).min(0));
            for _ in 0..random.u8(..3) {
                spoil(random, &mut cell, failure);
            }
            Sighting::Cell(Box::new(cell))
        }
    }
}

fn spoil(random: &mut Rng, cell: &mut CellFacts, failure: Failure) {
    let part = Part::ALL[random.usize(..Part::ALL.len())];
    let flaws = [
        Sight::Missing,
        Sight::Missing,
        Sight::WrongType(FileKind::Link),
        Sight::Unreadable(Flaw::NotJson),
        Sight::Failed(failure),
    ];
    let sight = flaws[random.usize(..flaws.len())];
    cell.see(part, sight);
    for child in Part::ALL.into_iter().filter(|child| child.parent() == Some(part)) {
        cell.see(child, Sight::Missing);
    }
    if *cell.part(Part::Heartbeat) != Sight::Present {
        cell.heartbeat = None;
    }
}

/// What people and wizards do between two passes.
fn disturb(random: &mut Rng, world: &mut Observation) {
    match random.u8(..6) {
        0 => world.issue.body = random_body(random),
        1 => world.issue.labels = random_labels(random),
        2 => world.sighting = random_sighting(random),
        3 => world.admission = Admission::Full(Limit::Cells(3)),
        4 => world.issue.state = if world.issue.is_open() { IssueState::Closed } else { IssueState::Open },
        _ => {
            let mut here = (*world.here).clone();
            here.now = at(random.i64(0..1_000));
            world.here = Arc::new(here);
        }
    }
}

/// A pass as it is carried out, with what the second look sees; changes that `may_fail` says no to are not made.
fn carried_out(
    mut world: Observation,
    mut order: impl FnMut(&mut Vec<Change>),
    may_fail: impl Fn(&Change) -> bool,
) -> Observation {
    world.repaired.clear();
    let mut first = plan_cell(&world);
    order(&mut first);
    first.retain(|change| !may_fail(change));
    let mut after = expected(&world, &first);
    for change in &first {
        check_out(&mut after, change);
    }
    let mut second = plan_status(&after);
    order(&mut second);
    for change in second.iter().filter(|change| !may_fail(change)) {
        make(&mut after, change);
    }
    after.repaired.clear();
    let spoken = after.record.as_ref().and_then(|record| record.comment.as_ref()).is_some();
    after.comments = if spoken { Comments::Unread } else { after.comments };
    after
}

/// As git does, where it succeeds: the commit is known, and noted in the cell's papers.
fn check_out(world: &mut Observation, change: &Change) {
    let Change::CheckOut { issue: _, mission_id: _, source } = change else { return };
    let commit = Commit::parse(&"5a".repeat(20)).unwrap();
    let Some(record) = &mut world.record else { return };
    record.worktree.failed = None;
    record.worktree.checked_out = Some(CheckedOut { source: source.clone(), commit: commit.clone() });
    if let Sighting::Cell(cell) = &mut world.sighting
        && let Some(mission) = &mut cell.mission
    {
        mission["worktree"]["commit"] = commit.to_string().into();
    }
}

fn passed(world: Observation) -> Observation {
    carried_out(world, |_| {}, |_| false)
}

#[test]
fn law_2_preview_is_truth() {
    for_each_world(|_, world| {
        let first = plan_cell(&world);
        let second = plan_status(&expected(&world, &first));
        let carried_out: Vec<String> = first.iter().chain(&second).map(ToString::to_string).collect();
        let previewed: Vec<String> = preview(&world).iter().map(ToString::to_string).collect();
        assert_eq!(previewed, carried_out);
    });
}

#[test]
fn law_3_settled_one_pass_leads_to_an_empty_plan() {
    for_each_world(|_, world| {
        let once = passed(world);
        assert_eq!(preview(&once), []);
        assert!(!needs_comments(&once) || once.record.is_none(), "a settled mission asks nothing");
    });
}

#[test]
fn law_4_quiet_nothing_published_ticks_while_the_verdict_holds() {
    for_each_world(|random, world| {
        let mut once = passed(world);
        let verdict =
            |world: &Observation| world.record.as_ref().and_then(|record| record.said).and_then(|said| said.verdict);
        let before = verdict(&once);
        let mut here = (*once.here).clone();
        here.now = here.now.plus(seconds(random.i64(1..100)));
        once.here = Arc::new(here);
        if verdict(&passed(once.clone())) == before {
            assert_eq!(preview(&once), []);
        }
    });
}

#[test]
fn law_5_independent_any_order_and_any_failure_lead_to_the_same_end() {
    for_each_world(|random, world| {
        let reference = passed(world.clone());
        let salt = random.u64(..);
        let fails = |change: &Change| {
            let mut random = Rng::with_seed(salt ^ change.kind().len() as u64);
            random.u8(..3) == 0
        };
        let disturbed = carried_out(world, |changes| random.shuffle(changes), fails);
        let healed = passed(passed(disturbed));
        assert_eq!(preview(&healed), []);
        assert_eq!(ours(&healed), ours(&reference));
        let is_bound = |world: &Observation| world.binding().map(|binding| binding.mission_id);
        assert_eq!(is_bound(&healed), is_bound(&reference));
        assert_eq!(phase(&healed), phase(&reference));
    });
}

fn ours(world: &Observation) -> Vec<&str> {
    let names = world.issue.labels.iter().map(|label| label.name.as_str());
    let mut names: Vec<&str> = names.filter(|name| Label::named(name).is_some()).collect();
    names.sort_unstable();
    names
}

fn phase(world: &Observation) -> Option<(String, Option<lazarus::mission::health::Health>)> {
    let said = world.record.as_ref()?.said?;
    Some((said.phase.to_string(), said.verdict.map(|verdict| verdict.health)))
}

#[test]
fn law_6_ours_only_no_plan_names_a_label_or_comment_of_others() {
    for_each_world(|_, world| {
        let theirs: Vec<i64> = match &world.comments {
            Comments::Unread => Vec::new(),
            Comments::Read(comments) => {
                comments.iter().filter(|c| !world.here.is_ours(c.poster)).map(|c| c.id).collect()
            }
        };
        for change in preview(&world) {
            if let Change::RemoveLabel { issue: _, label } = &change {
                assert!(Label::named(&label.name).is_some());
            }
            if let Change::ReplaceLabels { issue: _, add: _, remove } = &change {
                assert!(world.here.is_job_token(), "nobody else ever replaces the list");
                assert!(remove.iter().all(|label| Label::named(&label.name).is_some()));
            }
            if let Change::EditComment { issue: _, id, status: _, is_claim: _ }
            | Change::RemoveComment { issue: _, id } = &change
            {
                assert!(!theirs.contains(id));
            }
        }
    });
}

#[test]
fn law_7_say_what_you_saw_the_labels_tell_the_verdict() {
    for_each_world(|_, world| {
        let after = passed(world);
        let Some((phase, health)) = phase(&after).filter(|_| after.issue.is_open()) else { return };
        if after.record.as_ref().is_some_and(|record| record.elsewhere.is_some()) {
            return;
        }
        let mut wanted = vec!["kind/mission-proposal".to_owned(), format!("mission/{phase}")];
        wanted.extend(health.map(|health| format!("health/{health}")));
        let said = after.record.as_ref().and_then(|record| record.said);
        let record = after.record.as_ref().unwrap();
        let approval = match (&record.asking, &record.approval) {
            (Some(_), _) => Some("approval/needed"),
            (None, Some(_)) => Some("approval/granted"),
            (None, None) => None,
        };
        wanted.extend(approval.map(str::to_owned));
        wanted.extend(said.and_then(|said| said.says).map(|says| format!("wizard/{says}")));
        wanted.sort_unstable();
        assert_eq!(ours(&after), wanted);
    });
}
