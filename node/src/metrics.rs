//! The `/metrics` page: names, help and labels of what the observer counted. Owns no counter.

use std::fmt;
use std::sync::{Arc, OnceLock};

use highwater_core::wire::ApiKey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::observer::{Count, Observer, REASONS};
use crate::words;

/// What is known once the node has started.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// `uring` or `epoll`.
    pub(crate) io_driver: String,
    /// Why it is this one.
    pub(crate) io_reason: String,
    pub(crate) seconds_to_ready: f64,
}

/// Renders the page.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(observer: Arc<Observer>, facts: Arc<OnceLock<Facts>>) -> Self {
        let mut registry = Registry::with_prefix("highwater");
        registry.register_collector(Box::new(Page { observer, facts }));
        Self { registry }
    }

    pub(crate) fn page(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a String takes any text");
        text
    }
}

#[derive(Debug)]
struct Page {
    observer: Arc<Observer>,
    facts: Arc<OnceLock<Facts>>,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for count in Count::ALL {
            let (name, help) = named(count);
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(self.observer.total(count)).encode(metric)?;
        }
        self.encode_gauges(&mut encoder)?;
        self.encode_requests(&mut encoder)?;
        self.encode_refused(&mut encoder)?;
        self.encode_facts(&mut encoder)
    }
}

impl Page {
    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let total = |count| self.observer.total(count);
        // The closed ones are read first, so the difference is never below zero.
        let closed = total(Count::ConnectionsClosed);
        let open = total(Count::ConnectionsOpened).saturating_sub(closed);
        let ready = self.observer.checks().iter().all(|check| check.ok);
        for (name, help, value) in [
            ("connections", "Connections that are open", open),
            ("shards", "Shards of the node", self.observer.shards() as u64),
            (
                "shards_failed",
                "Shards that ended without being asked to",
                self.observer.failed().len() as u64,
            ),
            ("shards_full", "Shards whose disk has no room", self.observer.shards_full() as u64),
            ("ready", "1 if /readyz answers 200", u64::from(ready)),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests answered, by Kafka's name of the API";
        let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for key in ApiKey::ALL {
            let answered = self.observer.answered(*key);
            if answered > 0 {
                let label = [("api", key.name())];
                ConstCounter::new(answered).encode(family.encode_family(&label)?)?;
            }
        }
        Ok(())
    }

    fn encode_refused(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Connections that the node ended, by reason";
        let mut family = encoder.encode_descriptor("connections_refused", help, None, MetricType::Counter)?;
        for reason in REASONS {
            let label = [("reason", words::close_reason(reason))];
            ConstCounter::new(self.observer.refused(reason)).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }

    fn encode_facts(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut build = encoder.encode_descriptor("build", "The running build", None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let Some(facts) = self.facts.get() else { return Ok(()) };
        let labels = [("driver", facts.io_driver.as_str()), ("reason", facts.io_reason.as_str())];
        encoder
            .encode_descriptor("io_driver", "The I/O driver in use and why", None, MetricType::Info)?
            .encode_info(&labels)?;
        let help = "Seconds from the start of the process until it served";
        let metric = encoder.encode_descriptor("time_to_ready_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(facts.seconds_to_ready).encode(metric)
    }
}

fn named(count: Count) -> (&'static str, &'static str) {
    match count {
        Count::ConnectionsOpened => ("connections_opened", "Connections that were accepted"),
        Count::ConnectionsClosed => ("connections_closed", "Connections that ended"),
        Count::TopicsCreated => ("topics_created", "Topics that were created"),
        Count::TopicsDeleted => ("topics_deleted", "Topics that were deleted"),
        Count::BatchesAppended => ("appended_batches", "Record batches appended"),
        Count::RecordsAppended => ("appended_records", "Records appended"),
        Count::BytesAppended => ("appended_bytes", "Bytes of record batches appended"),
        Count::BatchesDuplicate => ("duplicate_batches", "Batches answered as duplicates of earlier ones"),
        Count::WalGroups => ("wal_groups", "Groups committed to the write-ahead log"),
        Count::WalGroupBatches => ("wal_group_batches", "Batches in the committed groups"),
        Count::WalBytes => ("wal_bytes", "Bytes written to the write-ahead log by group commits"),
        Count::WalSeals => ("wal_seals", "Seal frames written to the write-ahead log"),
        Count::WalFilesCreated => ("wal_files_created", "Write-ahead files created"),
        Count::WalFilesRecycled => ("wal_files_recycled", "Write-ahead files used again"),
        Count::Checkpoints => ("checkpoints", "Checkpoints written"),
        Count::BatchesCarriedForward => ("carried_forward", "Ranges copied forward in the write-ahead log"),
        Count::BytesDestaged => ("destaged_bytes", "Bytes written from the write-ahead log to segments"),
        Count::SegmentsRolled => ("segments_rolled", "Segments begun"),
        Count::SegmentsSealed => ("segments_sealed", "Segments sealed with a footer"),
        Count::SegmentsDeleted => ("segments_deleted", "Segments deleted"),
        Count::PartitionsRecovered => ("recovered_partitions", "Partitions read back at the start"),
        Count::TornTails => ("recovery_torn_tails", "Torn ends of write-ahead logs found at the start"),
        Count::Rots => ("recovery_rot", "Damaged durable frames found in write-ahead logs"),
        Count::RangesFaulty => ("faulty_ranges", "Ranges of offsets that cannot be read any more"),
        Count::FootersRebuilt => ("footers_rebuilt", "Segment footers made again"),
        Count::SuperblocksRepaired => {
            ("superblocks_repaired", "Superblocks with a damaged or old copy, written again")
        }
        Count::CheckpointsLost => {
            ("checkpoints_lost", "Checkpoints of the write-ahead log that could not be read")
        }
        Count::ProducersLost => ("producers_lost", "Partitions that forgot the producers of deleted records"),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::ShardId;
    use highwater_core::shard::Event;

    use super::*;

    #[test]
    fn page_names_what_happened() {
        let observer = Arc::new(Observer::new(2));
        let facts = Arc::new(OnceLock::new());
        let metrics = Metrics::new(Arc::clone(&observer), Arc::clone(&facts));
        assert!(!metrics.page().contains("io_driver"));
        facts
            .set(Facts {
                io_driver: "epoll".into(),
                io_reason: "a \"quoted\"\nreason".into(),
                seconds_to_ready: 0.25,
            })
            .unwrap();
        let took = highwater_core::time::Duration::from_millis(1);
        let event =
            Event::Answered { key: 3, version: 12, error: 0, request_bytes: 10, response_bytes: 20, took };
        observer.on_event(ShardId(1), &event);
        let page = metrics.page();
        for line in [
            "highwater_requests_total{api=\"Metadata\"} 1",
            "highwater_connections_refused_total{reason=\"malformed\"} 0",
            "highwater_io_driver_info{driver=\"epoll\",reason=\"a \\\"quoted\\\"\\nreason\"} 1",
            "highwater_time_to_ready_seconds 0.25",
            "highwater_shards 2",
            "highwater_ready 0",
            "# EOF",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is missing in\n{page}");
        }
        assert!(!page.contains("api=\"Produce\""));
    }

    #[test]
    fn every_family_has_a_name_of_its_own() {
        let page = Metrics::new(Arc::new(Observer::new(1)), Arc::default()).page();
        let mut names: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        assert!(names.len() > Count::ALL.len());
        names.sort_unstable();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }
}
