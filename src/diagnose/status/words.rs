//! One mission's story in words, a chapter a paragraph.

use crate::diagnose::status::story::{OnDisk, PublishedStatus, RequestedSpec, Story};
use crate::mission::proposal::Spec;
use crate::mission::record::IssueState;
use crate::mission::text::whole_span;
use crate::mission::time::format_length;
use std::fmt::{self, Display};
use std::time::Duration;

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.issue.clone().or(self.mission_id.map(|id| id.to_string()));
        writeln!(f, "{}", name.unwrap_or_default())?;
        if let Some(asked) = &self.asked {
            asked.write(f)?;
        }
        chapter(f, "decided", std::iter::once(&self.decided.state).chain(&self.decided.why))?;
        if let Some(on_disk) = &self.on_disk {
            chapter(f, "on disk", on_disk.lines())?;
        }
        if let Some(PublishedStatus { labels, comment_id, out_of_date }) = &self.shown {
            let labels = if labels.is_empty() { "no label of ours".to_owned() } else { labels.join(" ") };
            let comment = comment_id.map_or("no comment of ours".to_owned(), |id| format!("our comment {id}"));
            let outdated = out_of_date.as_ref().map(|why| format!("which is out of date: {why}"));
            chapter(f, "the issue", [labels, comment].into_iter().chain(outdated))?;
        }
        match &self.next {
            Some(next) if next.is_empty() => chapter(f, "next", ["nothing, until something changes"])?,
            Some(next) => chapter(f, "next", next)?,
            None => chapter(f, "next", ["not known before the forge answers"])?,
        }
        if !self.history.is_empty() {
            chapter(f, "before", self.history.iter().map(|line| format!("{} {}", line.at.formatted(), line.what)))?;
        }
        if !self.troubles.is_empty() {
            chapter(f, "not seen", &self.troubles)?;
        }
        Ok(())
    }
}

/// The first line with its title, all others below it.
fn chapter(f: &mut fmt::Formatter<'_>, title: &str, lines: impl IntoIterator<Item = impl Display>) -> fmt::Result {
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
            IssueState::Deleted => "gone",
        };
        let mut lines = vec![format!("`{}`, by account {}, {state}", self.title, self.author_id)];
        lines.extend((!self.url.is_empty()).then(|| self.url.clone()));
        lines.extend(self.spec.as_ref().map(answers));
        lines.extend(self.problems.iter().cloned());
        chapter(f, "asked", lines)
    }
}

fn answers(spec: &Spec) -> String {
    let Spec { repository, git_ref, stale_after_seconds, wizard, host, cell, objective: _ } = spec;
    let mut told = vec![format!("limit {}", format_length(Duration::from_secs(*stale_after_seconds)))];
    told.extend(repository.as_ref().map(|name| format!("repository `{name}`")));
    told.extend(git_ref.as_ref().map(|name| format!("at {}", whole_span(&name.to_string()))));
    told.extend(wizard.as_ref().map(|name| format!("wizard `{name}`")));
    told.extend(host.as_ref().map(|name| format!("host `{name}`")));
    told.extend(cell.map(|id| format!("existing cell `{id}`")));
    told.join(", ")
}

impl OnDisk {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.path.clone(), self.seen.clone()];
        match (&self.beaten_at, &self.state) {
            (Some(at), Some(state)) => {
                let message = self.message.as_ref().map_or(String::new(), |message| format!(": `{message}`"));
                lines.push(format!("last heartbeat {}, `{state}`{message}", at.formatted()));
            }
            _ if self.ever_beat => lines.push("there was a heartbeat, and none can be read now".to_owned()),
            _ => lines.push("no heartbeat yet".to_owned()),
        }
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.archive.as_ref().map(|path| format!("archived at {path}")));
        lines
    }
}
