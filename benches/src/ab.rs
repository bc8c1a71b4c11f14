//! `ab`: one workload, two brokers, in turns.

use std::process::ExitCode;

use clap::Parser;

use crate::args::{AbArgs, Cli, Command};
use crate::broker::Broker;
use crate::failure::Failure;
use crate::rounds::{self, Rounds, figures, ratios, spread, values};

pub(crate) fn run(args: &AbArgs) -> Result<ExitCode, Failure> {
    let words = std::iter::once("highwater-bench").chain(args.measure.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).map_err(|error| Failure(error.to_string()))?;
    let Command::Measure(what) = cli.command else {
        return Err(Failure("behind -- stands what is measured: produce, fetch or e2e".into()));
    };
    if args.a.name == args.b.name {
        return Err(Failure("both brokers have the same name".into()));
    }
    let (a, b) = (Broker::start(&args.a, &args.dir)?, Broker::start(&args.b, &args.dir)?);
    let rounds = Rounds { count: args.pairs, first_warmup_seconds: args.first_warmup_seconds };
    let results = rounds::measure(&[&a, &b], &what, rounds, |result| {
        println!("pair {} of {}: {}", result.round.unwrap_or_default(), args.pairs, result.label);
        Ok(())
    })?;
    println!("{:<28}{:>14}{:>14}   {}/{}", "median", args.a.name, args.b.name, args.b.name, args.a.name);
    for figure in results[0].first().map(figures).unwrap_or_default() {
        let name = figure.name.as_str();
        let (one, other) = (spread(values(&results[0], name)), spread(values(&results[1], name)));
        let (Some(one), Some(other)) = (one, other) else { continue };
        let Some(ratio) = ratios(&results[0], &results[1], name) else { continue };
        let (median, low, high) = (ratio.median, ratio.low, ratio.high);
        println!(
            "{name:<28}{:>14.2}{:>14.2}   x{median:.3} ({low:.3} to {high:.3})",
            one.median, other.median
        );
    }
    Ok(ExitCode::SUCCESS)
}
