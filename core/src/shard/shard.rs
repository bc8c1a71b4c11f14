//! One shard: the turn that takes inputs to effects. One per core, single-threaded.

#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::coordinators::{Coordinate, Coordinators};
use super::home::Home;
use super::message::ShardMessage;
use super::owner::{Inheritance, Owner, StreamHold};
use super::seat::Seat;
use super::{
    CoordinatorView, Effect, Event, Halt, Input, PartitionReport, PartitionView, PoolReport, RetentionReport,
    ShardReport, Usage,
};
use crate::buf::{PageMut, Pool};
use crate::config::Config;
use crate::controller::{Controller, Image};
use crate::group::command::TopicPartition;
use crate::group::groups::{GroupReport, OffsetReport};
use crate::id::{ConnId, Offset, PartitionId, ShardId, StreamId, TopicId, Uuid};
use crate::time::{Instant, Now, Timestamp};

/// Why a shard wants to be polled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A fetch has waited long enough.
    Fetch,
    /// The WAL was silent long enough for a seal.
    Seal,
    /// Data was in the WAL alone long enough.
    Destage,
    /// Segments may have passed their retention or age.
    Retention,
    /// A cleaning goes on, or a log may be dirty enough for one.
    Clean,
    /// A frame was incomplete long enough.
    Dripping,
    /// A produce was not acknowledged in its time.
    Produce,
    /// Memory may be there for a connection that waits for it.
    Memory,
    /// Unsent answers hold too much, and some reader may have taken nothing for too long.
    SlowReader,
    /// The node ends, and requests were waited for long enough.
    Stop,
    /// A full disk may have room again.
    Full,
    /// A coordinator has something to do.
    Coordinator,
}

/// Metadata of a cluster: the state machine on shard 0, the cluster's id, and the WAL streams of earlier lives to be let go.
pub(super) type Controls = (Controller, Uuid, Vec<StreamHold>);

/// A shard of a node.
///
/// The contract between a shard and its driver:
/// 1. `now` comes in with every call; `now.mono` never goes back. The core reads no clock, no entropy, no environment.
/// 2. An effect has no precondition: to carry it out at once is always right. Only the sends of one connection and the messages
///    between one pair of shards are kept in order by the driver.
/// 3. Each disk effect gets exactly one completion, in any order, failures included.
/// 4. `handle` any number of times, then `poll` to `None` (or until the driver is full) before sleeping; sleep no longer than
///    until `deadline`.
/// 5. All memory comes from pools and tables bounded in [`crate::limits`]. Full is back-pressure, never an error, never an abort.
/// 6. The same config, seed and inputs give the same effects, byte for byte.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shards: u16,
    home: Home,
    owner: Owner,
    seat: Option<Seat>,
    coordinators: Coordinators,
    /// Pages for requests; what the owner holds has pools of its own.
    pool: Pool,
    /// Messages of this shard to itself.
    local: VecDeque<ShardMessage>,
    effects: VecDeque<Effect>,
    /// Whether the cluster's metadata is there; until then nobody is served.
    ready: bool,
    stopping: bool,
    last: Instant,
}

impl Shard {
    pub(super) fn new(
        config: Arc<Config>,
        id: ShardId,
        seed: u64,
        stream: StreamId,
        inheritance: Inheritance,
        controls: Option<Controls>,
        now: Now,
    ) -> Self {
        let image = Arc::clone(&inheritance.image);
        let mut home = Home::new(Arc::clone(&config), id, seed);
        home.on_directory(inheritance.directory);
        let ready = image.version > 0;
        let mut coordinators = Coordinators::new(Arc::clone(&config), id, seed);
        if ready {
            coordinators.on_image(Arc::clone(&image));
            home.on_image(image);
        }
        Self {
            id,
            shards: config.shards,
            home,
            pool: Pool::new(config.memory_bytes / 4),
            owner: Owner::new(config, id, stream, inheritance, now),
            coordinators,
            seat: controls.map(|(controller, cluster, holds)| Seat::new(controller, cluster, holds, seed)),
            local: VecDeque::new(),
            effects: VecDeque::new(),
            ready,
            stopping: false,
            last: now.mono,
        }
    }

    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Takes one fact. Cheap: it is noted, and what it touches is marked for a turn.
    pub fn handle(&mut self, now: Now, input: Input) {
        assert!(now.mono >= self.last, "time does not go back");
        self.last = now.mono;
        match input {
            Input::Accepted { conn, local, peer } => self.home.on_accepted(now, conn, local, peer.ip()),
            Input::Received { conn, page, len } => self.home.on_received(now, conn, page, len),
            Input::Sent { conn } => self.home.on_sent(now, conn),
            Input::Closed { conn, page } => {
                let unused = self.forget(conn);
                self.home.on_closed(conn, page.or(unused));
            }
            Input::Disk { op, outcome } => self.owner.on_disk(now, op, outcome),
            Input::Shard { from, message } => self.on_message(now, from, message),
            Input::Tick => {}
            Input::FileSystem(found) => self.home.on_file_system(found),
            Input::LogLevel { logger, level } => {
                let seat = self.seat.as_mut().expect("levels are set on shard 0");
                seat.set_log_levels(&mut self.owner, alloc::vec![(logger, level)]);
            }
            Input::Stop => {
                self.stopping = true;
                self.home.on_stop(now);
                self.owner.on_stop();
            }
        }
    }

    /// Orders about a connection that is gone, which a driver that was full has not taken, are void. Gives back what one of them lent.
    fn forget(&mut self, gone: ConnId) -> Option<PageMut> {
        let names = |effect: &Effect| match effect {
            Effect::Recv { conn, .. } | Effect::Send { conn, .. } | Effect::Close { conn, .. } => {
                *conn == gone
            }
            Effect::Write { .. }
            | Effect::Sync { .. }
            | Effect::Read { .. }
            | Effect::File { .. }
            | Effect::Shard { .. }
            | Effect::Halt(_) => false,
        };
        let mut page = None;
        let mut at = 0;
        while at < self.effects.len() {
            if !names(&self.effects[at]) {
                at += 1;
            } else if let Some(Effect::Recv { into, .. }) = self.effects.remove(at) {
                page = Some(into);
            }
        }
        page
    }

    fn on_message(&mut self, now: Now, from: ShardId, message: ShardMessage) {
        match message {
            ShardMessage::Call { call, image_version, op } => {
                self.owner.on_call(now, from, call, image_version, op);
            }
            ShardMessage::Unwatch { call } => self.owner.on_unwatch(from, call),
            ShardMessage::Control { call, command } => {
                let seat = self.seat.as_mut().expect("commands go to shard 0");
                seat.on_command(from, call, command);
            }
            ShardMessage::StreamReleased { stream } => {
                self.seat.as_mut().expect("streams are released to shard 0").on_released(stream);
            }
            ShardMessage::Image(image) => self.on_image(now, image),
            ShardMessage::Coordinate { call, image_version, partition, command } => {
                let asked = Coordinate { from, call, image_version, partition, command: *command };
                self.coordinators.on_command(asked);
            }
            ShardMessage::Reply { call, reply } if Coordinators::is_own(call) => {
                self.coordinators.on_read(now, call, reply);
            }
            ShardMessage::Reply { .. }
            | ShardMessage::Woken { .. }
            | ShardMessage::ControlReply { .. }
            | ShardMessage::Coordinated { .. } => self.home.on_message(now, from, message),
        }
    }

    fn on_image(&mut self, now: Now, image: Arc<Image>) {
        self.owner.on_image(now, Arc::clone(&image));
        self.coordinators.on_image(Arc::clone(&image));
        self.home.on_image(image);
        self.ready = true;
    }

    /// One effect; runs turns of what is marked until there is one or all is done.
    pub fn poll(&mut self, now: Now) -> Option<Effect> {
        assert!(now.mono >= self.last, "time does not go back");
        self.last = now.mono;
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            if !self.turn(now) {
                return None;
            }
        }
    }

    /// Does everything that is due: first what may add to the next group of the WAL, then the WAL. Says whether anything happened.
    fn turn(&mut self, now: Now) -> bool {
        let mut moved = false;
        while self.ready || self.stopping {
            let Some(effect) = self.home.poll(now, &mut self.pool) else { break };
            moved = true;
            self.place(effect);
        }
        while let Some(message) = self.local.pop_front() {
            moved = true;
            self.on_message(now, self.id, message);
        }
        if let Some(seat) = &mut self.seat {
            let (image, messages) = seat.turn(now, &mut self.owner);
            moved |= image.is_some() || !messages.is_empty();
            for to in (0..self.shards).map(ShardId) {
                if let Some(image) = &image {
                    self.place(Effect::Shard { to, message: ShardMessage::Image(Arc::clone(image)) });
                }
            }
            for (to, message) in messages {
                self.place(Effect::Shard { to, message });
            }
        }
        let (worked, answers) = self.coordinators.turn(now, &mut self.owner);
        moved |= worked || !answers.is_empty();
        for (to, message) in answers {
            self.place(Effect::Shard { to, message });
        }
        if moved {
            // What came in by mesh or loop may have more for the same group.
            return true;
        }
        while let Some(effect) = self.owner.poll(now) {
            moved = true;
            self.place(effect);
        }
        while let Some((to, message)) = self.owner.poll_message() {
            moved = true;
            self.place(Effect::Shard { to, message });
        }
        if !moved && self.stopping && self.home.is_idle() && self.owner.is_flushed() {
            self.stopping = false;
            self.effects.push_back(Effect::Halt(Halt::Stopped));
            return true;
        }
        moved
    }

    fn place(&mut self, effect: Effect) {
        match effect {
            Effect::Shard { to, message } if to == self.id => self.local.push_back(message),
            Effect::Recv { .. }
            | Effect::Send { .. }
            | Effect::Close { .. }
            | Effect::Write { .. }
            | Effect::Sync { .. }
            | Effect::Read { .. }
            | Effect::File { .. }
            | Effect::Shard { .. }
            | Effect::Halt(_) => self.effects.push_back(effect),
        }
    }

    /// When to poll again without an input, and why.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let coordinators = self.coordinators.deadline().map(|at| (at, Timer::Coordinator));
        [self.home.deadline(), self.owner.deadline(), coordinators].into_iter().flatten().min()
    }

    /// What happened, for those who watch.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.home.poll_event().or_else(|| self.owner.poll_event())
    }

    /// Panics where the state contradicts itself at a glance. The simulator calls it after every turn.
    pub fn invariants(&self) {
        self.owner.invariants();
    }

    /// Panics where the state contradicts itself anywhere: walks all of it. The simulator calls it now and then, and at the end.
    pub fn audit(&self) {
        self.home.audit();
        self.owner.audit();
        self.coordinators.audit();
    }

    /// The state of each partition, for checkers.
    pub fn view(&self) -> Vec<PartitionView> {
        self.owner.view()
    }

    /// The coordinators, for checkers.
    pub fn coordinators(&self) -> Vec<CoordinatorView> {
        self.coordinators.view(&self.owner)
    }

    /// What stands, as sums. Costs as much as there are pages.
    pub fn report(&mut self) -> ShardReport {
        let requests = PoolReport::new("requests", &mut self.pool);
        let mut report = self.owner.sums(requests);
        self.home.report(&mut report);
        report
    }

    /// Up to `count_max` partitions of this shard in the order of their ids, those after `after`.
    pub fn report_partitions(&self, after: Option<PartitionId>, count_max: usize) -> Vec<PartitionReport> {
        self.owner.report_partitions(after, count_max)
    }

    /// Groups of one coordinator of this shard in the order of their names, behind `after`: so many that they and their members come
    /// to `work_max`, and one at least. `None` if that were all.
    pub fn report_groups(
        &self,
        after: Option<(PartitionId, &str)>,
        work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)> {
        self.coordinators.report(after, work_max)
    }

    /// Up to `count_max` of what a group of a coordinator has committed, behind `after`.
    pub fn report_offsets(
        &self,
        group: (PartitionId, &str),
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport> {
        self.coordinators.report_offsets(group, after, count_max)
    }

    /// The time of the first committed record at or behind an offset, as far as memory knows; `None` if there is none.
    pub fn report_timestamp(&self, partition: PartitionId, offset: Offset) -> Option<Timestamp> {
        self.owner.report_timestamp(partition, offset)
    }

    /// Why the first partition of the topic behind `after`, of those that this shard has, has its segments: the oldest of them, at
    /// most so many.
    pub fn report_retention(
        &self,
        now: Now,
        topic: TopicId,
        after: Option<PartitionId>,
        segments_max: usize,
    ) -> Option<RetentionReport> {
        self.owner.report_retention(now, topic, after, segments_max)
    }

    /// What the shard holds, for checkers.
    pub fn usage(&mut self) -> Usage {
        let mut usage = Usage { request_bytes: self.pool.bytes_in_use(), ..Usage::default() };
        self.home.count(&mut usage);
        self.owner.count(&mut usage);
        self.coordinators.count(&mut usage);
        usage
    }
}
