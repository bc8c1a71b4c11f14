//! One coordinator and its partition: reads it at the start, appends what is decided, lets answers go once that is committed. The
//! same for every kind of coordinator.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::batch::{BatchBuilder, BatchHeader, BatchView, NewRecord, Scratch};
use crate::coordinator::{
    Answer, Decision, KeyedRecord, Machine, Token, Turn, Unavailable, Unreadable, When,
};
use crate::id::{Offset, PartitionId};
use crate::limits::{COORDINATOR_BATCH_BYTES_MAX, COORDINATOR_COMMANDS_MAX};
use crate::mutant::{self, Mutant};
use crate::replica::ReadReply;
use crate::shard::owner::{NotAppended, Owner};
use crate::time::{Instant, Timestamp};

/// How far a host has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is read yet.
    New,
    /// Read up to here.
    Loading(Offset),
    Serving,
    /// What is on disk makes no sense.
    Unreadable,
}

/// A decision that waits for room.
#[derive(Debug)]
struct Waiting<R, A> {
    batch: Vec<u8>,
    records: Vec<R>,
    answers: Vec<Answer<A>>,
}

#[derive(Debug)]
pub(super) struct Host<M: Machine> {
    partition: PartitionId,
    machine: M,
    phase: Phase,
    /// Asked while a decision waits.
    commands: VecDeque<(Token, M::Command)>,
    waiting: Option<Waiting<M::Record, M::Reply>>,
    /// Answers that wait until the log is committed up to there, in order.
    pending: VecDeque<(Offset, Token, M::Reply)>,
    /// The surroundings are not what the machine was last told of.
    surroundings_changed: bool,
    /// Why it cannot be read, until that is told.
    trouble: Option<Unreadable>,
    /// Whether a read has failed before.
    has_failed: bool,
}

/// What leaves a host.
pub(super) type Answers<M> = Vec<(Token, <M as Machine>::Reply)>;

impl<M: Machine + Default> Host<M> {
    pub(super) fn new(partition: PartitionId) -> Self {
        Self {
            partition,
            machine: M::default(),
            phase: Phase::New,
            commands: VecDeque::new(),
            waiting: None,
            pending: VecDeque::new(),
            surroundings_changed: false,
            trouble: None,
            has_failed: false,
        }
    }

    pub(super) fn machine(&self) -> &M {
        &self.machine
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The machine, where all that it has decided is in the log.
    pub(super) fn settled(&self) -> Option<&M> {
        (self.phase == Phase::Serving && self.waiting.is_none()).then_some(&self.machine)
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Whether answers wait for the log to be committed.
    pub(super) fn is_committing(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether it has anything to do but wait for commands, for the log to be committed, or for the time.
    pub(super) fn is_busy(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Loading(_) | Phase::Unreadable => false,
            Phase::Serving => {
                self.surroundings_changed || self.waiting.is_some() || !self.commands.is_empty()
            }
        }
    }

    /// When the machine wants to be told the time. While a decision waits it is told nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.waiting.is_some() || self.phase != Phase::Serving {
            return None;
        }
        self.machine.deadline()
    }

    fn fail(&mut self, why: Unreadable) {
        self.phase = Phase::Unreadable;
        self.trouble = Some(why);
    }

    /// It stays where it has come to.
    pub(super) fn on_read_failed(&mut self, why: Unreadable) {
        if !self.has_failed {
            self.trouble = Some(why);
        }
        self.has_failed = true;
    }

    /// Why it cannot be read: tells it once.
    pub(super) fn take_trouble(&mut self) -> Option<Unreadable> {
        self.trouble.take()
    }

    pub(super) fn take_events(&mut self) -> Vec<M::Event> {
        self.machine.take_events()
    }

    pub(super) fn on_surroundings(&mut self) {
        self.surroundings_changed = true;
    }

    /// How many commands are not answered. Panics where the machine waits for nothing and owes an answer.
    pub(super) fn owed(&self) -> usize {
        let owed = self.machine.owed();
        assert!(owed == 0 || self.machine.deadline().is_some(), "who waits is answered in time");
        let waiting = self.waiting.as_ref().map_or(0, |waiting| waiting.answers.len());
        owed + waiting + self.commands.len() + self.pending.len()
    }

    /// Takes a command; the answer, if there will be no other.
    pub(super) fn on_command(&mut self, token: Token, command: M::Command) -> Option<M::Reply> {
        match self.phase {
            Phase::New | Phase::Loading(_) => return Some(M::unavailable(Unavailable::Loading)),
            Phase::Unreadable => return Some(M::unavailable(Unavailable::Unable)),
            Phase::Serving => {}
        }
        if self.commands.len() >= COORDINATOR_COMMANDS_MAX {
            return Some(M::unavailable(Unavailable::Unable));
        }
        self.commands.push_back((token, command));
        None
    }

    /// Replays what was read of the log, and says how much further there is to read.
    pub(super) fn on_read(&mut self, read: &ReadReply, scratch: &mut Scratch) {
        let Phase::Loading(from) = self.phase else { return };
        if let Err(why) = read.records.iter().try_for_each(|batches| self.replay(batches, scratch)) {
            return self.fail(why);
        }
        // Compaction may have left nothing up to the end.
        let next = if read.records.is_empty() { read.high_watermark } else { read.next };
        if next > from {
            self.phase = Phase::Loading(next);
        } else {
            self.fail(Unreadable("the log gives nothing where it goes on"));
        }
    }

    fn replay(&mut self, batches: &[u8], scratch: &mut Scratch) -> Result<(), Unreadable> {
        let damaged = || Unreadable("a batch is damaged");
        let mut rest = batches;
        while !rest.is_empty() {
            let (batch, behind) = BatchView::parse(rest).map_err(|_| damaged())?;
            rest = behind;
            if rest.is_empty() && mutant::on(Mutant::LastRecordsNotLoaded) {
                break;
            }
            batch.check_crc().map_err(|_| damaged())?;
            if batch.is_control() {
                continue;
            }
            for record in batch.records(scratch).map_err(|_| damaged())? {
                let record = record.map_err(|_| damaged())?;
                // Kafka writes none without a key; others do not belong here and say nothing.
                let Some(key) = record.key else { continue };
                if record.value.is_none() && mutant::on(Mutant::TombstonesNotLoaded) {
                    continue;
                }
                if let Some(record) = M::decode(key, record.value)? {
                    self.machine.replay(record);
                }
            }
        }
        Ok(())
    }

    /// All is read: it serves.
    pub(super) fn on_loaded(
        &mut self,
        turn: &mut Turn<'_, M::Surroundings>,
        owner: &mut Owner,
        answers: &mut Answers<M>,
    ) {
        self.phase = Phase::Serving;
        self.surroundings_changed = false;
        let decision = self.machine.on_loaded(turn);
        self.decided(turn, owner, decision, answers);
    }

    /// Does what is due, as far as the log takes it. Says whether anything happened.
    pub(super) fn work(
        &mut self,
        turn: &mut Turn<'_, M::Surroundings>,
        owner: &mut Owner,
        answers: &mut Answers<M>,
    ) -> bool {
        let mut moved = false;
        if let Some(waiting) = self.waiting.take() {
            self.append(turn, owner, waiting, answers);
            moved = self.waiting.is_none();
        }
        while self.phase == Phase::Serving && self.waiting.is_none() {
            let decision = if core::mem::take(&mut self.surroundings_changed) {
                self.machine.on_surroundings(turn)
            } else if self.machine.deadline().is_some_and(|at| at <= turn.now.mono) {
                self.machine.on_deadline(turn)
            } else if let Some((token, command)) = self.commands.pop_front() {
                self.machine.handle(turn, token, command)
            } else {
                break;
            };
            moved = true;
            self.decided(turn, owner, decision, answers);
        }
        let before = answers.len();
        if let Some(high_watermark) = owner.high_watermark(self.partition) {
            let due = self.pending.iter().take_while(|(end, ..)| *end <= high_watermark).count();
            answers.extend(self.pending.drain(..due).map(|(_, token, reply)| (token, reply)));
        }
        moved || answers.len() > before
    }

    fn decided(
        &mut self,
        turn: &mut Turn<'_, M::Surroundings>,
        owner: &mut Owner,
        decision: Decision<M::Record, M::Reply>,
        answers: &mut Answers<M>,
    ) {
        let Decision { records, answers: decided } = decision;
        if records.is_empty() {
            return self.answer(owner, decided, answers);
        }
        match encode::<M>(&records, turn.now.wall) {
            Some(batch) => {
                self.append(turn, owner, Waiting { batch, records, answers: decided }, answers);
            }
            None => {
                self.machine.on_refused(turn, &records);
                answers.extend(too_large::<M>(decided));
            }
        }
    }

    fn append(
        &mut self,
        turn: &mut Turn<'_, M::Surroundings>,
        owner: &mut Owner,
        waiting: Waiting<M::Record, M::Reply>,
        answers: &mut Answers<M>,
    ) {
        match owner.append_own(turn.now, self.partition, &waiting.batch) {
            Ok(_) => {
                waiting.records.into_iter().for_each(|record| self.machine.replay(record));
                self.answer(owner, waiting.answers, answers);
            }
            Err(NotAppended::NoRoom) => {
                if mutant::on(Mutant::AnsweredTwice) {
                    let unable = |answer: &Answer<M::Reply>| (answer.to, M::unavailable(Unavailable::Unable));
                    answers.extend(waiting.answers.iter().map(unable));
                }
                self.waiting = Some(waiting);
            }
            Err(NotAppended::TooLarge) => {
                self.machine.on_refused(turn, &waiting.records);
                answers.extend(too_large::<M>(waiting.answers));
            }
            Err(NotAppended::Refused) => {
                self.machine.on_refused(turn, &waiting.records);
                let unable = |answer: Answer<M::Reply>| (answer.to, M::unavailable(Unavailable::Unable));
                answers.extend(waiting.answers.into_iter().map(unable));
            }
        }
    }

    /// Lets answers go, now or once all that is in the log is committed.
    fn answer(&mut self, owner: &Owner, decided: Vec<Answer<M::Reply>>, answers: &mut Answers<M>) {
        let end = owner.log_end(self.partition).unwrap_or_default();
        for Answer { to, reply, when } in decided {
            match when {
                When::Committed if mutant::on(Mutant::AnsweredUncommitted) => answers.push((to, reply)),
                When::Committed => self.pending.push_back((end, to, reply)),
                When::AtOnce => answers.push((to, reply)),
            }
        }
    }
}

fn too_large<M: Machine>(decided: Vec<Answer<M::Reply>>) -> impl Iterator<Item = (Token, M::Reply)> {
    decided.into_iter().map(|answer| (answer.to, M::too_large(answer.reply)))
}

/// One batch of all records; `None` if they are too many for one.
fn encode<M: Machine>(records: &[M::Record], timestamp: Timestamp) -> Option<Vec<u8>> {
    let mut builder = BatchBuilder::new(BatchHeader::default());
    for record in records {
        let KeyedRecord { key, value } = M::encode(record);
        let record = NewRecord { timestamp, key: Some(&key), value: value.as_deref(), headers: &[] };
        if builder.len_with(&record) > COORDINATOR_BATCH_BYTES_MAX {
            return None;
        }
        builder.push(&record);
    }
    Some(builder.build())
}
