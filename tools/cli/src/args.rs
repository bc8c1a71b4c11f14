//! The grammar of the user commands. Owns names, defaults and help; does nothing.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::format::Format;

/// What can be asked of a broker, or of a file of one.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list, describe and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Explain settings of topics, brokers and groups
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write records to a topic: the values given, or one per line of standard input
    Produce(ProduceArgs),
    /// Read records of a topic and print them
    Consume(ConsumeArgs),
    /// Look into the files of a data directory, without a running node
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say what a setting does, what it may be and when to change it; without a key, list all settings
    Explain(ConfigExplainArgs),
}

#[derive(Debug, Args)]
pub struct ConfigExplainArgs {
    /// A setting under Kafka's name, such as retention.ms
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
    /// The TOML file of a node, to say what it has
    #[arg(long, value_name = "FILE", conflicts_with = "properties")]
    pub config: Option<PathBuf>,
    /// The properties file of a node, to say what it has
    #[arg(long, value_name = "FILE")]
    pub properties: Option<PathBuf>,
}

/// Where the broker is and how long to wait for it.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// The broker to ask first, or several with commas between
    #[arg(long, short = 'b', value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap: String,
    /// Seconds to wait for an answer before giving up with exit code 4
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create topics
    Create(TopicCreateArgs),
    /// List the topics
    List(TopicListArgs),
    /// Show partitions, leaders and replicas of topics
    Describe(TopicDescribeArgs),
    /// Delete topics and all their records
    Delete(TopicDeleteArgs),
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
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicListArgs {
    /// Print one JSON object per topic
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicDescribeArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Print one JSON object per topic
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct TopicDeleteArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// The topic to write to
    pub topic: String,
    /// Values, one record each; none means one record per line of standard input
    #[arg(value_name = "VALUE")]
    pub values: Vec<String>,
    /// The key of every record
    #[arg(long, short = 'k')]
    pub key: Option<String>,
    /// Each line or value is KEY, this separator, VALUE
    #[arg(long, short = 'K', value_name = "SEPARATOR", conflicts_with = "key")]
    pub key_separator: Option<String>,
    /// The partition [default: by the key's hash, as Kafka's clients do, or in turn]
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// A header of every record
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE")]
    pub headers: Vec<Pair>,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// The topic to read
    pub topic: String,
    /// Only these partitions [default: all]
    #[arg(long = "partition", short = 'p', value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    pub partitions: Vec<i32>,
    /// beginning, end, or an offset
    #[arg(long, short = 'o', value_name = "WHERE", default_value = "end")]
    pub from: From,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop at the end of the log instead of waiting for more
    #[arg(long, short = 'e')]
    pub exit_at_end: bool,
    /// How to print a record: %t topic, %p partition, %o offset, %d timestamp in ms, %k key, %v value, %K and %V their
    /// lengths, %h headers, %% a percent sign; \n, \t and \\ as usual
    #[arg(long, short = 'f', default_value = r"%v\n", conflicts_with = "json")]
    pub format: Format,
    /// Print one JSON object per record; bytes that are not UTF-8 become {"base64": …}
    #[arg(long, short = 'J')]
    pub json: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print what a segment or a file of the write-ahead log holds
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The file
    pub file: PathBuf,
    /// Print the records of each batch too
    #[arg(long)]
    pub records: bool,
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

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
    At(i64),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            _ => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(Self::At(offset)),
                Ok(_) | Err(_) => Err("expected beginning, end, or an offset from 0 on".into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{From, Pair};

    #[test]
    fn pair_splits_at_the_first_equals_sign() {
        assert_eq!("a=b=c".parse(), Ok(Pair { key: "a".into(), value: "b=c".into() }));
        assert_eq!("a=".parse(), Ok(Pair { key: "a".into(), value: String::new() }));
        assert!("=b".parse::<Pair>().is_err());
        assert!("ab".parse::<Pair>().is_err());
    }

    #[test]
    fn from_refuses_negative_offsets() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("7".parse(), Ok(From::At(7)));
        assert!("-1".parse::<From>().is_err());
        assert!("start".parse::<From>().is_err());
    }
}
