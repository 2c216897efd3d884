//! A repository and its labels.

use crate::mission::identity::RepositoryName;
use crate::world::gitea::call::{Call, Page};
use crate::world::gitea::connection::Connection;
use crate::world::gitea::error::ForgeError;
use crate::world::gitea::models::{Label, Repository};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// The most labels of one repository that are read.
const LABELS_MAX: usize = 5_000;

/// Calls about one repository.
#[derive(Debug)]
pub struct Repositories {
    connection: Arc<Connection>,
    name: RepositoryName,
}

/// A label to be created.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewLabel<'a> {
    /// `scope/value`.
    pub name: &'a str,
    /// Six hexadecimal digits.
    pub color: &'a str,
    /// What it means.
    pub description: &'a str,
    /// Whether an issue carries at most one of its scope.
    pub exclusive: bool,
}

impl Repositories {
    pub(super) fn new(connection: &Arc<Connection>, name: &RepositoryName) -> Self {
        Self { connection: Arc::clone(connection), name: name.clone() }
    }

    fn call<T>(&self, rest: &[&str], make: impl FnOnce(&Arc<Connection>, &[&str]) -> Call<T>) -> Call<T> {
        let path: Vec<&str> =
            ["repos", self.name.owner(), self.name.name()].into_iter().chain(rest.iter().copied()).collect();
        make(&self.connection, &path)
    }

    /// The repository itself. Needs the scope `read:repository`.
    pub fn get(&self) -> Call<Repository> {
        self.call(&[], Call::get)
    }

    /// All labels. Without a page most versions send them all at once; newer ones may not (go-gitea/gitea#21158).
    pub async fn labels(&self) -> Result<Vec<Label>, ForgeError> {
        let Page { items: mut labels, total, date: _ } = self.call(&["labels"], Call::get).send_page().await?;
        if total.is_none_or(|total| labels.len() as u64 >= total) {
            return Ok(labels);
        }
        labels.clear();
        for page in 1.. {
            let call = self.call(&["labels"], Call::get);
            let Page { items, total, date: _ } = call.query("page", page).query("limit", 50).send_page().await?;
            let is_last = items.is_empty();
            labels.extend(items);
            let is_all = total.is_some_and(|total| labels.len() as u64 >= total);
            if is_last || is_all || labels.len() >= LABELS_MAX {
                break;
            }
        }
        Ok(labels)
    }

    /// Creates a label. The forge accepts a second one of the same name, so this is never repeated blindly.
    pub fn create_label(&self, label: &NewLabel<'_>) -> Call<Label> {
        self.call(&["labels"], |connection, path| Call::post(connection, path, label))
    }

    /// Sets a label's `exclusive` flag. `is_archived` is sent along, or the forge would un-archive it.
    pub fn set_exclusive(&self, id: i64, exclusive: bool, is_archived: bool) -> Call<Label> {
        let body = json!({ "exclusive": exclusive, "is_archived": is_archived });
        self.call(&["labels", &id.to_string()], |connection, path| Call::patch(connection, path, &body))
    }
}
