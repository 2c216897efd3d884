//! What several chapters of the specification need.

pub(crate) mod bodies;
pub(crate) mod cells;
pub(crate) mod daemon;
pub(crate) mod fences;
pub(crate) mod flood;
pub(crate) mod floods;
pub(crate) mod forge;
pub(crate) mod git_forge;
pub(crate) mod gitea;
pub(crate) mod golden;
pub(crate) mod host;
pub(crate) mod listener;
pub(crate) mod missions;
pub(crate) mod recorded_forge;
pub(crate) mod repository;
pub(crate) mod service;
pub(crate) mod site;
pub(crate) mod stub;
pub(crate) mod tower;
pub(crate) mod worktree;

use std::time::Duration;

/// Whether there is time for everything: `LAZARUS_TEST_THOROUGH=1`, as in CI. Otherwise some long tests try a part, so
/// that all of them together stay below a minute.
pub(crate) fn is_thorough() -> bool {
    std::env::var_os("LAZARUS_TEST_THOROUGH").is_some_and(|is_it| is_it != "0")
}

/// How long something may take that is over in a moment on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds that is to hold in a moment.
pub(crate) async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// Makes two tests of each story: one on the sandbox, and one on a real Gitea, which is ignored where there is none.
macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        mod on_the_sandbox {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::support::forge::Forge::sandbox().await).await;
            })+
        }
        mod on_a_real_gitea {
            $(#[tokio::test]
            #[cfg_attr(not(live_gitea), ignore = "LAZARUS_TEST_GITEA names no Gitea")]
            async fn $story() {
                let forge = crate::support::forge::Forge::real().await;
                super::$story(forge.expect("LAZARUS_TEST_GITEA named one when this was built")).await;
            })+
        }
    };
}
pub(crate) use stories;
