//! `highwater-bench`: measures any Kafka broker over the network, as its clients would meet it. Knows the wire and no broker's inside.

mod ab;
mod args;
mod broker;
mod clock;
mod compare;
mod cpu;
mod failure;
mod floor;
mod frame;
mod load;
mod measure;
mod pace;
mod print;
mod result;
mod rounds;
mod run;
mod setup;
mod suite;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command, Measure};
use self::failure::Failure;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Measure(what) => measure(&what),
        Command::Floor(args) => floor::serve(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Ab(args) => ab::run(&args),
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
    Ok(if result.stages.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
