//! Membership of a group: finds its coordinator, joins, keeps the membership alive, reads what it is given from where the group has
//! committed, and gives up what is taken away only once the application has seen that and all commits are through. The rules
//! are those of Java's consumer: a client that follows others would not test a coordinator.
//!
//! What both protocols share is here; how they agree is in [`classic`] and [`consumer`].

mod assign;
mod classic;
pub(super) mod commits;
mod consumer;
pub(super) mod coordinator;
pub(super) mod offsets;
mod subscription;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use self::classic::Classic;
use self::commits::Commits;
use self::consumer::Reconciler;
use self::coordinator::Coordinator;
use self::offsets::Offsets;
use super::client::Call;
use super::cluster::Cluster;
use super::consumer::Consumer;
use super::links::Links;
use super::{ClientConfig, ClientError, ClientEvent, MemberEvent, ResetPolicy, Token, TopicPartition};
use crate::buf::Slice;
use crate::id::{Offset, Uuid};
use crate::prng::Prng;
use crate::time::{Duration, Instant};
use crate::wire::ErrorCode;

pub use commits::OffsetToCommit;
pub(super) use commits::Results;
pub use offsets::CommittedOffset;
pub use subscription::{Subscription, decode_assignment, decode_subscription};

/// What a member is told when it is to join. The defaults are those of Kafka's own consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    pub group: String,
    pub protocol: MemberProtocol,
    /// Makes it a static member (KIP-345).
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub topics: Vec<String>,
    /// Topics beside those named; the coordinator finds them. For [`MemberProtocol::Consumer`] only.
    pub regex: Option<String>,
    /// Who may assign in a classic group, the preferred one first. Members agree on one that all support.
    pub assignors: Vec<Assignor>,
    /// Who assigns in a group of the consumer protocol; `None` is the coordinator's default.
    pub remote_assignor: Option<String>,
    /// Classic groups only: the coordinator of others sets it.
    pub session_timeout: Duration,
    /// Classic groups only: the coordinator of others sets it.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: a member whose application has not asked for an event for so long leaves, and one that takes longer
    /// to give something up is thrown out.
    pub rebalance_timeout: Duration,
    /// Where to read a partition that the group has committed nothing of, or whose committed offset is gone.
    pub auto_offset_reset: ResetPolicy,
    /// How often what was taken is committed. `None` leaves that to [`super::Client::commit`].
    pub auto_commit: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberProtocol {
    /// Everything is given up before the group agrees anew.
    ClassicEager,
    /// Only what goes to another member is given up, and then the group agrees once more (KIP-429).
    ClassicCooperative,
    /// The coordinator assigns (KIP-848).
    Consumer,
}

/// How the leader of a classic group assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    Range,
    RoundRobin,
    CooperativeSticky,
}

impl Assignor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }
}

impl GroupConfig {
    pub fn new(group: &str, protocol: MemberProtocol, topics: Vec<String>) -> Self {
        let assignors = match protocol {
            MemberProtocol::ClassicEager => vec![Assignor::Range],
            MemberProtocol::ClassicCooperative => vec![Assignor::CooperativeSticky],
            MemberProtocol::Consumer => Vec::new(),
        };
        Self {
            group: String::from(group),
            protocol,
            instance: None,
            rack: None,
            topics,
            regex: None,
            assignors,
            remote_assignor: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(300),
            auto_offset_reset: ResetPolicy::Latest,
            auto_commit: Some(Duration::from_secs(5)),
        }
    }

    fn check(&self) {
        assert!(!self.group.is_empty(), "a group has a name");
        let sticky = self.assignors.iter().all(|&assignor| assignor == Assignor::CooperativeSticky);
        match self.protocol {
            MemberProtocol::ClassicEager => assert!(!self.assignors.is_empty(), "somebody has to assign"),
            MemberProtocol::ClassicCooperative => {
                assert!(!self.assignors.is_empty() && sticky, "other assignors take without asking");
            }
            MemberProtocol::Consumer => {}
        }
        let is_consumer = self.protocol == MemberProtocol::Consumer;
        assert!(
            is_consumer || self.regex.is_none(),
            "the coordinator of a classic group reads no expression"
        );
    }
}

/// What a request of a member was sent for, and of which membership.
#[derive(Debug)]
pub(super) struct Asked {
    serial: u64,
    question: Question,
}

#[derive(Debug)]
enum Question {
    Coordinator,
    /// One that changes the membership; only the answer to the latest counts.
    Member(Attempt),
    Heartbeat(Attempt),
    /// Each with the serial of its assignment.
    Offsets(Vec<(TopicPartition, u64)>),
    /// By its serial.
    Commit(u64),
    /// Nothing depends on the answer.
    Farewell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attempt(u64);

/// What came of a request: the version and the body of its answer.
pub(super) type Outcome<'a> = Result<(i16, &'a Slice), ClientError>;

/// The other parts of the client, for one turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) links: &'a mut Links<Call>,
    pub(super) cluster: &'a mut Cluster,
    pub(super) consumer: &'a mut Consumer,
    pub(super) events: &'a mut VecDeque<ClientEvent>,
}

impl Turn<'_> {
    fn tell(&mut self, event: MemberEvent) {
        self.events.push_back(ClientEvent::Member(event));
    }
}

/// The membership of a client: in one group, or in none.
#[derive(Debug)]
pub(super) struct Membership {
    request_timeout: Duration,
    backoff: Duration,
    prng: Prng,
    member: Option<Member>,
    serial: u64,
}

impl Membership {
    pub(super) fn new(config: &ClientConfig, seed: u64) -> Self {
        Self {
            request_timeout: config.request_timeout,
            backoff: config.retry_backoff,
            prng: Prng::keyed(seed, u64::from_be_bytes(*b"in group")),
            member: None,
            serial: 0,
        }
    }

    /// Panics if it is in a group, or if the config makes no sense.
    pub(super) fn join(&mut self, now: Instant, config: GroupConfig) {
        config.check();
        assert!(self.member.is_none(), "a client is in one group at a time");
        self.serial += 1;
        let mut member = Member {
            serial: self.serial,
            coordinator: Coordinator::new(now),
            role: Role::Classic(Classic::new(now)),
            id: String::new(),
            epoch: NO_EPOCH,
            owned: BTreeMap::new(),
            revocation: None,
            offsets: Offsets::default(),
            commits: Commits::new(config.auto_commit.map(|interval| now + interval)),
            attempts: 0,
            polled_at: now,
            polled: false,
            leaving: None,
            fatal: None,
            timing: Timing { request_timeout: self.request_timeout, backoff: self.backoff },
            config,
        };
        if member.config.protocol == MemberProtocol::Consumer {
            let mut bytes = [0; 16];
            self.prng.fill(&mut bytes);
            member.id = alloc::format!("{}", Uuid(bytes));
            member.epoch = 0;
            member.role = Role::Consumer(Reconciler::new(now));
        }
        self.member = Some(member);
    }

    pub(super) fn leave(&mut self, now: Instant) {
        if let Some(member) = &mut self.member {
            member.leaving.get_or_insert(Leaving { deadline: now + self.request_timeout, told: false });
        }
    }

    pub(super) fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    pub(super) fn commit(
        &mut self,
        now: Instant,
        (token, offsets): (Token, Vec<OffsetToCommit>),
        events: &mut VecDeque<ClientEvent>,
    ) {
        let error = match &mut self.member {
            Some(member) if member.may_commit() => return member.commit(now, token, offsets),
            Some(_) => ErrorCode::RebalanceInProgress,
            None => ErrorCode::UnknownMemberId,
        };
        events.push_back(commits::refused(token, &offsets, ClientError::Broker(error)));
    }

    /// The application asks for events.
    pub(super) fn on_polled(&mut self) {
        if let Some(member) = &mut self.member {
            member.polled = true;
        }
    }

    /// Whether it makes a difference that the application is there again.
    pub(super) fn awaits_poll(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.polled && member.is_stale())
    }

    pub(super) fn on_taken(&mut self, event: &ClientEvent) {
        if let (Some(member), ClientEvent::Member(MemberEvent::Revoked { .. })) = (&mut self.member, event)
            && let Some(revocation) = &mut member.revocation
        {
            revocation.step = Step::Taken;
        }
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        self.member.iter().flat_map(Member::deadlines)
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) {
        let Some(member) = &mut self.member else { return };
        if let Some(error) = member.fatal {
            member.lose(turn);
            turn.tell(MemberEvent::Failed { error });
            self.member = None;
        } else if member.turn(turn) == Stay::Gone {
            turn.tell(MemberEvent::Left);
            self.member = None;
        }
    }

    /// Takes an answer, or why there is none; whether the cluster is not as it was thought to be.
    pub(super) fn on_outcome(&mut self, turn: &mut Turn<'_>, asked: Asked, outcome: Outcome<'_>) -> bool {
        let Some(member) = self.member.as_mut().filter(|member| member.serial == asked.serial) else {
            return false;
        };
        let lost = outcome.is_err();
        match asked.question {
            Question::Coordinator => member.on_coordinator(turn.now, outcome),
            Question::Member(attempt) => member.on_member_answer(turn, attempt, outcome),
            Question::Heartbeat(attempt) => member.on_heartbeat(turn, attempt, outcome),
            Question::Offsets(asked) => member.on_offsets(turn, &asked, outcome),
            Question::Commit(serial) => member.on_commit(turn, serial, outcome),
            Question::Farewell => {}
        }
        lost
    }
}

/// Of who is no member.
const NO_EPOCH: i32 = -1;

#[derive(Debug, Clone, Copy)]
struct Timing {
    request_timeout: Duration,
    backoff: Duration,
}

#[derive(Debug)]
struct Leaving {
    deadline: Instant,
    /// The coordinator was asked to let it go.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    Here,
    Gone,
}

#[derive(Debug)]
enum Role {
    Classic(Classic),
    Consumer(Reconciler),
}

/// Partitions that are no longer read and not yet given up.
#[derive(Debug)]
struct Revocation {
    /// And how far each was taken.
    partitions: BTreeMap<TopicPartition, Option<Offset>>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Told,
    /// The application has the event, and acts on it until it polls the client again.
    Taken,
    Committing,
}

#[derive(Debug)]
pub(super) struct Member {
    serial: u64,
    config: GroupConfig,
    timing: Timing,
    coordinator: Coordinator,
    role: Role,
    id: String,
    /// The generation of a classic group, or the member epoch; then 0 is one that is about to join.
    epoch: i32,
    /// With the id of the topic where the protocol tells it.
    owned: BTreeMap<TopicPartition, Uuid>,
    revocation: Option<Revocation>,
    offsets: Offsets,
    commits: Commits,
    attempts: u64,
    /// When the application last asked for an event.
    polled_at: Instant,
    polled: bool,
    leaving: Option<Leaving>,
    fatal: Option<ClientError>,
}

impl Member {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(super) fn commits_waiting(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.keys()
    }

    fn is_static(&self) -> bool {
        self.config.instance.is_some()
    }

    fn is_stale(&self) -> bool {
        match &self.role {
            Role::Classic(classic) => classic.is_stale(),
            Role::Consumer(reconciler) => reconciler.is_stale(),
        }
    }

    /// Whether the coordinator knows it under its present epoch.
    fn may_commit(&self) -> bool {
        match &self.role {
            Role::Classic(classic) => self.epoch >= 0 && classic.may_commit(),
            Role::Consumer(_) => self.epoch > 0,
        }
    }

    fn attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt(self.attempts)
    }

    fn asked(&self, question: Question) -> Call {
        Call::Group(Asked { serial: self.serial, question })
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let role = match &self.role {
            Role::Classic(classic) => classic.deadlines(),
            Role::Consumer(reconciler) => reconciler.deadlines(),
        };
        let leaving = self.leaving.as_ref().map(|leaving| leaving.deadline);
        let patience = (!self.is_stale()).then(|| self.polled_at + self.config.rebalance_timeout);
        let rest = [self.coordinator.deadline(), leaving, patience, self.offsets.deadline()];
        role.into_iter().chain(rest).flatten().chain(self.commits.deadlines())
    }

    fn turn(&mut self, turn: &mut Turn<'_>) -> Stay {
        self.watch_application(turn);
        self.find_coordinator(turn);
        self.give_up(turn);
        self.auto_commit(turn);
        self.send_commit(turn);
        if self.leaving.is_some() && self.leave(turn) == Stay::Gone {
            return Stay::Gone;
        }
        match &self.role {
            Role::Classic(_) => self.classic_turn(turn),
            Role::Consumer(_) => self.consumer_turn(turn),
        }
        self.fetch_offsets(turn);
        Stay::Here
    }

    /// A member whose application is gone is of no use to the group.
    fn watch_application(&mut self, turn: &mut Turn<'_>) {
        if core::mem::take(&mut self.polled) {
            self.polled_at = turn.now;
            if self.is_stale() {
                match &mut self.role {
                    Role::Classic(classic) => classic.restart(turn.now),
                    Role::Consumer(reconciler) => {
                        reconciler.restart(turn.now);
                        self.epoch = 0;
                    }
                }
            }
        }
        let late = self.polled_at + self.config.rebalance_timeout <= turn.now;
        if late && !self.is_stale() && self.leaving.is_none() {
            self.say_farewell(turn, Question::Farewell);
            self.lose(turn);
            match &mut self.role {
                Role::Classic(classic) => {
                    classic.retire();
                    self.id = String::new();
                }
                Role::Consumer(reconciler) => {
                    reconciler.retire();
                    self.epoch = NO_EPOCH;
                }
            }
        }
    }

    /// Whether the coordinator was told, or need not be.
    fn say_farewell(&mut self, turn: &mut Turn<'_>, question: Question) -> bool {
        match &self.role {
            Role::Classic(_) => self.leave_classic(turn, question),
            Role::Consumer(_) => self.leave_consumer(turn, question),
        }
    }

    /// Leaves in order: gives everything up, and tells the coordinator.
    fn leave(&mut self, turn: &mut Turn<'_>) -> Stay {
        let Some(Leaving { deadline, told }) = self.leaving else { return Stay::Here };
        if deadline <= turn.now {
            self.lose(turn);
            return Stay::Gone;
        }
        if told || self.revocation.is_some() {
            return Stay::Here;
        }
        if !self.owned.is_empty() {
            let all = self.owned.keys().cloned().collect();
            self.begin_revocation(turn, all);
            return Stay::Here;
        }
        if !self.commits.is_empty() {
            return Stay::Here;
        }
        let is_known = match &self.role {
            // One that nobody waits for: its session ends by itself if it does not come back.
            Role::Classic(_) => !self.id.is_empty() && !self.is_static(),
            Role::Consumer(_) => self.epoch >= 0,
        };
        if !is_known {
            return Stay::Gone;
        }
        let attempt = self.attempt();
        let told = self.say_farewell(turn, Question::Member(attempt));
        self.leaving = Some(Leaving { deadline, told });
        Stay::Here
    }

    fn on_member_answer(&mut self, turn: &mut Turn<'_>, attempt: Attempt, outcome: Outcome<'_>) {
        if attempt != Attempt(self.attempts) {
            return;
        }
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.told) {
            // Whatever it says: nothing would be gained by asking again.
            leaving.deadline = turn.now;
            return;
        }
        self.on_classic_answer(turn, outcome);
    }

    fn on_heartbeat(&mut self, turn: &mut Turn<'_>, attempt: Attempt, outcome: Outcome<'_>) {
        match &self.role {
            Role::Classic(_) => self.on_classic_heartbeat(turn, attempt, outcome),
            Role::Consumer(_) => self.on_consumer_heartbeat(turn, attempt, outcome),
        }
    }

    /// Has more than before, from now on.
    fn take_over(&mut self, turn: &mut Turn<'_>, added: BTreeMap<TopicPartition, Uuid>) {
        let partitions: Vec<TopicPartition> = added.keys().cloned().collect();
        self.offsets.want(turn.now, &partitions);
        self.owned.extend(added);
        turn.tell(MemberEvent::Assigned { epoch: self.epoch, partitions });
    }

    fn begin_revocation(&mut self, turn: &mut Turn<'_>, partitions: BTreeSet<TopicPartition>) {
        assert!(self.revocation.is_none(), "one revocation at a time");
        let told: Vec<TopicPartition> = partitions.iter().cloned().collect();
        let stop = |key: TopicPartition| {
            let taken = turn.consumer.taken(&key);
            turn.consumer.unassign(&key);
            self.offsets.forget(&key);
            (key, taken)
        };
        let partitions = partitions.into_iter().map(stop).collect();
        self.revocation = Some(Revocation { partitions, step: Step::Told });
        turn.tell(MemberEvent::Revoked { epoch: self.epoch, partitions: told });
    }

    fn give_up(&mut self, turn: &mut Turn<'_>) {
        let Some(mut revocation) = self.revocation.take() else { return };
        if revocation.step == Step::Taken {
            revocation.step = Step::Committing;
            if self.config.auto_commit.is_some() {
                let taken = revocation.partitions.iter().filter_map(|(key, at)| Some((key.clone(), (*at)?)));
                self.commit_taken(turn.now, taken.collect());
            }
        }
        if revocation.step == Step::Committing && self.commits.is_empty() {
            for key in revocation.partitions.keys() {
                self.owned.remove(key);
                self.commits.forget(key);
            }
        } else {
            self.revocation = Some(revocation);
        }
    }

    /// Is no member any more, and has nothing.
    fn lose(&mut self, turn: &mut Turn<'_>) {
        let partitions: Vec<TopicPartition> = core::mem::take(&mut self.owned).into_keys().collect();
        for key in &partitions {
            turn.consumer.unassign(key);
        }
        self.revocation = None;
        self.offsets.clear();
        self.commits.fail(ClientError::Broker(ErrorCode::IllegalGeneration), turn.events);
        if !partitions.is_empty() {
            turn.tell(MemberEvent::Lost { epoch: self.epoch, partitions });
        }
        self.epoch = NO_EPOCH;
    }
}

/// Partitions by their topic, each topic once.
fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> BTreeMap<&'a Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for key in partitions {
        topics.entry(&key.topic).or_default().push(key.index);
    }
    topics
}
