//! Counts requests by method and class of status.

use reqwest::{Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};

/// The methods in use, by their names in metrics.
const METHODS: [&str; 5] = ["get", "post", "patch", "put", "delete"];

/// The classes of statuses, and `none` for no response.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// The number of requests by method and class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic([[u64; CLASSES.len()]; METHODS.len()]);

impl Traffic {
    /// Every combination of method and class, including zeros.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let row = |(method, counts): (&'static str, [u64; CLASSES.len()])| {
            CLASSES.into_iter().zip(counts).map(move |(class, count)| (method, class, count))
        };
        METHODS.into_iter().zip(self.0).flat_map(row)
    }

    /// The number of all requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.each().map(|(_, _, count)| count).sum()
    }

    /// The number of requests that could change something.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.each().filter(|(method, _, _)| *method != METHODS[0]).map(|(_, _, count)| count).sum()
    }

    /// The number of writes that Gitea accepted.
    #[must_use]
    pub fn accepted_writes(&self) -> u64 {
        let is_it = |(method, class, _): &(&str, &str, u64)| *method != METHODS[0] && *class == CLASSES[0];
        self.each().filter(is_it).map(|(_, _, count)| count).sum()
    }
}

/// By method and class as [`Traffic::each`] names them; other names are ignored.
impl<'a> FromIterator<(&'a str, &'a str, u64)> for Traffic {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str, u64)>>(counts: I) -> Self {
        let mut traffic = Self::default();
        for (method, class, count) in counts {
            let method = METHODS.iter().position(|known| *known == method);
            let class = CLASSES.iter().position(|known| *known == class);
            if let Some((method, class)) = method.zip(class) {
                traffic.0[method][class] += count;
            }
        }
        traffic
    }
}

/// The atomic counters.
#[derive(Debug, Default)]
pub(super) struct Counters([[AtomicU64; CLASSES.len()]; METHODS.len()]);

impl Counters {
    /// Counts one request; `status` is none if there was no response.
    pub(super) fn count(&self, method: &Method, status: Option<StatusCode>) {
        let method = METHODS.iter().position(|known| method.as_str().eq_ignore_ascii_case(known)).unwrap_or_default();
        let class = match status.map_or(0, |status| status.as_u16() / 100) {
            class @ 2..=5 => usize::from(class) - 2,
            _ => CLASSES.len() - 1,
        };
        self.0[method][class].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic(std::array::from_fn(|method| {
            std::array::from_fn(|class| self.0[method][class].load(Ordering::Relaxed))
        }))
    }
}
