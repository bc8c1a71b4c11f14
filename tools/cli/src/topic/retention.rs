//! `topic retention`: what goes when, and why the rest is kept. Shows the segments as the node tells of them, and what can be concluded
//! from settings, sizes and times of partitions alone.

use std::collections::BTreeMap;
use std::io::Write;

use highwater_core::client::{
    ConfigResource, Destination, OffsetAt, ResourceConfigs, ResourceKind, TopicPartition,
};
use highwater_core::time::Timestamp;
use serde_json::{Value, json};

use super::offsets::known;
use super::segments::{self, Partitions, Topic};
use crate::args::{Output, TopicRetentionArgs};
use crate::context::Broker;
use crate::drive::Drive;
use crate::ended::Ended;
use crate::failure::Failure;
use crate::output::{self, column, show_bytes, wide};
use crate::session::connect;
use crate::when;
use crate::words::Attempt;

/// What a topic's settings say about keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    cleanup: String,
    retention_ms: Option<u64>,
    retention_bytes: Option<u64>,
    segment_ms: Option<u64>,
    segment_bytes: Option<u64>,
    delete_retention_ms: Option<u64>,
    compaction_lag_ms: Option<u64>,
}

/// What is known of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    earliest: i64,
    latest: i64,
    oldest: Option<Timestamp>,
    bytes: u64,
}

const KEYS: [&str; 7] = [
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "segment.ms",
    "segment.bytes",
    "delete.retention.ms",
    "min.compaction.lag.ms",
];

pub(super) fn run(args: &TopicRetentionArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let names = drive.topic_names(&args.topics)?;
    let partitions = drive.all_partitions(&names)?;
    let policies = policies(&mut drive, &names)?;
    let facts = facts(&mut drive, &partitions)?;
    // Whoever may not ask for it, or asks another broker, is shown the rest.
    let addresses = segments::addresses(&mut drive, args.http.as_deref()).map_err(|failure| failure.why);
    let within = Broker::chosen(&args.broker)?.timeout;
    let ids: BTreeMap<String, String> =
        drive.describe(&names)?.into_iter().map(|topic| (topic.name, topic.id.0.to_string())).collect();
    let now = when::now();
    let form = args.output.output;
    let mut all = Vec::new();
    for (name, policy) in names.iter().zip(&policies) {
        let id = ids.get(name).map_or("", String::as_str);
        let ask = |addresses: &Vec<String>| segments::ask(addresses, Topic { name, id }, within);
        let told = addresses.as_ref().map_err(Clone::clone).and_then(ask);
        let rows: Vec<Value> = facts
            .iter()
            .filter(|(partition, _)| *partition.topic == **name)
            .map(|(partition, facts)| {
                let mut row = row(partition, policy, facts, now);
                add_segments(&mut row, &told);
                row
            })
            .collect();
        if matches!(form, Output::Table | Output::Wide) {
            print(name, policy, &rows, form, out)?;
            print_segments(policy, &rows, &told, form, out)?;
        }
        all.extend(rows);
    }
    match form {
        Output::Table | Output::Wide => Ok(()),
        Output::Json | Output::Yaml => output::rows(form, &[], &all, out),
    }
}

fn policies(drive: &mut Drive, names: &[String]) -> Result<Vec<Policy>, Failure> {
    let place = names.join(", ");
    let attempt = Attempt { what: "cannot show the settings", place: &place, message: None };
    let resource = |name: &String| ConfigResource { kind: ResourceKind::Topic, name: name.clone() };
    let keys = KEYS.map(str::to_owned).to_vec();
    let described = drive.configs(&attempt, names.iter().map(resource).collect(), Some(keys))?;
    let of = |name: &String| -> Result<Policy, Failure> {
        let found = described.iter().find(|found| found.resource.name == *name);
        match found.map(|found| (found, found.error)) {
            Some((found, None)) => Ok(Policy::new(found)),
            Some((found, Some(error))) => {
                Err(Attempt { place: name, message: found.message.as_deref(), ..attempt }.failed(error))
            }
            None => Err(attempt.failed(highwater_core::client::ClientError::Malformed)),
        }
    };
    names.iter().map(of).collect()
}

impl Policy {
    fn new(configs: &ResourceConfigs) -> Self {
        let text = |key: &str| configs.entries.iter().find(|entry| entry.key == key)?.value.clone();
        // −1 is without bound, and so is what is not a number.
        let number = |key: &str| text(key)?.parse().ok();
        Self {
            cleanup: text("cleanup.policy").unwrap_or_else(|| "delete".into()),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            segment_ms: number("segment.ms"),
            segment_bytes: number("segment.bytes"),
            delete_retention_ms: number("delete.retention.ms"),
            compaction_lag_ms: number("min.compaction.lag.ms"),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.cleanup.split(',').any(|part| part.trim() == word)
    }

    /// The rules, one sentence each.
    fn rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        if self.has("delete") {
            rules.push(match self.retention_ms {
                Some(age) => format!(
                    "a segment goes when its newest record is {} old (retention.ms)",
                    when::show_length(age)
                ),
                None => "age deletes nothing (retention.ms is -1)".into(),
            });
            rules.push(match self.retention_bytes {
                Some(bytes) => {
                    format!(
                        "the oldest segments go while the rest has {} (retention.bytes)",
                        show_bytes(bytes)
                    )
                }
                None => "size deletes nothing (retention.bytes is -1)".into(),
            });
        }
        if self.has("compact") {
            let lag = self.compaction_lag_ms.filter(|&lag| lag > 0).map_or_else(String::new, |lag| {
                format!(
                    ", but nothing younger than {} is touched (min.compaction.lag.ms)",
                    when::show_length(lag)
                )
            });
            rules.push(format!("of each key the latest record stays and older ones go{lag}"));
            let tombstones = when::show_length(self.delete_retention_ms.unwrap_or(0));
            rules.push(format!("a deleted key's tombstone stays for {tombstones} (delete.retention.ms)"));
        }
        if rules.is_empty() {
            rules.push("nothing is deleted by itself (cleanup.policy is empty)".into());
        }
        let bytes = self.segment_bytes.map_or_else(|| "its full size".into(), show_bytes);
        let age = self.segment_ms.map_or_else(|| "its full age".into(), when::show_length);
        rules.push(format!("the segment being written always stays; it is closed at {bytes} (segment.bytes) or when it is {age} old (segment.ms)"));
        rules
    }
}

fn facts(
    drive: &mut Drive,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Facts>, Failure> {
    let earliest = known(drive, partitions, OffsetAt::Earliest)?;
    let latest = known(drive, partitions, OffsetAt::Latest)?;
    let first = known(drive, partitions, OffsetAt::Time(Timestamp(0)))?;
    let mut bytes: BTreeMap<TopicPartition, u64> = BTreeMap::new();
    for node in drive.cluster()?.nodes {
        let place = format!("{}:{}", node.address.host, node.address.port);
        let attempt = Attempt { what: "cannot ask the node for sizes", place: &place, message: None };
        let to = Destination::Broker(node.address.clone());
        for dir in drive.log_dirs(&attempt, Some(partitions.to_vec()), to)? {
            for replica in dir.replicas {
                let known = bytes.entry(replica.partition).or_default();
                *known = replica.bytes.max(*known);
            }
        }
    }
    let number = |offset: Option<highwater_core::id::Offset>| offset.map_or(0, |offset| offset.0);
    let facts = partitions.iter().map(|partition| {
        let facts = Facts {
            earliest: number(earliest[partition].offset),
            latest: number(latest[partition].offset),
            oldest: first[partition].timestamp,
            bytes: bytes.get(partition).copied().unwrap_or(0),
        };
        (partition.clone(), facts)
    });
    Ok(facts.collect())
}

fn row(partition: &TopicPartition, policy: &Policy, facts: &Facts, now: Timestamp) -> Value {
    let due = due(policy, facts);
    json!({
        "topic": &*partition.topic,
        "partition": partition.index,
        "cleanup_policy": policy.cleanup,
        "retention_ms": policy.retention_ms,
        "retention_bytes": policy.retention_bytes,
        "earliest": facts.earliest,
        "latest": facts.latest,
        "bytes": facts.bytes,
        "size": show_bytes(facts.bytes),
        "oldest_time": facts.oldest.map(when::show),
        "due_time": due.map(when::show),
        "verdict": verdict(policy, facts, now),
    })
}

/// When the oldest record has the age at which it may go.
fn due(policy: &Policy, facts: &Facts) -> Option<Timestamp> {
    let age = policy.retention_ms.filter(|_| policy.has("delete"))?;
    let due = facts.oldest?.0.checked_add(i64::try_from(age).ok()?)?;
    Some(Timestamp(due))
}

/// What happens next to the oldest record, in words.
fn verdict(policy: &Policy, facts: &Facts, now: Timestamp) -> String {
    if facts.latest == facts.earliest {
        return "empty: nothing to keep".into();
    }
    let excess = policy.retention_bytes.filter(|_| policy.has("delete"));
    let excess = excess.and_then(|limit| facts.bytes.checked_sub(limit)).filter(|&excess| excess > 0);
    if let Some(excess) = excess {
        return format!(
            "{} over retention.bytes: closed segments of so much go at the next check",
            show_bytes(excess)
        );
    }
    let by_size = policy.retention_bytes.filter(|_| policy.has("delete"));
    let room = by_size.map_or_else(String::new, |limit| {
        format!("; {} to retention.bytes", show_bytes(limit - facts.bytes.min(limit)))
    });
    match due(policy, facts) {
        Some(due) if due <= now => {
            let late = u64::try_from(now.0 - due.0).unwrap_or(0);
            format!(
                "the oldest record is past its time by {}: kept by its segment, which is open or has younger records{room}",
                when::show_length(late)
            )
        }
        Some(due) => {
            let left = u64::try_from(due.0 - now.0).unwrap_or(0);
            format!("the oldest record may go in {}, with its whole segment{room}", when::show_length(left))
        }
        None if policy.has("compact") => format!("kept as the latest of its key, or until compaction{room}"),
        None => format!("kept: no age deletes it{room}"),
    }
}

fn print(
    name: &str,
    policy: &Policy,
    rows: &[Value],
    form: Output,
    out: &mut impl Write,
) -> Result<(), Ended> {
    let cleanup = if policy.cleanup.is_empty() { "none" } else { &policy.cleanup };
    let rules: String = policy.rules().iter().map(|rule| format!("  {rule}\n")).collect();
    write!(out, "{name}: cleanup.policy {cleanup}\n{rules}").map_err(Ended::by_output)?;
    let columns = [
        column("PARTITION", "partition"),
        column("EARLIEST", "earliest"),
        column("LATEST", "latest"),
        column("SIZE", "size"),
        column("OLDEST", "oldest_time"),
        column("DUE", "due_time"),
        column("WHAT HAPPENS", "verdict"),
    ];
    output::rows(form, &columns, rows, out)
}

/// The segments of one partition, or null and why they are not told.
fn add_segments(row: &mut Value, told: &Result<Partitions, String>) {
    let silent = || "the shard of the partition does not answer".to_owned();
    let index = row["partition"].as_i64().unwrap_or(-1);
    let told = told.as_ref().map_err(Clone::clone);
    match told.and_then(|told| told.get(&index).ok_or_else(silent)) {
        Ok(partition) => {
            row["segments"] = partition["segments"].clone();
            row["segments_left_out"] = partition["segments_left_out"].clone();
        }
        Err(why) => {
            row["segments"] = Value::Null;
            row["segments_untold"] = json!(why);
        }
    }
}

fn print_segments(
    policy: &Policy,
    rows: &[Value],
    told: &Result<Partitions, String>,
    form: Output,
    out: &mut impl Write,
) -> Result<(), Ended> {
    if let Err(why) = told {
        let line = format!("segments are not told: {why}; --http HOST:PORT names a node's HTTP port\n\n");
        return out.write_all(line.as_bytes()).map_err(Ended::by_output);
    }
    let of = |row: &Value| row["segments"].as_array().cloned().unwrap_or_default();
    let segments: Vec<Value> = rows.iter().flat_map(of).collect();
    let mut columns = vec![
        column("PARTITION", "partition"),
        column("SEGMENT", "base_offset"),
        wide("END", "end_offset"),
        column("SIZE", "size"),
        wide("STATE", "state"),
        column("NEWEST", "newest_time"),
        column("DELETED", "deleted"),
    ];
    if policy.has("compact") {
        columns.push(column("CLEANED", "cleaned"));
    }
    columns.push(column("WHY IT IS HERE", "why_kept"));
    writeln!(out).map_err(Ended::by_output)?;
    output::rows(form, &columns, &segments, out)?;
    let left_out: u64 = rows.iter().filter_map(|row| row["segments_left_out"].as_u64()).sum();
    let untold = rows.iter().filter(|row| row["segments"].is_null()).count();
    let mut last = String::new();
    if left_out > 0 {
        last.push_str(&format!("{left_out} newer segments are not shown\n"));
    }
    if untold > 0 {
        last.push_str(&format!("segments of {untold} partitions are not told: their shards do not answer\n"));
    }
    writeln!(out, "{last}").map_err(Ended::by_output)
}

#[cfg(test)]
mod tests {
    use super::{Facts, Policy, due, verdict};
    use highwater_core::time::Timestamp;

    fn policy(cleanup: &str, retention_ms: Option<u64>, retention_bytes: Option<u64>) -> Policy {
        Policy {
            cleanup: cleanup.into(),
            retention_ms,
            retention_bytes,
            segment_ms: Some(1000),
            segment_bytes: Some(1024),
            delete_retention_ms: Some(60_000),
            compaction_lag_ms: Some(0),
        }
    }

    const FACTS: Facts = Facts { earliest: 5, latest: 9, oldest: Some(Timestamp(10_000)), bytes: 2048 };

    #[test]
    fn the_verdict_follows_age_size_and_policy() {
        let says = |policy: &Policy, now: i64, word: &str| {
            let said = verdict(policy, &FACTS, Timestamp(now));
            assert!(said.contains(word), "{said}");
        };
        says(&policy("delete", Some(60_000), None), 20_000, "may go in 50 s");
        says(&policy("delete", Some(60_000), None), 75_000, "past its time by 5 s");
        says(&policy("delete", None, None), 20_000, "no age deletes it");
        says(&policy("delete", None, Some(1024)), 20_000, "1.0 KiB over");
        says(&policy("delete", None, Some(3072)), 20_000, "1.0 KiB to retention.bytes");
        says(&policy("compact", Some(60_000), Some(1)), 75_000, "latest of its key");
        says(&policy("compact,delete", Some(60_000), None), 75_000, "past its time");
        says(&policy("", Some(1), Some(1)), 75_000, "no age deletes it");
        let empty = Facts { latest: 5, oldest: None, ..FACTS };
        assert!(verdict(&policy("delete", Some(1), None), &empty, Timestamp(0)).starts_with("empty"));
        assert_eq!(due(&policy("delete", Some(u64::MAX), None), &FACTS), None);
    }

    #[test]
    fn rules_name_the_settings_that_make_them() {
        let both = policy("compact,delete", Some(60_000), None).rules().join("\n");
        for word in [
            "1 m old (retention.ms)",
            "retention.bytes is -1",
            "latest record stays",
            "tombstone",
            "segment.bytes",
        ] {
            assert!(both.contains(word), "{both}");
        }
        assert!(policy("", None, None).rules()[0].contains("nothing is deleted"));
    }
}
