//! The forge as the engine knows it: its repositories, from when on each is listed, and the hands that write.

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

/// How far back a listing reaches before the one that came before it: what was committed late bears an older time.
pub(super) const OVERLAP: TimeDelta = TimeDelta::seconds(120);

/// The forge, and what is known of it.
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
    /// Until the first audit.
    entry: Option<RootAccess>,
    /// From then on.
    applier: Option<Arc<Applier>>,
    pub(super) repositories: Vec<RepositoryRef>,
    /// From when on each repository's issues are asked for.
    pub(super) since: BTreeMap<RepositoryId, Timestamp>,
    /// From when on each repository's comments are asked for.
    pub(super) comments_since: BTreeMap<RepositoryId, Timestamp>,
    /// The share of all comments that the next audit asks for by their ids; the first one asks for none.
    pub(super) share: Option<i64>,
    /// When everything is looked at anew.
    pub(super) audit_due: Option<Timestamp>,
    /// What the last audit could not do, and no listing tries.
    pub(super) standing: Vec<Failure>,
    /// How many audits in a row could not do all they should.
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

    /// Failures are forgotten, and the token is read again.
    pub(super) fn begin_anew(&self, settings: &Settings) {
        let token = settings.read_token();
        if let Err(error) = &token {
            tracing::warn!("the token stays as it was: {error}");
        }
        self.gitea.begin_anew(token.ok());
    }

    /// Whether it is time, or would be by a clock that was set back since.
    pub(super) fn is_audit_due(&self, now: Timestamp, interval: Duration) -> bool {
        let latest = now.plus(span(interval));
        locked(&self.hold).audit_due.is_none_or(|due| due <= now || due > latest)
    }

    /// What is wrong until the next audit finds it right.
    pub(super) fn standing(&self) -> Vec<Failure> {
        locked(&self.hold).standing.clone()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.gitea.traffic()
    }

    pub(super) fn repository(&self, id: RepositoryId) -> Option<RepositoryRef> {
        locked(&self.hold).repositories.iter().find(|known| known.id == id).cloned()
    }

    /// What is the same for all missions now; none before the first audit.
    pub(super) fn here(&self, now: Timestamp) -> Option<Arc<PassContext>> {
        Some(self.applier()?.at(now).here())
    }

    pub(super) fn applier(&self) -> Option<Arc<Applier>> {
        locked(&self.hold).applier.clone()
    }

    /// The hands that write, made when we know who we are.
    pub(super) fn hands(&self, here: &Arc<PassContext>) -> Option<Arc<Applier>> {
        let mut hold = locked(&self.hold);
        if let Some(applier) = &hold.applier {
            applier.know_here(Arc::clone(here));
        } else {
            let entry = hold.entry.take()?;
            let (gitea, checkouts) = (self.gitea.clone(), self.checkouts.clone());
            hold.applier = Some(Arc::new(Applier::new(gitea, Arc::clone(here), self.access, entry, checkouts)));
        }
        hold.applier.clone()
    }
}

pub(super) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
