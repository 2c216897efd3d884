//! Checks that `notify.issue` accepts comments, and that alerts mention existing accounts.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::world::forge::Gitea;
use crate::world::forge::alert_targets::check_alert_targets;

/// Checks `notify.issue` and `notify.mention`, if alerts are enabled.
pub(super) async fn check(settings: &Settings, gitea: &Gitea, checks: &mut Vec<Check>) {
    if !settings.notify.is_on() {
        return;
    }
    let errors = check_alert_targets(gitea, &settings.notify, &settings.repositories).await;
    if errors.is_empty() {
        checks.push(Check::pass("alerts", "the issue and the accounts of `notify` are available"));
    }
    for error in errors {
        let make = if error.is_about_the_issue() { Check::failure } else { Check::warning };
        checks.push(make("alerts", error.fault(), error.found(), error.next()));
    }
}
