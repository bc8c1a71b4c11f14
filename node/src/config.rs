//! What a node is told: settings under Kafka's names, from a TOML or a properties file and the command line, each with its source.
//! Knows no broker.

mod explain;
mod file;
mod keys;
mod properties;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use highwater_cli::{Exit, Failure};
use highwater_core::config::registry::{self, Clash, Definition, Scope, Standing};
use highwater_core::shard;

use crate::cli::{DevArgs, ServeArgs};
use crate::metrics::Limits;
use crate::survey::GroupLimits;
use keys::Key;

pub(crate) use explain::{Question, explain};

/// Everything that a node needs to start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) core: shard::Config,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: HostPort,
    pub(crate) http: HostPort,
    pub(crate) http_if_busy: HttpIfBusy,
    pub(crate) io: IoDriver,
    pub(crate) metrics: Limits,
    /// What was given, in the order of the table.
    pub(crate) written: Vec<Written>,
}

impl Settings {
    /// What the core is told: also how the node itself runs, in one way however it was written, with the port that it has.
    pub(crate) fn of_core(&self, port: u16) -> shard::Config {
        let mut core = self.core.clone();
        core.log_dir = std::path::absolute(&self.data_dir)
            .unwrap_or_else(|_| self.data_dir.clone())
            .display()
            .to_string();
        let listen = HostPort { host: self.listen.host.clone(), port };
        let node = core.node.0.to_string();
        let mut known = vec![
            ("broker.id", node.clone()),
            ("http.listen", self.http.to_string()),
            ("listeners", format!("PLAINTEXT://{listen}")),
            ("log.dirs", self.data_dir.display().to_string()),
            ("node.id", node),
            ("process.roles", "broker,controller".into()),
        ];
        let every_interface = matches!(listen.host.as_str(), "0.0.0.0" | "::");
        let advertised = core.advertised.as_ref();
        let advertised = advertised.map(|(host, port)| HostPort { host: host.clone(), port: *port });
        // Without either, each client is told what it dialled, which is no one address.
        if let Some(at) = advertised.or_else(|| (!every_interface).then_some(listen)) {
            known.push(("advertised.listeners", format!("PLAINTEXT://{at}")));
        }
        core.statics.extend(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
        core
    }
}

/// A setting that was given, for those who look at a running node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) source: String,
}

impl Written {
    /// The value as anybody may see it.
    pub(crate) fn shown(&self) -> &str {
        /// Parts of the names of Kafka's sensitive settings and of those that are like them.
        const SENSITIVE: [&str; 7] =
            ["password", "secret", "jaas", "token", "credential", "keystore.key", "certificate.chain"];
        if SENSITIVE.iter().any(|part| self.name.contains(part)) { "[hidden]" } else { &self.value }
    }
}

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What to do when the HTTP port is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpIfBusy {
    Fail,
    UseFreePort,
}

/// How to talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IoDriver {
    Auto,
    Uring,
    Epoll,
}

/// Where a setting was read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A flag of its own, such as `--listen`.
    Flag(&'static str),
    Set,
    File {
        path: PathBuf,
        line: usize,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Set => f.write_str("--set"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// One setting as it was written.
#[derive(Debug, Clone)]
struct Entry {
    name: String,
    text: String,
    source: Source,
}

/// How long the first member of a classic group waits for others.
const REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

/// The settings of `highwater dev`: defaults that suit a desk, then the flags.
pub(crate) fn for_dev(args: DevArgs) -> Result<Settings, Failure> {
    let flags = [
        ("log.dirs", "--data-dir", args.data_dir),
        ("listeners", "--listen", args.listen),
        ("http.listen", "--http", args.http),
        ("shards", "--shards", args.shards),
        ("io", "--io", args.io),
    ];
    let mut entries = sets(args.sets);
    for (name, flag, value) in flags {
        entries.extend(value.map(|text| Entry { name: name.into(), text, source: Source::Flag(flag) }));
    }
    let mut written = collect(entries)?;
    // At a desk a group is complete with its first member.
    let at_once = Entry { name: REBALANCE_DELAY.into(), text: "0".into(), source: Source::Flag("dev") };
    written.entry(REBALANCE_DELAY).or_insert(at_once);
    let mut settings = defaults();
    if !written.contains_key("http.listen") {
        settings.http_if_busy = HttpIfBusy::UseFreePort;
    }
    apply(&written, &mut settings)?;
    Ok(settings)
}

/// The settings of `highwater serve`: Kafka's defaults, then the file, then the flags.
pub(crate) fn for_serve(args: ServeArgs) -> Result<Settings, Failure> {
    let (mut written, path) = match (&args.config, &args.properties) {
        (Some(path), _) => (collect(file::read(path)?)?, path),
        (None, Some(path)) => (collect(properties::read(path)?)?, path),
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    written.extend(collect(sets(args.sets))?);
    if !written.contains_key("log.dirs") {
        return Err(Failure {
            exit: Exit::Usage,
            what: "the configuration names no data directory".into(),
            place: path.display().to_string(),
            why: "log.dirs is not set, and a server must not guess where its data lives".into(),
            fix: "add a line such as: log.dirs = \"/var/lib/highwater\"".into(),
        });
    }
    let mut settings = defaults();
    settings.listen.host = "0.0.0.0".into();
    apply(&written, &mut settings)?;
    Ok(settings)
}

/// One for each core but one, which is left to the system: its network and its disks have work of their own to do.
fn shards_default() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores - 1).map_or(keys::SHARDS_MAX, |shards| shards.clamp(1, keys::SHARDS_MAX))
}

fn defaults() -> Settings {
    Settings {
        core: shard::Config { shards: shards_default(), ..shard::Config::default() },
        data_dir: Path::new("highwater-data").into(),
        listen: HostPort { host: "127.0.0.1".into(), port: 9092 },
        http: HostPort { host: "127.0.0.1".into(), port: 9644 },
        http_if_busy: HttpIfBusy::Fail,
        io: IoDriver::Auto,
        metrics: Limits {
            topics_max: 1_000,
            partitions_max: 10_000,
            groups: GroupLimits { groups_max: 1_000, offsets_max: 10_000 },
        },
        written: Vec::new(),
    }
}

fn sets(pairs: Vec<highwater_cli::Pair>) -> Vec<Entry> {
    pairs.into_iter().map(|pair| Entry { name: pair.key, text: pair.value, source: Source::Set }).collect()
}

/// What was written, under Kafka's own names.
type Entries = BTreeMap<&'static str, Entry>;

/// The setting of a broker that a name stands for: its own, another one of it, or that of the topics which it is the default of.
fn canonical(name: &str) -> Option<&'static Definition> {
    let name = Key::named(name).map_or(name, |key| key.name);
    let of_topics = || registry::defaults_of(Scope::Topic, name).first().copied();
    registry::find(Scope::Broker, name).or_else(|| registry::find(Scope::Broker, of_topics()?))
}

/// The entries by their keys' own names. Refuses unknown keys and keys that are said twice: which one holds would be a guess.
fn collect(entries: Vec<Entry>) -> Result<Entries, Failure> {
    let mut written: Entries = BTreeMap::new();
    for entry in entries {
        // Kafka's overrides for one listener; they are all of TLS and SASL.
        if entry.name.starts_with("listener.name.") {
            tracing::warn!(key = entry.name, place = %entry.source, "has no effect here: TLS and SASL are not served yet");
            continue;
        }
        let Some(known) = canonical(&entry.name) else { return Err(unknown(&entry)) };
        if let Some(first) = written.insert(known.name, entry.clone()) {
            return Err(Failure {
                exit: Exit::Usage,
                what: format!("{} is set twice", known.name),
                place: format!("{} and {}", first.source, entry.source),
                why: format!("it is \"{}\" in one and \"{}\" in the other", first.text, entry.text),
                fix: "keep one of them".into(),
            });
        }
    }
    Ok(written)
}

fn unknown(entry: &Entry) -> Failure {
    let fix = match nearest(&entry.name) {
        Some(name) => format!("did you mean {name}?"),
        None => "`highwater config explain` lists all settings".into(),
    };
    Failure {
        exit: Exit::Usage,
        what: format!("there is no setting {}", entry.name),
        place: entry.source.to_string(),
        why: "a setting that is silently ignored would be worse than this error".into(),
        fix,
    }
}

/// The name of a broker or a topic that is most like this one.
fn nearest(name: &str) -> Option<&'static str> {
    let known = registry::all(Scope::Broker).chain(registry::all(Scope::Topic));
    let alike = known.map(|known| (strsim::jaro_winkler(name, known.name), known.name));
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.8).map(|(_, name)| name)
}

fn apply(written: &Entries, settings: &mut Settings) -> Result<(), Failure> {
    for (name, entry) in written {
        let known = registry::find(Scope::Broker, name).expect("what is written was found there");
        let text = entry.text.trim();
        let key = Key::named(name);
        let text = match *name {
            "listeners" | "advertised.listeners" => &client_listener(written, text),
            _ => text,
        };
        let judged = match key {
            Some(key) => (key.set)(settings, text),
            None if registry::check(known, text) => Ok(()),
            None => Err(known.must_be()),
        };
        judged.map_err(|expected| Failure {
            exit: Exit::Usage,
            what: format!("{} cannot be \"{}\"", entry.name, entry.text),
            place: entry.source.to_string(),
            why: known.about.trim_end_matches('.').into(),
            fix: format!("give it {expected}"),
        })?;
        if let Standing::NoEffect(why) = known.standing {
            tracing::info!(key = *name, place = %entry.source, why, "a setting has no effect here");
        }
        settings.core.statics.insert((*name).into(), entry.text.trim().into());
        settings.written.push(Written {
            name: (*name).into(),
            value: entry.text.clone(),
            source: entry.source.to_string(),
        });
    }
    check_groups(written)
}

/// Whether the settings about groups go together.
fn check_groups(written: &Entries) -> Result<(), Failure> {
    let text = |known: &'static Definition| {
        let entry = written.get(known.name);
        entry.map_or(known.default.unwrap_or_default(), |entry| entry.text.trim())
    };
    let Some(clash) = registry::clash_of_groups(|known| text(known).parse().unwrap_or_default()) else {
        return Ok(());
    };
    let Clash { definition, must_be, other } = clash;
    let entry = written.get(definition.name).or_else(|| written.get(other.name));
    Err(Failure {
        exit: Exit::Usage,
        what: format!("{} cannot be \"{}\"", definition.name, text(definition)),
        place: entry.expect("the defaults go together").source.to_string(),
        why: format!("{} is \"{}\"", other.name, text(other)),
        fix: format!("it must be {must_be} {}", other.name),
    })
}

/// Of several listeners the one for clients: those of the controller are left out, and a name stands for its protocol.
fn client_listener(written: &Entries, text: &str) -> String {
    let said = |name: &str| written.get(name).map_or("", |entry| entry.text.as_str());
    let of_controller: Vec<&str> = registry::parse_list(said("controller.listener.names")).collect();
    let protocol = |name: &str| {
        let pairs = registry::parse_list(said("listener.security.protocol.map"));
        let mut pairs = pairs.filter_map(|pair| pair.split_once(':'));
        pairs
            .find(|(listener, _)| *listener == name)
            .map_or(name.to_owned(), |(_, protocol)| protocol.to_owned())
    };
    let left = registry::parse_list(text).filter_map(|listener| match listener.split_once("://") {
        Some((name, _)) if of_controller.contains(&name) => None,
        Some((name, rest)) => Some(format!("{}://{rest}", protocol(name))),
        None => Some(listener.to_owned()),
    });
    left.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
