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
use lazarus::mission::worktree::{CheckedOut, DirectoryId, Placing, Worktree, WorktreeSource};
use lazarus::world::applier::Applier;
use lazarus::world::checkout::Checkouts;
use lazarus::world::entry::Entry;
use lazarus::world::gitea::{Gitea, Token};
use lazarus::world::lock::Access;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn checked_out() -> CheckedOut {
    let source = WorktreeSource::of(&proposal(&[("Repository", "wizards/spellbook")]).proposal().unwrap().spec);
    CheckedOut { source: source.unwrap(), commit: Commit::parse(&"5a".repeat(20)).unwrap() }
}

#[test]
fn where_a_checkout_goes_is_decided_by_what_is_there_and_remembered() {
    let one = |created| DirectoryId::new(7, created);
    let placing = |directory| Placing { checked_out: checked_out(), directory };
    let untouched = Worktree::default();
    let placed = Worktree { placing: Some(placing(one(Some(SECOND)))), ..Worktree::default() };
    let old = Worktree { placing: Some(placing(DirectoryId::default())), ..Worktree::default() };
    let handed_over = Worktree { checked_out: Some(checked_out()), ..Worktree::default() };
    let both = Worktree { checked_out: Some(checked_out()), ..placed.clone() };
    let taken = |directory| WorktreeSite::Taken { directory };
    let (ours, later, unknown) = (one(Some(SECOND)), one(Some(2 * SECOND)), one(None));
    for worktree in [&untouched, &placed, &old, &handed_over, &both] {
        assert_eq!(placement(&WorktreeSite::NoCell, worktree), Placement::Stage);
        assert_eq!(placement(&WorktreeSite::Free, worktree), Placement::Fill);
    }
    for (worktree, directory, wanted) in [
        (&untouched, Some(ours.clone()), Placement::Refuse),
        (&untouched, None, Placement::Refuse),
        (&placed, Some(ours.clone()), Placement::Record(checked_out())),
        // The number of a deleted directory is used again.
        (&placed, Some(later.clone()), Placement::Refuse),
        (&placed, Some(unknown), Placement::Refuse),
        (&placed, None, Placement::Refuse),
        (&old, Some(ours.clone()), Placement::Refuse),
        (&handed_over, Some(ours.clone()), Placement::Nothing),
        (&handed_over, None, Placement::Nothing),
        (&both, Some(ours), Placement::Record(checked_out())),
        (&both, Some(later), Placement::Nothing),
    ] {
        assert_eq!(placement(&taken(directory.clone()), worktree), wanted, "{directory:?} {worktree:?}");
    }
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
