//! Serializes the forge's data as JSON, key by key as a real Gitea does.

use crate::sandbox::accounts::SandboxUser;
use crate::sandbox::issue::{SandboxIssue, SandboxLabel, SandboxTimelineEntry};
use crate::sandbox::state::{Right, SandboxRepository, SandboxState};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

const NEVER: &str = "0001-01-01T00:00:00Z";

impl SandboxState {
    pub(super) fn user_json(&self, user: &SandboxUser) -> Value {
        let SandboxUser { id, login, is_admin: _, is_prohibited, must_change_password: _, is_private } = user;
        let visibility = if *is_private { "private" } else { "public" };
        let url = &self.url;
        json!({
            "id": id, "login": login, "login_name": "", "source_id": 0, "full_name": "",
            "email": format!("{login}@noreply.localhost"), "avatar_url": format!("{url}/avatars/{id}"),
            "html_url": format!("{url}/{login}"), "language": "", "is_admin": false, "last_login": NEVER,
            "created": NEVER, "restricted": false, "active": true, "prohibit_login": is_prohibited, "location": "",
            "website": "", "description": "", "visibility": visibility, "followers_count": 0, "following_count": 0,
            "starred_repos_count": 0, "username": login,
        })
    }

    pub(super) fn repository_json(&self, repository: &SandboxRepository, right: Right) -> Value {
        let SandboxRepository { id, owner, owner_login, name, is_private, is_archived, has_issues, created, .. } =
            repository;
        let full_name = format!("{owner_login}/{name}");
        let open = |is_pull| repository.issues.iter().filter(|i| i.closed.is_none() && i.is_pull == is_pull).count();
        let mut shown = json!({
            "id": id, "owner": self.user_json(&self.accounts.get(*owner)), "name": name, "full_name": full_name,
            "description": "", "empty": repository.files.is_empty(), "private": is_private, "fork": false,
            "template": false, "mirror": false, "size": 25, "html_url": format!("{}/{full_name}", self.url),
            "url": format!("{}/api/v1/repos/{full_name}", self.url),
            "clone_url": format!("{}/{full_name}.git", self.url), "default_branch": "main", "archived": is_archived,
            "open_issues_count": open(false), "open_pr_counter": open(true), "created_at": time(*created),
            "updated_at": time(*created), "has_issues": has_issues, "has_pull_requests": true,
            "object_format_name": "sha1",
            "permissions": { "admin": right >= Right::Own, "push": right >= Right::Write, "pull": right >= Right::Read },
        });
        // Absent if there is none (go-gitea/gitea `modules/structs/repo.go`).
        if let Some(url) = &repository.external_tracker {
            shown["external_tracker"] = json!({ "external_tracker_url": url });
        }
        shown
    }

    pub(super) fn label_json(&self, repository: &SandboxRepository, label: &SandboxLabel) -> Value {
        let SandboxLabel { id, name, color, description, is_exclusive, is_archived } = label;
        let SandboxRepository { owner_login, name: repository, .. } = repository;
        json!({
            "id": id, "name": name, "exclusive": is_exclusive, "is_archived": is_archived, "color": color,
            "description": description,
            "url": format!("{}/api/v1/repos/{owner_login}/{repository}/labels/{id}", self.url),
        })
    }

    /// The labels on an issue, by name.
    pub(super) fn issue_labels_json(&self, repository: &SandboxRepository, issue: &SandboxIssue) -> Value {
        let mut labels: Vec<&SandboxLabel> =
            repository.labels.iter().filter(|label| issue.labels.contains(&label.id)).collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        labels.into_iter().map(|label| self.label_json(repository, label)).collect()
    }

    pub(super) fn issue_json(&self, repository: &SandboxRepository, issue: &SandboxIssue) -> Value {
        let SandboxRepository { id: repository_id, owner_login, name, .. } = repository;
        let full_name = format!("{owner_login}/{name}");
        let SandboxIssue { id, number, author, title, body, closed, due, is_locked, is_pull, created, updated, .. } =
            issue;
        let page = if *is_pull { "pulls" } else { "issues" };
        let html_url = format!("{}/{full_name}/{page}/{number}", self.url);
        let pull_request = is_pull.then(|| json!({ "merged": false, "merged_at": null, "html_url": html_url }));
        json!({
            "id": id, "url": format!("{}/api/v1/repos/{full_name}/issues/{number}", self.url), "html_url": html_url,
            "number": number, "user": self.user_json(&self.accounts.get(*author)), "original_author": "",
            "original_author_id": 0, "title": title, "body": body, "ref": "", "assets": [],
            "labels": self.issue_labels_json(repository, issue), "milestone": null, "assignee": null,
            "assignees": null, "state": if closed.is_none() { "open" } else { "closed" }, "is_locked": is_locked,
            "comments": issue.comments().count(), "created_at": time(*created), "updated_at": time(*updated),
            "closed_at": closed.map(time), "due_date": due.map(time),
            "time_estimate": 0, "pull_request": pull_request,
            "repository": { "id": repository_id, "name": name, "owner": owner_login, "full_name": full_name },
            "pin_order": 0,
        })
    }

    pub(super) fn comment_json(
        &self,
        repository: &SandboxRepository,
        issue: &SandboxIssue,
        entry: &SandboxTimelineEntry,
    ) -> Value {
        let SandboxRepository { owner_login, name, .. } = repository;
        let page = format!("{}/{owner_login}/{name}", self.url);
        let of_issue = format!("{page}/issues/{}", issue.number);
        let of_pull = format!("{page}/pulls/{}", issue.number);
        let (issue_url, pull_url) = if issue.is_pull { (String::new(), of_pull) } else { (of_issue, String::new()) };
        json!({
            "id": entry.id, "html_url": format!("{issue_url}{pull_url}#issuecomment-{}", entry.id),
            "pull_request_url": pull_url, "issue_url": issue_url, "user": self.user_json(&self.accounts.get(entry.author)), "original_author": "",
            "original_author_id": 0, "body": entry.what.body(), "assets": [], "created_at": time(entry.created),
            "updated_at": time(entry.updated),
        })
    }
}
