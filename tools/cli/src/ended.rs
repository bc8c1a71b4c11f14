//! Why a command ends before its end. Knows that a reader who goes away, as `head` does, is no failure.

use std::io;

use crate::failure::{Exit, Failure};

#[derive(Debug)]
pub(crate) enum Ended {
    /// Whoever read the output has enough.
    ReaderGone,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Ended {
    /// Of an error on standard output.
    pub(crate) fn by_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Failed(Failure {
            exit: Exit::Failed,
            what: "cannot write the output".into(),
            place: "standard output".into(),
            why: error.to_string(),
            fix: "check where standard output leads, and that there is room".into(),
        })
    }
}
