use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{
    ClassicMember, ClassicOfMember, ClassicValue, ConsumerValue, CurrentValue, EpochPartitions, GroupRecord,
    MemberState, MemberValue, OffsetValue, RegexValue, TargetEpochValue, fuzz,
};
use crate::coordinator::{KeyedRecord, Unreadable};
use crate::group::command::{Client, TopicPartition, TopicPartitions};
use crate::id::{TopicId, Uuid};
use crate::prng::Prng;
use crate::time::{Duration, Timestamp};

const TOPIC: TopicId = TopicId(Uuid([7; 16]));

fn client() -> Client {
    Client { id: "c".into(), host: "/h".into() }
}

fn offset(value: Option<OffsetValue>) -> GroupRecord {
    GroupRecord::Offset {
        group: "g".into(),
        partition: TopicPartition { topic: "t".into(), partition: 3 },
        value,
    }
}

fn plain_offset() -> OffsetValue {
    OffsetValue {
        offset: 258,
        leader_epoch: Some(5),
        metadata: "m".into(),
        committed_at: Timestamp(9),
        expires_at: None,
        topic: None,
    }
}

fn classic() -> GroupRecord {
    GroupRecord::Classic {
        group: "g".into(),
        value: Some(ClassicValue {
            protocol_type: "consumer".into(),
            generation: 2,
            protocol: Some("range".into()),
            leader: None,
            since: Some(Timestamp(6)),
            members: vec![ClassicMember {
                id: "a".into(),
                instance: Some("i".into()),
                client: client(),
                rebalance_timeout: Duration::from_millis(300),
                session_timeout: Duration::from_millis(10),
                subscription: vec![1, 2],
                assignment: vec![],
            }],
        }),
    }
}

fn member(classic: Option<ClassicOfMember>) -> GroupRecord {
    GroupRecord::Member {
        group: "g".into(),
        member: "a".into(),
        value: Some(MemberValue {
            instance: None,
            rack: Some("r".into()),
            client: client(),
            topics: vec!["t".into()],
            regex: None,
            rebalance_timeout: Duration::from_millis(300),
            assignor: Some("range".into()),
            classic,
        }),
    }
}

fn current(epochs: [Option<i32>; 2]) -> GroupRecord {
    let partitions = vec![(0, epochs[0]), (4, epochs[1])];
    GroupRecord::CurrentMember {
        group: "g".into(),
        member: "a".into(),
        value: Some(CurrentValue {
            epoch: 8,
            previous_epoch: 7,
            state: MemberState::UnrevokedPartitions,
            assigned: vec![EpochPartitions { topic: TOPIC, partitions }],
            revoking: vec![],
        }),
    }
}

fn samples() -> Vec<GroupRecord> {
    let (group, name): (String, String) = ("g".into(), "a".into());
    let spoken = ClassicOfMember {
        session_timeout: Duration::from_millis(10),
        protocols: vec![("range".into(), vec![3])],
    };
    let target = TopicPartitions { topic: TOPIC, partitions: vec![0, 4] };
    let regex = RegexValue { topics: vec!["t".into()], version: 3, resolved_at: Timestamp(4) };
    vec![
        offset(None),
        offset(Some(plain_offset())),
        offset(Some(OffsetValue { topic: Some(TOPIC), leader_epoch: None, ..plain_offset() })),
        offset(Some(OffsetValue { expires_at: Some(Timestamp(12)), leader_epoch: None, ..plain_offset() })),
        classic(),
        GroupRecord::Classic { group: group.clone(), value: None },
        GroupRecord::Consumer {
            group: group.clone(),
            value: Some(ConsumerValue { epoch: 4, metadata_hash: 0 }),
        },
        GroupRecord::Consumer {
            group: group.clone(),
            value: Some(ConsumerValue { epoch: 4, metadata_hash: -9 }),
        },
        member(None),
        member(Some(spoken)),
        GroupRecord::TargetEpoch {
            group: group.clone(),
            value: Some(TargetEpochValue { epoch: 4, assigned_at: Some(Timestamp(0)) }),
        },
        GroupRecord::TargetEpoch {
            group: group.clone(),
            value: Some(TargetEpochValue { epoch: 4, assigned_at: None }),
        },
        GroupRecord::TargetMember { group: group.clone(), member: name.clone(), value: Some(vec![target]) },
        GroupRecord::TargetMember { group: group.clone(), member: name, value: None },
        current([None, None]),
        current([Some(8), None]),
        GroupRecord::Regex { group: group.clone(), regex: "t.*".into(), value: Some(regex) },
        GroupRecord::Regex { group, regex: "t.*".into(), value: None },
    ]
}

fn decode(encoded: &KeyedRecord) -> Result<Option<GroupRecord>, Unreadable> {
    GroupRecord::decode(&encoded.key, encoded.value.as_deref())
}

#[test]
fn decode_reads_what_encode_writes() {
    for record in samples() {
        assert_eq!(decode(&record.encode()), Ok(Some(record)));
    }
}

/// Kafka's own layout, put together by hand from its schemas.
#[test]
fn offset_is_laid_out_as_kafka_does() {
    let KeyedRecord { key, value } = offset(Some(plain_offset())).encode();
    assert_eq!(key, [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    let plain = [0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 9];
    assert_eq!(value.expect("no tombstone"), plain);

    let with_topic = offset(Some(OffsetValue { topic: Some(TOPIC), ..plain_offset() }));
    let mut expected =
        vec![0, 4, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5, 2, b'm', 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 16];
    expected.extend([7; 16]);
    assert_eq!(with_topic.encode().value.expect("no tombstone"), expected);

    let expiring = OffsetValue { expires_at: Some(Timestamp(12)), topic: Some(TOPIC), ..plain_offset() };
    let expected = [
        [0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 9].as_slice(),
        &[0, 0, 0, 0, 0, 0, 0, 12],
    ];
    assert_eq!(offset(Some(expiring)).encode().value.expect("no tombstone"), expected.concat());
}

#[test]
fn group_is_laid_out_as_kafka_does() {
    let KeyedRecord { key, value } = classic().encode();
    assert_eq!(key, [0, 2, 0, 1, b'g']);
    let parts: [&[u8]; 9] = [
        &[0, 3, 0, 8],
        b"consumer",
        &[0, 0, 0, 2, 0, 5],
        b"range",
        &[0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1],
        &[0, 1, b'a', 0, 1, b'i', 0, 1, b'c', 0, 2, b'/', b'h'],
        &[0, 0, 1, 44, 0, 0, 0, 10],
        &[0, 0, 0, 2, 1, 2],
        &[0, 0, 0, 0],
    ];
    assert_eq!(value.expect("no tombstone"), parts.concat());
}

#[test]
fn member_is_laid_out_as_kafka_does() {
    let KeyedRecord { key, value } = member(Some(ClassicOfMember {
        session_timeout: Duration::from_millis(10),
        protocols: vec![("p".into(), vec![3])],
    }))
    .encode();
    assert_eq!(key, [0, 5, 0, 1, b'g', 0, 1, b'a']);
    let parts: [&[u8]; 6] = [
        &[0, 0, 0, 2, b'r', 2, b'c', 3, b'/', b'h', 2, 2, b't', 0],
        &[0, 0, 1, 44, 6],
        b"range",
        // One tagged field: its bytes, that it is not null, the timeout, one protocol, and twice no further tags.
        &[1, 0, 12],
        &[1, 0, 0, 0, 10, 2],
        &[2, b'p', 2, 3, 0, 0],
    ];
    assert_eq!(value.expect("no tombstone"), parts.concat());
}

#[test]
fn current_assignment_is_laid_out_as_kafka_does() {
    let KeyedRecord { key, value } = current([Some(8), None]).encode();
    assert_eq!(key, [0, 8, 0, 1, b'g', 0, 1, b'a']);
    let parts: [&[u8]; 6] = [
        &[0, 0, 0, 0, 0, 8, 0, 0, 0, 7, 1, 2],
        &[7; 16],
        &[3, 0, 0, 0, 0, 0, 0, 0, 4],
        &[1, 0, 9, 3, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff],
        &[1],
        &[0],
    ];
    assert_eq!(value.expect("no tombstone"), parts.concat());
    let KeyedRecord { value, .. } = current([None, None]).encode();
    let end = [3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0];
    assert!(value.expect("no tombstone").ends_with(&end), "no epochs, no tag");
}

#[test]
fn decode_reads_older_versions() {
    let key = [0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3];
    let value = [0, 2, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 9];
    let expected = offset(Some(OffsetValue { leader_epoch: None, ..plain_offset() }));
    assert_eq!(GroupRecord::decode(&key, Some(&value)), Ok(Some(expected)));

    let members: [&[u8]; 2] = [
        &[0, 0, 0, 1, 0, 1, b'a', 0, 1, b'c', 0, 2, b'/', b'h'],
        &[0, 0, 0, 10, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0],
    ];
    let value: [&[u8]; 4] =
        [&[0, 0, 0, 8], b"consumer", &[0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff], &members.concat()];
    let read = GroupRecord::decode(&[0, 2, 0, 1, b'g'], Some(&value.concat()));
    let Ok(Some(GroupRecord::Classic { value: Some(value), .. })) = read else { panic!("{read:?}") };
    assert_eq!((value.since, value.protocol), (None, None));
    let [member] = value.members.as_slice() else { panic!("one member") };
    assert_eq!((member.rebalance_timeout, &member.instance), (member.session_timeout, &None));
    assert_eq!(member.session_timeout, Duration::from_millis(10));
}

#[test]
fn decode_passes_over_what_it_does_not_know() {
    for kind in [4, 9, 10, 17, i16::MAX, -1] {
        assert_eq!(GroupRecord::decode(&kind.to_be_bytes(), Some(&[0xff])), Ok(None));
    }
    // A tag of a later version, before and behind those that are known.
    let value = [0, 0, 0, 0, 0, 4, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 6, 9, 1, 0xff];
    let expected = GroupRecord::Consumer {
        group: "g".into(),
        value: Some(ConsumerValue { epoch: 4, metadata_hash: 6 }),
    };
    assert_eq!(GroupRecord::decode(&[0, 3, 0, 1, b'g'], Some(&value)), Ok(Some(expected)));
}

#[test]
fn decode_refuses_what_cannot_be() {
    let refused = |key: &[u8], value: &[u8]| GroupRecord::decode(key, Some(value)).expect_err("refused");
    assert_eq!(refused(&[0], &[]).0, "it ends too early");
    assert_eq!(refused(&[0, 2, 0, 1, b'g'], &[0, 5]).0, "a value of an unknown version");
    assert_eq!(refused(&[0, 2, 0xff, 0xff], &[0, 3]).0, "null where a value belongs");
    assert_eq!(refused(&[0, 2, 0, 1, 0xff], &[0, 3]).0, "a text that is not UTF-8");
    // A count that no bytes stand behind.
    assert_eq!(refused(&[0, 7, 0, 0, 0, 0], &[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).0, "it ends too early");
    assert_eq!(
        refused(&[0, 7, 0, 0, 0, 0], &[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).0,
        "a length of more than 32 bits"
    );
    for record in samples() {
        let KeyedRecord { key, value } = record.encode();
        for len in 0..value.as_ref().map_or(0, Vec::len) {
            let cut = value.as_ref().map(|value| &value[..len]);
            assert!(GroupRecord::decode(&key, cut).is_err(), "{record:?} cut at {len}");
        }
    }
}

#[test]
fn decode_survives_any_bytes() {
    let mut prng = Prng::new(0x6f66);
    let samples = samples();
    for round in 0..20_000 {
        let KeyedRecord { key, value } = samples[round % samples.len()].encode();
        let mut input = u16::try_from(key.len()).expect("short").to_be_bytes().to_vec();
        input.extend(key);
        input.extend(value.unwrap_or_default());
        for _ in 0..prng.between(1, 3) {
            let at = usize::try_from(prng.below(input.len() as u64)).expect("within");
            input[at] = prng.next_u64().to_le_bytes()[0];
        }
        fuzz(&input);
    }
}
