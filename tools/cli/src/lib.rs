//! The commands that a user of a broker types, on the core's own client. Knows nothing of a running node but its address.

mod args;
mod consume;
mod drive;
mod ended;
mod failure;
mod format;
mod inspect;
mod partitioner;
mod produce;
mod record;
mod session;
mod topic;
mod words;

use std::io::{self, BufWriter, Write};

use args::LogCommand;
use ended::Ended;

pub use args::{Command, ConfigCommand, ConfigExplainArgs, Pair};
pub use failure::{Exit, Failure};

/// Carries out a command, on standard input and output.
pub fn run(command: Command) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = match command {
        Command::Topic(command) => topic::run(&command, &mut out),
        Command::Config(ConfigCommand::Explain(_)) => {
            unreachable!("the binary answers it: it knows the files of nodes")
        }
        Command::Produce(args) => produce::run(&args, &mut out),
        Command::Consume(args) => consume::run(&args, &mut out),
        Command::Log(LogCommand::Inspect(args)) => inspect::run(&args, &mut out),
    };
    match result.and_then(|()| out.flush().map_err(Ended::by_output)) {
        Ok(()) | Err(Ended::ReaderGone) => Ok(()),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}
