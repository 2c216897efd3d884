//! Parses JSON responses while they arrive, keeping no more of them in memory than needed.

use crate::mission::proposal::BODY_BYTES_MAX;
use crate::mission::time::Timestamp;
use crate::world::forge::error::ForgeError;
use crate::world::forge::shortener::{Boundary, Shortener};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// The most bytes that are kept of one string: one more than a proposal's body may have, so that a cut is detectable.
const STRING_BYTES_MAX: usize = BODY_BYTES_MAX + 1;

/// The most bytes that are kept of a response, or of one item of a list.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The same limit for a response that must not be shortened.
const UNCUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes that are read of an error response, which may be a proxy's page.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// A successful response with its parsed body.
#[derive(Debug)]
pub(super) struct Answer<S> {
    pub(super) tried: String,
    /// What to do if the response is not from Gitea.
    pub(super) next: String,
    pub(super) is_json: bool,
    pub(super) total: Option<u64>,
    pub(super) date: Option<Timestamp>,
    pub(super) body: S,
}

/// Consumes the body of a response as it arrives.
pub(super) trait Body: Send {
    /// Consumes the next bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Full>;
}

/// The body exceeds a memory limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    /// The limit in bytes.
    pub(super) limit: usize,
}

/// The body of an error response.
#[derive(Default)]
pub(super) struct ErrorBody(pub(super) Vec<u8>);

impl Body for ErrorBody {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0.extend_from_slice(bytes);
        if self.0.len() > ERROR_BYTES_MAX { Err(Full { limit: ERROR_BYTES_MAX }) } else { Ok(()) }
    }
}

/// A response that is parsed once it is complete.
#[derive(Debug)]
pub(super) struct Whole {
    json: Shortener,
    limit: usize,
}

impl Whole {
    pub(super) fn new(is_cut: bool) -> Self {
        let (longest, limit) = if is_cut { (STRING_BYTES_MAX, KEPT_BYTES_MAX) } else { (usize::MAX, UNCUT_BYTES_MAX) };
        Self { json: Shortener::new(longest), limit }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.json.kept().is_empty()
    }
}

impl Body for Whole {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.json.read(bytes);
        check(&self.json, self.limit)
    }
}

fn check(json: &Shortener, limit: usize) -> Result<(), Full> {
    if json.kept().len() > limit { Err(Full { limit }) } else { Ok(()) }
}

/// A list whose items are parsed as they arrive.
#[derive(Debug)]
pub(super) struct Items<'a, T, U, F> {
    json: Shortener,
    keep: &'a F,
    kept: Vec<U>,
    count: u64,
    /// Whether an item must follow, after a comma.
    is_item_due: bool,
    /// Whether the list has ended.
    has_ended: bool,
    /// The first error in the list.
    problem: Option<String>,
    item: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned, U, F: Fn(T) -> Option<U>> Items<'a, T, U, F> {
    pub(super) fn new(keep: &'a F) -> Self {
        let (json, kept) = (Shortener::new(STRING_BYTES_MAX), Vec::new());
        let (is_item_due, has_ended, problem) = (false, false, None);
        Self { json, keep, kept, count: 0, is_item_due, has_ended, problem, item: PhantomData }
    }

    /// Returns the kept items and the number of all items, or what is wrong with the list. Gitea may send an empty list
    /// as `null`.
    pub(super) fn end(mut self) -> Result<(Vec<U>, u64), String> {
        if self.problem.is_none() && !self.has_ended {
            let rest = self.json.kept();
            let is_open = self.json.is_open();
            let read: Result<Option<Vec<T>>, String> = if is_open { Err(CUT_OFF.to_owned()) } else { parse(rest) };
            self.problem = read.err();
        } else if !self.json.kept().trim_ascii().is_empty() {
            self.problem.get_or_insert_with(|| "there is data after its end".to_owned());
        }
        self.problem.map_or(Ok((self.kept, self.count)), Err)
    }

    fn take_item(&mut self, boundary: Boundary) {
        let is_blank = self.json.kept().trim_ascii().is_empty();
        let is_none = is_blank && boundary == Boundary::End && !self.is_item_due;
        self.is_item_due = boundary == Boundary::Element;
        if self.problem.is_none() && !is_none {
            match parse::<T>(self.json.kept()) {
                Ok(item) => self.kept.extend((self.keep)(item)),
                Err(problem) => self.problem = Some(format!("item {}: {problem}", self.count)),
            }
            self.count += 1;
        }
        self.json.clear();
    }
}

/// The problem of a truncated response.
const CUT_OFF: &str = "it ends in the middle of the list";

impl<T: DeserializeOwned, U: Send, F: Fn(T) -> Option<U> + Sync> Body for Items<'_, T, U, F> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.has_ended {
                self.json.read(rest);
                break;
            }
            let (read, boundary) = self.json.read_elements(rest);
            rest = &rest[read..];
            match boundary {
                Boundary::None => {}
                Boundary::Element => self.take_item(boundary),
                Boundary::End => {
                    self.take_item(boundary);
                    self.has_ended = true;
                }
            }
        }
        check(&self.json, KEPT_BYTES_MAX)
    }
}

/// Parses a complete response.
pub(super) fn decode<T: DeserializeOwned>(answer: &Answer<Whole>) -> Result<T, ForgeError> {
    let read = if answer.is_json { parse(answer.body.json.kept()) } else { Err("it is not JSON".to_owned()) };
    read.map_err(|problem| {
        let Answer { tried, next, .. } = answer;
        ForgeError::Protocol { tried: tried.clone(), problem, next: next.clone() }
    })
}

/// Parses one value; an error names its path.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        format!("at `{path}`: {}", error.into_inner())
    })
}
