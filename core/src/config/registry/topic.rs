//! The settings of topics.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use crate::limits::BATCH_BYTES_MAX;
use Valid::{Among, Any, AtLeast, OffOrWithin, OneOf, Ratio, Within};

pub(super) const CODECS: Valid = OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
pub(super) const CLEANUP: Valid = Among(&["compact", "delete"]);
pub(super) const CLOCKS: Valid = OneOf(&["CreateTime", "LogAppendTime"]);
pub(super) const BATCH_BYTES: Valid = Within(0, BATCH_BYTES_MAX as i64);
pub(super) const SEGMENT_BYTES: Valid = Within(1 << 20, i32::MAX as i64);
pub(super) const ONE_LZ4: &str = "lz4 is written by one fast encoder, whatever the level";
pub(super) const ONE_ZSTD: &str = "zstd is written by one fast encoder, about level 1, whatever the level";
pub(super) const SYNCED: &str = "every acknowledged record is on disk already";
pub(super) const NO_TIERS: &str = "there is no tiered storage";
pub(super) const NO_DELAY: &str = "a file goes at once when its segment does";
pub(super) const ALONE: &str = "the one node of the cluster has no replica to exchange data with";

/// The broker's settings that hold where a topic sets nothing.
pub(super) const DEFAULTS: [(&str, &[&str]); 29] = [
    ("batch.validation", &["batch.validation"]),
    ("cleanup.policy", &["log.cleanup.policy"]),
    ("compression.gzip.level", &["compression.gzip.level"]),
    ("compression.lz4.level", &["compression.lz4.level"]),
    ("compression.type", &["compression.type"]),
    ("compression.zstd.level", &["compression.zstd.level"]),
    ("delete.retention.ms", &["log.cleaner.delete.retention.ms"]),
    ("file.delete.delay.ms", &["log.segment.delete.delay.ms"]),
    ("flush.messages", &["log.flush.interval.messages"]),
    ("flush.ms", &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"]),
    ("index.interval.bytes", &["log.index.interval.bytes"]),
    ("local.retention.bytes", &["log.local.retention.bytes"]),
    ("local.retention.ms", &["log.local.retention.ms"]),
    ("max.compaction.lag.ms", &["log.cleaner.max.compaction.lag.ms"]),
    ("max.message.bytes", &["message.max.bytes"]),
    ("message.timestamp.after.max.ms", &["log.message.timestamp.after.max.ms"]),
    ("message.timestamp.before.max.ms", &["log.message.timestamp.before.max.ms"]),
    ("message.timestamp.type", &["log.message.timestamp.type"]),
    ("min.cleanable.dirty.ratio", &["log.cleaner.min.cleanable.ratio"]),
    ("min.compaction.lag.ms", &["log.cleaner.min.compaction.lag.ms"]),
    ("min.insync.replicas", &["min.insync.replicas"]),
    ("preallocate", &["log.preallocate"]),
    ("retention.bytes", &["log.retention.bytes"]),
    ("retention.ms", &["log.retention.ms", "log.retention.minutes", "log.retention.hours"]),
    ("segment.bytes", &["log.segment.bytes"]),
    ("segment.index.bytes", &["log.index.size.max.bytes"]),
    ("segment.jitter.ms", &["log.roll.jitter.ms", "log.roll.jitter.hours"]),
    ("segment.ms", &["log.roll.ms", "log.roll.hours"]),
    ("unclean.leader.election.enable", &["unclean.leader.election.enable"]),
];

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "batch.validation" String "full" ClusterWide (OneOf(&["full", "crc"]))
        "How a batch is examined before it is appended: full walks every record in it, crc trusts the producer's checksum."
        InForce("Choose crc only where every producer is trusted and the broker's time is short: a broken batch is then found by consumers.");
    "cleanup.policy" List "delete" ClusterWide (CLEANUP)
        "What happens to old records: delete drops segments by age and size, compact keeps the last record of each key, both do both, and an empty list keeps everything."
        InForce("Choose compact where a topic is a table of keys; choose it before keys are missing, because a compacted topic takes no record without a key.");
    "compression.gzip.level" Int "-1" ClusterWide (OffOrWithin(1, 9))
        "How hard gzip works when the topic recompresses to it: 1 is the fastest, 9 the smallest, and -1 means 6."
        InForce("Raise it to save disk, lower it to save time; it counts only with compression.type=gzip.");
    "compression.lz4.level" Int "9" ClusterWide (Within(1, 17))
        "How hard lz4 works in Kafka when the topic recompresses to it." NoEffect(ONE_LZ4);
    "compression.type" String "producer" ClusterWide (CODECS)
        "The codec in which batches are stored; producer keeps each as it was sent."
        InForce("Leave it at producer unless producers cannot compress: recompressing costs the broker time for every batch.");
    "compression.zstd.level" Int "3" ClusterWide (Within(-131_072, 22))
        "How hard zstd works in Kafka when the topic recompresses to it." NoEffect(ONE_ZSTD);
    "delete.retention.ms" Long "86400000" ClusterWide (AtLeast(0))
        "How long a compacted topic keeps the marker of a deleted key after it was cleaned, so that readers can learn of the deletion."
        InForce("Raise it if a consumer that reads from the start may need longer than this for the whole topic.");
    "file.delete.delay.ms" Long "60000" ClusterWide (AtLeast(0))
        "How long Kafka leaves the files of a deleted segment on disk before it removes them." NoEffect(NO_DELAY);
    "flush.messages" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The count of records after which Kafka flushes a log." NoEffect(SYNCED);
    "flush.ms" Long "9223372036854775807" ClusterWide (AtLeast(0))
        "The time after which Kafka flushes a log." NoEffect(SYNCED);
    "follower.replication.throttled.replicas" List "" ClusterWide (Any)
        "Replicas whose fetching is slowed while they are moved." NoEffect(ALONE);
    "index.interval.bytes" Int "4096" ClusterWide (AtLeast(0))
        "Bytes of a segment between two entries of its offset index."
        InForce("Lower it if many readers begin at arbitrary offsets; the index grows as it shrinks.");
    "leader.replication.throttled.replicas" List "" ClusterWide (Any)
        "Replicas whose leaders send at a limited rate while they are moved." NoEffect(ALONE);
    "local.retention.bytes" Long "-2" ClusterWide (AtLeast(-2))
        "Bytes that stay on local disk after they were copied to remote storage." NoEffect(NO_TIERS);
    "local.retention.ms" Long "-2" ClusterWide (AtLeast(-2))
        "How long records stay on local disk after they were copied to remote storage." NoEffect(NO_TIERS);
    "max.compaction.lag.ms" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The longest time that a record of a compacted topic may stay uncleaned, however little there is to clean."
        InForce("Lower it where a deleted key must be gone by a deadline.");
    "max.message.bytes" Int "1048588" ClusterWide (BATCH_BYTES)
        "The largest batch that is accepted, as the producer compressed it."
        InForce("Raise it together with max.request.size of producers; consumers need no change, a first batch is always handed out.");
    "message.timestamp.after.max.ms" Long "3600000" ClusterWide (AtLeast(0))
        "How far a producer's timestamp may be ahead of the broker's clock."
        InForce("Keep it small: one record of the far future holds back retention of its whole segment.");
    "message.timestamp.before.max.ms" Long "9223372036854775807" ClusterWide (AtLeast(0))
        "How far a producer's timestamp may be behind the broker's clock."
        InForce("Lower it to refuse records that retention would delete at once.");
    "message.timestamp.type" String "CreateTime" ClusterWide (CLOCKS)
        "Whose clock stamps a record: the producer's or the broker's."
        InForce("Choose LogAppendTime where producers' clocks cannot be trusted and time must not go back.");
    "min.cleanable.dirty.ratio" Double "0.5" ClusterWide (Ratio)
        "The part of a compacted log that must be uncleaned before it is cleaned again."
        InForce("Lower it to have fewer outdated records at the price of more cleaning.");
    "min.compaction.lag.ms" Long "0" ClusterWide (AtLeast(0))
        "How long a record of a compacted topic stays as it is, even if its key was written again."
        InForce("Raise it where readers must see every change for a while.");
    "min.insync.replicas" Int "1" ClusterWide (Within(1, i16::MAX as i64))
        "Replicas that must be in sync for a produce with acks=all."
        InForce("With one node anything above 1 refuses every such produce.");
    "preallocate" Boolean "false" ClusterWide (Any)
        "Whether a segment's file has its full length from the start."
        NoEffect("the write-ahead log is preallocated, segments are written in large pieces");
    "remote.log.copy.disable" Boolean "false" ClusterWide (Any)
        "Whether copying to remote storage is paused." NoEffect(NO_TIERS);
    "remote.log.delete.on.disable" Boolean "false" ClusterWide (Any)
        "Whether switching remote storage off deletes what is there." NoEffect(NO_TIERS);
    "remote.storage.enable" Boolean "false" ClusterWide (OneOf(&["false"]))
        "Whether old segments go to remote storage; only false is accepted." NoEffect(NO_TIERS);
    "retention.bytes" Long "-1" ClusterWide (AtLeast(-1))
        "Bytes of each partition that are kept; -1 is without bound."
        InForce("Set it where the disk must not fill; it counts for each partition, and the segment that is written stays.");
    "retention.ms" Long "604800000" ClusterWide (AtLeast(-1))
        "How long records are kept, by the newest timestamp of their segment; -1 is for ever."
        InForce("Set it to what readers need to catch up after their longest outage.");
    "segment.bytes" Int "1073741824" ClusterWide (SEGMENT_BYTES)
        "The size at which a segment is closed and the next begun."
        InForce("Lower it where retention or compaction shall act on smaller steps; more files are the price.");
    "segment.index.bytes" Int "10485760" ClusterWide (AtLeast(4))
        "The size that Kafka reserves for a segment's index file."
        NoEffect("an index is as long as it needs to be");
    "segment.jitter.ms" Long "0" ClusterWide (AtLeast(0))
        "The most by which a segment is closed before its time, drawn for each, so that not all close at once."
        InForce("Raise it where thousands of partitions were created together.");
    "segment.ms" Long "604800000" ClusterWide (AtLeast(1))
        "The age at which a segment is closed and the next begun, even if it is small."
        InForce("Lower it where little is written and retention or compaction shall act in time.");
    "unclean.leader.election.enable" Boolean "false" ClusterWide (Any)
        "Whether a replica that lags may lead and lose records." NoEffect(ALONE);
};
