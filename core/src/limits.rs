//! Every bound of the core in one place, with its relation to the others asserted at compile time. Full means back-pressure.

use crate::time::Duration;

/// Bytes of a block: the unit of O_DIRECT, of a WAL frame and of a destaging write.
pub const BLOCK_BYTES: usize = 4096;

/// Largest request frame, as Kafka's `socket.request.max.bytes`.
pub const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Largest record batch a topic may allow; the default of `max.message.bytes` is 1,048,588.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest page of a [`crate::buf::Pool`]: it holds a whole request frame.
pub const PAGE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Smallest page of a [`crate::buf::Pool`].
pub const PAGE_BYTES_MIN: usize = 128;

/// Requests of one connection that may be in work before it is read no further.
pub const CONNECTION_REQUESTS_MAX: usize = 64;

/// Response bytes of one connection that may wait for the socket before it is read no further.
pub const CONNECTION_SEND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One send is at most this long: when it is with the kernel, what it holds is let go, and its reader is known to be alive.
pub const SEND_BYTES_MAX: usize = 1024 * 1024;

/// While answers that wait for sockets hold more than one part in this many of a shard's memory, readers that take nothing of theirs are
/// closed: what they hold is missing elsewhere. The answers of one shard may hold the pages of each.
pub const SEND_MEMORY_PART: usize = 16;

/// How long a reader may take nothing while memory is short.
pub const SEND_STALL_MAX: Duration = Duration::from_secs(2);

/// First page that a connection receives into; idle connections cost this much each.
pub const RECEIVE_PAGE_BYTES_MIN: usize = PAGE_BYTES_MIN;

/// Largest page that a connection is given before it has filled a smaller one.
pub const RECEIVE_PAGE_BYTES_MAX: usize = 256 * 1024;

/// The first pages of all connections of a shard take at most one part in this many of its memory.
pub const RECEIVE_MEMORY_PART: usize = 8;

/// A frame that stays incomplete without any progress for this long ends its connection.
pub const FRAME_STALL_MAX: Duration = Duration::from_secs(30);

/// A frame that comes more slowly than this, after its first [`FRAME_STALL_MAX`], ends its connection too.
pub const FRAME_BYTES_PER_SECOND_MIN: u64 = 1_024;

/// All that is dirty is gone through for a produce that waits at most so often, for each partition: looking at one takes a fifth of it.
pub const HURRY_PAUSE_PER_PARTITION: Duration = Duration::from_micros(1);

/// How long a connection that got no page waits until it asks again, if nothing happens before.
pub const MEMORY_RETRY: Duration = Duration::from_millis(5);

/// How long a node that ends waits for requests in work before it closes their connections.
pub const STOP_WAIT_MAX: Duration = Duration::from_millis(300);

/// Observations of one half of a shard that wait for the driver; more are dropped and counted. One turn may see a produce of each of
/// thousands of connections.
pub const EVENTS_MAX: usize = 16_384;

/// Books of busy connections that a shard keeps for their memory while nobody is busy, and how many sends one may have room for then.
pub const BOOKS_KEPT_MAX: usize = 64;
pub const BOOK_SENDS_KEPT_MAX: usize = 64;

/// Connections of one shard.
pub const CONNECTIONS_MAX: usize = 65_536;

/// Batches kept per producer and partition to answer a duplicate with its original offset (KIP-98).
pub const PRODUCER_BATCHES_RETAINED: usize = 5;

/// A segment takes an index entry at least this many bytes after the last one (`index.interval.bytes`).
pub const INDEX_INTERVAL_BYTES: u32 = 4096;

/// Longest topic name, as Kafka's.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Longest string of the wire protocol: its length is an i16, and Kafka holds compact strings to the same bound.
pub const WIRE_STRING_BYTES_MAX: usize = 32_767;

/// Memory that decoding a frame may take whatever its length ...
pub const DECODE_BYTES_MIN: usize = 64 * 1024;

/// ... and for each of its bytes: the densest honest element is a string of one byte, 16 in memory ...
pub const DECODE_FACTOR: usize = 16;

/// ... and at most. Record bytes are borrowed and do not count; the largest honest frame describes a million partitions.
pub const DECODE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Longest value of a topic setting.
pub const CONFIG_VALUE_BYTES_MAX: usize = 32_767;

/// Groups that may have settings of their own.
pub const GROUP_CONFIGS_MAX: usize = 10_000;

/// Subscriptions to metrics of clients.
pub const CLIENT_METRICS_MAX: usize = 1_000;

/// Longest name of a group or subscription that has settings of its own.
pub const RESOURCE_NAME_BYTES_MAX: usize = 1_024;

/// Settings that one resource of a request may name: more than there are of any.
pub const CONFIG_ENTRIES_MAX: usize = 1_000;

/// Bytes of settings that one answer describes, about.
pub const DESCRIBED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the leader of a classic group may be told of its members.
pub const JOINED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Groups that one request may ask to have described.
pub const DESCRIBE_GROUPS_MAX: usize = 262_144;

/// Partitions whose offsets one request may name. Each costs the request a few bytes, and the question the name of its topic.
pub const OFFSETS_PER_REQUEST_MAX: usize = 65_536;

/// Groups that one request may delete, or ask for their offsets.
pub const GROUPS_PER_REQUEST_MAX: usize = 16_384;

/// Bytes of groups that one answer describes, about.
pub const DESCRIBE_GROUPS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Groups that one request asks about at once.
pub const DESCRIBE_GROUPS_ASKS_MAX: usize = 16;

/// As much of a client's id as its member keeps, and the longest instance id: ids of members, made of either, are strings too.
pub const MEMBER_NAME_BYTES_MAX: usize = 1_024;

/// Partitions that one CreateTopics may create, as Kafka's controller.
pub const CREATE_PARTITIONS_MAX: usize = 10_000;

/// Partitions that one DescribeTopicPartitions answers (`max.request.partition.size.limit`).
pub const DESCRIBE_PARTITIONS_MAX: usize = 2_000;

/// Partitions of all topics.
pub const PARTITIONS_MAX: usize = 1_000_000;

/// A produce waits for at least this long before it is answered with a timeout: a commit takes its time.
pub const PRODUCE_WAIT_MIN: Duration = Duration::from_secs(1);

/// Longest wait of a fetch for new records.
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(300);

/// Record bytes of one fetch response, as Kafka's `fetch.max.bytes` of a broker; a first batch may be larger.
pub const FETCH_BYTES_MAX: u32 = 55 * 1024 * 1024;

/// Partitions of one fetch, those of its session included.
pub const FETCH_PARTITIONS_MAX: usize = 65_536;

/// Partitions that one fetch asks at once.
pub const FETCH_ASKS_MAX: usize = 256;

/// Fetch sessions of one shard (KIP-227); without a session a client sends all partitions each time.
pub const FETCH_SESSIONS_MAX: usize = 1_000;

/// Partitions of all fetch sessions of one shard.
pub const FETCH_SESSION_PARTITIONS_MAX: usize = 262_144;

/// A session that was not used for this long may give way to a new one.
pub const FETCH_SESSION_IDLE: Duration = Duration::from_secs(120);

/// Producer ids that the controller hands to a shard at once.
pub const PRODUCER_ID_BLOCK: u32 = 1_000;

/// Any batch may expand to this many bytes, however short it is: a large record of one repeated byte is legal.
pub const DECOMPRESSED_BYTES_FREE: usize = 16 * 1024 * 1024;

/// Beyond [`DECOMPRESSED_BYTES_FREE`], a batch may expand to this many times its length; deflate itself cannot exceed it by much.
pub const DECOMPRESSION_RATIO_MAX: usize = 1024;

/// A batch that is produced may expand to this part of its shard's memory, and to [`DECOMPRESSED_BYTES_FREE`]: its records are in memory as
/// a whole, beside the shard's pools.
pub const DECOMPRESSED_MEMORY_PART: usize = 4;

/// No batch may expand to more than this.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes that a [`crate::batch::Scratch`] keeps between two batches.
pub const SCRATCH_BYTES_KEPT: usize = 4 * 1024 * 1024;

/// Largest window of a zstd frame for which a [`crate::batch::Scratch`] keeps its decoder. zstd asks for more only above level 19.
pub const ZSTD_WINDOW_BYTES_KEPT: usize = 8 * 1024 * 1024;

/// Producers whose sequence one partition remembers; beyond it the one that wrote least recently is forgotten.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 10_000;

/// One destaging write of one partition is at most this long.
pub const DESTAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// ... in pieces of this many bytes, one after the other: what is logged meanwhile waits behind one of them on the disk, not behind the run.
pub const DESTAGE_WRITE_BYTES_MAX: usize = 1024 * 1024;

/// Destaging without hurry waits for whole blocks of this many bytes at least: each run costs a sync of its segment.
pub const DESTAGE_RUN_BYTES_MIN: u64 = 64 * 1024;

/// This part of a shard's memory may hold what waits to become a run, and all partitions share it.
pub const DESTAGE_MEMORY_PART: usize = 4;

/// This part of a shard's memory, beside its pools, may hold what stands in blocks of segments that are not full.
pub const HEADS_MEMORY_PART: usize = 4;

/// Segments that were written are synced when there are so many of them, or when no other is being written: the first sync commits the file
/// system's journal for all.
pub const DESTAGE_SYNCS_AT_ONCE: usize = 16;

/// A recovery point is at most this long; a segment whose point is longer has none.
pub const RECOVERY_POINT_BYTES_MAX: usize = 512 * 1024;

/// The next recovery point of a segment is taken after this part of the segment, and of the longest run that goes to it, at least: so much of
/// it a start has to read.
pub const RECOVERY_POINT_PART: u32 = 16;

/// Recovery points of a shard that wait to be written; while it is full, none is taken.
pub const RECOVERY_POINTS_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file of recovery points of a shard that is longer than this part of its WAL, and longer than four times what it began with, gives way to
/// a new one.
pub const RECOVERY_POINTS_WAL_PART: u64 = 16;

/// One read of a segment is at most this long, except where a single batch is longer.
pub const SEGMENT_READ_BYTES_MAX: u32 = 1024 * 1024;

/// The pages for reads suffice for this many at once, but for those of one batch that is longer than its share.
pub const READS_AT_ONCE_MIN: usize = 4;

/// So many places in one read of a segment are looked at for a whole batch behind a rotten one.
pub const RESYNC_TRIES_MAX: usize = 64;

/// Longest distance of two entries of a segment's index, whatever `index.interval.bytes` says.
pub const INDEX_INTERVAL_BYTES_MAX: u32 = 64 * 1024;

/// A footer holds one CRC for each stretch of a segment of this length.
pub const FOOTER_CRC_BYTES: usize = 64 * 1024;

/// Longest copy of a footer that is read back, of two in its file; a longer one is not one of ours.
pub const FOOTER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest stretch of lost bytes that one stand-in covers when a log is recovered.
pub const HOLE_BYTES_MAX: u32 = 1024 * 1024;

/// Largest frame of the write-ahead log: one batch of the largest size, its entry and the header.
pub const WAL_FRAME_BYTES_MAX: usize = BATCH_BYTES_MAX + 2 * BLOCK_BYTES;

/// A frame takes no further batch once it holds this much; several frames go to disk in one write.
pub const WAL_FRAME_BYTES_USUAL: usize = 256 * 1024;

/// Bytes of frames in one write to the write-ahead log, unless a single frame is larger.
pub const WAL_WRITE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Writes of one shard to its write-ahead log at a time.
pub const WAL_WRITES_AT_ONCE_MAX: usize = 3;

/// So many bytes of frames do not wait for the write in flight. Less is not worth another flush.
pub const WAL_BESIDE_BYTES_MIN: usize = 384 * 1024;

/// Bytes of frames that may wait for the write in flight before produce waits.
pub const WAL_WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes that recovery reads at a time, unless a single frame or batch is larger.
pub const RECOVERY_READ_BYTES: usize = 1024 * 1024;

/// Partitions that are recovered at a time. Each has one operation of the disk under way.
pub const RECOVERY_JOBS_MAX: usize = 64;

/// Destaging and sealing jobs of one shard at a time.
pub const DESTAGE_JOBS_MAX: usize = 64;

/// Partitions of one shard that delete segments at a time. They do not wait for destaging: a full disk is waiting for them.
pub const RETIRE_JOBS_MAX: usize = 8;

/// Files of deleted partitions that one shard removes at a time.
pub const REMOVALS_MAX: usize = 16;

/// What one request to the controller may come to in the metadata log: it is appended as one batch, which is there as a whole or not.
/// Beside this there are headers, of the batch and of each record.
pub const METADATA_BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What one decision of a coordinator may come to in its log, as one batch with all that is around the records.
pub const COORDINATOR_BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Commands that wait while a coordinator's decision waits for room; further ones are refused.
pub const COORDINATOR_COMMANDS_MAX: usize = 4_096;

/// Partitions of one shard that coordinators read at a time when they begin, and how much each reads at once.
pub const COORDINATOR_LOADS_MAX: usize = 4;
pub const COORDINATOR_LOAD_BYTES: u32 = 1024 * 1024;

/// How long a coordinator waits after a read that failed before it reads again.
pub const COORDINATOR_LOAD_RETRY: Duration = Duration::from_millis(500);

/// Committed offsets that a coordinator deletes at once, as one batch; of more it deletes the others next.
pub const OFFSETS_DELETED_AT_ONCE: usize = 1_000;

/// Offsets that cannot be read of which a shard remembers that it told; then it tells again.
pub const FAULTY_TOLD_MAX: usize = 1024;

/// Bytes of one entry of the map that compaction makes of a log's dirty part: 128 bits that stand for a key, and an offset.
pub const CLEAN_SLOT_BYTES: usize = 24;

/// That map takes at most this much ...
pub const CLEAN_MAP_BYTES_MAX: usize = 64 * 1024 * 1024;

/// ... and at most one part in this many of a shard's memory. Where there are more keys, a cleaning goes as far as they fit.
pub const CLEAN_MAP_MEMORY_PART: usize = 16;

/// One read or write of a cleaning is at most this long, except where a single batch is longer.
pub const CLEAN_RUN_BYTES: u32 = 256 * 1024;

/// Segments of one topic that a look at its retention tells of, the oldest of each partition first.
pub const RETENTION_SEGMENTS_MAX: usize = 10_000;

/// Bytes that the cleaning of one shard reads and writes in a second.
pub const CLEAN_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// How often logs are looked at for what is to be cleaned, unless retention is looked after more often.
pub const CLEAN_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Member ids of one group that are given out and have not joined yet (KIP-394); each lasts for as long as its session would.
pub const GROUP_PENDING_MEMBERS_MAX: usize = 10_000;

/// A new member of a classic group that waits this long for the others is taken for dead: it cannot send heartbeats, and asks again
/// if it is alive.
pub const GROUP_NEW_MEMBER_WAIT: Duration = Duration::from_secs(300);

/// All that the members of a classic group say of themselves, in every protocol that they support.
pub const GROUP_METADATA_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What all members of a classic group say and are given may take this much of its record, about. It is one batch.
pub const GROUP_RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A rebalance to which nobody came is waited for at least this long again, whatever the members say.
pub const GROUP_REJOIN_WAIT_MIN: Duration = Duration::from_millis(100);

const _: () = assert!(2 * GROUP_RECORD_BYTES_MAX <= BATCH_BYTES_MAX, "and some for the names of its members");
const _: () = assert!(CLEAN_RUN_BYTES as usize <= PAGE_BYTES_MAX && CLEAN_RUN_BYTES.is_multiple_of(4096));
const _: () = assert!(WIRE_STRING_BYTES_MAX == i16::MAX as usize);
const _: () = assert!(DECODE_BYTES_MIN < DECODE_BYTES_MAX);
const _: () = assert!(REQUEST_BYTES_MAX + 4 <= PAGE_BYTES_MAX, "a request and its length fit one page");
/// Largest response frame that a [`crate::client::Client`] takes.
pub const CLIENT_RESPONSE_BYTES_MAX: usize = REQUEST_BYTES_MAX;

/// Record bytes that a client puts into one produce request, beyond its first batch.
pub const CLIENT_PRODUCE_BYTES_MAX: usize = 1024 * 1024;

/// Connections of one client.
pub const CLIENT_LINKS_MAX: usize = 1024;

/// Requests that a client sends on one connection before the first is answered.
pub const CLIENT_LINK_REQUESTS_MAX: usize = 5;

/// Events that may wait in one client before it takes no more calls and asks for no more data.
pub const CLIENT_EVENTS_MAX: usize = 262_144;

/// Admin calls that may wait in one client.
pub const CLIENT_CALLS_MAX: usize = 64;

/// Commits of a member that may wait in one client.
pub const CLIENT_COMMITS_MAX: usize = 64;

const _: () = assert!(REQUEST_BYTES_MAX <= PAGE_BYTES_MAX, "a request fits one page");
const _: () = assert!(BATCH_BYTES_MAX < REQUEST_BYTES_MAX, "a batch fits a request");
const _: () = assert!(PAGE_BYTES_MIN.is_power_of_two() && PAGE_BYTES_MAX.is_power_of_two());
const _: () =
    assert!(COORDINATOR_BATCH_BYTES_MAX <= BATCH_BYTES_MAX, "a log of groups is a log like any other");
const _: () =
    assert!(2 * METADATA_BATCH_BYTES_MAX <= BATCH_BYTES_MAX, "the metadata log is a log like any other");
const _: () = assert!(BLOCK_BYTES.is_power_of_two() && PAGE_BYTES_MIN <= BLOCK_BYTES);
const _: () = assert!(WAL_FRAME_BYTES_MAX <= PAGE_BYTES_MAX, "a frame fits one page");
const _: () = assert!(PAGE_BYTES_MAX < u32::MAX as usize, "places in a page fit 32 bits");
const _: () = assert!(WAL_FRAME_BYTES_USUAL <= WAL_WRITE_BYTES_MAX);
const _: () =
    assert!(RECEIVE_PAGE_BYTES_MIN >= PAGE_BYTES_MIN && RECEIVE_PAGE_BYTES_MIN <= RECEIVE_PAGE_BYTES_MAX);
const _: () = assert!(REQUEST_BYTES_MAX <= PAGE_BYTES_MAX, "a request fits one page");
const _: () = assert!(DECOMPRESSED_BYTES_FREE <= DECOMPRESSED_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= DECOMPRESSED_BYTES_MAX, "what fits uncompressed fits compressed");
const _: () = assert!(DESTAGE_BYTES_MAX.is_multiple_of(BLOCK_BYTES as u64), "destaging writes whole blocks");
const _: () = assert!(DESTAGE_RUN_BYTES_MIN <= DESTAGE_BYTES_MAX, "a run fits one destaging write");
const _: () =
    assert!(RECOVERY_POINT_BYTES_MAX + BLOCK_BYTES <= RECOVERY_READ_BYTES, "a read has a whole point");
const _: () = assert!(INDEX_INTERVAL_BYTES <= INDEX_INTERVAL_BYTES_MAX, "the default is allowed");
const _: () =
    assert!(2 * INDEX_INTERVAL_BYTES_MAX <= SEGMENT_READ_BYTES_MAX, "a read reaches past an index interval");
const _: () =
    assert!(RECEIVE_PAGE_BYTES_MIN >= PAGE_BYTES_MIN && RECEIVE_PAGE_BYTES_MIN <= RECEIVE_PAGE_BYTES_MAX);
const _: () = assert!(CLIENT_RESPONSE_BYTES_MAX <= PAGE_BYTES_MAX, "a response fits one page");
const _: () =
    assert!(BATCH_BYTES_MAX + CLIENT_PRODUCE_BYTES_MAX < REQUEST_BYTES_MAX, "a produce request fits a frame");

/// Longest regular expression over the names of topics.
pub const TOPIC_REGEX_BYTES_MAX: usize = 4096;

/// What such an expression may come to when compiled ...
pub const TOPIC_REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// ... and what matching it may keep beside that.
pub const TOPIC_REGEX_CACHE_BYTES_MAX: usize = 1024 * 1024;

/// How often an assignor goes through all topics to even out what members have. Few are needed; subscriptions come from clients.
pub const ASSIGNOR_PASSES_MAX: usize = 64;
