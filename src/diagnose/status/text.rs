//! The explanation of a mission as text, one section per field.

use crate::diagnose::status::explain::{Explanation, PublishedStatus, RequestedSpec};
use crate::diagnose::status::on_disk::OnDisk;
use crate::mission::proposal::Spec;
use crate::mission::record::IssueState;
use crate::mission::text::whole_span;
use crate::mission::time::format_length;
use std::fmt::{self, Display};
use std::time::Duration;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.issue.clone().or(self.mission_id.map(|id| id.to_string()));
        writeln!(f, "{}", name.unwrap_or_default())?;
        if let Some(spec) = &self.spec {
            spec.write(f)?;
        }
        section(f, "decided", std::iter::once(&self.decided.state).chain(&self.decided.why))?;
        if let Some(on_disk) = &self.on_disk {
            section(f, "on disk", on_disk.lines())?;
        }
        if let Some(PublishedStatus { labels, comment_id, out_of_date }) = &self.published {
            let labels = if labels.is_empty() { "no labels of this service".to_owned() } else { labels.join(" ") };
            let comment = comment_id.map_or("no status comment".to_owned(), |id| format!("status comment {id}"));
            let outdated = out_of_date.as_ref().map(|why| format!("the comment is out of date: {why}"));
            section(f, "published", [labels, comment].into_iter().chain(outdated))?;
        }
        match &self.next {
            Some(next) if next.is_empty() => section(f, "next", ["nothing until something changes"])?,
            Some(next) => section(f, "next", next)?,
            None => section(f, "next", ["unknown until Gitea answers"])?,
        }
        if !self.history.is_empty() {
            section(f, "history", self.history.iter().map(|line| format!("{} {}", line.at.formatted(), line.what)))?;
        }
        if !self.errors.is_empty() {
            section(f, "errors", &self.errors)?;
        }
        Ok(())
    }
}

/// Writes the title before the first line, and aligns the other lines below it.
fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: impl IntoIterator<Item = impl Display>) -> fmt::Result {
    for (at, line) in lines.into_iter().enumerate() {
        writeln!(f, "  {:10} {line}", if at == 0 { title } else { "" })?;
    }
    Ok(())
}

impl RequestedSpec {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            IssueState::Open => "open",
            IssueState::Closed => "closed",
            IssueState::Deleted => "deleted",
        };
        let mut lines = vec![format!("`{}`, by account {}, {state}", self.title, self.author_id)];
        lines.extend((!self.url.is_empty()).then(|| self.url.clone()));
        lines.extend(self.answers.as_ref().map(answers));
        lines.extend(self.problems.iter().cloned());
        section(f, "spec", lines)
    }
}

fn answers(spec: &Spec) -> String {
    let Spec { repository, git_ref, stale_after_seconds, wizard, host, cell, objective: _ } = spec;
    let mut facts = vec![format!("stale after {}", format_length(Duration::from_secs(*stale_after_seconds)))];
    facts.extend(repository.as_ref().map(|name| format!("repository `{name}`")));
    facts.extend(git_ref.as_ref().map(|name| format!("at {}", whole_span(&name.to_string()))));
    facts.extend(wizard.as_ref().map(|name| format!("wizard `{name}`")));
    facts.extend(host.as_ref().map(|name| format!("host `{name}`")));
    facts.extend(cell.map(|id| format!("existing cell `{id}`")));
    facts.join(", ")
}

impl OnDisk {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.path.clone(), self.seen.clone()];
        match (&self.last_heartbeat_at, &self.agent_state) {
            (Some(at), Some(state)) => {
                let message = self.message.as_ref().map_or(String::new(), |message| format!(": `{message}`"));
                lines.push(format!("last heartbeat {}, `{state}`{message}", at.formatted()));
            }
            _ if self.ever_heartbeat => lines.push("there was a heartbeat, but none can be read now".to_owned()),
            _ => lines.push("no heartbeat yet".to_owned()),
        }
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.archive.as_ref().map(|path| format!("archived at {path}")));
        lines
    }
}
