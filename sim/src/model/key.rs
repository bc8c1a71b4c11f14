//! A number for a state that is the same for all states which differ in nothing but names: which broker is called which, and
//! what the epochs are counted from. Two states that differ in more get different numbers, but for chance.
//!
//! Only the order of epochs matters to any rule, so each is replaced by its rank among those in use. Brokers are ordered by
//! what each is on its own; where that ties, all orders are tried and the least number is taken.

use super::Bounds;
use super::REPLICAS_MAX;
use super::broker::{Broker, Brokers};
use super::state::{
    Agreement, Alter, Altered, Health, LeaderEpoch, Life, Mail, PartitionEpoch, Spent, State,
};

pub(super) fn key(bounds: &Bounds, state: &State) -> u64 {
    let ranks = Ranks::of(bounds, state);
    let shared = shared(state, &ranks);
    let mut alone = [0; REPLICAS_MAX as usize];
    for broker in Brokers::first(bounds.replicas).each() {
        alone[broker.index()] = on_its_own(state, &ranks, broker);
    }
    let mut order: [Broker; REPLICAS_MAX as usize] =
        std::array::from_fn(|place| Broker(u8::try_from(place).expect("brokers are few")));
    let order = &mut order[..usize::from(bounds.replicas)];
    order.sort_unstable_by_key(|broker| alone[broker.index()]);
    let ties = Ties { state, ranks: &ranks, alone: &alone, shared };
    ties.least(order, 0)
}

/// What any number starts from.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// One to one in either argument, so that only sums of many words can meet by chance.
const fn mix(sum: u64, word: u64) -> u64 {
    let mut mixed = sum ^ word;
    mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// The epochs in use, as sets of bits: an epoch's rank is the number of smaller ones.
struct Ranks {
    leader_epochs: u64,
    partition_epochs: u64,
}

impl Ranks {
    fn of(bounds: &Bounds, state: &State) -> Self {
        let controller = &state.controller;
        let mut ranks = Self { leader_epochs: 1, partition_epochs: 1 };
        ranks.note(controller.leader_epoch, controller.partition_epoch);
        for replica in &state.replicas[..usize::from(bounds.replicas)] {
            ranks.note(replica.leader_epoch, replica.lead.partition_epoch);
        }
        for epoch in state.epochs {
            ranks.note(epoch, PartitionEpoch(0));
        }
        for mail in state.mail.iter().flatten() {
            match mail {
                Mail::Alter(alter) => ranks.note(alter.leader_epoch, alter.partition_epoch),
                Mail::Altered(answer) | Mail::Refused(answer) => {
                    ranks.note(answer.leader_epoch, answer.partition_epoch);
                }
            }
        }
        ranks
    }

    fn note(&mut self, leader_epoch: LeaderEpoch, partition_epoch: PartitionEpoch) {
        self.leader_epochs |= 1 << leader_epoch.0;
        self.partition_epochs |= 1 << partition_epoch.0;
    }

    fn leader(&self, epoch: LeaderEpoch) -> u64 {
        below(self.leader_epochs, epoch.0)
    }

    fn partition(&self, epoch: PartitionEpoch) -> u64 {
        below(self.partition_epochs, epoch.0)
    }
}

fn below(set: u64, bit: u8) -> u64 {
    u64::from((set & ((1 << bit) - 1)).count_ones())
}

/// What names no broker.
fn shared(state: &State, ranks: &Ranks) -> u64 {
    let Spent { records, crashes, fences, alters, moves, rots } = state.spent;
    let budget = [records, crashes, fences, alters, moves, rots];
    let spent = budget.iter().fold(1, |sum, count| sum << 8 | u64::from(*count));
    let epochs = state.epochs.iter().fold(0, |sum, epoch| sum << 6 | ranks.leader(*epoch));
    let controller = &state.controller;
    let at = ranks.leader(controller.leader_epoch) << 8 | ranks.partition(controller.partition_epoch);
    [spent, epochs, at << 16 | u64::from(state.committed.bits())]
        .iter()
        .fold(SEED, |sum, word| mix(sum, *word))
}

/// What a broker is but for its relations to others.
fn on_its_own(state: &State, ranks: &Ranks, broker: Broker) -> u64 {
    let replica = state.replica(broker);
    let controller = &state.controller;
    let flags = [
        replica.life == Life::Running,
        replica.health == Health::Suspect,
        replica.agreement == Agreement::Proven,
        replica.leader == Some(broker),
        replica.leader.is_some(),
        controller.leader == Some(broker),
        controller.isr.has(broker),
        controller.elr.has(broker),
        controller.last_known_elr.has(broker),
        controller.unfenced.has(broker),
    ];
    let flags = flags.iter().fold(0, |sum, flag| sum << 1 | u64::from(*flag));
    let logs = u64::from(replica.log.bits()) << 16 | u64::from(replica.disk.bits());
    let ends = u64::from(replica.durable_end) << 8 | u64::from(replica.high_watermark);
    let epochs = ranks.leader(replica.leader_epoch) << 6 | ranks.partition(replica.lead.partition_epoch);
    let start = u64::from(replica.lead.epoch_start);
    [flags << 32 | logs, start << 16 | epochs, ends].iter().fold(SEED, |sum, word| mix(sum, *word))
}

struct Ties<'a> {
    state: &'a State,
    ranks: &'a Ranks,
    alone: &'a [u64; REPLICAS_MAX as usize],
    shared: u64,
}

impl Ties<'_> {
    /// The least number over all orders that keep `order` sorted and its first `fixed` brokers in place.
    fn least(&self, order: &mut [Broker], fixed: usize) -> u64 {
        if fixed + 1 >= order.len() {
            return self.number(order);
        }
        let mut least = u64::MAX;
        for other in fixed..order.len() {
            if self.alone[order[other].index()] == self.alone[order[fixed].index()] {
                order.swap(fixed, other);
                least = least.min(self.least(order, fixed + 1));
                order.swap(fixed, other);
            }
        }
        least
    }

    fn number(&self, order: &[Broker]) -> u64 {
        let names = Names::of(order);
        let brokers = order.iter().fold(self.shared, |sum, broker| {
            mix(mix(sum, self.alone[broker.index()]), self.relations(&names, *broker))
        });
        let mut mail = self.state.mail.map(|mail| mail.map_or(0, |mail| self.letter(&names, &mail)));
        mail.sort_unstable();
        mail.iter().fold(brokers, |sum, letter| mix(sum, *letter))
    }

    fn relations(&self, names: &Names<'_>, broker: Broker) -> u64 {
        let replica = self.state.replica(broker);
        let lead = &replica.lead;
        let sets = [lead.isr, lead.pending, lead.pending_stale, lead.reported_stale];
        let sets = sets.iter().fold(0, |sum, set| sum << 4 | names.set(*set));
        let reports =
            names.order.iter().fold(0, |sum, follower| sum << 4 | u64::from(lead.reported[follower.index()]));
        let leader = replica.leader.map_or(0, |leader| 1 + names.broker(leader));
        leader << 32 | sets << 16 | reports
    }

    fn letter(&self, names: &Names<'_>, mail: &Mail) -> u64 {
        let (kind, answer, stale) = match mail {
            Mail::Alter(alter) => {
                let Alter { from: to, leader_epoch, partition_epoch, isr, stale } = *alter;
                (1, Altered { to, leader_epoch, partition_epoch, isr }, stale)
            }
            Mail::Altered(answer) => (2, *answer, Brokers::NONE),
            Mail::Refused(answer) => (3, *answer, Brokers::NONE),
        };
        let epochs =
            self.ranks.leader(answer.leader_epoch) << 8 | self.ranks.partition(answer.partition_epoch);
        let sets = names.set(answer.isr) << 4 | names.set(stale);
        kind << 40 | names.broker(answer.to) << 32 | epochs << 16 | sets
    }
}

/// The place of each broker in an order.
struct Names<'a> {
    order: &'a [Broker],
    place: [u8; REPLICAS_MAX as usize],
}

impl<'a> Names<'a> {
    fn of(order: &'a [Broker]) -> Self {
        let mut place = [0; REPLICAS_MAX as usize];
        for (at, broker) in (0..).zip(order) {
            place[broker.index()] = at;
        }
        Self { order, place }
    }

    fn broker(&self, broker: Broker) -> u64 {
        u64::from(self.place[broker.index()])
    }

    fn set(&self, brokers: Brokers) -> u64 {
        self.order.iter().fold(0, |sum, broker| sum << 1 | u64::from(brokers.has(*broker)))
    }
}
