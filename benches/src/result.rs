//! What is kept of a run: a file in JSON that can be read again, histograms in HdrHistogram's own portable form. Knows no broker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::args::{CodecArg, Durability};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::measure::{Latencies, Second, Stage, empty};

/// The version of the file. Older ones that differ in meaning are refused.
const SCHEMA: u32 = 1;

/// The quantiles that are written out, beside the histogram that has them all.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// How many samples have to lie beyond a quantile for it to say something.
const BEYOND_MIN: f64 = 10.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunResult {
    pub(crate) schema: u32,
    pub(crate) kind: String,
    pub(crate) label: String,
    /// Seconds since 1970.
    pub(crate) begun: u64,
    pub(crate) durability: Durability,
    pub(crate) workload: Workload,
    pub(crate) environment: Environment,
    pub(crate) stages: BTreeMap<String, StageResult>,
    /// How late requests were sent by the load itself.
    pub(crate) load_late: StageResult,
    /// Requests that were answered in the measured time, whenever they were due: the others of an open loop were answered after it.
    #[serde(default)]
    pub(crate) in_time: u64,
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    pub(crate) unanswered: u64,
    pub(crate) broker: Option<BrokerUse>,
    /// What is no latency: by its name, with its unit.
    #[serde(default)]
    pub(crate) figures: BTreeMap<String, f64>,
    /// Which of the standard workloads this was, and in which round.
    #[serde(default)]
    pub(crate) standard: Option<String>,
    #[serde(default)]
    pub(crate) round: Option<u32>,
}

/// What was asked of the broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Records per second; a closed loop if there are none.
    pub(crate) rate: Option<f64>,
    pub(crate) record_bytes: usize,
    pub(crate) batch_records: u32,
    pub(crate) batch_bytes: usize,
    pub(crate) groups: Option<usize>,
    pub(crate) codec: CodecArg,
    pub(crate) acks: Option<i16>,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) skew: f64,
    pub(crate) warmup_seconds: f64,
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) extent: Extent,
}

/// How much there was around what was asked, where a command has such options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// MiB that were written before.
    pub(crate) loaded_mib: Option<u64>,
    pub(crate) topics: Option<usize>,
    pub(crate) consumers: Option<usize>,
    pub(crate) idle_connections: Option<usize>,
    /// Whether what was read had left the page cache.
    pub(crate) cold: Option<bool>,
}

/// What the broker's processes used while it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct BrokerUse {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    #[serde(default)]
    pub(crate) disk_read_bytes: Option<u64>,
    /// Of the bytes of batches that were acknowledged or fetched; a GB is 10^9 bytes.
    pub(crate) cpu_seconds_per_gb: Option<f64>,
    pub(crate) cpu_seconds_per_million_records: Option<f64>,
    pub(crate) cpu_micros_per_request: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageResult {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// In microseconds. Those with too few samples are left out.
    pub(crate) micros: BTreeMap<String, f64>,
    pub(crate) max_micros: f64,
    /// V2, deflated, in base64; nanoseconds.
    pub(crate) hdr: String,
    pub(crate) seconds: Vec<SecondResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecondResult {
    pub(crate) bytes: u64,
    pub(crate) hdr: String,
}

/// Whether so many samples say something about a quantile.
pub(crate) fn is_settled(count: u64, quantile: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count * (1.0 - quantile) >= BEYOND_MIN
}

pub(crate) fn micros(nanos: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an hour has fewer nanoseconds than 2^52")]
    let nanos = nanos as f64;
    nanos / 1_000.0
}

fn written(latencies: &Latencies) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(latencies, &mut bytes).expect("a vector takes all");
    BASE64.encode(bytes)
}

/// The histogram in a file; one that cannot be read is a broken file.
pub(crate) fn read_hdr(text: &str) -> Result<Latencies, Failure> {
    let broken = |what: &dyn std::fmt::Display| Failure(format!("a histogram cannot be read: {what}"));
    let bytes = BASE64.decode(text).map_err(|error| broken(&error))?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| broken(&format!("{error:?}")))
}

impl StageResult {
    pub(crate) fn of(stage: &Stage) -> Self {
        let second = |second: &Second| SecondResult { bytes: second.bytes, hdr: written(&second.latencies) };
        let seconds = stage.seconds.iter().map(second).collect();
        Self { records: stage.records, bytes: stage.bytes, seconds, ..Self::of_latencies(&stage.whole) }
    }

    pub(crate) fn of_latencies(whole: &Latencies) -> Self {
        let settled = QUANTILES.iter().filter(|(_, quantile)| is_settled(whole.len(), *quantile));
        let told =
            |(name, quantile): &(&str, f64)| ((*name).to_owned(), micros(whole.value_at_quantile(*quantile)));
        Self {
            requests: whole.len(),
            records: 0,
            bytes: 0,
            micros: settled.map(told).collect(),
            max_micros: micros(whole.max()),
            hdr: written(whole),
            seconds: Vec::new(),
        }
    }

    pub(crate) fn latencies(&self) -> Result<Latencies, Failure> {
        let mut whole = empty();
        whole.add(read_hdr(&self.hdr)?).map_err(|error| Failure(format!("a histogram: {error:?}")))?;
        Ok(whole)
    }
}

/// Runs of one workload at rates that grow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sweep {
    schema: u32,
    sweep: Vec<RunResult>,
}

impl Sweep {
    pub(crate) fn new(sweep: Vec<RunResult>) -> Self {
        Self { schema: SCHEMA, sweep }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        write(self, path)
    }
}

fn write(what: &impl Serialize, path: &Path) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(what).expect("it has text keys only");
    fs::write(path, text + "\n").map_err(|error| Failure(format!("{}: {error}", path.display())))
}

impl RunResult {
    pub(crate) const SCHEMA: u32 = SCHEMA;

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        write(self, path)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let all = Self::read_all(path)?;
        let one: Result<[Self; 1], _> = all.try_into();
        one.map(|[one]| one).map_err(|_| Failure(format!("{}: a sweep, not one run", path.display())))
    }

    /// One run, or those of a sweep.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>, Failure> {
        let failed = |what: &dyn std::fmt::Display| Failure(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        let results = match serde_json::from_str::<Sweep>(&text) {
            Ok(Sweep { sweep, .. }) => sweep,
            Err(_) => vec![serde_json::from_str(&text).map_err(|error| failed(&error))?],
        };
        match results.iter().find(|result| result.schema != SCHEMA) {
            None => Ok(results),
            Some(other) => {
                Err(failed(&format!("version {} of the file, this program knows {SCHEMA}", other.schema)))
            }
        }
    }
}
