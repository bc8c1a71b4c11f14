//! A stream must keep its bytes and their order whatever happens to its pieces.

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::shard::Input;
use highwater_core::time::Instant;

use super::{Arrival, ClientEnd, Delivery, LinkSpeed, Network, Seat};
use crate::heap::Heap;

const SEAT: Seat = Seat { node: 0, life: 1, shard: 0 };
const ID: ConnId = ConnId { slot: 0, generation: 0 };
const END: ClientEnd = ClientEnd { client: 3, conn: ConnId { slot: 8, generation: 0 } };

struct Bench {
    network: Network,
    heap: Heap<Arrival>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut network = Network::new(seed, LinkSpeed { latency_micros: 100, split_per_million: 700_000 });
        let prng = network.stream(END.client);
        network.open(END, SEAT, ID, prng, Instant::default());
        Self { network, heap: Heap::default() }
    }

    fn now(&self) -> Instant {
        self.heap.now()
    }

    fn grant(&mut self) {
        let now = self.now();
        self.network.shard_receives(SEAT, ID, PageMut::with_len(1024), 0, now);
    }

    fn next(&mut self) -> Option<Delivery> {
        for (at, arrival) in self.network.plan.drain(..) {
            self.heap.at(at, arrival);
        }
        let arrival = self.heap.pop()?;
        Some(self.network.arrive(arrival, self.heap.now(), |_| true))
    }
}

#[test]
fn bytes_arrive_in_order_and_only_against_a_grant() {
    for seed in 0..50 {
        let mut bench = Bench::new(seed);
        let sent: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        bench.network.client_sends(END, &[Slice::from_vec(sent.clone())], bench.now());
        while let Some(delivery) = bench.next() {
            assert!(matches!(delivery, Delivery::Nothing), "no grant, no bytes");
        }
        let mut got = Vec::new();
        bench.grant();
        while let Some(delivery) = bench.next() {
            if let Delivery::Shard { input: Input::Received { page, len, .. }, .. } = delivery {
                got.extend_from_slice(&page.as_slice()[..len as usize]);
                bench.grant();
            }
        }
        assert_eq!(got, sent);
    }
}

#[test]
fn sends_are_answered_and_reach_the_client_in_order() {
    let mut bench = Bench::new(9);
    for byte in 0..20 {
        bench.network.shard_sends(SEAT, ID, &[Slice::from_vec(vec![byte; 10])], bench.now());
    }
    bench.network.shard_closes(SEAT, ID, bench.now());
    let (mut got, mut lost, mut closed) = (Vec::new(), 0, 0);
    while let Some(delivery) = bench.next() {
        match delivery {
            Delivery::Bytes { client: 3, bytes, .. } => got.extend(bytes),
            Delivery::Lost { client: 3, .. } => lost += 1,
            Delivery::Shard { input: Input::Closed { .. }, .. } => closed += 1,
            Delivery::Nothing | Delivery::Shard { .. } | Delivery::Bytes { .. } | Delivery::Lost { .. } => {}
        }
    }
    assert_eq!(got, (0..20).flat_map(|byte| [byte; 10]).collect::<Vec<u8>>());
    assert_eq!((lost, closed), (1, 1));
}

#[test]
fn closed_gives_the_lent_page_back_once() {
    let mut bench = Bench::new(2);
    bench.grant();
    bench.network.client_closes(END, bench.now());
    let mut pages = Vec::new();
    while let Some(delivery) = bench.next() {
        if let Delivery::Shard { input: Input::Closed { page, .. }, .. } = delivery {
            pages.push(page.is_some());
        }
    }
    assert_eq!(pages, [true]);
}

#[test]
fn power_loss_is_silent_until_the_machine_is_back() {
    let mut bench = Bench::new(4);
    bench.network.power_lost(0);
    assert!(bench.next().is_none(), "silence");
    bench.network.client_sends(END, &[Slice::from_vec(b"hello".to_vec())], bench.now());
    let mut lost = false;
    while let Some(delivery) = bench.next() {
        lost |= matches!(delivery, Delivery::Lost { client: 3, .. });
    }
    assert!(lost, "the next process answers with a reset");
}
