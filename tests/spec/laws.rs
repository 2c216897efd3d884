//! The laws that planning keeps, over worlds drawn at random; a failing seed is printed.

mod checkouts;
mod machine;
mod people;
mod world;

use crate::laws::people::world;
use crate::laws::world::{AUTHOR, Half, World};
use crate::support::missions::missing;
use fastrand::Rng;
use lazarus::mission::approval::policy::{Approval, ApprovalMode, approval_digest, requested_digest};
use lazarus::mission::cell::health::Health;
use lazarus::mission::cell::{CellFacts, CellObservation, Part, PartObservation};
use lazarus::mission::observation::{CommentFacts, Comments, Observation, Origin};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::proposal::{Proposal, Spec};
use lazarus::mission::record::{Binding, IssueState, Record};
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const SEEDS: u64 = 2_000;

/// All worlds, each with what its seed yields from then on.
static WORLDS: LazyLock<Vec<(Rng, World)>> = LazyLock::new(|| {
    let draw = |seed| {
        let mut random = Rng::with_seed(seed);
        let world = world(&mut random);
        (random, world)
    };
    (0..SEEDS).map(|seed| telling(seed, || draw(seed))).collect()
});

/// Does it, and prints the seed where it fails.
fn telling<T>(seed: u64, act: impl FnOnce() -> T) -> T {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
    done.unwrap_or_else(|_| panic!("seed {seed}"))
}

fn for_each_world(check: impl Fn(&mut Rng, World)) {
    for (seed, (random, world)) in (0..).zip(&*WORLDS) {
        telling(seed, || check(&mut random.clone(), world.clone()));
    }
}

/// What a pass over it would do; none where nobody looks at it.
fn previewed(world: &World) -> Vec<Change> {
    let is_seen = world.record.is_some() || world.issue.state != IssueState::Deleted;
    if is_seen { preview(&world.observed()) } else { Vec::new() }
}

fn check_still(world: &World) {
    let said: Vec<String> = previewed(world).iter().map(ToString::to_string).collect();
    assert_eq!(said, [""; 0], "{:#?}", Lifecycle::of(&world.observed()));
}

#[test]
fn law_2_preview_is_truth() {
    for_each_world(|_, mut world| {
        let previewed = previewed(&world);
        let halves = world.pass();
        // What git will say nobody knows before, nor that somebody has deleted our comment.
        let is_known = !previewed.iter().any(|change| matches!(change, Change::CheckOut { .. }));
        let is_known = is_known && !halves.iter().any(|half| half.has_lost);
        let previewed: Vec<String> = previewed.iter().map(ToString::to_string).collect();
        let mut made: Vec<Change> = halves.into_iter().flat_map(|half| half.made).collect();
        // That a comment was found to be ours is a part of having posted it.
        if made.iter().any(|change| matches!(change, Change::PostComment { .. })) {
            made.retain(|change| !matches!(change, Change::RecordComment { .. }));
        }
        let made: Vec<String> = made.iter().map(ToString::to_string).collect();
        assert!(!is_known || made == previewed, "{made:#?} {previewed:#?}");
    });
}

/// A law about what never happens says nothing.
#[test]
fn every_kind_of_change_to_a_mission_is_drawn_many_times() {
    let count = RefCell::new(BTreeMap::<&str, u32>::new());
    for_each_pass(|_, halves, _| {
        for change in halves.iter().flat_map(|half| &half.made) {
            *count.borrow_mut().entry(change.kind()).or_default() += 1;
        }
    });
    let count = count.into_inner();
    assert!(count.len() == 17 && count.values().all(|times| *times >= 10), "{count:?}");
}

#[test]
fn law_3_settled_one_pass_leads_to_an_empty_plan() {
    for_each_world(|_, mut world| {
        world.settle();
        check_still(&world);
        let seen = world.glanced();
        let missing = missing(&seen);
        let asks = missing.comments || missing.timeline;
        // What is in the way of a cell may be gone at any time.
        let is_blocked = matches!(Lifecycle::of(&world.observed()), Lifecycle::Blocked(_));
        // A repair that the hour has no room for waits for the next audit.
        let comment = world.record.as_ref().and_then(|record| record.comment.as_ref());
        let is_doubted = comment.is_some_and(|comment| !comment.is_confirmed);
        assert!(!asks || world.record.is_none() || is_blocked || is_doubted, "a settled mission asks nothing");
        assert!(missing.origin.is_none() || world.origin == Origin::Unanswered);
    });
}

#[test]
fn law_4_quiet_nothing_published_changes_while_health_is_the_same() {
    for_each_world(|random, mut world| {
        world.settle();
        let reported =
            |world: &World| world.record.as_ref().and_then(|record| record.published.as_ref()).map(|said| said.verdict);
        let before = (Lifecycle::of(&world.observed()), reported(&world));
        world.later(random.i64(1..100));
        let failed = world.record.as_ref().and_then(|record| record.worktree.failed.as_ref());
        let is_due = failed.is_some_and(|failed| failed.retry_at <= world.here.now);
        let mut later = world.clone();
        later.pass();
        if !is_due && (Lifecycle::of(&world.observed()), reported(&later)) == before {
            // An alarm is due by the mere passing of time; once it is said, all is still.
            if previewed(&world).iter().any(|change| matches!(change, Change::PostAlert { .. })) {
                let spoken = previewed(&world).into_iter().filter(|change| !change.is_record_only());
                assert_eq!(spoken.count(), 1);
                world.settle();
            }
            check_still(&world);
        }
    });
}

#[test]
fn law_5_independent_any_order_and_any_failure_lead_to_the_same_end() {
    for_each_world(|random, world| {
        // A label from before the cell may count as a pause where it could not be taken off in time.
        let is_paused = world.record.as_ref().is_some_and(|record| record.suspension.is_some());
        if world.issue.labels.iter().any(|label| label.name == "mission/suspended") && !is_paused {
            return;
        }
        let mut reference = world.clone();
        reference.settle();
        let salt = random.u64(..);
        let fails = |change: &Change| match change.kind() {
            // An approval is remembered twice, and lost only where neither succeeds.
            "bind-cell" => salt % 3 == 1,
            "write-record" => salt % 3 == 0,
            other => Rng::with_seed(salt ^ other.len() as u64).u8(..3) == 0,
        };
        // Where nothing at all could be remembered and there is no cell yet, another approval is asked for.
        let has_only_approval = |record: &Record| record.approval.is_some() && record.binding.is_none();
        if salt.is_multiple_of(3) && reference.record.as_ref().is_some_and(has_only_approval) {
            return;
        }
        let mut healed = world;
        healed.disturbed_pass(|changes| random.shuffle(changes), fails);
        healed.settle();
        healed.settle();
        check_still(&healed);
        // News of health may have to wait for the next hour, and what flaps until it has been well for a while.
        for world in [&mut healed, &mut reference] {
            for shift in [7_200, 1_000] {
                world.later(shift);
                world.settle();
            }
        }
        assert_eq!(ours(&healed), ours(&reference));
        assert_eq!(phase(&healed), phase(&reference));
        assert_eq!(remembered(&healed), remembered(&reference));
        assert_eq!(places(&healed), places(&reference));
    });
}

/// Where cells lie.
fn places(world: &World) -> Vec<String> {
    let cells = world.cells.keys().map(ToString::to_string);
    cells.chain(world.archives.keys().map(|name| format!("archive/{name}"))).collect()
}

fn ours(world: &World) -> Vec<&str> {
    let names = world.issue.labels.iter().map(|label| label.name.as_str());
    let mut names: Vec<&str> = names.filter(|name| Label::named(name).is_some() || *name == "host/alpha").collect();
    names.sort_unstable();
    names
}

fn phase(world: &World) -> Option<(String, Option<Health>)> {
    let said = world.record.as_ref()?.published.as_ref()?;
    Some((said.phase.to_string(), said.verdict.map(|verdict| verdict.health)))
}

/// What was accepted, approved and paused.
fn remembered(world: &World) -> Option<impl PartialEq + std::fmt::Debug> {
    let record = world.record.as_ref()?;
    let accepted =
        record.binding.as_ref().map(|binding| (binding.mission_id, binding.name.clone(), binding.spec.clone()));
    Some((
        accepted,
        record.approval.clone(),
        record.suspension.clone(),
        record.archive,
        record.worktree.checked_out.clone(),
    ))
}

#[test]
fn law_6_ours_only_no_plan_names_a_label_or_comment_of_others() {
    for_each_world(|_, world| {
        let seen = world.observed();
        // Nor is an alarm ever touched again.
        let stays = |comment: &&CommentFacts| !seen.here.is_ours(comment.poster) || comment.alert.is_some();
        let theirs = world.comments.iter().filter(stays);
        let theirs: Vec<i64> = theirs.map(|comment| comment.id).collect();
        for change in previewed(&world) {
            if let Change::RemoveLabel { issue: _, label } = &change {
                assert!(Label::named(&label.name).is_some());
            }
            if let Change::ReplaceLabels { issue: _, add: _, remove, displaced: _ } = &change {
                assert!(world.here.is_job_token(), "nobody else ever replaces the list");
                assert!(remove.iter().all(|label| Label::named(&label.name).is_some()));
            }
            if let Change::EditComment { issue: _, id, .. } | Change::RemoveComment { issue: _, id } = &change {
                assert!(!theirs.contains(id));
            }
        }
    });
}

#[test]
fn law_7_say_what_you_saw_labels_match_phase_and_health() {
    for_each_world(|_, mut world| {
        world.pass();
        let Some((phase, health)) = phase(&world).filter(|_| world.issue.state == IssueState::Open) else { return };
        let record = world.record.as_ref().unwrap();
        let is_silent = matches!(Lifecycle::of(&world.observed()), Lifecycle::NotForThisHost);
        if record.other_owner.is_some() || is_silent {
            return;
        }
        let mut wanted = vec!["kind/mission-proposal".to_owned(), format!("mission/{phase}")];
        wanted.extend(health.map(|health| format!("health/{health}")));
        let approval = match (&record.approval_request, &record.approval) {
            (Some(_), _) => Some("approval/needed"),
            (None, Some(_)) => Some("approval/granted"),
            (None, None) => None,
        };
        wanted.extend(approval.filter(|_| phase != "invalid").map(str::to_owned));
        wanted.extend(record.published.as_ref().and_then(|said| said.agent_state).map(|says| format!("wizard/{says}")));
        wanted.extend(health.filter(|_| world.here.has_label).map(|_| "host/alpha".to_owned()));
        wanted.sort_unstable();
        assert_eq!(ours(&world), wanted);
    });
}

/// A few passes, and what they saw and did; before each the world as it was.
fn for_each_pass(check: impl Fn(&World, &[Half], &World)) {
    for_each_world(|_, mut world| {
        for _ in 0..2 {
            let before = world.clone();
            let halves = world.pass();
            check(&before, &halves, &world);
        }
    });
}

/// What wizards have in their cells, wherever those lie: a mark, the heartbeat, and what stands in each part's place.
fn belongings(world: &World) -> BTreeMap<String, CellFacts> {
    let cells = world.cells.values().chain(world.archives.values());
    let marked = cells.filter_map(|place| match place {
        CellObservation::Cell(cell) => Some((cell.config.as_ref()?.get("mark")?.to_string(), (**cell).clone())),
        CellObservation::Absent | CellObservation::NotADirectory(_) | CellObservation::Failed(_) => None,
    });
    marked.collect()
}

#[test]
fn law_8_nothing_is_lost_and_cells_move_only_as_a_whole() {
    for_each_pass(|before, halves, after| {
        let others = |world: &World| {
            let places = world.cells.values().chain(world.archives.values());
            places.filter(|place| matches!(place, CellObservation::NotADirectory(_))).count()
        };
        assert_eq!(others(before), others(after));
        let kept = belongings(after);
        for (mark, cell) in belongings(before) {
            let found = &kept[&mark];
            for part in Part::ALL.into_iter().filter(|part| *cell.part(*part) != PartObservation::Missing) {
                assert_eq!(found.part(part), cell.part(part), "{part:?}");
            }
            assert!(cell.heartbeat.is_none() || found.heartbeat == cell.heartbeat);
        }
        let made: Vec<&Change> = halves.iter().flat_map(|half| &half.made).collect();
        for change in &made {
            if let Change::UpdateFile { mission_id: _, part, contents: _ } = change {
                assert!(matches!(part, Part::Mission | Part::Cell), "{change}");
            }
            assert!(!matches!(change, Change::BindCell { .. }) || halves[0].seen.owner.is_none(), "{change}");
        }
    });
}

#[test]
fn law_8_no_cell_is_archived_on_absence_alone_or_while_its_agent_works() {
    for_each_pass(|before, halves, _| {
        let Some(Half { seen, planned, .. }) = halves.first() else { return };
        if !planned.iter().any(|change| matches!(change, Change::ArchiveCell { .. })) {
            return;
        }
        let record = seen.record.as_ref().unwrap();
        let was_told = match before.issue.state {
            IssueState::Closed => true,
            IssueState::Deleted => before.told_gone >= 1 || record.state != IssueState::Open || is_elsewhere(seen),
            IssueState::Open => is_elsewhere(seen),
        };
        assert!(was_told && !seen.is_held);
        let now = seen.here.now;
        let had_time = record.ended_at.is_some_and(|ended_at| now >= ended_at.plus(seen.here.close_grace));
        assert!(had_time || seen.here.close_grace.is_zero() || !is_beating(seen), "its wizard is at work");
    });
}

/// Whether another root has the first comment of ours, or had it when the comments were read last.
fn is_elsewhere(seen: &Observation) -> bool {
    let is_known = seen.record.as_ref().is_some_and(|record| record.other_owner.is_some());
    let first = seen.our_comments().first().and_then(|comment| comment.marker.as_ref()?.root);
    match seen.comments {
        Comments::Unread => is_known,
        Comments::Read(_) => first.is_some_and(|root| !seen.here.is_this_root(root)),
    }
}

/// Whether a whole cell has a beat that is young by the shortest of all limits.
fn is_beating(seen: &Observation) -> bool {
    let CellObservation::Cell(cell) = &seen.sighting else { return false };
    let Some(beat) = cell.heartbeat.as_ref().filter(|_| cell.is_whole()) else { return false };
    let is_at_work = !["done", "failed"].contains(&beat.heartbeat.state.as_str());
    let age = |at| seen.here.now.after(at).num_seconds();
    let is_young = beat.heartbeat.timestamp.is_some_and(|stamp| (0..60).contains(&age(stamp)));
    is_at_work && is_young && age(beat.written_at) < 60
}

#[test]
fn law_9_nothing_that_needs_approval_is_created_without_it() {
    let count = Cell::new(0);
    for_each_pass(|before, halves, _| {
        let policy = &before.here.approval;
        let is_asked = policy.mode == ApprovalMode::Label && !is_as_filed(before);
        let bound = before.record.as_ref().and_then(|record| record.binding.clone());
        for change in halves.iter().flat_map(|half| &half.planned) {
            let Some((Proposal { name, spec, invisible: _, outside: _ }, approval)) = accepted(change) else {
                continue;
            };
            let is_news = bound.as_ref().is_none_or(|bound| bound.spec != spec || bound.name != name);
            let is_needed = is_asked || (bound.is_none() && spec.cell.is_some());
            if is_news && is_needed {
                let digest = approval_digest(&Proposal { name, spec, invisible: 0, outside: 0 });
                assert_eq!(approval.map(|approval| approval.digest), Some(digest.clone()), "{change}");
                assert!(
                    before.approved.contains(&requested_digest(&digest)),
                    "nobody who may has seen it and approved: {change}"
                );
                count.set(count.get() + 1);
            }
        }
        check_files(before, halves);
    });
    assert!(count.get() > 50, "approvals are drawn: {}", count.get());
}

/// Whether a trusted author has filed what the issue says, for all that anybody can know.
fn is_as_filed(world: &World) -> bool {
    let text = (world.issue.title.clone(), world.issue.body.clone());
    let is_first = world.first_text.as_ref().is_none_or(|first| *first == text);
    let is_bound = world.record.as_ref().is_some_and(|record| record.binding.is_some());
    world.here.approval.authors.contains(&AUTHOR) && is_first && !is_bound
}

/// What a change accepts for a mission, and on which approval.
fn accepted(change: &Change) -> Option<(Proposal, Option<Approval>)> {
    let (Change::CreateCell { manifest: _, worktree: _, record }
    | Change::RestoreCell { manifest: _, name: _, displaced: _, missing: _, record }
    | Change::BindCell { record }
    | Change::WriteRecord { record }) = change
    else {
        return None;
    };
    let Binding { name, spec, invisible, .. } = record.binding.clone()?;
    Some((Proposal { name, spec, invisible, outside: 0 }, record.approval.clone()))
}

/// What a file says of the mission is what was accepted, or approved now.
fn check_files(before: &World, halves: &[Half]) {
    let policy = &before.here.approval;
    let Some(bound) = before.record.as_ref().and_then(|record| record.binding.as_ref()) else { return };
    if policy.mode == ApprovalMode::Open {
        return;
    }
    for change in halves.iter().flat_map(|half| &half.planned) {
        let Change::UpdateFile { mission_id: _, part: Part::Mission, contents } = change else { continue };
        let file: serde_json::Value = serde_json::from_str(contents).unwrap();
        let spec: Spec = serde_json::from_value(file["spec"].clone()).unwrap();
        let name = file["name"].as_str().unwrap().to_owned();
        let is_accepted = bound.spec == spec && bound.name == name;
        let digest = approval_digest(&Proposal { name, spec, invisible: 0, outside: 0 });
        assert!(is_accepted || before.approved.contains(&requested_digest(&digest)), "{change}");
    }
}
