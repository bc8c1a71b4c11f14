//! Whatever the bytes are: no panic, bounded memory, and the next connection is served.

use alloc::vec;
use alloc::vec::Vec;

use super::{CONN, World, batch, request};
use crate::api::SERVED;
use crate::id::ConnId;
use crate::limits::RECEIVE_PAGE_BYTES_MIN;
use crate::prng::Prng;
use crate::shard::home::tests::producing::produce;
use crate::time::Duration;
use crate::wire::ApiKey;

struct Noise {
    world: World,
    slot: u32,
}

impl Noise {
    /// Sends `frame` on a connection of its own, lets all time pass, and looks whether somebody else is served.
    fn throw(&mut self, frame: &[u8]) {
        self.slot += 1;
        let conn = ConnId { slot: self.slot, generation: 0 };
        self.world.accept(conn);
        self.world.send(conn, frame);
        self.world.pass(Duration::from_secs(3_600));
        let client = self.world.clients.get_mut(&conn).expect("known");
        if client.closed.is_none() && client.received.is_empty() {
            // A produce without acks may be what the bytes say: the next request is answered then.
            self.world.send(conn, &request(ApiKey::ApiVersions, 0, 2, &[]));
        }
        let client = self.world.clients.get_mut(&conn).expect("known");
        if client.closed.is_none() {
            assert!(!client.received.is_empty(), "neither closed nor answered: {frame:?}");
            let page = client.lent.take().map(|(page, _)| page);
            self.world.home.on_closed(conn, page);
            self.world.run();
        }
        self.world.clients.remove(&conn);
    }
}

fn noise() -> Noise {
    Noise { world: World::with_topic(), slot: 0 }
}

#[test]
fn random_and_absurd_bodies_do_no_harm() {
    let mut prng = Prng::new(11);
    let mut noise = noise();
    for &(key, min, max) in SERVED {
        for version in min..=max {
            noise.throw(&request(key, version, 1, &[]));
            for fill in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                for len in [1, 4, 11, 40, 300] {
                    noise.throw(&request(key, version, 1, &vec![fill; len]));
                }
            }
            for _ in 0..60 {
                let len = usize::try_from(prng.below(120)).expect("fits");
                let mut bytes = vec![0; len];
                prng.fill(&mut bytes);
                // Small numbers lead further into a message than large ones.
                bytes.iter_mut().filter(|byte| **byte % 3 != 0).for_each(|byte| *byte %= 4);
                noise.throw(&request(key, version, 1, &bytes));
            }
        }
    }
    assert_eq!(noise.world.home.deadline(), None);
    assert_eq!(
        noise.world.pool.bytes_in_use(),
        RECEIVE_PAGE_BYTES_MIN,
        "the first connection's page is all that is held"
    );
}

#[test]
fn a_produce_cut_or_changed_anywhere_does_no_harm() {
    let mut prng = Prng::new(12);
    let mut noise = noise();
    for version in [3, 9, 12] {
        let good = produce(version, -1, &[(0, Some(batch(3, 20))), (1, Some(batch(1, 1)))]);
        for len in 0..good.len() {
            noise.throw(&request(ApiKey::Produce, version, 1, &good[..len]));
            let mut changed = good.clone();
            changed[len] = u8::try_from(prng.below(256)).expect("a byte");
            noise.throw(&request(ApiKey::Produce, version, 1, &changed));
        }
    }
    let frame = request(ApiKey::ApiVersions, 0, 1, &[]);
    assert_eq!(noise.world.send(CONN, &frame), 0);
    assert!(noise.world.response(CONN).is_some(), "the others are served");
}

#[test]
fn noise_instead_of_frames_does_no_harm() {
    let mut prng = Prng::new(13);
    let mut noise = noise();
    for _ in 0..3_000 {
        let len = usize::try_from(prng.between(5, 60)).expect("fits");
        let mut bytes: Vec<u8> = vec![0; len];
        prng.fill(&mut bytes);
        // Half of them announce a length that is there.
        if bytes[5 % len].is_multiple_of(2) {
            bytes[..4].copy_from_slice(&i32::try_from(len - 4).expect("fits").to_be_bytes());
        }
        noise.throw(&bytes);
    }
}
