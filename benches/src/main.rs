//! `highwater-bench`: measures any Kafka broker over the network, as its clients would meet it. Knows the wire and no broker's inside.

mod ab;
mod args;
mod broker;
mod clock;
mod compare;
mod cpu;
mod environment;
mod failure;
mod floor;
mod frame;
mod goals;
mod groups;
mod inbox;
mod lifecycle;
mod load;
mod measure;
mod pace;
mod page_cache;
mod print;
mod progress;
mod report;
mod result;
mod rounds;
mod run;
mod setup;
mod suite;
mod sweep;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command, Measure, RebalanceArgs, RecoveryArgs};
use self::broker::Broker;
use self::failure::Failure;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Measure(what) => measure(&what),
        Command::Floor(args) => floor::serve(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Export(args) => report::export(&args),
        Command::Ab(args) => ab::run(&args),
        Command::Rebalance(args) => rebalance(&args),
        Command::Recovery(args) => recovery(&args),
        Command::Restart(args) => lifecycle::restart::run(&args),
        Command::Failover(args) => lifecycle::failover::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Goals(args) => goals::run(&args),
        Command::Suite(args) => suite::run(&args),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("highwater-bench: {failure}");
        ExitCode::from(2)
    })
}

fn measure(what: &Measure) -> Result<ExitCode, Failure> {
    let result = run::measure(what)?;
    print::result(&result);
    if let Some(path) = &what.target().out {
        result.write(path)?;
    }
    Ok(if result.stages.is_empty() && result.figures.is_empty() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

fn rebalance(args: &RebalanceArgs) -> Result<ExitCode, Failure> {
    for bootstrap in &args.bootstrap {
        let times = groups::rebalance::measure(bootstrap, args)?;
        println!(
            "{bootstrap}: {:?}, {} members, {} partitions",
            args.protocol, args.members, args.partitions
        );
        print::durations("one comes", &times.join);
        print::durations("one goes", &times.leave);
    }
    Ok(ExitCode::SUCCESS)
}

fn recovery(args: &RecoveryArgs) -> Result<ExitCode, Failure> {
    for target in &args.targets {
        let mut broker = Broker::start(target, &args.dir)?;
        for recovered in groups::recovery::measure(&mut broker, args)? {
            println!(
                "{}: {} groups, {} commits: first answer after {:.3} s, all groups after {:.3} s, {:.2} CPU-s, {:.1} MiB",
                target.name,
                args.groups,
                args.commits,
                recovered.first_answer.as_secs_f64(),
                recovered.all_groups.as_secs_f64(),
                recovered.cpu_seconds,
                print::mib(recovered.resident_bytes)
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
