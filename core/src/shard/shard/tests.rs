//! A shard and what its driver has not taken yet.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Shard;
use crate::controller::Controller;
use crate::id::{ConnId, Offset, ShardId, StreamId, Uuid};
use crate::shard::owner::Inheritance;
use crate::shard::{Config, Effect, Input};
use crate::time::{Instant, Now, Timestamp};

const FIRST: ConnId = ConnId { slot: 1, generation: 0 };
const SECOND: ConnId = ConnId { slot: 2, generation: 0 };
const NOW: Now = Now { mono: Instant::from_nanos(1), wall: Timestamp(1_000) };

fn shard() -> Shard {
    let config = Arc::new(Config::default());
    let mut controller = Controller::new(Arc::clone(&config));
    let mut offset = Offset::ZERO;
    for record in Controller::bootstrap(Uuid([1; 16])) {
        controller.replay(offset, record);
        offset = offset.next();
    }
    controller.on_committed(offset);
    let inheritance = Inheritance {
        points: 0,
        directory: Uuid::ZERO,
        image: controller.image(),
        partitions: Vec::new(),
        legacy: Vec::new(),
    };
    Shard::new(config, ShardId(0), 1, StreamId(Uuid([2; 16])), inheritance, None, NOW)
}

fn accept(shard: &mut Shard, conn: ConnId) {
    let peer: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let local: SocketAddr = "127.0.0.1:9092".parse().unwrap();
    shard.handle(NOW, Input::Accepted { conn, local, peer });
}

/// What is named by the orders that the shard still has.
fn ordered(shard: &mut Shard) -> Vec<ConnId> {
    let mut named = Vec::new();
    while let Some(effect) = shard.poll(NOW) {
        if let Effect::Recv { conn, .. } | Effect::Send { conn, .. } | Effect::Close { conn, .. } = effect {
            named.push(conn);
        }
    }
    named
}

#[test]
fn connection_that_is_gone_is_ordered_nothing() {
    let mut shard = shard();
    for conn in [FIRST, SECOND] {
        accept(&mut shard, conn);
    }
    // Orders for both are made, and a driver that is full then takes the first alone.
    while shard.turn(NOW) {}
    let Some(Effect::Recv { conn: FIRST, into, at: 0 }) = shard.effects.pop_front() else {
        panic!("who is accepted is read")
    };
    shard.handle(NOW, Input::Closed { conn: SECOND, page: None });
    assert_eq!(ordered(&mut shard), [], "the second is gone");
    shard.handle(NOW, Input::Closed { conn: FIRST, page: Some(into) });
    assert_eq!(ordered(&mut shard), []);
    assert_eq!(shard.usage().request_bytes, 0, "the page of an order that is void comes back as any other");
}
