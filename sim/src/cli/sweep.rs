//! `sweep`: power cuts at every disk operation of a small workload.

use clap::Args;
use highwater_sim::run::catch_panics;
use highwater_sim::sweep::{SweepOptions, sweep};

use super::run::cpu_time;
use super::{Exit, Usage};

/// Cut the power at every disk operation of a small workload, and of each recovery from that.
#[derive(Debug, Clone, Args)]
pub(super) struct Sweep {
    /// Which workload.
    #[arg(long, default_value_t = 0)]
    workload: u64,
    /// Fates of what was not durable that are tried at each cut, at most.
    #[arg(long, default_value_t = 12)]
    subsets: u64,
    /// Only one cut in so many.
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// Cuts that are made in each recovery, at most.
    #[arg(long, default_value_t = 8)]
    recuts: u64,
}

impl Sweep {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let Self { workload, subsets, every, offset, recuts } = self;
        catch_panics(|_, what| println!("panic: {what}"));
        let began = cpu_time();
        let report = match sweep(&SweepOptions { workload, subsets, every, offset, recuts }) {
            Ok(report) => report,
            Err(story) => {
                println!("the workload itself FAILED  {story}");
                return Ok(Exit::Failed);
            }
        };
        println!("{report}");
        if let (Some(began), Some(ended)) = (began, cpu_time()) {
            println!("  {} CPU-ms", ended - began);
        }
        Ok(if report.failures.is_empty() { Exit::Clean } else { Exit::Failed })
    }
}
