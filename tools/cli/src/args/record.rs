//! The grammar of `produce` and `consume`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use highwater_core::time::Timestamp;
use regex::bytes::Regex;

use super::{BrokerArgs, Pair};
use crate::format::Format;
use crate::when;

#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// The topic to write to
    pub topic: String,
    /// Values, one record each; none means one record per line of --file or of standard input
    #[arg(value_name = "VALUE")]
    pub values: Vec<String>,
    /// Read the records from this file, one per line
    #[arg(long, short = 'F', value_name = "FILE", conflicts_with = "values")]
    pub file: Option<PathBuf>,
    /// The key of every record
    #[arg(long, short = 'k')]
    pub key: Option<String>,
    /// Each line or value is KEY, this separator, VALUE
    #[arg(long, short = 'K', value_name = "SEPARATOR", conflicts_with = "key")]
    pub key_separator: Option<String>,
    /// A key or a value that is exactly this word is sent as null, which deletes the key where a topic is compacted
    #[arg(long, value_name = "WORD")]
    pub null: Option<String>,
    /// Each line or value is a JSON object as `consume --json` prints them: key, value, headers and timestamp are taken
    #[arg(long, short = 'J', conflicts_with_all = ["key_separator", "null"])]
    pub json: bool,
    /// The partition [default: by the key's hash, as Kafka's clients do, or in turn]
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// A header of every record
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE")]
    pub headers: Vec<Pair>,
    /// Who must have a record before it counts: all, 1 (the leader), or 0 (nobody)
    #[arg(long, value_name = "ACKS", value_enum, default_value_t = AcksArg::All, hide_possible_values = true)]
    pub acks: AcksArg,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, short = 'z', value_name = "CODEC", value_enum, default_value_t = Codec::None, hide_possible_values = true)]
    pub compression: Codec,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AcksArg {
    All,
    #[value(name = "1")]
    Leader,
    #[value(name = "0")]
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// How members of a group agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    Classic,
    Cooperative,
    Consumer,
}

#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// The topic to read
    pub topic: String,
    /// Only these partitions [default: all]
    #[arg(long = "partition", short = 'p', value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    pub partitions: Vec<i32>,
    /// beginning, end, an offset, -N for the last N of each partition, or a time: "10m ago", 2026-01-31T12:00:00Z, @MILLISECONDS
    #[arg(long, short = 'o', value_name = "WHERE", default_value = "end", allow_hyphen_values = true)]
    pub from: From,
    /// Stop before this offset or time, or at what is the end now
    #[arg(long, short = 'u', value_name = "OFFSET|TIME|end")]
    pub until: Option<Until>,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop at the end of the log instead of waiting for more: the same as --until end
    #[arg(long, short = 'e', conflicts_with_all = ["until", "follow"])]
    pub exit_at_end: bool,
    /// Wait for more at the end of the log, which is so unless something says otherwise
    #[arg(long, conflicts_with = "until")]
    pub follow: bool,
    /// Read as a member of this group, on from where it has committed; what is printed is committed. --from then only says where
    /// to begin what the group has never read: beginning or end
    #[arg(long, short = 'G', value_name = "GROUP", conflicts_with_all = ["partitions", "until"])]
    pub group: Option<String>,
    /// How the members of the group agree: consumer (KIP-848), cooperative, or classic
    #[arg(long, value_name = "PROTOCOL", value_enum, default_value_t = ProtocolArg::Consumer, requires = "group",
        hide_possible_values = true)]
    pub protocol: ProtocolArg,
    /// A name that outlives the process, for a static member of the group
    #[arg(long, value_name = "NAME", requires = "group")]
    pub instance: Option<String>,
    /// Only records whose value matches this regular expression
    #[arg(long, short = 'g', value_name = "REGEX")]
    pub grep: Option<Regex>,
    /// Only records whose key matches this regular expression
    #[arg(long, value_name = "REGEX")]
    pub grep_key: Option<Regex>,
    /// How to print a record: %t topic, %p partition, %o offset, %d timestamp in ms, %T timestamp in RFC 3339, %k key,
    /// %v value, %K and %V their lengths (-1 for null), %h headers, %% a percent sign; \n, \t, \r, \0 and \\ as usual
    #[arg(long, short = 'f', default_value = r"%v\n", conflicts_with = "json")]
    pub format: Format,
    /// Print one JSON object per record; bytes that are not UTF-8 become {"base64": …}
    #[arg(long, short = 'J')]
    pub json: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
    At(i64),
    /// So many before the end.
    Last(i64),
    Time(Timestamp),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<i64>()) {
            ("beginning", _) => Ok(Self::Beginning),
            ("end", _) => Ok(Self::End),
            (_, Ok(offset)) if offset >= 0 => Ok(Self::At(offset)),
            (_, Ok(back)) => back.checked_neg().map(Self::Last).ok_or_else(|| "that is too far back".into()),
            (_, Err(_)) => {
                let time = when::parse(text).map(Self::Time);
                time.map_err(|error| format!("not beginning, end, an offset or -N, and {error}"))
            }
        }
    }
}

/// Where to stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    End,
    At(i64),
    Time(Timestamp),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<i64>()) {
            ("end", _) => Ok(Self::End),
            (_, Ok(offset)) if offset >= 0 => Ok(Self::At(offset)),
            (_, Ok(_)) => Err("an offset is 0 or more".into()),
            (_, Err(_)) => {
                when::parse(text).map(Self::Time).map_err(|error| format!("not end, no offset, and {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{From, Until};
    use highwater_core::time::Timestamp;

    #[test]
    fn from_reads_words_offsets_distances_and_times() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("end".parse(), Ok(From::End));
        assert_eq!("7".parse(), Ok(From::At(7)));
        assert_eq!("-7".parse(), Ok(From::Last(7)));
        assert_eq!("@7".parse(), Ok(From::Time(Timestamp(7))));
        assert!(matches!("10m ago".parse(), Ok(From::Time(_))));
        for wrong in ["start", "", "-9223372036854775808", "9223372036854775808"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn until_reads_no_distance() {
        assert_eq!("end".parse(), Ok(Until::End));
        assert_eq!("7".parse(), Ok(Until::At(7)));
        assert_eq!("@7".parse(), Ok(Until::Time(Timestamp(7))));
        assert!("-7".parse::<Until>().is_err());
    }
}
