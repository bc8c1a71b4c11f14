//! The grammar of `context`.

use clap::{Args, Subcommand};

use super::OutputArgs;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Contexts are kept in $XDG_CONFIG_HOME/highwater/config.toml, or ~/.config/highwater/config.toml.
Which brokers a command asks: --bootstrap, else --context, else $HIGHWATER_BOOTSTRAP, else $HIGHWATER_CONTEXT,
else the context in use, else 127.0.0.1:9092.")]
pub enum ContextCommand {
    /// List the contexts; the one in use is marked
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Use a context from now on
    Use {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make a context, or change one
    Set(ContextSetArgs),
    /// Forget a context
    Delete {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show a context [default: the one that commands would use now]
    Show {
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, Args)]
pub struct ContextSetArgs {
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The brokers to ask first, with commas between
    #[arg(long, short = 'b', value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: Option<u64>,
}
