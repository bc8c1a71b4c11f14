//! Random histories of a small log that is right, and of one that does wrong once.

use super::samples::{A, B, Script, read, send};
use super::{Anomaly, Kind, Verdict, check};
use crate::history::{Delivery, EntryId, F, Key, Micro, Offset, Type};

const KEYS: [Key; 2] = [A, B];
const DELIVERIES: [Delivery; 4] =
    [Delivery::ExactlyOnce, Delivery::AtLeastOnce, Delivery::AtMostOnce, Delivery::BestEffort];

#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 13);
        usize::try_from(mixed >> 33).unwrap() % end
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What a log may do wrong, once.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Lose,
    Truncate,
    Repeat,
    ShowFailed,
    LeaveOut,
    LeaveOutBetween,
    GoBack,
    RepeatWithin,
    Misdirect,
    AckElsewhere,
    SwapWithin,
    SwapBetween,
    Change,
}

const WRONGS: [(Wrong, Kind); 13] = [
    (Wrong::Lose, Kind::Unseen),
    (Wrong::Truncate, Kind::AckOrder),
    (Wrong::Repeat, Kind::Duplicate),
    (Wrong::ShowFailed, Kind::AbortedRead),
    (Wrong::LeaveOut, Kind::IntPollSkip),
    (Wrong::LeaveOutBetween, Kind::PollSkip),
    (Wrong::GoBack, Kind::NonmonotonicPoll),
    (Wrong::RepeatWithin, Kind::IntNonmonotonicPoll),
    (Wrong::Misdirect, Kind::Phantom),
    (Wrong::AckElsewhere, Kind::MovedWrite),
    (Wrong::SwapWithin, Kind::IntNonmonotonicSend),
    (Wrong::SwapBetween, Kind::NonmonotonicSend),
    (Wrong::Change, Kind::InconsistentOffsets),
];

#[derive(Debug)]
struct Producer {
    process: u32,
    delivery: Delivery,
    open: Option<(EntryId, Vec<(usize, u64)>)>,
}

#[derive(Debug)]
struct Consumer {
    process: u32,
    next: [usize; 2],
}

#[derive(Debug)]
struct World {
    random: Random,
    script: Script,
    /// What is at each offset; some offsets have nothing.
    logs: [Vec<Option<u64>>; 2],
    starts: [usize; 2],
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    values: u64,
    processes: u32,
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            script: Script::new(),
            logs: [Vec::new(), Vec::new()],
            starts: [0, 0],
            producers: Vec::new(),
            consumers: Vec::new(),
            values: 0,
            processes: 0,
        };
        for delivery in DELIVERIES {
            let process = world.process();
            world.producers.push(Producer { process, delivery, open: None });
        }
        for _ in 0..2 {
            let process = world.process();
            world.consumers.push(Consumer { process, next: [0, 0] });
        }
        world
    }

    fn process(&mut self) -> u32 {
        self.processes += 1;
        self.processes
    }

    fn value(&mut self) -> u64 {
        self.values += 1;
        self.values
    }

    fn steps(&mut self, with_retention: bool) {
        for _ in 0..self.random.below(60) {
            match self.random.below(16) {
                0..8 => self.produce(),
                8..14 => self.consume(),
                14 => self.seek(),
                _ if with_retention => self.retain(),
                _ => {}
            }
        }
    }

    /// Begins what one producer sends, or ends it.
    fn produce(&mut self) {
        let chosen = self.random.below(self.producers.len());
        let delivery = self.producers[chosen].delivery;
        let Some((invoke, records)) = self.producers[chosen].open.take() else {
            let records: Vec<_> =
                (0..=self.random.below(3)).map(|_| (self.random.below(2), self.value())).collect();
            let sends: Vec<Micro> =
                records.iter().map(|(key, value)| send((KEYS[*key], *value, -1))).collect();
            self.script.delivery = delivery;
            let invoke = self.script.invoke(self.producers[chosen].process, F::Send, &sends);
            self.producers[chosen].open = Some((invoke, records));
            return;
        };
        let kind = [Type::Ok, Type::Ok, Type::Ok, Type::Info, Type::Fail][self.random.below(5)];
        let is_applied = kind == Type::Ok || (kind == Type::Info && self.random.one_in(2));
        let mut sends = Vec::new();
        for (key, value) in records {
            let at = if is_applied { self.append(delivery, key, value) } else { -1 };
            let is_told = kind == Type::Ok && !self.random.one_in(5);
            sends.push(send((KEYS[key], value, if is_told { at } else { -1 })));
        }
        self.script.complete(invoke, kind, &sends);
        if kind == Type::Info {
            self.producers[chosen].process = self.process();
        }
    }

    /// Takes a record as its producer's settings let it; where it says that it is.
    fn append(&mut self, delivery: Delivery, key: usize, value: u64) -> i64 {
        if self.random.one_in(6) {
            self.logs[key].push(None);
        }
        let mut at = self.logs[key].len();
        if delivery.may_lose() && self.random.one_in(4) {
            return offset(at);
        }
        self.logs[key].push(Some(value));
        if delivery.may_repeat() && self.random.one_in(4) {
            at += self.random.below(2);
            self.logs[key].push(Some(value));
        }
        offset(at)
    }

    fn consume(&mut self) {
        let chosen = self.random.below(self.consumers.len());
        let mut next = self.consumers[chosen].next;
        let process = self.consumers[chosen].process;
        let invoke = self.script.invoke(process, F::Poll, &[]);
        let mut reads = Vec::new();
        for (key, next) in next.iter_mut().enumerate() {
            let max = self.random.below(5);
            reads.extend(self.records(key, next, max));
        }
        let kind = [Type::Ok, Type::Ok, Type::Ok, Type::Info, Type::Fail][self.random.below(5)];
        self.script.complete(invoke, kind, &reads);
        match kind {
            Type::Ok => self.consumers[chosen].next = next,
            Type::Info => self.consumers[chosen].process = self.process(),
            Type::Fail | Type::Invoke => {}
        }
    }

    fn records(&self, key: usize, next: &mut usize, max: usize) -> Vec<Micro> {
        let mut reads = Vec::new();
        *next = self.starts[key].max(*next);
        while reads.len() < max && *next < self.logs[key].len() {
            reads.extend(self.logs[key][*next].map(|value| read((KEYS[key], value, offset(*next)))));
            *next += 1;
        }
        reads
    }

    fn seek(&mut self) {
        let chosen = self.random.below(self.consumers.len());
        let key = self.random.below(2);
        let to = self.random.below(self.logs[key].len() + 1);
        self.consumers[chosen].next[key] = to;
        let seek = Micro::Seek { key: KEYS[key], offset: Offset(offset(to)) };
        self.script.assigns(
            self.consumers[chosen].process,
            F::Assign,
            &[Micro::Assigned(A), Micro::Assigned(B), seek],
        );
    }

    fn retain(&mut self) {
        let key = self.random.below(2);
        let ahead = self.logs[key].len() - self.starts[key];
        self.starts[key] += self.random.below(ahead + 1);
        self.script.log_start(KEYS[key], offset(self.starts[key]));
    }

    /// Ends what is open and reads all there is.
    fn finish(&mut self) {
        while self.producers.iter().any(|producer| producer.open.is_some()) {
            self.produce();
        }
        let process = self.process();
        for key in 0..2 {
            let reads = self.records(key, &mut 0, usize::MAX);
            let invoke = self.script.invoke(process, F::Poll, &[]);
            self.script.complete(invoke, Type::Ok, &reads);
        }
    }

    fn do_wrong(&mut self, wrong: Wrong) {
        let process = self.process();
        let (one, two, end) = (self.value(), self.value(), self.logs[0].len());
        self.script.delivery = Delivery::ExactlyOnce;
        let sent = [(A, one, offset(end)), (A, two, offset(end + 1))];
        let mut kept = vec![Some(one), Some(two)];
        let script = &mut self.script;
        match wrong {
            Wrong::Lose => kept[0] = None,
            Wrong::Truncate => {
                script.sends(process, Type::Ok, &sent);
                self.logs[0].push(Some(one));
                let three = self.value();
                self.logs[0].push(Some(three));
                self.script.sends(process, Type::Ok, &[(A, three, offset(end + 1))]);
                return;
            }
            Wrong::Repeat => kept.push(Some(one)),
            Wrong::ShowFailed => {
                script.sends(process, Type::Fail, &[(A, one, -1), (A, two, -1)]);
                self.logs[0].extend(kept);
                return;
            }
            Wrong::Misdirect => {
                kept.pop();
                self.logs[1].push(Some(two));
            }
            Wrong::AckElsewhere => {
                script.delivery = Delivery::AtLeastOnce;
                kept.insert(0, None);
            }
            Wrong::SwapWithin => {
                script.sends(process, Type::Ok, &[(A, two, offset(end + 1)), (A, one, offset(end))]);
                self.logs[0].extend(kept);
                return;
            }
            Wrong::SwapBetween => {
                script.sends(process, Type::Ok, &[(A, two, offset(end + 1))]);
                script.sends(process, Type::Ok, &[(A, one, offset(end))]);
                self.logs[0].extend(kept);
                return;
            }
            Wrong::LeaveOut
            | Wrong::LeaveOutBetween
            | Wrong::GoBack
            | Wrong::RepeatWithin
            | Wrong::Change => {}
        }
        self.script.sends(process, Type::Ok, &sent);
        self.logs[0].extend(kept);
        self.show_wrong(wrong);
    }

    /// Lets a consumer meet the last two records of the first key wrongly.
    fn show_wrong(&mut self, wrong: Wrong) {
        let three = self.value();
        let end = offset(self.logs[0].len());
        self.logs[0].push(Some(three));
        let process = self.process();
        self.script.sends(process, Type::Ok, &[(A, three, end)]);
        let [one, two] = [(A, three - 2, end - 2), (A, three - 1, end - 1)];
        let last = (A, three, end);
        let polls: &[&[(Key, u64, i64)]] = match wrong {
            Wrong::LeaveOut => &[&[one, last]],
            Wrong::LeaveOutBetween => &[&[one], &[last]],
            Wrong::GoBack => &[&[one, two], &[one]],
            Wrong::RepeatWithin => &[&[one, two, two]],
            Wrong::Change => &[&[(A, one.1, end)]],
            Wrong::Lose
            | Wrong::Truncate
            | Wrong::Repeat
            | Wrong::ShowFailed
            | Wrong::Misdirect
            | Wrong::AckElsewhere
            | Wrong::SwapWithin
            | Wrong::SwapBetween => &[],
        };
        for poll in polls {
            self.script.polls(process, Type::Ok, poll);
        }
    }
}

fn errors(world: &World) -> Vec<Anomaly> {
    let anomalies = check(&world.script.history).unwrap();
    Verdict::STRICT.errors(&anomalies).cloned().collect()
}

#[test]
fn right_log_has_no_anomaly() {
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        world.steps(true);
        world.steps(true);
        world.finish();
        let errors = errors(&world);
        let told: Vec<_> = errors.iter().map(|error| error.told(&world.script.history).to_string()).collect();
        assert!(told.is_empty(), "seed {seed}: {told:#?}");
    }
}

#[test]
fn wrong_log_is_found_and_called_by_name() {
    for seed in 0..100 {
        for (wrong, kind) in WRONGS {
            let mut world = World::new(seed);
            world.steps(true);
            world.do_wrong(wrong);
            world.steps(false);
            world.finish();
            let errors = errors(&world);
            let is_found = errors.iter().any(|error| error.kind() == kind);
            assert!(is_found, "seed {seed}, {wrong:?}: {errors:#?}");
        }
    }
}
