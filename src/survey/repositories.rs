//! The forge and its repositories: whether they are the ones that this root knows, and what their labels need.

use crate::mission::identity::{RepositoryId, RepositoryName};
use crate::mission::setup::{Surroundings, plan_labels, plan_root};
use crate::survey::{Survey, Surveyed, Surveyor};
use crate::trouble::{Refusal, Trouble};
use crate::world::repository::{FoundRepository, RepositoryError};
use crate::world::root::RootError;

impl Surveyor<'_> {
    /// A root may follow its forge to another address, but never change to another forge. Whether this pass may go on.
    pub(super) async fn check_forge(&mut self) -> Result<bool, Refusal> {
        let Some(papers) = self.file.as_ref().map(|file| &file.papers) else { return Ok(true) };
        let Some(remembered) = papers.forge.as_ref().filter(|forge| **forge != self.here.forge) else {
            return Ok(true);
        };
        for repository in &papers.repositories {
            match self.observer.repository(&repository.name, Some(repository.id)).await {
                Ok(_)
                | Err(
                    RepositoryError::Archived { .. }
                    | RepositoryError::NoIssues { .. }
                    | RepositoryError::ExternalTracker { .. },
                ) => {}
                Err(RepositoryError::Forge(error)) if error.is_about_the_token() => return Err(Refusal::Token(error)),
                // That it could not be asked is no answer.
                Err(RepositoryError::Forge(error)) => {
                    self.troubles.push(Trouble::forge(self.here.forge.to_string(), &error));
                    return Ok(false);
                }
                Err(
                    RepositoryError::Missing { .. } | RepositoryError::TakenOver { .. } | RepositoryError::Moved { .. },
                ) => {
                    return Err(Refusal::Root(RootError::Foreign {
                        path: self.here.missions_root.clone(),
                        remembered: remembered.to_string(),
                        found: self.here.forge.to_string(),
                    }));
                }
            }
        }
        tracing::warn!("the forge was `{remembered}` and is `{}` now; its repositories are the same", self.here.forge);
        Ok(true)
    }

    pub(super) async fn survey_repositories(
        &mut self,
        configured: &[RepositoryName],
        survey: &mut Survey,
    ) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        for name in configured {
            match self.survey_repository(name, configured).await {
                // Two names may mean one repository, which is served once.
                Ok(surveyed) if survey.repositories.iter().any(|other| other.known.id == surveyed.known.id) => {}
                Ok(surveyed) => survey.repositories.push(surveyed),
                Err(error) => errors.push((name, error)),
            }
        }
        if survey.repositories.is_empty() && errors.iter().all(|(_, error)| error.needs_a_person()) {
            return Err(Refusal::Repositories(errors.into_iter().map(|(_, error)| error).collect()));
        }
        self.troubles.extend(errors.iter().map(|(name, error)| Trouble::repository(name, error)));
        let found = Surroundings {
            path: self.here.missions_root.clone(),
            host: self.here.host.clone(),
            forge: self.here.forge.clone(),
            people: self.people.clone(),
            repositories: survey.repositories.iter().map(|surveyed| surveyed.known.clone()).collect(),
        };
        survey.setup.extend(plan_root(self.file.as_ref(), &found));
        for Surveyed { known, labels } in &survey.repositories {
            let host = self.here.has_label.then_some(&self.here.host);
            survey.setup.extend(plan_labels(known, labels, host));
        }
        Ok(())
    }

    async fn survey_repository(
        &self,
        name: &RepositoryName,
        configured: &[RepositoryName],
    ) -> Result<Surveyed, RepositoryError> {
        let remembered = self.file.as_ref().and_then(|file| file.papers.remembered(name));
        let found = match self.observer.repository(name, remembered).await {
            // Whoever configures ours by its new name means another one by the old name.
            Err(RepositoryError::TakenOver { remembered, .. }) if self.is_served_as(remembered, name, configured) => {
                self.observer.repository(name, None).await
            }
            found => found,
        };
        let FoundRepository { known, asked_for } = found?;
        if let Some(old) = asked_for {
            tracing::warn!("the repository `{old}` is called `{}` now; set its new name in `repositories`", known.name);
        }
        let labels = self.observer.labels(&known.name).await?;
        Ok(Surveyed { known, labels })
    }

    /// Whether a repository is configured by a name of its own, other than this one.
    fn is_served_as(&self, id: RepositoryId, name: &RepositoryName, configured: &[RepositoryName]) -> bool {
        let known = self.file.iter().flat_map(|file| &file.papers.repositories).find(|known| known.id == id);
        known
            .is_some_and(|known| !known.name.is_same(name) && configured.iter().any(|other| other.is_same(&known.name)))
    }
}
