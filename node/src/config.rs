//! What a node is told: settings under Kafka's names, from a TOML file and the command line, each with its source. Knows no broker.

mod file;
mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use highwater_cli::{Exit, Failure};
use highwater_core::shard;

use crate::cli::{DevArgs, ServeArgs};
use keys::{KEYS, Key};

/// Everything that a node needs to start.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) core: shard::Config,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: HostPort,
    pub(crate) http: HostPort,
    pub(crate) http_if_busy: HttpIfBusy,
    pub(crate) io: IoDriver,
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
    let written = collect(entries)?;
    let mut settings = defaults();
    if !written.contains_key("http.listen") {
        settings.http_if_busy = HttpIfBusy::UseFreePort;
    }
    apply(&written, &mut settings)?;
    Ok(settings)
}

/// The settings of `highwater serve`: Kafka's defaults, then the file, then the flags.
pub(crate) fn for_serve(args: ServeArgs) -> Result<Settings, Failure> {
    let mut written = collect(file::read(&args.config)?)?;
    written.extend(collect(sets(args.sets))?);
    if !written.contains_key("log.dirs") {
        return Err(Failure {
            exit: Exit::Usage,
            what: "the configuration names no data directory".into(),
            place: args.config.display().to_string(),
            why: "log.dirs is not set, and a server must not guess where its data lives".into(),
            fix: "add a line such as: log.dirs = \"/var/lib/highwater\"".into(),
        });
    }
    let mut settings = defaults();
    settings.listen.host = "0.0.0.0".into();
    apply(&written, &mut settings)?;
    Ok(settings)
}

fn defaults() -> Settings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Settings {
        core: shard::Config {
            shards: u16::try_from(cores).map_or(keys::SHARDS_MAX, |cores| cores.min(keys::SHARDS_MAX)),
            ..shard::Config::default()
        },
        data_dir: Path::new("highwater-data").into(),
        listen: HostPort { host: "127.0.0.1".into(), port: 9092 },
        http: HostPort { host: "127.0.0.1".into(), port: 9644 },
        http_if_busy: HttpIfBusy::Fail,
        io: IoDriver::Auto,
    }
}

fn sets(pairs: Vec<highwater_cli::Pair>) -> Vec<Entry> {
    pairs.into_iter().map(|pair| Entry { name: pair.key, text: pair.value, source: Source::Set }).collect()
}

/// The entries by their keys' own names. Refuses unknown keys and keys that are said twice: which one holds would be a guess.
fn collect(entries: Vec<Entry>) -> Result<BTreeMap<&'static str, Entry>, Failure> {
    let mut written: BTreeMap<&'static str, Entry> = BTreeMap::new();
    for entry in entries {
        let Some(key) = Key::named(&entry.name) else { return Err(unknown(&entry)) };
        if let Some(first) = written.insert(key.name, entry.clone()) {
            return Err(Failure {
                exit: Exit::Usage,
                what: format!("{} is set twice", key.name),
                place: format!("{} and {}", first.source, entry.source),
                why: format!("it is \"{}\" in one and \"{}\" in the other", first.text, entry.text),
                fix: "keep one of them".into(),
            });
        }
    }
    Ok(written)
}

fn unknown(entry: &Entry) -> Failure {
    let names = || KEYS.iter().flat_map(|key| [key.name].into_iter().chain(key.aliases.iter().copied()));
    let nearest = names()
        .map(|name| (strsim::jaro_winkler(&entry.name, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    let fix = match nearest {
        Some((_, name)) => format!("did you mean {name}?"),
        None => format!("the keys are: {}", names().collect::<Vec<_>>().join(", ")),
    };
    Failure {
        exit: Exit::Usage,
        what: format!("there is no setting {}", entry.name),
        place: entry.source.to_string(),
        why: "a setting that is silently ignored would be worse than this error".into(),
        fix,
    }
}

/// In the table's order, so that of several units for one thing the finest holds, as in Kafka.
fn apply(written: &BTreeMap<&'static str, Entry>, settings: &mut Settings) -> Result<(), Failure> {
    for key in KEYS {
        let Some(entry) = written.get(key.name) else { continue };
        (key.set)(settings, entry.text.trim()).map_err(|expected| Failure {
            exit: Exit::Usage,
            what: format!("{} cannot be \"{}\"", entry.name, entry.text),
            place: entry.source.to_string(),
            why: key.meaning.into(),
            fix: format!("give it {expected}"),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
