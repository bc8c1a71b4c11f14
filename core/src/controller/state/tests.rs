use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Controller;
use crate::batch::Scratch;
use crate::config::Config;
use crate::config::registry::Scope;
use crate::controller::{
    Command, ConfigError, ControllerReply, CreateTopicError, CreateTopics, CreatedTopic, DeleteTopicError,
    Image, Intent, MetadataRecord, NewTopic, TopicImage, TopicRef, decode_records, encode_records,
    encoded_bytes,
};
use crate::id::{NodeId, Offset, ProducerId, TopicId, Uuid};
use crate::limits::{CREATE_PARTITIONS_MAX, METADATA_BATCH_BYTES_MAX, PRODUCER_ID_BLOCK};
use crate::prng::Prng;
use crate::time::Timestamp;

/// A controller and its log.
struct Host {
    controller: Controller,
    prng: Prng,
    log: Vec<u8>,
    next: Offset,
}

impl Host {
    fn new() -> Self {
        let controller = Controller::new(Arc::new(Config { partitions_default: 3, ..Config::default() }));
        let mut host = Self { controller, prng: Prng::new(1), log: Vec::new(), next: Offset::ZERO };
        host.append(&Controller::bootstrap(Uuid([1; 16])));
        host
    }

    fn append(&mut self, records: &[MetadataRecord]) {
        if records.is_empty() {
            return;
        }
        let mut batch = encode_records(records, Timestamp(5));
        crate::batch::patch_offset_and_epoch(&mut batch, self.next, crate::id::LeaderEpoch(0));
        self.log.extend(batch);
        for record in records {
            self.controller.replay(self.next, record.clone());
            self.next = self.next.next();
        }
    }

    fn run(&mut self, command: Command) -> ControllerReply {
        let (records, reply) = self.controller.handle(command, &mut self.prng);
        self.append(&records);
        reply
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, CreateTopicError> {
        let create = CreateTopics { topics: vec![topic], intent: Intent::Apply };
        let ControllerReply::CreateTopics(mut results) = self.run(Command::CreateTopics(create)) else {
            panic!("another reply")
        };
        results.pop().expect("one result")
    }
}

fn topic(name: &str) -> NewTopic {
    NewTopic {
        name: String::from(name),
        partitions: 1,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn config(name: &str, value: &str) -> (String, Option<String>) {
    (String::from(name), Some(String::from(value)))
}

#[test]
fn others_see_a_topic_once_it_is_committed() {
    let mut host = Host::new();
    let created = host.create(topic("orders")).expect("a good topic");
    assert!(host.controller.image().topic("orders").is_none(), "not committed yet");
    assert_eq!(host.create(topic("orders")), Err(CreateTopicError::Exists), "decided already");
    assert!(host.controller.on_committed(host.next));
    assert!(!host.controller.on_committed(host.next), "nothing new");
    let image = host.controller.image();
    let found = image.topic("orders").expect("committed");
    assert_eq!((found.id, found.partitions.len()), (created.id, 1));
    assert_eq!(found.partitions[0].leader, Some(NodeId(1)));
    assert_eq!(image.version, 3);
    assert_eq!(image.cluster_id, Uuid([1; 16]));
}

#[test]
fn replay_of_the_log_gives_the_same_image() {
    let mut host = Host::new();
    let mut many = topic("many");
    many.partitions = 40;
    many.configs = vec![config("retention.ms", "1000")];
    host.create(many).expect("good");
    host.create(topic("gone")).expect("good");
    host.create(topic("kept")).expect("good");
    host.run(Command::DeleteTopics(vec![TopicRef::Name(String::from("gone"))]));
    host.run(Command::AllocateProducerIds);
    host.controller.on_committed(host.next);

    let mut again = Controller::new(Arc::clone(&host.controller.config));
    let mut scratch = Scratch::new();
    let mut rest = host.log.as_slice();
    while !rest.is_empty() {
        let (records, behind) = decode_records(rest, &mut scratch).expect("its own log");
        records.into_iter().for_each(|(offset, record)| again.replay(offset, record));
        rest = behind;
    }
    again.on_committed(host.next);
    assert_eq!(again.image(), host.controller.image());
    assert_eq!(again.folded, host.controller.folded);
    assert_eq!(again.image().topic_count(), 2);
    assert_eq!(again.image().partition_count(), 41);
}

#[test]
fn names_follow_kafkas_rules() {
    let mut host = Host::new();
    assert_eq!(host.create(topic("")), Err(CreateTopicError::NameEmpty));
    for reserved in [".", "..", "__cluster_metadata"] {
        assert_eq!(host.create(topic(reserved)), Err(CreateTopicError::NameReserved));
    }
    assert_eq!(host.create(topic(&"x".repeat(250))), Err(CreateTopicError::NameTooLong { bytes: 250 }));
    for bad in ["a b", "a/b", "ä", "a\0"] {
        assert_eq!(host.create(topic(bad)), Err(CreateTopicError::NameCharacter), "{bad}");
    }
    host.create(topic(&"x".repeat(249))).expect("the longest name");
    host.create(topic("a.b_c")).expect("good");
    let collision = Err(CreateTopicError::NameCollides { with: Arc::from("a.b_c") });
    assert_eq!(host.create(topic("a_b.c")), collision);
    host.run(Command::DeleteTopics(vec![TopicRef::Name(String::from("a.b_c"))]));
    host.create(topic("a_b.c")).expect("the other one is gone");
}

#[test]
fn counts_and_assignments_are_judged() {
    let mut host = Host::new();
    let with = |partitions, replication_factor| NewTopic { partitions, replication_factor, ..topic("t") };
    for partitions in [0, -2, i32::MIN] {
        assert_eq!(host.create(with(partitions, 1)), Err(CreateTopicError::PartitionsInvalid { partitions }));
    }
    for replication_factor in [0, 2, -2, i16::MAX] {
        let error = CreateTopicError::ReplicationFactorInvalid { replication_factor };
        assert_eq!(host.create(with(1, replication_factor)), Err(error));
    }
    assert_eq!(host.create(with(i32::MAX, 1)), Err(CreateTopicError::TooManyPartitions));
    let limit = i32::try_from(CREATE_PARTITIONS_MAX).expect("fits");
    assert_eq!(host.create(with(limit + 1, 1)), Err(CreateTopicError::TooManyPartitions));
    assert_eq!(host.create(with(-1, -1)).expect("the node's default").partitions, 3);

    let assigned = |partitions, nodes: &[(i32, i32)]| NewTopic {
        partitions,
        replication_factor: -1,
        assignments: nodes.iter().map(|&(index, node)| (index, vec![NodeId(node)])).collect(),
        ..topic("assigned")
    };
    assert_eq!(host.create(assigned(2, &[(0, 1)])), Err(CreateTopicError::AssignmentAndCounts));
    assert_eq!(host.create(assigned(-1, &[(0, 1), (2, 1)])), Err(CreateTopicError::AssignmentIndexes));
    assert_eq!(host.create(assigned(-1, &[(0, 1), (0, 1)])), Err(CreateTopicError::AssignmentIndexes));
    assert_eq!(host.create(assigned(-1, &[(0, 2)])), Err(CreateTopicError::AssignmentNodes));
    assert_eq!(host.create(assigned(-1, &[(1, 1), (0, 1)])).expect("good").partitions, 2);
}

#[test]
fn settings_are_applied_or_refused() {
    let mut host = Host::new();
    let with = |configs: Vec<(String, Option<String>)>| NewTopic { configs, ..topic("t") };
    let refused = |result: Result<CreatedTopic, CreateTopicError>| match result {
        Err(CreateTopicError::Config(error)) => error,
        other => panic!("{other:?}"),
    };
    let unknown = refused(host.create(with(vec![config("no.such", "1")])));
    assert_eq!(unknown, ConfigError::UnknownName { scope: Scope::Topic, name: String::from("no.such") });
    let repeated = refused(host.create(with(vec![config("retention.ms", "1"); 10_000])));
    assert_eq!(repeated, ConfigError::Repeated { name: String::from("retention.ms") });
    let null = refused(host.create(with(vec![(String::from("retention.ms"), None)])));
    assert_eq!(null, ConfigError::NullValue { name: String::from("retention.ms") });
    host.create(with(vec![config("max.message.bytes", "123"), config("flush.ms", "9")])).expect("good");
    host.controller.on_committed(host.next);
    let image = host.controller.image();
    let found = image.topic("t").expect("created");
    assert_eq!(found.config.batch_bytes_max, 123);
    let stored = BTreeMap::from([
        ("flush.ms".to_string(), "9".to_string()),
        ("max.message.bytes".to_string(), "123".to_string()),
    ]);
    assert_eq!(found.configs, stored, "what the node does not use is kept too");
}

#[test]
fn validation_alone_changes_nothing() {
    let host = Host::new();
    let create = CreateTopics { topics: vec![topic("t")], intent: Intent::ValidateOnly };
    let (records, reply) = host.controller.handle(Command::CreateTopics(create), &mut Prng::new(2));
    assert!(records.is_empty());
    assert!(matches!(reply, ControllerReply::CreateTopics(results) if results[0].is_ok()));
}

#[test]
fn deletion_takes_names_and_ids_once() {
    let mut host = Host::new();
    let id = host.create(topic("a")).expect("good").id;
    let none = TopicId(Uuid([9; 16]));
    let wanted = vec![
        TopicRef::Id(id),
        TopicRef::Name(String::from("a")),
        TopicRef::Name(String::from("b")),
        TopicRef::Id(none),
    ];
    let ControllerReply::DeleteTopics(results) = host.run(Command::DeleteTopics(wanted)) else {
        panic!("another reply")
    };
    assert_eq!(results[0].as_ref().map(|deleted| deleted.id), Ok(id));
    assert_eq!(results[1], Err(DeleteTopicError::UnknownName));
    assert_eq!(results[2], Err(DeleteTopicError::UnknownName));
    assert_eq!(results[3], Err(DeleteTopicError::UnknownId));
    host.create(topic("a")).expect("the name is free again");
}

#[test]
fn producer_ids_are_never_given_twice() {
    let mut host = Host::new();
    for block in 0..3_i64 {
        let first = ProducerId(block * i64::from(PRODUCER_ID_BLOCK));
        let reply = host.run(Command::AllocateProducerIds);
        assert_eq!(reply, ControllerReply::ProducerIds { first, count: PRODUCER_ID_BLOCK });
    }
}

#[test]
fn a_log_with_noise_is_refused_not_misread() {
    let mut host = Host::new();
    let first = host.log.len();
    host.create(topic("a")).expect("good");
    let mut scratch = Scratch::new();
    let mut read = |log: &[u8]| {
        let mut rest = log.to_vec();
        while !rest.is_empty() {
            rest = decode_records(&rest, &mut scratch)?.1.to_vec();
        }
        Ok::<(), crate::controller::RecordError>(())
    };
    assert_eq!(read(&host.log), Ok(()));
    for at in 0..host.log.len() {
        let mut log = host.log.clone();
        log[at] ^= 0x10;
        let place = if at < first { at } else { at - first };
        // Offset and epoch are the log's to give, so they are outside of the CRC.
        let patched = place < 8 || (12..16).contains(&place);
        assert!(patched || read(&log).is_err(), "byte {at} was changed");
    }
}

#[test]
fn changes_are_the_topics_that_are_gone_new_or_other() {
    let mut host = Host::new();
    for name in ["a", "b", "c", "d"] {
        host.create(topic(name)).expect("a good topic");
    }
    host.controller.on_committed(host.next);
    let before = host.controller.image();
    assert!(before.changes(&before).gone.is_empty() && before.changes(&before).fresh.is_empty());
    host.run(Command::DeleteTopics(vec![TopicRef::Name("b".into()), TopicRef::Name("c".into())]));
    host.create(topic("b")).expect("its name is free");
    host.create(topic("e")).expect("a good topic");
    host.controller.on_committed(host.next);
    let after = host.controller.image();
    let names = |topics: &[&Arc<TopicImage>]| {
        let mut names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
        names.sort();
        names
    };
    let changes = after.changes(&before);
    assert_eq!(
        (names(&changes.gone), names(&changes.fresh)),
        (vec!["b".into(), "c".into()], vec!["b".into(), "e".into()])
    );
    let none = Image::empty();
    assert_eq!(names(&after.changes(&none).fresh), ["a", "b", "d", "e"]);
    assert_eq!(names(&none.changes(&after).gone), ["a", "b", "d", "e"]);
}

#[test]
fn encoded_bytes_are_those_of_a_batch_without_headers() {
    let mut host = Host::new();
    let wide = NewTopic { partitions: 10_000, ..topic("wide") };
    let create = CreateTopics { topics: vec![wide], intent: Intent::Apply };
    let (records, _) = host.controller.handle(Command::CreateTopics(create), &mut host.prng);
    let (bytes, batch) = (encoded_bytes(&records), encode_records(&records, Timestamp(5)).len());
    assert!(bytes < batch && batch < 2 * bytes, "{bytes} of {batch}");
    assert!(batch < METADATA_BATCH_BYTES_MAX, "as many partitions as one request may create fit");
}
