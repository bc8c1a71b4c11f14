//! The commands that a user of a broker types, on the core's own client. Knows nothing of a running node but its address.

mod args;
mod cluster;
mod config;
mod consume;
mod context;
mod drive;
mod ended;
mod failure;
mod format;
mod group;
mod http;
mod inspect;
mod manual;
mod names;
mod output;
mod partitioner;
mod produce;
mod record;
mod session;
mod stop;
mod terminal;
mod topic;
mod when;
mod words;

use std::io::{self, BufWriter, Write};

use args::LogCommand;
use ended::Ended;

pub use args::{Command, ConfigCommand, ConfigExplainArgs, Pair};
pub use failure::{Exit, Failure};
pub use http::{HttpAnswer, http_get};
pub use manual::{CompletionArgs, ManArgs, completion, man};
pub use terminal::colours_stderr;

/// Carries out a command, on standard input and output.
pub fn run(command: Command) -> Result<(), Failure> {
    finish(|out| match command {
        Command::Topic(command) => topic::run(&command, out),
        Command::Config(command) => config::run(&command, out),
        Command::Group(command) => group::run(&command, out),
        Command::Cluster(command) => cluster::run(&command, out),
        Command::Produce(args) => produce::run(&args, out),
        Command::Consume(args) => consume::run(&args, out),
        Command::Log(LogCommand::Inspect(args)) => inspect::run(&args, out),
        Command::Context(command) => context::run(&command, out),
    })
}

/// Gives standard output to `write`. A reader who goes away has had enough, and that is no failure.
fn finish(
    write: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> Result<(), Ended>,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush().map_err(Ended::by_output)) {
        Ok(()) | Err(Ended::ReaderGone) => Ok(()),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}
