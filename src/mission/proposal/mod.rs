//! Validates an issue as a proposal: the result is a [`Proposal`], or the complete list of [`Problem`]s.

pub mod form;
pub mod form_body;
pub mod formless;
pub mod problem;

use crate::mission::identity::{GitRef, HostName, MissionId, RepositoryName, RepositoryPattern, WizardName};
use crate::mission::proposal::form::{FieldKind, Form, FormField};
use crate::mission::proposal::form_body::FormAnswers;
use crate::mission::proposal::problem::Problem;
use crate::mission::text;
use crate::mission::time::parse_length;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest objective, in bytes.
pub const OBJECTIVE_BYTES_MAX: usize = 16 * 1024;

/// The longest body that is parsed, in bytes: several times the longest objective and all other answers.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// The longest title, in characters, as Gitea's page allows.
pub const TITLE_CHARS_MAX: usize = 255;

/// The desired state of a mission. Its JSON has the keys of `spec` in `meta/mission.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The repository to check out; none for an empty worktree.
    pub repository: Option<RepositoryName>,
    /// Branch, tag or commit; none for the default branch.
    #[serde(rename = "ref")]
    pub git_ref: Option<GitRef>,
    /// The age, in seconds, at which the last heartbeat counts as stale.
    pub stale_after_seconds: u64,
    /// The agent (*wizard*) that works in the cell.
    pub wizard: Option<WizardName>,
    /// The host of the cell; none for any host.
    pub host: Option<HostName>,
    /// An existing cell to adopt.
    pub cell: Option<MissionId>,
    /// What the mission is to achieve.
    pub objective: String,
}

impl Spec {
    /// The age at which the last heartbeat counts as stale.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        Duration::from_secs(self.stale_after_seconds)
    }

    /// SHA-256 of the canonical JSON (keys sorted, no blanks), in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self)
    }
}

/// SHA-256 of a value's canonical JSON, in hexadecimal.
pub(crate) fn digest<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_value(value).expect("plain data is always JSON");
    text::sha256(&json.to_string())
}

/// A valid proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The title without the form's prefix.
    pub name: String,
    /// The requested spec.
    pub spec: Spec,
    /// The number of invisible characters removed from title and objective.
    pub invisible: usize,
    /// The number of characters in the body outside the answers; they are ignored.
    pub outside: usize,
}

/// The repository of a proposal, and the repositories that the operator allows for worktrees.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    /// The issue's own repository, which is always allowed.
    pub repository: &'a RepositoryName,
    /// `worktrees.repositories`.
    pub worktrees: &'a [RepositoryPattern],
}

/// An issue's title without the form's prefix, for missions without an accepted one: one line, shortened; none if
/// nothing in it is visible.
#[must_use]
pub fn title(title: &str) -> Option<String> {
    let (visible, _) = text::without_invisible(title);
    let line = without_prefix(&visible, Form::embedded().title_prefix.trim());
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| text::cut(line, TITLE_CHARS_MAX).0)
}

fn without_prefix(title: &str, prefix: &str) -> String {
    title.trim().strip_prefix(prefix).unwrap_or(title.trim()).trim().to_owned()
}

/// Parses an issue as a proposal. Gitea validates nothing (go-gitea/gitea `routers/web/repo/issue_new.go`),
/// so everything is validated here.
pub fn parse(form: &Form, title: &str, body: &str, intake: Intake<'_>) -> Result<Proposal, Vec<Problem>> {
    if body.len() > BODY_BYTES_MAX {
        return Err(vec![Problem::too_long(BODY_BYTES_MAX)]);
    }
    let answers = FormAnswers::read(form, body);
    let mut check = Check { form, answers: &answers, problems: answers.problems.clone() };
    let (name, invisible_in_name) = check.title(title);
    let repository = check.repository(intake);
    let git_ref = check.git_ref(repository.is_some());
    let stale_after = check.stale_after();
    let wizard = check.one_of("wizard", "merlin", WizardName::parse);
    let host = check.one_of("host", "alpha", HostName::parse);
    let cell = check.one_of("cell", "123e4567-e89b-12d3-a456-426614174000", MissionId::parse);
    let (objective, invisible) = check.objective();
    check.acknowledgements();
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    let stale_after_seconds = stale_after.as_secs();
    let spec = Spec { repository, git_ref, stale_after_seconds, wizard, host, cell, objective };
    Ok(Proposal { name, spec, invisible: invisible + invisible_in_name, outside: answers.outside })
}

/// One validation run: each method reads one field and adds its problems.
struct Check<'a> {
    form: &'a Form,
    answers: &'a FormAnswers,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn field(&self, id: &str) -> &'a FormField {
        self.form.field(id).expect("the form always has the fields of the contract: tests/spec/mission/form.rs")
    }

    fn wrong(&mut self, id: &str, answer: Option<&str>, wrong: &str, right: &str) {
        let field = self.field(id).label.clone();
        // A field with a problem of its heading gets no second one for its missing answer.
        if answer.is_none() && self.problems.iter().any(|known| known.field == field) {
            return;
        }
        let answer = answer.map(str::to_owned);
        self.problems.push(Problem { field, answer, wrong: wrong.to_owned(), right: right.to_owned() });
    }

    fn title(&mut self, title: &str) -> (String, usize) {
        let (visible, invisible) = text::without_invisible(title);
        let prefix = self.form.title_prefix.trim();
        let name = without_prefix(&visible, prefix);
        let wrong = if name.is_empty() {
            "it is empty".to_owned()
        } else if visible.chars().count() > TITLE_CHARS_MAX {
            format!("it is longer than {TITLE_CHARS_MAX} characters")
        } else {
            return (name, invisible);
        };
        let right = format!("Example: `{prefix} raise the dead`");
        self.problems.push(Problem { field: "Title".to_owned(), answer: None, wrong, right });
        (name, invisible)
    }

    fn one_of<T, E>(&mut self, id: &str, example: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T>
    where
        E: Into<crate::mission::identity::NotA>,
    {
        let answer = self.answers.get(id)?;
        match parse(answer).map_err(Into::into) {
            Ok(value) => Some(value),
            Err(not) => {
                self.wrong(id, Some(answer), &format!("is not {}", not.wanted), &format!("Example: `{example}`"));
                None
            }
        }
    }

    fn repository(&mut self, intake: Intake<'_>) -> Option<RepositoryName> {
        let named = self.one_of("repository", "wizards/spellbook", RepositoryName::parse)?;
        let own = intake.repository;
        if named.is_same(own) || intake.worktrees.iter().any(|pattern| pattern.allows(&named)) {
            return Some(named);
        }
        let allowed = std::iter::once(own.to_string()).chain(intake.worktrees.iter().map(ToString::to_string));
        let right = format!("Use {}, or ask the operator to allow it", either(allowed));
        self.wrong("repository", Some(&named.to_string()), "is not allowed for worktrees here", &right);
        // The name is well formed, so a ref beside it must not be reported as lacking a repository.
        Some(named)
    }

    fn git_ref(&mut self, has_repository: bool) -> Option<GitRef> {
        let git_ref = self.one_of("ref", "main", GitRef::parse)?;
        if !has_repository && self.answers.get("repository").is_none() {
            let right = "Name the repository, or leave this empty";
            self.wrong("ref", Some(&git_ref.to_string()), "needs a repository that it is a ref of", right);
        }
        Some(git_ref)
    }

    fn stale_after(&mut self) -> Duration {
        let field = self.field("stale-after");
        let FieldKind::Choice(options) = &field.kind else { return Duration::ZERO };
        let right = format!("Use {}", either(options.iter().cloned()));
        let answer = self.answers.get("stale-after");
        let chosen = answer.filter(|answer| options.iter().any(|option| option == answer));
        match (chosen.and_then(parse_length), answer) {
            (Some(length), _) => return length,
            (None, Some(answer)) => self.wrong("stale-after", Some(answer), "is not an option", &right),
            (None, None) => self.wrong("stale-after", None, "nothing was chosen", &right),
        }
        Duration::ZERO
    }

    fn objective(&mut self) -> (String, usize) {
        let (objective, invisible) = text::without_invisible(self.answers.get("objective").unwrap_or(""));
        let right = "Say in a few sentences what shall be achieved";
        if objective.trim().is_empty() {
            self.wrong("objective", None, "it is empty", right);
        } else if objective.len() > OBJECTIVE_BYTES_MAX {
            let wrong = format!("it is longer than 16 KiB ({} bytes)", objective.len());
            self.wrong("objective", None, &wrong, "Put the details into a file of the repository");
        }
        (objective, invisible)
    }

    fn acknowledgements(&mut self) {
        let FieldKind::Ticks(labels) = &self.field("acknowledgements").kind else { return };
        let ticked = self.answers.get("acknowledgements").unwrap_or("");
        for label in labels {
            let is_ticked = ticked.lines().any(|line| {
                let line = line.trim();
                let text = line.strip_prefix("- [x] ").or_else(|| line.strip_prefix("- [X] "));
                text.is_some_and(|text| text.trim() == label)
            });
            if !is_ticked {
                let right = format!("Tick “{label}”");
                self.wrong("acknowledgements", None, "the box is not ticked", &right);
            }
        }
    }
}

/// `a`, `b` or `c`, each as code.
fn either(choices: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = choices.map(|choice| format!("`{choice}`")).collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
