//! The command line of the binary: `dev` and `serve` here, the user commands from the CLI library. Does nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use highwater_cli::{CompletionArgs, ManArgs, Pair};

const AFTER_HELP: &str = "\
Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration, 3 the node is unhealthy, 4 no answer in time.
Failures say on standard error what did not work, where, why, and what to do. A reader of the output that goes away is none.
Start with `highwater dev`: it needs nothing else and prints what to try next.";

/// A Kafka-wire-compatible distributed log in one binary
#[derive(Debug, Parser)]
#[command(name = "highwater", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node for development: no configuration needed, nothing unsafe switched on
    Dev(DevArgs),
    /// Run a node as its configuration file says
    Serve(ServeArgs),
    /// Look into a running node
    #[command(subcommand)]
    Debug(DebugCommand),
    #[command(flatten)]
    User(highwater_cli::Command),
    /// Print what makes a shell complete these commands
    Completion(CompletionArgs),
    /// Print the manual
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// Collect what helps to understand a node: metrics, health, settings without secrets, log lines, the machine
    Bundle(BundleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The HTTP address of the node
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    pub(crate) http: String,
    /// A file that ends in .tar.gz, or a directory that does not exist yet [default: highwater-debug-TIME.tar.gz]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct DevArgs {
    /// Where the data lives; an empty or missing directory is formatted [default: ./highwater-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Where Kafka clients connect; port 0 picks a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Where /metrics, /livez and /readyz are [default: 127.0.0.1:9644, or a free port if that is busy]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
    /// Shards, each with a thread of its own [default: one per core but one, and at least one]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<String>,
    /// How to talk to the kernel: auto, uring or epoll [default: auto, which says what it chose and why]
    #[arg(long, value_name = "DRIVER")]
    pub(crate) io: Option<String>,
    /// A setting under Kafka's name, such as num.partitions=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<Pair>,
    /// What to log: a level, or targets with levels such as warn,highwater=debug [default: $RUST_LOG or info]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A TOML file with settings under Kafka's names
    #[arg(long, value_name = "FILE", required_unless_present = "properties", conflicts_with = "properties")]
    pub(crate) config: Option<PathBuf>,
    /// A properties file as Kafka's server.properties
    #[arg(long, value_name = "FILE")]
    pub(crate) properties: Option<PathBuf>,
    /// A setting that goes before the file's
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<Pair>,
    /// What to log: a level, or targets with levels such as warn,highwater=debug [default: $RUST_LOG or info]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}
