//! Whether alerts have a place to go to and mention accounts that exist.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::world::forge::Gitea;
use crate::world::forge::alert_targets::check_alert_targets;

/// Looks at `notify.issue` and `notify.mention`, where anything raises alerts at all.
pub(super) async fn look(settings: &Settings, gitea: &Gitea, checks: &mut Vec<Check>) {
    if !settings.notify.is_on() {
        return;
    }
    let errors = check_alert_targets(gitea, &settings.notify, &settings.repositories).await;
    if errors.is_empty() {
        checks.push(Check::pass("alerts", "they reach whom the settings name"));
    }
    for error in errors {
        let make = if error.is_about_the_issue() { Check::failure } else { Check::warning };
        checks.push(make("alerts", error.fault(), error.found(), error.next()));
    }
}
