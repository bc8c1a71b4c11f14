use highwater_core::group::command::TopicPartition;
use highwater_core::group::record::{GroupRecord, OffsetValue};
use highwater_core::id::{Offset, PartitionId};
use highwater_core::shard::{CoordinatorView, Event};
use highwater_core::time::Timestamp;

use super::{Checker, CoordinatorMatchesLog, Fold};
use crate::checker::samples::{look, rules};
use crate::checker::{Look, When};
use crate::history::{Fact, Kept};

const PARTITION: PartitionId = PartitionId::METADATA;

fn commit(offset: i64) -> GroupRecord {
    let value = OffsetValue {
        offset,
        leader_epoch: None,
        metadata: String::new(),
        committed_at: Timestamp::default(),
        expires_at: None,
        topic: None,
    };
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    GroupRecord::Offset { group: "g".into(), partition, value: Some(value) }
}

fn batch(base: i64, offset: i64) -> Kept {
    let (base, end) = (Offset(base), Offset(base + 1));
    Kept { partition: PARTITION, base, end, at: Timestamp::default(), records: vec![commit(offset)] }
}

fn kept(base: i64, offset: i64) -> Fact {
    Fact::Kept { node: 0, batch: batch(base, offset) }
}

/// A coordinator that has replayed these.
fn has(commits: &[i64]) -> Look {
    let mut fold = Fold::default();
    (0..).zip(commits).for_each(|(base, offset)| fold.push(&batch(base, *offset)));
    let view = CoordinatorView { partition: PARTITION, log_end: fold.end(), groups: fold.view() };
    Look { coordinators: vec![view], when: When::AtWork, ..look(0, [0, 0, 0, 0]) }
}

fn judge(facts: &[Fact], look: &Look) -> bool {
    let mut checker = CoordinatorMatchesLog::new(&rules());
    facts.iter().for_each(|fact| checker.on_fact(fact).unwrap());
    checker.on_look(look).is_ok()
}

#[test]
fn memory_that_is_not_the_log_is_found() {
    assert!(judge(&[kept(0, 5), kept(1, 6)], &has(&[5, 6])));
    assert!(judge(&[kept(0, 5), kept(0, 5), kept(1, 6)], &has(&[5, 6])), "carried forward");
    assert!(!judge(&[kept(0, 5), kept(1, 6)], &has(&[6, 5])));
    assert!(judge(&[kept(0, 5)], &has(&[6, 5])), "the rest is not written yet");
}

#[test]
fn what_a_crash_took_back_is_no_more() {
    let recovered = |end| Fact::Core {
        node: 0,
        event: Event::Recovered { partition: PARTITION, log_start: Offset(0), log_end: Offset(end) },
    };
    assert!(judge(&[kept(0, 5), kept(1, 7), recovered(1), kept(1, 6)], &has(&[5, 6])));
    assert!(!judge(&[kept(0, 5), kept(1, 7), recovered(2)], &has(&[5, 6])));
}
