//! The state of the model, small enough to copy. Broker epochs are only ever compared for equality, so instead of numbers it
//! keeps, wherever one would be kept, the set of brokers that have registered anew since (`stale`).

use super::broker::{Broker, Brokers};
use super::log::{Log, Record};
use super::{Bounds, RECORDS_MAX, REPLICAS_MAX};

/// Messages under way that can still matter.
pub(super) const MAIL_MAX: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(super) struct LeaderEpoch(pub(super) u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(super) struct PartitionEpoch(pub(super) u8);

impl LeaderEpoch {
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("the bounds keep epochs small"))
    }
}

impl PartitionEpoch {
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("the bounds keep epochs small"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) replicas: [Replica; REPLICAS_MAX as usize],
    pub(super) controller: Controller,
    pub(super) mail: [Option<Mail>; MAIL_MAX],
    /// The epoch in which each record was produced.
    pub(super) epochs: [LeaderEpoch; RECORDS_MAX as usize],
    /// All that any leader's high watermark ever passed. No broker knows it.
    pub(super) committed: Log,
    pub(super) spent: Spent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) life: Life,
    /// What it told when it registered; goes when it joins the ISR.
    pub(super) health: Health,
    /// What it would serve.
    pub(super) log: Log,
    /// What a crash leaves behind. Differs from the durable part of `log` between a truncation and the next flush.
    pub(super) disk: Log,
    pub(super) durable_end: u8,
    pub(super) high_watermark: u8,
    /// The newest leadership that it has learnt of, none since it started.
    pub(super) leader: Option<Broker>,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) agreement: Agreement,
    /// What it knows as leader; empty in all others.
    pub(super) lead: Lead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Sound,
    /// Its log may lack what was durable.
    Suspect,
}

/// Whether a follower's log is proven to be a prefix of its leader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    Unknown,
    Proven,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lead {
    pub(super) isr: Brokers,
    pub(super) partition_epoch: PartitionEpoch,
    /// The ISR that it has asked for and not been answered about.
    pub(super) pending: Brokers,
    /// Members of `pending` that have registered anew since.
    pub(super) pending_stale: Brokers,
    pub(super) epoch_start: u8,
    /// By follower: one more than the durable end that it reported in this epoch, or 0.
    pub(super) reported: [u8; REPLICAS_MAX as usize],
    /// Followers that have registered anew since their report.
    pub(super) reported_stale: Brokers,
}

impl Lead {
    pub(super) fn maximal_isr(&self) -> Brokers {
        self.isr.or(self.pending)
    }

    pub(super) fn reported_end(&self, follower: Broker) -> Option<u8> {
        self.reported[follower.index()].checked_sub(1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Controller {
    pub(super) leader: Option<Broker>,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) isr: Brokers,
    pub(super) elr: Brokers,
    pub(super) last_known_elr: Brokers,
    pub(super) unfenced: Brokers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mail {
    Alter(Alter),
    Altered(Altered),
    /// The request of this leader at this partition epoch named a member that may not join.
    Refused(Altered),
}

/// A request for another ISR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alter {
    pub(super) from: Broker,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) isr: Brokers,
    /// Members that have registered anew since the request was made.
    pub(super) stale: Brokers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Altered {
    pub(super) to: Broker,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) isr: Brokers,
}

/// How much of the bounds is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spent {
    pub(super) records: u8,
    pub(super) crashes: u8,
    pub(super) fences: u8,
    pub(super) alters: u8,
    pub(super) moves: u8,
    pub(super) rots: u8,
}

impl State {
    /// All replicas are in the ISR, empty, and know that the first leads.
    pub(super) fn first(bounds: &Bounds) -> Self {
        let all = Brokers::first(bounds.replicas);
        let replica = Replica {
            life: Life::Running,
            health: Health::Sound,
            log: Log::EMPTY,
            disk: Log::EMPTY,
            durable_end: 0,
            high_watermark: 0,
            leader: Some(Broker(0)),
            leader_epoch: LeaderEpoch(1),
            agreement: Agreement::Unknown,
            lead: Lead::default(),
        };
        let controller = Controller {
            leader: Some(Broker(0)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            isr: all,
            elr: Brokers::NONE,
            last_known_elr: Brokers::NONE,
            unfenced: all,
        };
        let mut state = Self {
            replicas: [replica; REPLICAS_MAX as usize],
            controller,
            mail: [None; MAIL_MAX],
            epochs: [LeaderEpoch(0); RECORDS_MAX as usize],
            committed: Log::EMPTY,
            spent: Spent::default(),
        };
        state.replicas[0].lead = Lead { isr: all, partition_epoch: PartitionEpoch(1), ..Lead::default() };
        state
    }

    pub(super) fn replica(&self, broker: Broker) -> &Replica {
        &self.replicas[broker.index()]
    }

    pub(super) fn replica_mut(&mut self, broker: Broker) -> &mut Replica {
        &mut self.replicas[broker.index()]
    }

    pub(super) fn runs(&self, broker: Broker) -> bool {
        self.replica(broker).life == Life::Running
    }

    /// Whether this broker runs and takes itself for the leader, rightly or not.
    pub(super) fn leads(&self, broker: Broker) -> bool {
        self.runs(broker) && self.replica(broker).leader == Some(broker)
    }

    /// The broker that this one would fetch from, if that one takes itself for the leader of the same epoch.
    pub(super) fn leader_of(&self, follower: Broker) -> Option<Broker> {
        let replica = self.replica(follower);
        let leader = replica.leader.filter(|leader| *leader != follower && self.runs(follower))?;
        (self.leads(leader) && self.replica(leader).leader_epoch == replica.leader_epoch).then_some(leader)
    }

    pub(super) fn epoch_of(&self, record: Record) -> LeaderEpoch {
        self.epochs[usize::from(record.0) - 1]
    }

    /// The epoch of the last record; of an empty log, an epoch that no leader had.
    pub(super) fn last_epoch(&self, log: Log) -> LeaderEpoch {
        log.last().map_or(LeaderEpoch(0), |record| self.epoch_of(record))
    }

    /// Where the records of `epoch` and of all before it end in `log`.
    pub(super) fn end_of_epoch(&self, log: Log, epoch: LeaderEpoch) -> u8 {
        let within = log.records().take_while(|record| self.epoch_of(*record) <= epoch).count();
        u8::try_from(within).expect("a log is short")
    }

    /// Puts a message under way, unless too many are.
    pub(super) fn post(&mut self, mail: Mail) -> bool {
        let Some(slot) = self.mail.iter_mut().find(|slot| slot.is_none()) else { return false };
        *slot = Some(mail);
        true
    }
}
