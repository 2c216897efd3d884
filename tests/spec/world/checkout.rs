//! A checkout and the change that creates its cell: where it goes, in whatever order they run, and whatever stops them.

use crate::support::PATIENCE;
use crate::support::cells::{at, seconds};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::{planned_cell, proposal};
use crate::support::repository::Repository;
use lazarus::mission::cell::checkout::{Placement, WorktreeSite, placement};
use lazarus::mission::cell::worktree::{CheckedOut, DirectoryId, Placing, Worktree, WorktreeSource};
use lazarus::mission::identity::{CommitId, ForgeUrl, GitRef};
use lazarus::mission::observation::Observation;
use lazarus::mission::plan::change::Change;
use lazarus::world::WorldError;
use lazarus::world::applier::Applier;
use lazarus::world::checkout::{Caller, Checkouts};
use lazarus::world::forge::{Gitea, Token};
use lazarus::world::store::lock::LockOptions;
use lazarus::world::store::open::RootAccess;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);

fn checked_out() -> CheckedOut {
    let source = WorktreeSource::of(&proposal(&[("Repository", "wizards/spellbook")]).proposal().unwrap().spec);
    CheckedOut { source: source.unwrap(), commit: CommitId::parse(&"5a".repeat(20)).unwrap() }
}

#[test]
fn a_checkout_target_depends_on_the_directory_and_the_record() {
    let one = |created| DirectoryId::new(7, created);
    let placing = |directory| Placing { checked_out: checked_out(), directory };
    let untouched = Worktree::default();
    let placed = Worktree { placing: Some(Box::new(placing(one(Some(SECOND))))), ..Worktree::default() };
    let old = Worktree { placing: Some(Box::new(placing(DirectoryId::default()))), ..Worktree::default() };
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

#[test]
fn a_new_cell_gets_a_staged_checkout_only_if_source_and_place_match() {
    let (book, found) = (checked_out(), DirectoryId::new(7, Some(SECOND)));
    let other = WorktreeSource { git_ref: GitRef::parse("dev").ok(), ..book.source.clone() };
    let mut failed = Worktree { checked_out: Some(book.clone()), ..Worktree::default() };
    failed.fail(book.source.clone(), "no".to_owned(), at(0));
    let placing = Some(Box::new(Placing { checked_out: book.clone(), directory: found.clone() }));
    let staged = Worktree { placing: placing.clone(), ..failed.clone() };
    let empty = Worktree { checked_out: None, ..failed.clone() };
    for (name, known, wanted, directory, gets) in [
        ("it is there", &staged, Some(&book.source), Some(&found), placing.clone()),
        ("none is wanted", &staged, None, Some(&found), None),
        ("another is wanted", &staged, Some(&other), Some(&found), None),
        ("nothing is there", &staged, Some(&book.source), None, None),
        ("something else is there", &staged, Some(&book.source), Some(&DirectoryId::new(8, Some(SECOND))), None),
        ("nothing is remembered", &failed, Some(&book.source), Some(&found), None),
    ] {
        let wanted = known.clone().of_new_cell(wanted, directory);
        assert_eq!(wanted, Worktree { placing: gets, ..empty.clone() }, "{name}");
    }
    let mut handed_over = staged;
    handed_over.hand_over(book.clone());
    assert_eq!(handed_over, Worktree { checked_out: Some(book), ..Worktree::default() });
}

/// A mission whose proposal names a repository that can be read, and the changes that create its cell.
struct Scene {
    repository: Repository,
    host: Host,
    seen: Observation,
    check_out: Change,
    create_cell: Change,
    /// Told each time a checkout has ended.
    ended: Arc<Notify>,
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
        let [check_out, create_cell] = planned_cell(&seen).try_into().unwrap();
        Self { repository, host, seen, check_out, create_cell, ended: Arc::default() }
    }

    /// What a process that starts now makes changes with.
    fn applier(&self) -> Applier {
        let token = Token::parse(self.repository.forge.token("bot")).unwrap();
        let gitea = Gitea::builder(self.seen.here.forge.clone(), token).build().unwrap();
        let access = LockOptions { lock_wait: PATIENCE, is_lasting: false, group: None };
        let entry = RootAccess::to(&self.host.root(), access).unwrap();
        let ended = Arc::clone(&self.ended);
        let checkouts = Checkouts::new(None, Caller::new(move |_| ended.notify_one()));
        Applier::new(gitea, Arc::clone(&self.seen.here), access, entry, checkouts)
    }

    /// Makes the change that checks out, as often as it takes: first it begins, and when that has ended it succeeds.
    async fn check_out(&self, applier: &Applier) {
        while let Err(error) = applier.apply(&self.check_out).await {
            assert!(matches!(error, WorldError::CheckoutUnderWay(_)), "{error}");
            self.ended.notified().await;
        }
    }

    fn worktree(&self) -> PathBuf {
        self.host.root().join(self.seen.mission_id.to_string()).join("worktree")
    }

    fn is_filled(&self) -> bool {
        self.worktree().join(".gitea/ISSUE_TEMPLATE/mission-proposal.yaml").exists()
    }

    /// How much lies in staging.
    fn staged(&self) -> usize {
        std::fs::read_dir(self.host.root().join(".lazarus/staging")).unwrap().count()
    }

    /// The worktree is there, and both the record and the cell say so.
    async fn check_handed_over(&self, applier: &Applier) {
        let Worktree { checked_out, placing, failed, under_way: None } = self.remembered(applier).await else {
            unreachable!("nothing was told")
        };
        let cell = self.worktree().parent().unwrap().to_owned();
        assert!(self.is_filled() && checked_out.is_some() && placing.is_none() && failed.is_none());
        assert_eq!(self.staged(), 0);
        let Ok(file) = std::fs::read_to_string(cell.join("meta/mission.json")) else { return };
        assert!(file.contains(&checked_out.unwrap().commit.to_string()), "{file}");
        let log = std::fs::read_to_string(cell.join("logs/daemon.log")).unwrap();
        assert_eq!(log.matches("\"check-out\"").count(), 1, "{log}");
    }

    /// What is remembered of the worktree.
    async fn remembered(&self, applier: &Applier) -> Worktree {
        applier.remembered(&self.seen.issue.key).await.unwrap().unwrap().worktree
    }
}

#[tokio::test]
async fn a_checkout_fills_a_missing_worktree_before_it_is_recreated() {
    let scene = Scene::new().await;
    let applier = scene.applier();
    applier.apply(&scene.create_cell).await.unwrap();
    std::fs::remove_dir(scene.worktree()).unwrap();
    scene.check_out(&applier).await;
    assert!(scene.is_filled() && scene.remembered(&applier).await.checked_out.is_some());
}

#[tokio::test]
async fn another_applier_creates_the_cell_with_the_checkout_of_the_first() {
    let scene = Scene::new().await;
    let first = scene.applier();
    scene.check_out(&first).await;
    let second = first.at(scene.seen.here.now.plus(seconds(30)));
    drop(first);
    second.apply(&scene.create_cell).await.unwrap();
    scene.check_handed_over(&second).await;
    scene.check_out(&second).await;
    scene.check_handed_over(&second).await;
}

#[tokio::test]
async fn a_cell_that_could_not_be_created_is_not_recorded_as_filled() {
    let scene = Scene::new().await;
    let first = scene.applier();
    scene.check_out(&first).await;
    // Somebody else was quicker, with a cell that is empty.
    std::fs::create_dir_all(scene.worktree()).unwrap();
    std::fs::create_dir(scene.worktree().parent().unwrap().join("meta")).unwrap();
    first.apply(&scene.create_cell).await.unwrap_err();
    assert_eq!((scene.staged(), scene.remembered(&first).await.checked_out), (0, None));
    drop(first);
    let second = scene.applier();
    scene.check_out(&second).await;
    scene.check_handed_over(&second).await;
}

#[tokio::test]
async fn a_cell_that_is_created_before_its_checkout_is_filled_by_it() {
    let scene = Scene::new().await;
    let applier = scene.applier();
    applier.apply(&scene.create_cell).await.unwrap();
    assert!(!scene.is_filled());
    scene.check_out(&applier).await;
    scene.check_handed_over(&applier).await;
}

#[tokio::test]
async fn a_staged_checkout_of_a_dead_process_is_not_used() {
    let scene = Scene::new().await;
    let first = scene.applier();
    scene.check_out(&first).await;
    assert!(scene.remembered(&first).await.placing.is_some());
    drop(first);
    let second = scene.applier();
    second.apply(&scene.create_cell).await.unwrap();
    assert_eq!(scene.remembered(&second).await, Worktree::default());
    assert!(!scene.is_filled());
    scene.check_out(&second).await;
    scene.check_handed_over(&second).await;
}

#[tokio::test]
async fn a_cell_for_another_repository_does_not_get_the_staged_checkout() {
    for wanted in [None, Some(checked_out().source)] {
        let scene = Scene::new().await;
        let applier = scene.applier();
        scene.check_out(&applier).await;
        let Change::CreateCell { manifest, worktree: _, record } = scene.create_cell.clone() else { unreachable!() };
        applier.apply(&Change::CreateCell { manifest, worktree: wanted, record }).await.unwrap();
        assert_eq!(scene.remembered(&applier).await, Worktree::default());
        assert!(!scene.is_filled() && scene.staged() == 0);
    }
}

#[tokio::test]
async fn a_checkout_whose_cell_was_never_created_is_repeated() {
    let scene = Scene::new().await;
    let applier = scene.applier();
    scene.check_out(&applier).await;
    scene.check_out(&applier).await;
    applier.apply(&scene.create_cell).await.unwrap();
    scene.check_handed_over(&applier).await;
}

#[tokio::test]
async fn a_cell_is_not_created_during_its_checkout() {
    let scene = Scene::new().await;
    let applier = scene.applier();
    let is_put_off = |made: Result<(), WorldError>| matches!(made, Err(WorldError::CheckoutUnderWay(_)));
    assert!(is_put_off(applier.apply(&scene.check_out).await), "nobody waits for it");
    // Whoever edits the proposal meanwhile may want another repository, or none.
    let Change::CreateCell { manifest, worktree: _, record } = scene.create_cell.clone() else { unreachable!() };
    let empty = Change::CreateCell { manifest, worktree: None, record };
    while is_put_off(applier.apply(&empty).await) {
        assert!(!scene.worktree().exists());
        scene.ended.notified().await;
    }
    assert!(scene.worktree().exists() && !scene.is_filled() && scene.staged() == 0);
}
