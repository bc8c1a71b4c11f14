//! The controller's place on shard 0: its records go into the metadata log, its answers out once they are committed.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::message::{CallId, ShardMessage};
use super::owner::{self, Owner, StreamHold};
use crate::config::LogLevel;
use crate::controller::{
    Command, Controller, ControllerReply, Image, Intent, MetadataRecord, encode_records, encoded_bytes,
};
use crate::id::{Offset, PartitionId, ShardId, StreamId, Uuid};
use crate::limits::METADATA_BATCH_BYTES_MAX;
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::shard::Event;
use crate::time::Now;

/// An answer that waits for the metadata log to be committed up to `end`.
#[derive(Debug)]
struct Pending {
    end: Offset,
    to: ShardId,
    call: CallId,
    reply: ControllerReply,
}

/// The topics that come and go with `records`.
fn topic_events<'a>(records: impl Iterator<Item = &'a MetadataRecord>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for record in records {
        match (record, events.last_mut()) {
            (MetadataRecord::TopicCreated(_), _) => events.push(Event::TopicCreated { partitions: 0 }),
            (MetadataRecord::TopicDeleted { .. }, _) => events.push(Event::TopicDeleted),
            // Those of a topic follow it, in the same batch.
            (MetadataRecord::PartitionCreated(_), Some(Event::TopicCreated { partitions })) => {
                *partitions += 1
            }
            (
                MetadataRecord::PartitionCreated(_)
                | MetadataRecord::ClusterCreated { .. }
                | MetadataRecord::ProducerIdsAllocated { .. }
                | MetadataRecord::ConfigsAltered(_),
                _,
            ) => {}
        }
    }
    events
}

/// Why records are not in the metadata log.
enum NotAppended {
    /// The WAL has no room for them now.
    NoRoom(Vec<MetadataRecord>),
    /// It will never have.
    TooLarge,
}

#[derive(Debug)]
pub(super) struct Seat {
    controller: Controller,
    prng: Prng,
    /// Commands that wait for room in the WAL, in order.
    commands: VecDeque<(ShardId, CallId, Command)>,
    /// The records of a new cluster that are not appended yet.
    bootstrap: Vec<MetadataRecord>,
    pending: VecDeque<Pending>,
    committed: Offset,
    holds: Vec<StreamHold>,
}

impl Seat {
    pub(super) fn new(controller: Controller, cluster: Uuid, holds: Vec<StreamHold>, seed: u64) -> Self {
        let bootstrap =
            if controller.image().version == 0 { Controller::bootstrap(cluster) } else { Vec::new() };
        Self {
            controller,
            prng: Prng::keyed(seed, 1),
            commands: VecDeque::new(),
            bootstrap,
            pending: VecDeque::new(),
            committed: Offset::ZERO,
            holds,
        }
    }

    pub(super) fn on_command(&mut self, from: ShardId, call: CallId, command: Command) {
        self.commands.push_back((from, call, command));
    }

    /// A shard holds nothing of the stream any more.
    pub(super) fn on_released(&mut self, stream: StreamId) {
        for hold in &mut self.holds {
            if hold.stream == stream {
                assert!(hold.holders > 0, "each holder releases once");
                hold.holders -= 1;
            }
        }
    }

    /// Appends what is decided, publishes what is committed. Gives the image if it changed, and the messages that may go out
    /// after it.
    pub(super) fn turn(
        &mut self,
        now: Now,
        owner: &mut Owner,
    ) -> (Option<Arc<Image>>, Vec<(ShardId, ShardMessage)>) {
        self.holds.retain_mut(|hold| {
            let gone = hold.holders == 0 || mutant::on(Mutant::StreamRemovedWhileHeld);
            if gone {
                owner.remove_stream(hold.stream, core::mem::take(&mut hold.files));
            }
            !gone
        });
        self.append_decided(now, owner);
        let Some(high_watermark) = owner.high_watermark(PartitionId::METADATA) else {
            return (None, Vec::new());
        };
        if high_watermark > self.committed || self.pending.front().is_some_and(|p| p.end <= high_watermark) {
            self.committed = high_watermark;
            for event in topic_events(self.controller.committing(high_watermark)) {
                owner.tell(event);
            }
            let image = self.controller.on_committed(high_watermark).then(|| self.controller.image());
            let ready = self.pending.iter().take_while(|p| p.end <= high_watermark).count();
            let replies = self.pending.drain(..ready);
            let replies =
                replies.map(|p| (p.to, ShardMessage::ControlReply { call: p.call, reply: p.reply }));
            return (image, replies.collect());
        }
        (None, Vec::new())
    }

    fn append_decided(&mut self, now: Now, owner: &mut Owner) {
        if !self.bootstrap.is_empty() {
            let records = core::mem::take(&mut self.bootstrap);
            match self.append(now, owner, records) {
                Ok(()) => {}
                Err(NotAppended::NoRoom(records)) => {
                    self.bootstrap = records;
                    return;
                }
                Err(NotAppended::TooLarge) => unreachable!("a new cluster is one record"),
            }
        }
        while let Some((to, call, command)) = self.commands.pop_front() {
            let (records, mut reply) = self.controller.handle(command.clone(), &mut self.prng);
            let appended = if records.is_empty() { Ok(()) } else { self.append(now, owner, records) };
            match appended {
                Ok(()) => {}
                Err(NotAppended::NoRoom(_)) => {
                    self.commands.push_front((to, call, command));
                    return;
                }
                Err(NotAppended::TooLarge) => reply = reply.too_large(),
            }
            if let Command::AlterConfigs(alter) = command
                && alter.intent == Intent::Apply
            {
                self.set_log_levels(owner, alter.loggers);
            }
            let end = owner.log_end(PartitionId::METADATA).expect("shard 0 owns the metadata");
            let end = if mutant::on(Mutant::MetadataToldEarly) { Offset::ZERO } else { end };
            self.pending.push_back(Pending { end, to, call, reply });
        }
    }

    pub(super) fn set_log_levels(
        &mut self,
        owner: &mut Owner,
        levels: Vec<(&'static str, Option<LogLevel>)>,
    ) {
        for (logger, level) in self.controller.alter_log_levels(levels) {
            owner.tell(Event::LogLevelSet { logger, level });
        }
    }

    fn append(
        &mut self,
        now: Now,
        owner: &mut Owner,
        records: Vec<MetadataRecord>,
    ) -> Result<(), NotAppended> {
        if encoded_bytes(&records) > METADATA_BATCH_BYTES_MAX {
            return Err(NotAppended::TooLarge);
        }
        let batch = encode_records(&records, now.wall);
        let base = match owner.append_own(now, PartitionId::METADATA, &batch) {
            Ok(base) => base,
            Err(owner::NotAppended::TooLarge) => return Err(NotAppended::TooLarge),
            Err(owner::NotAppended::NoRoom) => return Err(NotAppended::NoRoom(records)),
            Err(owner::NotAppended::Refused) => unreachable!("shard 0 leads the metadata, alone"),
        };
        for (place, record) in (0_i64..).zip(records) {
            self.controller.replay(base.plus(place), record);
        }
        Ok(())
    }
}
