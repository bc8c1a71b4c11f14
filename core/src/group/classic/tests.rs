//! A group with a host that appends, replays and answers at once, under a virtual clock.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Aging, ClassicGroup, Phase, subscription};
use crate::coordinator::{Answer, Decision, Token, When};
use crate::group::command::{
    Client, CommitOffsets, Described, GroupError, GroupReply, GroupState, Heartbeat, Join, Joined, Leave,
    Leaving, Sync, Synced,
};
use crate::group::out::{GroupEvent, Out, Reason};
use crate::group::record::{ClassicValue, GroupRecord};
use crate::group::settings::GroupSettings;
use crate::prng::Prng;
use crate::time::{Duration, Instant, Now, Timestamp};

mod life;
mod random;
mod rebalance;
mod statics;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);
/// Within it an initial rebalance to which all came at once has ended.
const INITIAL: Duration = Duration::from_secs(6);
const GROUP: &str = "group";

struct Host {
    group: Option<ClassicGroup>,
    now: Instant,
    prng: Prng,
    settings: GroupSettings,
    log: Vec<ClassicValue>,
    events: Vec<GroupEvent>,
    tokens: u64,
    answers: BTreeMap<Token, (GroupReply, When)>,
    forgotten: BTreeSet<Token>,
}

impl Host {
    fn new() -> Self {
        Self::seeded(7)
    }

    fn seeded(seed: u64) -> Self {
        Self {
            group: None,
            now: Instant::from_nanos(1_000_000_000),
            prng: Prng::new(seed),
            settings: GroupSettings::default(),
            log: Vec::new(),
            events: Vec::new(),
            tokens: 0,
            answers: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        }
    }

    fn group(&self) -> &ClassicGroup {
        self.group.as_ref().unwrap()
    }

    fn state(&self) -> GroupState {
        self.group().state()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(i64::try_from(self.now.as_nanos() / 1_000_000).unwrap())
    }

    fn step<T>(&mut self, act: impl FnOnce(&mut Option<ClassicGroup>, &mut Out<'_>) -> T) -> T {
        let before = self.group.as_ref().map(|group| group.generation).unwrap_or_default();
        let mut decision = Decision::default();
        let now = Now { mono: self.now, wall: self.wall() };
        let result = act(
            &mut self.group,
            &mut Out {
                now,
                prng: &mut self.prng,
                settings: &self.settings,
                decision: &mut decision,
                events: &mut self.events,
            },
        );
        assert!(decision.records.len() <= 1, "one record tells all of a group");
        for record in decision.records {
            let GroupRecord::Classic { group, value: Some(value) } = record else {
                panic!("not a record of this group: {record:?}")
            };
            assert_eq!(group, GROUP);
            self.replay(value);
        }
        for answer in decision.answers {
            let earlier = self.answers.insert(answer.to, (answer.reply, answer.when));
            assert_eq!(earlier, None, "{:?} is answered twice", answer.to);
            assert!(!self.forgotten.contains(&answer.to), "{:?} is forgotten", answer.to);
        }
        let after = self.group.as_ref().map(|group| group.generation).unwrap_or_default();
        assert!(after >= before, "the generation went back from {before} to {after}");
        self.group().assert_sound();
        result
    }

    fn replay(&mut self, value: ClassicValue) {
        let group = self.group.as_mut().unwrap();
        let was_decided = matches!(group.phase, Phase::Empty | Phase::Stable);
        if was_decided {
            assert_eq!(group.value(), value, "the living group is what its record says");
        }
        group.replay(value.clone());
        let loaded = ClassicGroup::load(String::from(GROUP), value.clone());
        loaded.assert_sound();
        assert_eq!(loaded.value(), value);
        if !matches!(group.phase, Phase::Preparing(_)) {
            assert_eq!(group.value(), value);
            assert_eq!(group.described(), loaded.described());
            assert_eq!(group.subscribed, loaded.subscribed);
            assert_eq!(group.listed(), loaded.listed());
        }
        self.log.push(value);
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    fn join(&mut self, join: Join) -> Token {
        let token = self.token();
        self.step(|group, out| match group {
            Some(group) => group.join(out, token, join),
            None => *group = Some(ClassicGroup::create(out, token, join)),
        });
        token
    }

    fn sync(&mut self, sync: Sync) -> Token {
        let token = self.token();
        self.step(|group, out| group.as_mut().unwrap().sync(out, token, sync));
        token
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) -> GroupReply {
        let token = self.token();
        self.step(|group, out| group.as_mut().unwrap().heartbeat(out, token, heartbeat));
        self.reply(token).clone()
    }

    fn leave(&mut self, members: Vec<Leaving>) -> Vec<Result<(), GroupError>> {
        let token = self.token();
        let leave = Leave { group: String::from(GROUP), members };
        self.step(|group, out| group.as_mut().unwrap().leave(out, token, leave));
        let GroupReply::Left(left) = self.reply(token) else { panic!("{:?}", self.reply(token)) };
        left.clone()
    }

    /// Lets time pass, one deadline after the other.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.group().deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step(|group, out| group.as_mut().unwrap().on_deadline(out));
        }
        self.now = end;
    }

    /// A broker starts over with what is on disk.
    fn restart(&mut self) {
        let value = self.log.last().unwrap().clone();
        self.group = Some(ClassicGroup::load(String::from(GROUP), value));
        self.step(|group, out| group.as_mut().unwrap().on_loaded(out));
    }

    fn reply(&self, token: Token) -> &GroupReply {
        &self.answers[&token].0
    }

    fn is_answered(&self, token: Token) -> bool {
        self.answers.contains_key(&token)
    }

    fn joined(&self, token: Token) -> &Joined {
        let GroupReply::Joined(joined) = self.reply(token) else { panic!("{:?}", self.reply(token)) };
        joined
    }

    fn synced(&self, token: Token) -> &Synced {
        let GroupReply::Synced(synced) = self.reply(token) else { panic!("{:?}", self.reply(token)) };
        synced
    }

    fn error(&self, token: Token) -> GroupError {
        let GroupReply::Failed(error) = self.reply(token) else { panic!("{:?}", self.reply(token)) };
        error.clone()
    }

    fn given_id(&self, token: Token) -> String {
        let GroupReply::MemberIdRequired(id) = self.reply(token) else { panic!("{:?}", self.reply(token)) };
        id.clone()
    }

    fn described(&self) -> Described {
        self.group().described()
    }

    fn last_reason(&self) -> &Reason {
        &self.events.last().unwrap().reason
    }

    /// Members that joined together, the leader first: its group is stable, and each has its own id as its assignment.
    fn stable(&mut self, joins: Vec<Join>) -> Vec<Joined> {
        let tokens: Vec<Token> = joins.into_iter().map(|join| self.join(join)).collect();
        self.pass(INITIAL);
        self.finish(&tokens)
    }

    /// All joins are answered: their members sync, the leader last.
    fn finish(&mut self, tokens: &[Token]) -> Vec<Joined> {
        let mut joined: Vec<Joined> = tokens.iter().map(|token| self.joined(*token).clone()).collect();
        joined.sort_by_key(|joined| joined.members.is_empty());
        let synced: Vec<Token> = joined.iter().rev().map(|joined| self.sync(sync(joined))).collect();
        for (token, joined) in synced.iter().zip(joined.iter().rev()) {
            assert_eq!(self.synced(*token).assignment, joined.member.as_bytes());
        }
        assert_eq!(self.state(), GroupState::Stable);
        joined
    }
}

/// A first join of a dynamic member that needs no second round.
fn join(client: &str) -> Join {
    Join {
        group: String::from(GROUP),
        member: String::new(),
        instance: None,
        client: Client { id: client.to_string(), host: String::from("/127.0.0.1") },
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: String::from("consumer"),
        protocols: protocols(&["range"], &["topic"]),
        known_member_required: false,
        can_skip_assignment: true,
        reason: None,
    }
}

fn protocols(names: &[&str], topics: &[&str]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| (name.to_string(), subscription::encode(1, topics))).collect()
}

fn rejoin(member: &str) -> Join {
    Join { member: member.to_string(), ..join("again") }
}

fn static_join(instance: &str) -> Join {
    Join { instance: Some(instance.to_string()), ..join("static") }
}

/// The leader gives each member its own id.
fn sync(joined: &Joined) -> Sync {
    let assignments =
        joined.members.iter().map(|member| (member.id.clone(), member.id.clone().into_bytes())).collect();
    Sync {
        group: String::from(GROUP),
        generation: joined.generation,
        member: joined.member.clone(),
        instance: None,
        protocol_type: Some(joined.protocol_type.clone()),
        protocol: Some(joined.protocol.clone()),
        assignments,
    }
}

fn heartbeat(joined: &Joined) -> Heartbeat {
    Heartbeat {
        group: String::from(GROUP),
        generation: joined.generation,
        member: joined.member.clone(),
        instance: None,
    }
}

fn leaving(member: &str) -> Leaving {
    Leaving { member: member.to_string(), instance: None, reason: None }
}

fn commit(generation: i32, member: &str) -> CommitOffsets {
    CommitOffsets {
        group: String::from(GROUP),
        generation,
        member: member.to_string(),
        instance: None,
        knows_member_epochs: false,
        retention: None,
        offsets: Vec::new(),
    }
}

impl ClassicGroup {
    /// What holds between two steps.
    fn assert_sound(&self) {
        let members = || self.members.values();
        assert_eq!(self.joining, members().filter(|member| member.join.is_some()).count());
        assert_eq!(self.unsynced, members().filter(|member| member.owes_sync).count());
        assert_eq!(self.supported, super::protocols::Supported::of(members()));
        assert_eq!(self.sync_until.is_some(), self.unsynced > 0, "a sync that is owed has its time");
        let statics = members().filter(|member| member.instance.is_some()).count();
        assert_eq!(self.instances.len(), statics);
        for (instance, id) in self.instances.iter() {
            assert_eq!(self.members[id].instance.as_ref(), Some(instance));
        }
        assert_eq!(self.leader.is_none(), self.members.is_empty(), "a group has a leader");
        assert!(self.leader.iter().all(|leader| self.members.contains_key(leader)));
        let (join, sync) = (self.joining > 0, members().any(|member| member.sync.is_some()));
        match self.phase {
            Phase::Empty => assert!(self.members.is_empty() && !join && !sync),
            Phase::Preparing(_) => assert!(!sync),
            Phase::Completing => assert!(!join && !self.members.is_empty()),
            Phase::Stable => assert!(!join && !sync && !self.members.is_empty()),
        }
        let watched = self.members.iter().filter_map(|(id, member)| Some((member.watched_at?, id.clone())));
        let pending = self.pending.iter().map(|(id, pending)| (pending.expires_at, id.clone()));
        if self.deadline().is_some() {
            assert_eq!(self.sessions, watched.chain(pending).collect());
            let is_watched = |member: &super::Member| match (member.watched_at, member.expires_at) {
                (Some(watched), Some(expires)) => watched <= expires,
                (None, None) => member.is_kept_alive(),
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(members().all(is_watched), "every member is watched or kept alive: {self:?}");
        }
    }
}
