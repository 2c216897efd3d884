//! The form is the schema, and every body that Gitea renders from it reads as it was answered.

use lazarus::mission::identity::{RepositoryName, RepositoryPattern};
use lazarus::mission::proposal::form::{FORM, FieldKind, Form};
use lazarus::mission::proposal::problem::Problem;
use lazarus::mission::proposal::{BODY_BYTES_MAX, Intake, OBJECTIVE_BYTES_MAX, Proposal, TITLE_CHARS_MAX, parse};
use serde_json::Value;

const BODIES: &str = include_str!("../../fixtures/gitea/form-bodies.json");

fn read(title: &str, body: &str) -> Result<Proposal, Vec<Problem>> {
    let repository = RepositoryName::parse("owner/missions").unwrap();
    let worktrees = [RepositoryPattern::parse("wizards/*").unwrap()];
    parse(Form::embedded(), title, body, Intake { repository: &repository, worktrees: &worktrees })
}

/// A body as the form renders it, with one answer replaced.
fn body(label: &str, answer: &str) -> String {
    let cases: Value = serde_json::from_str(BODIES).unwrap();
    let minimal = cases["cases"][0]["body"].as_str().unwrap().to_owned();
    let heading = format!("### {label}\n\n");
    let (before, after) = minimal.split_once(&heading).unwrap();
    let rest = after.split_once("\n### ").map_or(String::new(), |(_, rest)| format!("\n### {rest}"));
    format!("{before}{heading}{answer}\n{rest}")
}

fn problems(title: &str, body: &str) -> Vec<String> {
    let problems = read(title, body).unwrap_err();
    problems
        .iter()
        .map(|Problem { field, answer, wrong, right }| {
            let answer = answer.as_ref().map(|answer| format!("«{answer}» ")).unwrap_or_default();
            format!("{field}: {answer}{wrong}. {right}")
        })
        .collect()
}

#[test]
fn the_shipped_form_has_the_fields_of_the_contract() {
    let form = Form::parse(FORM).unwrap();
    assert_eq!(form.marker, "<!-- lazarus:mission-proposal v1 -->");
    let fields: Vec<_> = form.fields.iter().map(|f| (f.id.as_str(), f.label.as_str(), f.required)).collect();
    assert_eq!(
        fields,
        [
            ("repository", "Repository", false),
            ("ref", "Ref", false),
            ("stale-after", "Stale after", true),
            ("wizard", "Wizard", false),
            ("host", "Host", false),
            ("cell", "Existing cell", false),
            ("objective", "Objective", true),
            ("acknowledgements", "Before you file", true),
        ]
    );
    let options = ["1 minute", "5 minutes", "15 minutes", "1 hour", "6 hours", "1 day"].map(str::to_owned);
    assert_eq!(form.field("stale-after").unwrap().kind, FieldKind::Choice(options.to_vec()));
    assert_eq!(form.field("objective").unwrap().kind, FieldKind::FencedText);
}

#[test]
fn an_unusable_form_is_refused_with_its_field() {
    let raw = FORM.replace("      render: text\n", "");
    assert_eq!(
        Form::parse(&raw).unwrap_err().to_string(),
        "the form's field `objective` needs `render`, or its text could forge other fields"
    );
    let unmarked = FORM.replace("    visible: [content]\n", "");
    assert!(Form::parse(&unmarked).unwrap_err().to_string().starts_with("the form has no `markdown` field"));
}

#[test]
fn every_body_that_a_real_gitea_rendered_reads_as_recorded() {
    let cases: Value = serde_json::from_str(BODIES).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 29);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let (name, expected) = (text("name"), text("expected"));
        let read = read(text("title"), text("body"));
        match expected.strip_prefix("invalid: ") {
            None => check_valid(name, expected, &case["answers"], &read.unwrap_or_else(|p| panic!("{name}: {p:?}"))),
            Some(field) => check_invalid(name, field, &read.unwrap_err()),
        }
    }
}

fn check_valid(name: &str, expected: &str, answers: &Value, proposal: &Proposal) {
    let spec = &proposal.spec;
    let answer = |id: &str| answers[id].as_str().map(|a| a.trim().replace("\r\n", "\n")).filter(|a| !a.is_empty());
    assert_eq!(spec.repository.as_ref().map(ToString::to_string), answer("repository"), "{name}");
    assert_eq!(spec.git_ref.as_ref().map(ToString::to_string), answer("ref"), "{name}");
    assert_eq!(spec.wizard.as_ref().map(ToString::to_string), answer("wizard"), "{name}");
    assert_eq!(spec.host.as_ref().map(ToString::to_string), answer("host"), "{name}");
    assert_eq!(spec.cell.as_ref().map(ToString::to_string), answer("cell").map(|a| a.to_lowercase()), "{name}");
    let options = [60, 300, 900, 3_600, 21_600, 86_400];
    let option: usize = answer("stale-after").unwrap().parse().unwrap();
    assert_eq!(spec.stale_after_seconds, options[option], "{name}");
    if expected.contains("invisible") {
        assert_eq!((spec.objective.as_str(), proposal.invisible), ("do this gnp.exe ", 5), "{name}");
    } else {
        assert_eq!((Some(spec.objective.clone()), proposal.invisible), (answer("objective"), 0), "{name}");
    }
}

fn check_invalid(name: &str, expected: &str, problems: &[Problem]) {
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let label = match expected {
        "the heading `Ref` appears twice" => {
            assert_eq!(problems[0].wrong, expected, "{name}");
            "Ref"
        }
        "objective (longer than 16 KiB)" => "Objective",
        id => Form::embedded().field(id).unwrap().label.as_str(),
    };
    assert_eq!(fields[0], label, "{name}: {problems:?}");
}

#[test]
fn all_problems_are_listed_together_each_with_a_correction() {
    let body = "<!-- lazarus:mission-proposal v1 -->\n\n### Repository\n\nnot a repo\n\n### Stale after\n\n2 minutes\n\n### Before you file\n\n- [ ] x\n";
    assert_eq!(
        problems("Mission: ", body),
        [
            "Title: it is empty. Example: `Mission: raise the dead`",
            "Repository: «not a repo» is not of the form `owner/name`. Example: `wizards/spellbook`",
            "Stale after: «2 minutes» is not an option. Use `1 minute`, `5 minutes`, `15 minutes`, `1 hour`, `6 hours` or `1 day`",
            "Objective: it is empty. Say in a few sentences what shall be achieved",
            "Before you file: the box is not ticked. Tick “This text holds no secrets: whoever can read this repository can read it”",
        ]
    );
}

#[test]
fn a_repository_that_the_operator_did_not_allow_is_refused() {
    assert_eq!(
        problems("Mission: x", &body("Repository", "evil/repo")),
        [
            "Repository: «evil/repo» is not allowed for worktrees here. Use `owner/missions` or `wizards/*`, or ask the operator to allow it",
        ]
    );
    let own = read("Mission: x", &body("Repository", "Owner/Missions")).unwrap();
    assert_eq!(own.spec.repository.unwrap().to_string(), "Owner/Missions");
}

#[test]
fn a_team_may_add_fields_and_leave_optional_ones_out() {
    let with_more = body("Wizard", "merlin\n\n### Budget\n\n```text\n### Host\n\nevil\n```");
    let proposal = read("Mission: x", &with_more).unwrap();
    assert_eq!(proposal.spec.wizard.unwrap().to_string(), "merlin");
    assert_eq!(proposal.spec.host, None);
    let shortest = "### Stale after\n1 hour\n### Objective\njust do it\n### Before you file\n- [X] This text holds no secrets: whoever can read this repository can read it";
    let proposal = read("no prefix", shortest).unwrap();
    assert_eq!((proposal.name.as_str(), proposal.spec.objective.as_str()), ("no prefix", "just do it"));
}

#[test]
fn a_body_broken_by_hand_is_reported_and_not_guessed() {
    let unclosed = body("Objective", "```text\nno end");
    assert!(problems("Mission: x", &unclosed)[0].starts_with("Objective: its block of text is never closed."));
    let outside = body("Objective", "```text\ninside\n```\noutside");
    assert!(problems("Mission: x", &outside)[0].starts_with("Objective: there is text outside its block"));
    let moved = body("Objective", "```text\nx\n```\n\n### Ref\n\nmain");
    assert!(
        problems("Mission: x", &moved)
            .contains(&"Ref: the heading `Ref` appears twice. Keep the one with your answer".to_owned())
    );
}

#[test]
fn each_text_has_a_maximum_length() {
    let objective =
        |length: usize| read("Mission: x", &body("Objective", &format!("```text\n{}\n```", "x".repeat(length))));
    assert_eq!(objective(OBJECTIVE_BYTES_MAX).unwrap().spec.objective.len(), OBJECTIVE_BYTES_MAX);
    assert_eq!(objective(OBJECTIVE_BYTES_MAX + 1).unwrap_err()[0].wrong, "it is longer than 16 KiB (16385 bytes)");
    let title =
        |length: usize| read(&format!("Mission: {}", "é".repeat(length - "Mission: ".len())), &body("Wizard", "x"));
    assert!(title(TITLE_CHARS_MAX).is_ok());
    assert_eq!(title(TITLE_CHARS_MAX + 1).unwrap_err()[0].wrong, "it is longer than 255 characters");
    let whole = body("Wizard", "x");
    let filled = |length: usize| read("Mission: x", &format!("{}{whole}", " ".repeat(length - whole.len())));
    assert!(filled(BODY_BYTES_MAX).is_ok());
    assert!(filled(BODY_BYTES_MAX + 1).is_err());
}

/// Three are a fence, in a body that somebody wrote by hand; two are text.
#[test]
fn a_fence_has_three_ticks_or_more() {
    let objective = |ticks: &str| read("Mission: x", &body("Objective", &format!("{ticks}\n### Ref\n{ticks}")));
    for ticks in ["```", "````"] {
        assert_eq!(objective(ticks).unwrap().spec.objective, "### Ref");
    }
    assert!(objective("``").is_err(), "a heading counts there");
}

#[test]
fn a_body_of_one_mebibyte_of_fences_and_headings_is_read_in_linear_time() {
    let hostile = "### Objective\n```text\n````\n### Ref\n".repeat(30_000);
    assert!(read("Mission: x", &hostile).is_err());
    let repeated = "### Wizard\nx\n### Ref\ny\n".repeat(BODY_BYTES_MAX / 32);
    let reported = problems("Mission: x", &repeated);
    assert_eq!(reported.iter().filter(|problem| problem.contains("appears twice")).count(), 2, "{reported:?}");
    assert_eq!(
        problems("Mission: x", &hostile),
        ["The whole text: is longer than 128 KiB, and was not read. Put the details into a file of the repository"]
    );
}
