//! Who is connected, how often, and who has to leave when one more comes and no place is left.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All places of one listener.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    /// How many there are.
    most: usize,
    /// How many somebody may have who is not on this very machine.
    most_per_peer: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    by_peer: HashMap<IpAddr, usize>,
    /// How to ask each connection to leave; the one that has been still for longest comes first.
    by_turn: BTreeMap<u64, Arc<Notify>>,
    turns: u64,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    places: Arc<ConnectionSlots>,
    peer: IpAddr,
    /// Changes only while `places` is locked.
    turn: AtomicU64,
    leave: Arc<Notify>,
}

impl ConnectionSlots {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Self {
        Self { most, most_per_peer, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn take_turn(&mut self, leave: &Arc<Notify>) -> u64 {
        self.turns += 1;
        self.by_turn.insert(self.turns, Arc::clone(leave));
        self.turns
    }
}

impl ConnectionSlot {
    /// A place for somebody, unless he has too many. If all are taken, whoever has been still for longest leaves for him: so
    /// nobody who only holds places keeps others out, not even from this very machine.
    pub(super) fn take(places: &Arc<ConnectionSlots>, address: IpAddr) -> Option<Self> {
        let peer = ip_prefix(address);
        let mut taken = places.taken();
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or_default();
        if !peer.is_loopback() && of_peer >= places.most_per_peer {
            return None;
        }
        if taken.by_turn.len() >= places.most {
            let (_, oldest) = taken.by_turn.pop_first()?;
            oldest.notify_one();
        }
        taken.by_peer.insert(peer, of_peer + 1);
        let leave = Arc::new(Notify::new());
        let turn = AtomicU64::new(taken.take_turn(&leave));
        drop(taken);
        Some(Self { places: Arc::clone(places), peer, turn, leave })
    }

    /// Somebody asked, or got an answer, and so is the last who has to leave.
    pub(super) fn renew(&self) {
        let mut taken = self.places.taken();
        if taken.by_turn.remove(&self.turn.load(Ordering::Relaxed)).is_some() {
            self.turn.store(taken.take_turn(&self.leave), Ordering::Relaxed);
        }
    }

    /// When somebody else needs the place.
    pub(super) async fn is_needed(&self) {
        self.leave.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.by_turn.remove(&self.turn.load(Ordering::Relaxed));
        let left = taken.by_peer.get(&self.peer).map_or(0, |count| count - 1);
        if left == 0 {
            taken.by_peer.remove(&self.peer);
        } else {
            taken.by_peer.insert(self.peer, left);
        }
    }
}

/// One peer: an address, or the /64 that somebody with an IPv6 address has for himself.
fn ip_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    }
}
