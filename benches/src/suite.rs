//! `suite`: the standard workloads on several brokers in turns, and a table of what came of them.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, Measure, SuiteArgs, TargetSpec};
use crate::broker::Broker;
use crate::failure::Failure;
use crate::result::{Environment, RunResult};
use crate::rounds::{self, figures, ratios, spread, values};

/// A workload that has a name, as the words of a command.
struct Standard {
    name: &'static str,
    words: &'static [&'static str],
}

const STANDARD: [Standard; 10] = [
    Standard {
        name: "large-batches",
        words: &["produce", "--acks", "1", "--batch-records", "64", "--record-bytes", "1024"],
    },
    Standard {
        name: "small-records",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "150",
            "--record-bytes",
            "100",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "8",
        ],
    },
    Standard {
        name: "unbatched",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "1",
            "--record-bytes",
            "100",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "8",
        ],
    },
    Standard {
        name: "peak",
        words: &[
            "produce",
            "--acks",
            "1",
            "--batch-records",
            "64",
            "--record-bytes",
            "1024",
            "--partitions",
            "8",
            "--connections",
            "8",
            "--depth",
            "5",
        ],
    },
    Standard {
        name: "durable-depth-1",
        words: &["produce", "--acks", "-1", "--batch-records", "1", "--record-bytes", "1024", "--depth", "1"],
    },
    Standard {
        name: "durable-16x3",
        words: &[
            "produce",
            "--acks",
            "-1",
            "--batch-records",
            "1",
            "--record-bytes",
            "1024",
            "--partitions",
            "16",
            "--connections",
            "16",
            "--depth",
            "3",
        ],
    },
    Standard {
        name: "end-to-end",
        words: &["e2e", "--rate", "1000", "--batch-records", "1", "--record-bytes", "1024"],
    },
    Standard {
        name: "commits",
        words: &["commits", "--groups", "100", "--connections", "64", "--depth", "1"],
    },
    Standard {
        name: "heartbeats-consumer",
        words: &["heartbeats", "--groups", "10000", "--connections", "16", "--protocol", "consumer"],
    },
    Standard {
        name: "heartbeats-classic",
        words: &["heartbeats", "--groups", "10000", "--connections", "16", "--protocol", "classic"],
    },
];

pub(crate) fn run(args: &SuiteArgs) -> Result<ExitCode, Failure> {
    if !STANDARD.iter().any(|standard| is_chosen(standard, args)) {
        let names: Vec<&str> = STANDARD.iter().map(|standard| standard.name).collect();
        return Err(Failure(format!("no such workload; there are {}", names.join(", "))));
    }
    fs::create_dir_all(&args.out)?;
    let start = |spec: &TargetSpec| Broker::start(spec, &args.dir);
    let brokers = args.targets.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let floors = args.floors.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let mut table = String::new();
    for standard in STANDARD.iter().filter(|standard| is_chosen(standard, args)) {
        let what = workload(standard, args)?;
        println!("{}", standard.name);
        let has_floor = matches!(what, Measure::Produce(_));
        let measured: Vec<&Broker> = brokers.iter().chain(floors.iter().filter(|_| has_floor)).collect();
        let results = rounds::measure(&measured, &what, args.rounds, |round, result| {
            println!("  round {} of {}: {}", round + 1, args.rounds, result.label);
            let name = format!("{}-{}-{}.json", standard.name, result.label, round + 1);
            result.write(&args.out.join(name))
        })?;
        let lines = lines(standard.name, &measured, &results);
        print!("{lines}");
        table += &lines;
    }
    let environment = Environment::of_this_machine();
    let head = format!(
        "{}, {} cores, Linux {}; {} rounds of {} s\n",
        environment.cpu, environment.cores, environment.kernel, args.rounds, args.seconds
    );
    fs::write(args.out.join("summary.txt"), head + &table)?;
    Ok(ExitCode::SUCCESS)
}

fn is_chosen(standard: &Standard, args: &SuiteArgs) -> bool {
    args.only.as_ref().is_none_or(|only| standard.name.contains(only.as_str()))
}

fn workload(standard: &Standard, args: &SuiteArgs) -> Result<Measure, Failure> {
    let seconds = args.seconds.to_string();
    let own = ["--topic", standard.name, "--seconds", &seconds];
    let words = std::iter::once("highwater-bench").chain(standard.words.iter().copied()).chain(own);
    match Cli::try_parse_from(words).map_err(|error| Failure(error.to_string()))?.command {
        Command::Measure(what) => Ok(what),
        Command::Floor(_)
        | Command::Compare(_)
        | Command::Ab(_)
        | Command::Export(_)
        | Command::Report(_)
        | Command::Rebalance(_)
        | Command::Recovery(_)
        | Command::Suite(_) => {
            unreachable!("standard workloads measure")
        }
    }
}

/// A line for each figure: each broker's median, and its ratio to the first.
fn lines(name: &str, brokers: &[&Broker], results: &[Vec<RunResult>]) -> String {
    let mut text = String::new();
    let first = &results[0];
    for figure in first.first().map(figures).unwrap_or_default() {
        let _ = write!(text, "{name:<18}{:<26}", figure.name);
        for (nth, (broker, results)) in brokers.iter().zip(results).enumerate() {
            let median = spread(values(results, &figure.name)).map_or(f64::NAN, |spread| spread.median);
            let _ = write!(text, "  {} {median:.2}", broker.spec.name);
            if let Some(ratio) = ratios(first, results, &figure.name).filter(|_| nth > 0) {
                let _ = write!(text, " (x{:.2}, {:.2} to {:.2})", ratio.median, ratio.low, ratio.high);
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn standard_workloads_can_be_read() {
        let args = SuiteArgs {
            targets: Vec::new(),
            floors: Vec::new(),
            rounds: 1,
            seconds: 2.5,
            only: None,
            dir: PathBuf::new(),
            out: PathBuf::new(),
        };
        for standard in &STANDARD {
            let what = workload(standard, &args).unwrap();
            assert!((what.target().seconds - 2.5).abs() < f64::EPSILON, "{}", standard.name);
        }
    }
}
