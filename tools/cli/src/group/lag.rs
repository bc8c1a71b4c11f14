//! How far a group is behind: in records, and in the age of the first record that it has not consumed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use highwater_core::batch::Scratch;
use highwater_core::client::{
    ClientEvent, CommittedOffset, GroupDescription, GroupMember, OffsetAt, StartAt, TopicPartition,
};
use highwater_core::id::Offset;
use highwater_core::time::Timestamp;
use serde_json::{Value, json};

use crate::drive::{Drive, Step};
use crate::failure::Failure;
use crate::words::Attempt;

/// How long to wait for the first records that are not consumed. What does not come in time is shown as unknown.
const FETCH_PATIENCE: Duration = Duration::from_secs(2);

/// A row for each partition that was committed or that a member has.
pub(super) fn rows(drive: &mut Drive, group: &GroupDescription) -> Result<Vec<Value>, Failure> {
    let attempt = Attempt { what: "cannot find the group's offsets", place: &group.group, message: None };
    let mut committed: BTreeMap<TopicPartition, Option<CommittedOffset>> = BTreeMap::new();
    for (key, found) in drive.group_offsets(&attempt, &group.group)? {
        committed.insert(key, found.map_err(|error| attempt.failed(error))?);
    }
    let mut owners: BTreeMap<&TopicPartition, &GroupMember> = BTreeMap::new();
    for member in &group.members {
        for key in &member.assigned {
            owners.insert(key, member);
            committed.entry(key.clone()).or_default();
        }
    }
    let all: Vec<TopicPartition> = committed.keys().cloned().collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let end: BTreeMap<TopicPartition, Option<Offset>> = drive
        .offsets(&all, OffsetAt::Latest)?
        .into_iter()
        .map(|(key, found)| (key, found.ok().and_then(|listed| listed.offset)))
        .collect();
    let behind = committed.iter().filter_map(|(key, found)| {
        let (at, end) = (found.as_ref()?.offset, end.get(key).copied().flatten()?);
        (at < end).then(|| (key.clone(), at))
    });
    let ages = ages(drive, &behind.collect())?;
    let row = |(key, found): (&TopicPartition, &Option<CommittedOffset>)| {
        let end = end.get(key).copied().flatten();
        let at = found.as_ref().map(|committed| committed.offset);
        let lag = at.zip(end).map(|(at, end)| (end.0 - at.0).max(0));
        let owner = owners.get(key);
        json!({
            "group": group.group,
            "state": group.state,
            "topic": &*key.topic,
            "partition": key.index,
            "committed": at.map(|offset| offset.0),
            "end": end.map(|offset| offset.0),
            "lag": lag,
            "lag_seconds": if lag == Some(0) { Some(0) } else { ages.get(key).copied() },
            "metadata": found.as_ref().map(|committed| committed.metadata.clone()),
            "member": owner.map(|member| member.id.clone()),
            "client_id": owner.map(|member| member.client_id.clone()),
            "host": owner.map(|member| member.host.clone()),
        })
    };
    Ok(committed.iter().map(row).collect())
}

/// The age in seconds of the first record at or behind each offset.
fn ages(
    drive: &mut Drive,
    behind: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let now = drive.now();
    for (key, at) in behind {
        drive.client.assign(now, key.clone(), StartAt::Offset(*at));
    }
    let mut ages = BTreeMap::new();
    let until = Instant::now() + FETCH_PATIENCE;
    while ages.len() < behind.len() {
        match drive.step(Some(until))? {
            Step::Event(ClientEvent::Fetched(fetched)) => {
                let mut first: Option<Timestamp> = None;
                // Whether the rest of the batches can be read does not matter here.
                let _ = fetched.visit(&mut Scratch::new(), |record| {
                    first.get_or_insert(record.timestamp);
                });
                if let Some(first) = first {
                    ages.insert(fetched.partition.clone(), (now.wall.0 - first.0).max(0) / 1000);
                    drive.client.unassign(&fetched.partition);
                }
            }
            Step::Late => break,
            Step::Event(_) | Step::Woken => {}
        }
    }
    for key in behind.keys() {
        drive.client.unassign(key);
    }
    Ok(ages)
}
