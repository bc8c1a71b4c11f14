//! Small histories for the tests of the anomalies.

use super::{Anomaly, check};
use crate::history::{
    Begin, Delivery, End, EntryId, F, History, Key, Micro, Offset, Process, Read, Sent, Type, Value,
};

pub(super) const A: Key = Key(0);
pub(super) const B: Key = Key(1);

/// Tells a history, with a tick between two entries.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) history: History,
    pub(super) delivery: Delivery,
    time_ns: u64,
}

impl Script {
    pub(super) fn new() -> Self {
        let mut history = History::new();
        assert_eq!([history.key("t", 0), history.key("t", 1)], [A, B]);
        Self { history, delivery: Delivery::ExactlyOnce, time_ns: 0 }
    }

    pub(super) fn invoke(&mut self, process: u32, f: F, micros: &[Micro]) -> EntryId {
        self.time_ns += 1;
        let (process, time_ns, delivery) = (Process(process), self.time_ns, self.delivery);
        let mut entry = self.history.invoke(Begin { process, time_ns, f, delivery });
        for micro in micros {
            entry.micro(*micro);
        }
        entry.id()
    }

    pub(super) fn complete(&mut self, of: EntryId, kind: Type, micros: &[Micro]) -> EntryId {
        self.time_ns += 1;
        let mut entry = self.history.complete(End { of, time_ns: self.time_ns, kind });
        for micro in micros {
            entry.micro(*micro);
        }
        entry.id()
    }

    /// An operation that sends, and its completion. An offset below 0 is not told.
    pub(super) fn sends(&mut self, process: u32, kind: Type, records: &[(Key, u64, i64)]) -> EntryId {
        let micros: Vec<Micro> = records.iter().map(|record| send(*record)).collect();
        let begun: Vec<Micro> = records.iter().map(|(key, value, _)| send((*key, *value, -1))).collect();
        let invoke = self.invoke(process, F::Send, &begun);
        self.complete(invoke, kind, &micros);
        invoke
    }

    /// An operation that polls; its completion.
    pub(super) fn polls(&mut self, process: u32, kind: Type, records: &[(Key, u64, i64)]) -> EntryId {
        let micros: Vec<Micro> = records.iter().map(|record| read(*record)).collect();
        let invoke = self.invoke(process, F::Poll, &[]);
        self.complete(invoke, kind, &micros)
    }

    pub(super) fn assigns(&mut self, process: u32, f: F, micros: &[Micro]) {
        let invoke = self.invoke(process, f, &[]);
        self.complete(invoke, Type::Ok, micros);
    }

    pub(super) fn log_start(&mut self, key: Key, offset: i64) {
        let invoke = self.invoke(99, F::Debug, &[]);
        self.complete(invoke, Type::Ok, &[Micro::LogStart { key, offset: Offset(offset) }]);
    }
}

pub(super) fn send((key, value, offset): (Key, u64, i64)) -> Micro {
    Micro::Send(Sent { key, value: Value(value), offset: (offset >= 0).then_some(Offset(offset)) })
}

pub(super) fn read((key, value, offset): (Key, u64, i64)) -> Micro {
    Micro::Read(Read { key, offset: Offset(offset), value: Value(value) })
}

/// The anomalies of a history, each told in words once, lest words fail.
pub(super) fn found(tell: impl FnOnce(&mut Script)) -> Vec<Anomaly> {
    let mut script = Script::new();
    tell(&mut script);
    let anomalies = check(&script.history).unwrap();
    for anomaly in &anomalies {
        let told = anomaly.told(&script.history).to_string();
        assert!(told.starts_with(anomaly.kind().name()), "{told}");
    }
    anomalies
}
