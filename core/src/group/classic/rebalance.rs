//! From one generation to the next: waiting for the members, counting them, telling them, and everything that time does to a group.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::member::Member;
use super::{ClassicGroup, Initial, Pending, Phase, Preparing};
use crate::coordinator::When;
use crate::group::command::{GroupError, GroupReply};
use crate::group::out::{Out, Reason};
use crate::limits::GROUP_REJOIN_WAIT_MIN;
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Instant, Now};

impl ClassicGroup {
    /// Its members shall join again. A rebalance that has begun goes on, and ends if nobody is waited for any more.
    pub fn rebalance(&mut self, out: &mut Out<'_>, reason: Reason) {
        match self.phase {
            Phase::Preparing(Preparing { initial: None, .. }) if self.has_all() => self.complete(out),
            Phase::Preparing(_) => {}
            Phase::Empty | Phase::Completing | Phase::Stable => self.prepare(out, reason),
        }
    }

    fn prepare(&mut self, out: &mut Out<'_>, reason: Reason) {
        if self.phase == Phase::Completing {
            self.refuse_syncs(out, &GroupError::RebalanceInProgress);
        }
        self.owe_no_syncs();
        let timeout = self.rebalance_timeout();
        let initial = (self.phase == Phase::Empty).then(|| {
            let delay = out.settings.initial_rebalance_delay;
            Initial { delay, remaining: less(timeout, delay), joined: false }
        });
        let wait = initial.map_or(timeout, |initial| initial.delay);
        let until = out.now.mono + wait;
        self.turn(out, Phase::Preparing(Preparing { until, initial }), reason);
        if initial.is_none() && self.has_all() {
            self.complete(out);
        }
    }

    pub(super) fn refuse_syncs(&mut self, out: &mut Out<'_>, error: &GroupError) {
        let mut answered = Vec::new();
        for (id, member) in self.members.iter_mut() {
            member.assignment.clear();
            if let Some(waiting) = member.sync.take() {
                if !mutant::on(Mutant::SyncNotRefused) {
                    waiting.fail(out, error.clone());
                }
                answered.push(id.clone());
            }
        }
        for id in answered {
            self.restart_session(out.now, &id);
        }
    }

    fn owe_no_syncs(&mut self) {
        self.sync_until = None;
        self.unsynced = 0;
        for member in self.members.values_mut() {
            member.owes_sync = false;
        }
    }

    pub(super) fn has_all(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// The join phase is over: those who came are the next generation, and static members that did not come.
    pub(super) fn complete(&mut self, out: &mut Out<'_>) {
        let is_gone = |(_, member): &(&String, &Member)| member.join.is_none() && member.instance.is_none();
        let gone: Vec<String> = self.members.iter().filter(is_gone).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.remove(out, id);
        }
        if !self.members.is_empty() && !self.elect() {
            return self.wait_again(out);
        }
        if !mutant::on(Mutant::GenerationNotBumped) {
            self.generation = self.generation.checked_add(1).unwrap_or_default();
        }
        if self.members.is_empty() {
            self.protocol = None;
            self.turn(out, Phase::Empty, Reason::JoinEnded(gone));
            self.write(out, self.value());
        } else {
            self.protocol = self.vote().map(String::from);
            assert!(self.protocol.is_some(), "a join is taken if it leaves a protocol that all support");
            self.subscribed = self.subscriptions();
            self.turn(out, Phase::Completing, Reason::JoinEnded(gone));
            self.tell_all(out);
        }
    }

    /// A leader that has joined, if there is one.
    fn elect(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|member| member.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.join.is_some());
        let Some((id, _)) = joined else { return false };
        self.leader = Some(id.clone());
        true
    }

    /// Nobody came but static members are kept until their sessions end.
    fn wait_again(&mut self, out: &Out<'_>) {
        let wait = self.rebalance_timeout().max(GROUP_REJOIN_WAIT_MIN);
        let until = out.now.mono + wait;
        match &mut self.phase {
            Phase::Preparing(preparing) => preparing.until = until,
            Phase::Empty | Phase::Completing | Phase::Stable => unreachable!("only a rebalance ends"),
        }
    }

    fn tell_all(&mut self, out: &mut Out<'_>) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            let joined = self.joined(id);
            let member = self.members.get_mut(id).expect("it was just listed");
            member.is_new = false;
            member.owes_sync = true;
            if let Some(waiting) = member.join.take() {
                waiting.answer(out, GroupReply::Joined(joined), When::AtOnce);
            }
            self.restart_session(out.now, id);
        }
        self.joining = 0;
        self.unsynced = ids.len();
        self.sync_until = Some(out.now.mono + self.rebalance_timeout());
    }

    /// Takes a member out, with what it waits for.
    pub(super) fn remove(&mut self, out: &mut Out<'_>, id: &str) {
        let Some(mut member) = self.members.remove(id) else { return };
        self.unwatch(id, &member);
        self.supported.subtract(&member);
        self.joining -= usize::from(member.join.is_some());
        self.unsynced -= usize::from(member.owes_sync);
        for waiting in [member.join.take(), member.sync.take()].into_iter().flatten() {
            waiting.fail(out, GroupError::UnknownMember);
        }
        if let Some(instance) = member.instance
            && self.instances.get(&instance).is_some_and(|known| known == id)
        {
            self.instances.remove(&instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// The group gives way to one of another protocol: who waits shall ask again.
    pub fn dismiss(&mut self, out: &mut Out<'_>) {
        for member in self.members.values_mut() {
            for waiting in [member.join.take(), member.sync.take()].into_iter().flatten() {
                waiting.fail(out, GroupError::RebalanceInProgress);
            }
        }
        self.joining = 0;
    }

    /// An id that was given out has joined, or will not.
    pub(super) fn pending_gone(&mut self, id: &str) -> bool {
        let Some((id, Pending { expires_at, .. })) = self.pending.remove_entry(id) else { return false };
        self.sessions.remove(&(expires_at, id));
        true
    }

    pub fn deadline(&self) -> Option<Instant> {
        let join = match self.phase {
            Phase::Preparing(preparing) => Some(preparing.until),
            Phase::Empty | Phase::Completing | Phase::Stable => None,
        };
        let session = self.sessions.first().map(|(at, _)| *at);
        let at_once = self.is_unwritten.then(Instant::default);
        [join, self.sync_until, session, at_once].into_iter().flatten().min()
    }

    pub fn on_deadline(&mut self, out: &mut Out<'_>) {
        let now = out.now.mono;
        if mem::take(&mut self.is_unwritten) {
            self.rebalance(out, Reason::NotWritten);
        }
        if let Phase::Preparing(preparing) = self.phase
            && preparing.until <= now
        {
            self.on_join_deadline(out, preparing);
        }
        if self.sync_until.is_some_and(|until| until <= now) {
            self.on_sync_deadline(out);
        }
        while self.sessions.first().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = self.sessions.pop_first().expect("there is a first");
            self.on_session_deadline(out, id);
        }
    }

    fn on_join_deadline(&mut self, out: &mut Out<'_>, mut preparing: Preparing) {
        match preparing.initial {
            Some(Initial { delay, remaining, joined: true }) if remaining > Duration::ZERO => {
                let next = out.settings.initial_rebalance_delay.min(remaining);
                preparing.until = out.now.mono + next;
                let remaining = less(remaining, delay);
                preparing.initial = Some(Initial { delay: next, remaining, joined: false });
                self.phase = Phase::Preparing(preparing);
            }
            Some(_) | None => self.complete(out),
        }
    }

    fn on_sync_deadline(&mut self, out: &mut Out<'_>) {
        let owes = |(_, member): &(&String, &Member)| member.owes_sync;
        let gone: Vec<String> = self.members.iter().filter(owes).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.remove(out, id);
        }
        self.sync_until = None;
        self.prepare(out, Reason::MembersDidNotSync(gone));
    }

    fn on_session_deadline(&mut self, out: &mut Out<'_>, id: String) {
        let now = out.now.mono;
        if self.pending.remove(&id).is_some() {
            return self.end_if_all(out);
        }
        let member = self.members.get_mut(&id).expect("a session is that of a member");
        member.watched_at = None;
        match member.expires_at {
            Some(at) if at > now => return self.watch(&id, at),
            Some(_) | None if member.is_kept_alive() => {
                // The answer that it waits for begins its session anew.
                member.expires_at = None;
                return;
            }
            Some(_) | None if mutant::on(Mutant::SessionNotEnded) => return,
            Some(_) | None => {}
        }
        self.remove(out, &id);
        match self.phase {
            Phase::Empty | Phase::Preparing(_) => self.end_if_all(out),
            Phase::Completing | Phase::Stable => self.prepare(out, Reason::MemberExpired(id)),
        }
    }

    /// One that was waited for is gone: that may have been the last, of an initial rebalance too.
    fn end_if_all(&mut self, out: &mut Out<'_>) {
        match self.phase {
            Phase::Preparing(_) if self.has_all() => self.complete(out),
            Phase::Empty | Phase::Preparing(_) | Phase::Completing | Phase::Stable => {}
        }
    }

    /// A sign of life of a member, a commit for example.
    pub fn touch(&mut self, now: Now, member: &str) {
        self.restart_session(now, member);
    }

    pub(super) fn restart_session(&mut self, now: Now, id: &str) {
        if let Some(member) = self.members.get(id) {
            self.watch(id, now.mono + member.session_timeout);
        }
    }

    /// Its session ends then. Usually that is later than when it is looked at next, and nothing else changes.
    pub(super) fn watch(&mut self, id: &str, expires_at: Instant) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.expires_at = Some(expires_at);
        match member.watched_at {
            Some(at) if at <= expires_at => return,
            Some(at) => self.sessions.remove(&(at, String::from(id))),
            None => false,
        };
        member.watched_at = Some(expires_at);
        self.sessions.insert((expires_at, String::from(id)));
    }

    pub(super) fn unwatch(&mut self, id: &str, member: &Member) {
        if let Some(at) = member.watched_at {
            self.sessions.remove(&(at, String::from(id)));
        }
    }
}

fn less(from: Duration, taken: Duration) -> Duration {
    Duration::from_nanos(from.as_nanos().saturating_sub(taken.as_nanos()))
}
