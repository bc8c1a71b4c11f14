//! Events as log lines: which are told, at which level, by which logger.

use highwater_core::group::out::GroupEvent;
use highwater_core::id::{Offset, PartitionId, ShardId};
use highwater_core::shard::{Event, Halt};

use crate::logs::{CONNECTION, GROUP, LOG, METADATA, NODE, RECOVERY, REQUEST, STORAGE};
use crate::words;

fn storage_full(shard: u16) {
    tracing::error!(target: STORAGE, shard, "the disk is full: produce is refused until there is room");
}

fn cleaning_given_up(shard: u16, partition: PartitionId, at: Offset) {
    let what = "a segment cannot be read, so that the log is not compacted any more; a restart looks into it";
    tracing::warn!(target: LOG, shard, %partition, offset = at.0, "{what}");
}

/// The level says who should read it: error calls for a person, warn is damage that was repaired, info is rare and ordinary.
pub(super) fn log(shard: ShardId, event: &Event) {
    let shard = shard.0;
    match event {
        Event::TopicCreated { partitions } => {
            tracing::info!(target: METADATA, shard, partitions, "topic created")
        }
        Event::TopicDeleted => tracing::info!(target: METADATA, shard, "topic deleted"),
        Event::LogLevelSet { logger, level } => {
            tracing::info!(target: NODE, shard, logger, level = level.name(), "the level of a logger was set");
        }
        Event::TornTail { stream, lsn } => {
            tracing::warn!(target: RECOVERY, shard, stream = %stream.0, lsn, "the write-ahead log ends in a torn write; nothing acknowledged is lost");
        }
        Event::Rot { stream, first, last } => {
            tracing::error!(target: RECOVERY, shard, stream = %stream.0, first, last, "the write-ahead log is damaged where it was durable");
        }
        Event::Faulty { partition, base, last } => {
            tracing::error!(target: LOG, shard, %partition, base = base.0, last = last.0, "offsets cannot be read any more");
        }
        Event::FooterRebuilt { partition, base } => {
            tracing::warn!(target: RECOVERY, shard, %partition, base = base.0, "a segment's footer was damaged and is made again");
        }
        Event::SuperblockRepaired => {
            tracing::warn!(target: RECOVERY, shard, "one copy of the superblock was damaged or old; both are written again");
        }
        Event::CheckpointLost { .. } | Event::ProducersLost { .. } | Event::LogStartLost { .. } => {
            log_loss(shard, event);
        }
        Event::StorageFull => storage_full(shard),
        Event::StorageRoomAgain => tracing::info!(target: STORAGE, shard, "the disk has room again"),
        Event::Halted(Halt::Stopped) => tracing::debug!(target: NODE, shard, "shard stopped"),
        Event::Halted(halt) => {
            let failure = words::halt(*halt);
            tracing::error!(
                target: NODE,
                shard,
                place = failure.place,
                why = failure.why,
                fix = failure.fix,
                "{}",
                failure.what
            );
        }
        Event::CleaningGivenUp { partition, at } => cleaning_given_up(shard, *partition, *at),
        Event::Connected { .. } | Event::Disconnected { .. } | Event::ConnectionRefused { .. } => {
            tracing::debug!(target: CONNECTION, shard, ?event);
        }
        Event::GroupChanged(event) => group_changed(shard, event),
        Event::GroupsUnreadable { partition, why } => groups_unreadable(shard, *partition, why),
        Event::WalFileCreated { .. }
        | Event::WalFileRecycled { .. }
        | Event::Checkpointed { .. }
        | Event::Marked(_) => tracing::debug!(target: STORAGE, shard, ?event),
        Event::SegmentRolled { .. }
        | Event::SegmentSealed { .. }
        | Event::SegmentDeleted { .. }
        | Event::LogStartMoved { .. }
        | Event::SegmentCleaned { .. }
        | Event::LogCleaned { .. }
        | Event::CarriedForward { .. } => tracing::debug!(target: LOG, shard, ?event),
        Event::Recovered { .. } => tracing::debug!(target: RECOVERY, shard, ?event),
        Event::Answered { .. } => tracing::trace!(target: REQUEST, shard, ?event),
        Event::Appended { .. }
        | Event::DuplicateAnswered { .. }
        | Event::DurableAdvanced { .. }
        | Event::HighWatermarkAdvanced { .. }
        | Event::Destaged { .. } => tracing::trace!(target: LOG, shard, ?event),
        Event::GroupCommitted { .. } | Event::SealWritten { .. } => {
            tracing::trace!(target: STORAGE, shard, ?event);
        }
    }
}

fn groups_unreadable(shard: u16, partition: PartitionId, why: &str) {
    tracing::error!(target: GROUP, shard, %partition, why, "groups cannot be read and are not served");
}

fn group_changed(shard: u16, event: &GroupEvent) {
    let GroupEvent { group, generation, from, to, .. } = event;
    let why = words::group_reason(&event.reason);
    tracing::info!(target: GROUP, shard, group, generation, ?from, ?to, "{why}");
}

/// What recovery could not read and goes on without.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what recovery lost comes here")]
fn log_loss(shard: u16, event: &Event) {
    match event {
        Event::CheckpointLost { stream } => {
            tracing::error!(target: RECOVERY, shard, stream = %stream.0, "a checkpoint is damaged: the write-ahead log is read from its start");
        }
        Event::ProducersLost { partition } => {
            tracing::error!(target: RECOVERY, shard, %partition, "the producers of deleted records are forgotten: batches sent again may be doubled or refused");
        }
        Event::LogStartLost { partition } => {
            tracing::error!(target: RECOVERY, shard, %partition, "the file that tells where the log begins is damaged: records that were deleted may be read again");
        }
        other => unreachable!("{other:?} is no loss"),
    }
}
