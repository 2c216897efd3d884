//! Builds webhook payloads for changes to comments.

use crate::sandbox::hooks::{Delivery, EVENT, HookEvent};
use crate::sandbox::issue::{SandboxIssue, SandboxTimelineEntry};
use crate::sandbox::state::{Right, SandboxState};
use serde_json::json;

impl SandboxState {
    /// Queues a delivery to each webhook that subscribes to comments; comments of pull requests are another event
    /// (go-gitea/gitea `services/webhook/notifier.go`).
    pub(super) fn deliver(
        &mut self,
        (at, sender, right): (usize, i64, Right),
        number: i64,
        (entry, what): (SandboxTimelineEntry, HookEvent),
    ) {
        let repository = &self.repositories[at];
        let is_it = |issue: &&SandboxIssue| issue.number == number && !issue.is_pull;
        let Some(issue) = repository.issues.iter().find(is_it) else { return };
        let mut payload = json!({
            "action": what.action(), "issue": self.issue_json(repository, issue),
            "comment": self.comment_json(repository, issue, &entry),
            "repository": self.repository_json(repository, right),
            "sender": self.user_json(&self.accounts.get(sender)), "is_pull": false,
        });
        if let HookEvent::Edited(before) = what {
            payload["changes"] = json!({ "body": { "from": before }, "added_labels": null, "removed_labels": null });
        }
        let body = serde_json::to_string_pretty(&payload).unwrap_or_default();
        let is_subscribed = |event: &String| event == EVENT;
        let hooks = repository.hooks.iter().filter(|hook| hook.is_active && hook.events.iter().any(is_subscribed));
        let deliveries: Vec<Delivery> = hooks
            .filter_map(|hook| {
                let secret = hook.config.get("secret").cloned().unwrap_or_default();
                Some(Delivery { url: hook.config.get("url")?.clone(), secret, body: body.clone() })
            })
            .collect();
        self.deliveries.extend(deliveries);
    }
}
