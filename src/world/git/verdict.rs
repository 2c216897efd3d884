//! Tells from what git says why it did not do what it was asked.

use crate::mission::text::shown;
use crate::world::git::child::ChildEnd;
use crate::world::git::error::CheckoutError;
use crate::world::git::source::CheckoutLimits;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

/// There is no such repository or ref, or it is not ours to read. Which of them is told to nobody.
const NOT_TO_BE_HAD: [&str; 8] = [
    "' not found",
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "couldn't find remote ref",
    "not our ref",
    "unadvertised object",
    "invalid refspec",
];

/// Our own disk and limits, in the words of the C library.
const OURS: [&str; 8] = [
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
    "Input/output error",
    "Too many open files",
    "Resource temporarily unavailable",
    "cannot create thread",
];

/// There is a git, but not all of it.
const NO_HELPER: [&str; 2] = ["unable to find remote helper", "is not a git command"];

/// Why a step failed that only works on what is already here.
pub(super) fn of_step(tried: &'static str, ended: &ChildEnd, limits: CheckoutLimits) -> CheckoutError {
    let said = Said::of(ended);
    said.limit_reached(ended, limits).unwrap_or_else(|| CheckoutError::failed(tried, &said.cause(ended)))
}

/// Why a fetch failed.
pub(super) fn of_fetch(ended: &ChildEnd, limits: CheckoutLimits) -> CheckoutError {
    let said = Said::of(ended);
    if let Some(error) = said.limit_reached(ended, limits) {
        return error;
    }
    let cause = said.cause(ended);
    if said.mentions(&NO_HELPER) {
        CheckoutError::NoGit { cause: format!("git cannot fetch over HTTP: {cause}") }
    } else if said.mentions(&["fsck error"]) {
        CheckoutError::Unfit { flaw: said.flaw().unwrap_or(cause) }
    } else if said.mentions(&NOT_TO_BE_HAD) || said.status().is_some_and(is_refusal) {
        CheckoutError::CannotBeHad
    } else if said.mentions(&OURS) {
        CheckoutError::failed("fetch the repository", &cause)
    } else {
        CheckoutError::Unreachable { cause }
    }
}

/// Redirects and refusals alike: not here, or not for us. What asks for patience is neither.
fn is_refusal(status: u16) -> bool {
    (300..500).contains(&status) && !matches!(status, 408 | 429)
}

/// What git itself complained; what a forge makes it print begins with `remote:`, and is not listened to.
struct Said<'a>(Vec<&'a str>);

impl<'a> Said<'a> {
    fn of(ended: &'a ChildEnd) -> Self {
        let lines = ended.complaint.lines();
        Self(lines.filter_map(|line| line.strip_prefix("fatal: ").or(line.strip_prefix("error: "))).collect())
    }

    fn mentions(&self, phrases: &[&str]) -> bool {
        self.0.iter().any(|line| phrases.iter().any(|phrase| line.contains(phrase)))
    }

    /// It came to one of its limits, or what it started did.
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

    /// The status that the forge answered, if it was that.
    fn status(&self) -> Option<u16> {
        let after = self.0.iter().find_map(|line| line.split_once("The requested URL returned error: "));
        after.and_then(|(_, status)| status.get(..3)?.parse().ok())
    }

    fn cause(&self, ended: &ChildEnd) -> String {
        let line = self.0.first().copied().unwrap_or_default();
        // The address is known, and would leave no room for the reason.
        let reason = line.strip_prefix("unable to access ").and_then(|rest| rest.split_once("': "));
        let reason = shown(reason.map_or(line, |(_, reason)| reason));
        if reason.is_empty() { format!("git ended with {}", ended.status) } else { reason }
    }
}
