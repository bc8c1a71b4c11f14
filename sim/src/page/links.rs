//! Pairs what was sent with what arrived, and what a disk was asked with its answer. Must not know how they are drawn.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::{DRAWN, number, text};
use crate::tape::{Entry, Kind, Site};

/// A shard's end of a connection.
type ShardEnd = (usize, u16, String);
/// A client's end.
type ClientEnd = (usize, String);

/// Bytes of one direction that have not arrived: when they were sent, what they are, and where in the stream they end.
#[derive(Debug, Default)]
struct Stream {
    open: VecDeque<(u64, String, u64)>,
    sent: u64,
    arrived: u64,
}

impl Stream {
    fn send(&mut self, at: u64, what: String, bytes: u64) {
        self.sent += bytes;
        self.open.push_back((at, what, self.sent));
    }

    fn arrive(&mut self, bytes: u64, mut each: impl FnMut(u64, String)) {
        self.arrived += bytes;
        while self.open.front().is_some_and(|(_, _, end)| *end <= self.arrived) {
            if let Some((from, what, _)) = self.open.pop_front() {
                each(from, what);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Links {
    /// `[sent, arrived, client, node, 0 to the node or 1 from it, what]`
    pub(super) messages: VecDeque<Value>,
    /// `[asked, ended, node, shard, what, file, ok]`
    pub(super) disk: VecDeque<Value>,
    clients: BTreeMap<ShardEnd, ClientEnd>,
    shards: BTreeMap<ClientEnd, ShardEnd>,
    requests: BTreeMap<ClientEnd, Stream>,
    answers: BTreeMap<ClientEnd, Stream>,
    asked: BTreeMap<(usize, u16, u64), (u64, String, String)>,
}

fn push(ring: &mut VecDeque<Value>, value: Value) {
    if ring.len() == DRAWN {
        ring.pop_front();
    }
    ring.push_back(value);
}

impl Links {
    pub(super) fn on_entry(&mut self, entry: &Entry) {
        match (entry.kind, entry.site) {
            (Kind::Client, Site::Client(client)) => self.on_client(client, entry),
            (Kind::Input, Site::Shard { node, shard }) => self.on_input(node, shard, entry),
            (Kind::Effect, Site::Shard { node, shard }) => self.on_effect(node, shard, entry),
            _ => {}
        }
    }

    fn on_client(&mut self, client: usize, entry: &Entry) {
        let now = entry.at.as_nanos();
        let end = (client, text(entry, "conn"));
        let bytes = number(entry, "bytes").unwrap_or_default().unsigned_abs();
        match entry.what.as_str() {
            "Connects" => {
                let node = usize::try_from(number(entry, "node").unwrap_or_default()).unwrap_or_default();
                let shard = u16::try_from(number(entry, "shard").unwrap_or_default()).unwrap_or_default();
                let shard_end = (node, shard, text(entry, "shard_conn"));
                self.clients.insert(shard_end.clone(), end.clone());
                self.shards.insert(end.clone(), shard_end);
                self.requests.insert(end.clone(), Stream::default());
                self.answers.insert(end, Stream::default());
            }
            "Sends" => {
                let what = api(number(entry, "key").unwrap_or(-1));
                self.requests.entry(end).or_default().send(now, what, bytes);
            }
            "Bytes" => {
                let node = self.shards.get(&end).map_or(0, |shard| shard.0);
                let messages = &mut self.messages;
                let Some(stream) = self.answers.get_mut(&end) else { return };
                stream.arrive(bytes, |from, what| push(messages, json!([from, now, client, node, 1, what])));
            }
            _ => {}
        }
    }

    fn on_input(&mut self, node: usize, shard: u16, entry: &Entry) {
        let now = entry.at.as_nanos();
        match entry.what.as_str() {
            "Received" => {
                let len = number(entry, "len").unwrap_or_default().unsigned_abs();
                let Some(client) = self.clients.get(&(node, shard, text(entry, "conn"))) else { return };
                let messages = &mut self.messages;
                let Some(stream) = self.requests.get_mut(client) else { return };
                stream.arrive(len, |from, what| push(messages, json!([from, now, client.0, node, 0, what])));
            }
            "Disk" => {
                let op = number(entry, "op").unwrap_or_default().unsigned_abs();
                let Some((from, what, file)) = self.asked.remove(&(node, shard, op)) else { return };
                let failed = text(entry, "outcome").contains("Failed");
                push(&mut self.disk, json!([from, now, node, shard, what, file, !failed]));
            }
            _ => {}
        }
    }

    fn on_effect(&mut self, node: usize, shard: u16, entry: &Entry) {
        let now = entry.at.as_nanos();
        match entry.what.as_str() {
            "Send" => {
                let parts = entry.field("parts").and_then(Value::as_array);
                let bytes = parts.into_iter().flatten().filter_map(Value::as_u64).sum();
                let Some(client) = self.clients.get(&(node, shard, text(entry, "conn"))) else { return };
                self.answers.entry(client.clone()).or_default().send(now, "answer".to_owned(), bytes);
            }
            "Write" | "Sync" | "Read" | "File" => {
                let op = number(entry, "op").unwrap_or_default().unsigned_abs();
                let what = match entry.what.as_str() {
                    "Write" => format!("Write {}", text(entry, "durability")),
                    other => other.to_owned(),
                };
                self.asked.insert((node, shard, op), (now, what, text(entry, "file")));
            }
            _ => {}
        }
    }
}

/// Kafka's name of a request, as far as clients of a run use it.
fn api(key: i64) -> String {
    let name = match key {
        0 => "Produce",
        1 => "Fetch",
        2 => "ListOffsets",
        3 => "Metadata",
        18 => "ApiVersions",
        19 => "CreateTopics",
        20 => "DeleteTopics",
        22 => "InitProducerId",
        32 => "DescribeConfigs",
        _ => return format!("key {key}"),
    };
    name.to_owned()
}
