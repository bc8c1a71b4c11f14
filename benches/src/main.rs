//! `highwater-bench`: measures any Kafka broker over the network, as its clients would meet it. Knows the wire and no broker's inside.

mod args;
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
mod run;
mod setup;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Produce(args) => run::produce(&args),
        Command::Fetch(args) => run::fetch(&args),
        Command::E2e(args) => run::e2e(&args),
        Command::Floor(args) => floor::serve(&args),
        Command::Compare(args) => compare::run(&args),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("highwater-bench: {failure}");
        ExitCode::from(2)
    })
}
