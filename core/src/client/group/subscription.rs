//! What members of a classic group tell their leader, and what the leader tells them: Kafka's encodings, which the coordinator passes on
//! unread. Every version is read; versions add fields at the end.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Assignor, by_topic};
use crate::client::TopicPartition;

/// The versions that Kafka 4 writes of both.
const VERSION: i16 = 3;

/// What a member wants, and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub topics: Vec<String>,
    pub owned: Vec<TopicPartition>,
    /// In which generation it came to own these; −1 where it does not say.
    pub generation: i32,
    pub rack: Option<String>,
    pub user_data: Vec<u8>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { topics: Vec::new(), owned: Vec::new(), generation: -1, rack: None, user_data: Vec::new() }
    }
}

#[derive(Debug, Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn int16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }

    fn int32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        self.int32(i32::try_from(count).expect("no member has two billion of anything"));
    }

    fn string(&mut self, text: &str) {
        self.int16(i16::try_from(text.len()).expect("names are shorter than 32 KiB"));
        self.0.extend(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    fn partitions(&mut self, topics: &BTreeMap<&Arc<str>, Vec<i32>>) {
        self.count(topics.len());
        for (topic, partitions) in topics {
            self.string(topic);
            self.count(partitions.len());
            for &index in partitions {
                self.int32(index);
            }
        }
    }
}

pub(super) fn encode_subscription(assignor: Assignor, subscription: &Subscription) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.int16(VERSION);
    encoder.count(subscription.topics.len());
    for topic in &subscription.topics {
        encoder.string(topic);
    }
    match assignor {
        Assignor::Range | Assignor::RoundRobin => encoder.int32(-1),
        // For leaders that do not know the field below.
        Assignor::CooperativeSticky => encoder.bytes(&subscription.generation.to_be_bytes()),
    }
    encoder.partitions(&by_topic(&subscription.owned));
    encoder.int32(subscription.generation);
    match &subscription.rack {
        Some(rack) => encoder.string(rack),
        None => encoder.int16(-1),
    }
    encoder.0
}

pub(super) fn encode_assignment(partitions: &[TopicPartition]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.int16(VERSION);
    encoder.partitions(&by_topic(partitions));
    encoder.int32(-1);
    encoder.0
}

struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Of elements that take at least so many bytes each: what is claimed without its bytes takes no memory.
    fn count(&mut self, bytes_min: usize) -> Option<usize> {
        let count = usize::try_from(self.int32()?).ok()?;
        (count <= self.0.len() / bytes_min).then_some(count)
    }

    fn string(&mut self) -> Option<String> {
        let len = usize::try_from(self.int16()?).ok()?;
        core::str::from_utf8(self.take(len)?).ok().map(String::from)
    }

    /// Null is empty.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        match usize::try_from(self.int32()?) {
            Ok(len) => self.take(len),
            Err(_) => Some(&[]),
        }
    }

    fn partitions(&mut self) -> Option<Vec<TopicPartition>> {
        let mut partitions = Vec::new();
        for _ in 0..self.count(6)? {
            let topic: Arc<str> = Arc::from(self.string()?);
            for _ in 0..self.count(4)? {
                partitions.push(TopicPartition { topic: Arc::clone(&topic), index: self.int32()? });
            }
        }
        Some(partitions)
    }
}

/// A member's metadata; `None` if they are none.
pub fn decode_subscription(bytes: &[u8]) -> Option<Subscription> {
    let mut decoder = Decoder(bytes);
    let version = decoder.int16()?;
    if version < 0 {
        return None;
    }
    let mut topics = Vec::new();
    for _ in 0..decoder.count(2)? {
        topics.push(decoder.string()?);
    }
    let user_data = decoder.bytes()?.to_vec();
    let mut subscription = Subscription { topics, user_data, ..Subscription::default() };
    if version >= 1 {
        subscription.owned = decoder.partitions()?;
    }
    if version >= 2 {
        subscription.generation = decoder.int32()?;
    } else if let Ok(generation) = subscription.user_data.as_slice().try_into() {
        subscription.generation = i32::from_be_bytes(generation);
    }
    if version >= 3 && !decoder.0.starts_with(&(-1_i16).to_be_bytes()) {
        subscription.rack = Some(decoder.string()?);
    }
    Some(subscription)
}

/// What a member was given; `None` if the bytes say nothing.
pub fn decode_assignment(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut decoder = Decoder(bytes);
    if decoder.int16()? < 0 {
        return None;
    }
    decoder.partitions()
}
