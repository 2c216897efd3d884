//! Injects faults into requests, by rule or at random, and logs the requests.

use fastrand::Rng;
use std::time::Duration;

/// `GET`, `POST` and so on.
pub(super) type MethodName = String;

/// The most requests that the log keeps.
const LOG_MAX: usize = 100_000;

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not processed; the response has this status and an empty message.
    Refuse(u16),
    /// Not processed; the connection is closed.
    HangUp,
    /// Processed after a delay.
    Delay(Duration),
    /// Everything is done; the answer comes a byte a second.
    Trickle,
    /// Everything is done; the connection is closed before the answer.
    LoseAnswer,
    /// Processed; the connection is closed in the middle of the response.
    Truncate,
    /// Not processed; the response is 429, with this number of seconds in `Retry-After`.
    TooManyRequests(u64),
    /// Not processed; the response is 200 with HTML, as from a captive portal.
    Html,
    /// Not processed; the response is an empty list with a total of 0.
    Empty,
    /// Processed; the total is one too high, as if an item was deleted while the list was read.
    Overcount,
    /// Not processed; the response has this status and this JSON.
    Answer(u16, &'static str),
    /// Processed; each occurrence of the first text in the response is replaced, as by a faulty proxy.
    Rewrite(&'static str, &'static str),
}

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The injected fault, if any.
    pub fault: Option<Fault>,
}

#[derive(Debug)]
struct Rule {
    times: usize,
    method: MethodName,
    path: String,
    fault: Fault,
}

/// The faults to inject, and the log of requests.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    random: Option<(Rng, u32)>,
    pub(super) log: Vec<Logged>,
}

impl Faults {
    pub(super) fn add(&mut self, times: usize, method: &str, path: &str, fault: Fault) {
        self.rules.push(Rule { times, method: method.to_owned(), path: path.to_owned(), fault });
    }

    pub(super) fn at_random(&mut self, seed: u64, per_mille: u32) {
        self.random = Some((Rng::with_seed(seed), per_mille));
    }

    pub(super) fn heal(&mut self) {
        self.rules.clear();
        self.random = None;
    }

    /// The fault for a request, if any; logs the request.
    pub(super) fn next(&mut self, method: &str, target: &str) -> Option<Fault> {
        let fault = self.by_rule(method, target).or_else(|| self.by_chance());
        if self.log.len() < LOG_MAX {
            self.log.push(Logged { method: method.to_owned(), target: target.to_owned(), fault });
        }
        fault
    }

    fn by_rule(&mut self, method: &str, target: &str) -> Option<Fault> {
        let matches = |rule: &Rule| {
            rule.times > 0 && (rule.method.is_empty() || rule.method == method) && target.contains(&rule.path)
        };
        let rule = self.rules.iter_mut().find(|rule| matches(rule))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    fn by_chance(&mut self) -> Option<Fault> {
        let (random, per_mille) = self.random.as_mut()?;
        if random.u32(..1_000) >= *per_mille {
            return None;
        }
        let all = [
            Fault::Refuse(500),
            Fault::Refuse(502),
            Fault::HangUp,
            Fault::Delay(Duration::from_millis(5)),
            Fault::LoseAnswer,
            Fault::Truncate,
            Fault::TooManyRequests(0),
            Fault::Html,
        ];
        random.choice(all)
    }
}
