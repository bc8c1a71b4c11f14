//! The grammar of `topic`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use highwater_core::time::Timestamp;

use super::{BrokerArgs, OutputArgs, Pair, SureArgs};
use crate::when;

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create topics
    Create(TopicCreateArgs),
    /// List the topics
    List(TopicListArgs),
    /// Show partitions, leaders and replicas of topics
    Describe(TopicDescribeArgs),
    /// Add partitions to topics, change their settings
    Alter(TopicAlterArgs),
    /// Show where each partition begins and ends, and which offset a time has
    Offsets(TopicOffsetsArgs),
    /// Show what will be deleted when, and why the rest is kept
    Retention(TopicRetentionArgs),
    /// Delete the oldest records of topics
    Trim(TopicTrimArgs),
    /// Delete topics and all their records
    Delete(TopicDeleteArgs),
}

/// Topics by name or by pattern.
#[derive(Debug, Clone, Args)]
pub struct TopicsArgs {
    /// Names of the topics; /REGEX/ is every topic whose whole name matches, but for internal ones
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Take each TOPIC for a regular expression
    #[arg(long)]
    pub regex: bool,
}

#[derive(Debug, Args)]
pub struct TopicCreateArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Partitions of each [default: the broker's num.partitions]
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas of each partition [default: the broker's]
    #[arg(long, short = 'r', value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// A topic setting under Kafka's name, such as retention.ms=60000
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE")]
    pub configs: Vec<Pair>,
    /// Succeed if a topic exists already
    #[arg(long)]
    pub if_not_exists: bool,
    /// Only find out whether the broker would create them
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicListArgs {
    /// Only topics whose whole name is one of these; /REGEX/ is a pattern
    #[arg(value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Take each TOPIC for a regular expression
    #[arg(long)]
    pub regex: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicDescribeArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicAlterArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    /// How many partitions each is to have; there is no way back to fewer
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A setting to change
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE")]
    pub configs: Vec<Pair>,
    /// A setting to put back to its default
    #[arg(long = "delete-config", short = 'd', value_name = "KEY")]
    pub delete_configs: Vec<String>,
    /// Only find out whether the broker would do it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicOffsetsArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    /// Also the offset of the first record from this time on: "10m ago", 2026-01-31T12:00:00Z, or @MILLISECONDS
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub at: Option<Timestamp>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Segments are told by the nodes' HTTP ports, at the address that each node has as http.listen. Where that cannot be reached,
what the settings, sizes and times of the partitions say is shown alone.")]
pub struct TopicRetentionArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    /// The HTTP address of the node, if it is not reached at its http.listen
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "What goes is shown first. On a terminal it asks then; elsewhere it wants --yes.")]
pub struct TopicTrimArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    /// Delete what is before this offset, before the first record from a time on, or all
    #[arg(long, value_name = "OFFSET|TIME|all")]
    pub before: Before,
    /// Only these partitions [default: all]
    #[arg(long = "partition", value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    pub partitions: Vec<i32>,
    #[command(flatten)]
    pub sure: SureArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Topics found by a pattern are shown first. On a terminal it asks then; elsewhere it wants --yes."
)]
pub struct TopicDeleteArgs {
    #[command(flatten)]
    pub topics: TopicsArgs,
    #[command(flatten)]
    pub sure: SureArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// Up to where records are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Offset(i64),
    Time(Timestamp),
    All,
}

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        match text.parse() {
            Ok(offset) if offset >= 0 => Ok(Self::Offset(offset)),
            Ok(_) => Err("an offset is 0 or more".into()),
            Err(_) => {
                when::parse(text).map(Self::Time).map_err(|error| format!("no offset, not all, and {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Before;
    use highwater_core::time::Timestamp;

    #[test]
    fn before_reads_offsets_times_and_all() {
        assert_eq!("all".parse(), Ok(Before::All));
        assert_eq!("7".parse(), Ok(Before::Offset(7)));
        assert_eq!("@7".parse(), Ok(Before::Time(Timestamp(7))));
        for wrong in ["-1", "everything", ""] {
            assert!(wrong.parse::<Before>().is_err(), "{wrong}");
        }
    }
}
