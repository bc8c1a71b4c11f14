//! Settings of the broker about replicas, the quorum of controllers and remote storage.

use super::topic::{ALONE, NO_TIERS};
use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OneOf};

const ONE: &str = "the one node is broker and controller in one process";
const ONE_DIR: &str = "a node has one log directory";
const SNAPSHOT: &str = "the metadata log is kept whole";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "alter.log.dirs.replication.quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which moves between log directories are measured." NoEffect(ONE_DIR);
    "alter.log.dirs.replication.quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which moves between log directories are measured." NoEffect(ONE_DIR);
    "auto.leader.rebalance.enable" Boolean "true" ReadOnly (Any)
        "Whether leadership goes back to preferred replicas by itself." NoEffect(ALONE);
    "broker.heartbeat.interval.ms" Int "2000" ReadOnly (Any)
        "How often a broker reports to the controller." NoEffect(ONE);
    "broker.session.timeout.ms" Int "9000" ReadOnly (Any)
        "How long a broker may be silent before the controller takes it for dead." NoEffect(ONE);
    "controlled.shutdown.enable" Boolean "true" ReadOnly (Any)
        "Whether a broker that stops hands its leaderships over first." NoEffect(ALONE);
    "controller.listener.names" List null ReadOnly (Any)
        "The listeners of the controller." NoEffect("the controller is in the same process, without a listener of its own");
    "controller.quorum.append.linger.ms" Int "25" ReadOnly (AtLeast(0))
        "How long the controller gathers records before it writes them." NoEffect("the write-ahead log gathers all records of a shard by itself");
    "controller.quorum.auto.join.enable" Boolean "false" ReadOnly (Any)
        "Whether a new controller joins the quorum by itself." NoEffect(ONE);
    "controller.quorum.bootstrap.servers" List "" ReadOnly (Any)
        "Addresses at which the quorum can be found." NoEffect(ONE);
    "controller.quorum.election.backoff.max.ms" Int "1000" ReadOnly (AtLeast(0))
        "The longest pause between elections." NoEffect(ONE);
    "controller.quorum.election.timeout.ms" Int "1000" ReadOnly (AtLeast(0))
        "How long a candidate waits for votes." NoEffect(ONE);
    "controller.quorum.fetch.max.bytes" Int "1048576" ReadOnly (AtLeast(0))
        "Bytes of metadata that a voter fetches at once." NoEffect(ONE);
    "controller.quorum.fetch.snapshot.max.bytes" Int "1048576" ReadOnly (AtLeast(0))
        "Bytes of a metadata snapshot that are fetched at once." NoEffect(ONE);
    "controller.quorum.fetch.timeout.ms" Int "2000" ReadOnly (AtLeast(0))
        "How long a voter waits for its leader before it calls an election." NoEffect(ONE);
    "controller.quorum.request.timeout.ms" Int "2000" ReadOnly (AtLeast(0))
        "How long a voter waits for an answer." NoEffect(ONE);
    "controller.quorum.retry.backoff.ms" Int "20" ReadOnly (AtLeast(0))
        "The pause before a voter asks again." NoEffect(ONE);
    "controller.quorum.voters" List "" ReadOnly (Any)
        "The fixed voters of the quorum." NoEffect(ONE);
    "controller.socket.timeout.ms" Int "30000" ReadOnly (Any)
        "How long a broker waits for the controller." NoEffect(ONE);
    "follower.fetch.last.tiered.offset.enable" Boolean "false" ClusterWide (Any)
        "Whether a new follower begins where local data begins." NoEffect(NO_TIERS);
    "initial.broker.registration.timeout.ms" Int "60000" ReadOnly (Any)
        "How long a broker that starts tries to register." NoEffect(ONE);
    "leader.imbalance.check.interval.seconds" Long "300" ReadOnly (AtLeast(1))
        "How often the balance of leaders is looked at." NoEffect(ALONE);
    "metadata.log.dir" String null ReadOnly (Any)
        "The directory of the metadata log." NoEffect(ONE_DIR);
    "metadata.log.max.record.bytes.between.snapshots" Long "20971520" ReadOnly (AtLeast(1))
        "Bytes of metadata records between two snapshots." NoEffect(SNAPSHOT);
    "metadata.log.max.snapshot.interval.ms" Long "3600000" ReadOnly (AtLeast(0))
        "Time between two snapshots of the metadata." NoEffect(SNAPSHOT);
    "metadata.log.segment.bytes" Int "1073741824" ReadOnly (AtLeast(8 << 20))
        "Segment size of the metadata log." NoEffect(SNAPSHOT);
    "metadata.log.segment.ms" Long "604800000" ReadOnly (AtLeast(0))
        "Age at which a segment of the metadata log is closed." NoEffect(SNAPSHOT);
    "metadata.max.idle.interval.ms" Int "500" ReadOnly (AtLeast(0))
        "How often an idle controller writes a record that says nothing." NoEffect(ONE);
    "metadata.max.retention.bytes" Long "104857600" ReadOnly (AtLeast(0))
        "Bytes of the metadata log that are kept." NoEffect(SNAPSHOT);
    "metadata.max.retention.ms" Long "604800000" ReadOnly (AtLeast(0))
        "How long the metadata log is kept." NoEffect(SNAPSHOT);
    "num.replica.alter.log.dirs.threads" Int null ReadOnly (Any)
        "Threads that move partitions between log directories." NoEffect(ONE_DIR);
    "num.replica.fetchers" Int "1" ClusterWide (Any)
        "Threads that fetch from each leader." NoEffect(ALONE);
    "remote.fetch.max.wait.ms" Int "500" ClusterWide (AtLeast(1))
        "How long a fetch waits for remote storage." NoEffect(NO_TIERS);
    "remote.list.offsets.request.timeout.ms" Long "30000" ClusterWide (AtLeast(1))
        "How long a search for an offset waits for remote storage." NoEffect(NO_TIERS);
    "remote.log.index.file.cache.total.size.bytes" Long "1073741824" ClusterWide (AtLeast(1))
        "Disk space for indexes of remote segments." NoEffect(NO_TIERS);
    "remote.log.manager.copier.thread.pool.size" Int "10" ClusterWide (AtLeast(1))
        "Threads that copy segments to remote storage." NoEffect(NO_TIERS);
    "remote.log.manager.copy.max.bytes.per.second" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The rate of copying to remote storage at most." NoEffect(NO_TIERS);
    "remote.log.manager.copy.quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which copying to remote storage is measured." NoEffect(NO_TIERS);
    "remote.log.manager.copy.quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which copying to remote storage is measured." NoEffect(NO_TIERS);
    "remote.log.manager.expiration.thread.pool.size" Int "10" ClusterWide (AtLeast(1))
        "Threads that delete old remote segments." NoEffect(NO_TIERS);
    "remote.log.manager.fetch.max.bytes.per.second" Long "9223372036854775807" ClusterWide (AtLeast(1))
        "The rate of reading from remote storage at most." NoEffect(NO_TIERS);
    "remote.log.manager.fetch.quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which reading from remote storage is measured." NoEffect(NO_TIERS);
    "remote.log.manager.fetch.quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which reading from remote storage is measured." NoEffect(NO_TIERS);
    "remote.log.manager.follower.thread.pool.size" Int "2" ClusterWide (AtLeast(1))
        "Threads that follow remote segments of other leaders." NoEffect(NO_TIERS);
    "remote.log.manager.task.interval.ms" Long "30000" ReadOnly (AtLeast(1))
        "How often remote storage is worked on." NoEffect(NO_TIERS);
    "remote.log.manager.thread.pool.size" Int "2" ReadOnly (AtLeast(1))
        "Threads for scheduled work on remote storage." NoEffect(NO_TIERS);
    "remote.log.metadata.custom.metadata.max.bytes" Int "128" ReadOnly (AtLeast(0))
        "Bytes that a storage plugin may note for a segment." NoEffect(NO_TIERS);
    "remote.log.metadata.manager.class.name" String "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager" ReadOnly (Any)
        "The class that remembers what is in remote storage." NoEffect(NO_TIERS);
    "remote.log.metadata.manager.class.path" String null ReadOnly (Any)
        "Where the class that remembers remote segments is." NoEffect(NO_TIERS);
    "remote.log.metadata.manager.impl.prefix" String "rlmm.config." ReadOnly (Any)
        "The prefix of settings for the class that remembers remote segments." NoEffect(NO_TIERS);
    "remote.log.metadata.manager.listener.name" String null ReadOnly (Any)
        "The listener that remote metadata is exchanged over." NoEffect(NO_TIERS);
    "remote.log.reader.max.pending.tasks" Int "100" ReadOnly (AtLeast(1))
        "Reads of remote storage that may wait." NoEffect(NO_TIERS);
    "remote.log.reader.threads" Int "10" ClusterWide (AtLeast(1))
        "Threads that read remote storage." NoEffect(NO_TIERS);
    "remote.log.storage.manager.class.name" String null ReadOnly (Any)
        "The class that keeps segments in remote storage." NoEffect(NO_TIERS);
    "remote.log.storage.manager.class.path" String null ReadOnly (Any)
        "Where the class for remote storage is." NoEffect(NO_TIERS);
    "remote.log.storage.manager.impl.prefix" String "rsm.config." ReadOnly (Any)
        "The prefix of settings for the class for remote storage." NoEffect(NO_TIERS);
    "remote.log.storage.system.enable" Boolean "false" ReadOnly (OneOf(&["false"]))
        "Whether the broker can keep segments in remote storage." NoEffect(NO_TIERS);
    "replica.fetch.backoff.ms" Int "1000" ReadOnly (AtLeast(0))
        "The pause of a follower after a failed fetch." NoEffect(ALONE);
    "replica.fetch.max.bytes" Int "1048576" ReadOnly (AtLeast(0))
        "Bytes of a partition that a follower fetches at once." NoEffect(ALONE);
    "replica.fetch.min.bytes" Int "1" ReadOnly (Any)
        "Bytes that a follower waits for." NoEffect(ALONE);
    "replica.fetch.response.max.bytes" Int "10485760" ReadOnly (AtLeast(0))
        "Bytes of one answer to a follower." NoEffect(ALONE);
    "replica.fetch.wait.max.ms" Int "500" ReadOnly (Any)
        "How long a follower waits for bytes." NoEffect(ALONE);
    "replica.high.watermark.checkpoint.interval.ms" Long "5000" ReadOnly (Any)
        "How often Kafka notes its high watermarks." NoEffect("the high watermark follows from what is durable");
    "replica.lag.time.max.ms" Long "30000" ReadOnly (Any)
        "How long a follower may lag before it is out of sync." NoEffect(ALONE);
    "replica.selector.class" String null ReadOnly (Any)
        "The class that chooses which replica a consumer reads from." NoEffect(ALONE);
    "replica.socket.receive.buffer.bytes" Int "65536" ReadOnly (Any)
        "Size of the kernel's receive buffer of a follower's connection." NoEffect(ALONE);
    "replica.socket.timeout.ms" Int "30000" ReadOnly (Any)
        "How long a follower waits for an answer." NoEffect(ALONE);
    "replication.quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which throttled replication is measured." NoEffect(ALONE);
    "replication.quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which throttled replication is measured." NoEffect(ALONE);
};
