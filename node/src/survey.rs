//! A look at all shards at once, for those who scrape: each shard is asked, answers on its own thread within its next turns, and
//! pays nothing while nobody asks. Partitions are handed over in slices, so that no request waits for long.

mod groups;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use highwater_core::controller::{Image, TopicImage};
use highwater_core::group::command::TopicPartition;
use highwater_core::group::groups::{GroupReport, OffsetReport};
use highwater_core::id::{Offset, PartitionId, ShardId, TopicId};
use highwater_core::limits::RETENTION_SEGMENTS_MAX;
use highwater_core::shard::{Boot, PartitionReport, Progress, RetentionReport, Shard, ShardReport};
use highwater_core::time::{Now, Timestamp};

use self::groups::Walk;
pub(crate) use self::groups::{GroupLimits, GroupsView};

/// Partitions that a shard looks at in one turn.
const SLICE: usize = 1024;

/// Looks begin at least this far apart, however many ask: whoever asks meanwhile shares the next one.
const APART_MIN: Duration = Duration::from_millis(100);

const APART_AT_START: Duration = Duration::from_millis(2);

/// How long a shard may take to answer. One that is later is reported as silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How much is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Sums,
    Partitions,
    /// And partitions.
    Groups(GroupLimits),
    /// Of the first records at or behind these offsets.
    Ages(Arc<[(PartitionId, Offset)]>),
    /// The segments of one topic.
    Retention(TopicId),
}

impl Scope {
    fn covers(&self, other: &Self) -> bool {
        let has_partitions = matches!(self, Self::Groups(_)) && *other == Self::Partitions;
        self == other || *other == Self::Sums || has_partitions
    }
}

/// What the shards said. Empty while the node starts.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// By shard; `None` for one that did not answer in time.
    pub(crate) shards: Vec<Option<ShardReport>>,
    /// In the order of their ids.
    pub(crate) partitions: Vec<PartitionReport>,
    /// Likewise.
    pub(crate) retention: Vec<RetentionReport>,
    pub(crate) groups: GroupsView,
    /// How long ago the first record at or behind an offset was written, in milliseconds, as far as memory knows.
    pub(crate) ages: BTreeMap<(PartitionId, Offset), u64>,
}

impl View {
    /// The newest metadata that any shard has.
    pub(crate) fn image(&self) -> Option<&Arc<Image>> {
        self.reports().map(|report| &report.image).max_by_key(|image| image.version)
    }

    pub(crate) fn reports(&self) -> impl Iterator<Item = &ShardReport> {
        self.shards.iter().flatten()
    }

    pub(crate) fn partition(&self, id: PartitionId) -> Option<&PartitionReport> {
        let place = self.partitions.binary_search_by_key(&id, |report| report.partition).ok()?;
        Some(&self.partitions[place])
    }

    pub(crate) fn partitions_of(&self, topic: &TopicImage) -> &[PartitionReport] {
        let from = self.partitions.partition_point(|report| report.partition.topic < topic.id);
        let to = self.partitions.partition_point(|report| report.partition.topic <= topic.id);
        &self.partitions[from..to]
    }

    pub(crate) fn silent(&self) -> Vec<usize> {
        (0..self.shards.len()).filter(|shard| self.shards[*shard].is_none()).collect()
    }
}

#[derive(Debug, Default)]
struct Answer {
    round: u64,
    sums: Option<ShardReport>,
    partitions: Vec<PartitionReport>,
    retention: Vec<RetentionReport>,
    groups: Walk,
    ages: Vec<((PartitionId, Offset), u64)>,
    partitions_taken: bool,
    /// Offsets whose ages were asked for so far.
    asked: usize,
}

/// Wakes the shards.
type Waker = Box<dyn Fn() + Send + Sync>;

/// Where questions and answers meet. One is shared by all shards of a node and the HTTP thread.
pub(crate) struct Survey {
    /// The number of the newest question, which shards look at in each turn, and how much it asks for.
    asked: AtomicU64,
    scope: Mutex<Scope>,
    answers: Mutex<Vec<Answer>>,
    answered: tokio::sync::Notify,
    waker: OnceLock<Waker>,
    last: tokio::sync::Mutex<Last>,
}

#[derive(Default)]
struct Last {
    begun: Option<(Instant, Scope)>,
    view: Arc<View>,
}

impl Survey {
    pub(crate) fn new(shards: u16) -> Self {
        Self {
            asked: AtomicU64::new(0),
            scope: Mutex::new(Scope::Sums),
            answers: Mutex::new((0..shards).map(|_| Answer::default()).collect()),
            answered: tokio::sync::Notify::new(),
            waker: OnceLock::new(),
            last: tokio::sync::Mutex::default(),
        }
    }

    /// The shards run, and this wakes them.
    pub(crate) fn open(&self, waker: impl Fn() + Send + Sync + 'static) {
        assert!(self.waker.set(Box::new(waker)).is_ok(), "a node starts once");
    }

    /// What stands now: nothing in it is older than the call.
    pub(crate) async fn take(&self, scope: Scope) -> Arc<View> {
        self.take_apart(scope, APART_MIN).await
    }

    /// The same at once: what is asked after a look has been taken, and of that look alone.
    pub(crate) async fn take_more(&self, scope: Scope) -> Arc<View> {
        self.take_apart(scope, Duration::ZERO).await
    }

    /// The same for a node that starts: nobody else asks yet, and whoever waits for the start shall not wait for this.
    pub(crate) async fn take_at_start(&self) -> Arc<View> {
        self.take_apart(Scope::Sums, APART_AT_START).await
    }

    async fn take_apart(&self, scope: Scope, apart: Duration) -> Arc<View> {
        let called = Instant::now();
        let Some(waker) = self.waker.get() else { return Arc::default() };
        let mut last = self.last.lock().await;
        if let Some((begun, of)) = &last.begun {
            if *begun >= called && of.covers(&scope) {
                return Arc::clone(&last.view);
            }
            tokio::time::sleep_until((*begun + apart).into()).await;
        }
        last.begun = Some((Instant::now(), scope.clone()));
        *self.scope() = scope.clone();
        let round = self.asked.fetch_add(1, Ordering::Release) + 1;
        waker();
        // Whoever is late is missing in the view.
        let _ = tokio::time::timeout(ANSWER_WITHIN, self.wait_for(round)).await;
        last.view = Arc::new(self.collect(round, &scope));
        Arc::clone(&last.view)
    }

    async fn wait_for(&self, round: u64) {
        loop {
            if self.answers().iter().all(|answer| answer.round == round) {
                return;
            }
            self.answered.notified().await;
        }
    }

    fn collect(&self, round: u64, scope: &Scope) -> View {
        let mut view = View::default();
        for answer in self.answers().iter_mut() {
            let is_current = answer.round == round;
            view.shards.push(answer.sums.take().filter(|_| is_current));
            let partitions = std::mem::take(&mut answer.partitions);
            view.partitions.extend(partitions.into_iter().filter(|_| is_current));
            let retention = std::mem::take(&mut answer.retention);
            view.retention.extend(retention.into_iter().filter(|_| is_current));
            let (groups, ages) = (answer.groups.view(), std::mem::take(&mut answer.ages));
            if is_current {
                view.groups.merge(groups);
                view.ages.extend(ages);
            }
        }
        if let Scope::Groups(limits) = scope {
            view.groups.cut(*limits);
        }
        view.retention.sort_unstable_by_key(|report| report.partition.partition);
        view.partitions.sort_unstable_by_key(|report| report.partition);
        view
    }

    fn scope(&self) -> std::sync::MutexGuard<'_, Scope> {
        self.scope.lock().expect("no thread panics while it holds the scope")
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().expect("no thread panics while it holds the answers")
    }

    fn answer(&self, shard: ShardId, answer: Answer) {
        self.answers()[usize::from(shard.0)] = answer;
        self.answered.notify_one();
    }
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Survey({} shards)", self.answers().len())
    }
}

/// A machine that can be looked at.
pub(crate) trait Visible {
    /// `None` for one that is no shard.
    fn sums(&mut self) -> Option<ShardReport>;
    fn partitions(&self, after: Option<PartitionId>, count_max: usize) -> Vec<PartitionReport>;
    /// The first partition of the topic behind `after`, with its oldest segments.
    fn retention(
        &self,
        now: Now,
        topic: TopicId,
        after: Option<PartitionId>,
        segments_max: usize,
    ) -> Option<RetentionReport>;
    /// Groups of one coordinator behind `after`: so many that they and their members come to `work_max`, and one at least. `None` if
    /// that were all.
    fn groups(
        &self,
        after: Option<(PartitionId, &str)>,
        work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)>;
    /// What a group of a coordinator has committed, behind `after`.
    fn offsets(
        &self,
        group: (PartitionId, &str),
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport>;
    /// When the first record at or behind an offset was written.
    fn timestamp(&self, partition: PartitionId, offset: Offset) -> Option<Timestamp>;
    /// `None` for one that does not read anything back.
    fn progress(&self) -> Option<Progress>;
}

impl Visible for Shard {
    fn sums(&mut self) -> Option<ShardReport> {
        Some(self.report())
    }

    fn partitions(&self, after: Option<PartitionId>, count_max: usize) -> Vec<PartitionReport> {
        self.report_partitions(after, count_max)
    }

    fn retention(
        &self,
        now: Now,
        topic: TopicId,
        after: Option<PartitionId>,
        segments_max: usize,
    ) -> Option<RetentionReport> {
        self.report_retention(now, topic, after, segments_max)
    }

    fn groups(
        &self,
        after: Option<(PartitionId, &str)>,
        work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)> {
        self.report_groups(after, work_max)
    }

    fn offsets(
        &self,
        group: (PartitionId, &str),
        after: Option<&TopicPartition>,
        count_max: usize,
    ) -> Vec<OffsetReport> {
        self.report_offsets(group, after, count_max)
    }

    fn timestamp(&self, partition: PartitionId, offset: Offset) -> Option<Timestamp> {
        self.report_timestamp(partition, offset)
    }

    fn progress(&self) -> Option<Progress> {
        None
    }
}

impl Visible for Boot {
    fn sums(&mut self) -> Option<ShardReport> {
        None
    }

    fn partitions(&self, _after: Option<PartitionId>, _count_max: usize) -> Vec<PartitionReport> {
        Vec::new()
    }

    fn retention(
        &self,
        _now: Now,
        _topic: TopicId,
        _after: Option<PartitionId>,
        _segments_max: usize,
    ) -> Option<RetentionReport> {
        None
    }

    fn groups(
        &self,
        _after: Option<(PartitionId, &str)>,
        _work_max: usize,
    ) -> Option<(PartitionId, Vec<GroupReport>)> {
        None
    }

    fn offsets(
        &self,
        _group: (PartitionId, &str),
        _after: Option<&TopicPartition>,
        _count_max: usize,
    ) -> Vec<OffsetReport> {
        Vec::new()
    }

    fn timestamp(&self, _partition: PartitionId, _offset: Offset) -> Option<Timestamp> {
        None
    }

    fn progress(&self) -> Option<Progress> {
        Some(Self::progress(self))
    }
}

/// A shard's side of it, on the shard's thread.
#[derive(Debug)]
pub(crate) struct Surveyed {
    survey: Arc<Survey>,
    shard: ShardId,
    seen: u64,
    scope: Scope,
    collecting: Option<Answer>,
}

impl Surveyed {
    pub(crate) fn new(survey: Arc<Survey>, shard: ShardId) -> Self {
        Self { survey, shard, seen: 0, scope: Scope::Sums, collecting: None }
    }

    pub(crate) fn survey(&self) -> Arc<Survey> {
        Arc::clone(&self.survey)
    }

    /// Whether another turn is wanted at once.
    pub(crate) fn is_busy(&self) -> bool {
        self.collecting.is_some()
    }

    /// Goes on with what is asked; called once in each turn.
    pub(crate) fn turn(&mut self, now: Now, machine: &mut impl Visible) {
        let asked = self.survey.asked.load(Ordering::Acquire);
        if asked != self.seen {
            // A newer question may have come with its scope meanwhile: then the answer is to none, and the next turn begins again.
            (self.seen, self.scope) = (asked, self.survey.scope().clone());
            self.collecting =
                machine.sums().map(|sums| Answer { round: asked, sums: Some(sums), ..Answer::default() });
        }
        let Some(answer) = &mut self.collecting else { return };
        if answer.goes_on(now, &self.scope, machine)
            && let Some(answer) = self.collecting.take()
        {
            self.survey.answer(self.shard, answer);
        }
    }
}

impl Answer {
    /// Takes the next slice, and says whether that was all.
    fn goes_on(&mut self, now: Now, scope: &Scope, machine: &mut impl Visible) -> bool {
        match scope {
            Scope::Sums => true,
            Scope::Partitions => self.take_partitions(machine),
            Scope::Groups(limits) => {
                if self.partitions_taken {
                    return self.groups.turn(machine, *limits);
                }
                self.partitions_taken = self.take_partitions(machine);
                false
            }
            Scope::Ages(offsets) => {
                let slice = offsets.iter().skip(self.asked).take(SLICE);
                let age =
                    |written: Timestamp| u64::try_from(now.wall.0.saturating_sub(written.0)).unwrap_or(0);
                let ages = slice.filter_map(|&(partition, offset)| {
                    Some(((partition, offset), age(machine.timestamp(partition, offset)?)))
                });
                self.ages.extend(ages);
                self.asked += SLICE;
                self.asked >= offsets.len()
            }
            Scope::Retention(topic) => {
                let after = self.retention.last().map(|report| report.partition.partition);
                let told: usize = self.retention.iter().map(|report| report.segments.len()).sum();
                let report = machine.retention(now, *topic, after, RETENTION_SEGMENTS_MAX - told);
                let is_last = report.is_none();
                self.retention.extend(report);
                is_last
            }
        }
    }

    fn take_partitions(&mut self, machine: &impl Visible) -> bool {
        let after = self.partitions.last().map(|report| report.partition);
        let slice = machine.partitions(after, SLICE);
        let is_last = slice.len() < SLICE;
        self.partitions.extend(slice);
        is_last
    }
}
