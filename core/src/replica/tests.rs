//! Acks, the high watermark and who is woken, with one replica and with three.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::{Acks, LatestError, Leadership, ProduceError, Readiness, Replica};
use crate::batch::{BatchBuilder, BatchHeader, BatchView, NewRecord};
use crate::buf::Slice;
use crate::id::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId};
use crate::log::{Log, LogConfig, Minimum, Placed, ReadPlan};
use crate::prng::Prng;
use crate::time::{Duration, Instant, Now, Timestamp};

const NOW: Now = Now { mono: Instant::from_nanos(0), wall: Timestamp(5) };

fn nodes(ids: &[i32]) -> BTreeSet<NodeId> {
    ids.iter().map(|id| NodeId(*id)).collect()
}

fn leader(isr: &[i32], min_insync: u16) -> Replica {
    let config = LogConfig {
        segment_bytes: 1 << 20,
        segment_age_max: Duration::from_secs(1_000),
        deletes: true,
        retention: None,
        retention_bytes: None,
        index_interval_bytes: 4096,
        compaction: None,
    };
    let mut replica = Replica::new(NodeId(1), Log::new(config, Offset::ZERO));
    replica.on_leadership(Leadership { epoch: LeaderEpoch(1), isr: nodes(isr), min_insync });
    replica
}

/// Appends a batch of two records of a producer and attaches it.
fn append(replica: &mut Replica, sequence: i32, acks: Acks) -> Result<Placed, ProduceError> {
    let header = BatchHeader {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        ..BatchHeader::default()
    };
    let mut builder = BatchBuilder::new(header);
    for _ in 0..2 {
        builder.push(&NewRecord { timestamp: Timestamp(5), key: None, value: Some(b"v"), headers: &[] });
    }
    let bytes = builder.build();
    let info = BatchView::parse(&bytes).unwrap().0.info().unwrap();
    let placed = replica.append(NOW, &info, acks)?;
    if let Placed::New(placement) = placed {
        replica.log.attach(placement.base, Slice::from_vec(bytes), 0);
    }
    replica.audit();
    Ok(placed)
}

#[test]
fn acks_wait_for_the_disk_they_ask_for() {
    let mut replica = leader(&[1, 2, 3], 2);
    append(&mut replica, 0, Acks::All).unwrap();
    append(&mut replica, 2, Acks::Leader).unwrap();
    assert_eq!(replica.wait_for(Offset(1), Acks::All, 10), Readiness::Later);
    assert_eq!(replica.wait_for(Offset(3), Acks::Leader, 11), Readiness::Later);
    assert_eq!(replica.wait_for(Offset(3), Acks::None, 12), Readiness::Now);
    assert_eq!(replica.watch(Offset(0), 20), Readiness::Later);
    let woken = replica.on_durable(Offset(4));
    assert_eq!((woken.acks, woken.watchers, woken.high_watermark), (vec![11], vec![], None));
    assert_eq!(replica.on_durable_at(NodeId(2), Offset(4)).high_watermark, None, "one is missing");
    let woken = replica.on_durable_at(NodeId(3), Offset(2));
    assert_eq!((woken.acks, woken.watchers, woken.high_watermark), (vec![10], vec![20], Some(Offset(2))));
    assert_eq!(replica.wait_for(Offset(1), Acks::All, 13), Readiness::Now);
    replica.audit();
}

#[test]
fn a_single_replica_commits_with_its_disk() {
    let mut replica = leader(&[1], 1);
    append(&mut replica, 0, Acks::All).unwrap();
    assert_eq!(replica.read(Offset(0), 1, Minimum::AtLeastOne), ReadPlan::Empty, "not before it is durable");
    assert_eq!(replica.on_durable(Offset(2)).high_watermark, Some(Offset(2)));
    assert!(matches!(replica.read(Offset(1), 1, Minimum::AtLeastOne), ReadPlan::Tail(_)));
}

#[test]
fn the_ack_of_a_duplicate_waits_for_the_original() {
    let mut replica = leader(&[1], 1);
    append(&mut replica, 0, Acks::All).unwrap();
    assert_eq!(
        replica.wait_for(Offset(0), Acks::All, 0),
        Readiness::Later,
        "a first record is not there yet"
    );
    replica.wait_for(Offset(1), Acks::All, 1);
    let placed = append(&mut replica, 0, Acks::All).unwrap();
    let Placed::Duplicate { base, last, .. } = placed else { panic!("it was sent before: {placed:?}") };
    assert_eq!((base, last), (Offset(0), Offset(1)));
    assert_eq!(replica.wait_for(last, Acks::All, 2), Readiness::Later, "the original is not durable");
    assert_eq!(replica.on_durable(Offset(2)).acks, [0, 1, 2]);
}

#[test]
fn too_few_in_sync_replicas_neither_take_nor_commit() {
    let mut replica = leader(&[1, 2], 2);
    append(&mut replica, 0, Acks::All).unwrap();
    replica.on_isr(nodes(&[1]));
    assert_eq!(append(&mut replica, 2, Acks::All), Err(ProduceError::NotEnoughReplicas));
    append(&mut replica, 2, Acks::Leader).unwrap();
    assert_eq!(replica.on_durable(Offset(4)).high_watermark, None, "nothing is committed below the minimum");
    assert_eq!(replica.on_min_insync(1).high_watermark, Some(Offset(4)));
}

#[test]
fn a_new_leader_knows_the_end_when_it_has_committed_its_log() {
    let mut replica = leader(&[1], 1);
    append(&mut replica, 0, Acks::All).unwrap();
    replica.on_durable(Offset(2));
    replica.on_resigned();
    assert_eq!(replica.latest(), Err(LatestError::NotLeader));
    let isr = nodes(&[1, 2]);
    replica.on_leadership(Leadership { epoch: LeaderEpoch(2), isr, min_insync: 1 });
    assert_eq!(replica.high_watermark(), Offset(2), "it never goes back");
    append(&mut replica, 2, Acks::All).unwrap();
    replica.on_durable(Offset(4));
    replica.on_resigned();
    let isr = nodes(&[1, 2]);
    replica.on_leadership(Leadership { epoch: LeaderEpoch(3), isr, min_insync: 1 });
    assert_eq!(replica.latest(), Err(LatestError::NotAvailable));
    assert_eq!(replica.on_durable_at(NodeId(2), Offset(4)).high_watermark, Some(Offset(4)));
    assert_eq!(replica.latest(), Ok(Offset(4)));
}

#[test]
fn who_leaves_wakes_all_who_wait() {
    let mut replica = leader(&[1], 1);
    append(&mut replica, 0, Acks::All).unwrap();
    replica.wait_for(Offset(1), Acks::All, 1);
    replica.watch(Offset(0), 2);
    replica.watch(Offset(5), 3);
    replica.unwatch(3);
    let woken = replica.on_resigned();
    assert_eq!((woken.acks, woken.watchers), (vec![1], vec![2]));
}

fn place(id: i32) -> usize {
    usize::try_from(id - 1).unwrap()
}

/// The high watermark of random histories, against the definition applied to all that was reported.
#[test]
fn the_high_watermark_is_the_least_durable_end_of_the_isr() {
    for seed in 0..2_000 {
        let mut prng = Prng::new(seed);
        let mut replica = leader(&[1, 2, 3], 2);
        let (mut ends, mut isr, mut expected) = ([0_i64; 3], vec![1, 2, 3], 0);
        let (mut sequence, mut waiting, mut answered) = (0, Vec::new(), Vec::new());
        for _ in 0..60 {
            let end = replica.log.log_end().0;
            let woken = match prng.below(6) {
                0 | 1 => {
                    if append(&mut replica, sequence, Acks::All).is_ok() {
                        sequence += 2;
                        assert_eq!(
                            replica.wait_for(Offset(end + 1), Acks::All, end.cast_unsigned()),
                            Readiness::Later
                        );
                        waiting.push(end.cast_unsigned());
                    }
                    continue;
                }
                2 | 3 => {
                    ends[0] = prng.between(ends[0].cast_unsigned(), end.cast_unsigned()) as i64;
                    replica.on_durable(Offset(ends[0]))
                }
                4 => {
                    let other = i32::try_from(prng.between(1, 2)).unwrap();
                    let said = prng.below(end.cast_unsigned() + 1) as i64;
                    let known = &mut ends[place(other + 1)];
                    *known = (*known).max(said);
                    replica.on_durable_at(NodeId(other + 1), Offset(said))
                }
                _ => {
                    isr = vec![1];
                    isr.extend((2..=3).filter(|_| prng.chance(600_000)));
                    replica.on_isr(nodes(&isr))
                }
            };
            let least = isr.iter().map(|id| ends[place(*id)]).min().unwrap();
            if isr.len() >= 2 {
                expected = expected.max(least);
            }
            assert_eq!(replica.high_watermark(), Offset(expected), "seed {seed}");
            answered.extend(woken.acks);
            let committed = waiting.iter().filter(|base| (**base as i64) + 1 < expected).count();
            assert_eq!(answered, waiting[..committed], "seed {seed}: who can be answered is, in order");
            replica.audit();
        }
    }
}
