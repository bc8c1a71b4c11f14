//! `sweep`: one workload at rates that grow, until the broker does not keep up.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, Measure, ReportArgs, SweepArgs};
use crate::failure::Failure;
use crate::report;
use crate::result::{RunResult, Sweep};
use crate::run;

/// The share of a rate that has to be answered.
const KEPT_UP: f64 = 0.95;

/// The stages whose latencies are told, the first that there is.
const STAGES: [&str; 3] = ["end_to_end", "produce_ack", "call"];

/// What one rate brought.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    rate: f64,
    answered: f64,
    /// `None` of too few samples.
    p99_micros: Option<f64>,
}

impl Step {
    /// Why it ends here.
    fn knee(self, knee_ms: f64) -> Option<String> {
        if self.answered < self.rate * KEPT_UP {
            return Some(format!("{:.0} records/s of {:.0} were answered", self.answered, self.rate));
        }
        let p99 = self.p99_micros.filter(|p99| *p99 > knee_ms * 1e3)?;
        Some(format!("p99 is {:.1} ms", p99 / 1e3))
    }
}

pub(crate) fn run(args: &SweepArgs) -> Result<ExitCode, Failure> {
    let words = std::iter::once("highwater-bench").chain(args.measure.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).map_err(|error| Failure(error.to_string()))?;
    let Command::Measure(mut what) = cli.command else { return Err(not_with_a_rate()) };
    if args.factor.is_nan() || args.factor <= 1.0 || args.from.is_nan() || args.from <= 0.0 {
        return Err(Failure("rates grow: --from is above 0 and --factor above 1".into()));
    }
    fs::create_dir_all(&args.out)?;
    let label = what.target().label.clone().unwrap_or_else(|| what.target().bootstrap.clone());
    println!(
        "{:>12}{:>12}{:>11}{:>11}{:>11}{:>13}",
        "records/s", "answered", "p50 us", "p99 us", "p99.9 us", "CPU us/req"
    );
    let (mut steps, mut paths): (Vec<RunResult>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    let mut rate = args.from;
    let mut knee = None;
    while knee.is_none() && paths.len() < usize::try_from(args.steps_max).unwrap_or(usize::MAX) {
        *rate_of(&mut what)? = Some(rate);
        what.target_mut().label = Some(format!("{label} at {rate:.0}/s"));
        let result = run::measure(&what)?;
        let path = args.out.join(format!("{rate:.0}.json"));
        result.write(&path)?;
        knee = told(&result, rate).knee(args.knee_ms);
        paths.push(path);
        steps.push(result);
        rate *= args.factor;
    }
    println!("{}", knee.unwrap_or_else(|| "the knee was not reached: --steps-max".into()));
    Sweep::new(steps).write(&args.out.join("sweep.json"))?;
    report::run(&ReportArgs {
        results: paths,
        title: format!("Sweep of {label}"),
        out: args.out.join("report.html"),
    })
}

fn not_with_a_rate() -> Failure {
    Failure("behind -- stands what has a rate: produce, e2e, mixed, commits or heartbeats".into())
}

fn rate_of(what: &mut Measure) -> Result<&mut Option<f64>, Failure> {
    match what {
        Measure::Produce(args) | Measure::E2e(args) => Ok(&mut args.rate),
        Measure::Mixed(args) => Ok(&mut args.run.rate),
        Measure::Commits(args) | Measure::Heartbeats(args) => Ok(&mut args.rate),
        Measure::Fetch(_) | Measure::Conns(_) | Measure::Partitions(_) | Measure::Idle(_) => {
            Err(not_with_a_rate())
        }
    }
}

/// Prints a line.
fn told(result: &RunResult, rate: f64) -> Step {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let in_time = result.in_time as f64;
    let answered = in_time * f64::from(result.workload.batch_records) / result.workload.seconds;
    let stage = STAGES.iter().find_map(|name| result.stages.get(*name));
    let at = |name: &str| stage?.micros.get(name).copied();
    let shown = |name: &str| at(name).map_or("-".to_owned(), |micros| format!("{micros:.1}"));
    let used = result.broker.map_or("-".to_owned(), |used| format!("{:.1}", used.cpu_micros_per_request));
    println!(
        "{rate:>12.0}{answered:>12.0}{:>11}{:>11}{:>11}{used:>13}",
        shown("p50"),
        shown("p99"),
        shown("p99.9")
    );
    Step { rate, answered, p99_micros: at("p99") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knee_is_where_a_broker_falls_behind_or_slows() {
        let step = |answered, p99_micros| Step { rate: 1_000.0, answered, p99_micros };
        assert_eq!(step(960.0, Some(99_000.0)).knee(100.0), None);
        assert_eq!(step(1_000.0, None).knee(100.0), None);
        assert!(step(940.0, Some(1.0)).knee(100.0).is_some());
        assert!(step(1_000.0, Some(101_000.0)).knee(100.0).is_some());
    }
}
