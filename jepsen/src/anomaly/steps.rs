//! Walks the polls and the sends of each process from record to record and shows each step that is no plain one to the anomalies
//! of order. Owns where each process is; judges nothing.

use super::{
    Anomaly, Membership, Skip, Step, int_nonmonotonic_poll, int_nonmonotonic_send, int_poll_skip,
    int_send_skip, nonmonotonic_poll, nonmonotonic_send, poll_skip,
};
use crate::history::{Delivery, EntryId, F, Head, Key, Micro, Offset, Process, Read, Type, Value};
use crate::version_order::{Index, Life, Table};

/// What a step leaves out and is still there.
pub(super) fn skip(index: &Index<'_>, step: &Step) -> Option<Skip> {
    if step.offset <= step.due {
        return None;
    }
    let live = index.log(step.key).live(step.due..step.offset);
    let (offset, id) = live.first()?;
    Some(Skip { step: *step, skipped: (*offset, index.life(*id).value), count: live.len() })
}

/// Where a process is in a key.
#[derive(Debug, Clone, Copy)]
struct Position {
    before: Option<Value>,
    due: Offset,
}

impl Position {
    fn after(value: Value, offset: Offset) -> Self {
        Self { before: Some(value), due: Offset(offset.0.saturating_add(1)) }
    }

    fn step(self, read: Read, entry: EntryId, membership: Membership) -> Step {
        let Read { key, offset, value } = read;
        Step { key, entry, membership, before: self.before, due: self.due, value, offset }
    }
}

/// Where an operation is in each key that it touched.
#[derive(Debug)]
struct Within {
    of_key: Vec<(Option<EntryId>, Position)>,
    touched: Vec<Key>,
}

impl Within {
    fn new(index: &Index<'_>) -> Self {
        let nowhere = Position { before: None, due: Offset(0) };
        Self { of_key: vec![(None, nowhere); index.logs.len()], touched: Vec::new() }
    }

    fn position(&self, key: Key, entry: EntryId) -> Option<Position> {
        let (of, position) = self.of_key[key.index()];
        (of == Some(entry)).then_some(position)
    }

    fn advance(&mut self, key: Key, entry: EntryId, position: Position) {
        let of_key = &mut self.of_key[key.index()];
        if of_key.0 != Some(entry) {
            self.touched.push(key);
        }
        *of_key = (Some(entry), position);
    }
}

/// Where a process is in each key, ascending by key.
#[derive(Debug)]
struct Positions {
    membership: Membership,
    of_key: Vec<(Key, Position)>,
}

impl Default for Positions {
    fn default() -> Self {
        Self { membership: Membership::Assigned, of_key: Vec::new() }
    }
}

impl Positions {
    fn position(&self, key: Key) -> Option<Position> {
        let at = self.of_key.binary_search_by_key(&key, |entry| entry.0).ok()?;
        Some(self.of_key[at].1)
    }

    /// Takes over where an operation came to.
    fn advance(&mut self, within: &Within) {
        for key in &within.touched {
            let position = within.of_key[key.index()].1;
            match self.of_key.binary_search_by_key(key, |entry| entry.0) {
                Ok(at) => self.of_key[at].1 = position,
                Err(at) => self.of_key.insert(at, (*key, position)),
            }
        }
    }

    /// A new assignment: what is not in it is forgotten.
    fn keep(&mut self, head: &Head, micros: &[Micro]) {
        self.membership = if head.f == F::Subscribe { Membership::Subscribed } else { Membership::Assigned };
        let mut keys: Vec<Key> = assigned(micros).collect();
        keys.sort_unstable();
        self.of_key.retain(|(key, _)| keys.binary_search(key).is_ok());
    }
}

fn assigned(micros: &[Micro]) -> impl Iterator<Item = Key> {
    micros.iter().filter_map(|micro| if let Micro::Assigned(key) = micro { Some(*key) } else { None })
}

/// Shows the steps of all polls.
pub(super) fn of_polls(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut processes: Table<Process, Positions> = Table::default();
    let mut within = Within::new(index);
    for (id, head) in index.history.entries().filter(|(_, head)| head.kind != Type::Invoke) {
        let micros = index.history.micros(id);
        let process = processes.entry(head.process).or_default();
        if matches!(head.f, F::Assign | F::Subscribe) && head.kind != Type::Fail {
            process.keep(head, micros);
        }
        within.touched.clear();
        for micro in micros {
            match micro {
                Micro::Read(read) => {
                    let here = within.position(read.key, id);
                    let next = Position::after(read.value, read.offset);
                    within.advance(read.key, id, next);
                    let Some(from) = here.or_else(|| process.position(read.key)) else { continue };
                    if from.due == read.offset {
                        continue;
                    }
                    let step = from.step(*read, id, process.membership);
                    if here.is_none() {
                        nonmonotonic_poll::judge(&step, anomalies);
                        poll_skip::judge(index, &step, anomalies);
                    } else if !micros.contains(&Micro::Rebalanced(read.key)) {
                        int_nonmonotonic_poll::judge(&step, anomalies);
                        int_poll_skip::judge(index, &step, anomalies);
                    }
                }
                Micro::Seek { key, offset } => {
                    within.advance(*key, id, Position { before: None, due: *offset });
                }
                Micro::Send(_)
                | Micro::Poll
                | Micro::Assigned(_)
                | Micro::Rebalanced(_)
                | Micro::LogStart { .. } => {}
            }
        }
        if head.kind == Type::Ok {
            process.advance(&within);
        }
    }
}

/// Shows the steps of all sends, by the invocations. A producer's order does not depend on what its process's consumer is
/// assigned, so no assignment forgets it.
pub(super) fn of_sends(index: &Index<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut processes: Table<Process, Positions> = Table::default();
    let mut within = Within::new(index);
    let ordered =
        |head: &Head| head.kind == Type::Invoke && head.delivery == Delivery::ExactlyOnce && sends(head);
    for (id, head) in index.history.entries().filter(|(_, head)| ordered(head)) {
        let process = processes.entry(head.process).or_default();
        within.touched.clear();
        // Between two sends whose offsets are known may be one whose offset is not.
        let mut is_plain = true;
        for (micro, value) in index.micros(id) {
            let Micro::Send(sent) = micro else { continue };
            let Some(offset) = offset_of(index.life(value)) else {
                is_plain = false;
                continue;
            };
            let here = within.position(sent.key, id);
            within.advance(sent.key, id, Position::after(sent.value, offset));
            let Some(from) = here.or_else(|| process.position(sent.key)) else { continue };
            if from.due == offset {
                continue;
            }
            let sent = Read { key: sent.key, offset, value: sent.value };
            let step = from.step(sent, id, process.membership);
            if here.is_none() {
                nonmonotonic_send::judge(&step, anomalies);
            } else {
                int_nonmonotonic_send::judge(&step, anomalies);
                if is_plain {
                    int_send_skip::judge(index, &step, anomalies);
                }
            }
        }
        process.advance(&within);
    }
}

fn sends(head: &Head) -> bool {
    matches!(head.f, F::Send | F::Txn)
}

/// Where a value that must have happened is: where the broker said, or where it was read first.
fn offset_of(life: &Life) -> Option<Offset> {
    life.acked.or(life.first).filter(|_| life.is_committed)
}
