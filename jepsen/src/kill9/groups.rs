//! Groups that consume through the kills: what they have handled, what was said to be committed, and what is committed now. Knows
//! nothing of what the records are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use highwater_jepsen::writes::Key;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};

use super::load::topic_name;

/// A group for each protocol, and the settings of its members.
const GROUPS: [(&str, &[(&str, &str)]); 2] = [
    (
        "classic",
        &[
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
        ],
    ),
    ("consumer", &[("group.protocol", "consumer")]),
];

/// What the broker is set to, lest members learn of one another only each few seconds, and of one that could not leave in a minute.
pub(crate) const SETTINGS: [&str; 4] = [
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=200",
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=6000",
];

/// Records between two commits.
const COMMIT_RECORDS: usize = 200;

/// How long a group may take to handle all that there is.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(40);

const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// What the members of a group have done so far, all together.
#[derive(Debug, Default)]
struct Done {
    /// The offset before which all is handled.
    next: BTreeMap<Key, i64>,
    /// The largest offset whose commit was acknowledged.
    committed: BTreeMap<Key, i64>,
    violation: Option<String>,
}

impl Done {
    fn handle(&mut self, key: Key, offset: i64) {
        let next = self.next.entry(key).or_default();
        if offset > *next && self.violation.is_none() {
            self.violation = Some(format!("skipped: {offset} of {key} was delivered after {next}"));
        }
        *next = (*next).max(offset + 1);
    }
}

/// What is shared by the members of a group.
#[derive(Debug)]
struct Shared {
    done: Mutex<Done>,
    topics: AtomicU32,
}

impl Shared {
    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member has handled and not committed yet. It may not commit what is no longer its own.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<BTreeMap<Key, i64>>>);

impl Pending {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<Key, i64>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Pending {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Pending {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.with(|pending| {
                for each in partitions.elements() {
                    if let Some(key) = key(each.topic(), each.partition()) {
                        pending.remove(&key);
                    }
                }
            });
        }
    }
}

fn key(topic: &str, partition: i32) -> Option<Key> {
    Some(Key { topic: topic.strip_prefix('t')?.parse().ok()?, partition })
}

/// A thread that is a member until it is told to leave.
struct Member {
    consumer: Arc<BaseConsumer<Pending>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn join(config: &ClientConfig, shared: Arc<Shared>) -> Result<Self, String> {
        let pending = Pending::default();
        let consumer: BaseConsumer<Pending> = config
            .create_with_context(pending.clone())
            .map_err(|error| format!("cannot create a member: {error}"))?;
        let consumer = Arc::new(consumer);
        let shown = Arc::clone(&consumer);
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut subscribed = 0;
            while !told.load(Ordering::Relaxed) {
                let topics = shared.topics.load(Ordering::Relaxed);
                if topics != subscribed {
                    let names: Vec<String> = (0..topics).map(topic_name).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    consumer.subscribe(&names).expect("the names are those of topics");
                    subscribed = topics;
                }
                turn(&consumer, &pending, &shared);
            }
        });
        Ok(Self { consumer: shown, over, thread: Some(thread) })
    }

    /// What it has and where it stands.
    fn shown(&self) -> String {
        let assigned = self.consumer.assignment().map(|list| list.count());
        format!("{assigned:?} partitions, at {:?}", self.consumer.position())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed, and what it did not handle is missed.
            let _ = thread.join();
        }
    }
}

/// Handles what there is, and commits it. A commit that fails is not repeated, as what comes next is committed with it.
fn turn(consumer: &BaseConsumer<Pending>, pending: &Pending, shared: &Shared) {
    let mut wait = Duration::from_millis(20);
    for _ in 0..COMMIT_RECORDS {
        // An error is one of connections or topics that are about to be there.
        let Some(polled) = consumer.poll(wait) else { break };
        if let Ok(message) = polled {
            handle(&message, pending, shared);
            wait = Duration::ZERO;
        }
    }
    let wanted = pending.with(std::mem::take);
    if wanted.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (key, offset) in &wanted {
        list.add_partition_offset(&topic_name(key.topic), key.partition, At::Offset(*offset))
            .expect("an offset of a record is one to commit");
    }
    if consumer.commit(&list, CommitMode::Sync).is_ok() {
        let mut done = shared.done();
        for (key, offset) in wanted {
            let committed = done.committed.entry(key).or_default();
            *committed = (*committed).max(offset);
        }
    }
}

fn handle(message: &BorrowedMessage<'_>, pending: &Pending, shared: &Shared) {
    let key = key(message.topic(), message.partition()).expect("only such topics are subscribed to");
    shared.done().handle(key, message.offset());
    pending.with(|pending| pending.insert(key, message.offset() + 1));
}

struct Group {
    config: ClientConfig,
    shared: Arc<Shared>,
    /// One lives through all kills, the other until the first restart.
    long: Member,
    short: Option<Member>,
    name: &'static str,
}

pub(crate) struct Groups(Vec<Group>);

impl Groups {
    pub(crate) fn new(address: &str) -> Result<Self, String> {
        GROUPS
            .iter()
            .map(|(name, settings)| Group::new(address, name, settings))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn begin_round(&mut self, topics: u32) -> Result<(), String> {
        for group in &mut self.0 {
            group.shared.topics.store(topics, Ordering::Relaxed);
            group.short = Some(Member::join(&group.config, Arc::clone(&group.shared))?);
        }
        Ok(())
    }

    /// After a restart: what was acknowledged is committed, and all that there is gets handled. Gives how much is.
    pub(crate) fn finish_round(&mut self, ends: &BTreeMap<Key, i64>) -> Result<i64, String> {
        for group in &mut self.0 {
            group.nothing_regressed()?;
            group.short = None;
        }
        for group in &self.0 {
            group.catch_up(ends)?;
            group.nothing_regressed()?;
        }
        Ok(self
            .0
            .iter()
            .flat_map(|group| group.shared.done().committed.values().copied().collect::<Vec<_>>())
            .sum())
    }
}

impl Group {
    fn new(address: &str, name: &'static str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", address)
            .set("group.id", name)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "100")
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "200")
            .set("topic.metadata.refresh.fast.interval.ms", "50");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let shared = Arc::new(Shared { done: Mutex::default(), topics: AtomicU32::new(0) });
        let long = Member::join(&config, Arc::clone(&shared))?;
        Ok(Self { config, shared, long, short: None, name })
    }

    fn nothing_regressed(&self) -> Result<(), String> {
        let acknowledged = self.shared.done().committed.clone();
        let consumer: BaseConsumer<Pending> = self
            .config
            .create_with_context(Pending::default())
            .map_err(|error| format!("cannot create a consumer: {error}"))?;
        let mut list = TopicPartitionList::new();
        for key in acknowledged.keys() {
            list.add_partition(&topic_name(key.topic), key.partition);
        }
        let found = consumer.committed_offsets(list, ASK_TIMEOUT).map_err(|error| {
            format!("group {}: what is committed cannot be asked for: {error}", self.name)
        })?;
        for (key, acknowledged) in acknowledged {
            let found = found.find_partition(&topic_name(key.topic), key.partition).map(|each| each.offset());
            if !matches!(found, Some(At::Offset(found)) if found >= acknowledged) {
                return Err(format!(
                    "committed offset regressed: group {} has {found:?} of {key}, and {acknowledged} was acknowledged",
                    self.name
                ));
            }
        }
        Ok(())
    }

    fn catch_up(&self, ends: &BTreeMap<Key, i64>) -> Result<(), String> {
        let until = Instant::now() + CATCH_UP_TIMEOUT;
        loop {
            let missing = {
                let done = self.shared.done();
                if let Some(violation) = &done.violation {
                    return Err(format!("group {}: {violation}", self.name));
                }
                ends.iter()
                    .map(|(key, end)| (*key, done.next.get(key).copied().unwrap_or(0), *end))
                    .find(|(_, next, end)| next < end)
            };
            let Some((key, next, end)) = missing else { return Ok(()) };
            if self.long.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(format!("a member of group {} died", self.name));
            }
            if Instant::now() > until {
                return Err(format!(
                    "stuck: group {} has handled {key} up to {next} of {end} {CATCH_UP_TIMEOUT:?} after the restart; its member has {}",
                    self.name,
                    self.long.shown(),
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_tells_a_skipped_offset_and_not_a_repeated_one() {
        let key = Key { topic: 0, partition: 0 };
        let mut done = Done::default();
        for offset in [0, 1, 2, 1, 2, 3] {
            done.handle(key, offset);
            assert_eq!(done.violation, None);
        }
        done.handle(key, 5);
        assert!(done.violation.is_some_and(|violation| violation.contains("5 of")));
    }

    #[test]
    fn key_is_that_of_a_topic_of_the_load() {
        assert_eq!(key(&topic_name(7), 3), Some(Key { topic: 7, partition: 3 }));
        assert_eq!(key("other", 3), None);
    }
}
