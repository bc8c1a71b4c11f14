//! Following the metadata: partitions come and go with their topics.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::delete_records::StartFile;
use super::{Inherited, Keeping, Owner, Partition, Urgency};
use crate::config::TopicConfig;
use crate::controller::{Image, PartitionImage};
use crate::id::{FileId, LeaderEpoch, NodeId, Offset, PartitionId, ShardId};
use crate::limits::REMOVALS_MAX;
use crate::log::{CompactionConfig, Log, LogConfig};
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::replica::{Leadership, PartitionError, PartitionReply, Replica};
use crate::shard::{Event, FileChange, Mark, placement};
use crate::time::{Duration, Now};

/// What a log is told of its topic's configuration.
pub(in crate::shard) fn log_config(id: PartitionId, config: &TopicConfig) -> LogConfig {
    let deletes = config.cleanup.deletes() || mutant::on(Mutant::PolicyIgnored);
    LogConfig {
        segment_bytes: config.segment_bytes,
        segment_age_max: jittered(id, config),
        deletes,
        retention: config.retention.filter(|_| deletes),
        retention_bytes: config.retention_bytes.filter(|_| deletes),
        index_interval_bytes: config.index_interval_bytes,
        compaction: config.cleanup.compacts().then_some(CompactionConfig {
            delete_retention: config.delete_retention,
            lag_min: config.compaction_lag_min,
            lag_max: config.compaction_lag_max,
            dirty_ratio_min_ppm: config.dirty_ratio_min_ppm,
        }),
    }
}

/// `segment.ms` less as much of `segment.jitter.ms` as is this partition's share, always the same: partitions that are made together
/// do not roll together.
fn jittered(id: PartitionId, config: &TopicConfig) -> Duration {
    let most = config.segment_jitter.min(config.segment_age_max).as_millis();
    let index = u64::from(id.index.cast_unsigned());
    let share = Prng::keyed(u64::from(crc32fast::hash(&id.topic.0.0)), index).below(most.max(1));
    Duration::from_millis(config.segment_age_max.as_millis() - share)
}

/// A replica that leads as the metadata says; `__cluster_metadata`, of which it says nothing, is led by its one node.
pub(in crate::shard) fn lead(
    node: NodeId,
    log: Log,
    state: Option<&PartitionImage>,
    config: &TopicConfig,
) -> Replica {
    let mut replica = Replica::new(node, log);
    let epoch = state.map_or(LeaderEpoch(0), |state| state.leader_epoch);
    let isr = state.map_or_else(|| BTreeSet::from([node]), |state| state.isr.iter().copied().collect());
    replica.on_leadership(Leadership { epoch, isr, min_insync: config.min_insync_replicas });
    replica
}

impl Owner {
    /// Newer metadata: partitions of this shard are made, configured or given up, and calls that waited for it go on.
    pub(in crate::shard) fn on_image(&mut self, now: Now, image: Arc<Image>) {
        assert!(image.version >= self.image.version, "metadata does not go back");
        let before = core::mem::replace(&mut self.image, Arc::clone(&image));
        self.commits += 1;
        let changes = image.changes(&before);
        for topic in changes.gone {
            for (id, _) in topic.partitions() {
                self.delete_partition(id);
            }
        }
        for topic in changes.fresh {
            for (id, state) in topic.partitions() {
                if placement::owner(id, self.config.shards) != self.id {
                    continue;
                }
                match self.partitions.get_mut(&id) {
                    Some(partition) => {
                        partition.timestamp = topic.config.timestamp;
                        partition.replica.log.configure(log_config(id, &topic.config));
                        partition.replica.on_min_insync(topic.config.min_insync_replicas);
                    }
                    None => {
                        let log = Log::new(log_config(id, &topic.config), Offset::ZERO);
                        let replica = lead(self.config.node, log, Some(state), &topic.config);
                        let timestamp = topic.config.timestamp;
                        self.adopt(Inherited { partition: id, replica, timestamp, kept_start: None });
                    }
                }
            }
        }
        if self.partitions.values().any(|partition| partition.replica.log.compacts()) {
            self.watch_dirt(now);
        }
        self.start_early(now);
    }

    pub(super) fn adopt(&mut self, inherited: Inherited) {
        let Inherited { partition: id, replica, timestamp, kept_start } = inherited;
        // A start leaves a point of all that it found.
        let pointed = replica.log.recovery_point_len().unwrap_or(0);
        let start_file = StartFile::new(kept_start, replica.log.first_base());
        let partition = Partition {
            replica,
            timestamp,
            keeping: Keeping::Idle,
            unremoved: None,
            start_file,
            untidy: VecDeque::new(),
            uncleanable: false,
            queued: false,
            urgency: Urgency::Usual,
            carried: 0,
            pointed,
        };
        self.head_bytes += partition.replica.log.head_bytes();
        let before = self.partitions.insert(id, partition);
        assert!(before.is_none(), "a partition is made once");
    }

    fn start_early(&mut self, now: Now) {
        let version = self.image.version;
        let (due, early) =
            core::mem::take(&mut self.early).into_iter().partition(|(wants, _)| *wants <= version);
        self.early = early;
        let due: Vec<_> = due;
        for (_, call) in due {
            self.start(now, call);
        }
    }

    /// The topic was deleted: who waits is told, what pins the WAL lets go, and the files are removed.
    fn delete_partition(&mut self, id: PartitionId) {
        let Some(mut partition) = self.partitions.remove(&id) else { return };
        self.dirty.remove(&id);
        self.head_bytes -= partition.replica.log.head_bytes();
        let pins: Vec<u64> = partition
            .replica
            .log
            .undestaged()
            .filter(|batch| batch.bytes.is_some())
            .map(|batch| batch.wal_file)
            .collect();
        for pin in pins {
            self.release(pin);
        }
        let waiting = partition.replica.on_resigned();
        for token in waiting.acks {
            if let Some(ack) = self.acks.remove(&token) {
                self.reply(ack.to, ack.call, PartitionReply::Failed(PartitionError::Unknown));
            }
        }
        self.wake(waiting.watchers);
        for (call, _) in partition.start_file.take_waiting() {
            self.reply(call.from, call.call, PartitionReply::Failed(PartitionError::Unknown));
        }
        let log = &partition.replica.log;
        let segments = log.segment_names().map(|name| name.file(id));
        let segments = segments.chain(self.leftovers(id, &partition.untidy));
        let footers = log.footers_left().chain(log.segment_bases());
        let footers = footers.map(|base| FileId::Footer { partition: id, base });
        // A change of it that is under way ends first.
        let start_file = Some(FileId::LogStart { partition: id });
        let start_file = start_file.filter(|_| partition.start_file.is_at_rest());
        let files: Vec<FileId> = segments.chain(footers).chain(start_file).collect();
        if partition.keeping == Keeping::Busy {
            self.events.push_back(Event::Marked(Mark::DeletedAtWork));
            self.doomed.insert(id, files);
        } else {
            self.remove_files(files);
        }
    }

    /// The last job on a deleted partition's files is over.
    pub(super) fn delete_doomed(&mut self, id: PartitionId) {
        let files = self.doomed.remove(&id).unwrap_or_default();
        self.remove_files(files);
    }

    fn remove_files(&mut self, files: Vec<FileId>) {
        self.removals.extend(files);
        while self.removals_at_work < REMOVALS_MAX && !self.removals.is_empty() {
            self.remove_next();
        }
    }

    fn remove_next(&mut self) {
        let Some(file) = self.removals.pop_front() else { return };
        self.removals_at_work += 1;
        self.issue_change(super::Op::RemoveGone, file, FileChange::Delete);
    }

    /// A file of a deleted partition is gone, or else the next start tries again.
    pub(super) fn on_gone_removed(&mut self) {
        self.removals_at_work -= 1;
        self.remove_next();
    }

    /// A home needs the watch of a call no more.
    pub(in crate::shard) fn on_unwatch(&mut self, from: ShardId, call: super::CallId) {
        if mutant::on(Mutant::WatchNotForgotten) {
            return;
        }
        let Some(token) = self.watch_tokens.remove(&(from, call)) else { return };
        if let Some((_, _, id)) = self.watches.remove(&token)
            && let Some(partition) = self.partitions.get_mut(&id)
        {
            partition.replica.unwatch(token);
        }
    }
}
