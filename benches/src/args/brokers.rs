//! The options of commands that start their brokers themselves, and of those that follow them.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, ValueEnum};

use super::Durability;

#[derive(Debug, Clone, Args)]
pub(crate) struct AbArgs {
    /// NAME=DURABILITY=COMMAND of the first broker. The command is run by a shell; `{port}`, `{dir}` and `{http}` (HOST:PORT of
    /// its metrics) in it are replaced.
    #[arg(long)]
    pub(crate) a: TargetSpec,
    /// The same of the second.
    #[arg(long)]
    pub(crate) b: TargetSpec,
    /// How often both are measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) pairs: u32,
    /// Seconds of warm-up of the first pair, for brokers that compile what they run.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) first_warmup_seconds: f64,
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
    /// Seconds of warm-up in the first round, for brokers that compile what they run.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) first_warmup_seconds: f64,
    /// The long ones too: 10,000 connections, 100,000 partitions, 12 GiB to start with. They are measured once.
    #[arg(long)]
    pub(crate) long: bool,
    /// Only workloads whose names contain this, long or not.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// What the page cache holds before each workload but the long ones.
    #[arg(long, value_enum, default_value_t = PageCache::Full)]
    pub(crate) page_cache: PageCache,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-suite")]
    pub(crate) dir: PathBuf,
    /// Where the results go.
    #[arg(long, default_value = "target/bench-results")]
    pub(crate) out: PathBuf,
    /// No word of how far it is.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageCache {
    /// As much as there is memory, as on a machine that has run for a while.
    Full,
    /// What happens to be there.
    AsIs,
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

/// A broker to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetSpec {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) command: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RestartArgs {
    /// NAME=DURABILITY=COMMAND of a broker. The command is run by a shell, `{port}`, `{dir}` and `{http}` in it are replaced.
    #[arg(long = "target", required = true)]
    pub(crate) targets: Vec<TargetSpec>,
    /// Of one topic. A batch is written to each of them, and read back.
    #[arg(long, default_value_t = 6_000)]
    pub(crate) partitions: i32,
    /// 2^30 bytes of batches that are written first. With 0 the broker begins each time with an empty directory.
    #[arg(long, default_value_t = 12.0)]
    pub(crate) gib: f64,
    /// With data, only the first one counts.
    #[arg(long, default_value_t = 3)]
    pub(crate) times: u32,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-restart")]
    pub(crate) dir: PathBuf,
    /// Where the results go, as JSON.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FailoverArgs {
    /// NAME=DURABILITY=COMMAND of each broker of one cluster. The command is run by a shell; `{port}`, `{dir}` and `{http}` in it are
    /// replaced, and `{port1}`, `{port2}` .. by the ports of the first and the second.
    #[arg(long = "target", required = true)]
    pub(crate) targets: Vec<TargetSpec>,
    #[arg(long, default_value_t = 5)]
    pub(crate) times: u32,
    /// What has to have the records before they are acknowledged: -1 all in sync, 1 the leader.
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    pub(crate) acks: i16,
    /// Where the brokers keep their data; emptied before.
    #[arg(long, default_value = "target/bench-failover")]
    pub(crate) dir: PathBuf,
    /// Where the result goes, as JSON.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SweepArgs {
    /// Records per second of the first step.
    #[arg(long, default_value_t = 1_000.0)]
    pub(crate) from: f64,
    /// Each rate is so many times the one before.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) factor: f64,
    /// Milliseconds of p99 beyond which it ends. It ends too when less than 95 % of a rate is answered.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) knee_ms: f64,
    #[arg(long, default_value_t = 30)]
    pub(crate) steps_max: u32,
    /// Where the results go: one of each step, all in sweep.json, and report.html.
    #[arg(long, default_value = "target/bench-sweep")]
    pub(crate) out: PathBuf,
    /// What is measured, as in `highwater-bench produce ..` or `e2e`, without --rate and --out, behind `--`.
    #[arg(last = true, required = true)]
    pub(crate) measure: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GoalsArgs {
    /// The directory with the results of `suite`.
    #[arg(default_value = "target/bench-results")]
    pub(crate) results: PathBuf,
    /// The name of the broker that has the goals.
    #[arg(long, default_value = "highwater")]
    pub(crate) ours: String,
    /// Of the one that it is compared with.
    #[arg(long, default_value = "kafka")]
    pub(crate) other: String,
    /// Of the floor that has all on disk before it answers, and of the one that has not.
    #[arg(long, default_value = "floor-disk")]
    pub(crate) durable_floor: String,
    #[arg(long, default_value = "floor")]
    pub(crate) floor: String,
}

/// What is meant when nothing is said.
impl Default for GoalsArgs {
    fn default() -> Self {
        #[derive(Debug, Parser)]
        struct Alone {
            #[command(flatten)]
            goals: GoalsArgs,
        }
        Alone::parse_from(["highwater-bench"]).goals
    }
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
