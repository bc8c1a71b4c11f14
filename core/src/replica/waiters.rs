//! Who waits for an offset: producers for their acks, readers for something to read. Knows tokens, not who is behind them.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::id::Offset;
use crate::replica::{Acks, Woken};

/// Whether what was asked for is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Now,
    Later,
}

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// By last offset: acks=1.
    leader: BTreeSet<(Offset, u64)>,
    /// By last offset: acks=all.
    all: BTreeSet<(Offset, u64)>,
    watchers: BTreeSet<(Offset, u64)>,
    watched: BTreeMap<u64, Offset>,
}

impl Waiters {
    pub(super) fn wait(&mut self, last: Offset, acks: Acks, token: u64) {
        let waiting = match acks {
            Acks::None => return,
            Acks::Leader => &mut self.leader,
            Acks::All => &mut self.all,
        };
        waiting.insert((last, token));
    }

    pub(super) fn watch(&mut self, from: Offset, token: u64) {
        self.unwatch(token);
        self.watchers.insert((from, token));
        self.watched.insert(token, from);
    }

    pub(super) fn unwatch(&mut self, token: u64) {
        if let Some(from) = self.watched.remove(&token) {
            self.watchers.remove(&(from, token));
        }
    }

    /// Takes out all whose offset lies before the end that they wait for.
    pub(super) fn wake(&mut self, durable_end: Offset, high_watermark: Offset) -> Woken {
        let mut acks = take_below(&mut self.leader, durable_end);
        acks.append(&mut take_below(&mut self.all, high_watermark));
        let watchers = take_below(&mut self.watchers, high_watermark);
        for (_, token) in &watchers {
            self.watched.remove(token);
        }
        let tokens = |set: BTreeSet<(Offset, u64)>| set.into_iter().map(|(_, token)| token).collect();
        Woken { acks: tokens(acks), watchers: tokens(watchers), high_watermark: None }
    }

    pub(super) fn take_all(&mut self) -> Woken {
        self.wake(Offset(i64::MAX), Offset(i64::MAX))
    }

    pub(super) fn invariants(&self, durable_end: Offset, high_watermark: Offset) {
        assert!(
            self.leader.first().is_none_or(|(last, _)| *last >= durable_end),
            "who can be answered is woken"
        );
        assert!(
            self.all.first().is_none_or(|(last, _)| *last >= high_watermark),
            "who can be answered is woken"
        );
        assert!(self.watchers.first().is_none_or(|(from, _)| *from >= high_watermark), "watchers are woken");
        assert!(self.watchers.len() == self.watched.len(), "a token watches one offset");
    }
}

fn take_below(set: &mut BTreeSet<(Offset, u64)>, end: Offset) -> BTreeSet<(Offset, u64)> {
    let rest = set.split_off(&(end, 0));
    core::mem::replace(set, rest)
}
