//! `suite`: the standard workloads on several brokers in turns, and a table of what came of them.

mod standard;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use self::standard::{Length, STANDARD, Standard, Who};
use crate::args::{Cli, Command, GoalsArgs, Measure, PageCache, RestartArgs, SuiteArgs, TargetSpec};
use crate::broker::Broker;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::goals;
use crate::lifecycle::restart;
use crate::page_cache::Filler;
use crate::report::{self, Section};
use crate::result::RunResult;
use crate::rounds::{self, Rounds, figures, ratios, spread, values};
use crate::setup::Setup;

pub(crate) fn run(args: &SuiteArgs) -> Result<ExitCode, Failure> {
    let chosen: Vec<&Standard> = STANDARD.iter().filter(|standard| is_chosen(standard, args)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = STANDARD.iter().map(|standard| standard.name).collect();
        return Err(Failure(format!("no such workload; there are {}", names.join(", "))));
    }
    fs::create_dir_all(&args.out)?;
    let start = |spec: &TargetSpec| Broker::start(spec, &args.dir);
    let brokers = args.targets.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let floors = args.floors.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let machine = Environment::of_this_machine().machine();
    let filler = match args.page_cache {
        PageCache::Full => Some(Filler::of_this_machine(&args.dir)?),
        PageCache::AsIs => None,
    };
    let cache = if filler.is_some() { "full" } else { "as it is" };
    let (rounds, seconds) = (args.rounds, args.seconds);
    let mut table = format!("{machine}; {rounds} rounds of {seconds} s; page cache {cache} before\n");
    let mut sections = Vec::new();
    for standard in chosen {
        println!("{}", standard.name);
        let measured: Vec<&Broker> = match standard.who {
            Who::All => brokers.iter().chain(&floors).collect(),
            Who::Targets => brokers.iter().collect(),
            Who::First => brokers.iter().take(1).collect(),
        };
        if let Some(filler) = filler.as_ref().filter(|_| standard.length == Length::Short) {
            filler.fill()?;
        }
        let results = measure(standard, &measured, args)?;
        // What all workloads wrote would fill a disk; floors keep nothing.
        let targets = measured.iter().take(brokers.len()).filter(|_| !own_brokers(standard));
        targets
            .into_iter()
            .try_for_each(|broker| Setup::connect(&broker.bootstrap())?.delete(standard.name))?;
        let lines = lines(standard.name, &measured, &results);
        print!("{lines}");
        table += &lines;
        let last = results.into_iter().filter_map(|mut rounds| rounds.pop()).collect();
        sections.push(Section { title: standard.name.into(), results: last });
    }
    let goals = goals::table(&GoalsArgs { results: args.out.clone(), ..GoalsArgs::default() })?;
    print!("{}", goals.text);
    fs::write(args.out.join("summary.txt"), table + "\n" + &goals.text)?;
    fs::write(args.out.join("report.html"), report::page("The last round of each workload", &sections)?)?;
    Ok(ExitCode::SUCCESS)
}

/// What it says of each broker, round by round. All is kept in files as it comes.
fn measure(
    standard: &Standard,
    brokers: &[&Broker],
    args: &SuiteArgs,
) -> Result<Vec<Vec<RunResult>>, Failure> {
    let rounds = match standard.length {
        Length::Short => args.rounds,
        Length::Long => 1,
    };
    let keep = |result: &mut RunResult| {
        let round = result.round.unwrap_or_default();
        println!("  round {round} of {rounds}: {}", result.label);
        result.standard = Some(standard.name.into());
        result.write(&args.out.join(format!("{}-{}-{round}.json", standard.name, result.label)))
    };
    brokers.iter().try_for_each(|broker| forget(&args.out, standard.name, &broker.spec.name))?;
    match workload(standard, args)? {
        Workload::Measure(what) => {
            let rounds = Rounds { count: rounds, first_warmup_seconds: args.first_warmup_seconds };
            rounds::measure(brokers, &what, rounds, keep)
        }
        Workload::Restart(what) => {
            let mut results: Vec<Vec<RunResult>> = brokers.iter().map(|_| Vec::new()).collect();
            for round in 1..=rounds {
                for (broker, results) in brokers.iter().zip(&mut results) {
                    let mut result = restart::measure(&broker.spec, &what, &args.dir.join(standard.name))?;
                    result.round = Some(round);
                    keep(&mut result)?;
                    results.push(result);
                }
            }
            Ok(results)
        }
    }
}

/// Results of an earlier run, which may have had more rounds.
fn forget(dir: &Path, standard: &str, label: &str) -> Result<(), Failure> {
    let prefix = format!("{standard}-{label}-");
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let round = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".json"));
        if round.is_some_and(|round| round.parse::<u32>().is_ok()) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Of a broker that runs, or of one that is started for it.
enum Workload {
    Measure(Box<Measure>),
    Restart(RestartArgs),
}

/// Whether its brokers are started for it.
fn own_brokers(standard: &Standard) -> bool {
    standard.words.first() == Some(&"restart")
}

/// Whether a workload has this name.
#[cfg(test)]
pub(crate) fn has(name: &str) -> bool {
    STANDARD.iter().any(|standard| standard.name == name)
}

fn is_chosen(standard: &Standard, args: &SuiteArgs) -> bool {
    match &args.only {
        Some(only) => standard.name.contains(only.as_str()),
        None => args.long || standard.length == Length::Short,
    }
}

fn workload(standard: &Standard, args: &SuiteArgs) -> Result<Workload, Failure> {
    let seconds = args.seconds.to_string();
    // Its brokers are started one after the other, each with one time of its own.
    let own: &[&str] = match standard.words {
        ["restart", ..] => &["--times", "1", "--target", "none=unknown=none"],
        _ => &["--topic", standard.name, "--seconds", &seconds],
    };
    let words = std::iter::once("highwater-bench").chain(standard.words.iter().chain(own).copied());
    match Cli::try_parse_from(words).map_err(|error| Failure(error.to_string()))?.command {
        Command::Measure(mut what) => {
            what.target_mut().quiet = args.quiet;
            Ok(Workload::Measure(Box::new(what)))
        }
        Command::Restart(what) => Ok(Workload::Restart(what)),
        Command::Floor(_)
        | Command::Compare(_)
        | Command::Ab(_)
        | Command::Export(_)
        | Command::Report(_)
        | Command::Rebalance(_)
        | Command::Recovery(_)
        | Command::Failover(_)
        | Command::Sweep(_)
        | Command::Goals(_)
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
    fn only_rounds_of_the_same_broker_are_forgotten() {
        let dir = std::env::temp_dir().join(format!("highwater-bench-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let names =
            ["peak-floor-1.json", "peak-floor-12.json", "peak-floor-disk-1.json", "peaks-floor-1.json"];
        names.iter().for_each(|name| fs::write(dir.join(name), "{}").unwrap());
        forget(&dir, "peak", "floor").unwrap();
        let left: Vec<bool> = names.iter().map(|name| dir.join(name).exists()).collect();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(left, [false, false, true, true]);
    }

    #[test]
    fn standard_workloads_can_be_read() {
        let args = SuiteArgs {
            targets: Vec::new(),
            floors: Vec::new(),
            rounds: 1,
            seconds: 2.5,
            only: None,
            page_cache: PageCache::AsIs,
            dir: PathBuf::new(),
            out: PathBuf::new(),
            quiet: true,
            long: false,
            first_warmup_seconds: 0.0,
        };
        for standard in &STANDARD {
            match workload(standard, &args).unwrap() {
                Workload::Measure(what) => {
                    assert!((what.target().seconds - 2.5).abs() < f64::EPSILON, "{}", standard.name);
                }
                Workload::Restart(what) => assert_eq!(what.times, 1, "{}", standard.name),
            }
        }
    }
}
