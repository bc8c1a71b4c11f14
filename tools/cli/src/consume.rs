//! `consume`: prints records as they come, until told to stop.

use std::io::Write;
use std::time::{Duration, Instant};

use highwater_core::batch::Scratch;
use highwater_core::client::{ClientError, ClientEvent, Fetched, ResetPolicy, StartAt, TopicPartition};
use highwater_core::id::Offset;

use crate::args::{ConsumeArgs, From};
use crate::drive::{Drive, Step};
use crate::ended::Ended;
use crate::format;
use crate::record::Consumed;
use crate::session::client_config;
use crate::words::Attempt;

pub(crate) fn run(args: &ConsumeArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut config = client_config(&args.broker)?;
    config.consumer.out_of_range = ResetPolicy::Fail;
    let mut drive = Drive::new(&config, Duration::from_secs(args.broker.timeout));
    let count = drive.partitions(&args.topic)?;
    let mut indexes: Vec<i32> =
        if args.partitions.is_empty() { (0..count).collect() } else { args.partitions.clone() };
    indexes.sort_unstable();
    indexes.dedup();
    let attempt = Attempt { what: "cannot read the topic", place: &args.topic, message: None };
    if let Some(index) = indexes.iter().find(|&&index| index >= count) {
        let message = format!("it has {count} partitions, counted from 0, and {index} is none of them");
        let missing = ClientError::Broker(highwater_core::wire::ErrorCode::UnknownTopicOrPartition);
        return Err(Attempt { message: Some(&message), ..attempt }.failed(missing).into());
    }
    let partitions: Vec<TopicPartition> =
        indexes.into_iter().map(|index| TopicPartition::new(&args.topic, index)).collect();
    let ends = if args.exit_at_end { Some(ends(&mut drive, &partitions)?) } else { None };
    let start = match args.from {
        From::Beginning => StartAt::Earliest,
        From::End => StartAt::Latest,
        From::At(offset) => StartAt::Offset(Offset(offset)),
    };
    let now = drive.now();
    for partition in &partitions {
        drive.client.assign(now, partition.clone(), start);
    }
    let mut printer = Printer { args, left: args.count, scratch: Scratch::new() };
    loop {
        // The client is ahead of what it has handed out: the end is reached once it also has nothing left to hand out.
        let at_end = is_at_end(&drive, &partitions, ends.as_deref());
        let patience = if at_end { Duration::ZERO } else { Duration::from_millis(100) };
        match drive.step(Some(Instant::now() + patience))? {
            Step::Late if at_end => return Ok(()),
            Step::Event(ClientEvent::Fetched(fetched)) => {
                printer.print(&fetched, out)?;
                out.flush().map_err(Ended::by_output)?;
                if printer.left == Some(0) {
                    return Ok(());
                }
            }
            Step::Event(ClientEvent::FetchFailed { partition, error }) if !error.is_retriable() => {
                let place = format!("{}, partition {}", partition.topic, partition.index);
                return Err(Attempt { place: &place, ..attempt }.failed(error).into());
            }
            Step::Event(
                ClientEvent::FetchFailed { .. } | ClientEvent::Produced { .. } | ClientEvent::Answered { .. },
            )
            | Step::Woken
            | Step::Late => {}
        }
    }
}

/// Where each partition ends now. What is written later is not waited for.
fn ends(drive: &mut Drive, partitions: &[TopicPartition]) -> Result<Vec<Offset>, Ended> {
    let (now, until) = (drive.now(), drive.patience());
    for partition in partitions {
        drive.client.assign(now, partition.clone(), StartAt::Latest);
    }
    loop {
        let known: Option<Vec<Offset>> = partitions.iter().map(|p| drive.client.position(p)).collect();
        if let Some(ends) = known {
            return Ok(ends);
        }
        if Instant::now() >= until {
            return Err(drive.late("cannot find the end of the topic").into());
        }
        drive.step(Some(until.min(Instant::now() + Duration::from_millis(10))))?;
    }
}

fn is_at_end(drive: &Drive, partitions: &[TopicPartition], ends: Option<&[Offset]>) -> bool {
    let Some(ends) = ends else { return false };
    partitions.iter().zip(ends).all(|(partition, end)| drive.client.position(partition) >= Some(*end))
}

struct Printer<'a> {
    args: &'a ConsumeArgs,
    /// How many more; `None` is without end.
    left: Option<u64>,
    scratch: Scratch,
}

impl Printer<'_> {
    fn print(&mut self, fetched: &Fetched, out: &mut impl Write) -> Result<(), Ended> {
        let Self { args, left, scratch } = self;
        let mut written = Ok(());
        let visited = fetched.visit(scratch, |record| {
            if *left == Some(0) || written.is_err() {
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
