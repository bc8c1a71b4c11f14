//! The `/metrics` page: what the observer counted and what the shards hold. Owns no counter.

mod families;
mod groups;
mod page;
mod process;
mod topics;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use highwater_core::shard::{PoolReport, ShardReport};
use highwater_core::wire::{ApiKey, ErrorCode};

use self::families as f;
pub(crate) use self::page::{CONTENT_TYPE, Distribution, Family, Kind};
use self::page::{Page, Samples};
use crate::observer::{
    BYTES, COUNTS, Count, DiskOperation, LATENCY_NANOS, Observer, PRESSURES, REASONS, ShardCounters, Unit,
    add_up,
};
use crate::survey::{GroupLimits, Scope, Survey, View};
use crate::words;

/// What is known once the node has started.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) node: i32,
    /// Where clients reach it.
    pub(crate) address: String,
    /// `uring` or `epoll`.
    pub(crate) io_driver: String,
    /// Why it is this one.
    pub(crate) io_reason: String,
    pub(crate) seconds_to_ready: f64,
}

/// How many series there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Topics with series of their own.
    pub(crate) topics_max: usize,
    /// Partitions with series of their own; a topic's are all there or none.
    pub(crate) partitions_max: usize,
    pub(crate) groups: GroupLimits,
}

/// Renders the page.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) observer: Arc<Observer>,
    pub(crate) facts: Arc<OnceLock<Facts>>,
    pub(crate) limits: Limits,
}

impl Metrics {
    /// The page as it is now.
    pub(crate) async fn take(&self, survey: &Survey) -> String {
        let view = survey.take(Scope::Groups(self.limits.groups)).await;
        let behind = groups::behind(&view);
        let ages =
            if behind.is_empty() { Arc::default() } else { survey.take_more(Scope::Ages(behind)).await };
        self.page(&view, &ages)
    }

    fn page(&self, view: &View, ages: &View) -> String {
        let mut page = Page::default();
        self.write_node(&mut page, view);
        self.write_connections(&mut page, view);
        self.write_requests(&mut page);
        self.write_pressure(&mut page, view);
        self.write_disk(&mut page, view);
        for (count, family) in Count::ALL.iter().zip(Count::FAMILIES) {
            page.single(family, self.observer.sum(|shard| shard.count(*count)));
        }
        topics::write(&mut page, view, self.limits);
        groups::write(&mut page, view, ages);
        process::write(&mut page);
        page.finish()
    }

    fn write_node(&self, page: &mut Page, view: &View) {
        let (observer, facts) = (&self.observer, self.facts.get());
        page.family(&f::BUILD_INFO).add(&[env!("CARGO_PKG_VERSION")], 1);
        let mut samples = page.family(&f::IO_DRIVER_INFO);
        if let Some(facts) = facts {
            samples.add(&[&facts.io_driver, &facts.io_reason], 1);
        }
        page.single(&f::UPTIME, observer.uptime().as_secs_f64());
        optional(page.family(&f::TIME_TO_READY), facts.map(|facts| facts.seconds_to_ready));
        let recovery = observer.recovery();
        optional(page.family(&f::RECOVERY_DURATION), recovery.took.map(|took| took.as_secs_f64()));
        page.single(&f::RECOVERY_PARTITIONS, recovery.progress.partitions);
        page.single(&f::RECOVERY_PARTITIONS_READ, recovery.progress.partitions_read);
        let silent = view.silent().len();
        let ready = silent == 0 && observer.checks().iter().all(|check| check.ok);
        page.single(&f::READY, u8::from(ready));
        page.single(&f::SHARDS, observer.shards().len());
        page.single(&f::SHARDS_FAILED, observer.failed().len());
        page.single(&f::SHARDS_FULL, observer.shards_full());
        page.single(&f::SHARDS_SILENT, silent);
        page.single(&f::EVENTS_DROPPED, view.reports().map(|report| report.events_dropped).sum::<u64>());
        page.single(&f::KAFKA_BROKERS, 1);
        let mut samples = page.family(&f::KAFKA_BROKER_INFO);
        if let Some(facts) = facts {
            samples.add(&[&facts.node.to_string(), &facts.address], 1);
        }
    }

    fn write_connections(&self, page: &mut Page, view: &View) {
        page.single(&f::CONNECTIONS, sum(view, |report| report.connections));
        let mut samples = page.family(&f::CONNECTIONS_CLOSED);
        for reason in REASONS {
            samples.add(&[words::close_reason(reason)], self.observer.sum(|shard| shard.closed(reason)));
        }
        let by_peer = |shard: &ShardCounters| shard.closed_by_peer.load(Ordering::Relaxed);
        samples.add(&["peer"], self.observer.sum(by_peer));
        page.single(&f::REQUESTS_WAITING, sum(view, |report| report.requests));
    }

    fn write_requests(&self, page: &mut Page) {
        let apis = || ApiKey::ALL.iter().map(|api| Api { api: *api, observer: &self.observer });
        let used: Vec<Api<'_>> = apis().filter(|api| api.answered() > 0).collect();
        let mut samples = page.family(&f::REQUESTS);
        for api in &used {
            for (error, count) in api.by_error() {
                samples.add(&[api.api.name(), error.name()], count);
            }
        }
        let mut samples = page.family(&f::REQUEST_DURATION);
        for api in &used {
            let histograms = api.counters().map(|counters| &counters.took);
            let found = add_up(histograms, &LATENCY_NANOS, Unit::Nanoseconds);
            samples.add_distribution(&[api.api.name()], &found);
        }
        let mut samples = page.family(&f::REQUEST_BYTES);
        for api in &used {
            let bytes = api.counters().map(|counters| counters.request_bytes.load(Ordering::Relaxed));
            samples.add(&[api.api.name()], bytes.sum::<u64>());
        }
        let mut samples = page.family(&f::RESPONSE_BYTES);
        for api in &used {
            let bytes = api.counters().map(|counters| counters.response_bytes.load(Ordering::Relaxed));
            samples.add(&[api.api.name()], bytes.sum::<u64>());
        }
    }

    fn write_pressure(&self, page: &mut Page, view: &View) {
        let mut samples = page.family(&f::BACKPRESSURE);
        for (place, (_, kind)) in PRESSURES.iter().enumerate() {
            samples.add(&[kind], self.observer.sum(|shard| shard.pressure(place)));
        }
        page.single(&f::CONNECTIONS_STARVED, sum(view, |report| report.connections_starved));
        page.single(&f::PRODUCES_PARKED, sum(view, |report| report.produces_parked));
        page.single(&f::READS_STARVED, sum(view, |report| report.reads_starved));
        let figures: [(&'static Family, Bytes); 2] =
            [(&f::POOL_USED, |pool| pool.bytes_in_use), (&f::POOL_LIMIT, |pool| pool.bytes_max)];
        for (family, bytes) in figures {
            let mut samples = page.family(family);
            for (shard, report) in view.shards.iter().enumerate() {
                for pool in report.iter().flat_map(|report| &report.pools) {
                    samples.add(&[&shard.to_string(), pool.name], bytes(pool));
                }
            }
        }
        page.single(&f::CACHE, sum(view, |report| report.cache_bytes));
    }

    fn write_disk(&self, page: &mut Page, view: &View) {
        let shards = || self.observer.shards().iter();
        let found = add_up(shards().map(|shard| &shard.commit_took), &LATENCY_NANOS, Unit::Nanoseconds);
        page.family(&f::WAL_COMMIT_DURATION).add_distribution(&[], &found);
        let found = add_up(shards().map(|shard| &shard.group_bytes), &BYTES, Unit::One);
        page.family(&f::WAL_GROUP_BYTES).add_distribution(&[], &found);
        let found = add_up(shards().map(|shard| &shard.group_batches), &COUNTS, Unit::One);
        page.family(&f::WAL_GROUP_BATCHES).add_distribution(&[], &found);
        page.single(&f::WAL_LIVE, view.reports().map(|report| report.wal_live_bytes).sum::<u64>());
        page.single(&f::WAL_LIVE_LIMIT, view.reports().map(|report| report.wal_live_bytes_max).sum::<u64>());
        let mut samples = page.family(&f::DISK_DURATION);
        for operation in DiskOperation::ALL {
            let histograms = shards().map(|shard| &shard.disk[operation as usize].took);
            let found = add_up(histograms, &LATENCY_NANOS, Unit::Nanoseconds);
            samples.add_distribution(&[operation.name()], &found);
        }
        let mut samples = page.family(&f::DISK_BYTES);
        for operation in DiskOperation::ALL {
            let bytes = |shard: &ShardCounters| shard.disk[operation as usize].bytes.load(Ordering::Relaxed);
            samples.add(&[operation.name()], self.observer.sum(bytes));
        }
        let mut samples = page.family(&f::DISK_FAILURES);
        for operation in DiskOperation::ALL {
            let failed =
                |shard: &ShardCounters| shard.disk[operation as usize].failed.load(Ordering::Relaxed);
            samples.add(&[operation.name()], self.observer.sum(failed));
        }
        page.single(&f::SEGMENT_JOBS, sum(view, |report| report.keep_jobs));
    }
}

/// One figure of a pool.
type Bytes = fn(&PoolReport) -> usize;

fn optional(mut samples: Samples<'_>, figure: Option<f64>) {
    if let Some(figure) = figure {
        samples.add(&[], figure);
    }
}

fn sum(view: &View, of: impl Fn(&ShardReport) -> usize) -> usize {
    view.reports().map(of).sum()
}

/// The requests of one API, over all shards.
struct Api<'o> {
    api: ApiKey,
    observer: &'o Observer,
}

impl Api<'_> {
    fn counters(&self) -> impl Iterator<Item = &crate::observer::ApiCounters> {
        self.observer.shards().iter().filter_map(|shard| shard.api(self.api.code()))
    }

    fn by_error(&self) -> Vec<(ErrorCode, u64)> {
        let good = self.counters().map(|counters| counters.good.load(Ordering::Relaxed)).sum::<u64>();
        let failed = ErrorCode::ALL.iter().enumerate().map(|(place, code)| {
            let count = self.counters().map(|counters| counters.failed(place)).sum::<u64>();
            (*code, if *code == ErrorCode::None { good } else { count })
        });
        failed.filter(|(_, count)| *count > 0).collect()
    }

    fn answered(&self) -> u64 {
        self.by_error().iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests;
