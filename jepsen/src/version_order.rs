//! The index that all anomalies share: what each value went through, and the order of the values of each key. It judges nothing.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::history::{Delivery, EntryId, F, Head, History, Key, Micro, Offset, Read, Sent, Type, Value};

/// Spreads small numbers over a table, the same way in each run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

/// Looked up and never walked: its order means nothing.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// A value of a key, as a small number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ValueId(u32);

impl ValueId {
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).expect("a u32 fits")
    }
}

/// What a value went through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) key: Key,
    pub(crate) value: Value,
    /// The invocation that sends it.
    pub(crate) sent_by: Option<EntryId>,
    pub(crate) delivery: Delivery,
    /// How sending it ended; [`Type::Info`] until it has.
    pub(crate) outcome: Type,
    /// Where the broker said that it is.
    pub(crate) acked: Option<Offset>,
    /// The first ok operation that polled it.
    pub(crate) read_by: Option<EntryId>,
    pub(crate) is_read_where_acked: bool,
    /// The operation that sent it must have happened, for its end or for what was read of it.
    pub(crate) is_committed: bool,
    /// The least and the greatest offset at which anyone knows it.
    pub(crate) first: Option<Offset>,
    pub(crate) last: Option<Offset>,
}

impl Life {
    /// Nobody may have lost it: it was promised to stay.
    pub(crate) fn must_stay(&self) -> bool {
        self.sent_by.is_some() && !self.delivery.may_lose()
    }
}

/// All that is known of a key's log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// What is at which offset, ascending. An offset that is not here may hold what no consumer is given.
    pub(crate) records: Vec<(Offset, ValueId)>,
    /// Whatever was before it is gone for good.
    pub(crate) start: Option<Offset>,
}

impl Log {
    /// The retention of the topic may have taken what was at this offset.
    pub(crate) fn is_past(&self, offset: Offset) -> bool {
        self.start.is_some_and(|start| offset < start)
    }

    /// What lies in between, both ends of the range included and excluded as usual, and is not gone.
    pub(crate) fn live(&self, range: std::ops::Range<Offset>) -> &[(Offset, ValueId)] {
        let begin = self.start.map_or(range.start, |start| start.max(range.start));
        let at = |offset| self.records.partition_point(|record| record.0 < offset);
        self.records.get(at(begin)..at(range.end)).unwrap_or_default()
    }
}

/// Why a history cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTwice {
    pub key: Key,
    pub value: Value,
    pub entry: EntryId,
}

impl fmt::Display for SentTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} sends value {} again", self.entry.0, self.value.0)
    }
}

impl std::error::Error for SentTwice {}

#[derive(Debug)]
pub(crate) struct Index<'a> {
    pub(crate) history: &'a History,
    pub(crate) values: Vec<Life>,
    pub(crate) logs: Vec<Log>,
    ids: Table<(u32, u64), ValueId>,
    /// The value of each micro-operation that has one.
    of_micro: Vec<ValueId>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(history: &'a History) -> Result<Self, SentTwice> {
        let mut index = Self {
            history,
            values: Vec::new(),
            logs: vec![Log::default(); history.keys_len()],
            ids: Table::default(),
            of_micro: Vec::with_capacity(history.micros_len()),
        };
        for (id, head) in history.entries() {
            index.gather(id, head)?;
        }
        index.decide_commits();
        index.build_logs();
        Ok(index)
    }

    /// The micro-operations of an entry that have a value, each with its value's number.
    pub(crate) fn micros(&self, id: EntryId) -> impl DoubleEndedIterator<Item = (&'a Micro, ValueId)> {
        self.history.micros(id).iter().zip(self.of_micro[self.history.range(id)].iter().copied())
    }

    pub(crate) fn life(&self, id: ValueId) -> &Life {
        &self.values[id.index()]
    }

    pub(crate) fn log(&self, key: Key) -> &Log {
        &self.logs[key.index()]
    }

    fn intern(&mut self, key: Key, value: Value) -> ValueId {
        let next = ValueId(u32::try_from(self.values.len()).expect("fewer than 2^32 values"));
        let id = *self.ids.entry((key.0, value.0)).or_insert(next);
        if id == next {
            self.values.push(Life {
                key,
                value,
                sent_by: None,
                delivery: Delivery::default(),
                outcome: Type::Info,
                acked: None,
                read_by: None,
                is_read_where_acked: false,
                is_committed: false,
                first: None,
                last: None,
            });
        }
        id
    }

    fn gather(&mut self, id: EntryId, head: &Head) -> Result<(), SentTwice> {
        if let Some(invoke) = head.completes {
            // Even what the completion does not name has ended with it.
            for at in self.history.range(invoke) {
                if matches!(self.history.all_micros()[at], Micro::Send(_)) {
                    self.values[self.of_micro[at].index()].outcome = head.kind;
                }
            }
        }
        for micro in self.history.micros(id) {
            let value = match *micro {
                Micro::Send(sent) => self.gather_send(id, head, sent)?,
                Micro::Read(read) => {
                    let value = self.intern(read.key, read.value);
                    if head.kind == Type::Ok {
                        self.values[value.index()].read_by.get_or_insert(id);
                    }
                    value
                }
                Micro::LogStart { key, offset } => {
                    let start = &mut self.logs[key.index()].start;
                    *start = (*start).max(Some(offset));
                    NO_VALUE
                }
                Micro::Poll | Micro::Assigned(_) | Micro::Seek { .. } | Micro::Rebalanced(_) => NO_VALUE,
            };
            self.of_micro.push(value);
        }
        Ok(())
    }

    fn gather_send(&mut self, id: EntryId, head: &Head, sent: Sent) -> Result<ValueId, SentTwice> {
        let Sent { key, value, offset } = sent;
        let value_id = self.intern(key, value);
        let life = &mut self.values[value_id.index()];
        let invoke = head.completes.unwrap_or(id);
        let is_new = life.sent_by.is_none();
        if !is_new && (head.kind == Type::Invoke || life.sent_by != Some(invoke)) {
            return Err(SentTwice { key, value, entry: id });
        }
        life.sent_by = Some(invoke);
        life.delivery = head.delivery;
        if head.kind != Type::Invoke {
            life.outcome = head.kind;
            life.acked = offset;
        }
        Ok(value_id)
    }

    /// A transaction of which anything was read has happened as a whole; of other sends each record stands for itself.
    fn decide_commits(&mut self) {
        for life in &mut self.values {
            life.is_committed = match life.outcome {
                Type::Ok => true,
                Type::Info | Type::Invoke => life.sent_by.is_some() && life.read_by.is_some(),
                Type::Fail => false,
            };
        }
        for (id, head) in self.history.entries() {
            if head.f != F::Txn || !matches!(head.kind, Type::Invoke | Type::Info) {
                continue;
            }
            let sends = |at: &usize| matches!(self.history.all_micros()[*at], Micro::Send(_));
            let range = self.history.range(id);
            let is_committed =
                range.clone().filter(sends).any(|at| self.values[self.of_micro[at].index()].is_committed);
            for at in range.filter(sends) {
                let life = &mut self.values[self.of_micro[at].index()];
                life.is_committed |= is_committed && life.outcome != Type::Fail;
            }
        }
    }

    fn build_logs(&mut self) {
        for (id, head) in self.history.entries().filter(|(_, head)| head.kind != Type::Invoke) {
            for at in self.history.range(id) {
                match self.history.all_micros()[at] {
                    Micro::Send(Sent { offset: Some(offset), .. }) => {
                        let life = self.life(self.of_micro[at]);
                        // What was acknowledged before it was safe may have made room for others.
                        if life.is_committed && (life.must_stay() || life.read_by.is_some()) {
                            self.record(self.of_micro[at], offset);
                        }
                    }
                    Micro::Read(Read { offset, .. }) => {
                        let life = &mut self.values[self.of_micro[at].index()];
                        life.is_read_where_acked |= head.kind == Type::Ok && life.acked == Some(offset);
                        self.record(self.of_micro[at], offset);
                    }
                    Micro::Send(_)
                    | Micro::Poll
                    | Micro::Assigned(_)
                    | Micro::Seek { .. }
                    | Micro::Rebalanced(_)
                    | Micro::LogStart { .. } => {}
                }
            }
        }
        for log in &mut self.logs {
            log.records.sort_unstable();
            log.records.dedup();
        }
    }

    fn record(&mut self, id: ValueId, offset: Offset) {
        let life = &mut self.values[id.index()];
        if life.first == Some(offset) || life.last == Some(offset) {
            return;
        }
        life.first = Some(life.first.map_or(offset, |first| first.min(offset)));
        life.last = life.last.max(Some(offset));
        self.logs[life.key.index()].records.push((offset, id));
    }
}

/// Stands where a micro-operation has no value.
const NO_VALUE: ValueId = ValueId(u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ndjson;

    fn index_of(text: &str, judge: impl FnOnce(&Index<'_>)) {
        let history = ndjson::read(text.as_bytes()).unwrap();
        judge(&Index::of(&history).unwrap());
    }

    fn log(index: &Index<'_>) -> Vec<(i64, u64)> {
        let records = index.logs[0].records.iter();
        records.map(|(offset, id)| (offset.0, index.life(*id).value.0)).collect()
    }

    #[test]
    fn log_has_what_was_acknowledged_and_what_anyone_read() {
        let text = r#"
            {"process":0,"type":"invoke","f":"send","mops":[{"send":["t/0",1,null]}]}
            {"process":1,"type":"invoke","f":"send","mops":[{"send":["t/0",2,null]}]}
            {"process":2,"type":"invoke","f":"poll"}
            {"process":0,"type":"ok","f":"send","mops":[{"send":["t/0",1,10]}]}
            {"process":2,"type":"info","f":"poll","mops":[{"poll":{"t/0":[[3,3],[4,3],[5,3],[4,3],[5,4]]}}]}
            {"process":1,"type":"info","f":"send","mops":[{"send":["t/0",2,20]}]}"#;
        index_of(text, |index| assert_eq!(log(index), [(3, 3), (4, 3), (5, 3), (5, 4), (10, 1)]));
    }

    #[test]
    fn transaction_of_which_one_value_was_read_has_happened() {
        let text = r#"
            {"process":0,"type":"invoke","f":"txn","mops":[{"send":["t/0",1,null]},{"send":["t/0",2,null]}]}
            {"process":0,"type":"info","f":"txn","mops":[{"send":["t/0",1,7]},{"send":["t/0",2,8]}]}
            {"process":1,"type":"invoke","f":"poll"}
            {"process":1,"type":"ok","f":"poll","mops":[{"poll":{"t/0":[[8,2]]}}]}"#;
        index_of(text, |index| assert_eq!(log(index), [(7, 1), (8, 2)]));
        let sends = text.replace("txn", "send");
        index_of(&sends, |index| assert_eq!(log(index), [(8, 2)]));
    }

    #[test]
    fn value_that_is_sent_twice_is_refused() {
        let text = r#"
            {"process":0,"type":"invoke","f":"send","mops":[{"send":["t/0",1,null]},{"send":["t/1",1,null]}]}
            {"process":1,"type":"invoke","f":"send","mops":[{"send":["t/1",1,null]}]}"#;
        let history = ndjson::read(text.as_bytes()).unwrap();
        let error = Index::of(&history).unwrap_err();
        assert_eq!((error.value, error.entry), (Value(1), EntryId(1)));
    }
}
