//! Settings of the broker that Kafka does not have.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OneOf, Within};

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "batch.validation" String "full" ClusterWide (OneOf(&["full", "crc"]))
        "The default of topics for batch.validation: full walks every record of a batch before the append, crc trusts the checksum."
        InForce("Choose crc only where every producer of every topic is trusted.");
    "cluster.id" String null ReadOnly (Any)
        "The cluster that the data directory must belong to; unset takes the one that it has."
        InForce("Set it in production, so that a node never starts on another cluster's data.");
    "http.listen" String "127.0.0.1:9644" ReadOnly (Any)
        "The address of /metrics, /livez and /readyz."
        InForce("Set it to an address that the monitoring can reach.");
    "io" String "auto" ReadOnly (OneOf(&["auto", "uring", "epoll"]))
        "How to talk to the kernel; auto tries io_uring and says what it chose."
        InForce("Set it to uring to fail instead of falling back, or to epoll where io_uring misbehaves.");
    "memory.bytes" Long "536870912" ReadOnly (AtLeast(1))
        "Memory of each shard for requests, groups on their way to disk, and reads."
        InForce("Raise it where many connections or large requests are held back for want of memory.");
    "metrics.group.offsets.max" Int "10000" ReadOnly (AtLeast(0))
        "Partitions of groups, each group with all that it has committed or none, that have metrics of their own; 0 is none."
        InForce("Lower it where the monitoring suffers from too many series.");
    "metrics.groups.max" Int "1000" ReadOnly (AtLeast(0))
        "Groups that have metrics of their own, the first by name; all are counted."
        InForce("Lower it where the monitoring suffers from too many series.");
    "metrics.partitions.max" Int "10000" ReadOnly (AtLeast(0))
        "Partitions that have metrics of their own, taken as whole topics; 0 is none."
        InForce("Lower it where the monitoring suffers from too many series.");
    "metrics.topics.max" Int "1000" ReadOnly (AtLeast(0))
        "Topics that have metrics of their own; the others are added up."
        InForce("Lower it where the monitoring suffers from too many series.");
    "shards" Int null ReadOnly (Within(1, 256))
        "Shards of this node, each with a thread of its own; unset is one for each core."
        InForce("Lower it to leave cores to others. It may change at any restart.");
    "wal.bytes.max" Long "1073741824" ReadOnly (AtLeast(1 << 20))
        "Length of all write-ahead files of a shard; when it is reached, produce waits."
        InForce("Raise it if produce waits while the disk of the segments is slow for a time.");
    "wal.destage.interval.ms" Long "5000" ReadOnly (Within(1, 3_600_000))
        "How long a record may stand in the write-ahead log alone before it goes to its segment."
        InForce("Raise it to write segments in larger pieces; recovery then has more to read.");
    "wal.file.bytes.max" Long "268435456" ReadOnly (AtLeast(1 << 20))
        "Length of a write-ahead file at most." InForce("Keep it at a fraction of wal.bytes.max, because files are recycled as a whole.");
    "wal.file.bytes.min" Long "4194304" ReadOnly (AtLeast(1 << 20))
        "Length of the first write-ahead file of a shard; each next one doubles."
        InForce("Raise it where a new node is under full load at once.");
    "wal.seal.after.ms" Long "10" ReadOnly (Within(1, 60_000))
        "Silence after which the write-ahead log is sealed."
        InForce("Leave it: it only decides how soon an idle log proves what is durable.");
};
