//! The binary `highwater`: reads the command line, runs what it says, and turns failures into words and exit codes.

mod banner;
mod broker;
mod bundle;
mod cli;
mod config;
mod http;
mod logs;
mod metrics;
mod notices;
mod observer;
mod run;
mod signals;
mod survey;
mod words;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use highwater_cli::{ConfigCommand, Failure};

use cli::{Cli, Command, DebugCommand};

/// Requests allocate and free on one thread, in small pieces: what that costs is the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed standard error leaves the exit code to speak.
            let (red, plain) =
                if highwater_cli::colours_stderr() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            let _ = writeln!(std::io::stderr(), "{red}error:{plain} {failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Dev(args) => {
            let logs = logs::init(args.log.as_deref())?;
            let settings = config::for_dev(args)?;
            run::run(settings, logs, run::Greeting::Banner)
        }
        Command::Serve(args) => {
            let logs = logs::init(args.log.as_deref())?;
            let settings = config::for_serve(args)?;
            run::run(settings, logs, run::Greeting::LogLine)
        }
        Command::User(highwater_cli::Command::Config(ConfigCommand::Explain(args))) => {
            let question = config::Question {
                key: args.key.as_deref(),
                config: args.config.as_deref(),
                properties: args.properties.as_deref(),
            };
            let text = config::explain(&question)?;
            // A reader that went away has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Command::Debug(DebugCommand::Bundle(args)) => bundle::run(&args),
        Command::User(command) => highwater_cli::run(command),
        Command::Completion(args) => highwater_cli::completion(&args, Cli::command()),
        Command::Man(args) => highwater_cli::man(&args, Cli::command()),
    }
}
