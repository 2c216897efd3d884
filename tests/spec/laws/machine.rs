//! The laws of the machine that takes a turn: when it asks again, and what it makes of an answer that is another one by then.

use crate::laws::people::OTHER;
use crate::laws::world::{Half, Meanwhile, World};
use crate::laws::{WORLDS, for_each_pass, for_each_world};
use crate::support::missions::{comment, make};
use lazarus::mission::observation::{CommentFacts, Comments};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::missing_facts::MissingFacts;
use lazarus::mission::plan::step::{Candidate, Simulation, Turn, preview, simulate};
use lazarus::mission::record::IssueState;
use lazarus::mission::status::lifecycle::Lifecycle;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

impl World {
    /// Answers what a turn asks for once it has begun, unless something happens meanwhile.
    pub(super) fn tell_again(&mut self, missing: &MissingFacts, candidate: &mut Candidate) {
        match self.meanwhile.take() {
            Some(Meanwhile::NoAnswer) => return candidate.turn.unanswered(),
            Some(Meanwhile::AnotherTakesIt) => self.another_takes_it(missing.record),
            None => {}
        }
        self.answer(missing, &mut candidate.seen);
        candidate.turn.answered();
    }

    /// Makes changes; those that were made, and whether a comment was found deleted.
    pub(super) fn carry_out(
        &mut self,
        planned: &[Change],
        fails: &impl Fn(&Change) -> bool,
        turn: &mut Turn,
    ) -> (Vec<Change>, bool) {
        let (mut made, mut has_lost) = (Vec::new(), false);
        for change in planned {
            if fails(change) {
                self.doubt(change);
                continue;
            }
            let edited = if let Change::EditComment { id, .. } = change { Some(*id) } else { None };
            if edited.is_some_and(|id| !self.comments.iter().any(|comment| comment.id == id)) {
                turn.found_comment_deleted();
                has_lost = true;
            } else if self.make(change) {
                turn.made(change.clone());
                made.push(change.clone());
            }
        }
        (made, has_lost)
    }

    /// A repair that failed leaves our comment to be read again.
    fn doubt(&mut self, change: &Change) {
        let Change::EditComment { status, .. } = change else { return };
        let comment = self.record.as_mut().and_then(|record| record.comment.as_mut());
        if let Some(comment) = comment.filter(|comment| comment.digest == status.digest()) {
            comment.is_confirmed = false;
        }
    }

    /// Another root has edited the comment that this one was about to edit, or posted one before this one did.
    fn another_takes_it(&mut self, is_posted: bool) {
        let (me, first) = (self.here.me, self.comments.iter().map(|comment| comment.id).min().unwrap_or(self.next_id));
        if is_posted {
            self.comments.insert(0, comment(first - 1, me, OTHER));
        } else {
            let is_ours = |ours: &&mut CommentFacts| ours.marker.is_some() || self.left.contains_key(&ours.id);
            for ours in self.comments.iter_mut().filter(is_ours) {
                let CommentFacts { marker, body_sha256, .. } = comment(ours.id, ours.poster, OTHER);
                (ours.marker, ours.body_sha256) = (marker, body_sha256);
            }
        }
    }
}

/// The comments alone, as right before a claim.
fn comments() -> MissingFacts {
    MissingFacts { comments: true, ..MissingFacts::default() }
}

/// The comments and the record, as after a post.
fn comments_and_record() -> MissingFacts {
    MissingFacts { record: true, ..comments() }
}

fn has_claim(changes: &[Change]) -> bool {
    changes.iter().any(Change::is_claim)
}

fn is_post(change: &Change) -> bool {
    matches!(change, Change::PostComment { .. })
}

/// The worlds in which a pass does this, each as it was before.
fn worlds_in_which(does: impl Fn(&[Half]) -> bool) -> Vec<World> {
    let worlds = WORLDS.iter().map(|(_, world)| world);
    worlds.filter(|world| does(&(*world).clone().pass())).cloned().collect()
}

#[test]
fn a_claim_is_written_only_right_after_a_second_read_of_the_comments() {
    let count = Cell::new(0);
    for_each_pass(|_, halves, _| {
        for half in halves.iter().filter(|half| has_claim(&half.planned)) {
            assert_eq!(half.asked, [comments()], "{:?}", half.planned);
            count.set(count.get() + 1);
        }
    });
    assert!(count.get() > 20, "claims are drawn: {}", count.get());
}

#[test]
fn a_mission_that_another_root_took_meanwhile_is_not_claimed() {
    for mut world in worlds_in_which(|halves| halves.iter().any(|half| has_claim(&half.planned))) {
        world.meanwhile = Some(Meanwhile::AnotherTakesIt);
        let halves = world.pass();
        assert!(!halves.iter().any(|half| has_claim(&half.planned)), "another root has it");
        assert!(matches!(Lifecycle::of(&world.observed()), Lifecycle::OwnedByOtherRoot(..)));
    }
}

/// All else is done, and a later pass claims it.
#[test]
fn if_comments_cannot_be_read_only_the_claim_waits() {
    let count = Cell::new(0);
    for before in worlds_in_which(|halves| halves.iter().any(|half| has_claim(&half.planned))) {
        let (mut world, mut undisturbed) = (before.clone(), before);
        world.meanwhile = Some(Meanwhile::NoAnswer);
        let made = |halves: Vec<Half>| -> Vec<String> {
            let made = halves.into_iter().flat_map(|half| half.made);
            let is_for_the_claim =
                |change: &Change| change.is_claim() || matches!(change, Change::RecordComment { .. });
            made.filter(|change| !is_for_the_claim(change)).map(|change| change.to_string()).collect()
        };
        let halves = world.pass();
        assert!(!halves.iter().any(|half| has_claim(&half.planned)), "nobody knows whose it is");
        assert_eq!(made(halves), made(undisturbed.pass()));
        let again = world.pass();
        assert!(again.iter().any(|half| has_claim(&half.made)), "it waited");
        count.set(count.get() + 1);
    }
    assert!(count.get() > 5, "claims are drawn: {}", count.get());
}

/// A second time only where the first one led to another post, and never more than that.
#[test]
fn comments_are_read_again_after_a_post_or_a_lost_comment_and_only_then() {
    let count = [Cell::new(0), Cell::new(0)];
    for_each_pass(|_, halves, _| {
        let mut reads = 0;
        for pair in halves.windows(2) {
            let is_unsure = pair[0].has_lost || pair[0].made.iter().any(is_post);
            let asked = pair[1].asked.iter().filter(|asked| asked.record).count();
            assert_eq!(asked, usize::from(is_unsure), "{:?}", pair[0].planned);
            reads += asked;
        }
        assert!(reads <= 2, "read {reads} times");
        if let Some(count) = reads.checked_sub(1).and_then(|at| count.get(at)) {
            count.set(count.get() + 1);
        }
    });
    assert!(count[0].get() > 20 && count[1].get() > 0, "once and twice: {count:?}");
}

/// Labels were written by then, as far as they could be, and a repair is told once.
#[test]
fn a_second_reading_changes_only_comments_and_records() {
    for_each_pass(|_, halves, _| {
        for half in halves.iter().filter(|half| half.asked.contains(&comments_and_record())) {
            assert!(!half.planned.iter().any(Change::is_about_labels), "{:?}", half.planned);
            assert_eq!(half.seen.repaired, [], "it was told before");
        }
    });
}

#[test]
fn the_second_poster_deletes_its_comment_in_the_same_turn() {
    let count = Cell::new(0);
    let is_early = |halves: &[Half]| {
        let early = halves.iter().take_while(|half| half.asked.is_empty());
        early.flat_map(|half| &half.made).any(is_post)
    };
    for mut world in worlds_in_which(is_early) {
        world.meanwhile = Some(Meanwhile::AnotherTakesIt);
        let halves = world.pass();
        assert!(halves.iter().any(|half| half.asked.contains(&comments_and_record())));
        let ours = world.comments.iter().filter(|comment| world.here.is_ours(comment.poster));
        let mut roots = ours.filter_map(|comment| comment.marker.as_ref()?.root);
        assert!(!roots.any(|root| world.here.is_this_root(root)), "no comment of ours names this root any more");
        assert!(world.record.is_some_and(|record| record.other_owner.is_some()));
        count.set(count.get() + 1);
    }
    assert!(count.get() > 20, "posts are drawn: {}", count.get());
}

/// Whatever is decided is decided once for the facts at hand: a body is parsed when an observation begins, and a lifecycle is
/// found again only when facts have been fetched or seen since.
#[test]
fn a_turn_parses_a_body_once_and_derives_a_lifecycle_once_per_facts() {
    let is_quiet = RefCell::new([0, 0]);
    for_each_world(|_, mut world| {
        for _ in 0..2 {
            world.here.effort = Arc::default();
            let (halves, facts) = world.counted_pass();
            let (parsed, found) = (world.here.effort.bodies_parsed(), world.here.effort.lifecycles_found());
            if world.record.is_some() {
                assert_eq!((parsed, found), (1, 1 + facts), "{facts} times facts were fetched or seen again");
            }
            is_quiet.borrow_mut()[usize::from(halves.len() == 1 && facts == 0)] += 1;
        }
    });
    let [busy, quiet] = is_quiet.into_inner();
    assert!(busy > 500 && quiet > 500, "{busy} busy, {quiet} quiet");
}

/// A preview is whole: in the world that it leads to there is nothing left to preview.
#[test]
fn the_state_after_a_preview_needs_no_further_change() {
    let count = Cell::new(0);
    for_each_world(|_, world| {
        let seen = world.observed();
        let is_seen = world.record.is_some() || world.issue.state != IssueState::Deleted;
        let Simulation { changes, mut after, lifecycle, .. } = simulate(&seen);
        // Those need a second pass, as they do in the world.
        let is_first = |change: &Change| change.is_claim() || matches!(change, Change::RestoreCell { .. });
        if !is_seen || seen.is_held || lifecycle == Lifecycle::Missing || changes.iter().any(is_first) {
            return;
        }
        changes.iter().filter(|change| change.is_about_labels()).for_each(|change| make(&mut after, change));
        after.repaired.clear();
        if let Comments::Read(comments) = &after.comments {
            after.issue.comments = i64::try_from(comments.len()).unwrap();
        }
        assert_eq!(preview(&after), [], "after {changes:?}");
        count.set(count.get() + usize::from(!changes.is_empty()));
    });
    assert!(count.get() > 500, "{} previews of something", count.get());
}
