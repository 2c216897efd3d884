//! What goes wrong on request, and the log of what was asked.

use fastrand::Rng;
use std::time::Duration;

/// `GET`, `POST` and so on.
pub(super) type MethodName = String;

/// The most requests that the log keeps.
const LOG_MAX: usize = 100_000;

/// Something that goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer is this status, with an empty message.
    Refuse(u16),
    /// Nothing is done; the connection is closed.
    HangUp,
    /// Everything is done, after this long.
    Delay(Duration),
    /// Everything is done; the answer comes a byte a second.
    Trickle,
    /// Everything is done; the connection is closed before the answer.
    LoseAnswer,
    /// Everything is done; the connection is closed in the middle of the answer.
    Truncate,
    /// Nothing is done; the answer is 429, with so many seconds in `Retry-After`.
    TooManyRequests(u64),
    /// Nothing is done; the answer is 200 and a page of HTML, as a captive portal gives.
    Html,
    /// Nothing is done; the answer is an empty list, with a total of 0.
    Empty,
    /// Everything is done; the answer counts one more than there is, as when something goes while a list is read.
    Overcount,
    /// Nothing is done; the answer is this status, with this JSON.
    Answer(u16, &'static str),
    /// Everything is done; in the answer each such text is another one, as behind a proxy that has gone wrong.
    Rewrite(&'static str, &'static str),
}

/// A request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

#[derive(Debug)]
struct Rule {
    times: usize,
    method: MethodName,
    path: String,
    fault: Fault,
}

/// Which faults are to come, and which requests came.
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

    /// The fault that a request meets; notes the request.
    pub(super) fn meet(&mut self, method: &str, target: &str) -> Option<Fault> {
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
