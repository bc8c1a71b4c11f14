//! Disks that are replaced by an older copy of themselves or by an empty one. All that is known of the node goes back with the
//! disk: its checkers, what its clients were told, and the clients themselves. From there on nothing is excused. Must not know
//! what the checkers check.

use highwater_core::id::Offset;
use highwater_core::time::Duration;

use super::World;
use crate::checker::Checkers;
use crate::clients::{Client, Heard};
use crate::disk::Disk;
use crate::draw::Stream;
use crate::fault::Replacement;
use crate::history::{Ending, Ends, Fact};

/// A disk as a power cut would have left it, and what was known of its node then.
#[derive(Debug)]
pub(super) struct Copy {
    disk: Disk,
    checkers: Checkers,
    ends: Ends,
}

impl World {
    pub(super) fn on_copy_disk(&mut self, node: usize, number: u64) {
        self.settle();
        let mut disk = self.nodes[node].disk.image();
        disk.power_off();
        let topics = &self.params.topics;
        let ends = self.history.ends_of(|topic| topics[topic].node == node);
        self.copies.insert(number, Copy { disk, checkers: self.checkers[node].clone(), ends });
    }

    pub(super) fn replace_disk(&mut self, node: usize, number: u64, with: Replacement, down: Duration) {
        if !self.nodes[node].cores.is_empty() {
            self.die(node, Ending::PowerOff, down);
        }
        self.network.vanish(node);
        self.settle();
        let (copy, name) = match with {
            Replacement::Older { .. } => (self.copies.remove(&number), "older-disk"),
            Replacement::Wiped => (None, "wiped-disk"),
        };
        self.faults.add(name);
        let topics = &self.params.topics;
        let of_node = |topic: usize| topics[topic].node == node;
        let target = &mut self.nodes[node];
        match copy {
            Some(Copy { disk, checkers, ends }) => {
                target.disk.put_back(&disk);
                self.checkers[node] = checkers;
                self.history.go_back(of_node, ends);
            }
            None => {
                target.disk.wipe();
                self.checkers[node] = Checkers::new(&self.rules);
                self.history.go_back(of_node, Ends::new());
            }
        }
        self.metadata_ends[node] = Offset::ZERO;
        self.history.record(Fact::DiskReplaced { node });
        self.restart_clients(node);
    }

    /// The clients of the node begin anew: they knew what no longer is.
    fn restart_clients(&mut self, node: usize) {
        self.restarts[node] += 1;
        for (client, params) in self.params.clients.iter().enumerate() {
            if params.node != node {
                continue;
            }
            let stream = Stream::Client(self.restarts[node] << 32 | client as u64);
            self.clients[client] = Client::new(params, &self.params.topics, stream.of(self.params.seed));
            if !self.params.without_clients.contains(&client) {
                let heard = Heard::Wake;
                self.heap.after(Duration::from_micros(10), super::Occurrence::Client { client, heard });
            }
        }
    }
}
