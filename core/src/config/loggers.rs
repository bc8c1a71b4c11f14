//! Names and levels of loggers, as BROKER_LOGGER resources carry them. Who writes the lines is the node's business.

/// The logger that all others follow until they are given a level of their own.
pub const LOGGER_ROOT: &str = "root";

/// Every logger: the root, then the parts of a node.
pub const LOGGERS: &[&str] = &[
    LOGGER_ROOT,
    "highwater.connection",
    "highwater.group",
    "highwater.http",
    "highwater.log",
    "highwater.metadata",
    "highwater.node",
    "highwater.recovery",
    "highwater.request",
    "highwater.storage",
];

/// How much a logger says, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Kafka's name for less than `Error`; nothing is logged at it.
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const ALL: [Self; 6] = [Self::Fatal, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Kafka's name of the level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The level of a name in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loggers_are_sorted_behind_the_root() {
        assert_eq!(LOGGERS[0], LOGGER_ROOT);
        assert!(LOGGERS[1..].is_sorted());
    }

    #[test]
    fn level_is_found_by_its_name() {
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::named(&level.name().to_lowercase()), Some(level));
        }
        assert_eq!(LogLevel::named("LOUD"), None);
    }
}
