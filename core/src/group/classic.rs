//! One group of the classic protocol: who its members are, whether they are rebalancing, and what the leader gave to each. Knows no
//! offsets, no other group and no assignor: what members tell each other passes through it unread, but for the topics that
//! consumers subscribe to.
//!
//! A generation exists on disk once its leader has synced, and once the group has become empty: the record holds the whole group.
//! A static member that takes the place of its former self writes the record again. A record that the group decided on is replayed
//! before anything else is asked of it; what only the living group knows, such as who waits for an answer, stays as it is then.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use self::member::Member;
pub use self::migrate::Migrant;
use self::protocols::Supported;
use super::by_name::ByName;
use super::command::{CommitOffsets, Described, DescribedMember, GroupError, GroupKind, GroupState, Listed};
use super::offsets::Aging;
use super::out::{GroupEvent, Out, Reason};
use super::record::{ClassicMember, ClassicValue, GroupRecord};
use crate::mutant::{self, Mutant};
use crate::time::{Duration, Instant, Now, Timestamp};

mod join;
mod member;
mod migrate;
pub(super) mod protocols;
mod rebalance;
pub(super) mod subscription;
mod sync;
#[cfg(test)]
mod tests;

/// The protocol type of consumers, the only one whose metadata are read.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

#[derive(Debug)]
pub struct ClassicGroup {
    id: String,
    phase: Phase,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    /// When it came to its state.
    since: Option<Timestamp>,
    members: ByName<Member>,
    /// The member of each instance id.
    instances: ByName<String>,
    /// Ids that were given out and have not joined yet (KIP-394).
    pending: BTreeMap<String, Pending>,
    /// How many ever were.
    handed_out: u64,
    supported: Supported,
    /// Of all members of this generation, where their metadata are those of consumers.
    /// In order.
    subscribed: Option<Box<[String]>>,
    /// Members that wait for the answer to a join.
    joining: usize,
    /// Members of this generation that have not asked for their assignment.
    unsynced: usize,
    sync_until: Option<Instant>,
    /// Its last record was refused: what it says is begun again.
    is_unwritten: bool,
    /// When to look at each member: never later than its session ends. A heartbeat does not touch it.
    sessions: BTreeSet<(Instant, String)>,
}

/// An id that was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pending {
    /// The next one has a higher one.
    number: u64,
    expires_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Empty,
    Preparing(Preparing),
    Completing,
    Stable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Preparing {
    until: Instant,
    /// The group was empty: it waits for more members, whether all that are there have joined or not.
    initial: Option<Initial>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Initial {
    delay: Duration,
    remaining: Duration,
    /// A member came since the delay began.
    joined: bool,
}

impl ClassicGroup {
    /// A group that nobody has joined: also that of a commit without a group.
    pub fn new(id: String, now: Now) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            since: Some(now.wall),
            members: ByName::default(),
            instances: ByName::default(),
            pending: BTreeMap::new(),
            handed_out: 0,
            supported: Supported::default(),
            subscribed: None,
            joining: 0,
            unsynced: 0,
            sync_until: None,
            is_unwritten: false,
            sessions: BTreeSet::new(),
        }
    }

    /// A group that was not there, as it is on disk.
    pub fn load(id: String, value: ClassicValue) -> Self {
        let never = Now { mono: Instant::default(), wall: Timestamp::default() };
        let mut group = Self::new(id, never);
        group.replay(value);
        group
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing(_) => GroupState::PreparingRebalance,
            Phase::Completing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.phase == Phase::Empty
    }

    /// Whether somebody was told with which id to join.
    pub fn expects_members(&self) -> bool {
        !self.pending.is_empty()
    }

    /// How many of its members wait for an answer, to a join or a sync.
    pub fn owed(&self) -> usize {
        let owed = |member: &Member| usize::from(member.join.is_some()) + usize::from(member.sync.is_some());
        self.members.values().map(owed).sum()
    }

    pub fn generation(&self) -> i32 {
        self.generation
    }

    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    fn has_consumers(&self) -> bool {
        self.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// A group of consumers whose subscriptions cannot be read counts as subscribed to all.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or_else(
            || self.has_consumers(),
            |topics| topics.binary_search_by(|name| name.as_str().cmp(topic)).is_ok(),
        )
    }

    pub fn aging(&self) -> Aging {
        if self.protocol_type.is_none() {
            return Aging::SinceCommit;
        }
        match self.phase {
            Phase::Empty => self.since.map_or(Aging::SinceCommit, Aging::Since),
            Phase::Stable if self.has_consumers() && self.subscribed.is_some() => Aging::SinceCommit,
            Phase::Stable | Phase::Preparing(_) | Phase::Completing => Aging::Never,
        }
    }

    /// Whether these offsets may be committed. If so, [`Self::touch`] the member.
    pub fn check_commit(&self, commit: &CommitOffsets) -> Result<(), GroupError> {
        if commit.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if mutant::on(Mutant::CommitOfOldGeneration) {
            return Ok(());
        }
        if commit.generation >= 0 || !commit.member.is_empty() || commit.instance.is_some() {
            self.check_member(&commit.member, commit.instance.as_deref())?;
            if commit.generation != self.generation {
                return Err(GroupError::IllegalGeneration);
            }
        } else if !self.is_empty() {
            return Err(GroupError::UnknownMember);
        }
        match self.phase {
            Phase::Completing => Err(GroupError::RebalanceInProgress),
            Phase::Empty | Phase::Preparing(_) | Phase::Stable => Ok(()),
        }
    }

    /// Whether offsets of topics may be deleted to which the group [is not subscribed](Self::is_subscribed).
    pub fn check_delete_offsets(&self) -> Result<(), GroupError> {
        if self.is_empty() || self.has_consumers() { Ok(()) } else { Err(GroupError::NonEmpty) }
    }

    fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(known) if known != member => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    pub fn listed(&self) -> Listed {
        Listed {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state(),
            kind: GroupKind::Classic,
        }
    }

    pub fn described(&self) -> Described {
        let protocol = match self.phase {
            Phase::Stable => self.protocol.as_deref(),
            Phase::Empty | Phase::Preparing(_) | Phase::Completing => None,
        };
        let member = |(id, member): (&String, &Member)| DescribedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            metadata: protocol.map(|name| member.metadata(name).to_vec()).unwrap_or_default(),
            assignment: member.assignment.clone(),
        };
        Described {
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.map(String::from).unwrap_or_default(),
            members: self.members.iter().map(member).collect(),
        }
    }

    fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    /// Comes to another state.
    fn turn(&mut self, out: &mut Out<'_>, to: Phase, reason: Reason) {
        let from = self.state();
        self.phase = to;
        self.since = Some(out.now.wall);
        let (group, to) = (self.id.clone(), self.state());
        out.events.push(GroupEvent { group, generation: self.generation, from, to, reason });
    }

    /// The group as it is.
    pub fn value(&self) -> ClassicValue {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&String, &Member)| ClassicMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            rebalance_timeout: member.rebalance_timeout,
            session_timeout: member.session_timeout,
            subscription: member.metadata(protocol).to_vec(),
            assignment: member.assignment.clone(),
        };
        ClassicValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since: self.since,
            members: self.members.iter().map(member).collect(),
        }
    }

    /// The same where it is on disk as it is: not while its members agree anew, nor before they first did.
    pub fn view(&self) -> Option<ClassicValue> {
        match self.phase {
            Phase::Stable => Some(self.value()),
            Phase::Empty => self.protocol_type.is_some().then(|| self.value()),
            Phase::Preparing(_) | Phase::Completing => None,
        }
    }

    fn write(&self, out: &mut Out<'_>, value: ClassicValue) {
        out.decision.records.push(GroupRecord::Classic { group: self.id.clone(), value: Some(value) });
    }

    /// Its record, from disk or as it was just decided on.
    pub fn replay(&mut self, value: ClassicValue) {
        if matches!(self.phase, Phase::Preparing(_)) && value.generation == self.generation {
            // It says that there is a group. Meanwhile somebody joins it.
            return;
        }
        self.generation = value.generation;
        self.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        self.since = value.since;
        let protocol = value.protocol.as_deref().unwrap_or_default();
        let mut before: BTreeMap<String, Member> =
            core::mem::take(&mut self.members).into_entries().collect();
        for record in value.members {
            let (id, member) = Member::replayed(&mut before, protocol, record);
            self.members.insert(id, member);
        }
        for (id, member) in before {
            assert!(!member.waits(), "who waits for an answer is in the record that was decided on");
            self.unwatch(&id, &member);
        }
        self.protocol = value.protocol;
        self.leader = value.leader.filter(|id| self.members.contains_key(id));
        self.phase = if self.members.is_empty() { Phase::Empty } else { Phase::Stable };
        self.recount();
    }

    /// The record that it decided on last is not on disk. What it says of members the next generation says again; until then they are
    /// told what is not on disk either: to join again.
    pub fn on_refused(&mut self) {
        self.is_unwritten = !self.members.is_empty();
    }

    /// All that follows from the members.
    fn recount(&mut self) {
        let members = &self.members;
        let instance = |(id, member): (&String, &Member)| Some((member.instance.clone()?, id.clone()));
        self.instances = members.iter().filter_map(instance).collect();
        self.joining = members.values().filter(|member| member.join.is_some()).count();
        self.unsynced = members.values().filter(|member| member.owes_sync).count();
        self.supported = Supported::of(members.values());
        self.subscribed = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<Box<[String]>> {
        if !self.has_consumers() {
            return None;
        }
        let protocol = match &self.protocol {
            Some(protocol) => protocol.as_str(),
            None if self.members.is_empty() => return Some(Box::default()),
            None => return None,
        };
        let mut topics: BTreeSet<&str> = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics(member.metadata(protocol))?);
        }
        Some(topics.into_iter().map(String::from).collect())
    }

    /// All that was on disk is replayed: sessions begin.
    pub fn on_loaded(&mut self, out: &mut Out<'_>) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            if !mutant::on(Mutant::SessionNotBegunAgain) {
                self.restart_session(out.now, id);
            }
        }
        if self.members.len() > out.settings.size_max {
            self.rebalance(out, Reason::OverCapacity);
        } else if !self.members.is_empty() && self.leader.is_none() {
            // Its partitions are not all given out: since it was of the other protocol nobody has led it.
            self.rebalance(out, Reason::Downgraded(Vec::new()));
        }
    }
}
