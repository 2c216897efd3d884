//! The digest of a status does not depend on the current wording of its texts; the rest is in `engine/takeover.rs`.

use crate::life::scenes::not_checked_out;
use crate::support::cells::at;
use crate::support::missions::proposal;
use lazarus::mission::cell::heartbeat_fields::{Notes, Remark};
use lazarus::mission::cell::json_file::Flaw;
use lazarus::mission::cell::worktree::{Worktree, WorktreeSource};
use lazarus::mission::identity::MissionId;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::view::{Status, WorktreeView};
use lazarus::world::WorldError;
use lazarus::world::git::CheckoutError;

/// Why a checkout fails: as it is worded now, and as the comments of earlier versions had it.
fn failed_checkouts() -> [(String, &'static str); 5] {
    let answers = [("Repository", "wizards/spellbook"), ("Ref", "abc1234")];
    let source = WorktreeSource::of(&proposal(&answers).proposal().unwrap().spec).unwrap();
    let mut worktree = Worktree::default();
    worktree.fail(source, CheckoutError::CannotBeHad.to_string(), at(0));
    let unfit = CheckoutError::Unfit { flaw: "`a/b` leads out of the checkout".to_owned() };
    let unreachable = CheckoutError::Unreachable { cause: "timed out".to_owned() };
    let failed = CheckoutError::Failed { tried: "create the worktree", cause: "disk full".to_owned() };
    [
        (
            CheckoutError::CannotBeHad.to_string(),
            "the forge has no such repository or ref for us, or it may not be used here; check both",
        ),
        (
            worktree.failed.unwrap().why,
            "the forge has no such repository or ref for us, or it may not be used here; check both; \
             a commit has to be named in full, by all 40 digits of its id",
        ),
        (
            unfit.to_string(),
            "the repository cannot be checked out safely: `a/b` leads elsewhere; put that right in the repository",
        ),
        (unreachable.to_string(), "git cannot fetch from the forge: timed out; check that it runs, and `forge.url`"),
        (failed.to_string(), "cannot make the worktree: disk full"),
    ]
}

/// A status with these texts.
fn digest(change: impl FnOnce(&mut Status)) -> String {
    let seen = not_checked_out("why");
    let mut status = status(&seen, &Lifecycle::of(&seen)).unwrap().0;
    change(&mut status);
    status.digest()
}

#[test]
fn a_reworded_reason_of_a_failed_checkout_keeps_the_digest() {
    let failed = |why: &str| {
        digest(|status| match &mut status.view.worktree {
            Some(WorktreeView::Failed(_, reason)) => why.clone_into(reason),
            other => panic!("{other:?}"),
        })
    };
    for (now, former) in failed_checkouts() {
        assert_ne!(now, former);
        assert_eq!(failed(&now), failed(former), "{now}");
    }
    assert_ne!(failed("disk full"), failed("out of memory"), "another reason is a change");
}

#[test]
fn a_reworded_note_flaw_or_obstacle_keeps_the_digest() {
    let flaw = |text: &str| digest(|status| status.view.flaw = Some(text.to_owned()));
    let former = "its own mode, access list or lease keeps this service from reading it; let the account of the agent replace it";
    assert_eq!(flaw(&Flaw::Refused.to_string()), flaw(former));

    let notes = |notes: Vec<String>| digest(|status| status.view.notes = notes);
    let cut = Notes { message: Some(Remark::Cut), ..Notes::default() }.lines();
    assert_eq!(notes(cut), notes(vec!["the heartbeat's `message` has more than 200 characters and is cut".to_owned()]));

    let obstructed = |text: &str| digest(|status| status.view.obstructed = Some(text.to_owned()));
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let in_use = WorldError::WorktreeInUse { mission_id: MissionId::parse(id).unwrap() };
    let former = format!("`worktree/` of the cell `{id}` is no empty directory, and what is there stays");
    assert_eq!(obstructed(&in_use.to_string()), obstructed(&former));
}
