//! The command line. Knows no broker.

mod brokers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use highwater_core::batch::Codec;

pub(crate) use self::brokers::{
    AbArgs, FailoverArgs, GoalsArgs, PageCache, RecoveryArgs, RestartArgs, SuiteArgs, SweepArgs, TargetSpec,
};

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
    /// A broker, started here, that is killed with kill -9 or begins empty: the time until it takes and gives records again.
    Restart(RestartArgs),
    /// Brokers, started here, of which the one that leads is killed with kill -9: the time until a write is acknowledged again. One
    /// alone is started again by this program at once; of several, each of which needs its --target, another has to take over.
    Failover(FailoverArgs),
    /// Latencies at rates that grow until the broker does not keep up.
    Sweep(SweepArgs),
    /// The table of what was to be reached, from results of `suite`.
    Goals(GoalsArgs),
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
    /// Write and read at once: producers at their rate, consumers at the end of the log or far behind it.
    Mixed(MixedArgs),
    /// Commit offsets of groups without members, one partition in each request.
    Commits(CallArgs),
    /// Heartbeats of members that have all been assigned, one member in each group.
    Heartbeats(CallArgs),
    /// Many connections that do nothing: the time to open them, the broker's memory for each and its processor time at rest.
    Conns(ConnsArgs),
    /// Many partitions: the time to make them, the broker's memory and files for each and its processor time at rest, and what
    /// writing to all of them takes against writing to one.
    Partitions(PartitionsArgs),
    /// Nothing: the processor time, memory and files of a broker at rest, and the size of its program.
    Idle(TargetArgs),
}

impl Measure {
    pub(crate) fn target(&self) -> &TargetArgs {
        match self {
            Self::Produce(args) | Self::E2e(args) => &args.target,
            Self::Fetch(args) => &args.target,
            Self::Mixed(args) => &args.run.target,
            Self::Commits(args) | Self::Heartbeats(args) => &args.target,
            Self::Conns(args) => &args.run.target,
            Self::Partitions(args) => &args.run.target,
            Self::Idle(target) => target,
        }
    }

    pub(crate) fn target_mut(&mut self) -> &mut TargetArgs {
        match self {
            Self::Produce(args) | Self::E2e(args) => &mut args.target,
            Self::Fetch(args) => &mut args.target,
            Self::Mixed(args) => &mut args.run.target,
            Self::Commits(args) | Self::Heartbeats(args) => &mut args.target,
            Self::Conns(args) => &mut args.run.target,
            Self::Partitions(args) => &mut args.run.target,
            Self::Idle(target) => target,
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
    /// Read from the disk: the older half of what was written, whose files are driven from the page cache five times a second. A
    /// round over that half has to take longer than a fifth of a second.
    #[arg(long)]
    pub(crate) cold: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MixedArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Connections that read, each all partitions of one broker.
    #[arg(long, default_value_t = 1)]
    pub(crate) consumers: usize,
    /// MiB that are written first and then read again and again. Without, consumers read what is new, and a fetch lasts until
    /// there is something.
    #[arg(long, default_value_t = 0)]
    pub(crate) backlog_mib: u64,
    /// Bytes of one answer at most.
    #[arg(long, default_value_t = 1024 * 1024)]
    pub(crate) fetch_bytes: i32,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConnsArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Connections that are opened one after the other, have asked once which requests the broker knows, and are kept.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle_connections: usize,
    /// Write as `produce` does while they are there.
    #[arg(long)]
    pub(crate) with_load: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PartitionsArgs {
    /// Here --partitions is the number of all topics together.
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Topics that the partitions are in.
    #[arg(long, default_value_t = 100)]
    pub(crate) topics: usize,
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
    /// Where the broker keeps its data, if it is on this machine and does not tell.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// HOST:PORT where the broker shows its metrics, which name its I/O driver.
    #[arg(long)]
    pub(crate) http: Option<String>,
    /// How the broker reads and writes, if it does not tell.
    #[arg(long)]
    pub(crate) io_driver: Option<String>,
    /// No word of how far it is.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// What the broker was started with.
    #[arg(skip)]
    pub(crate) command: Option<String>,
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

/// How the members of a group find their partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// They agree among themselves.
    Classic,
    /// The broker assigns (KIP-848).
    Consumer,
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

/// What is meant when nothing is said.
impl Default for TargetArgs {
    fn default() -> Self {
        #[derive(Debug, Parser)]
        struct Alone {
            #[command(flatten)]
            target: TargetArgs,
        }
        Alone::parse_from(["highwater-bench"]).target
    }
}

/// Nanoseconds of seconds that a user wrote.
pub(crate) fn nanos(seconds: f64) -> u64 {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
