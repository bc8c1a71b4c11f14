//! `topic trim`: deletes the oldest records. Shows what would go before anything goes.

use std::io::Write;

use highwater_core::client::{ListedOffset, OffsetAt, TopicPartition};
use highwater_core::id::Offset;
use serde_json::{Value, json};

use super::offsets::known;
use crate::args::{Before, TopicTrimArgs};
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::{self, column};
use crate::session::connect;
use crate::terminal::{Consent, consent};
use crate::words::Attempt;

/// What is to become of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    partition: TopicPartition,
    start: i64,
    end: i64,
    before: i64,
}

pub(super) fn run(args: &TopicTrimArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let mut partitions = drive.all_partitions(&names)?;
    if let Some(missing) =
        args.partitions.iter().find(|&&wanted| !partitions.iter().any(|p| p.index == wanted))
    {
        return Err(no_such_partition(*missing, &names).into());
    }
    partitions.retain(|partition| args.partitions.is_empty() || args.partitions.contains(&partition.index));
    let cuts = plan(args.before, &partitions, &mut drive)?;
    let place = names.join(", ");
    let attempt = Attempt { what: "cannot delete the records", place: &place, message: None };
    let offsets: i64 = cuts.iter().map(|cut| cut.before - cut.start).sum();
    if !args.sure.yes || args.sure.dry_run {
        print(args, &cuts, "would be deleted", out)?;
        out.flush().map_err(Ended::by_output)?;
        if offsets == 0 {
            return Ok(());
        }
    }
    if consent(args.sure, &format!("Delete the records of {offsets} offsets?"))? == Consent::Withheld {
        return Ok(());
    }
    let before = cuts.iter().filter(|cut| cut.before > cut.start);
    let before: Vec<_> = before.map(|cut| (cut.partition.clone(), Offset(cut.before))).collect();
    if before.is_empty() {
        return print(args, &cuts, "deleted", out);
    }
    let mut failed = None;
    let mut done = Vec::new();
    for (partition, start) in drive.delete_records(&attempt, before)? {
        let cut = cuts.iter().find(|cut| cut.partition == partition);
        match (cut, start) {
            (Some(cut), Ok(start)) => done.push(Cut { before: start.0, ..cut.clone() }),
            (_, Err(error)) => failed = failed.or(Some((partition, error))),
            (None, Ok(_)) => {}
        }
    }
    print(args, &done, "deleted", out)?;
    match failed {
        None => Ok(()),
        Some((partition, error)) => {
            let place = format!("{}, partition {}", partition.topic, partition.index);
            Err(Attempt { place: &place, ..attempt }.failed(error).into())
        }
    }
}

fn plan(before: Before, partitions: &[TopicPartition], drive: &mut Drive) -> Result<Vec<Cut>, Failure> {
    let starts = known(drive, partitions, OffsetAt::Earliest)?;
    let ends = known(drive, partitions, OffsetAt::Latest)?;
    let by_time = match before {
        Before::Time(time) => Some(known(drive, partitions, OffsetAt::Time(time))?),
        Before::All | Before::Offset(_) => None,
    };
    let number = |listed: &ListedOffset| listed.offset.map_or(0, |offset| offset.0);
    let cuts = partitions.iter().map(|partition| {
        let (start, end) = (number(&starts[partition]), number(&ends[partition]));
        let wanted = match (before, &by_time) {
            (Before::Offset(offset), _) => offset,
            // Where no record is as late as that, all are before it.
            (Before::Time(_), Some(by_time)) => by_time[partition].offset.map_or(end, |offset| offset.0),
            (Before::All | Before::Time(_), _) => end,
        };
        if wanted > end {
            return Err(beyond_end(partition, (wanted, end)));
        }
        Ok(Cut { partition: partition.clone(), start, end, before: wanted.max(start) })
    });
    cuts.collect()
}

fn print(args: &TopicTrimArgs, cuts: &[Cut], word: &str, out: &mut impl Write) -> Result<(), Ended> {
    let rows: Vec<Value> = cuts
        .iter()
        .map(|cut| {
            json!({
                "topic": &*cut.partition.topic,
                "partition": cut.partition.index,
                "from": cut.start,
                "before": cut.before,
                "end": cut.end,
                "offsets": cut.before - cut.start,
                "result": if cut.before > cut.start { word } else { "nothing to delete" },
            })
        })
        .collect();
    let columns = [
        column("TOPIC", "topic"),
        column("PARTITION", "partition"),
        column("FROM", "from"),
        column("BEFORE", "before"),
        column("END", "end"),
        column("OFFSETS", "offsets"),
        column("RESULT", "result"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

fn no_such_partition(index: i32, names: &[String]) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("there is no partition {index}"),
        place: names.join(", "),
        why: "no topic that is meant has so many partitions; they are counted from 0".into(),
        fix: "leave --partition out, or choose one that exists".into(),
    }
}

fn beyond_end(partition: &TopicPartition, (wanted, end): (i64, i64)) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: format!("there is nothing up to offset {wanted}"),
        place: format!("{}, partition {}", partition.topic, partition.index),
        why: format!("the log ends at {end}"),
        fix: "give an offset up to that, or --before all".into(),
    }
}
