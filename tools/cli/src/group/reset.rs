//! `group reset-offsets`: where a group is to go on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use highwater_core::client::{ListedOffset, OffsetAt, OffsetToCommit, TopicPartition};
use highwater_core::id::Offset;
use serde_json::{Value, json};

use crate::args::{GroupResetArgs, ResetToArgs};
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::{self, column};
use crate::session::connect;
use crate::words::Attempt;

pub(super) fn run(args: &GroupResetArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let attempt = Attempt { what: "cannot reset the offsets", place: &args.group, message: None };
    let mut before: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
    for (key, found) in drive.group_offsets(&attempt, &args.group)? {
        if let Some(committed) = found.map_err(|error| attempt.failed(error))? {
            before.insert(key, committed.offset);
        }
    }
    let chosen: Vec<TopicPartition> = if args.topics.is_empty() {
        before.keys().cloned().collect()
    } else {
        drive.all_partitions(&args.topics)?
    };
    let new = targets(&mut drive, &args.to, (&chosen, &before))?;
    let rows: Vec<Value> = new
        .iter()
        .map(|(key, offset)| {
            json!({
                "group": args.group,
                "topic": &*key.topic,
                "partition": key.index,
                "before": before.get(key).map(|offset| offset.0),
                "offset": offset.0,
                "result": if args.execute { "reset" } else { "would be reset" },
            })
        })
        .collect();
    if args.execute && !new.is_empty() {
        let offsets = new.iter().map(|(key, &offset)| OffsetToCommit::new(key.clone(), offset)).collect();
        let results = drive.commit_group_offsets(&attempt, &args.group, offsets)?;
        let named = results.iter().map(|(key, result)| (format!("{}-{}", key.topic, key.index), *result));
        super::first_failure(&attempt, named)?;
    }
    let columns = [
        column("GROUP", "group"),
        column("TOPIC", "topic"),
        column("PARTITION", "partition"),
        column("BEFORE", "before"),
        column("OFFSET", "offset"),
        column("RESULT", "result"),
    ];
    output::rows(args.output.output, &columns, &rows, out)
}

type Offsets = BTreeMap<TopicPartition, Offset>;

fn targets(
    drive: &mut Drive,
    to: &ResetToArgs,
    (chosen, before): (&[TopicPartition], &Offsets),
) -> Result<Offsets, Failure> {
    if let Some(file) = &to.to_file {
        let text = fs::read_to_string(file).map_err(|error| unreadable(to, error.to_string()))?;
        return parse(&text).map_err(|why| unreadable(to, why));
    }
    if chosen.is_empty() {
        return Ok(Offsets::new());
    }
    let earliest = known(drive, chosen, OffsetAt::Earliest)?;
    let latest = known(drive, chosen, OffsetAt::Latest)?;
    let timed = to.to_time.map(|time| known(drive, chosen, OffsetAt::Time(time))).transpose()?;
    let number = |of: &BTreeMap<TopicPartition, ListedOffset>, key: &TopicPartition| {
        of[key].offset.map_or(0, |offset| offset.0)
    };
    let target = |key: &TopicPartition| {
        let (start, end) = (number(&earliest, key), number(&latest, key));
        let at = if let Some(timed) = &timed {
            // No record is as late as that.
            timed[key].offset.map_or(end, |offset| offset.0)
        } else if let Some(by) = to.shift_by {
            before.get(key).map_or(start, |offset| offset.0).saturating_add(by)
        } else if to.to_earliest {
            start
        } else {
            end
        };
        (key.clone(), Offset(at.clamp(start, end)))
    };
    Ok(chosen.iter().map(target).collect())
}

fn known(
    drive: &mut Drive,
    partitions: &[TopicPartition],
    at: OffsetAt,
) -> Result<BTreeMap<TopicPartition, ListedOffset>, Failure> {
    let found = drive.offsets(partitions, at)?.into_iter().map(|(key, listed)| {
        let place = format!("{}, partition {}", key.topic, key.index);
        let attempt = Attempt { what: "cannot find the offsets", place: &place, message: None };
        listed.map_err(|error| attempt.failed(error)).map(|listed| (key, listed))
    });
    found.collect()
}

fn parse(text: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let parsed = match fields.as_slice() {
            [topic, partition, offset] => {
                partition.parse().ok().zip(offset.parse().ok()).map(|(p, o)| (topic, p, o))
            }
            _ => None,
        };
        match parsed {
            Some((topic, partition, offset @ 0_i64..)) => {
                offsets.insert(TopicPartition::new(topic, partition), Offset(offset));
            }
            Some(_) | None => return Err(format!("line {number} is not TOPIC,PARTITION,OFFSET: {line}")),
        }
    }
    Ok(offsets)
}

fn unreadable(to: &ResetToArgs, why: String) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "cannot read the offsets".into(),
        place: to.to_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        why,
        fix: "write one line for each partition, such as orders,0,1234".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_topic_partition_and_offset() {
        let offsets = parse("# of yesterday\nt,0,5\n\n u , 1 , 0\n").expect("it is right");
        let expected = [(TopicPartition::new("t", 0), Offset(5)), (TopicPartition::new("u", 1), Offset(0))];
        assert_eq!(offsets, expected.into());
        for wrong in ["t,0", "t,x,5", "t,0,-1", "t,0,5,6"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
