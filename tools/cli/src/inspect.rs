//! `log inspect`: what a file of a data directory holds, from the file alone. Tells files apart; each kind has a reader of its own.

mod footer;
mod segment;
mod verify;
mod wal;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use crate::args::InspectArgs;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};

/// The kinds of files, by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Segment,
    Footer,
    Wal,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "log" => Some(Self::Segment),
            "footer" => Some(Self::Footer),
            "wal" => Some(Self::Wal),
            _ => None,
        }
    }
}

pub(crate) fn run(args: &InspectArgs, out: &mut impl Write) -> Result<(), Ended> {
    let path = args.file.as_path();
    if args.verify {
        return verify::run(path, args.output.output, out);
    }
    let kind = Kind::of(path).ok_or_else(|| no_such_kind(path))?;
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    if file.metadata().map_err(|error| unreadable(path, &error))?.is_dir() {
        return Err(unreadable(path, &std::io::ErrorKind::IsADirectory.into()).into());
    }
    match kind {
        Kind::Segment => {
            segment::run(&segment::Segment { path, records: args.records }, BufReader::new(file), out)
        }
        Kind::Footer => footer::run(path, BufReader::new(file), out),
        Kind::Wal => wal::run(path, BufReader::new(file), out),
    }
}

fn no_such_kind(path: &Path) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "this is no file that can be inspected".into(),
        place: path.display().to_string(),
        why: "the name ends neither in .log nor in .footer nor in .wal".into(),
        fix: "give it a segment, such as highwater-data/partitions/TOPIC-0/00000000000000000000.log, its footer, or a file of the write-ahead log, such as highwater-data/wal/STREAM/0.wal".into(),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: "the file cannot be read".into(),
        place: path.display().to_string(),
        why: error.to_string(),
        fix: "check the path and the rights on it".into(),
    }
}
