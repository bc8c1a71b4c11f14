//! `produce`: arguments or lines become records. Ends once each is acknowledged.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use highwater_core::batch::Header;
use highwater_core::client::{
    ClientEvent, ProduceError, ProduceFailure, ProduceRecord, Token, TopicPartition, Written,
};
use highwater_core::limits::BATCH_BYTES_MAX;

use crate::args::ProduceArgs;
use crate::drive::{Drive, Step, Waker};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::partitioner;
use crate::session::connect;
use crate::words::Attempt;

/// Lines that are read ahead.
const LINES_MAX: usize = 1024;

pub(crate) fn run(args: &ProduceArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let partitions = drive.partitions(&args.topic)?;
    if let Some(partition) = args.partition.filter(|&partition| partition >= partitions) {
        return Err(no_such_partition(args, (partition, partitions)).into());
    }
    let source = if args.values.is_empty() {
        let (lines, source) = sync_channel(LINES_MAX);
        let waker = drive.waker();
        thread::spawn(move || read_lines(&lines, &waker));
        Source::Lines(source)
    } else {
        Source::Values(args.values.iter().map(|value| value.clone().into_bytes()).collect())
    };
    let mut producing = Producing { args, partitions, source, waiting: None, sent: 0, acknowledged: 0 };
    producing.run(&mut drive, out)?;
    if args.values.is_empty() {
        let plural = if producing.acknowledged == 1 { "" } else { "s" };
        writeln!(out, "{} record{plural} to {}", producing.acknowledged, args.topic)
            .map_err(Ended::by_output)?;
    }
    Ok(())
}

enum Source {
    Values(VecDeque<Vec<u8>>),
    Lines(Receiver<io::Result<Vec<u8>>>),
}

enum Next {
    Line(Vec<u8>),
    /// Not yet: a wake comes with it.
    Later,
    End,
}

struct Producing<'a> {
    args: &'a ProduceArgs,
    partitions: i32,
    source: Source,
    /// Read, and not taken by the client yet.
    waiting: Option<Vec<u8>>,
    sent: u64,
    acknowledged: u64,
}

impl Producing<'_> {
    fn run(&mut self, drive: &mut Drive, out: &mut impl Write) -> Result<(), Ended> {
        loop {
            let ended = self.offer(drive)?;
            if ended && self.acknowledged == self.sent {
                return Ok(());
            }
            match drive.step(None)? {
                Step::Event(ClientEvent::Produced { result, .. }) => {
                    let receipt = result.map_err(|failure| self.failed(failure))?;
                    self.acknowledged += 1;
                    if let (Source::Values(_), Some(offset)) = (&self.source, receipt.offset) {
                        writeln!(out, "{} offset {offset}", self.args.topic).map_err(Ended::by_output)?;
                    }
                }
                Step::Event(
                    ClientEvent::Fetched(_) | ClientEvent::FetchFailed { .. } | ClientEvent::Answered { .. },
                )
                | Step::Woken
                | Step::Late => {}
            }
        }
    }

    /// Gives the client as many records as it takes; whether there are no more.
    fn offer(&mut self, drive: &mut Drive) -> Result<bool, Ended> {
        loop {
            let line = match self.waiting.take() {
                Some(line) => line,
                None => match self.next()? {
                    Next::Line(line) => line,
                    Next::Later => return Ok(false),
                    Next::End => return Ok(true),
                },
            };
            match self.produce(drive, &line)? {
                Ok(()) => self.sent += 1,
                Err(ProduceError::Full) => {
                    self.waiting = Some(line);
                    return Ok(false);
                }
                Err(ProduceError::TooLarge) => return Err(too_large(self.args, self.sent).into()),
            }
        }
    }

    fn next(&mut self) -> Result<Next, Ended> {
        Ok(match &mut self.source {
            Source::Values(values) => values.pop_front().map_or(Next::End, Next::Line),
            Source::Lines(lines) => match lines.try_recv() {
                Ok(Ok(line)) => Next::Line(line),
                Ok(Err(error)) => return Err(unreadable(&error).into()),
                Err(TryRecvError::Empty) => Next::Later,
                Err(TryRecvError::Disconnected) => Next::End,
            },
        })
    }

    fn produce(&self, drive: &mut Drive, line: &[u8]) -> Result<Result<(), ProduceError>, Failure> {
        let (key, value) = match &self.args.key_separator {
            None => (self.args.key.as_deref().map(str::as_bytes), line),
            Some(separator) => {
                let (key, value) =
                    split(line, separator.as_bytes()).ok_or_else(|| no_separator(separator, self.sent))?;
                (Some(key), value)
            }
        };
        let headers: Vec<Header<'_>> = (self.args.headers.iter())
            .map(|pair| Header { key: pair.key.as_bytes(), value: Some(pair.value.as_bytes()) })
            .collect();
        let chosen = || partitioner::partition(key, self.sent, self.partitions);
        let partition = self.args.partition.unwrap_or_else(chosen);
        let now = drive.now();
        let record = ProduceRecord {
            partition: TopicPartition::new(&self.args.topic, partition),
            timestamp: now.wall,
            key,
            value: Some(value),
            headers: &headers,
        };
        Ok(drive.client.produce(now, Token(self.sent), &record))
    }

    fn failed(&self, failure: ProduceFailure) -> Failure {
        let acknowledged = self.acknowledged;
        let message = match failure.written {
            Written::No => format!("{acknowledged} records were acknowledged before it"),
            Written::Perhaps => {
                format!(
                    "{acknowledged} records were acknowledged before it; it may be in the log nevertheless"
                )
            }
        };
        let attempt = Attempt {
            what: "a record was not acknowledged",
            place: &self.args.topic,
            message: Some(&message),
        };
        attempt.failed(failure.error)
    }
}

fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len().max(1)).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

/// Hands on each line without its end, until the end of input. The waker rings after each, and once at the end.
fn read_lines(lines: &SyncSender<io::Result<Vec<u8>>>, waker: &Waker) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let result = input.by_ref().take(BATCH_BYTES_MAX as u64).read_until(b'\n', &mut line);
        let last = match result {
            Ok(0) => break,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                lines.send(Ok(line)).is_err()
            }
            Err(error) => {
                // Whoever wanted lines is gone.
                let _ = lines.send(Err(error));
                true
            }
        };
        waker.wake();
        if last {
            return;
        }
    }
    waker.wake();
}

fn no_such_partition(args: &ProduceArgs, (partition, partitions): (i32, i32)) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("there is no partition {partition}"),
        place: args.topic.clone(),
        why: format!("the topic has {partitions} partitions, counted from 0"),
        fix: "leave --partition out, or choose one that exists".into(),
    }
}

fn too_large(args: &ProduceArgs, place: u64) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("record {} is too large", place + 1),
        place: args.topic.clone(),
        why: format!("no record batch may have more than {BATCH_BYTES_MAX} bytes"),
        fix: "send smaller records".into(),
    }
}

fn no_separator(separator: &str, place: u64) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("record {} has no key", place + 1),
        place: "the input".into(),
        why: format!("the separator \"{separator}\" is not in it"),
        fix: "give each record as KEY, separator, VALUE, or leave --key-separator out".into(),
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: "the input cannot be read".into(),
        place: "standard input".into(),
        why: error.to_string(),
        fix: "check where standard input comes from".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn split_takes_the_first_separator() {
        assert_eq!(split(b"a::b::c", b"::"), Some((&b"a"[..], &b"b::c"[..])));
        assert_eq!(split(b"abc", b"::"), None);
        assert_eq!(split(b"", b":"), None);
        assert_eq!(split(b"abc", b""), None);
    }
}
