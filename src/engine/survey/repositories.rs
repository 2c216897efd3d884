//! Surveys the forge and its repositories: whether they are those of this root, and what their labels need.

use crate::engine::failure::{Failure, FatalError};
use crate::engine::survey::{Survey, Surveyed, Surveyor};
use crate::mission::identity::{ForgeUrl, RepositoryId, RepositoryName};
use crate::mission::observation::PassContext;
use crate::mission::plan::root::{RootFacts, plan_archived, plan_labels, plan_root};
use crate::mission::plan::step::Candidate;
use crate::mission::repository::{FoundRepository, RepositoryProblem};
use crate::world::forge::issue_forms::offers_form;
use crate::world::forge::repository::RepositoryError;
use crate::world::store::root::RootError;
use std::sync::Arc;

impl Surveyor<'_> {
    /// Checks that the configured address belongs to the root's forge, which may have several. Returns whether the pass
    /// can continue.
    pub(super) async fn check_forge(&mut self, configured: &[RepositoryName]) -> Result<bool, FatalError> {
        let asked = self.settings.forge_url()?;
        let Some(manifest) = self.file.as_ref().map(|file| &file.manifest) else { return Ok(true) };
        let Some(remembered) = manifest.forge.as_ref().filter(|forge| *forge != asked) else {
            return Ok(true);
        };
        let served = configured.iter().filter_map(|name| Some((name.clone(), manifest.remembered(name)?)));
        let mut known: Vec<_> = served.collect();
        if known.is_empty() {
            known.extend(manifest.repositories.iter().map(|repository| (repository.name.clone(), repository.id)));
        }
        for (name, id) in known {
            match self.observer.repository(&name, Some(id)).await {
                Ok(_) => {}
                Err(RepositoryError::Problem(problem)) if problem.is_still_ours() => {}
                Err(RepositoryError::Forge(error)) if error.is_about_the_token() => {
                    return Err(FatalError::Token(error));
                }
                // An unreachable forge is not an answer.
                Err(RepositoryError::Forge(error)) => {
                    self.out_of_reach = Some(error.to_string());
                    self.failures.push(Failure::forge(asked.to_string(), &error));
                    return Ok(false);
                }
                Err(RepositoryError::Problem(_)) => {
                    return Err(FatalError::Root(RootError::Foreign {
                        path: self.context.missions_root.clone(),
                        remembered: remembered.to_string(),
                        found: asked.to_string(),
                    }));
                }
            }
        }
        tracing::info!(
            "used `{asked}`, which has the repositories of `{remembered}`; this root keeps the latter as its Gitea"
        );
        Ok(true)
    }

    pub(super) async fn survey_repositories(
        &mut self,
        configured: &[RepositoryName],
        survey: &mut Survey,
    ) -> Result<(), FatalError> {
        let mut errors = Vec::new();
        for name in configured {
            match self.survey_repository(name, configured).await {
                // Two names may mean the same repository, which is served once.
                Ok((surveyed, _)) if survey.repositories.iter().any(|other| other.known.id == surveyed.known.id) => {}
                Ok((surveyed, web_url)) => {
                    survey.repositories.push(surveyed);
                    self.learn_web_url(web_url);
                }
                Err(error) => errors.push((name, error)),
            }
        }
        survey.context = Arc::clone(&self.context);
        // A daemon continues with an archived repository, since its owner may unarchive it.
        let is_refused = |error: &RepositoryError| match error {
            RepositoryError::Forge(error) => error.is_about_the_token(),
            RepositoryError::Problem(_) => self.is_only_pass || !error.is_archived(),
        };
        if survey.repositories.is_empty() && errors.iter().all(|(_, error)| is_refused(error)) {
            return Err(FatalError::Repositories(errors.into_iter().map(|(_, error)| error).collect()));
        }
        self.failures.extend(errors.iter().map(|(name, error)| Failure::repository(name, error)));
        for (name, error) in &errors {
            let remembered = self.file.as_ref().and_then(|file| file.manifest.remembered(name));
            if let (RepositoryError::Problem(problem @ RepositoryProblem::Archived { .. }), Some(id)) =
                (error, remembered)
            {
                let records = self.records.by_issue.values();
                survey.setup.extend(plan_archived(records, id, problem, self.context.now));
            }
        }
        let found = RootFacts {
            path: self.context.missions_root.clone(),
            host: self.context.host.clone(),
            forge: self.context.forge.clone(),
            web_url: (!survey.repositories.is_empty()).then(|| self.context.web_url.clone()),
            people: self.people.clone(),
            repositories: survey.repositories.iter().map(|surveyed| surveyed.known.clone()).collect(),
        };
        survey.setup.extend(plan_root(self.file.as_ref(), &found));
        for Surveyed { known, labels } in &survey.repositories {
            let host = self.context.has_label.then_some(&self.context.host);
            survey.setup.extend(plan_labels(known, labels, host));
        }
        Ok(())
    }

    /// Finds repositories without the form. One with missions has had it.
    pub(super) async fn find_missing_forms(&self, survey: &Survey) -> Vec<String> {
        let mut commands = Vec::new();
        for Surveyed { known, labels: _ } in &survey.repositories {
            let is_of_it = |candidate: &Candidate| candidate.seen.issue.key.repository_id == known.id;
            let has_record = self.records.by_issue.values().any(|record| record.issue.repository_id == known.id);
            // A failure of this request is reported by other requests.
            if has_record
                || survey.candidates.iter().any(is_of_it)
                || offers_form(&survey.gitea, &known.name).await.unwrap_or(true)
            {
                continue;
            }
            let command = self.settings.given.command(&format!("install --repo {} --only form", known.name));
            tracing::warn!(
                "`{}` has no Mission proposal form, so missions cannot be filed: {command} installs it, with a token of the owner",
                known.name
            );
            commands.push(command.trim_matches('`').to_owned());
        }
        commands
    }

    async fn survey_repository(
        &self,
        name: &RepositoryName,
        configured: &[RepositoryName],
    ) -> Result<(Surveyed, Option<ForgeUrl>), RepositoryError> {
        let remembered = self.file.as_ref().and_then(|file| file.manifest.remembered(name));
        let found = match self.observer.repository(name, remembered).await {
            // If ours is configured by its new name, the old name means another repository.
            Err(RepositoryError::Problem(RepositoryProblem::TakenOver { remembered, .. }))
                if self.is_served_as(remembered, name, configured) =>
            {
                self.observer.repository(name, None).await
            }
            found => found,
        };
        let FoundRepository { known, asked_for, web_url } = found?;
        if let Some(old) = asked_for {
            tracing::warn!(
                "the repository `{old}` was renamed to `{}`; set its new name in `repositories`",
                known.name
            );
        }
        let labels = self.observer.labels(&known.name).await?;
        Ok((Surveyed { known, labels }, web_url))
    }

    /// Records the forge's address for browsers when it is first reported. A forge that reports the address of the
    /// request, as Gitea does from 1.26 on (`[server] PUBLIC_URL_DETECTION`), keeps the recorded one.
    fn learn_web_url(&mut self, reported: Option<ForgeUrl>) {
        let is_known = self.file.as_ref().is_some_and(|file| file.manifest.web_url.is_some());
        let asked = self.settings.forge_url().ok();
        let Some(web_url) = reported.filter(|reported| !is_known && Some(reported) != asked) else { return };
        if self.context.web_url == self.context.forge {
            self.context = Arc::new(PassContext { web_url, ..(*self.context).clone() });
        }
    }

    /// Whether a repository is also configured by its current name, other than this one.
    fn is_served_as(&self, id: RepositoryId, name: &RepositoryName, configured: &[RepositoryName]) -> bool {
        let known = self.file.iter().flat_map(|file| &file.manifest.repositories).find(|known| known.id == id);
        known
            .is_some_and(|known| !known.name.is_same(name) && configured.iter().any(|other| other.is_same(&known.name)))
    }
}
