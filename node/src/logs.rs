//! Where log lines go and how they look: for people on a terminal, JSON elsewhere, always on standard error; the newest stay in
//! memory as well. Owns the levels of the loggers, which may change while the node runs.

mod ring;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex};

use highwater_cli::{Exit, Failure};
use highwater_core::config::{LOGGER_ROOT, LOGGERS, LogLevel};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use self::ring::Ring;

pub(crate) const CONNECTION: &str = "highwater.connection";
pub(crate) const GROUP: &str = "highwater.group";
pub(crate) const HTTP: &str = "highwater.http";
pub(crate) const LOG: &str = "highwater.log";
pub(crate) const METADATA: &str = "highwater.metadata";
pub(crate) const NODE: &str = "highwater.node";
pub(crate) const RECOVERY: &str = "highwater.recovery";
pub(crate) const REQUEST: &str = "highwater.request";
pub(crate) const STORAGE: &str = "highwater.storage";

/// What the node keeps of its log: levels that can be changed and the newest lines.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    pub(crate) loggers: Arc<Loggers>,
    pub(crate) ring: Ring,
}

/// The loggers and their levels.
pub(crate) struct Loggers {
    state: Mutex<State>,
    /// Puts a filter in force.
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

#[derive(Debug)]
struct State {
    /// What the command line or the environment asked for.
    asked: Targets,
    set: BTreeMap<&'static str, LogLevel>,
}

impl Loggers {
    fn new(asked: Targets, apply: Box<dyn Fn(Targets) + Send + Sync>) -> Self {
        Self { state: Mutex::new(State { asked, set: BTreeMap::new() }), apply }
    }

    /// Gives a logger a level. Which one it has is decided by the core, which knows of all that was asked for.
    pub(crate) fn set(&self, logger: &'static str, level: LogLevel) {
        let mut state = self.state.lock().expect("no thread panics while it holds the levels");
        state.set.insert(logger, level);
        (self.apply)(state.targets());
    }

    /// Every logger with the level that is in force.
    pub(crate) fn levels(&self) -> Vec<(&'static str, LogLevel)> {
        let state = self.state.lock().expect("no thread panics while it holds the levels");
        let targets = state.targets();
        LOGGERS.iter().map(|name| (*name, level_of(&targets, name))).collect()
    }

    /// The level of the root, and of every logger that has another one.
    pub(crate) fn own_levels(&self) -> BTreeMap<&'static str, LogLevel> {
        let mut levels: BTreeMap<_, _> = self.levels().into_iter().collect();
        let root = levels[LOGGER_ROOT];
        levels.retain(|name, level| *name == LOGGER_ROOT || *level != root);
        levels
    }
}

impl State {
    fn targets(&self) -> Targets {
        self.set.iter().fold(self.asked.clone(), |targets, (name, level)| {
            let level = filter_of(*level);
            if *name == LOGGER_ROOT { targets.with_default(level) } else { targets.with_target(*name, level) }
        })
    }
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loggers").field(&self.state).finish()
    }
}

fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Fatal => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn level_of(targets: &Targets, logger: &str) -> LogLevel {
    let most = |level: &LogLevel| {
        let Some(level) = filter_of(*level).into_level() else { return true };
        targets.would_enable(logger, &level)
    };
    LogLevel::ALL.into_iter().rev().find(most).expect("nothing is always enabled")
}

/// Begins logging. `filter` goes before `RUST_LOG`, and without either info is logged.
pub(crate) fn init(filter: Option<&str>) -> Result<Logs, Failure> {
    let from_env = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (text, place) = match (filter, &from_env) {
        (Some(text), _) => (text, "--log"),
        (None, Some(text)) => (text.as_str(), "RUST_LOG"),
        (None, None) => ("info", "the default"),
    };
    let asked: Targets = text.parse().map_err(|error: ParseError| Failure {
        exit: Exit::Usage,
        what: format!("\"{text}\" is no log filter"),
        place: place.into(),
        why: error.to_string(),
        fix: "give a level (error, warn, info, debug, trace) or targets with levels, such as warn,highwater=debug".into(),
    })?;
    let (filter, handle) = reload::Layer::new(asked.clone());
    let ring = Ring::default();
    let kept = tracing_subscriber::fmt::layer()
        .with_writer(ring.clone())
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    let registry = tracing_subscriber::registry().with(filter).with(kept);
    // A closed standard error must not end the node: lines that cannot be written are dropped in silence.
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    if io::stderr().is_terminal() {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        registry.with(layer.with_target(false).with_ansi(colours)).init();
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    }
    let apply = move |targets| handle.reload(targets).expect("the subscriber lives as long as the process");
    Ok(Logs { loggers: Arc::new(Loggers::new(asked, Box::new(apply))), ring })
}

#[cfg(test)]
impl Logs {
    /// Logs that nobody writes to.
    pub(crate) fn detached() -> Self {
        let asked = Targets::new().with_default(LevelFilter::INFO);
        Self { loggers: Arc::new(Loggers::new(asked, Box::new(|_| {}))), ring: Ring::default() }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn every_target_is_a_logger() {
        let targets = [CONNECTION, GROUP, HTTP, LOG, METADATA, NODE, RECOVERY, REQUEST, STORAGE];
        assert_eq!(LOGGERS[1..], targets);
    }

    #[test]
    fn levels_change() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let seen = Arc::clone(&applied);
        let asked: Targets = "warn,highwater.log=debug".parse().unwrap();
        let loggers = Loggers::new(asked, Box::new(move |targets| *seen.lock().unwrap() = targets));
        let enabled = |target: &str, level: Level| applied.lock().unwrap().would_enable(target, &level);
        let level = |name| *loggers.levels().iter().find(|(logger, _)| *logger == name).unwrap();
        assert_eq!(level(LOG), (LOG, LogLevel::Debug));
        assert_eq!(level(LOGGER_ROOT), (LOGGER_ROOT, LogLevel::Warn));
        let own = [(LOG, LogLevel::Debug), (LOGGER_ROOT, LogLevel::Warn)];
        assert_eq!(loggers.own_levels(), BTreeMap::from(own));
        loggers.set(STORAGE, LogLevel::Trace);
        assert!(enabled(STORAGE, Level::TRACE) && !enabled(NODE, Level::INFO));
        loggers.set(LOGGER_ROOT, LogLevel::Info);
        assert!(enabled(NODE, Level::INFO) && !enabled(NODE, Level::DEBUG));
        loggers.set(LOG, LogLevel::Fatal);
        assert!(!enabled(LOG, Level::ERROR));
        assert_eq!(level(LOG), (LOG, LogLevel::Fatal));
    }
}
