//! Settings of the broker about groups, their offsets, and transactions.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Among, Any, AtLeast, OneOf, Within};

const SHARDS: &str = "each coordinator runs on the shard that has its partition";
pub(super) const SHARES: &str = "share groups are not served yet";
pub(super) const STREAMS: &str = "streams groups are not served yet";
const TXN: &str = "transactions are not served yet";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "add.partitions.to.txn.retry.backoff.max.ms" Int "100" ReadOnly (AtLeast(0))
        "The longest pause between attempts to add partitions to a transaction." NoEffect(TXN);
    "add.partitions.to.txn.retry.backoff.ms" Int "20" ReadOnly (AtLeast(1))
        "The first pause between attempts to add partitions to a transaction." NoEffect(TXN);
    "group.consumer.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of a consumer group." InForce("Raise it where many members come at once; lower it to have a single one served sooner.");
    "group.consumer.assignors" List "uniform,range" ReadOnly (Any)
        "The ways in which the broker may divide partitions among the members of a consumer group." InForce("Put first what groups shall use that name none.");
    "group.consumer.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "How often members of a consumer group are told to report." InForce("Raise it where many members are idle and may take longer to follow a change.");
    "group.consumer.max.assignment.interval.ms" Int "15000" ReadOnly (AtLeast(0))
        "The most that a group may set for the time between two assignments." InForce("Raise it for a group whose members come and go all the time.");
    "group.consumer.max.heartbeat.interval.ms" Int "15000" ReadOnly (AtLeast(1))
        "The most that a group may set for its heartbeat." InForce("Raise it for a group of many members that are mostly idle.");
    "group.consumer.max.session.timeout.ms" Int "60000" ReadOnly (AtLeast(1))
        "The most that a group may set for the silence after which a member is gone." InForce("Raise it for a group whose members pause for long.");
    "group.consumer.max.size" Int "2147483647" ReadOnly (AtLeast(1))
        "Members of a consumer group at most." InForce("Lower it to keep a client that joins without end from growing a group.");
    "group.consumer.migration.policy" String "bidirectional" ReadOnly (OneOf(&["disabled", "bidirectional", "downgrade", "upgrade"]))
        "Which groups may change between the classic and the newer protocol while they live." InForce("Set disabled to keep a group with members in the protocol that it began with.");
    "group.consumer.min.assignment.interval.ms" Int "0" ReadOnly (AtLeast(0))
        "The least that a group may set for the time between two assignments." InForce("Raise it to keep any group from being assigned more often.");
    "group.consumer.min.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "The least that a group may set for its heartbeat." InForce("Lower it for a group that shall follow changes sooner.");
    "group.consumer.min.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "The least that a group may set for the silence after which a member is gone." InForce("Lower it for a group that shall miss its members sooner.");
    "group.consumer.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "How long a member of a consumer group may be silent before it is gone." InForce("Raise it for members that pause for long; lower it to have their partitions handed on sooner.");
    "group.coordinator.append.linger.ms" Int "-1" ReadOnly (AtLeast(-1))
        "How long a coordinator gathers records before it writes them; -1 adapts." NoEffect("records of groups are written with all others of their shard");
    "group.coordinator.background.threads" Int "2" ReadOnly (AtLeast(1))
        "Threads for slow work of coordinators." NoEffect(SHARDS);
    "group.coordinator.cached.buffer.max.bytes" Int "1048588" ClusterWide (AtLeast(512 * 1024))
        "The largest write buffer that a coordinator keeps for the next write." NoEffect(SHARDS);
    "group.coordinator.rebalance.protocols" List "classic,consumer,streams" ReadOnly (Among(&["classic", "consumer", "streams"]))
        "The protocols in which groups may coordinate." NoEffect("the classic and the consumer protocol are always served");
    "group.coordinator.threads" Int "4" ReadOnly (AtLeast(1))
        "Threads that run coordinators." NoEffect(SHARDS);
    "group.initial.rebalance.delay.ms" Int "3000" ReadOnly (AtLeast(0))
        "How long the first rebalance of a classic group waits for more members." InForce("Lower it where a group starts with few members; raise it where many start one by one.");
    "group.max.session.timeout.ms" Int "1800000" ReadOnly (Any)
        "The most that a member of a classic group may ask for as session timeout." InForce("Raise it for members that pause for longer than that.");
    "group.max.size" Int "2147483647" ReadOnly (AtLeast(1))
        "Members of a classic group at most." InForce("Lower it to keep a client that joins without end from growing a group.");
    "group.min.session.timeout.ms" Int "6000" ReadOnly (Any)
        "The least that a member of a classic group may ask for as session timeout." InForce("Lower it where a member that is gone shall be missed sooner.");
    "group.share.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of a share group." NoEffect(SHARES);
    "group.share.assignors" List "simple" ReadOnly (Any)
        "The ways in which the broker may divide partitions among the members of a share group." NoEffect(SHARES);
    "group.share.delivery.count.limit" Int "5" ReadOnly (Within(2, 10))
        "How often a record may be handed out in a share group." NoEffect(SHARES);
    "group.share.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "How often members of a share group are told to report." NoEffect(SHARES);
    "group.share.max.assignment.interval.ms" Int "15000" ReadOnly (AtLeast(0))
        "The most that a share group may set for the time between two assignments." NoEffect(SHARES);
    "group.share.max.delivery.count.limit" Int "10" ReadOnly (Within(5, 25))
        "The most that a share group may set for how often a record is handed out." NoEffect(SHARES);
    "group.share.max.heartbeat.interval.ms" Int "15000" ReadOnly (AtLeast(1))
        "The most that a share group may set for its heartbeat." NoEffect(SHARES);
    "group.share.max.partition.max.record.locks" Int "4000" ReadOnly (AtLeast(1))
        "The most that a share group may set for the records of a partition in work." NoEffect(SHARES);
    "group.share.max.record.lock.duration.ms" Int "60000" ReadOnly (Within(30_000, 3_600_000))
        "The most that a share group may set for how long a member holds a record." NoEffect(SHARES);
    "group.share.max.session.timeout.ms" Int "60000" ReadOnly (AtLeast(1))
        "The most that a share group may set for the silence after which a member is gone." NoEffect(SHARES);
    "group.share.max.share.sessions" Int "2000" ReadOnly (AtLeast(1))
        "Share sessions that the broker remembers." NoEffect(SHARES);
    "group.share.max.size" Int "200" ReadOnly (Within(1, 1000))
        "Members of a share group at most." NoEffect(SHARES);
    "group.share.min.assignment.interval.ms" Int "0" ReadOnly (AtLeast(0))
        "The least that a share group may set for the time between two assignments." NoEffect(SHARES);
    "group.share.min.delivery.count.limit" Int "2" ReadOnly (Within(2, 5))
        "The least that a share group may set for how often a record is handed out." NoEffect(SHARES);
    "group.share.min.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "The least that a share group may set for its heartbeat." NoEffect(SHARES);
    "group.share.min.partition.max.record.locks" Int "100" ReadOnly (AtLeast(1))
        "The least that a share group may set for the records of a partition in work." NoEffect(SHARES);
    "group.share.min.record.lock.duration.ms" Int "15000" ReadOnly (Within(1000, 30_000))
        "The least that a share group may set for how long a member holds a record." NoEffect(SHARES);
    "group.share.min.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "The least that a share group may set for the silence after which a member is gone." NoEffect(SHARES);
    "group.share.partition.max.record.locks" Int "2000" ReadOnly (Within(100, 10_000))
        "Records of a partition that the members of a share group have in work at most." NoEffect(SHARES);
    "group.share.record.lock.duration.ms" Int "30000" ReadOnly (Within(1000, 3_600_000))
        "How long a member of a share group holds a record before others may have it." NoEffect(SHARES);
    "group.share.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "How long a member of a share group may be silent before it is gone." NoEffect(SHARES);
    "group.streams.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of a streams group." NoEffect(STREAMS);
    "group.streams.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "How often members of a streams group are told to report." NoEffect(STREAMS);
    "group.streams.initial.rebalance.delay.ms" Int "3000" ReadOnly (AtLeast(0))
        "How long the first assignment of a streams group waits for more members." NoEffect(STREAMS);
    "group.streams.max.assignment.interval.ms" Int "15000" ReadOnly (AtLeast(0))
        "The most that a streams group may set for the time between two assignments." NoEffect(STREAMS);
    "group.streams.max.heartbeat.interval.ms" Int "15000" ReadOnly (AtLeast(1))
        "The most that a streams group may set for its heartbeat." NoEffect(STREAMS);
    "group.streams.max.session.timeout.ms" Int "60000" ReadOnly (AtLeast(1))
        "The most that a streams group may set for the silence after which a member is gone." NoEffect(STREAMS);
    "group.streams.max.size" Int "2147483647" ReadOnly (AtLeast(1))
        "Members of a streams group at most." NoEffect(STREAMS);
    "group.streams.max.standby.replicas" Int "2" ReadOnly (AtLeast(0))
        "The most standby copies of a state that a streams group may set." NoEffect(STREAMS);
    "group.streams.min.assignment.interval.ms" Int "0" ReadOnly (AtLeast(0))
        "The least that a streams group may set for the time between two assignments." NoEffect(STREAMS);
    "group.streams.min.heartbeat.interval.ms" Int "5000" ReadOnly (AtLeast(1))
        "The least that a streams group may set for its heartbeat." NoEffect(STREAMS);
    "group.streams.min.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "The least that a streams group may set for the silence after which a member is gone." NoEffect(STREAMS);
    "group.streams.num.standby.replicas" Int "0" ReadOnly (AtLeast(0))
        "Standby copies of each state of a streams group." NoEffect(STREAMS);
    "group.streams.session.timeout.ms" Int "45000" ReadOnly (AtLeast(1))
        "How long a member of a streams group may be silent before it is gone." NoEffect(STREAMS);
    "offset.metadata.max.bytes" Int "4096" ReadOnly (Any)
        "Characters of text that a consumer may store with an offset." InForce("Raise it for a consumer that keeps more than a note with its offsets.");
    "offsets.commit.timeout.ms" Int "5000" ReadOnly (AtLeast(1))
        "How long a commit of offsets waits for its replicas." NoEffect("a commit waits for 5 s");
    "offsets.load.buffer.size" Int "5242880" ReadOnly (AtLeast(1))
        "Bytes that a coordinator reads at once when it loads offsets." NoEffect("a coordinator reads as much at once as suits the shard");
    "offsets.retention.check.interval.ms" Long "600000" ReadOnly (AtLeast(1))
        "How often offsets are looked at for their age." InForce("Leave it, except in a test of expiry.");
    "offsets.retention.minutes" Int "10080" ReadOnly (AtLeast(1))
        "How long offsets are kept after their group became empty, or after their commit where it has had no members." InForce("Raise it where a consumer may be away for longer.");
    "offsets.topic.compression.codec" Int "0" ReadOnly (Any)
        "The codec of the topic of offsets, by its number." NoEffect("what groups write is not compressed");
    "offsets.topic.num.partitions" Int "50" ReadOnly (AtLeast(1))
        "Partitions of the topic of offsets." InForce("Set it before the first group: groups are spread by it for ever.");
    "offsets.topic.replication.factor" Short "3" ReadOnly (AtLeast(1))
        "Replicas of the topic of offsets." NoEffect("the cluster has one node");
    "offsets.topic.segment.bytes" Int "104857600" ReadOnly (AtLeast(1))
        "Segment size of the topic of offsets." InForce("Lower it where groups take too long to load: less stays uncompacted.");
    "producer.id.expiration.ms" Int "86400000" ClusterWide (AtLeast(1))
        "How long the broker remembers a producer that writes no more." NoEffect("a producer is remembered as long as the log holds a batch of it");
    "share.coordinator.append.linger.ms" Int "-1" ReadOnly (AtLeast(-1))
        "How long a share coordinator gathers records before it writes them; -1 adapts." NoEffect(SHARES);
    "share.coordinator.cached.buffer.max.bytes" Int "1048588" ClusterWide (AtLeast(512 * 1024))
        "The largest write buffer that a share coordinator keeps for the next write." NoEffect(SHARES);
    "share.coordinator.load.buffer.size" Int "5242880" ReadOnly (AtLeast(1))
        "Bytes that a share coordinator reads at once when it loads." NoEffect(SHARES);
    "share.coordinator.snapshot.update.records.per.snapshot" Int "500" ReadOnly (Within(0, 500))
        "Updates of a share partition between two snapshots of it." NoEffect(SHARES);
    "share.coordinator.state.topic.compression.codec" Int "0" ReadOnly (Any)
        "The codec of the topic of share states, by its number." NoEffect(SHARES);
    "share.coordinator.state.topic.min.isr" Short "2" ReadOnly (AtLeast(1))
        "Replicas that must be in sync for the topic of share states." NoEffect(SHARES);
    "share.coordinator.state.topic.num.partitions" Int "50" ReadOnly (AtLeast(1))
        "Partitions of the topic of share states." NoEffect(SHARES);
    "share.coordinator.state.topic.replication.factor" Short "3" ReadOnly (AtLeast(1))
        "Replicas of the topic of share states." NoEffect(SHARES);
    "share.coordinator.state.topic.segment.bytes" Int "104857600" ReadOnly (AtLeast(1))
        "Segment size of the topic of share states." NoEffect(SHARES);
    "share.coordinator.threads" Int "1" ReadOnly (AtLeast(1))
        "Threads that run share coordinators." NoEffect(SHARES);
    "share.coordinator.write.timeout.ms" Int "5000" ReadOnly (AtLeast(1))
        "How long a write of a share state waits for its replicas." NoEffect(SHARES);
    "share.fetch.purgatory.purge.interval.requests" Int "1000" ReadOnly (Any)
        "How often waiting share fetches are tidied up." NoEffect(SHARES);
    "transaction.abort.timed.out.transaction.cleanup.interval.ms" Int "10000" ReadOnly (AtLeast(1))
        "How often transactions that took too long are aborted." NoEffect(TXN);
    "transaction.max.timeout.ms" Int "900000" ReadOnly (AtLeast(1))
        "The most that a producer may ask for as the timeout of its transactions." NoEffect(TXN);
    "transaction.partition.verification.enable" Boolean "true" ClusterWide (Any)
        "Whether a transactional batch is checked to belong to an open transaction." NoEffect(TXN);
    "transaction.remove.expired.transaction.cleanup.interval.ms" Int "3600000" ReadOnly (AtLeast(1))
        "How often transactional ids that are not used any more are removed." NoEffect(TXN);
    "transaction.state.log.load.buffer.size" Int "5242880" ReadOnly (AtLeast(1))
        "Bytes that a coordinator reads at once when it loads transactions." NoEffect(TXN);
    "transaction.state.log.min.isr" Int "2" ReadOnly (AtLeast(1))
        "Replicas that must be in sync for the topic of transactions." NoEffect(TXN);
    "transaction.state.log.num.partitions" Int "50" ReadOnly (AtLeast(1))
        "Partitions of the topic of transactions." NoEffect(TXN);
    "transaction.state.log.replication.factor" Short "3" ReadOnly (AtLeast(1))
        "Replicas of the topic of transactions." NoEffect(TXN);
    "transaction.state.log.segment.bytes" Int "104857600" ReadOnly (AtLeast(1))
        "Segment size of the topic of transactions." NoEffect(TXN);
    "transaction.two.phase.commit.enable" Boolean "false" ReadOnly (Any)
        "Whether a transaction may be prepared for the commit of another system." NoEffect(TXN);
    "transactional.id.expiration.ms" Int "604800000" ReadOnly (AtLeast(1))
        "How long a transactional id is kept without use." NoEffect(TXN);
};
