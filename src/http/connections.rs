//! Limits connections in total and per peer, and evicts the one that has been idle for longest when all slots are
//! taken.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The connection slots of one listener.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    /// The number of slots.
    limit: usize,
    /// The most slots of one peer; loopback is exempt.
    limit_per_peer: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    by_peer: HashMap<IpAddr, usize>,
    /// The eviction signal of each connection, by its last use; the least recently used comes first.
    by_last_use: BTreeMap<u64, Arc<Notify>>,
    uses: u64,
}

/// A connection's slot; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    peer: IpAddr,
    /// Changes only while `slots` is locked.
    last_use: AtomicU64,
    evicted: Arc<Notify>,
}

impl ConnectionSlots {
    pub(super) fn new(limit: usize, limit_per_peer: usize) -> Self {
        Self { limit, limit_per_peer, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn add_use(&mut self, evicted: &Arc<Notify>) -> u64 {
        self.uses += 1;
        self.by_last_use.insert(self.uses, Arc::clone(evicted));
        self.uses
    }
}

impl ConnectionSlot {
    /// A slot for a peer; none if the peer has reached its limit. If all slots are taken, the connection that has been
    /// idle for longest is evicted, so that idle connections keep no client out, not even those from loopback.
    pub(super) fn take(slots: &Arc<ConnectionSlots>, address: IpAddr) -> Option<Self> {
        let peer = ip_prefix(address);
        let mut taken = slots.taken();
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or_default();
        if !peer.is_loopback() && of_peer >= slots.limit_per_peer {
            return None;
        }
        if taken.by_last_use.len() >= slots.limit {
            let (_, oldest) = taken.by_last_use.pop_first()?;
            oldest.notify_one();
        }
        taken.by_peer.insert(peer, of_peer + 1);
        let evicted = Arc::new(Notify::new());
        let last_use = AtomicU64::new(taken.add_use(&evicted));
        drop(taken);
        Some(Self { slots: Arc::clone(slots), peer, last_use, evicted })
    }

    /// Records a request or a response: the connection becomes the last candidate for eviction.
    pub(super) fn touch(&self) {
        let mut taken = self.slots.taken();
        if taken.by_last_use.remove(&self.last_use.load(Ordering::Relaxed)).is_some() {
            self.last_use.store(taken.add_use(&self.evicted), Ordering::Relaxed);
        }
    }

    /// Resolves when another connection needs the slot.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.by_last_use.remove(&self.last_use.load(Ordering::Relaxed));
        let left = taken.by_peer.get(&self.peer).map_or(0, |count| count - 1);
        if left == 0 {
            taken.by_peer.remove(&self.peer);
        } else {
            taken.by_peer.insert(self.peer, left);
        }
    }
}

/// The key of a peer: an IPv4 address, or the /64 prefix of an IPv6 address, because one host usually owns a whole /64.
fn ip_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    }
}
