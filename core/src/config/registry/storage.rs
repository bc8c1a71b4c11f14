//! Settings of the broker about its logs, most of them defaults of topics.

use super::topic::{
    ALONE, BATCH_BYTES, CLEANUP, CLOCKS, CODECS, NO_DELAY, NO_TIERS, ONE_LZ4, ONE_ZSTD, SEGMENT_BYTES, SYNCED,
};
use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OffOrWithin, Ratio, Within};

const DEFAULT: &str = "Set it for all topics that do not set their own.";
const CLEANER_PAUSE: &str =
    "logs are looked at every 15 seconds, or as often as for retention if that is more often";
const CLEANER_KEYS: &str = "each shard holds keys in at most a 16th of memory.bytes and at most 64 MiB; where there are more, a pass goes as far as they fit";
const CLEANER_PIECES: &str = "the cleaner of a shard reads and writes pieces of 256 KiB, or of one batch";
const CLEANER_RATE: &str = "the cleaner of a shard reads and writes at most 64 MiB in a second";
const NO_CHECKPOINT: &str = "recovery starts from the checkpoint of the write-ahead log";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "auto.create.topics.enable" Boolean "true" ReadOnly (Any)
        "Whether a topic that a client asks for is created." InForce("Switch it off where a typing error must not become a topic.");
    "compression.gzip.level" Int "-1" ClusterWide (OffOrWithin(1, 9))
        "The default of topics for compression.gzip.level: how hard gzip works, from 1 to 9, and -1 means 6." InForce(DEFAULT);
    "compression.lz4.level" Int "9" ClusterWide (Within(1, 17))
        "The default of topics for compression.lz4.level: how hard lz4 works in Kafka." NoEffect(ONE_LZ4);
    "compression.type" String "producer" ClusterWide (CODECS)
        "The default of topics for compression.type: the codec in which batches are stored." InForce(DEFAULT);
    "compression.zstd.level" Int "3" ClusterWide (Within(-131_072, 22))
        "The default of topics for compression.zstd.level: how hard zstd works in Kafka." NoEffect(ONE_ZSTD);
    "cordoned.log.dirs" List "" PerBroker (Any)
        "Log directories that take no new partitions." NoEffect("a node has one log directory");
    "delete.topic.enable" Boolean "true" ReadOnly (Any)
        "Whether topics may be deleted." NoEffect("topics may always be deleted");
    "log.cleaner.backoff.ms" Long "15000" ClusterWide (AtLeast(0))
        "How long a cleaner of Kafka sleeps when there is nothing to clean." NoEffect(CLEANER_PAUSE);
    "log.cleaner.dedupe.buffer.size" Long "134217728" ClusterWide (Any)
        "Memory for the keys that all cleaners of Kafka remember." NoEffect(CLEANER_KEYS);
    "log.cleaner.delete.retention.ms" Long "86400000" ClusterWide (AtLeast(0))
        "The default of topics for delete.retention.ms: how long the markers of deleted keys are kept." InForce(DEFAULT);
    "log.cleaner.enable" Boolean "true" ReadOnly (Any)
        "Whether compacted topics are cleaned at all." NoEffect("they always are");
    "log.cleaner.io.buffer.load.factor" Double "0.9" ClusterWide (Any)
        "How full the table of keys of a cleaner of Kafka may be." NoEffect(CLEANER_KEYS);
    "log.cleaner.io.buffer.size" Int "524288" ClusterWide (AtLeast(0))
        "Memory for input and output of all cleaners of Kafka." NoEffect(CLEANER_PIECES);
    "log.cleaner.io.max.bytes.per.second" Double "1.7976931348623157E308" ClusterWide (Any)
        "The rate at which Kafka's cleaners read and write at most." NoEffect(CLEANER_RATE);
    "log.cleaner.max.compaction.lag.ms" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The default of topics for max.compaction.lag.ms: the longest time that a record stays uncleaned." InForce(DEFAULT);
    "log.cleaner.min.cleanable.ratio" Double "0.5" ClusterWide (Ratio)
        "The default of topics for min.cleanable.dirty.ratio: the part of a log that must be uncleaned." InForce(DEFAULT);
    "log.cleaner.min.compaction.lag.ms" Long "0" ClusterWide (AtLeast(0))
        "The default of topics for min.compaction.lag.ms: how long a record is safe from cleaning." InForce(DEFAULT);
    "log.cleaner.threads" Int "1" ClusterWide (AtLeast(0))
        "Threads that clean." NoEffect("each shard cleans one log at a time");
    "log.cleanup.policy" List "delete" ClusterWide (CLEANUP)
        "The default of topics for cleanup.policy: delete, compact, both or neither." InForce(DEFAULT);
    "log.dir" List "/tmp/kafka-logs" ReadOnly (Any)
        "The directory of all data, if log.dirs is not set." InForce("Set log.dirs instead; without either, a server refuses to start.");
    "log.dir.failure.timeout.ms" Long "30000" ReadOnly (AtLeast(1))
        "How long a broker may fail to report a broken log directory." NoEffect("a node has one log directory and stops with it");
    "log.dirs" List null ReadOnly (Any)
        "The directory of all data; one only, because all shards share it." InForce("Set it to a file system of its own on a fast disk.");
    "log.flush.interval.messages" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The count of records after which Kafka flushes a log." NoEffect(SYNCED);
    "log.flush.interval.ms" Long null ClusterWide (Any)
        "The time after which Kafka flushes a log." NoEffect(SYNCED);
    "log.flush.offset.checkpoint.interval.ms" Int "60000" ReadOnly (AtLeast(0))
        "How often Kafka notes how far its logs are flushed." NoEffect(NO_CHECKPOINT);
    "log.flush.scheduler.interval.ms" Long "9223372036854775807" ReadOnly (Any)
        "How often Kafka looks for logs to flush." NoEffect(SYNCED);
    "log.flush.start.offset.checkpoint.interval.ms" Int "60000" ReadOnly (AtLeast(0))
        "How often Kafka notes where its logs begin." NoEffect(NO_CHECKPOINT);
    "log.index.interval.bytes" Int "4096" ClusterWide (AtLeast(0))
        "The default of topics for index.interval.bytes: bytes between two entries of an offset index." InForce(DEFAULT);
    "log.index.size.max.bytes" Int "10485760" ClusterWide (AtLeast(4))
        "The default of topics for segment.index.bytes." NoEffect("an index is as long as it needs to be");
    "log.local.retention.bytes" Long "-2" ClusterWide (AtLeast(-2))
        "The default of topics for local.retention.bytes." NoEffect(NO_TIERS);
    "log.local.retention.ms" Long "-2" ClusterWide (AtLeast(-2))
        "The default of topics for local.retention.ms." NoEffect(NO_TIERS);
    "log.message.timestamp.after.max.ms" Long "3600000" ClusterWide (AtLeast(0))
        "The default of topics for message.timestamp.after.max.ms: how far a timestamp may be ahead." InForce(DEFAULT);
    "log.message.timestamp.before.max.ms" Long "9223372036854775807" ClusterWide (AtLeast(0))
        "The default of topics for message.timestamp.before.max.ms: how far a timestamp may be behind." InForce(DEFAULT);
    "log.message.timestamp.type" String "CreateTime" ClusterWide (CLOCKS)
        "The default of topics for message.timestamp.type: whose clock stamps a record." InForce(DEFAULT);
    "log.preallocate" Boolean "false" ClusterWide (Any)
        "The default of topics for preallocate."
        NoEffect("the write-ahead log is preallocated, segments are written in large pieces");
    "log.retention.bytes" Long "-1" ClusterWide (AtLeast(-1))
        "The default of topics for retention.bytes: bytes of each partition that are kept; -1 is without bound." InForce(DEFAULT);
    "log.retention.check.interval.ms" Long "300000" ReadOnly (Within(1, 86_400_000))
        "How often segments are looked at for their age and size." InForce("Lower it if retention is set to minutes.");
    "log.retention.hours" Int "168" ReadOnly (AtLeast(-1))
        "How long records are kept, in hours; log.retention.minutes and log.retention.ms go before it." InForce("Use log.retention.ms, which can change without a restart.");
    "log.retention.minutes" Int null ReadOnly (AtLeast(-1))
        "How long records are kept, in minutes; log.retention.ms goes before it." InForce("Use log.retention.ms, which can change without a restart.");
    "log.retention.ms" Long null ClusterWide (AtLeast(-1))
        "The default of topics for retention.ms: how long records are kept; -1 is for ever, unset leaves it to minutes and hours." InForce(DEFAULT);
    "log.roll.hours" Int "168" ReadOnly (AtLeast(1))
        "The age at which a segment is closed, in hours; log.roll.ms goes before it." InForce("Use log.roll.ms, which can change without a restart.");
    "log.roll.jitter.hours" Int "0" ReadOnly (AtLeast(0))
        "The default of topics for segment.jitter.ms, in hours; log.roll.jitter.ms goes before it." InForce("Use log.roll.jitter.ms, which can change without a restart.");
    "log.roll.jitter.ms" Long null ClusterWide (AtLeast(0))
        "The default of topics for segment.jitter.ms: the most by which a segment is closed early." InForce(DEFAULT);
    "log.roll.ms" Long null ClusterWide (AtLeast(1))
        "The default of topics for segment.ms: the age at which a segment is closed." InForce(DEFAULT);
    "log.segment.bytes" Int "1073741824" ClusterWide (SEGMENT_BYTES)
        "The default of topics for segment.bytes: the size at which a segment is closed." InForce(DEFAULT);
    "log.segment.delete.delay.ms" Long "60000" ClusterWide (AtLeast(0))
        "The default of topics for file.delete.delay.ms: how long Kafka leaves files of deleted segments on disk." NoEffect(NO_DELAY);
    "message.max.bytes" Int "1048588" ClusterWide (BATCH_BYTES)
        "The default of topics for max.message.bytes: the largest batch that is accepted." InForce(DEFAULT);
    "min.insync.replicas" Int "1" ClusterWide (Within(1, i16::MAX as i64))
        "The default of topics for min.insync.replicas: replicas that must be in sync for acks=all." InForce("With one node anything above 1 refuses every such produce.");
    "num.partitions" Int "1" ReadOnly (Within(1, 100_000))
        "Partitions of a topic that does not say how many." InForce("Raise it to the count of consumers that shall share a usual topic.");
    "num.recovery.threads.per.data.dir" Int "2" ClusterWide (AtLeast(1))
        "Threads that Kafka recovers a log directory with." NoEffect("each shard recovers its own partitions");
    "unclean.leader.election.enable" Boolean "false" ClusterWide (Any)
        "The default of topics for unclean.leader.election.enable." NoEffect(ALONE);
};
