//! The segments of a topic, as the nodes' HTTP ports tell of them, in words: when each goes, and why it is there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::client::{ConfigResource, NodeDescription, ResourceKind};
use highwater_core::time::Timestamp;
use serde_json::{Value, json};

use crate::drive::Drive;
use crate::failure::Failure;
use crate::http::http_get;
use crate::output::show_bytes;
use crate::when;
use crate::words::Attempt;

/// What the nodes say of the partitions of one topic, by their index.
pub(super) type Partitions = BTreeMap<i64, Value>;

/// The name and id of a topic. The id tells the cluster that was asked from any other that has a topic of this name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topic<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
}

/// The addresses of the nodes' HTTP ports: the one that was said, or those that the nodes themselves have as `http.listen`.
pub(super) fn addresses(drive: &mut Drive, said: Option<&str>) -> Result<Vec<String>, Failure> {
    if let Some(said) = said {
        return Ok(vec![said.to_owned()]);
    }
    let mut addresses = Vec::new();
    for node in drive.cluster()?.nodes {
        let name = node.id.0.to_string();
        let attempt = Attempt { what: "cannot ask the node for its settings", place: &name, message: None };
        let resource = ConfigResource { kind: ResourceKind::Broker, name: name.clone() };
        let described = drive.configs(&attempt, vec![resource], Some(vec!["http.listen".into()]))?;
        let entries = described.iter().flat_map(|found| &found.entries);
        let listen = entries.filter(|entry| entry.key == "http.listen").find_map(|entry| entry.value.clone());
        addresses.extend(listen.map(|listen| dialled(&listen, &node)));
    }
    Ok(addresses)
}

/// Who listens on every interface is dialled where its Kafka port is.
fn dialled(listen: &str, node: &NodeDescription) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", port)) => format!("{}:{port}", node.address.host),
        Some(_) | None => listen.to_owned(),
    }
}

/// What all nodes say of the topic, or the first reason why one says nothing.
pub(super) fn ask(addresses: &[String], topic: Topic<'_>, within: Duration) -> Result<Partitions, String> {
    if addresses.is_empty() {
        return Err("the broker names no HTTP port".into());
    }
    let mut all = Partitions::new();
    for address in addresses {
        let page = format!("/retention?topic={}", topic.name);
        let answer =
            http_get(address, &page, within).map_err(|error| format!("http://{address}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("http://{address} answers with status {}", answer.status));
        }
        let told: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("http://{address} does not answer as a node of Highwater"))?;
        if told["id"].as_str() != Some(topic.id) {
            return Err(format!("http://{address} is a node of another cluster"));
        }
        for partition in told["partitions"].as_array().into_iter().flatten() {
            let mut partition = partition.clone();
            explain(&mut partition);
            all.insert(partition["partition"].as_i64().unwrap_or(-1), partition);
        }
    }
    Ok(all)
}

/// When a segment goes, as far as one can know; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Going {
    AtNextCheck,
    At(i64),
    /// Once more is written.
    Later,
    Never,
}

/// Adds the words to what a node says of a partition.
fn explain(partition: &mut Value) {
    let (now, next_check) = (number(partition, "timestamp"), number(partition, "next_check_timestamp"));
    let given_up = partition["cleaning_given_up"] == json!(true);
    let index = partition["partition"].clone();
    let mut older = Going::AtNextCheck;
    for segment in partition["segments"].as_array_mut().into_iter().flatten() {
        segment["partition"] = index.clone();
        segment["size"] = json!(segment["size_bytes"].as_u64().map(show_bytes));
        segment["newest_time"] = json!(segment["newest_timestamp"].as_i64().map(Timestamp).map(when::show));
        if segment["state"] == "active" && segment["end_offset"] == segment["base_offset"] {
            segment["why_kept"] = json!("the next record goes there");
            continue;
        }
        let kept = segment["kept"].as_array().cloned().unwrap_or_default();
        older = older.max(going(&kept));
        segment["deleted"] = json!(match older {
            Going::AtNextCheck => format!("at the next check, {}", at(next_check, now)),
            Going::At(time) => at(time, now),
            Going::Later => "when more is written".into(),
            Going::Never => "never".into(),
        });
        let whys: Vec<String> = kept.iter().map(why).collect();
        segment["why_kept"] =
            json!(if whys.is_empty() { "nothing keeps it".into() } else { whys.join("; ") });
        segment["cleaned"] = json!(match (&segment["clean"], given_up) {
            (Value::Null, _) => None,
            (_, true) => Some("not before the next start: something in the log cannot be read".into()),
            (clean, false) => Some(cleaned(clean, now)),
        });
    }
}

fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or(0)
}

fn at(time: i64, now: i64) -> String {
    let shown = when::show(Timestamp(time));
    match time.cmp(&now) {
        Ordering::Greater => format!("{shown} (in {})", when::show_length(time.abs_diff(now))),
        Ordering::Equal | Ordering::Less => shown,
    }
}

/// Without regard to older segments. One of age and size is enough to let it go.
fn going(kept: &[Value]) -> Going {
    let of = |reason: &str| kept.iter().find(|kept| kept["reason"] == reason);
    if of("never_deleted").or(of("unbounded")).is_some() {
        return Going::Never;
    }
    match of("young") {
        Some(young) => Going::At(number(young, "until_timestamp")),
        None if of("small").is_some() => Going::Later,
        None => Going::AtNextCheck,
    }
}

fn why(kept: &Value) -> String {
    let until = when::show(Timestamp(number(kept, "until_timestamp")));
    match kept["reason"].as_str().unwrap_or_default() {
        "active" => "it is written to".into(),
        "not_on_disk" => "a part of it is in the write-ahead log still".into(),
        "not_committed" => "not all of it is committed".into(),
        "never_deleted" => "cleanup.policy is without delete".into(),
        "unbounded" => "retention.ms and retention.bytes are -1".into(),
        "young" => format!("its newest record stays until {until} (retention.ms)"),
        "small" => {
            let lacking = show_bytes(kept["bytes_lacking"].as_u64().unwrap_or(0));
            format!("without it the log is below retention.bytes until {lacking} more are written")
        }
        "older" => "an older segment stays".into(),
        other => other.into(),
    }
}

fn cleaned(clean: &Value, now: i64) -> String {
    let until = || at(number(clean, "until_timestamp"), now);
    let percent = |field: &str| format!("{:.0} %", clean[field].as_f64().unwrap_or(0.0) * 100.0);
    match clean["fate"].as_str().unwrap_or_default() {
        "clean" => "it is clean".into(),
        "tombstones" => format!("it is clean; tombstones go after {}", until()),
        "due" => "in the next pass".into(),
        "waits" => {
            let latest = if clean["until_timestamp"].is_i64() {
                format!(", at the latest {} (max.compaction.lag.ms)", until())
            } else {
                String::new()
            };
            let (dirty, least) = (percent("dirty_ratio"), percent("dirty_ratio_min"));
            format!("when more than {least} is dirty, now {dirty} (min.cleanable.dirty.ratio){latest}")
        }
        "unready" => "once it is closed, on disk and committed".into(),
        "lost" => "not while a part of it cannot be read".into(),
        "young" => format!("not before {} (min.compaction.lag.ms)", until()),
        "behind" => "after an older segment".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{cleaned, explain};

    fn segments(kept: &[Value]) -> Vec<Value> {
        let segments: Vec<Value> = kept.iter().map(|kept| json!({ "kept": kept, "clean": null })).collect();
        let mut partition = json!({
            "partition": 3,
            "timestamp": 1_000,
            "next_check_timestamp": 2_000,
            "cleaning_given_up": false,
            "segments": segments,
        });
        explain(&mut partition);
        partition["segments"].as_array().unwrap().clone()
    }

    #[test]
    fn segment_goes_no_sooner_than_those_before_it() {
        let young = |until: i64| json!({ "reason": "young", "until_timestamp": until });
        let small = json!({ "reason": "small", "bytes_lacking": 1024 });
        let older = json!({ "reason": "older" });
        let rows = segments(&[
            json!([]),
            json!([young(61_000), small]),
            json!([young(31_000), older]),
            json!([small, older]),
            json!([{ "reason": "active" }, young(91_000), older]),
        ]);
        let says = |row: usize, field: &str| rows[row][field].as_str().unwrap().to_owned();
        assert_eq!(says(0, "deleted"), "at the next check, 1970-01-01T00:00:02.000Z (in 1 s)");
        assert_eq!(says(0, "why_kept"), "nothing keeps it");
        assert_eq!(says(1, "deleted"), "1970-01-01T00:01:01.000Z (in 1 m)");
        assert!(says(1, "why_kept").contains("01:01.000Z (retention.ms); without it"), "{rows:?}");
        assert_eq!(says(2, "deleted"), says(1, "deleted"));
        assert!(says(2, "why_kept").ends_with("; an older segment stays"), "{rows:?}");
        assert_eq!(says(3, "deleted"), "when more is written");
        assert_eq!((says(4, "deleted"), rows[4]["partition"].as_i64()), (says(3, "deleted"), Some(3)));
        let mut empty = json!({ "segments": [{ "state": "active", "base_offset": 7, "end_offset": 7 }] });
        explain(&mut empty);
        assert!(empty["segments"][0]["deleted"].is_null(), "there is nothing to delete: {empty}");
        let never = segments(&[json!([{ "reason": "never_deleted" }]), json!([])]);
        assert_eq!((&never[0]["deleted"], &never[1]["deleted"]), (&json!("never"), &json!("never")));
    }

    #[test]
    fn cleaning_is_told_with_the_setting_that_decides() {
        let waits = json!({ "fate": "waits", "dirty_ratio": 0.25, "dirty_ratio_min": 0.5 });
        let said = cleaned(&waits, 0);
        assert_eq!(said, "when more than 50 % is dirty, now 25 % (min.cleanable.dirty.ratio)");
        let latest = json!({ "fate": "waits", "until_timestamp": 1_000 });
        assert!(
            cleaned(&latest, 0)
                .ends_with("at the latest 1970-01-01T00:00:01.000Z (in 1 s) (max.compaction.lag.ms)")
        );
        let young = json!({ "fate": "young", "until_timestamp": 1_000 });
        assert_eq!(
            cleaned(&young, 0),
            "not before 1970-01-01T00:00:01.000Z (in 1 s) (min.compaction.lag.ms)"
        );
    }
}
