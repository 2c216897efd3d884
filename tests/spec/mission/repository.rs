//! What the forge's answers about a repository mean, row by row.

use lazarus::mission::identity::RepositoryName;
use lazarus::mission::repository::{
    FoundRepository, Lookup, RepositoryAnswer, RepositoryFacts, RepositoryProblem, assess_answer,
};
use lazarus::mission::root_metadata::RepositoryRef;

const ASKED: &str = "owner/missions";

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

/// A repository that can be served.
fn facts(id: i64, full_name: &str) -> RepositoryFacts {
    let html_url = format!("https://git.example.com/{full_name}");
    let full_name = full_name.to_owned();
    RepositoryFacts { id, full_name, html_url, is_archived: false, has_issues: true, external_tracker: None }
}

fn moved() -> RepositoryAnswer {
    RepositoryAnswer::Moved { location: "/api/v1/repositories/7".to_owned() }
}

/// What an answer comes to, in one line.
fn reported(remembered: Option<i64>, answer: RepositoryAnswer) -> String {
    match assess_answer(&name(ASKED), remembered, answer) {
        Ok(Lookup::Found(FoundRepository { known: RepositoryRef { id, name }, asked_for, web_url: _ })) => {
            let renamed = asked_for.map_or(String::new(), |old| format!(", was {old}"));
            format!("{name} ({id}){renamed}")
        }
        Ok(Lookup::AskById(id)) => format!("ask for {id}"),
        Ok(Lookup::Misnamed(id, error)) => format!("{id} is misnamed: {error}"),
        Err(problem) => format!("{}, ours: {}", problem.kind(), problem.is_still_ours()),
    }
}

#[test]
fn each_answer_about_a_repository_has_one_meaning() {
    let described = RepositoryAnswer::Described;
    let archived = |id| RepositoryFacts { is_archived: true, ..facts(id, ASKED) };
    let silent = |id| RepositoryFacts { has_issues: false, ..facts(id, ASKED) };
    let elsewhere =
        |id| RepositoryFacts { external_tracker: Some("https://tracker.example.com".to_owned()), ..facts(id, ASKED) };
    let both = RepositoryFacts { is_archived: true, ..silent(7) };
    let unreadable = |id| facts(id, "no name");
    for (remembered, answer, expected) in [
        (None, described(facts(7, ASKED)), "owner/missions (7)"),
        (Some(7), described(facts(7, ASKED)), "owner/missions (7)"),
        // Letters' case is no other name; the forge's spelling counts.
        (Some(7), described(facts(7, "Owner/Missions")), "Owner/Missions (7)"),
        (Some(7), described(facts(7, "new/name")), "new/name (7), was owner/missions"),
        (None, described(facts(7, "new/name")), "new/name (7), was owner/missions"),
        (Some(7), moved(), "ask for 7"),
        (None, moved(), "repository-moved, ours: false"),
        (None, RepositoryAnswer::NotFound, "repository-missing, ours: false"),
        (Some(7), RepositoryAnswer::NotFound, "repository-missing, ours: false"),
        (Some(7), described(facts(8, ASKED)), "repository-taken-over, ours: false"),
        (Some(7), described(archived(7)), "repository-archived, ours: true"),
        (None, described(archived(7)), "repository-archived, ours: true"),
        (Some(7), described(silent(7)), "repository-no-issues, ours: true"),
        (Some(7), described(elsewhere(7)), "repository-external-tracker, ours: true"),
        (None, described(elsewhere(7)), "repository-external-tracker, ours: true"),
        (Some(7), described(elsewhere(8)), "repository-taken-over, ours: false"),
        // That another one is in its place comes before how that one is; and all of it before its name.
        (Some(7), described(archived(8)), "repository-taken-over, ours: false"),
        (Some(7), described(silent(8)), "repository-taken-over, ours: false"),
        (Some(7), described(both), "repository-archived, ours: true"),
        (Some(7), described(unreadable(8)), "repository-taken-over, ours: false"),
        (Some(7), described(unreadable(7)), "7 is misnamed: `no name` is not of the form `owner/name`"),
    ] {
        assert_eq!(reported(remembered, answer.clone()), expected, "{remembered:?} {answer:?}");
    }
}

#[test]
fn each_repository_problem_names_the_next_step() {
    let name = || name(ASKED);
    let problems = [
        RepositoryProblem::Missing { name: name() },
        RepositoryProblem::Moved { name: name(), location: "/elsewhere".to_owned() },
        RepositoryProblem::TakenOver { name: name(), remembered: 7, found: 8 },
        RepositoryProblem::Archived { name: name() },
        RepositoryProblem::NoIssues { name: name() },
        RepositoryProblem::ExternalTracker { name: name(), address: "https://tracker.example.com".to_owned() },
    ];
    let reported: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        reported,
        [
            "the repository `owner/missions` does not exist, or the token may not see it; \
             check `repositories` and that the bot is a collaborator",
            "the repository `owner/missions` has moved to `/elsewhere`, and its id is not recorded yet; \
             set its new name in `repositories`",
            "`owner/missions` is another repository now (id 8, the recorded one is 7); \
             nothing is read from it or written to it; set the current name of the recorded repository in `repositories`",
            "the repository `owner/missions` is archived; nothing is written to it, and its cells stay; \
             remove it from `repositories`, or unarchive it",
            "issues are disabled in the repository `owner/missions`; \
             enable them, or remove it from `repositories`",
            "the repository `owner/missions` has its issues in an external tracker, `https://tracker.example.com`; \
             select the built-in issue tracker in its settings, or remove it from `repositories`",
        ]
    );
}
