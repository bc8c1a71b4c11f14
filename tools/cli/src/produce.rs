//! `produce`: arguments or lines become records. Ends once each is acknowledged.

mod input;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use highwater_core::batch::{Codec, Header};
use highwater_core::client::{
    Acks, ClientConfig, ClientEvent, Idempotence, ProduceError, ProduceFailure, ProduceRecord, Token,
    TopicCreation, TopicPartition, Written,
};
use highwater_core::limits::BATCH_BYTES_MAX;

use self::input::Given;
use crate::args::{self, AcksArg, ProduceArgs};
use crate::context::Broker;
use crate::drive::{Drive, Step, Waker};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::partitioner;
use crate::session::client_config;
use crate::terminal::Progress;
use crate::words::Attempt;

/// Lines that are read ahead.
const LINES_MAX: usize = 1024;

pub(crate) fn run(args: &ProduceArgs, out: &mut impl Write) -> Result<(), Ended> {
    let broker = Broker::chosen(&args.broker)?;
    // Before anything is asked of a broker: a file that is not there is found out at once.
    let input = open(args)?;
    let mut drive = Drive::new(&config(args, &broker)?, broker.timeout);
    let partitions = drive.partitions(&args.topic)?;
    if let Some(partition) = args.partition.filter(|&partition| partition >= partitions) {
        return Err(no_such_partition(args, (partition, partitions)).into());
    }
    let mut total = None;
    let source = match input {
        Some(Input { from, reader, bytes }) => {
            let (lines, source) = sync_channel(LINES_MAX);
            let waker = drive.waker();
            thread::spawn(move || read_lines(reader, &lines, &waker));
            total = bytes;
            Source::Lines(source, from)
        }
        None => Source::Values(args.values.iter().map(|value| value.clone().into_bytes()).collect()),
    };
    let progress = Progress::new(total);
    let mut producing =
        Producing { args, partitions, source, waiting: None, sent: 0, acknowledged: 0, bytes: 0, progress };
    producing.run(&mut drive, out)?;
    let acknowledged = producing.acknowledged;
    drop(producing);
    if args.values.is_empty() {
        let plural = if acknowledged == 1 { "" } else { "s" };
        writeln!(out, "{acknowledged} record{plural} to {}", args.topic).map_err(Ended::by_output)?;
    }
    Ok(())
}

fn config(args: &ProduceArgs, broker: &Broker) -> Result<ClientConfig, Failure> {
    let mut config = client_config(broker)?;
    config.topic_creation = TopicCreation::Automatic;
    (config.producer.acks, config.producer.idempotence) = match args.acks {
        AcksArg::All => (Acks::All, Idempotence::On),
        AcksArg::Leader => (Acks::Leader, Idempotence::Off),
        AcksArg::None => (Acks::None, Idempotence::Off),
    };
    config.producer.compression = match args.compression {
        args::Codec::None => Codec::None,
        args::Codec::Gzip => Codec::Gzip,
        args::Codec::Snappy => Codec::Snappy,
        args::Codec::Lz4 => Codec::Lz4,
        args::Codec::Zstd => Codec::Zstd,
    };
    Ok(config)
}

/// Where lines come from.
struct Input {
    from: String,
    reader: Box<dyn BufRead + Send>,
    /// How many bytes there are, where that is known.
    bytes: Option<u64>,
}

/// `None` where the values are on the command line.
fn open(args: &ProduceArgs) -> Result<Option<Input>, Failure> {
    let Some(path) = &args.file else {
        let from = "standard input".into();
        let reader: Box<dyn BufRead + Send> = Box::new(BufReader::new(io::stdin()));
        return Ok(args.values.is_empty().then_some(Input { from, reader, bytes: None }));
    };
    let from = path.display().to_string();
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, _)) if metadata.is_dir() => Err(unreadable(&from, &io::ErrorKind::IsADirectory.into())),
        Ok((metadata, file)) => {
            let bytes = metadata.is_file().then_some(metadata.len());
            Ok(Some(Input { from, reader: Box::new(BufReader::new(file)), bytes }))
        }
        Err(error) => Err(unreadable(&from, &error)),
    }
}

enum Source {
    Values(VecDeque<Vec<u8>>),
    /// And what they are read from.
    Lines(Receiver<io::Result<Vec<u8>>>, String),
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
    /// Of all lines that were sent, their ends counted.
    bytes: u64,
    progress: Progress,
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
                    self.progress.at(self.acknowledged, self.bytes);
                    if let (Source::Values(_), Some(offset)) = (&self.source, receipt.offset) {
                        writeln!(out, "{} offset {offset}", self.args.topic).map_err(Ended::by_output)?;
                    }
                }
                Step::Event(
                    ClientEvent::Fetched(_)
                    | ClientEvent::FetchFailed { .. }
                    | ClientEvent::Answered { .. }
                    | ClientEvent::Member(_),
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
                Ok(()) => {
                    self.sent += 1;
                    self.bytes += line.len() as u64 + 1;
                }
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
            Source::Lines(lines, from) => match lines.try_recv() {
                Ok(Ok(line)) => Next::Line(line),
                Ok(Err(error)) => return Err(unreadable(from, &error).into()),
                Err(TryRecvError::Empty) => Next::Later,
                Err(TryRecvError::Disconnected) => Next::End,
            },
        })
    }

    fn produce(&self, drive: &mut Drive, line: &[u8]) -> Result<Result<(), ProduceError>, Failure> {
        let given = Given::read(self.args, line).map_err(|why| self.not_a_record(&why))?;
        let headers: Vec<Header<'_>> =
            given.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let key = given.key.as_deref();
        let chosen = || partitioner::partition(key, self.sent, self.partitions);
        let partition = self.args.partition.unwrap_or_else(chosen);
        let now = drive.now();
        let record = ProduceRecord {
            partition: TopicPartition::new(&self.args.topic, partition),
            timestamp: given.timestamp.unwrap_or(now.wall),
            key,
            value: given.value.as_deref(),
            headers: &headers,
        };
        Ok(drive.client.produce(now, Token(self.sent), &record))
    }

    fn not_a_record(&self, why: &str) -> Failure {
        let place = match &self.source {
            Source::Values(_) => "VALUE",
            Source::Lines(_, from) => from,
        };
        Failure {
            exit: Exit::Failed,
            what: format!("record {} cannot be read", self.sent + 1),
            place: place.into(),
            why: why.into(),
            fix: "mend it; see `highwater produce --help` for --key-separator, --null and --json".into(),
        }
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

/// Hands on each line without its end, until the end of input. The waker rings after each, and once at the end.
fn read_lines(mut input: impl BufRead, lines: &SyncSender<io::Result<Vec<u8>>>, waker: &Waker) {
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

fn unreadable(from: &str, error: &io::Error) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: "the input cannot be read".into(),
        place: from.into(),
        why: error.to_string(),
        fix: "check that it is there and may be read".into(),
    }
}
