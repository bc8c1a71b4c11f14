//! One member of a group: what it said of itself, what it was given and what it waits for. Knows nothing of the group's state.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::coordinator::{Token, When};
use crate::group::command::{Client, GroupError, GroupReply, Join};
use crate::group::out::Out;
use crate::group::record::ClassicMember;
use crate::prng::Prng;
use crate::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) instance: Option<String>,
    pub(super) client: Client,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    /// Name and metadata, the preferred one first.
    pub(super) protocols: Vec<(String, Vec<u8>)>,
    pub(super) assignment: Vec<u8>,
    /// It has not been answered to its first join: it does not know its id and cannot send heartbeats.
    pub(super) is_new: bool,
    pub(super) join: Option<Waiting>,
    pub(super) sync: Option<Waiting>,
    /// It has joined this generation and not asked for its assignment.
    pub(super) owes_sync: bool,
    /// `None` while an answer that it waits for keeps it alive.
    pub(super) expires_at: Option<Instant>,
    /// When it is looked at; never after it expires.
    pub(super) watched_at: Option<Instant>,
}

/// An answer that is owed, though perhaps nobody listens any more.
#[derive(Debug)]
pub(super) struct Waiting(Token);

impl Waiting {
    pub(super) fn new(token: Token) -> Self {
        Self(token)
    }

    pub(super) fn answer(self, out: &mut Out<'_>, reply: GroupReply, when: When) {
        out.answer(self.0, reply, when);
    }

    pub(super) fn fail(self, out: &mut Out<'_>, error: GroupError) {
        self.answer(out, GroupReply::Failed(error), When::AtOnce);
    }
}

impl Member {
    pub(super) fn new(join: &mut Join) -> Self {
        Self {
            instance: join.instance.clone(),
            client: join.client.clone(),
            rebalance_timeout: join.rebalance_timeout,
            session_timeout: join.session_timeout,
            protocols: core::mem::take(&mut join.protocols),
            is_new: true,
            ..Self::default()
        }
    }

    /// The member of a record: one of `before` where it is known.
    pub(super) fn replayed(
        before: &mut BTreeMap<String, Self>,
        protocol: &str,
        record: ClassicMember,
    ) -> (String, Self) {
        let chosen = (String::from(protocol), record.subscription);
        let mut member = before.remove(&record.id).unwrap_or_default();
        assert!(!member.waits(), "who waits for an answer has got it with the decision");
        if !member.protocols.contains(&chosen) {
            member.protocols = vec![chosen];
        }
        member.instance = record.instance;
        member.client = record.client;
        member.rebalance_timeout = record.rebalance_timeout;
        member.session_timeout = record.session_timeout;
        member.assignment = record.assignment;
        (record.id, member)
    }

    /// Empty for a protocol that it does not support.
    pub(super) fn metadata(&self, protocol: &str) -> &[u8] {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.as_slice()).unwrap_or_default()
    }

    pub(super) fn waits(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }

    /// Whether it needs no heartbeats now.
    pub(super) fn is_kept_alive(&self) -> bool {
        !self.is_new && self.waits()
    }
}

/// A version 4 UUID behind the name of the client, or of the instance.
pub(super) fn new_id(prng: &mut Prng, join: &Join) -> String {
    let prefix = join.instance.as_ref().unwrap_or(&join.client.id);
    let high = prng.next_u64() & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = prng.next_u64() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    let (time_low, time_mid, version) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    format!(
        "{prefix}-{time_low:08x}-{time_mid:04x}-{version:04x}-{:04x}-{:012x}",
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
