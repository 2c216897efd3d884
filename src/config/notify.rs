//! The configuration of alerts: conditions, timing and mentions.

use crate::config::SettingsError;
use crate::config::file::{NotifyKeys, Within};
use crate::mission::alert::config::Notify;
use chrono::TimeDelta;

/// The maximum number of accounts that an alert mentions.
const MENTION_MAX: usize = 20;

/// The minimum interval of reminders, in seconds.
const REPEAT_MIN: i64 = 60;

/// The values of the file, and defaults for the rest.
pub(super) fn notify(keys: NotifyKeys) -> Result<Notify, SettingsError> {
    let NotifyKeys { on, after_seconds, repeat_seconds, per_hour, many, issue, mention } = keys;
    let default = Notify::default();
    let seconds = |seconds: u64| TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000));
    let repeat = repeat_seconds.map(|repeat| seconds(repeat.get())).filter(|repeat| !repeat.is_zero());
    if let Some(short) = repeat.filter(|repeat| *repeat < TimeDelta::seconds(REPEAT_MIN)) {
        let cause = format!("{} is neither 0 (no reminders) nor at least {REPEAT_MIN}", short.num_seconds());
        return Err(SettingsError::Unfit { key: "notify.repeat_seconds", cause });
    }
    let mention = mention.unwrap_or_default();
    if mention.len() > MENTION_MAX {
        let cause = format!("{} accounts are more than {MENTION_MAX}", mention.len());
        return Err(SettingsError::Unfit { key: "notify.mention", cause });
    }
    Ok(Notify {
        on: on.unwrap_or_default(),
        after: after_seconds.map_or(default.after, |after| seconds(after.get())),
        repeat,
        per_hour: per_hour.map_or(default.per_hour, Within::count),
        many: many.map_or(default.many, Within::count),
        issue,
        mention,
    })
}
