//! The coordinators of a shard: one for each partition of `__consumer_offsets` that it owns. Brings commands to them, what they
//! read from the owner, and their answers to the homes that asked; knows nothing of what they decide.

mod around;
mod host;
mod report;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) use self::around::Around;
use self::host::{Answers, Host, Phase};
use super::message::{CallId, ShardMessage};
use super::owner::Owner;
use super::{Config, CoordinatorView, Event, Usage, placement};
use crate::batch::Scratch;
use crate::controller::Image;
use crate::coordinator::{Machine, Token, Turn, Unavailable, Unreadable};
use crate::group::OFFSETS_TOPIC;
use crate::group::command::{GroupCommand, GroupReply};
use crate::group::groups::Groups;
use crate::id::{Offset, PartitionId, ShardId};
use crate::limits::{COORDINATOR_LOAD_BYTES, COORDINATOR_LOAD_RETRY, COORDINATOR_LOADS_MAX};
use crate::log::Minimum;
use crate::prng::Prng;
use crate::replica::{FetchOp, Isolation, PartitionOp, PartitionReply, Starved};
use crate::time::{Instant, Now};

/// A command from a home.
#[derive(Debug)]
pub(super) struct Coordinate {
    pub(super) from: ShardId,
    pub(super) call: CallId,
    /// What the home knew: the command waits until this shard knows as much.
    pub(super) image_version: u64,
    pub(super) partition: PartitionId,
    pub(super) command: GroupCommand,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Asker {
    partition: PartitionId,
    from: ShardId,
    call: CallId,
}

type Surrounded = <Groups as Machine>::Surroundings;

/// The slot of calls that are no request's: homes have far fewer requests.
const SLOT: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Coordinators {
    id: ShardId,
    around: Around,
    prng: Prng,
    hosts: BTreeMap<PartitionId, Host<Groups>>,
    /// Those that may have something to do.
    busy: BTreeSet<PartitionId>,
    /// Those whose answers wait for the log, and what the owner had committed when they were last looked at.
    committing: BTreeSet<PartitionId>,
    commits: u64,
    timers: BTreeSet<(Instant, PartitionId)>,
    /// The same, by partition.
    timer_of: BTreeMap<PartitionId, Instant>,
    /// Those that are to be read, and the reads under way.
    unread: VecDeque<PartitionId>,
    reads: BTreeMap<u32, PartitionId>,
    next_read: u32,
    askers: BTreeMap<Token, Asker>,
    next_token: u64,
    early: Vec<Coordinate>,
    scratch: Scratch,
    messages: Vec<(ShardId, ShardMessage)>,
}

impl Coordinators {
    pub(super) fn new(config: Arc<Config>, id: ShardId, seed: u64) -> Self {
        Self {
            id,
            around: Around::new(config, Arc::new(Image::empty()), 0),
            // Homes draw from the keys of all shards.
            prng: Prng::keyed(seed, u64::from(u16::MAX) + 1 + u64::from(id.0)),
            hosts: BTreeMap::new(),
            busy: BTreeSet::new(),
            committing: BTreeSet::new(),
            commits: 0,
            timers: BTreeSet::new(),
            timer_of: BTreeMap::new(),
            unread: VecDeque::new(),
            reads: BTreeMap::new(),
            next_read: 0,
            askers: BTreeMap::new(),
            next_token: 0,
            early: Vec::new(),
            scratch: Scratch::new(),
            messages: Vec::new(),
        }
    }

    /// Newer metadata, which the owner has taken up already: coordinators come and go with their partitions.
    pub(super) fn on_image(&mut self, image: Arc<Image>) {
        let config = Arc::clone(&self.around.config);
        let shards = config.shards;
        let around = Around::new(config, Arc::clone(&image), self.around.topics_version);
        let before = core::mem::replace(&mut self.around, around).image;
        let changes = image.changes(&before);
        for topic in changes.gone.iter().filter(|topic| &*topic.name == OFFSETS_TOPIC) {
            topic.partitions().for_each(|(partition, _)| self.give_up(partition));
        }
        for topic in changes.fresh.iter().filter(|topic| &*topic.name == OFFSETS_TOPIC) {
            let own = topic.partitions().map(|(partition, _)| partition);
            for partition in own.filter(|partition| placement::owner(*partition, shards) == self.id) {
                if let alloc::collections::btree_map::Entry::Vacant(entry) = self.hosts.entry(partition) {
                    entry.insert(Host::new(partition));
                    self.unread.push_back(partition);
                }
            }
        }
        if !(changes.gone.is_empty() && changes.fresh.is_empty()) {
            self.around.topics_version = image.version;
            self.hosts.values_mut().for_each(Host::on_surroundings);
            self.busy.extend(self.hosts.keys());
        }
        let version = image.version;
        let due: Vec<_> = self.early.extract_if(.., |asked| asked.image_version <= version).collect();
        due.into_iter().for_each(|asked| self.start(asked));
    }

    fn give_up(&mut self, partition: PartitionId) {
        if self.hosts.remove(&partition).is_none() {
            return;
        }
        self.busy.remove(&partition);
        self.committing.remove(&partition);
        self.unread.retain(|unread| *unread != partition);
        self.set_timer(partition, None);
        let waiting = self.askers.iter().filter(|(_, asker)| asker.partition == partition);
        let waiting: Vec<Token> = waiting.map(|(token, _)| *token).collect();
        for token in waiting {
            self.reply(token, Groups::unavailable(Unavailable::Elsewhere));
        }
    }

    pub(super) fn on_command(&mut self, asked: Coordinate) {
        if asked.image_version > self.around.image.version {
            self.early.push(asked);
        } else {
            self.start(asked);
        }
    }

    fn start(&mut self, asked: Coordinate) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let asker = Asker { partition: asked.partition, from: asked.from, call: asked.call };
        self.askers.insert(token, asker);
        let refused = match self.hosts.get_mut(&asked.partition) {
            Some(host) => host.on_command(token, asked.command),
            None => Some(Groups::unavailable(Unavailable::Elsewhere)),
        };
        match refused {
            Some(reply) => self.reply(token, reply),
            None => {
                self.busy.insert(asked.partition);
            }
        }
    }

    fn reply(&mut self, token: Token, reply: GroupReply) {
        let Asker { from, call, .. } = self.askers.remove(&token).expect("each command is answered once");
        self.messages.push((from, ShardMessage::Coordinated { call, reply: Box::new(reply) }));
    }

    /// Whether a reply of the owner is to a question from here.
    pub(super) fn is_own(call: CallId) -> bool {
        call.slot == SLOT
    }

    pub(super) fn on_read(&mut self, now: Now, call: CallId, reply: PartitionReply) {
        let Some(partition) = self.reads.remove(&call.generation) else { return };
        let Some(host) = self.hosts.get_mut(&partition) else { return };
        #[expect(clippy::wildcard_enum_match_arm, reason = "a fetch is answered by what was read, or fails")]
        match reply {
            PartitionReply::Read(read) => host.on_read(&read, &mut self.scratch),
            _ => {
                // A disk that fails once may not fail again.
                host.on_read_failed(Unreadable("the log cannot be read, which is tried again"));
                return self.set_timer(partition, Some(now.mono + COORDINATOR_LOAD_RETRY));
            }
        }
        // The others wait less for it than it for them.
        self.unread.push_front(partition);
    }

    /// Does what is due. Gives the answers that may go out, and whether anything else happened.
    pub(super) fn turn(&mut self, now: Now, owner: &mut Owner) -> (bool, Vec<(ShardId, ShardMessage)>) {
        let mut moved = false;
        while let Some(&(at, partition)) = self.timers.first()
            && at <= now.mono
        {
            self.set_timer(partition, None);
            match self.hosts[&partition].phase() {
                Phase::New | Phase::Loading(_) => self.unread.push_back(partition),
                Phase::Serving | Phase::Unreadable => drop(self.busy.insert(partition)),
            }
        }
        moved |= self.load(now, owner);
        if self.commits != owner.commits() {
            self.commits = owner.commits();
            self.busy.append(&mut self.committing);
        }
        let busy: Vec<PartitionId> = self.busy.iter().copied().collect();
        for partition in busy {
            let Some(host) = self.hosts.get_mut(&partition) else { continue };
            let mut answers = Answers::<Groups>::new();
            let mut turn = Turn { now, prng: &mut self.prng, surroundings: &self.around as &Surrounded };
            moved |= host.work(&mut turn, owner, &mut answers);
            self.settle(partition, owner, answers);
        }
        (moved, core::mem::take(&mut self.messages))
    }

    /// After a host has worked: its answers go out, its next time is noted.
    fn settle(&mut self, partition: PartitionId, owner: &mut Owner, answers: Answers<Groups>) {
        answers.into_iter().for_each(|(token, reply)| self.reply(token, reply));
        let host = self.hosts.get_mut(&partition).expect("it has just worked");
        for event in host.take_events() {
            owner.tell(Event::GroupChanged(Box::new(event)));
        }
        let (deadline, is_busy, is_committing) = (host.deadline(), host.is_busy(), host.is_committing());
        self.set_timer(partition, deadline);
        if is_busy {
            self.busy.insert(partition);
        } else {
            self.busy.remove(&partition);
        }
        if is_committing {
            self.committing.insert(partition);
        }
    }

    fn set_timer(&mut self, partition: PartitionId, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.timer_of.insert(partition, at),
            None => self.timer_of.remove(&partition),
        };
        if before != at {
            self.timers.extend(at.map(|at| (at, partition)));
            if let Some(before) = before {
                self.timers.remove(&(before, partition));
            }
        }
    }

    /// Reads partitions from their beginning to their end, some at a time. Says whether anything happened.
    fn load(&mut self, now: Now, owner: &mut Owner) -> bool {
        let mut moved = false;
        while self.reads.len() < COORDINATOR_LOADS_MAX
            && let Some(partition) = self.unread.pop_front()
        {
            moved = true;
            let host = self.hosts.get_mut(&partition).expect("what is given up is not read");
            if let Some(Unreadable(why)) = host.take_trouble() {
                owner.tell(Event::GroupsUnreadable { partition, why });
            }
            let log_start = || owner.log_start(partition).expect("the owner has what is placed here");
            let from = match host.phase() {
                Phase::New => log_start(),
                Phase::Loading(from) => from.max(log_start()),
                Phase::Serving | Phase::Unreadable => continue,
            };
            if owner.high_watermark(partition).is_some_and(|end| from >= end) {
                let mut answers = Answers::<Groups>::new();
                let mut turn = Turn { now, prng: &mut self.prng, surroundings: &self.around as &Surrounded };
                host.on_loaded(&mut turn, owner, &mut answers);
                self.settle(partition, owner, answers);
                continue;
            }
            host.set_phase(Phase::Loading(from));
            let call = CallId { slot: SLOT, generation: self.next_read, part: 0 };
            self.next_read = self.next_read.wrapping_add(1);
            self.reads.insert(call.generation, partition);
            owner.on_call(now, self.id, call, self.around.image.version, fetch(partition, from));
        }
        moved
    }

    pub(super) fn view(&self, owner: &Owner) -> Vec<CoordinatorView> {
        let view = |(partition, host): (&PartitionId, &Host<Groups>)| {
            let groups = host.settled()?.view();
            Some(CoordinatorView { partition: *partition, log_end: owner.log_end(*partition)?, groups })
        };
        self.hosts.iter().filter_map(view).collect()
    }

    /// Panics where somebody is owed an answer that nobody has to give.
    pub(super) fn audit(&self) {
        let owed: usize = self.hosts.values().map(Host::owed).sum();
        assert_eq!(self.askers.len(), owed, "each command is answered by its coordinator");
    }

    pub(super) fn count(&self, usage: &mut Usage) {
        usage.askers = self.askers.len();
        usage.early += self.early.len();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}

fn fetch(partition: PartitionId, offset: Offset) -> PartitionOp {
    PartitionOp::Fetch(FetchOp {
        partition,
        offset,
        current_leader_epoch: None,
        isolation: Isolation::ReadUncommitted,
        bytes_max: COORDINATOR_LOAD_BYTES,
        minimum: Minimum::AtLeastOne,
        starved: Starved::Waits,
        watch_below: 0,
    })
}

#[cfg(test)]
mod tests;
