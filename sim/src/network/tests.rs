//! A stream must keep its bytes and their order whatever happens to its pieces.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the deliveries that it waits for")]

use highwater_core::buf::{PageMut, Slice};
use highwater_core::id::ConnId;
use highwater_core::shard::Input;
use highwater_core::time::Instant;

use super::{Arrival, ClientEnd, Delivery, LinkSpeed, Network, Peers, Seat, Stretch, Trouble, Way};
use crate::heap::Heap;

const SEAT: Seat = Seat { node: 0, life: 1, shard: 0 };
const ID: ConnId = ConnId { slot: 0, generation: 0 };
const END: ClientEnd = ClientEnd { client: 3, conn: ConnId { slot: 8, generation: 0 } };

struct Bench {
    network: Network,
    heap: Heap<Arrival>,
    powered: bool,
}

const SPEED: LinkSpeed = LinkSpeed {
    latency_micros: 100,
    split_per_million: 700_000,
    resend_micros: 1_000,
    give_up_millis: 60_000,
    send_buffer_bytes: 1_000,
};

impl Bench {
    fn new(seed: u64) -> Self {
        let mut network = Network::new(seed, SPEED);
        network.connect(END, SEAT.node, Instant::default());
        let mut bench = Self { network, heap: Heap::default(), powered: true };
        while !matches!(bench.next(), Some(Delivery::Connected { client: 3, .. })) {}
        bench
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
        let delivery = self.network.arrive(arrival, self.heap.now(), |_| self.powered);
        if let Delivery::Knock { link, .. } = delivery {
            self.network.accept(link, SEAT, ID, self.heap.now());
            return Some(Delivery::Nothing);
        }
        Some(delivery)
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
            other => assert!(!matches!(other, Delivery::Knock { .. } | Delivery::Connected { .. })),
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
    bench.powered = false;
    bench.network.client_sends(END, &[Slice::from_vec(b"hello".to_vec())], bench.now());
    for _ in 0..3 {
        assert!(matches!(bench.next(), Some(Delivery::Nothing)), "silence");
    }
    bench.powered = true;
    let mut lost = false;
    while let Some(delivery) = bench.next() {
        lost |= matches!(delivery, Delivery::Lost { client: 3, .. });
    }
    assert!(lost, "the next process answers with a reset");
}

const EVERYWHERE: Stretch = Stretch { way: Way::Both, peers: Peers::All };

/// Everything that troubles a link without ending it.
const NUISANCES: [Trouble; 5] = [
    Trouble::Loss { per_million: 300_000 },
    Trouble::Delay { micros: 5_000 },
    Trouble::Reorder { per_million: 500_000 },
    Trouble::Duplicate { per_million: 500_000 },
    Trouble::Clog,
];

#[test]
fn stream_hides_what_ails_its_links() {
    for seed in 0..100 {
        let mut bench = Bench::new(seed);
        for (number, trouble) in (0..).zip(NUISANCES) {
            bench.network.ail(number, SEAT.node, EVERYWHERE, trouble);
        }
        let sent: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        for part in sent.chunks(100) {
            bench.network.client_sends(END, &[Slice::from_vec(part.to_vec())], bench.now());
            bench.network.shard_sends(SEAT, ID, &[Slice::from_vec(part.to_vec())], bench.now());
        }
        let mut accepted = 0;
        for _ in 0..20 {
            let delivery = bench.next().expect("the senders try again");
            assert!(!matches!(delivery, Delivery::Bytes { .. }), "the link is clogged");
            accepted += usize::from(matches!(delivery, Delivery::Shard { input: Input::Sent { .. }, .. }));
        }
        bench.network.calm(4, bench.now());
        bench.grant();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while up.len() < sent.len() || down.len() < sent.len() || accepted < 30 {
            match bench.next().expect("all of it arrives") {
                Delivery::Shard { input: Input::Received { page, len, .. }, .. } => {
                    up.extend_from_slice(&page.as_slice()[..len as usize]);
                    bench.grant();
                }
                Delivery::Shard { input: Input::Sent { .. }, .. } => accepted += 1,
                Delivery::Bytes { bytes, .. } => down.extend(bytes),
                other => assert!(matches!(other, Delivery::Nothing), "{other:?}"),
            }
        }
        assert_eq!((up, down), (sent.clone(), sent));
        let counts = bench.network.counts();
        for fault in
            ["link-loss", "link-delay", "link-reorder", "link-duplicate", "link-clog", "segment-dropped"]
        {
            assert!(counts.of(fault) > 0, "{fault}: {counts}");
        }
    }
}

#[test]
fn cut_that_lasts_is_given_up_at_the_sending_end_alone() {
    for way in [Way::In, Way::Out] {
        let mut bench = Bench::new(5);
        bench.network.ail(1, SEAT.node, Stretch { way, peers: Peers::All }, Trouble::Cut);
        bench.network.client_sends(END, &[Slice::from_vec(b"hello".to_vec())], bench.now());
        let mut lost = 0;
        while let Some(delivery) = bench.next() {
            match delivery {
                Delivery::Lost { client: 3, .. } => lost += 1,
                other => assert!(matches!(other, Delivery::Nothing), "{other:?}"),
            }
        }
        assert_eq!(lost, 1, "{way:?}: unheard or unconfirmed, the sender cannot tell");
        assert!(bench.network.is_known(SEAT, ID), "the server waits");
        bench.network.heal(bench.now());
        bench.network.shard_sends(SEAT, ID, &[Slice::from_vec(b"?".to_vec())], bench.now());
        let mut closed = 0;
        while let Some(delivery) = bench.next() {
            closed += usize::from(matches!(delivery, Delivery::Shard { input: Input::Closed { .. }, .. }));
        }
        assert_eq!(closed, 1, "{way:?}: the client's end knows nothing of it");
    }
}

#[test]
fn late_copy_of_an_old_connection_is_not_heard() {
    let mut bench = Bench::new(6);
    bench.network.ail(1, SEAT.node, EVERYWHERE, Trouble::Duplicate { per_million: 1_000_000 });
    bench.network.client_sends(END, &[Slice::from_vec(b"hello".to_vec())], bench.now());
    bench.network.client_closes(END, bench.now());
    bench.grant();
    let (mut received, mut closed) = (0, 0);
    while let Some(delivery) = bench.next() {
        match delivery {
            Delivery::Shard { input: Input::Received { len, .. }, .. } => {
                received += len;
                bench.grant();
            }
            Delivery::Shard { input: Input::Closed { .. }, .. } => closed += 1,
            other => assert!(!matches!(other, Delivery::Bytes { .. } | Delivery::Lost { .. }), "{other:?}"),
        }
    }
    assert_eq!((received, closed), (5, 1));
    assert!(bench.network.counts().of("late-segment") > 0, "{}", bench.network.counts());
}
