//! The settings of groups.

use super::groups::{SHARES, STREAMS};
use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OneOf};

/// The broker's settings that hold where a group sets nothing.
pub(super) const DEFAULTS: [(&str, &[&str]); 14] = [
    ("consumer.assignment.interval.ms", &["group.consumer.assignment.interval.ms"]),
    ("consumer.heartbeat.interval.ms", &["group.consumer.heartbeat.interval.ms"]),
    ("consumer.session.timeout.ms", &["group.consumer.session.timeout.ms"]),
    ("share.assignment.interval.ms", &["group.share.assignment.interval.ms"]),
    ("share.delivery.count.limit", &["group.share.delivery.count.limit"]),
    ("share.heartbeat.interval.ms", &["group.share.heartbeat.interval.ms"]),
    ("share.partition.max.record.locks", &["group.share.partition.max.record.locks"]),
    ("share.record.lock.duration.ms", &["group.share.record.lock.duration.ms"]),
    ("share.session.timeout.ms", &["group.share.session.timeout.ms"]),
    ("streams.assignment.interval.ms", &["group.streams.assignment.interval.ms"]),
    ("streams.heartbeat.interval.ms", &["group.streams.heartbeat.interval.ms"]),
    ("streams.initial.rebalance.delay.ms", &["group.streams.initial.rebalance.delay.ms"]),
    ("streams.num.standby.replicas", &["group.streams.num.standby.replicas"]),
    ("streams.session.timeout.ms", &["group.streams.session.timeout.ms"]),
];

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "consumer.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of the group." InForce("Raise it for a group whose members come and go all the time; lower it to have a single one served sooner.");
    "consumer.heartbeat.interval.ms" Int "5000" ClusterWide (AtLeast(1))
        "How often members of the group are told to report." InForce("Raise it where many members are idle and may take longer to follow a change.");
    "consumer.session.timeout.ms" Int "45000" ClusterWide (AtLeast(1))
        "How long a member of the group may be silent before it is gone." InForce("Raise it for members that pause for long; lower it to have their partitions handed on sooner.");
    "share.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of the group." NoEffect(SHARES);
    "share.auto.offset.reset" String "latest" ClusterWide (Any)
        "Where the share group begins to read a partition: latest, earliest or by_duration: and a time." NoEffect(SHARES);
    "share.delivery.count.limit" Int "5" ClusterWide (AtLeast(2))
        "How often a record may be handed out in the share group." NoEffect(SHARES);
    "share.heartbeat.interval.ms" Int "5000" ClusterWide (AtLeast(1))
        "How often members of the group are told to report." NoEffect(SHARES);
    "share.isolation.level" String "read_uncommitted" ClusterWide (OneOf(&["read_committed", "read_uncommitted"]))
        "Whether the share group sees records of transactions that are not committed." NoEffect(SHARES);
    "share.partition.max.record.locks" Int "2000" ClusterWide (AtLeast(100))
        "Records of a partition that the members of the share group have in work at most." NoEffect(SHARES);
    "share.record.lock.duration.ms" Int "30000" ClusterWide (AtLeast(1000))
        "How long a member of the share group holds a record before others may have it." NoEffect(SHARES);
    "share.renew.acknowledge.enable" Boolean "true" ClusterWide (Any)
        "Whether a member of the share group may hold a record for longer." NoEffect(SHARES);
    "share.session.timeout.ms" Int "45000" ClusterWide (AtLeast(1))
        "How long a member of the group may be silent before it is gone." NoEffect(SHARES);
    "streams.assignment.interval.ms" Int "1000" ClusterWide (AtLeast(0))
        "The least time between two assignments of the group." NoEffect(STREAMS);
    "streams.heartbeat.interval.ms" Int "5000" ClusterWide (AtLeast(1))
        "How often members of the group are told to report." NoEffect(STREAMS);
    "streams.initial.rebalance.delay.ms" Int "3000" ClusterWide (AtLeast(0))
        "How long the first assignment of the group waits for more members." NoEffect(STREAMS);
    "streams.num.standby.replicas" Int "0" ClusterWide (AtLeast(0))
        "Standby copies of each state of the group." NoEffect(STREAMS);
    "streams.session.timeout.ms" Int "45000" ClusterWide (AtLeast(1))
        "How long a member of the group may be silent before it is gone." NoEffect(STREAMS);
};
