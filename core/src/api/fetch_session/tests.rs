use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Asked, NO_SESSION, Name, Rotation, Sessions, Told, Use, Want, next_epoch};
use crate::api::topic::{Naming, TopicKey};
use crate::limits::{FETCH_SESSION_IDLE, FETCH_SESSION_PARTITIONS_MAX, FETCH_SESSIONS_MAX};
use crate::prng::Prng;
use crate::time::{Duration, Instant};
use crate::wire::ErrorCode;

const NOW: Instant = Instant::from_nanos(1);

fn name(index: i32) -> Name {
    Name { topic: TopicKey::Name(String::from("t")), index }
}

fn want(offset: i64) -> Want {
    Want { offset, current_leader_epoch: -1, bytes_max: 100 }
}

fn asked(session_id: i32, session_epoch: i32, wanted: &[(i32, i64)], forgotten: &[i32]) -> Asked {
    Asked {
        session_id,
        session_epoch,
        naming: Naming::ByName,
        wanted: wanted.iter().map(|&(index, offset)| (name(index), want(offset))).collect(),
        forgotten: forgotten.iter().map(|&index| name(index)).collect(),
    }
}

fn indexes(wanted: &[(Name, Want)]) -> Vec<i32> {
    wanted.iter().map(|(name, _)| name.index).collect()
}

fn created(sessions: &mut Sessions, now: Instant, wanted: &[(i32, i64)]) -> i32 {
    match sessions.begin(now, asked(0, 0, wanted, &[])) {
        Ok((Use::Full { session_id }, _)) => session_id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_remembers_and_changes() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5), (1, 6)]);
    assert_ne!(id, NO_SESSION);
    let (used, wanted) = sessions.begin(NOW, asked(id, 1, &[(1, 7), (2, 8)], &[0])).expect("the right epoch");
    assert_eq!(used, Use::Incremental { session_id: id });
    assert_eq!(wanted, vec![(name(1), want(7)), (name(2), want(8))]);
}

#[test]
fn epochs_are_checked_and_wrap() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    for epoch in [2, -2, i32::MAX, i32::MIN] {
        let error = sessions.begin(NOW, asked(id, epoch, &[], &[])).expect_err("not the next epoch");
        assert_eq!(error, ErrorCode::InvalidFetchSessionEpoch);
    }
    sessions.begin(NOW, asked(id, 1, &[], &[])).expect("the next epoch");
    let error = sessions.begin(NOW, asked(id, 1, &[], &[])).expect_err("it was used");
    assert_eq!(error, ErrorCode::InvalidFetchSessionEpoch);
    for unknown in [0, -1, id ^ 1] {
        let error = sessions.begin(NOW, asked(unknown, 1, &[], &[])).expect_err("no such session");
        assert_eq!(error, ErrorCode::FetchSessionIdNotFound);
    }
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn a_session_ends_by_epoch_by_emptiness_and_by_a_new_one() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    let (used, wanted) = sessions.begin(NOW, asked(id, -1, &[(3, 3)], &[])).expect("a last fetch");
    assert_eq!((used, indexes(&wanted)), (Use::None, vec![3]));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    let (used, wanted) = sessions.begin(NOW, asked(id, 1, &[], &[0])).expect("nothing is left of it");
    assert_eq!((used, wanted.len()), (Use::None, 0));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    sessions.begin(NOW, asked(id, 0, &[(0, 5)], &[])).expect("another one");
    assert_eq!(sessions.sessions.len(), 1);
    assert_eq!(sessions.partitions, 1);
    assert_eq!(created(&mut sessions, NOW, &[]), NO_SESSION, "nothing needs no session");
}

#[test]
fn names_and_ids_do_not_mix() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    let by_id = Asked { naming: Naming::ById, ..asked(id, 1, &[], &[]) };
    assert_eq!(sessions.begin(NOW, by_id).expect_err("mixed"), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn what_had_records_goes_last() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5), (1, 6), (2, 7)]);
    sessions.rotate(id, &name(0), Rotation::Records);
    let (_, wanted) = sessions.begin(NOW, asked(id, 1, &[], &[])).expect("good");
    assert_eq!(indexes(&wanted), [1, 2, 0]);
}

#[test]
fn news_is_told_once() {
    let mut sessions = Sessions::new(Prng::new(1));
    let id = created(&mut sessions, NOW, &[(0, 5)]);
    let told = Told { high_watermark: 3, log_start_offset: 0 };
    assert!(sessions.tell(id, &name(0), told));
    assert!(!sessions.tell(id, &name(0), told));
    assert!(sessions.tell(id, &name(0), Told { high_watermark: 4, ..told }));
    assert!(sessions.tell(id, &name(0), Told { high_watermark: 4, log_start_offset: 1 }));
    sessions.rotate(id, &name(0), Rotation::Error);
    assert!(sessions.tell(id, &name(0), Told { high_watermark: 4, log_start_offset: 1 }), "after an error");
}

#[test]
fn a_full_table_gives_way_only_to_the_idle() {
    let mut sessions = Sessions::new(Prng::new(1));
    let first = created(&mut sessions, NOW, &[(0, 0)]);
    let later = NOW + Duration::from_secs(1);
    for _ in 1..FETCH_SESSIONS_MAX {
        assert_ne!(created(&mut sessions, later, &[(0, 0)]), NO_SESSION);
    }
    assert_eq!(created(&mut sessions, later, &[(0, 0)]), NO_SESSION, "nobody is idle for long enough");
    let idle = NOW + FETCH_SESSION_IDLE;
    assert_ne!(created(&mut sessions, idle, &[(0, 0)]), NO_SESSION);
    assert_eq!(sessions.sessions.len(), FETCH_SESSIONS_MAX);
    assert!(!sessions.sessions.contains_key(&first), "the oldest gave way");
    assert_eq!(created(&mut sessions, idle, &[(0, 0)]), NO_SESSION, "the next was used a second later");
}

#[test]
fn partitions_of_all_sessions_are_bounded() {
    let mut sessions = Sessions::new(Prng::new(1));
    let many: Vec<(i32, i64)> = (0..60_000).map(|index| (index, 0)).collect();
    let ids: Vec<i32> = (0..6).map(|_| created(&mut sessions, NOW, &many)).collect();
    assert_eq!(ids.iter().filter(|&&id| id != NO_SESSION).count(), FETCH_SESSION_PARTITIONS_MAX / 60_000);
    assert!(sessions.partitions <= FETCH_SESSION_PARTITIONS_MAX);
    let more: Vec<(i32, i64)> = (60_000..65_600).map(|index| (index, 0)).collect();
    let outgrown = sessions.begin(NOW, asked(ids[0], 1, &more, &[])).expect_err("too many for one fetch");
    assert_eq!(outgrown, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(sessions.partitions, 3 * 60_000);
}
