//! The engine's state of the forge: its repositories, the start of the next listings, and the applier.

use crate::config::{Settings, SettingsError};
use crate::engine::failure::{Failure, FatalError};
use crate::mission::identity::RepositoryId;
use crate::mission::observation::PassContext;
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::time::Timestamp;
use crate::world::applier::Applier;
use crate::world::checkout::{Caller, Checkouts};
use crate::world::forge::{Gitea, Traffic};
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::Observer;
use crate::world::store::lock::LockOptions;
use crate::world::store::open::RootAccess;
use crate::world::store::root::Root;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The overlap of consecutive listings: a late commit has an earlier time.
pub(super) const OVERLAP: TimeDelta = TimeDelta::seconds(120);

/// The forge and the engine's state of it.
#[derive(Debug)]
pub(super) struct Forge {
    pub(super) gitea: Gitea,
    pub(super) observer: Observer,
    access: LockOptions,
    pub(super) checkouts: Checkouts,
    pub(super) hold: Mutex<ForgeState>,
}

#[derive(Debug)]
pub(super) struct ForgeState {
    /// Access to the root, until the first audit.
    entry: Option<RootAccess>,
    /// Applies changes, from the first audit on.
    applier: Option<Arc<Applier>>,
    pub(super) repositories: Vec<RepositoryRef>,
    /// The start of the next listing of each repository's issues.
    pub(super) since: BTreeMap<RepositoryId, Timestamp>,
    /// The start of the next listing of each repository's comments.
    pub(super) comments_since: BTreeMap<RepositoryId, Timestamp>,
    /// The share of comments that the next audit reads by id; the first one reads none.
    pub(super) share: Option<i64>,
    /// When the next audit is due.
    pub(super) audit_due: Option<Timestamp>,
    /// The failures of the last audit that no listing retries.
    pub(super) standing: Vec<Failure>,
    /// How many audits in a row had failures.
    pub(super) audit_failures: u32,
}

impl Forge {
    pub(super) fn new(
        settings: &Settings,
        root: Arc<Root>,
        entry: RootAccess,
        access: LockOptions,
        caller: Caller,
    ) -> Result<Self, SettingsError> {
        if access.is_lasting {
            settings.repositories()?;
        }
        let gitea = settings.gitea()?;
        let observer = Observer::new(gitea.clone(), root);
        let hold = ForgeState {
            entry: Some(entry),
            applier: None,
            repositories: Vec::new(),
            since: BTreeMap::new(),
            comments_since: BTreeMap::new(),
            share: None,
            audit_due: None,
            standing: Vec::new(),
            audit_failures: 0,
        };
        let checkouts = settings.checkouts(caller);
        Ok(Self { gitea, observer, access, checkouts, hold: Mutex::new(hold) })
    }

    pub(super) async fn check_token(&self) -> Result<(), FatalError> {
        match self.observer.me().await {
            Err(error) if error.is_about_the_token() => Err(FatalError::Token(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Resets failures and reads the token again.
    pub(super) fn begin_anew(&self, settings: &Settings) {
        let token = settings.read_token();
        if let Err(error) = &token {
            tracing::warn!("kept the previous token: {error}");
        }
        self.gitea.begin_anew(token.ok());
    }

    /// Whether an audit is due; also if the clock was set back since.
    pub(super) fn is_audit_due(&self, now: Timestamp, interval: Duration) -> bool {
        let latest = now.plus(span(interval));
        locked(&self.hold).audit_due.is_none_or(|due| due <= now || due > latest)
    }

    /// The failures that last until the next audit.
    pub(super) fn standing(&self) -> Vec<Failure> {
        locked(&self.hold).standing.clone()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.gitea.traffic()
    }

    pub(super) fn repository(&self, id: RepositoryId) -> Option<RepositoryRef> {
        locked(&self.hold).repositories.iter().find(|known| known.id == id).cloned()
    }

    /// The current pass context; none before the first audit.
    pub(super) fn context(&self, now: Timestamp) -> Option<Arc<PassContext>> {
        Some(self.applier()?.at(now).here())
    }

    pub(super) fn applier(&self) -> Option<Arc<Applier>> {
        locked(&self.hold).applier.clone()
    }

    /// The applier, created once our account is known.
    pub(super) fn applier_for(&self, context: &Arc<PassContext>) -> Option<Arc<Applier>> {
        let mut hold = locked(&self.hold);
        if let Some(applier) = &hold.applier {
            applier.know_here(Arc::clone(context));
        } else {
            let entry = hold.entry.take()?;
            let (gitea, checkouts) = (self.gitea.clone(), self.checkouts.clone());
            hold.applier = Some(Arc::new(Applier::new(gitea, Arc::clone(context), self.access, entry, checkouts)));
        }
        hold.applier.clone()
    }
}

pub(super) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
