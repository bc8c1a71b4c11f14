//! Until when members have to be heard of. Not on disk, and without an allocation at a heartbeat.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::group::by_name::ByName;
use crate::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Timers {
    members: ByName<Deadlines>,
    /// No deadline is earlier. Heartbeats only make them later, so this is looked up again when it has passed.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Deadlines {
    session: Instant,
    /// When all that it is to give back has to be back.
    revocation: Option<Instant>,
    /// When a member of the classic protocol that was told to join again has to have done so.
    join: Option<Instant>,
    /// When such a member that has joined has to have asked for its assignment.
    sync: Option<Instant>,
}

/// What a member has not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Heartbeat,
    Revocation,
    Join,
    Sync,
}

impl Deadlines {
    fn overdue(&self, now: Instant) -> Overdue {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        match self {
            _ if is_over(self.revocation) => Overdue::Revocation,
            _ if is_over(self.join) => Overdue::Join,
            _ if is_over(self.sync) => Overdue::Sync,
            _ => Overdue::Heartbeat,
        }
    }

    fn first(&self) -> Instant {
        [self.revocation, self.join, self.sync].into_iter().flatten().fold(self.session, Instant::min)
    }
}

impl Timers {
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn on_heartbeat(&mut self, member: &str, session: Instant) {
        match self.members.get_mut(member) {
            Some(deadlines) => deadlines.session = session,
            None => {
                let deadlines = Deadlines { session, revocation: None, join: None, sync: None };
                self.members.insert(member.to_string(), deadlines);
            }
        }
        self.note(session);
    }

    pub(super) fn on_revocation(&mut self, member: &str, revocation: Option<Instant>) {
        let Some(deadlines) = self.members.get_mut(member) else { return };
        deadlines.revocation = revocation;
        if let Some(revocation) = revocation {
            self.note(revocation);
        }
    }

    /// It is to join again, if it was not told so before.
    pub(super) fn on_join_owed(&mut self, member: &str, until: Instant) {
        let Some(deadlines) = self.members.get_mut(member) else { return };
        let until = *deadlines.join.get_or_insert(until);
        self.note(until);
    }

    pub(super) fn on_join(&mut self, member: &str, sync_until: Instant) {
        let Some(deadlines) = self.members.get_mut(member) else { return };
        (deadlines.join, deadlines.sync) = (None, Some(sync_until));
        self.note(sync_until);
    }

    pub(super) fn on_sync(&mut self, member: &str) {
        let Some(deadlines) = self.members.get_mut(member) else { return };
        deadlines.sync = None;
    }

    pub(super) fn remove(&mut self, member: &str) {
        self.members.remove(member);
        if self.members.is_empty() {
            self.next = None;
        }
    }

    /// Those who are overdue, and with what. From then on `next` is exact.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(String, Overdue)> {
        let due = self.members.iter().filter(|(_, deadlines)| deadlines.first() <= now);
        let due = due.map(|(member, deadlines)| (member.clone(), deadlines.overdue(now))).collect();
        self.next = self.members.values().map(Deadlines::first).filter(|first| *first > now).min();
        due
    }

    fn note(&mut self, deadline: Instant) {
        self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
    }
}
