//! The grammar of `group`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use highwater_core::time::Timestamp;

use super::{BrokerArgs, OutputArgs, SureArgs};
use crate::when;

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List the groups
    List(GroupListArgs),
    /// Show what groups have committed, and how far behind they are
    Describe(GroupDescribeArgs),
    /// Show the members of groups and what each has
    Members(GroupMembersArgs),
    /// Set where a group goes on; says only what it would do unless --execute is given
    ResetOffsets(GroupResetArgs),
    /// Delete groups without members, and all that they have committed
    Delete(GroupDeleteArgs),
    /// Forget what a group has committed of topics that no member subscribes to
    DeleteOffsets(GroupDeleteOffsetsArgs),
    /// Show the lag of groups again and again
    Watch(GroupWatchArgs),
}

#[derive(Debug, Args)]
pub struct GroupListArgs {
    /// Only groups in one of these states, such as Stable or Empty
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    pub states: Vec<String>,
    /// Only groups of one of these types: classic or consumer
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct GroupDescribeArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct GroupMembersArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct GroupWatchArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Stop after so many looks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct GroupResetArgs {
    /// Name of the group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Only these topics [default: all that the group has committed]
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    #[command(flatten)]
    pub to: ResetToArgs,
    /// Do it
    #[arg(long)]
    pub execute: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// Where to.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct ResetToArgs {
    /// To the first record that there is
    #[arg(long)]
    pub to_earliest: bool,
    /// Behind the last record
    #[arg(long)]
    pub to_latest: bool,
    /// To the first record of this time or later, such as 2026-01-31T12:00:00Z, "2h ago" or @MILLISECONDS
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub to_time: Option<Timestamp>,
    /// So many records on, or back if negative, but not beyond either end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub shift_by: Option<i64>,
    /// To the offsets in a file with lines of TOPIC,PARTITION,OFFSET
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct GroupDeleteArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
    #[command(flatten)]
    pub sure: SureArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct GroupDeleteOffsetsArgs {
    /// Name of the group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Of these topics
    #[arg(long = "topic", required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    #[command(flatten)]
    pub sure: SureArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}
