//! `consume`: prints records as they come, until told to stop.

mod group;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use highwater_core::batch::{Record, Scratch};
use highwater_core::client::{
    ClientError, ClientEvent, Fetched, OffsetAt, ResetPolicy, StartAt, TopicCreation, TopicPartition,
};
use highwater_core::id::Offset;

use crate::args::{ConsumeArgs, From, Until};
use crate::context::Broker;
use crate::drive::{Drive, Step};
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::format;
use crate::record::Consumed;
use crate::session::client_config;
use crate::terminal::Progress;
use crate::when;
use crate::words::Attempt;

pub(crate) fn run(args: &ConsumeArgs, out: &mut impl Write) -> Result<(), Ended> {
    let broker = Broker::chosen(&args.broker)?;
    let mut config = client_config(&broker)?;
    config.topic_creation = TopicCreation::Automatic;
    config.consumer.out_of_range = ResetPolicy::Fail;
    let mut drive = Drive::new(&config, broker.timeout);
    if let Some(group) = &args.group {
        return group::run(args, group, &mut drive, out);
    }
    let partitions = wanted(args, &mut drive)?;
    let attempt = Attempt { what: "cannot read the topic", place: &args.topic, message: None };
    let bounds = bounds(args, &partitions, &mut drive)?;
    let starts = starts(args.from, &partitions, &mut drive)?;
    let now = drive.now();
    for (partition, start) in starts {
        drive.client.assign(now, partition, start);
    }
    let mut reading = Reading { bounds, partitions: &partitions };
    let mut printer = Printer::new(args);
    loop {
        // The client is ahead of what it has handed out: the end is reached once it also has nothing left to hand out.
        let at_end = reading.is_at_end(&drive);
        let patience = if at_end { Duration::ZERO } else { Duration::from_millis(100) };
        match drive.step(Some(Instant::now() + patience))? {
            Step::Late if at_end => return Ok(()),
            Step::Event(ClientEvent::Fetched(fetched)) => {
                printer.print(&fetched, reading.bound(&fetched.partition), out)?;
                out.flush().map_err(Ended::by_output)?;
                reading.on_fetched(&fetched, &mut drive);
                if printer.left == Some(0) {
                    return Ok(());
                }
            }
            Step::Event(ClientEvent::FetchFailed { partition, error }) if !error.is_retriable() => {
                let place = format!("{}, partition {}", partition.topic, partition.index);
                return Err(Attempt { place: &place, ..attempt }.failed(error).into());
            }
            Step::Event(
                ClientEvent::FetchFailed { .. }
                | ClientEvent::Produced { .. }
                | ClientEvent::Answered { .. }
                | ClientEvent::Member(_),
            )
            | Step::Woken
            | Step::Late => {}
        }
    }
}

fn wanted(args: &ConsumeArgs, drive: &mut Drive) -> Result<Vec<TopicPartition>, Failure> {
    let count = drive.partitions(&args.topic)?;
    let mut indexes: Vec<i32> =
        if args.partitions.is_empty() { (0..count).collect() } else { args.partitions.clone() };
    indexes.sort_unstable();
    indexes.dedup();
    if let Some(index) = indexes.iter().find(|&&index| index >= count) {
        let message = format!("it has {count} partitions, counted from 0, and {index} is none of them");
        let missing = ClientError::Broker(highwater_core::wire::ErrorCode::UnknownTopicOrPartition);
        let attempt = Attempt { what: "cannot read the topic", place: &args.topic, message: Some(&message) };
        return Err(attempt.failed(missing));
    }
    Ok(indexes.into_iter().map(|index| TopicPartition::new(&args.topic, index)).collect())
}

/// The offset of each partition that is asked for; `None` where no record is meant.
fn found(
    drive: &mut Drive,
    partitions: &[TopicPartition],
    at: OffsetAt,
) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Failure> {
    let listed = drive.offsets(partitions, at)?.into_iter().map(|(partition, listed)| {
        let place = format!("{}, partition {}", partition.topic, partition.index);
        let attempt = Attempt { what: "cannot find the offsets", place: &place, message: None };
        listed
            .map(|listed| listed.offset)
            .map_err(|error| attempt.failed(error))
            .map(|offset| (partition, offset))
    });
    listed.collect()
}

fn starts(
    from: From,
    partitions: &[TopicPartition],
    drive: &mut Drive,
) -> Result<Vec<(TopicPartition, StartAt)>, Failure> {
    let same = |start: StartAt| partitions.iter().map(|partition| (partition.clone(), start)).collect();
    let back = match from {
        From::Beginning => return Ok(same(StartAt::Earliest)),
        From::End => return Ok(same(StartAt::Latest)),
        From::At(offset) => return Ok(same(StartAt::Offset(Offset(offset)))),
        From::Time(time) => return Ok(same(StartAt::Timestamp(time))),
        From::Last(back) => back,
    };
    let earliest = found(drive, partitions, OffsetAt::Earliest)?;
    let latest = found(drive, partitions, OffsetAt::Latest)?;
    let number = |offset: Option<Offset>| offset.map_or(0, |offset| offset.0);
    let starts = partitions.iter().map(|partition| {
        let start = number(latest[partition]).saturating_sub(back).max(number(earliest[partition]));
        (partition.clone(), StartAt::Offset(Offset(start)))
    });
    Ok(starts.collect())
}

/// Before which offset each partition is read; none means for ever.
fn bounds(
    args: &ConsumeArgs,
    partitions: &[TopicPartition],
    drive: &mut Drive,
) -> Result<Option<BTreeMap<TopicPartition, Offset>>, Failure> {
    let until = if args.exit_at_end { Some(Until::End) } else { args.until };
    let Some(until) = until else { return Ok(None) };
    if let Until::At(offset) = until {
        return Ok(Some(partitions.iter().map(|partition| (partition.clone(), Offset(offset))).collect()));
    }
    let mut bounds = BTreeMap::new();
    for (partition, end) in found(drive, partitions, OffsetAt::Latest)? {
        bounds.insert(partition, end.unwrap_or(Offset::ZERO));
    }
    if let Until::Time(time) = until {
        if time > when::now() {
            return Err(not_yet(&when::show(time)));
        }
        for (partition, offset) in found(drive, partitions, OffsetAt::Time(time))? {
            // Where no record is as late as that, all of them are wanted.
            if let Some(offset) = offset {
                bounds.insert(partition, offset);
            }
        }
    }
    Ok(Some(bounds))
}

fn not_yet(time: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "this time is still to come".into(),
        place: format!("--until {time}"),
        why: "which records will be before it nobody can say".into(),
        fix: "give a time that is past, or leave --until out and stop by hand".into(),
    }
}

/// How far the reading is.
struct Reading<'a> {
    partitions: &'a [TopicPartition],
    bounds: Option<BTreeMap<TopicPartition, Offset>>,
}

impl Reading<'_> {
    fn bound(&self, partition: &TopicPartition) -> Option<Offset> {
        self.bounds.as_ref()?.get(partition).copied()
    }

    /// A partition that has been read to its bound is read no more.
    fn on_fetched(&mut self, fetched: &Fetched, drive: &mut Drive) {
        if self.bound(&fetched.partition).is_some_and(|bound| fetched.next >= bound) {
            drive.client.unassign(&fetched.partition);
            if let Some(bounds) = &mut self.bounds {
                // It has no position any more, and is at its end whatever that is.
                bounds.insert(fetched.partition.clone(), DONE);
            }
        }
    }

    fn is_at_end(&self, drive: &Drive) -> bool {
        let Some(bounds) = &self.bounds else { return false };
        let is_done = |partition: &TopicPartition| {
            let bound = bounds[partition];
            bound == DONE || drive.client.position(partition).is_some_and(|position| position >= bound)
        };
        self.partitions.iter().all(is_done)
    }
}

/// The bound of what is read up to its bound.
const DONE: Offset = Offset(-1);

struct Printer<'a> {
    args: &'a ConsumeArgs,
    /// How many more; `None` is without end.
    left: Option<u64>,
    /// The last record that was printed or passed over.
    last: Option<Offset>,
    scratch: Scratch,
    seen: u64,
    bytes: u64,
    progress: Progress,
}

impl<'a> Printer<'a> {
    fn new(args: &'a ConsumeArgs) -> Self {
        let progress = Progress::beside_output();
        Self { args, left: args.count, last: None, scratch: Scratch::new(), seen: 0, bytes: 0, progress }
    }

    fn print(&mut self, fetched: &Fetched, bound: Option<Offset>, out: &mut impl Write) -> Result<(), Ended> {
        let Self { args, left, last, scratch, seen, bytes, .. } = self;
        *bytes += fetched.batches.len() as u64;
        let mut written = Ok(());
        let visited = fetched.visit(scratch, |record| {
            let over = *left == Some(0) || bound.is_some_and(|bound| record.offset >= bound);
            if over || written.is_err() {
                return;
            }
            *seen += 1;
            *last = Some(record.offset);
            if !is_wanted(args, record) {
                return;
            }
            *left = left.map(|left| left - 1);
            let consumed = Consumed {
                topic: &fetched.partition.topic,
                partition: fetched.partition.index,
                record: *record,
            };
            written = if args.json {
                format::write_json(&consumed, out)
            } else {
                args.format.write(&consumed, out)
            };
        });
        self.progress.at(self.seen, self.bytes);
        written.map_err(Ended::by_output)?;
        visited.map_err(|error| {
            let place = format!("{}, partition {}", fetched.partition.topic, fetched.partition.index);
            let message = error.to_string();
            let attempt =
                Attempt { what: "cannot read a record batch", place: &place, message: Some(&message) };
            attempt.failed(ClientError::CorruptBatch).into()
        })
    }
}

/// Whether key and value match what they must match. Null matches nothing.
fn is_wanted(args: &ConsumeArgs, record: &Record<'_>) -> bool {
    let matches = |regex: &Option<regex::bytes::Regex>, bytes: Option<&[u8]>| {
        regex.as_ref().is_none_or(|regex| bytes.is_some_and(|bytes| regex.is_match(bytes)))
    };
    matches(&args.grep, record.value) && matches(&args.grep_key, record.key)
}
