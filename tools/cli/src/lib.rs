//! The commands that a user of a broker types, on the core's own client. Knows nothing of a running node but its address.

mod args;
mod failure;
mod format;
mod record;

pub use args::{Command, Pair};
pub use failure::{Exit, Failure};

/// Carries out a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Topic(_) | Command::Produce(_) | Command::Consume(_) | Command::Log(_) => unimplemented!(),
    }
}
