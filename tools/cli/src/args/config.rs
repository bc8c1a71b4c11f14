//! The grammar of `config`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use highwater_core::client::{ConfigResource, ResourceKind};

use super::{BrokerArgs, OutputArgs};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show settings, where their values come from and what they mean
    Get(ConfigShowArgs),
    /// Change settings
    Set(ConfigChangeArgs),
    /// Put settings back to their defaults
    Unset(ConfigChangeArgs),
    /// List what has settings of its own
    List(ConfigListArgs),
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

#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    /// topic/NAME, broker/ID, broker (the default of all brokers), logger/ID, group/NAME or client-metrics/NAME
    pub resource: Resource,
    /// Only these settings [default: those that were changed]
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,
    /// All settings, defaults too
    #[arg(long, short = 'a')]
    pub all: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct ConfigChangeArgs {
    /// topic/NAME, broker/ID, broker (the default of all brokers), logger/ID, group/NAME or client-metrics/NAME
    pub resource: Resource,
    /// For set KEY=VALUE, or KEY+=VALUE and KEY-=VALUE for one element of a list; for unset KEY
    #[arg(required = true, value_name = "SETTING")]
    pub settings: Vec<String>,
    /// Only find out whether the broker would do it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct ConfigListArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// `KIND/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(pub ConfigResource);

impl FromStr for Resource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let (kind, numbered) = match kind {
            "topic" => (ResourceKind::Topic, false),
            "broker" => (ResourceKind::Broker, true),
            "logger" => (ResourceKind::BrokerLogger, true),
            "group" => (ResourceKind::Group, false),
            "client-metrics" => (ResourceKind::ClientMetrics, false),
            _ => {
                return Err(
                    "expected topic/NAME, broker/ID, broker, logger/ID, group/NAME or client-metrics/NAME"
                        .into(),
                );
            }
        };
        if name.is_empty() && kind != ResourceKind::Broker {
            return Err(format!("{text} is without a name; write {text}/ and the name"));
        }
        if numbered && !name.is_empty() && name.parse::<u32>().is_err() {
            return Err(format!("\"{name}\" is no node id, which is a number"));
        }
        Ok(Self(ConfigResource { kind, name: name.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigResource, Resource, ResourceKind};

    #[test]
    fn resource_is_a_kind_and_a_name() {
        let parsed = |kind, name: &str| Ok(Resource(ConfigResource { kind, name: name.into() }));
        assert_eq!("topic/a.b".parse(), parsed(ResourceKind::Topic, "a.b"));
        assert_eq!("broker/1".parse(), parsed(ResourceKind::Broker, "1"));
        assert_eq!("broker".parse(), parsed(ResourceKind::Broker, ""));
        assert_eq!("group/a/b".parse(), parsed(ResourceKind::Group, "a/b"));
        assert_eq!("client-metrics/m".parse(), parsed(ResourceKind::ClientMetrics, "m"));
        for wrong in ["topic", "topic/", "broker/x", "logger", "orders", ""] {
            assert!(wrong.parse::<Resource>().is_err(), "{wrong}");
        }
    }
}
