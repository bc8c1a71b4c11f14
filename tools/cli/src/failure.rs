//! How a command ends badly: what, where, why, the fix, and the exit code. Owns the words' shape, not the words.

use std::fmt;

/// The exit codes besides 0, as `--help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command could not do what it was asked.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// The node answers, but it cannot serve.
    Unhealthy,
    /// No answer in time.
    Timeout,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unhealthy => 3,
            Self::Timeout => 4,
        }
    }
}

/// One failure in the words of its user. Every field is a sentence without its full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// What did not work.
    pub what: String,
    /// The file, address, flag or key that it concerns.
    pub place: String,
    /// What was found there.
    pub why: String,
    /// What to do next.
    pub fix: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  where: {}", self.place)?;
        writeln!(f, "  why:   {}", self.why)?;
        write!(f, "  fix:   {}", self.fix)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure};

    #[test]
    fn failure_says_what_where_why_and_the_fix() {
        let failure = Failure {
            exit: Exit::Failed,
            what: "cannot listen".into(),
            place: "127.0.0.1:9092".into(),
            why: "the port is taken".into(),
            fix: "choose another".into(),
        };
        let text = failure.to_string();
        assert_eq!(
            text,
            "cannot listen\n  where: 127.0.0.1:9092\n  why:   the port is taken\n  fix:   choose another"
        );
        assert_eq!(failure.exit.code(), 1);
    }
}
