//! `topic offsets`: where partitions begin and end, where the newest record is, and what a time leads to.

use std::collections::BTreeMap;
use std::io::Write;

use highwater_core::client::{ListedOffset, OffsetAt, TopicPartition};
use serde_json::{Value, json};

use crate::args::TopicOffsetsArgs;
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::Failure;
use crate::output::{self, column};
use crate::session::connect;
use crate::when;
use crate::words::Attempt;

pub(super) fn run(args: &TopicOffsetsArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let partitions = drive.all_partitions(&names)?;
    let earliest = known(&mut drive, &partitions, OffsetAt::Earliest)?;
    let latest = known(&mut drive, &partitions, OffsetAt::Latest)?;
    let newest = known(&mut drive, &partitions, OffsetAt::MaxTimestamp)?;
    let at = args.at.map(|time| known(&mut drive, &partitions, OffsetAt::Time(time))).transpose()?;
    let rows: Vec<Value> = partitions
        .iter()
        .map(|partition| {
            let offset = |of: &Known| of[partition].offset.map(|offset| offset.0);
            let time = |of: &Known| of[partition].timestamp.map(when::show);
            let mut row = json!({
                "topic": &*partition.topic,
                "partition": partition.index,
                "earliest": offset(&earliest),
                "latest": offset(&latest),
                "records_at_most": offset(&latest).zip(offset(&earliest)).map(|(end, start)| end - start),
                "newest": offset(&newest),
                "newest_time": time(&newest),
            });
            if let Some(at) = &at {
                row["at"] = json!(offset(at));
                row["at_time"] = json!(time(at));
            }
            row
        })
        .collect();
    let mut columns = vec![
        column("TOPIC", "topic"),
        column("PARTITION", "partition"),
        column("EARLIEST", "earliest"),
        column("LATEST", "latest"),
        column("NEWEST", "newest"),
        column("NEWEST TIME", "newest_time"),
    ];
    if args.at.is_some() {
        columns.extend([column("AT", "at"), column("AT TIME", "at_time")]);
    }
    output::rows(args.output.output, &columns, &rows, out)
}

pub(super) type Known = BTreeMap<TopicPartition, ListedOffset>;

/// The offsets of all partitions, or the first failure.
pub(super) fn known(
    drive: &mut Drive,
    partitions: &[TopicPartition],
    at: OffsetAt,
) -> Result<Known, Failure> {
    let mut known = Known::new();
    for (partition, listed) in drive.offsets(partitions, at)? {
        let place = format!("{}, partition {}", partition.topic, partition.index);
        let attempt = Attempt { what: "cannot find the offsets", place: &place, message: None };
        known.insert(partition, listed.map_err(|error| attempt.failed(error))?);
    }
    Ok(known)
}
