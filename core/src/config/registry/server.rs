//! Settings of the broker about itself, its network, its requests and what watches it.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OneOf, Within};

const NO_CLASSES: &str = "no Java class can be loaded";
const SHARDS: &str = "all work is done by shards, one thread each: see shards";
const NO_QUOTAS: &str = "there are no quotas yet";
const NO_PURGATORY: &str = "requests that wait hold no more than a table entry, which goes when they do";
const OWN_METRICS: &str = "metrics are served for Prometheus at http.listen";
const KERNEL: &str = "the kernel sizes the buffer by itself";
const LIMIT: &str = "the bound is fixed";
const NOT_DIALLED: &str = "the node opens no connections";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "advertised.listeners" List null ReadOnly (Any)
        "The address that clients are told to use; unset means the one that each of them dialled."
        InForce("Set it where clients reach the node by another name than they first dial, as behind a proxy.");
    "alter.config.policy.class.name" Class null ReadOnly (Any)
        "A class that judges changes of settings." NoEffect(NO_CLASSES);
    "background.threads" Int "10" ClusterWide (AtLeast(1))
        "Threads for work in the background." NoEffect(SHARDS);
    "broker.id" Int "-1" ReadOnly (Any)
        "The older name of node.id." InForce("Use node.id.");
    "broker.rack" String null ReadOnly (Any)
        "Where the broker stands, for placing replicas apart." NoEffect("the one node has nobody to stand apart from");
    "client.quota.callback.class" Class null ReadOnly (Any)
        "A class that decides quotas." NoEffect(NO_CLASSES);
    "config.providers" List "" ReadOnly (Any)
        "Classes that fetch values of settings from elsewhere." NoEffect(NO_CLASSES);
    "connection.failed.authentication.delay.ms" Int "100" ReadOnly (AtLeast(0))
        "How long a failed authentication is kept waiting for its answer." NoEffect("connections are not authenticated yet");
    "connections.max.idle.ms" Long "600000" ReadOnly (Any)
        "How long a connection may be silent before it is closed." NoEffect("an idle connection costs one kibibyte and is kept");
    "controller.quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which changes of metadata are counted." NoEffect(NO_QUOTAS);
    "controller.quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which changes of metadata are counted." NoEffect(NO_QUOTAS);
    "create.topic.policy.class.name" Class null ReadOnly (Any)
        "A class that judges new topics." NoEffect(NO_CLASSES);
    "default.replication.factor" Int "1" ReadOnly (AtLeast(1))
        "Replicas of a topic that does not say how many." NoEffect("with one node it is always 1");
    "delete.records.purgatory.purge.interval.requests" Int "1" ReadOnly (Any)
        "How often waiting DeleteRecords requests are tidied up." NoEffect(NO_PURGATORY);
    "early.start.listeners" List null ReadOnly (Any)
        "Listeners that open before the broker is ready." NoEffect("the listener opens when recovery is over");
    "fetch.max.bytes" Int "57671680" ReadOnly (AtLeast(1024))
        "Record bytes of one fetch response at most." NoEffect("it is fixed at Kafka's default of 55 MiB");
    "fetch.purgatory.purge.interval.requests" Int "1000" ReadOnly (Any)
        "How often waiting fetches are tidied up." NoEffect(NO_PURGATORY);
    "inter.broker.listener.name" String null ReadOnly (Any)
        "The listener that brokers use among each other." NoEffect("there is one broker");
    "kafka.metrics.polling.interval.secs" Int "10" ReadOnly (AtLeast(1))
        "How often Kafka's metrics reporters are run." NoEffect(OWN_METRICS);
    "kafka.metrics.reporters" List "" ReadOnly (Any)
        "Classes that report Kafka's older metrics." NoEffect(OWN_METRICS);
    "listener.security.protocol.map" String "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT" ReadOnly (Any)
        "Which security protocol each listener name stands for." NoEffect("the one listener is PLAINTEXT");
    "listeners" List "PLAINTEXT://:9092" ReadOnly (Any)
        "The address that Kafka clients connect to; port 0 picks a free one."
        InForce("Set it to one address that clients can reach; an empty host is every interface.");
    "max.connection.creation.rate" Int "2147483647" ClusterWide (AtLeast(0))
        "New connections a second at most." NoEffect(NO_QUOTAS);
    "max.connections" Int "2147483647" ClusterWide (AtLeast(0))
        "Connections of the broker at most." NoEffect("each shard takes 65,536 connections");
    "max.connections.per.ip" Int "2147483647" ClusterWide (AtLeast(0))
        "Connections from one address at most." NoEffect(NO_QUOTAS);
    "max.connections.per.ip.overrides" String "" ClusterWide (Any)
        "Connections at most from addresses that are named." NoEffect(NO_QUOTAS);
    "max.incremental.fetch.session.cache.slots" Int "1000" ReadOnly (AtLeast(0))
        "Fetch sessions that are remembered." NoEffect("it is fixed at Kafka's default, for each shard");
    "max.request.partition.size.limit" Int "2000" ReadOnly (AtLeast(1))
        "Partitions that one answer to DescribeTopicPartitions holds at most." NoEffect(LIMIT);
    "metric.reporters" List "org.apache.kafka.common.metrics.JmxReporter" ClusterWide (Any)
        "Classes that report metrics." NoEffect(OWN_METRICS);
    "metrics.num.samples" Int "2" ReadOnly (AtLeast(1))
        "Samples that a metric of Kafka is computed from." NoEffect(OWN_METRICS);
    "metrics.recording.level" String "INFO" ReadOnly (OneOf(&["INFO", "DEBUG", "TRACE"]))
        "How much is measured." NoEffect(OWN_METRICS);
    "metrics.sample.window.ms" Long "30000" ReadOnly (AtLeast(0))
        "How long a sample of a metric of Kafka is." NoEffect(OWN_METRICS);
    "node.id" Int null ReadOnly (Within(0, i32::MAX as i64))
        "The number of this node in its cluster; unset is 1." InForce("Set it once, before the first start: the data belongs to it.");
    "num.io.threads" Int "8" ClusterWide (AtLeast(1))
        "Threads that work on requests." NoEffect(SHARDS);
    "num.network.threads" Int "3" ClusterWide (AtLeast(1))
        "Threads that serve the network." NoEffect(SHARDS);
    "process.roles" List null ReadOnly (Any)
        "Whether the process is a broker, a controller or both." NoEffect("a node is always both");
    "producer.purgatory.purge.interval.requests" Int "1000" ReadOnly (Any)
        "How often waiting produces are tidied up." NoEffect(NO_PURGATORY);
    "queued.max.request.bytes" Long "-1" ReadOnly (Any)
        "Bytes of requests that wait at most." NoEffect("memory.bytes bounds them");
    "queued.max.requests" Int "500" ReadOnly (AtLeast(1))
        "Requests that wait at most." NoEffect("each connection may have 64 requests in work and is read no further then");
    "quota.window.num" Int "11" ReadOnly (AtLeast(1))
        "Windows over which clients' rates are measured." NoEffect(NO_QUOTAS);
    "quota.window.size.seconds" Int "1" ReadOnly (AtLeast(1))
        "Length of a window in which clients' rates are measured." NoEffect(NO_QUOTAS);
    "request.timeout.ms" Int "30000" ReadOnly (Any)
        "How long the broker's own clients wait for an answer." NoEffect(NOT_DIALLED);
    "socket.connection.setup.timeout.max.ms" Long "30000" ReadOnly (Any)
        "How long setting up a connection to another node takes at most, after retries." NoEffect(NOT_DIALLED);
    "socket.connection.setup.timeout.ms" Long "10000" ReadOnly (Any)
        "How long setting up a connection to another node takes at most." NoEffect(NOT_DIALLED);
    "socket.listen.backlog.size" Int "50" ReadOnly (AtLeast(1))
        "Connections that may wait to be accepted." NoEffect("the backlog is as long as the kernel allows");
    "socket.receive.buffer.bytes" Int "102400" ReadOnly (Any)
        "Size of the kernel's receive buffer of a connection." NoEffect(KERNEL);
    "socket.request.max.bytes" Int "104857600" ReadOnly (AtLeast(1))
        "The largest request." NoEffect("it is fixed at Kafka's default of 100 MiB");
    "socket.send.buffer.bytes" Int "102400" ReadOnly (Any)
        "Size of the kernel's send buffer of a connection." NoEffect(KERNEL);
    "telemetry.max.bytes" Int "1048576" ReadOnly (AtLeast(1))
        "The largest message with metrics of a client." NoEffect("metrics of clients are not collected yet");
};
