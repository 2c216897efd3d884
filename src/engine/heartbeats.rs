//! Hears of heartbeats that came over the network, so that news in them need not wait for the next tick.

use crate::engine::Engine;
use crate::mission::identity::MissionId;
use crate::queue::Key;
use crate::world::beats::Beaten;
use crate::world::cells;
use crate::world::mutex::locked;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many beats are taken at once, at most.
const BEATS_MAX: usize = 256;

impl Engine {
    /// Hears for as long as this lives.
    pub(super) async fn hear_beats(self: Arc<Self>) {
        let Some(mut beats) = locked(&self.beaten).take() else { return };
        let mut heard = Vec::new();
        while beats.recv_many(&mut heard, BEATS_MAX).await > 0 {
            let news = self.news_of(&mut heard);
            if !news.is_empty() {
                self.look_into(news).await;
            }
        }
    }

    /// The cells of which something else is shown than what was heard. Most beats only say that all is as it was.
    fn news_of(&self, heard: &mut Vec<Beaten>) -> BTreeSet<MissionId> {
        let fleet = locked(&self.fleet);
        heard.drain(..).filter(|(id, says)| !fleet.is_shown(*id, *says)).map(|(id, _)| id).collect()
    }

    async fn look_into(self: &Arc<Self>, ids: BTreeSet<MissionId>) {
        let root = Arc::clone(&self.root);
        let look = move || ids.into_iter().map(|id| (id, cells::look(&*root, id, root.resolver()))).collect::<Vec<_>>();
        let Ok(sightings) = tokio::task::spawn_blocking(look).await else { return };
        let ground = self.ground();
        let mut keys: Vec<Key> = Vec::new();
        {
            let mut fleet = locked(&self.fleet);
            keys.extend(sightings.iter().filter_map(|(id, sighting)| fleet.notice(*id, sighting, &ground)));
        }
        for key in keys {
            self.queue.add(key);
        }
        self.publish();
    }
}
