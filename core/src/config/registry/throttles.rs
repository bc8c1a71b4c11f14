//! Settings that Kafka's tool for moving replicas sets for a while and takes away again.

use super::topic::ALONE;
use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::AtLeast;

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "follower.replication.throttled.rate" Long null PerBroker (AtLeast(0))
        "Bytes per second that throttled followers fetch at most." NoEffect(ALONE);
    "leader.replication.throttled.rate" Long null PerBroker (AtLeast(0))
        "Bytes per second that throttled leaders send at most." NoEffect(ALONE);
    "replica.alter.log.dirs.io.max.bytes.per.second" Long null PerBroker (AtLeast(0))
        "Bytes per second that are moved between log directories at most." NoEffect("a node has one log directory");
};
