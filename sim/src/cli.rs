//! The command line of the simulator, one file for each command. Must not know how a run works.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the command line lives in real time and starts processes; a run does neither"
)]

mod batch;
mod check;
mod diff;
mod folder;
mod mad;
mod model;
mod mutants;
mod output;
mod pin;
mod replay;
mod run;
mod sandbox;
mod scenarios;
mod seeds;
mod shrink;
mod sweep;
mod target;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Highwater's core in a simulated world.
#[derive(Debug, Parser)]
#[command(version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("HIGHWATER_COMMIT"), ")"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Model(model::Search),
    Replay(replay::Replay),
    Shrink(shrink::Shrink),
    Diff(diff::Diff),
    Pin(pin::Pin),
    Sweep(sweep::Sweep),
    Mutants(mutants::Mutants),
    Scenarios(scenarios::Scenarios),
    Sandbox(sandbox::Sandbox),
    Mad(mad::Mad),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Clean,
    /// Something was found.
    Failed,
}

/// The command was not understood or cannot be carried out; nothing was run.
#[derive(Debug)]
struct Usage(String);

impl From<String> for Usage {
    fn from(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Exit code 0 if all is clean, 1 if something was found, 2 if the command makes no sense.
pub(crate) fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Check(check) => check.run(),
        Command::Model(search) => search.run(),
        Command::Replay(replay) => replay.run(),
        Command::Shrink(shrink) => shrink.run(),
        Command::Diff(diff) => diff.run(),
        Command::Pin(pin) => pin.run(),
        Command::Sweep(sweep) => sweep.run(),
        Command::Mutants(mutants) => mutants.run(),
        Command::Scenarios(scenarios) => scenarios.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Mad(mad) => mad.run(),
    };
    match ended {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Err(usage) => {
            eprintln!("highwater-sim: {usage}");
            ExitCode::from(2)
        }
    }
}
