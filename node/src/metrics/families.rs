//! Every metric that has no counter in the observer's table: name, kind, labels and meaning. `METRICS.md` is made of it.

use super::page::{Family, Kind};

macro_rules! families {
    ($($id:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub(crate) static $id: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// All of them.
        #[cfg(test)]
        pub(crate) static ALL: &[&Family] = &[$(&$id),*];
    };
}

families! {
    BUILD_INFO Gauge "highwater_build_info" ["version"] "The running build; always 1";
    IO_DRIVER_INFO Gauge "highwater_io_driver_info" ["driver" "reason"] "The I/O driver in use and why; always 1";
    UPTIME Gauge "highwater_uptime_seconds" [] "Seconds since the process began to start the node";
    TIME_TO_READY Gauge "highwater_time_to_ready_seconds" [] "Seconds from the start of the process until it served";
    RECOVERY_DURATION Gauge "highwater_recovery_duration_seconds" [] "Seconds that reading the data directory back took";
    RECOVERY_PARTITIONS Gauge "highwater_recovery_partitions" [] "Partitions with data to be read back at the start; 0 until that is known";
    RECOVERY_PARTITIONS_READ Gauge "highwater_recovery_partitions_read" [] "Partitions with data that are read back";
    READY Gauge "highwater_ready" [] "1 if all that /readyz looks at is well";
    SHARDS Gauge "highwater_shards" [] "Shards of the node";
    SHARDS_FAILED Gauge "highwater_shards_failed" [] "Shards that ended without being asked to";
    SHARDS_FULL Gauge "highwater_shards_full" [] "Shards whose disk has no room";
    SHARDS_SILENT Gauge "highwater_shards_silent" [] "Shards that did not answer this scrape within a second; what they hold is missing in it";
    EVENTS_DROPPED Counter "highwater_events_dropped_total" [] "Observations that found no room; counters that are made of them are too low by as many";

    CONNECTIONS Gauge "highwater_connections" [] "Connections that are open";
    CONNECTIONS_CLOSED Counter "highwater_connections_closed_total" ["reason"] "Connections that ended, by the node's reason, or `peer`";
    REQUESTS Counter "highwater_requests_total" ["api" "error"] "Requests answered, by Kafka's names of the API and of the first error in the response, or NONE";
    REQUEST_DURATION Histogram "highwater_request_duration_seconds" ["api"] "Time from when a request is there as a whole until its response goes to the socket; long polls and earlier requests of the connection are waited for";
    REQUEST_BYTES Counter "highwater_request_bytes_total" ["api"] "Bytes of answered requests";
    RESPONSE_BYTES Counter "highwater_response_bytes_total" ["api"] "Bytes of responses";
    REQUESTS_WAITING Gauge "highwater_requests_waiting" [] "Requests in work: they wait for partitions, the controller, commits or new records";

    BACKPRESSURE Counter "highwater_backpressure_total" ["kind"] "Times that something was held back for lack of memory or disk, by what";
    CONNECTIONS_STARVED Gauge "highwater_connections_starved" [] "Connections that wait for memory";
    PRODUCES_PARKED Gauge "highwater_produces_parked" [] "Produces that wait for room in the write-ahead log or for memory";
    READS_STARVED Gauge "highwater_reads_starved" [] "Reads that wait for memory";
    POOL_USED Gauge "highwater_pool_used_bytes" ["shard" "pool"] "Bytes of a pool's pages that are in use";
    POOL_LIMIT Gauge "highwater_pool_limit_bytes" ["shard" "pool"] "Bytes of pages that a pool may come to";
    CACHE Gauge "highwater_cache_bytes" [] "Bytes of the pages of the pool `wal` that serve readers of the newest records";

    WAL_COMMIT_DURATION Histogram "highwater_wal_commit_duration_seconds" [] "Time from when a write of one or more groups is ordered until it is durable";
    WAL_GROUP_BYTES Histogram "highwater_wal_group_bytes" [] "Bytes of record batches in a group of the write-ahead log";
    WAL_GROUP_BATCHES Histogram "highwater_wal_group_batches" [] "Record batches in a group of the write-ahead log";
    WAL_LIVE Gauge "highwater_wal_live_bytes" [] "Bytes of write-ahead files that are still needed";
    WAL_LIVE_LIMIT Gauge "highwater_wal_live_limit_bytes" [] "Bytes of write-ahead files at which produce waits";
    DISK_DURATION Histogram "highwater_disk_operation_duration_seconds" ["operation"] "Time from when a shard orders a disk operation until it is told of its end";
    DISK_BYTES Counter "highwater_disk_bytes_total" ["operation"] "Bytes of disk operations that went well";
    DISK_FAILURES Counter "highwater_disk_failures_total" ["operation"] "Disk operations that failed";
    SEGMENT_JOBS Gauge "highwater_segment_jobs" [] "Jobs at work on segments: destaging, sealing, deleting";

    TOPICS Gauge "highwater_topics" [] "Topics";
    TOPICS_HIDDEN Gauge "highwater_topics_hidden" [] "Topics beyond `metrics.topics.max`, which have no series of their own";
    PARTITIONS Gauge "highwater_partitions" [] "Partitions of all topics";
    PARTITIONS_HIDDEN Gauge "highwater_partitions_hidden" [] "Partitions beyond `metrics.partitions.max` or of hidden topics, which have no series of their own";
    PARTITIONS_FAULTY Gauge "highwater_partitions_faulty" [] "Partitions with offsets that cannot be read any more";
    TOPIC_BYTES Gauge "highwater_topic_log_bytes" ["topic"] "Bytes of a topic's logs; `__other__` is the sum of all hidden topics";
    TOPIC_SEGMENTS Gauge "highwater_topic_segments" ["topic"] "Segments of a topic's logs; `__other__` is the sum of all hidden topics";

    GROUPS Gauge "highwater_groups" ["protocol" "state"] "Groups, by their protocol and state";
    GROUPS_HIDDEN Gauge "highwater_groups_hidden" [] "Groups beyond `metrics.groups.max`, which have no series of their own";
    GROUPS_OFFSETS_HIDDEN Gauge "highwater_groups_offsets_hidden" [] "Those, and groups beyond `metrics.group.offsets.max`: what they have committed has no series";
    GROUP_MEMBERS Gauge "highwater_group_members" ["protocol"] "Members of all groups, by the groups' protocol";
    GROUP_LAG_RECORDS Gauge "highwater_group_lag_records" ["group" "topic" "partition"] "Offsets between what a group has committed and the end that consumers see";
    GROUP_LAG_SECONDS Gauge "highwater_group_lag_seconds" ["group" "topic" "partition"] "Age of the first record that a group has not consumed, as far as memory knows; 0 if there is none";

    KAFKA_GROUP_MEMBERS Gauge "kafka_consumergroup_members" ["consumergroup"] "Members of a group";
    KAFKA_GROUP_CURRENT_OFFSET Gauge "kafka_consumergroup_current_offset" ["consumergroup" "topic" "partition"] "What a group has committed of a partition";
    KAFKA_GROUP_LAG Gauge "kafka_consumergroup_lag" ["consumergroup" "topic" "partition"] "The same as `highwater_group_lag_records`";
    KAFKA_BROKERS Gauge "kafka_brokers" [] "Brokers of the cluster";
    KAFKA_BROKER_INFO Gauge "kafka_broker_info" ["id" "address"] "Id and address of a broker; always 1";
    KAFKA_TOPIC_PARTITIONS Gauge "kafka_topic_partitions" ["topic"] "Partitions of a topic";
    KAFKA_CURRENT_OFFSET Gauge "kafka_topic_partition_current_offset" ["topic" "partition"] "High watermark of a partition: the next offset that consumers will see";
    KAFKA_OLDEST_OFFSET Gauge "kafka_topic_partition_oldest_offset" ["topic" "partition"] "Log start of a partition";
    KAFKA_LEADER Gauge "kafka_topic_partition_leader" ["topic" "partition"] "Id of the broker that leads a partition; -1 for none";
    KAFKA_REPLICAS Gauge "kafka_topic_partition_replicas" ["topic" "partition"] "Replicas of a partition";
    KAFKA_IN_SYNC_REPLICAS Gauge "kafka_topic_partition_in_sync_replica" ["topic" "partition"] "Replicas of a partition that are in sync";
    KAFKA_LEADER_IS_PREFERRED Gauge "kafka_topic_partition_leader_is_preferred" ["topic" "partition"] "1 if the first replica of a partition leads it";
    KAFKA_UNDER_REPLICATED Gauge "kafka_topic_partition_under_replicated_partition" ["topic" "partition"] "1 if not all replicas of a partition are in sync";

    PROCESS_CPU Counter "process_cpu_seconds_total" [] "Processor time of the process, of the user and of the system";
    PROCESS_RESIDENT Gauge "process_resident_memory_bytes" [] "Memory of the process that is resident";
    PROCESS_VIRTUAL Gauge "process_virtual_memory_bytes" [] "Address space of the process";
    PROCESS_OPEN_FDS Gauge "process_open_fds" [] "File descriptors that are open";
    PROCESS_MAX_FDS Gauge "process_max_fds" [] "File descriptors that may be open";
    PROCESS_START_TIME Gauge "process_start_time_seconds" [] "When the process started, in seconds since 1970";
}
