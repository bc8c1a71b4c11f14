//! The grammar of the user commands. Owns names, defaults and help; does nothing.

mod config;
mod context;
mod group;
mod record;
mod topic;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use config::{ConfigChangeArgs, ConfigListArgs, ConfigShowArgs};
pub use config::{ConfigCommand, ConfigExplainArgs};
pub(crate) use context::{ContextCommand, ContextSetArgs};
pub(crate) use group::{
    GroupCommand, GroupDeleteArgs, GroupDeleteOffsetsArgs, GroupDescribeArgs, GroupListArgs,
    GroupMembersArgs, GroupResetArgs, GroupWatchArgs, ResetToArgs,
};
pub(crate) use record::{AcksArg, Codec, ConsumeArgs, From, ProduceArgs, ProtocolArg, Until};
pub(crate) use topic::{
    Before, TopicAlterArgs, TopicCommand, TopicCreateArgs, TopicDeleteArgs, TopicDescribeArgs, TopicListArgs,
    TopicOffsetsArgs, TopicRetentionArgs, TopicTrimArgs, TopicsArgs,
};

/// What can be asked of a broker, or of a file of one.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list, describe, alter, trim and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Show and change settings of topics, brokers, loggers and groups
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show groups, their members and how far behind they are, reset and delete what they have committed
    #[command(subcommand)]
    Group(GroupCommand),
    /// Show the nodes, their versions and their disks
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Write records to a topic: the values given, or one per line of a file or of standard input
    Produce(Box<ProduceArgs>),
    /// Read records of a topic and print them
    Consume(Box<ConsumeArgs>),
    /// Look into the files of a data directory, without a running node
    #[command(subcommand)]
    Log(LogCommand),
    /// Remember brokers under names
    #[command(subcommand)]
    Context(ContextCommand),
}

/// Where the broker is and how long to wait for it.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// The broker to ask first, or several with commas between [default: $HIGHWATER_BOOTSTRAP, the context's, or
    /// 127.0.0.1:9092]
    #[arg(long, short = 'b', value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
    /// The context to take brokers and time-out from [default: $HIGHWATER_CONTEXT, or the one in use]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Seconds to wait for an answer before giving up with exit code 4 [default: the context's, or 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: Option<u64>,
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// table and wide are for people; json is one object per line, yaml a list of the same
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

/// How sure the user is.
#[derive(Debug, Clone, Copy, Args)]
pub struct SureArgs {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without asking
    #[arg(long, short = 'y', conflicts_with = "dry_run")]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show cluster id, controller, nodes, versions, features and disk use
    Info(ClusterInfoArgs),
}

#[derive(Debug, Args)]
pub struct ClusterInfoArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print what a segment, a footer or a file of the write-ahead log holds
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all is sound, 1 there is damage or the file cannot be read, 2 it is no file that can be inspected.")]
pub struct InspectArgs {
    /// The file, or with --verify a directory, of which every file is checked
    pub file: PathBuf,
    /// Print the records of each batch too
    #[arg(long)]
    pub records: bool,
    /// Print no content but check all of it: checksums of batches, their records, offsets, footers, and the chain of the
    /// write-ahead log
    #[arg(long, conflicts_with = "records")]
    pub verify: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `KEY=VALUE`; the value may be empty and may hold further equals signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub key: String,
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.into(), value: value.into() }),
            Some(_) | None => Err("expected KEY=VALUE, such as retention.ms=60000".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pair;

    #[test]
    fn pair_splits_at_the_first_equals_sign() {
        assert_eq!("a=b=c".parse(), Ok(Pair { key: "a".into(), value: "b=c".into() }));
        assert_eq!("a=".parse(), Ok(Pair { key: "a".into(), value: String::new() }));
        assert!("=b".parse::<Pair>().is_err());
        assert!("ab".parse::<Pair>().is_err());
    }
}
