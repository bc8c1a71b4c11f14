//! Fetch sessions (KIP-227): what a client wants is remembered between its fetches, so that a fetch names only what changed, and
//! its answer only what is new. Knows which partitions are wanted, not how they are read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::topic::{Naming, TopicKey};
use crate::limits::{
    FETCH_PARTITIONS_MAX, FETCH_SESSION_IDLE, FETCH_SESSION_PARTITIONS_MAX, FETCH_SESSIONS_MAX,
};
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::time::Instant;
use crate::wire::ErrorCode;

/// The epoch of a fetch that wants no session, or ends one.
const FINAL_EPOCH: i32 = -1;
/// The epoch of a fetch that wants a new session.
const INITIAL_EPOCH: i32 = 0;
/// The id that means no session.
pub(super) const NO_SESSION: i32 = 0;

/// A partition as a fetch names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) topic: TopicKey,
    pub(super) index: i32,
}

/// What a client wants of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) offset: i64,
    pub(super) current_leader_epoch: i32,
    pub(super) bytes_max: i32,
}

/// What the client was told of a partition last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) high_watermark: i64,
    pub(super) log_start_offset: i64,
}

#[derive(Debug)]
struct Cached {
    want: Want,
    told: Option<Told>,
    /// Its place in `order`.
    turn: u64,
}

#[derive(Debug)]
struct Session {
    naming: Naming,
    epoch: i32,
    used: Instant,
    partitions: BTreeMap<Name, Cached>,
    /// The order of reading: a partition that had records goes to the end, so that each gets its turn.
    order: BTreeMap<u64, Name>,
    next_turn: u64,
}

/// The session part of a fetch.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) naming: Naming,
    pub(super) wanted: Vec<(Name, Want)>,
    pub(super) forgotten: Vec<Name>,
}

/// How a fetch uses sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    None,
    /// All is answered, and the session's id.
    Full {
        session_id: i32,
    },
    /// What is new is answered.
    Incremental {
        session_id: i32,
    },
}

/// The sessions of one shard.
///
/// Invariants: at most [`FETCH_SESSIONS_MAX`] sessions; their partitions add up to `partitions`, at most
/// [`FETCH_SESSION_PARTITIONS_MAX`].
#[derive(Debug)]
pub(super) struct Sessions {
    prng: Prng,
    sessions: BTreeMap<i32, Session>,
    partitions: usize,
}

impl Sessions {
    pub(super) fn new(prng: Prng) -> Self {
        Self { prng, sessions: BTreeMap::new(), partitions: 0 }
    }

    /// What is to be read, in order, and how it is answered.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        asked: Asked,
    ) -> Result<(Use, Vec<(Name, Want)>), ErrorCode> {
        match asked.session_epoch {
            FINAL_EPOCH => {
                self.remove(asked.session_id);
                Ok((Use::None, asked.wanted))
            }
            INITIAL_EPOCH => {
                self.remove(asked.session_id);
                let session_id = self.create(now, &asked);
                Ok((Use::Full { session_id }, asked.wanted))
            }
            _ => self.go_on(now, asked),
        }
    }

    fn go_on(&mut self, now: Instant, asked: Asked) -> Result<(Use, Vec<(Name, Want)>), ErrorCode> {
        let session_id = asked.session_id;
        let session = self.sessions.get_mut(&session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.naming != asked.naming {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if session.epoch != asked.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        let before = session.partitions.len();
        for name in &asked.forgotten {
            session.forget(name);
        }
        for (name, want) in asked.wanted {
            session.want(name, want);
        }
        session.epoch = next_epoch(session.epoch);
        session.used = now;
        let after = session.partitions.len();
        self.partitions = self.partitions - before + after;
        let wanted = session.wanted();
        // A session of nothing is none; one that outgrew its bound is given up, and the client sends all next time.
        if after == 0 || after > FETCH_PARTITIONS_MAX || self.partitions > FETCH_SESSION_PARTITIONS_MAX {
            self.remove(session_id);
            if after > 0 {
                return Err(ErrorCode::FetchSessionIdNotFound);
            }
            return Ok((Use::None, wanted));
        }
        Ok((Use::Incremental { session_id }, wanted))
    }

    /// A new session, if there is room or an idle one gives way. [`NO_SESSION`] is always a legal answer.
    fn create(&mut self, now: Instant, asked: &Asked) -> i32 {
        let mut session = Session::new(asked.naming, now);
        for (name, want) in &asked.wanted {
            session.want(name.clone(), *want);
        }
        let count = session.partitions.len();
        while count > 0 && !self.has_room(count) {
            let oldest = self.sessions.iter().min_by_key(|(id, session)| (session.used, **id));
            match oldest {
                Some((&id, oldest)) if now.since(oldest.used) >= FETCH_SESSION_IDLE => self.remove(id),
                _ => return NO_SESSION,
            }
        }
        if count == 0 {
            return NO_SESSION;
        }
        let id = loop {
            let id =
                i32::try_from(self.prng.between(1, i32::MAX.unsigned_abs().into())).expect("within 31 bits");
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.partitions += count;
        self.sessions.insert(id, session);
        id
    }

    fn has_room(&self, partitions: usize) -> bool {
        self.sessions.len() < FETCH_SESSIONS_MAX
            && self.partitions + partitions <= FETCH_SESSION_PARTITIONS_MAX
    }

    fn remove(&mut self, session_id: i32) {
        if let Some(session) = self.sessions.remove(&session_id) {
            self.partitions -= session.partitions.len();
        }
    }

    /// What the client of a session is about to be told of a partition. Says whether that is news, if it is no records and no
    /// error.
    pub(super) fn tell(&mut self, session_id: i32, name: &Name, told: Told) -> bool {
        let session = self.sessions.get_mut(&session_id);
        let Some(cached) = session.and_then(|session| session.partitions.get_mut(name)) else { return true };
        cached.told.replace(told) != Some(told)
    }

    /// The client of a session is about to get records of a partition, or an error: others come first next time.
    pub(super) fn rotate(&mut self, session_id: i32, name: &Name, news: Rotation) {
        let Some(session) = self.sessions.get_mut(&session_id) else { return };
        let Some(cached) = session.partitions.get_mut(name) else { return };
        if news == Rotation::Error {
            // Told again, once the error is over.
            cached.told = None;
        }
        let turn = core::mem::replace(&mut cached.turn, session.next_turn);
        session.order.remove(&turn);
        session.order.insert(session.next_turn, name.clone());
        session.next_turn += 1;
    }
}

/// Why a partition goes to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    Records,
    Error,
}

impl Session {
    fn new(naming: Naming, now: Instant) -> Self {
        Self {
            naming,
            epoch: 1,
            used: now,
            partitions: BTreeMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
        }
    }

    fn want(&mut self, name: Name, want: Want) {
        if let Some(cached) = self.partitions.get_mut(&name) {
            let offset =
                if mutant::on(Mutant::SessionForgetsOffset) { cached.want.offset } else { want.offset };
            cached.want = Want { offset, ..want };
            return;
        }
        self.order.insert(self.next_turn, name.clone());
        self.partitions.insert(name, Cached { want, told: None, turn: self.next_turn });
        self.next_turn += 1;
    }

    fn forget(&mut self, name: &Name) {
        if let Some(cached) = self.partitions.remove(name) {
            self.order.remove(&cached.turn);
        }
    }

    fn wanted(&self) -> Vec<(Name, Want)> {
        self.order.values().map(|name| (name.clone(), self.partitions[name].want)).collect()
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
