//! Looks into running nodes: what the checkers see beside the facts, and when. Must not know what they make of it.

use highwater_core::shard::Usage;
use highwater_core::time::{Duration, Instant};

use super::machine::Machine;
use super::node::Node;
use super::{Phase, World};
use crate::checker::{Look, When};

/// Audits of a core from one look into it to the next.
pub(super) const LOOK_EVERY: u32 = 16;

/// The same while nodes are left alone.
const LINGERING_LOOK_EVERY: Duration = Duration::from_secs(1);

impl World {
    /// Shows the checkers one shard, after all that it told of so far.
    pub(super) fn look(&mut self, node: usize, shard: u16, when: When) {
        self.settle();
        let shards = self.nodes[node].cores.len();
        let core = &mut self.nodes[node].cores[usize::from(shard)];
        let Machine::Shard(machine) = &mut core.machine else { return };
        let (partitions, coordinators) = (machine.view(), machine.coordinators());
        let usage = machine.usage();
        let now = self.now();
        let wall = self.nodes[node].clocks(now).wall;
        self.checkers[node].on_clock(now, wall);
        let look = Look { node, shards, shard, partitions, coordinators, usage, when };
        if let Err(violation) = self.checkers[node].on_look(&look) {
            self.violation.get_or_insert(violation);
        }
    }

    pub(super) fn look_at_node(&mut self, node: usize, when: When) {
        let shards = u16::try_from(self.nodes[node].cores.len()).expect("few shards");
        for shard in 0..shards {
            self.look(node, shard, when);
        }
    }

    /// Looks now and then at nodes that are left alone.
    pub(super) fn linger(&mut self, until: Instant, looked: Instant) {
        let now = self.now();
        if now >= until {
            self.phase = Phase::Over;
        } else if now >= looked + LINGERING_LOOK_EVERY {
            (0..self.nodes.len()).for_each(|node| self.look_at_node(node, When::AtWork));
            self.phase = Phase::Lingering { until, looked: now };
        }
    }

    /// Closes what clients have left open, and hears no client from now on.
    pub(super) fn send_clients_away(&mut self) {
        let now = self.now();
        self.network.send_clients_away(now);
    }

    /// What some shard still has to do, although nobody asks anything of it.
    pub(super) fn unsettled(&mut self) -> Option<String> {
        self.nodes.iter_mut().enumerate().find_map(|(n, node)| {
            let under_way: usize = node.mesh.values().map(|pipe| pipe.messages.len()).sum();
            let waiting: usize = node.cores.iter().map(|core| core.inbox.len()).sum();
            if under_way + waiting > 0 {
                return Some(format!("node {n} has {under_way} messages under way and {waiting} inputs"));
            }
            let usage = busiest(node)?;
            Some(format!("node {n} is not done: {usage:?}"))
        })
    }
}

/// What a shard holds that it has to let go by itself.
fn busiest(node: &mut Node) -> Option<Usage> {
    node.cores.iter_mut().find_map(|core| match &mut core.machine {
        Machine::Shard(shard) => {
            let usage = shard.usage();
            // Who asked for what a slow disk still reads may be gone.
            let waits = usage.connections + usage.requests + usage.keep_jobs + usage.acks + usage.read_bytes;
            let waits = waits + usage.askers;
            (waits > 0).then_some(usage)
        }
        Machine::Boot(_) | Machine::Driven(_) => None,
    })
}
