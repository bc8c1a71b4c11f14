//! The settings of subscriptions to metrics of clients.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, Patterns, Within};

const NOT_PUSHED: &str = "no client is asked for its metrics; the subscription is kept for those who list it";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "interval.ms" Int "300000" ClusterWide (Within(100, 3_600_000))
        "How often a client pushes its metrics." NoEffect(NOT_PUSHED);
    "match" List "" ClusterWide (Patterns(&[
        "client_id", "client_instance_id", "client_software_name", "client_software_version",
        "client_source_address", "client_source_port",
    ]))
        "Which clients the subscription is for, by patterns for what is known of them; empty is all." NoEffect(NOT_PUSHED);
    "metrics" List "" ClusterWide (Any)
        "The prefixes of the names of metrics that clients push; * is all." NoEffect(NOT_PUSHED);
};
