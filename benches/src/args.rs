//! The command line. Knows no broker.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use highwater_core::batch::Codec;

/// Load on any Kafka broker, with latencies from the time at which a request was meant to be sent.
#[derive(Debug, Parser)]
#[command(name = "highwater-bench", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Measure(Measure),
    /// A broker that receives, checks, appends and answers, and does nothing else: what this machine allows.
    Floor(FloorArgs),
    /// Two results beside each other: exits with 1 past the threshold.
    Compare(CompareArgs),
    /// Results as one page, overlaid: percentiles, latency and throughput over time.
    Report(ReportArgs),
    /// A histogram of a result as text that HdrHistogram's plotters read (.hgrm), in microseconds.
    Export(ExportArgs),
    /// Two brokers, started here, measured in turns with one workload: the median of the ratios of the pairs.
    Ab(AbArgs),
    /// Rebalances of one group: the time from the coming or going of a member until all have their partitions.
    Rebalance(RebalanceArgs),
    /// A broker, started here, that is killed with many groups: the time until all their offsets can be read again.
    Recovery(RecoveryArgs),
    /// The standard workloads, on our broker, the floor and whom else is named, in turns.
    Suite(SuiteArgs),
}

/// The commands that measure one broker that runs.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Measure {
    /// Write batches; latency from the intended send time to the acknowledgement.
    Produce(RunArgs),
    /// Read what is there, again and again, or what the page cache has not if there is more than memory.
    Fetch(FetchArgs),
    /// Write and read; latency from the intended send time to the arrival at a consumer of the same partition.
    E2e(RunArgs),
    /// Commit offsets of groups without members, one partition in each request.
    Commits(CallArgs),
    /// Heartbeats of members that have all been assigned, one member in each group.
    Heartbeats(CallArgs),
}

impl Measure {
    pub(crate) fn target(&self) -> &TargetArgs {
        match self {
            Self::Produce(args) | Self::E2e(args) => &args.target,
            Self::Fetch(args) => &args.target,
            Self::Commits(args) | Self::Heartbeats(args) => &args.target,
        }
    }

    pub(crate) fn target_mut(&mut self) -> &mut TargetArgs {
        match self {
            Self::Produce(args) | Self::E2e(args) => &mut args.target,
            Self::Fetch(args) => &mut args.target,
            Self::Commits(args) | Self::Heartbeats(args) => &mut args.target,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Records per second of all connections together, sent on time whether or not the broker keeps up. Without: a closed loop,
    /// whose latencies say little about a broker that is not overloaded.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// What has to have the records before they are acknowledged: -1 all in sync, 1 the leader.
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    pub(crate) acks: i16,
    /// How unevenly partitions are chosen: 0 is all alike, 1 is the second half as often as the first.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) skew: f64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// MiB that are written first, into all partitions together.
    #[arg(long, default_value_t = 256)]
    pub(crate) load_mib: u64,
    /// Bytes of one answer at most.
    #[arg(long, default_value_t = 1024 * 1024)]
    pub(crate) fetch_bytes: i32,
}

/// Where, for how long, and what is known of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// HOST:PORT of a broker, several with commas between.
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: String,
    /// Created if it is not there.
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions: i32,
    #[arg(long, default_value_t = 1)]
    pub(crate) replication_factor: i16,
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 5)]
    pub(crate) depth: usize,
    /// Threads of the load.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Seconds before that are not.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) warmup_seconds: f64,
    /// Processes of the broker on this machine, for their processor time and memory.
    #[arg(long = "pid", value_delimiter = ',')]
    pub(crate) pids: Vec<u32>,
    /// When the broker acknowledges: nobody can see that from outside, so say it.
    #[arg(long, value_enum, default_value_t = Durability::Unknown)]
    pub(crate) durability: Durability,
    /// What the result is called in a report.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Where the result goes, as JSON.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ShapeArgs {
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_records: u32,
    #[arg(long, value_enum, default_value_t = CodecArg::None)]
    pub(crate) codec: CodecArg,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FloorArgs {
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) listen: String,
    /// The file that is written, again and again from its start.
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// Bytes after which it begins again.
    #[arg(long, default_value_t = 1024)]
    pub(crate) file_mib: u64,
    /// Every batch is on the disk before it is acknowledged.
    #[arg(long)]
    pub(crate) durable: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArgs {
    pub(crate) before: PathBuf,
    pub(crate) after: PathBuf,
    /// Percent by which a percentile may be worse.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) threshold: f64,
    /// Compare although durability or workload differ.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    #[arg(required = true)]
    pub(crate) results: Vec<PathBuf>,
    #[arg(long, default_value = "Latency")]
    pub(crate) title: String,
    /// The page, HTML with everything in it.
    #[arg(long, default_value = "report.html")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    pub(crate) result: PathBuf,
    /// Which of its histograms.
    #[arg(long, default_value = "produce_ack")]
    pub(crate) stage: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct AbArgs {
    /// NAME=DURABILITY=COMMAND of the first broker. The command is run by a shell, `{port}` and `{dir}` in it are replaced.
    #[arg(long)]
    pub(crate) a: TargetSpec,
    /// The same of the second.
    #[arg(long)]
    pub(crate) b: TargetSpec,
    /// How often both are measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) pairs: u32,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-ab")]
    pub(crate) dir: PathBuf,
    /// What is measured, as in `highwater-bench produce ..`, behind `--`.
    #[arg(last = true, required = true)]
    pub(crate) measure: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SuiteArgs {
    /// NAME=DURABILITY=COMMAND of a broker, the first one being what the others are compared with. The command is run by a
    /// shell, `{port}` and `{dir}` in it are replaced.
    #[arg(long = "target", required = true)]
    pub(crate) targets: Vec<TargetSpec>,
    /// The same of a floor: it is measured where only batches are written.
    #[arg(long = "floor")]
    pub(crate) floors: Vec<TargetSpec>,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,
    /// Seconds that each measurement takes after its warm-up.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Only workloads whose names contain this.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-suite")]
    pub(crate) dir: PathBuf,
    /// Where the results go.
    #[arg(long, default_value = "target/bench-results")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[arg(long, default_value_t = 100)]
    pub(crate) groups: usize,
    /// The protocol of the members.
    #[arg(long, value_enum, default_value_t = Protocol::Consumer)]
    pub(crate) protocol: Protocol,
    /// Requests per second of all connections together, sent on time whether or not the broker keeps up. Without: a closed loop.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RebalanceArgs {
    /// HOST:PORT of brokers, measured in turns.
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: Vec<String>,
    #[arg(long, value_enum, default_value_t = Protocol::Consumer)]
    pub(crate) protocol: Protocol,
    #[arg(long, default_value_t = 100)]
    pub(crate) members: usize,
    #[arg(long, default_value_t = 1000)]
    pub(crate) partitions: i32,
    /// How often a member comes and goes.
    #[arg(long, default_value_t = 5)]
    pub(crate) times: usize,
    /// Milliseconds between two heartbeats of a member.
    #[arg(long, default_value_t = 50)]
    pub(crate) heartbeat_ms: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RecoveryArgs {
    /// NAME=DURABILITY=COMMAND of a broker. The command is run by a shell, `{port}` and `{dir}` in it are replaced.
    #[arg(long = "target", required = true)]
    pub(crate) targets: Vec<TargetSpec>,
    #[arg(long, default_value_t = 10_000)]
    pub(crate) groups: usize,
    /// Offsets that are committed before the kill.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) commits: usize,
    #[arg(long, default_value_t = 3)]
    pub(crate) times: usize,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-recovery")]
    pub(crate) dir: PathBuf,
}

/// How the members of a group find their partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// They agree among themselves.
    Classic,
    /// The broker assigns (KIP-848).
    Consumer,
}

/// A broker to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetSpec {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) command: String,
}

impl FromStr for TargetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '=');
        let (Some(name), Some(durability), Some(command)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("NAME=DURABILITY=COMMAND".into());
        };
        Ok(Self {
            name: name.into(),
            durability: Durability::from_str(durability, false)?,
            command: command.into(),
        })
    }
}

/// What stands behind an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// The records are on the disk.
    Disk,
    /// They are in the page cache.
    PageCache,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CodecArg {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CodecArg> for Codec {
    fn from(codec: CodecArg) -> Self {
        match codec {
            CodecArg::None => Self::None,
            CodecArg::Gzip => Self::Gzip,
            CodecArg::Snappy => Self::Snappy,
            CodecArg::Lz4 => Self::Lz4,
            CodecArg::Zstd => Self::Zstd,
        }
    }
}

/// Nanoseconds of seconds that a user wrote.
pub(crate) fn nanos(seconds: f64) -> u64 {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_name_a_durability_and_the_rest() {
        let spec: TargetSpec = "kafka=page-cache=run --set a=b".parse().unwrap();
        assert_eq!((spec.name.as_str(), spec.durability), ("kafka", Durability::PageCache));
        assert_eq!(spec.command, "run --set a=b");
        assert!("kafka=somewhere=run".parse::<TargetSpec>().is_err());
    }
}
