//! `sweep`: power cuts at every disk operation of a small workload.

use clap::Args;
use highwater_sim::run::catch_panics;
use highwater_sim::sweep::{SweepOptions, SweepReport, sweep};
use serde_json::json;

use super::output::{Case, Format, Output};
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
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Sweep {
    pub(super) fn run(self) -> Result<Exit, Usage> {
        let Self { workload, subsets, every, offset, recuts, format } = self;
        catch_panics(|_, what| println!("panic: {what}"));
        let mut output = Output::new(format, "sweep");
        let began = cpu_time().unwrap_or_default();
        let (report, broken) = match sweep(&SweepOptions { workload, subsets, every, offset, recuts }) {
            Ok(report) => (report, None),
            Err(story) => (SweepReport::default(), Some(("the workload itself".to_owned(), story))),
        };
        let millis = cpu_time().unwrap_or_default().saturating_sub(began);
        let failures = report.failures.iter().map(|(name, story)| (name.to_string(), story.clone()));
        let failures: Vec<(String, String)> = failures.chain(broken).collect();
        for (name, story) in &failures {
            output.case(failed(name, story));
        }
        output.case(summary(workload, &report, (millis, failures.len())));
        output.end();
        Ok(if failures.is_empty() { Exit::Clean } else { Exit::Failed })
    }
}

fn failed(name: &str, story: &str) -> Case {
    Case {
        name: name.to_owned(),
        failure: Some(("cut".to_owned(), story.to_owned())),
        seconds: 0.0,
        text: format!("FAILED  {name}: {story}"),
        json: json!({ "cut": name, "outcome": "failed", "story": story }),
    }
}

fn summary(workload: u64, report: &SweepReport, (millis, failed): (u64, usize)) -> Case {
    let SweepReport { operations, cuts, recuts, recoveries, .. } = report;
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = millis as f64 / 1_000.0;
    Case {
        name: format!("workload {workload}"),
        failure: None,
        seconds,
        text: format!("{report}\n  {millis} CPU-ms"),
        json: json!({
            "workload": workload,
            "outcome": if failed == 0 { "clean" } else { "failed" },
            "operations": operations,
            "cuts": cuts,
            "recuts": recuts,
            "recoveries": recoveries,
            "failed": failed,
            "cpu_seconds": seconds,
        }),
    }
}
