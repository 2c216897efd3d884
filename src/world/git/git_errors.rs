//! Classifies git's error messages.

use crate::mission::text::shown;
use crate::world::git::child::ChildEnd;
use crate::world::git::error::CheckoutError;
use crate::world::git::source::CheckoutLimits;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

/// The repository or ref is missing or not readable. Which of them is never revealed.
const UNAVAILABLE: [&str; 8] = [
    "' not found",
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "couldn't find remote ref",
    "not our ref",
    "unadvertised object",
    "invalid refspec",
];

/// Local disk and limits, in the messages of the C library.
const LOCAL_FAILURES: [&str; 8] = [
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
    "Input/output error",
    "Too many open files",
    "Resource temporarily unavailable",
    "cannot create thread",
];

/// git is installed incompletely.
const NO_HELPER: [&str; 2] = ["unable to find remote helper", "is not a git command"];

/// Why a local step failed.
pub(super) fn of_step(tried: &'static str, ended: &ChildEnd, limits: CheckoutLimits) -> CheckoutError {
    let errors = GitErrors::of(ended);
    errors.limit_reached(ended, limits).unwrap_or_else(|| CheckoutError::failed(tried, &errors.cause(ended)))
}

/// Why a fetch failed.
pub(super) fn of_fetch(ended: &ChildEnd, limits: CheckoutLimits) -> CheckoutError {
    let errors = GitErrors::of(ended);
    if let Some(error) = errors.limit_reached(ended, limits) {
        return error;
    }
    let cause = errors.cause(ended);
    if errors.mentions(&NO_HELPER) {
        CheckoutError::NoGit { cause: format!("git cannot fetch over HTTP: {cause}") }
    } else if errors.mentions(&["fsck error"]) {
        CheckoutError::Unfit { flaw: errors.flaw().unwrap_or(cause) }
    } else if errors.mentions(&UNAVAILABLE) || errors.status().is_some_and(is_rejection) {
        CheckoutError::CannotBeHad
    } else if errors.mentions(&LOCAL_FAILURES) {
        CheckoutError::failed("fetch the repository", &cause)
    } else {
        CheckoutError::Unreachable { cause }
    }
}

/// Redirects and rejections: missing, or not accessible. A request to retry later is neither.
fn is_rejection(status: u16) -> bool {
    (300..500).contains(&status) && !matches!(status, 408 | 429)
}

/// git's own messages; a server's messages begin with `remote:` and are ignored.
struct GitErrors<'a>(Vec<&'a str>);

impl<'a> GitErrors<'a> {
    fn of(ended: &'a ChildEnd) -> Self {
        let lines = ended.stderr.lines();
        Self(lines.filter_map(|line| line.strip_prefix("fatal: ").or(line.strip_prefix("error: "))).collect())
    }

    fn mentions(&self, phrases: &[&str]) -> bool {
        self.0.iter().any(|line| phrases.iter().any(|phrase| line.contains(phrase)))
    }

    /// Whether git or a child of it reached a limit.
    fn limit_reached(&self, ended: &ChildEnd, limits: CheckoutLimits) -> Option<CheckoutError> {
        let died_of = |signal: Signal| {
            let number = signal.as_raw();
            ended.status.signal() == Some(number) || self.mentions(&[&format!("died of signal {number}")])
        };
        if died_of(Signal::XCPU) {
            return Some(CheckoutError::TooSlow { limit: limits.time });
        }
        let is_full = ["File too large", "ut of memory", "Cannot allocate memory"];
        let is_too_large = died_of(Signal::XFSZ) || self.mentions(&is_full);
        is_too_large.then_some(CheckoutError::TooLarge { limit: limits.bytes })
    }

    /// What the check of the objects found.
    fn flaw(&self) -> Option<String> {
        let found = self.0.iter().find_map(|line| line.strip_prefix("object "))?;
        Some(format!("object {}", shown(found)))
    }

    /// The HTTP status of the response, if that was the reason.
    fn status(&self) -> Option<u16> {
        let after = self.0.iter().find_map(|line| line.split_once("The requested URL returned error: "));
        after.and_then(|(_, status)| status.get(..3)?.parse().ok())
    }

    fn cause(&self, ended: &ChildEnd) -> String {
        let line = self.0.first().copied().unwrap_or_default();
        // The address is known and would leave no space for the reason.
        let reason = line.strip_prefix("unable to access ").and_then(|rest| rest.split_once("': "));
        let reason = shown(reason.map_or(line, |(_, reason)| reason));
        if reason.is_empty() { format!("git ended with {}", ended.status) } else { reason }
    }
}
