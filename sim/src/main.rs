//! The command line of the simulator. Must not know how a run works.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use highwater_sim::params::{Options, Params, Profile, Rot, Tier, Trace};
use highwater_sim::report::Report;
use highwater_sim::run::{catch_panics, run};
use highwater_sim::sweep::{SweepOptions, sweep};

/// Runs Highwater's core in a simulated world.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run seeds and check every invariant.
    Run(Run),
    /// Run each seed twice: its two fingerprints must be the same.
    Check(Run),
    /// Cut the power at every disk operation of a small workload, and of each recovery from that.
    Sweep(Sweep),
}

#[derive(Debug, Clone, Args)]
struct Sweep {
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
    fn run(&self) -> ExitCode {
        let Self { workload, subsets, every, offset, recuts } = *self;
        let began = cpu_time();
        let report = match sweep(&SweepOptions { workload, subsets, every, offset, recuts }) {
            Ok(report) => report,
            Err(story) => {
                println!("the workload itself FAILED  {story}");
                return ExitCode::FAILURE;
            }
        };
        println!("{report}");
        if let (Some(began), Some(ended)) = (began, cpu_time()) {
            println!("  {} CPU-ms", ended - began);
        }
        if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[derive(Debug, Clone, Args)]
struct Run {
    /// One seed, with all that it draws printed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Seeds A..B, without B.
    #[arg(long, value_parser = parse_seeds)]
    seeds: Option<Seeds>,
    #[arg(long, value_enum, default_value = "default")]
    profile: ProfileName,
    /// What stands between the core and the world.
    #[arg(long, value_enum, default_value = "t0")]
    tier: TierName,
    /// Let bits rot; loss is legal then, silence is not.
    #[arg(long)]
    rot: bool,
    /// Print every input, effect and fact.
    #[arg(long)]
    trace: bool,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileName {
    Smoke,
    Default,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TierName {
    /// Nothing.
    T0,
    /// The real driver.
    T1,
}

#[derive(Debug, Clone, Copy)]
struct Seeds {
    first: u64,
    end: u64,
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let (first, end) = text.split_once("..").ok_or("seeds are A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let seeds = Seeds { first: number(first)?, end: number(end)? };
    if seeds.first < seeds.end { Ok(seeds) } else { Err("no seed lies in that range".to_owned()) }
}

impl Run {
    fn options(&self) -> Options {
        Options {
            profile: match self.profile {
                ProfileName::Smoke => Profile::Smoke,
                ProfileName::Default => Profile::Default,
            },
            tier: match self.tier {
                TierName::T0 => Tier::T0,
                TierName::T1 => Tier::T1,
            },
            rot: if self.rot { Rot::On } else { Rot::Off },
            trace: if self.trace { Trace::On } else { Trace::Off },
            mutant: None,
        }
    }

    fn seeds(&self) -> Seeds {
        match (self.seed, self.seeds) {
            (Some(seed), _) => Seeds { first: seed, end: seed + 1 },
            (None, seeds) => seeds.expect("clap asks for one of the two"),
        }
    }

    fn replay_line(&self, seed: u64) -> String {
        let profile = match self.profile {
            ProfileName::Smoke => "smoke",
            ProfileName::Default => "default",
        };
        let rot = if self.rot { " --rot" } else { "" };
        let tier = match self.tier {
            TierName::T0 => "",
            TierName::T1 => " --tier t1",
        };
        format!("highwater-sim run --seed {seed} --profile {profile}{tier}{rot} --trace")
    }
}

fn main() -> ExitCode {
    let (options, twice) = match Cli::parse().command {
        Command::Run(run) => (run, false),
        Command::Check(run) => (run, true),
        Command::Sweep(sweep) => {
            catch_panics(|_, what| println!("panic: {what}"));
            return sweep.run();
        }
    };
    let replay = options.clone();
    catch_panics(move |seed, what| {
        println!("seed {seed} FAILED  panic: {what}\n  replay: {}", replay.replay_line(seed));
    });
    let failures = run_all(&options, |seed| {
        let report = run(seed, options.options());
        if twice {
            let again = run(seed, options.options());
            if again.fingerprint != report.fingerprint || again.steps != report.steps {
                println!(
                    "seed {seed}: fingerprints {:016x} and {:016x}",
                    report.fingerprint, again.fingerprint
                );
                return (report, Verdict::Differs);
            }
        }
        (report, Verdict::Same)
    });
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Differs,
}

/// Runs all seeds and prints what they came to; how many failed.
fn run_all(options: &Run, mut one: impl FnMut(u64) -> (Report, Verdict)) -> u64 {
    let Seeds { first, end } = options.seeds();
    let (mut sum, mut failures, mut done) = (Report::default(), 0, 0_u64);
    let began = cpu_time();
    if end - first == 1 {
        println!("{:#?}", Params::draw(first, options.options()));
    }
    for seed in first..end {
        let (report, verdict) = one(seed);
        done += 1;
        sum.merge(&report);
        if let Some(violation) = &report.violation {
            println!("seed {seed} FAILED  {violation}\n{report}");
        }
        if report.violation.is_some() || verdict == Verdict::Differs {
            println!("  replay: {}", options.replay_line(seed));
            failures += 1;
            if !options.keep_going {
                break;
            }
        }
    }
    println!("{done} seeds, {failures} failed\n{sum}");
    if let (Some(began), Some(ended)) = (began, cpu_time()) {
        let millis = (ended - began).max(1);
        println!("  {millis} CPU-ms, {} seeds per CPU-second", done * 1_000 / millis);
    }
    failures
}

/// CPU time of this process in milliseconds, where the system tells.
fn cpu_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // Linux counts in hundredths of a second for user space, whatever the kernel's own tick.
    Some(ticks * 10)
}
