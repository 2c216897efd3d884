//! What is approved is what our comment shows: each text whole, in a fence that nothing in it ends.

use crate::life::scenes::{MAINTAINER, clicked, in_label_mode};
use crate::support::bodies::{Filed, bodies};
use crate::support::fences::{Fence, fences};
use crate::support::missions::{body, edit, labelled, proposal, retitle, settled};
use lazarus::mission::approval::decision::{ApprovalState, approval_state};
use lazarus::mission::approval::policy::approval_digest;
use lazarus::mission::observation::Observation;
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::status::comment::render;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::fence::{LINE_CHARS_MAX, break_mark, extent, fenced};
use lazarus::mission::status::lifecycle::Lifecycle;
use serde_json::Value;

const FORM_BODIES: &str = include_str!("../../fixtures/gitea/form-bodies.json");

/// What no comment of ours may reach: Gitea's own page takes far more.
const COMMENT_BYTES_MAX: usize = 64 * 1024;

fn filed(filed: &Filed) -> Observation {
    let mut observation = in_label_mode(proposal(&[]), &[]);
    edit(&mut observation, &filed.body);
    retitle(&mut observation, &filed.title);
    observation.issue.labels = labelled(&["kind/mission-proposal"]);
    observation
}

fn comment(observation: &Observation) -> String {
    let (status, _) = status(observation, &Lifecycle::of(observation)).unwrap();
    render(&observation.here, &status)
}

/// The title and the objective of the cell that an approval makes.
fn approved(observation: Observation) -> (String, String) {
    let changes = preview(&clicked(settled(observation), MAINTAINER, 5));
    let made = changes.iter().find_map(|change| {
        let Change::CreateCell { manifest, worktree: _, record: _ } = change else { return None };
        Some(manifest.mission_file())
    });
    let file = made.unwrap_or_else(|| panic!("no cell is made: {changes:?}"));
    let text = |key: &str| file[key].as_str().unwrap().to_owned();
    assert_eq!(text("objective"), file["spec"]["objective"].as_str().unwrap());
    (text("name"), text("objective"))
}

fn shown(comment: &str) -> Vec<String> {
    fences(comment).iter().map(Fence::text).collect()
}

#[test]
fn the_cell_gets_exactly_the_bytes_that_the_comment_showed() {
    let bodies = bodies();
    assert!(bodies.len() >= 40, "{}", bodies.len());
    for body in &bodies {
        let observation = filed(body);
        let comment = comment(&observation);
        let (title, objective) = approved(observation);
        assert_eq!(shown(&comment), [title, objective], "{}: {comment}", body.name);
        assert!(comment.len() < COMMENT_BYTES_MAX, "{}: {} bytes", body.name, comment.len());
        for line in fences(&comment).iter().flat_map(|fence| fence.shown.split('\n')) {
            assert!(line.chars().count() <= LINE_CHARS_MAX + 5, "{}: a mark and its number: {line}", body.name);
        }
    }
}

#[test]
fn an_approval_request_shows_every_relevant_answer_in_full() {
    let (git_ref, cell) = ("r".repeat(201), "123e4567-e89b-12d3-a456-426614174000");
    let answers = [
        ("Repository", "wizards/spellbook"),
        ("Ref", git_ref.as_str()),
        ("Stale after", "6 hours"),
        ("Wizard", "merlin"),
        ("Host", "alpha"),
        ("Existing cell", cell),
    ];
    let mut observation = in_label_mode(proposal(&answers), &[]);
    observation.mission_id = observation.proposal().unwrap().spec.cell.unwrap();
    observation.sighting = lazarus::mission::cell::CellObservation::Cell(Box::new(crate::support::cells::whole()));
    let comment = comment(&observation);
    for line in [
        &format!("- Worktree: `wizards/spellbook` at `{git_ref}`, to be checked out"),
        "- Stale after: 6 hours",
        "- Wizard: `merlin`",
        "- Host: `alpha`",
        &format!("- Existing cell: `{cell}`"),
    ] {
        assert!(comment.contains(&format!("{line}\n")), "{line}: {comment}");
    }
}

#[test]
fn a_pending_edit_shows_its_new_text_and_an_approved_mission_none() {
    for body in &bodies() {
        let approved = settled(clicked(settled(in_label_mode(proposal(&[]), &[])), MAINTAINER, 5));
        let mut observation = settled(approved);
        assert_eq!(fences(&comment(&observation)), [], "only while an approval is asked for");
        edit(&mut observation, &body.body);
        retitle(&mut observation, &body.title);
        let wanted = observation.proposal().unwrap().clone();
        let before = observation.binding().unwrap();
        let new = [(&before.name, &wanted.name), (&before.spec.objective, &wanted.spec.objective)];
        let new: Vec<&String> =
            new.iter().filter(|(before, wanted)| before != wanted).map(|(_, wanted)| *wanted).collect();
        assert_eq!(shown(&comment(&observation)).iter().collect::<Vec<_>>(), new, "{}", body.name);
    }
}

#[test]
fn text_outside_the_answers_is_counted_and_reported() {
    let plain = body(&[("Objective", "Raise the dead.")]);
    let reported = |body: &str| {
        let comment = comment(&filed(&Filed { name: String::new(), title: "x".to_owned(), body: body.to_owned() }));
        let line = comment.lines().find(|line| line.starts_with("- **Not part of the request**")).map(str::to_owned);
        line.map(|line| line.split_once("the issue has ").unwrap().1.split_once(" outside").unwrap().0.to_owned())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(reported(&plain), None);
    assert_eq!(reported(&plain.replacen("-->", "-->\n\nHello.\n", 1)), some("6 characters"));
    assert_eq!(reported(&plain.replacen("<!--", "x <!--", 1)), some("38 characters"), "that is no marker then");
    assert_eq!(reported(&format!("{plain}\n-->\n\nHello.\n")), some("9 characters"));
    assert_eq!(reported(&format!("{plain}\n-\n")), some("1 character"));
    let words = body(&[("Objective", "```text and more\nx\n```")]);
    assert_eq!(reported(&words), some("13 characters"));
    // A team's own questions and boxes are no news, and reach no cell either.
    let theirs = plain.replace("### Objective", "### Budget\n\n```text\n7\n```\n\n### Objective") + "- [ ] urgent\n";
    assert_eq!(reported(&theirs), None);
    let cases: Value = serde_json::from_str(FORM_BODIES).unwrap();
    for case in cases["cases"].as_array().unwrap().iter().filter(|case| case["expected"] == "valid") {
        let found = reported(case["body"].as_str().unwrap());
        assert_eq!(found, None, "a form as the page files it: {}", case["name"]);
    }
}

#[test]
fn a_line_over_200_characters_is_broken_by_a_unique_mark() {
    let plain = "é".repeat(200);
    assert_eq!(fenced(&plain), format!("```text\n{plain}\n```"));
    assert_eq!(extent(&plain), "1 line, 200 characters");
    let long = format!("{plain}x");
    assert_eq!(fenced(&long), format!("```text\n{plain}↩\nx\n```"));
    let broken = "1 line, 201 characters; each line over 200 characters is broken at `↩`, which is not part of it";
    assert_eq!(extent(&long), broken);
    // What looks like a mark is none.
    assert_eq!(break_mark(&format!("{long}↩")).unwrap(), "↩1");
    assert_eq!(break_mark(&format!("{long}↩1\n↩2")).unwrap(), "↩3");
    // A tab is as wide as eight characters.
    assert_eq!(break_mark(&"\t".repeat(25)), None);
    assert_eq!(fenced(&"\t".repeat(26)), format!("```text\n{}↩\n\t\n```", "\t".repeat(25)));
    assert_eq!(extent("x\n\ny"), "3 lines, 4 characters");
}

#[test]
fn an_approval_of_an_earlier_version_stays_valid() {
    let mut observation = settled(in_label_mode(proposal(&[]), &[]));
    let digest = approval_digest(observation.proposal().unwrap());
    assert_eq!(digest, "f4d53455387de98de82e4b58fe0f98534df8e1653872ee29d0dcdbc7b76ccfbc");
    let given = settled(clicked(observation.clone(), MAINTAINER, 5)).record.unwrap().approval.unwrap();
    assert_eq!(given.digest, digest, "as earlier versions remember it");
    observation.record.as_mut().unwrap().approval = Some(given.clone());
    let wanted = observation.proposal().unwrap().clone();
    assert_eq!(approval_state(&observation, &wanted), ApprovalState::Approved(given));
}

/// Earlier versions asked without the objective, and remembered the digest alone.
#[test]
fn a_request_of_an_earlier_version_is_shown_before_it_is_approved() {
    let mut observation = settled(in_label_mode(proposal(&[]), &[]));
    let digest = approval_digest(observation.proposal().unwrap());
    let comment = observation.record.as_mut().unwrap().comment.as_mut().unwrap();
    assert_ne!(comment.requested_digest.as_ref(), Some(&digest));
    comment.requested_digest = Some(digest);
    let clicked = clicked(observation, MAINTAINER, 5);
    let reported: Vec<String> = preview(&clicked).iter().map(ToString::to_string).collect();
    assert!(!reported.iter().any(|change| change.contains("cell")), "{reported:?}");
    let wanted = clicked.proposal().unwrap().clone();
    assert!(matches!(approval_state(&clicked, &wanted), ApprovalState::Requested(asking) if asking.denial.is_some()));
}
