//! What leaders decide and how it is written, apart from any broker.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::assign::{Assigned, Counted, Joined, assign};
use super::subscription::{
    Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use super::{Assignor, TopicPartition};
use crate::prng::Prng;

fn counted(topics: &[(&str, usize)]) -> Counted {
    topics.iter().map(|&(topic, count)| (Arc::from(topic), count)).collect()
}

fn joined(id: &str, topics: &[&str]) -> Joined {
    let topics = topics.iter().map(ToString::to_string).collect();
    Joined { id: id.into(), instance: None, subscription: Subscription { topics, ..Subscription::default() } }
}

/// In short: topic and index.
fn shown(assigned: &Assigned) -> Vec<(String, String)> {
    let partitions = |keys: &Vec<TopicPartition>| {
        let keys: Vec<String> = keys.iter().map(|key| format!("{}{}", key.topic, key.index)).collect();
        keys.join(" ")
    };
    assigned.iter().map(|(id, keys)| (id.clone(), partitions(keys))).collect()
}

fn expect(assigned: &Assigned, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|&(id, keys)| (id.to_string(), keys.to_string())).collect();
    assert_eq!(shown(assigned), expected);
}

#[test]
fn range_gives_runs_topic_by_topic() {
    let members = [joined("b", &["t", "u"]), joined("a", &["t", "u"]), joined("c", &["u"])];
    let assigned = assign(Assignor::Range, &counted(&[("t", 3), ("u", 4)]), &members);
    expect(&assigned, &[("a", "t0 t1 u0 u1"), ("b", "t2 u2"), ("c", "u3")]);
    let nobody = assign(Assignor::Range, &counted(&[("v", 3)]), &members);
    expect(&nobody, &[("a", ""), ("b", ""), ("c", "")]);
}

#[test]
fn static_members_come_first_by_their_names() {
    let mut members = [joined("a", &["t"]), joined("b", &["t"]), joined("c", &["t"])];
    members[2].instance = Some("y".into());
    members[1].instance = Some("z".into());
    let assigned = assign(Assignor::Range, &counted(&[("t", 4)]), &members);
    expect(&assigned, &[("a", "t3"), ("b", "t2"), ("c", "t0 t1")]);
}

#[test]
fn round_robin_goes_around_and_passes_by_who_does_not_want() {
    let members = [joined("a", &["t"]), joined("b", &["t", "u"]), joined("c", &["t", "u"])];
    let assigned = assign(Assignor::RoundRobin, &counted(&[("t", 2), ("u", 3)]), &members);
    expect(&assigned, &[("a", "t0"), ("b", "t1 u1"), ("c", "u0 u2")]);
}

fn owns(mut member: Joined, generation: i32, keys: &[(&str, i32)]) -> Joined {
    member.subscription.owned =
        keys.iter().map(|&(topic, index)| TopicPartition::new(topic, index)).collect();
    member.subscription.generation = generation;
    member
}

#[test]
fn cooperative_members_keep_theirs_and_wait_for_what_others_have() {
    let counted = counted(&[("t", 4)]);
    let first =
        [owns(joined("a", &["t"]), 1, &[("t", 0), ("t", 1), ("t", 2), ("t", 3)]), joined("b", &["t"])];
    // What goes to b is nobody's until a has joined without it.
    expect(&assign(Assignor::CooperativeSticky, &counted, &first), &[("a", "t0 t1"), ("b", "")]);
    let second = [owns(joined("a", &["t"]), 2, &[("t", 0), ("t", 1)]), owns(joined("b", &["t"]), 2, &[])];
    expect(&assign(Assignor::CooperativeSticky, &counted, &second), &[("a", "t0 t1"), ("b", "t2 t3")]);
}

#[test]
fn claims_of_an_older_generation_do_not_count_and_two_of_one_cancel() {
    let counted = counted(&[("t", 2)]);
    let members =
        [owns(joined("a", &["t"]), 3, &[("t", 0)]), owns(joined("b", &["t"]), 5, &[("t", 0), ("t", 1)])];
    // b is to give one away; a does not get back what it lost meanwhile.
    expect(&assign(Assignor::CooperativeSticky, &counted, &members), &[("a", ""), ("b", "t0")]);
    let same = [owns(joined("a", &["t"]), 5, &[("t", 0)]), owns(joined("b", &["t"]), 5, &[("t", 0)])];
    let assigned = assign(Assignor::CooperativeSticky, &counted, &same);
    expect(&assigned, &[("a", "t0"), ("b", "t1")]);
}

/// Each partition once, to somebody who wants it, and fair.
fn check(counted: &Counted, members: &[Joined], assigned: &Assigned) {
    let mut seen = BTreeSet::new();
    let wants: BTreeMap<&str, &Vec<String>> =
        members.iter().map(|member| (member.id.as_str(), &member.subscription.topics)).collect();
    for (id, keys) in assigned {
        for key in keys {
            assert!(seen.insert(key.clone()), "{key:?} has two owners");
            assert!(wants[id.as_str()].iter().any(|topic| **topic == *key.topic));
        }
    }
    let wanted: usize = counted
        .iter()
        .filter(|(topic, _)| wants.values().any(|topics| topics.iter().any(|t| **t == ***topic)))
        .map(|(_, &count)| count)
        .sum();
    assert_eq!(seen.len(), wanted, "all that somebody wants");
}

#[test]
fn cooperative_rounds_settle_with_one_owner_each_whatever_was_before() {
    for seed in 0..300 {
        let mut prng = Prng::new(seed);
        let names = ["t", "u", "v"];
        let counted: Counted =
            names.iter().map(|&name| (Arc::from(name), usize::try_from(prng.below(8)).unwrap())).collect();
        let mut members: Vec<Joined> = (0..=prng.below(6))
            .map(|n| {
                let topics: Vec<&str> = names.iter().copied().filter(|_| prng.chance(600_000)).collect();
                let owned: Vec<(&str, i32)> = (0..prng.below(6))
                    .map(|_| {
                        (
                            names[usize::try_from(prng.below(3)).unwrap()],
                            i32::try_from(prng.below(9)).unwrap(),
                        )
                    })
                    .collect();
                owns(joined(&format!("m{n}"), &topics), i32::try_from(prng.below(3)).unwrap(), &owned)
            })
            .collect();
        let mut last = None;
        for round in 0..4 {
            let before = members.clone();
            let assigned = assign(Assignor::CooperativeSticky, &counted, &members);
            for (member, was) in members.iter_mut().zip(&before) {
                let mine = &assigned[&member.id];
                for key in mine {
                    let others = before.iter().any(|other| {
                        other.id != member.id
                            && other.subscription.generation == 7 + round - 1
                            && other.subscription.owned.contains(key)
                    });
                    assert!(!others, "seed {seed}: {key:?} is given while another has it");
                }
                assert_eq!(member.id, was.id);
                member.subscription.owned.clone_from(mine);
                member.subscription.generation = 7 + round;
            }
            if last.as_ref() == Some(&assigned) {
                check(&counted, &members, &assigned);
            }
            last = Some(assigned);
        }
        let settled = assign(Assignor::CooperativeSticky, &counted, &members);
        assert_eq!(Some(&settled), last.as_ref(), "seed {seed}: it goes on and on");
        check(&counted, &members, &settled);
    }
}

#[test]
fn the_other_assignors_give_each_partition_to_one_who_wants_it() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let counted = counted(&[("t", usize::try_from(prng.below(9)).unwrap()), ("u", 5), ("v", 1)]);
        let members: Vec<Joined> = (0..=prng.below(9))
            .map(|n| {
                let topics: Vec<&str> =
                    ["t", "u", "v"].into_iter().filter(|_| prng.chance(500_000)).collect();
                joined(&format!("m{n}"), &topics)
            })
            .collect();
        for assignor in [Assignor::Range, Assignor::RoundRobin] {
            check(&counted, &members, &assign(assignor, &counted, &members));
        }
    }
}

#[test]
fn subscriptions_are_written_as_kafka_writes_them() {
    let subscription = Subscription {
        topics: vec!["ab".into()],
        owned: vec![TopicPartition::new("t", 5)],
        generation: 9,
        rack: None,
        user_data: Vec::new(),
    };
    let head = [0, 3, 0, 0, 0, 1, 0, 2, b'a', b'b'];
    let tail = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 9, 0xff, 0xff];
    let none = [0xff, 0xff, 0xff, 0xff];
    let generation = [0, 0, 0, 4, 0, 0, 0, 9];
    assert_eq!(encode_subscription(Assignor::Range, &subscription), [&head[..], &none, &tail].concat());
    let sticky = encode_subscription(Assignor::CooperativeSticky, &subscription);
    assert_eq!(sticky, [&head[..], &generation, &tail].concat());
    let user_data = vec![0, 0, 0, 9];
    assert_eq!(decode_subscription(&sticky), Some(Subscription { user_data, ..subscription }));
    let assigned = [TopicPartition::new("t", 5)];
    let bytes = [0, 3, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(encode_assignment(&assigned), bytes);
    assert_eq!(decode_assignment(&bytes).as_deref(), Some(&assigned[..]));
}

#[test]
fn older_and_newer_versions_are_read() {
    let v0 = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    let read = decode_subscription(&v0).unwrap();
    assert_eq!((read.topics, read.generation), (vec!["t".to_string()], -1));
    // Version 1 has its generation in what the assignor adds.
    let v1 = [0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 0];
    assert_eq!(decode_subscription(&v1).unwrap().generation, 6);
    let with_rack = Subscription { rack: Some("r1".into()), ..Subscription::default() };
    let mut newer = encode_subscription(Assignor::Range, &with_rack);
    assert_eq!(decode_subscription(&newer), Some(with_rack.clone()));
    newer[1] = 9;
    newer.extend([1, 2, 3]);
    assert_eq!(decode_subscription(&newer), Some(with_rack));
}

#[test]
fn bytes_of_others_never_panic_and_claim_no_memory() {
    let mut prng = Prng::new(1);
    let subscription =
        Subscription { owned: vec![TopicPartition::new("topic", 1)], ..Subscription::default() };
    let whole = encode_subscription(Assignor::CooperativeSticky, &subscription);
    for len in 0..whole.len() {
        assert_eq!(decode_subscription(&whole[..len]), None, "cut at {len}");
    }
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=prng.below(3) {
            let at = usize::try_from(prng.below(u64::try_from(bytes.len()).unwrap())).unwrap();
            bytes[at] = prng.next_u64().to_be_bytes()[0];
        }
        let _ = decode_subscription(&bytes);
        let _ = decode_assignment(&bytes);
    }
}
