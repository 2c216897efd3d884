//! A checkout and the change that creates its cell: where it goes, in whatever order they run, and whatever stops them.

use crate::support::PATIENCE;
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::proposal;
use crate::support::repository::Repository;
use lazarus::mission::cell_plan::plan_cell;
use lazarus::mission::change::Change;
use lazarus::mission::checkout::{Placement, WorktreeSite, placement};
use lazarus::mission::identity::{Commit, ForgeUrl};
use lazarus::mission::observation::Observation;
use lazarus::mission::worktree::{CheckedOut, Worktree, WorktreeSource};
use lazarus::world::applier::Applier;
use lazarus::world::checkout::Checkouts;
use lazarus::world::entry::Entry;
use lazarus::world::gitea::{Gitea, Token};
use lazarus::world::lock::Access;
use std::path::PathBuf;
use std::sync::Arc;

fn checked_out() -> CheckedOut {
    let source = WorktreeSource::of(&proposal(&[("Repository", "wizards/spellbook")]).proposal().unwrap().spec);
    CheckedOut { source: source.unwrap(), commit: Commit::parse(&"5a".repeat(20)).unwrap() }
}

#[test]
fn where_a_checkout_goes_is_decided_by_what_is_there_and_remembered() {
    let (untouched, book) = (Worktree::default(), checked_out());
    let placing = Worktree { placing: Some(book.clone()), ..Worktree::default() };
    let handed_over = Worktree { checked_out: Some(book.clone()), ..Worktree::default() };
    for worktree in [&untouched, &placing, &handed_over] {
        assert_eq!(placement(&WorktreeSite::NoCell, worktree), Placement::Stage);
        assert_eq!(placement(&WorktreeSite::Free, worktree), Placement::Fill);
    }
    assert_eq!(placement(&WorktreeSite::Taken, &untouched), Placement::Refuse);
    assert_eq!(placement(&WorktreeSite::Taken, &placing), Placement::Record(book));
    assert_eq!(placement(&WorktreeSite::Taken, &handed_over), Placement::Nothing);
}

/// A mission whose proposal names a repository that can be read, and the changes that create its cell.
struct Scene {
    repository: Repository,
    host: Host,
    seen: Observation,
    check_out: Change,
    create_cell: Change,
}

impl Scene {
    async fn new() -> Self {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository_named("missions").await, Host::new());
        host.once(&repository).await;
        let mut seen = proposal(&[("Repository", &repository.name)]);
        let mut here = (*seen.here).clone();
        here.forge = ForgeUrl::parse(&forge.url).unwrap();
        seen.here = Arc::new(here);
        let [check_out, create_cell] = plan_cell(&seen).try_into().unwrap();
        Self { repository, host, seen, check_out, create_cell }
    }

    /// What a process that starts now makes changes with.
    fn applier(&self) -> Applier {
        let token = Token::parse(self.repository.forge.token("bot")).unwrap();
        let gitea = Gitea::builder(self.seen.here.forge.clone(), token).build().unwrap();
        let access = Access { lock_wait: PATIENCE, is_lasting: false, group: None };
        let entry = Entry::to(&self.host.root(), access).unwrap();
        Applier::new(gitea, Arc::clone(&self.seen.here), access, entry, Checkouts::new(None))
    }

    fn worktree(&self) -> PathBuf {
        self.host.root().join(self.seen.mission_id.to_string()).join("worktree")
    }

    fn is_filled(&self) -> bool {
        self.worktree().join(".gitea/ISSUE_TEMPLATE/mission-proposal.yaml").exists()
    }

    /// What is remembered of the worktree.
    async fn remembered(&self, applier: &Applier) -> Worktree {
        applier.remembered(&self.seen.issue.key).await.unwrap().unwrap().worktree
    }
}

#[tokio::test]
async fn a_missing_worktree_is_filled_though_nobody_has_created_it_again_yet() {
    let scene = Scene::new().await;
    let applier = scene.applier();
    applier.apply(&scene.create_cell).await.unwrap();
    std::fs::remove_dir(scene.worktree()).unwrap();
    applier.apply(&scene.check_out).await.unwrap();
    assert!(scene.is_filled() && scene.remembered(&applier).await.checked_out.is_some());
}
