//! What lies between two hosts, one direction at a time: how long a packet takes, and what becomes of it while a fault lasts.
//! A packet is lost, held back, doubled or overtaken here; that streams hide it is not its business. Must not know what is in a
//! packet, nor what a connection is.

use highwater_core::prng::Prng;
use highwater_core::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::report::Counts;

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    Node(usize),
    Client(usize),
}

/// One direction between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    pub from: Host,
    pub to: Host,
}

impl Hop {
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

/// What ails a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    Loss {
        per_million: u64,
    },
    /// Every packet takes up to this much longer.
    Delay {
        micros: u64,
    },
    /// So many packets are overtaken by those behind them.
    Reorder {
        per_million: u64,
    },
    Duplicate {
        per_million: u64,
    },
    /// Nothing passes until it ends, and then all of it.
    Clog,
    /// Nothing passes.
    Cut,
}

/// The links of one node that a trouble is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stretch {
    pub way: Way,
    pub peers: Peers,
}

/// As seen from the node that a fault is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    In,
    Out,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    All,
    /// One in so many of them, which ones being counted from the other number.
    OneIn {
        count: usize,
        from: usize,
    },
}

impl Stretch {
    fn covers(self, node: usize, hop: Hop) -> bool {
        let peer = match self.way {
            Way::In if hop.to == Host::Node(node) => hop.from,
            Way::Out if hop.from == Host::Node(node) => hop.to,
            Way::Both if hop.to == Host::Node(node) => hop.from,
            Way::Both if hop.from == Host::Node(node) => hop.to,
            Way::In | Way::Out | Way::Both => return false,
        };
        let (Host::Node(index) | Host::Client(index)) = peer;
        match self.peers {
            Peers::All => true,
            Peers::OneIn { count, from } => (index + from) % count.max(1) == 0,
        }
    }
}

/// How the links of a run behave without faults.
#[derive(Debug, Clone)]
pub struct LinkSpeed {
    pub latency_micros: u64,
    /// Of a million stretches of bytes, how many are cut in pieces.
    pub split_per_million: u64,
    /// Until a packet that is not confirmed is sent again for the first time.
    pub resend_micros: u64,
    /// Until a sender that hears nothing gives its connection up.
    pub give_up_millis: u64,
    /// Bytes that a kernel takes from its process ahead of the peer.
    pub send_buffer_bytes: u64,
}

impl LinkSpeed {
    pub fn latency(&self, prng: &mut Prng) -> Duration {
        prng.micros(self.latency_micros / 4 + 1, self.latency_micros * 2 + 2)
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transit {
    Lost,
    /// It waits in the link: `Links::release` gives it back.
    Held,
    Arrives {
        at: Instant,
        /// A second copy.
        again: Option<Instant>,
    },
}

/// What a direction of a connection draws: its speed, and apart from that what faults do to it, so that a fault that is taken
/// away leaves the speeds as they were.
#[derive(Debug)]
pub struct Lane {
    pub hop: Hop,
    pub prng: Prng,
    pub luck: Prng,
    /// When the last packet arrives: without a fault none overtakes another.
    pub until: Instant,
}

#[derive(Debug)]
struct Active {
    number: u64,
    node: usize,
    stretch: Stretch,
    trouble: Trouble,
}

/// All links of a world, and what waits in them.
#[derive(Debug)]
pub struct Links<P> {
    pub speed: LinkSpeed,
    active: Vec<Active>,
    held: Vec<(Hop, P)>,
    pub delivered: Counts,
}

impl<P> Links<P> {
    pub fn new(speed: LinkSpeed) -> Self {
        Self { speed, active: Vec::new(), held: Vec::new(), delivered: Counts::default() }
    }

    /// Trouble begins; `number` names it.
    pub fn ail(&mut self, number: u64, node: usize, stretch: Stretch, trouble: Trouble) {
        self.active.push(Active { number, node, stretch, trouble });
    }

    /// Trouble ends; what it held back goes on.
    pub fn calm(&mut self, number: u64) -> Vec<(Hop, P)> {
        self.active.retain(|active| active.number != number);
        self.release()
    }

    pub fn heal(&mut self) -> Vec<(Hop, P)> {
        self.active.clear();
        self.release()
    }

    fn release(&mut self) -> Vec<(Hop, P)> {
        let held = core::mem::take(&mut self.held);
        let (held, free) = held.into_iter().partition(|(hop, _)| {
            let on =
                |active: &Active| active.trouble == Trouble::Clog && active.stretch.covers(active.node, *hop);
            self.active.iter().any(on)
        });
        self.held = held;
        free
    }

    pub fn hold(&mut self, hop: Hop, packet: P) {
        self.held.push((hop, packet));
    }

    /// Sends one packet.
    pub fn send(&mut self, lane: &mut Lane, now: Instant) -> Transit {
        let wait = self.speed.latency(&mut lane.prng);
        lane.until = lane.until.max(now + wait);
        if self.active.is_empty() {
            return Transit::Arrives { at: lane.until, again: None };
        }
        self.send_through_trouble(lane, wait)
    }

    fn send_through_trouble(&mut self, lane: &mut Lane, wait: Duration) -> Transit {
        // What is late is overtaken by those behind it.
        let mut at = lane.until;
        let (mut again, mut held) = (None, false);
        for active in self.active.iter().filter(|active| active.stretch.covers(active.node, lane.hop)) {
            match active.trouble {
                Trouble::Cut => {
                    self.delivered.add("link-cut");
                    return Transit::Lost;
                }
                Trouble::Loss { per_million } if lane.luck.chance(per_million) => {
                    self.delivered.add("link-loss");
                    return Transit::Lost;
                }
                Trouble::Duplicate { per_million } if lane.luck.chance(per_million) => {
                    self.delivered.add("link-duplicate");
                    again = Some(lane.luck.micros(1, 500_000));
                }
                Trouble::Delay { micros } => {
                    self.delivered.add("link-delay");
                    at = at + lane.luck.micros(1, micros.max(1));
                }
                Trouble::Reorder { per_million } if lane.luck.chance(per_million) => {
                    self.delivered.add("link-reorder");
                    let times = lane.luck.between(1, 10);
                    at = at + Duration::from_nanos(wait.as_nanos() * times);
                }
                Trouble::Clog => {
                    self.delivered.add("link-clog");
                    held = true;
                }
                Trouble::Loss { .. } | Trouble::Duplicate { .. } | Trouble::Reorder { .. } => {}
            }
        }
        if held {
            return Transit::Held;
        }
        Transit::Arrives { at, again: again.map(|later| at + later) }
    }

    /// Whether a word of thanks, on which nothing waits, passes now.
    pub fn passes(&mut self, hop: Hop, luck: &mut Prng) -> bool {
        self.active.iter().filter(|active| active.stretch.covers(active.node, hop)).all(|active| match active
            .trouble
        {
            Trouble::Cut | Trouble::Clog => false,
            Trouble::Loss { per_million } => !luck.chance(per_million),
            Trouble::Delay { .. } | Trouble::Reorder { .. } | Trouble::Duplicate { .. } => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::prng::Prng;
    use highwater_core::time::Instant;

    use super::{Hop, Host, Lane, LinkSpeed, Links, Peers, Stretch, Transit, Trouble, Way};

    fn lane(from: usize, to: usize) -> Lane {
        let hop = Hop { from: Host::Node(from), to: Host::Node(to) };
        Lane { hop, prng: Prng::new(1), luck: Prng::new(2), until: Instant::default() }
    }

    fn links() -> Links<u8> {
        Links::new(LinkSpeed {
            latency_micros: 100,
            split_per_million: 0,
            resend_micros: 1,
            give_up_millis: 1,
            send_buffer_bytes: 0,
        })
    }

    #[test]
    fn one_way_between_two_nodes_is_cut_alone() {
        let mut links = links();
        let (mut there, mut back, mut elsewhere) = (lane(0, 1), lane(1, 0), lane(0, 2));
        let peers = Peers::OneIn { count: 2, from: 1 };
        links.ail(7, 0, Stretch { way: Way::Out, peers }, Trouble::Cut);
        assert_eq!(links.send(&mut there, Instant::default()), Transit::Lost);
        for open in [&mut back, &mut elsewhere] {
            assert!(matches!(links.send(open, Instant::default()), Transit::Arrives { .. }));
        }
        assert!(links.calm(7).is_empty());
        assert!(matches!(links.send(&mut there, Instant::default()), Transit::Arrives { .. }));
    }

    #[test]
    fn clog_gives_back_what_it_held_in_order() {
        let mut links = links();
        let mut there = lane(0, 1);
        links.ail(1, 1, Stretch { way: Way::In, peers: Peers::All }, Trouble::Clog);
        links.ail(2, 0, Stretch { way: Way::Out, peers: Peers::All }, Trouble::Clog);
        for packet in 0..3 {
            assert_eq!(links.send(&mut there, Instant::default()), Transit::Held);
            links.hold(there.hop, packet);
        }
        assert!(links.calm(1).is_empty(), "the other one lasts");
        assert_eq!(links.calm(2).into_iter().map(|(_, packet)| packet).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn trouble_does_not_shift_the_speeds() {
        let (mut clear, mut ailing) = (links(), links());
        ailing.ail(
            1,
            0,
            Stretch { way: Way::Both, peers: Peers::All },
            Trouble::Loss { per_million: 500_000 },
        );
        let (mut one, mut two) = (lane(0, 1), lane(0, 1));
        for _ in 0..100 {
            let (at, passed) =
                (clear.send(&mut one, Instant::default()), ailing.send(&mut two, Instant::default()));
            assert!(passed == at || passed == Transit::Lost);
        }
    }

    #[test]
    fn packets_keep_their_order_unless_reordered() {
        let mut links = links();
        let mut there = lane(0, 1);
        let mut arrivals = |links: &mut Links<u8>| -> Vec<Instant> {
            let at = |transit| match transit {
                Transit::Arrives { at, .. } => at,
                Transit::Lost | Transit::Held => Instant::default(),
            };
            (0..100).map(|_| at(links.send(&mut there, Instant::default()))).collect()
        };
        assert!(arrivals(&mut links).is_sorted());
        let stretch = Stretch { way: Way::Both, peers: Peers::All };
        links.ail(1, 0, stretch, Trouble::Reorder { per_million: 500_000 });
        assert!(!arrivals(&mut links).is_sorted());
    }
}
