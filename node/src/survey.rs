//! A look at all shards at once, for those who scrape: each shard is asked, answers on its own thread within its next turns, and
//! pays nothing while nobody asks. Partitions are handed over in slices, so that no request waits for long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use highwater_core::controller::{Image, TopicImage};
use highwater_core::id::{PartitionId, ShardId, TopicId};
use highwater_core::limits::RETENTION_SEGMENTS_MAX;
use highwater_core::shard::{Boot, PartitionReport, Progress, RetentionReport, Shard, ShardReport};
use highwater_core::time::Now;

/// Partitions that a shard looks at in one turn.
const SLICE: usize = 1024;

/// Looks begin at least this far apart, however many ask: whoever asks meanwhile shares the next one.
const APART_MIN: Duration = Duration::from_millis(100);

const APART_AT_START: Duration = Duration::from_millis(2);

/// How long a shard may take to answer. One that is later is reported as silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Sums,
    Partitions,
    /// The segments of one topic.
    Retention(TopicId),
}

impl Scope {
    fn covers(self, other: Self) -> bool {
        self == other || other == Self::Sums
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

    /// The same for a node that starts: nobody else asks yet, and whoever waits for the start shall not wait for this.
    pub(crate) async fn take_at_start(&self) -> Arc<View> {
        self.take_apart(Scope::Sums, APART_AT_START).await
    }

    async fn take_apart(&self, scope: Scope, apart: Duration) -> Arc<View> {
        let called = Instant::now();
        let Some(waker) = self.waker.get() else { return Arc::default() };
        let mut last = self.last.lock().await;
        if let Some((begun, of)) = last.begun {
            if begun >= called && of.covers(scope) {
                return Arc::clone(&last.view);
            }
            tokio::time::sleep_until((begun + apart).into()).await;
        }
        last.begun = Some((Instant::now(), scope));
        *self.scope() = scope;
        let round = self.asked.fetch_add(1, Ordering::Release) + 1;
        waker();
        // Whoever is late is missing in the view.
        let _ = tokio::time::timeout(ANSWER_WITHIN, self.wait_for(round)).await;
        last.view = Arc::new(self.collect(round));
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

    fn collect(&self, round: u64) -> View {
        let mut view = View::default();
        for answer in self.answers().iter_mut() {
            let is_current = answer.round == round;
            view.shards.push(answer.sums.take().filter(|_| is_current));
            let partitions = std::mem::take(&mut answer.partitions);
            view.partitions.extend(partitions.into_iter().filter(|_| is_current));
            let retention = std::mem::take(&mut answer.retention);
            view.retention.extend(retention.into_iter().filter(|_| is_current));
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
            (self.seen, self.scope) = (asked, *self.survey.scope());
            self.collecting =
                machine.sums().map(|sums| Answer { round: asked, sums: Some(sums), ..Answer::default() });
        }
        let Some(answer) = &mut self.collecting else { return };
        let is_whole = match self.scope {
            Scope::Sums => true,
            Scope::Partitions => {
                let after = answer.partitions.last().map(|report| report.partition);
                let slice = machine.partitions(after, SLICE);
                let is_last = slice.len() < SLICE;
                answer.partitions.extend(slice);
                is_last
            }
            Scope::Retention(topic) => {
                let after = answer.retention.last().map(|report| report.partition.partition);
                let told: usize = answer.retention.iter().map(|report| report.segments.len()).sum();
                let report = machine.retention(now, topic, after, RETENTION_SEGMENTS_MAX - told);
                let is_last = report.is_none();
                answer.retention.extend(report);
                is_last
            }
        };
        if is_whole && let Some(answer) = self.collecting.take() {
            self.survey.answer(self.shard, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::id::{Offset, TopicId, Uuid};
    use highwater_core::log::{SegmentFate, SegmentState};
    use highwater_core::shard::PoolReport;
    use highwater_core::time::Timestamp;

    use super::*;

    /// A shard with partitions of one topic.
    struct Fake(i32);

    impl Visible for Fake {
        fn sums(&mut self) -> Option<ShardReport> {
            let pool = PoolReport { name: "requests", bytes_in_use: 1, bytes_max: 2 };
            Some(ShardReport {
                image: Arc::new(Image::empty()),
                pools: [pool; 4],
                cache_bytes: 0,
                wal_live_bytes: 0,
                wal_live_bytes_max: 0,
                connections: 3,
                requests: 0,
                connections_starved: 0,
                produces_parked: 0,
                reads_starved: 0,
                keep_jobs: 0,
                events_dropped: 0,
            })
        }

        fn partitions(&self, after: Option<PartitionId>, count_max: usize) -> Vec<PartitionReport> {
            let from = after.map_or(0, |after| after.index + 1);
            let report = |index| PartitionReport {
                partition: PartitionId { topic: TopicId(Uuid([7; 16])), index },
                leader_epoch: None,
                log_start: Offset(0),
                high_watermark: Offset(1),
                log_end: Offset(2),
                bytes: 3,
                segments: 1,
                faulty_ranges: 0,
            };
            (from..self.0).map(report).take(count_max).collect()
        }

        /// Each partition has more segments than two of them may tell of.
        fn retention(
            &self,
            now: Now,
            topic: TopicId,
            after: Option<PartitionId>,
            segments_max: usize,
        ) -> Option<RetentionReport> {
            let partition = self.partitions(after, 1).pop().filter(|first| first.partition.topic == topic)?;
            let fate = SegmentFate {
                base: Offset(0),
                end: Offset(1),
                bytes: 1,
                newest: None,
                state: SegmentState::Sealed,
                kept: Vec::new(),
                clean: None,
            };
            let count = segments_max.min(RETENTION_SEGMENTS_MAX - 1);
            Some(RetentionReport {
                partition,
                now: now.wall,
                next_check: now.wall,
                cleaning_given_up: false,
                segments: vec![fate; count],
                segments_left_out: RETENTION_SEGMENTS_MAX - 1 - count,
            })
        }

        fn progress(&self) -> Option<Progress> {
            None
        }
    }

    const NOW: Now = Now { mono: highwater_core::time::Instant::from_nanos(0), wall: Timestamp(7) };

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn partitions_come_in_slices_and_in_order() {
        let survey = Arc::new(Survey::new(2));
        let (one, two) = (Arc::clone(&survey), Arc::clone(&survey));
        let (sender, turns) = std::sync::mpsc::channel();
        survey.open(move || {
            let mut shards =
                [Surveyed::new(Arc::clone(&one), ShardId(0)), Surveyed::new(Arc::clone(&two), ShardId(1))];
            let mut fakes = [Fake(3000), Fake(0)];
            let mut count = 0;
            for (shard, fake) in shards.iter_mut().zip(&mut fakes) {
                shard.turn(NOW, fake);
                count += 1;
                while shard.is_busy() {
                    shard.turn(NOW, fake);
                    count += 1;
                }
            }
            sender.send(count).unwrap();
        });
        let view = block_on(survey.take(Scope::Partitions));
        assert_eq!(turns.recv().unwrap(), 4, "three slices, and none");
        let indexes: Vec<i32> = view.partitions.iter().map(|report| report.partition.index).collect();
        assert_eq!(indexes, (0..3000).collect::<Vec<_>>());
        assert!(view.silent().is_empty());
        let view = block_on(survey.take(Scope::Sums));
        assert!(view.partitions.is_empty() && view.reports().count() == 2);
    }

    #[test]
    fn segments_of_one_topic_are_told_up_to_a_bound() {
        let survey = Arc::new(Survey::new(1));
        let inner = Arc::clone(&survey);
        survey.open(move || {
            let mut shard = Surveyed::new(Arc::clone(&inner), ShardId(0));
            shard.turn(NOW, &mut Fake(3));
            while shard.is_busy() {
                shard.turn(NOW, &mut Fake(3));
            }
        });
        let view = block_on(survey.take(Scope::Retention(TopicId(Uuid([7; 16])))));
        let told: Vec<usize> = view.retention.iter().map(|report| report.segments.len()).collect();
        assert_eq!(told, [RETENTION_SEGMENTS_MAX - 1, 1, 0]);
        let left_out: usize = view.retention.iter().map(|report| report.segments_left_out).sum();
        assert_eq!(told.iter().sum::<usize>() + left_out, 3 * (RETENTION_SEGMENTS_MAX - 1));
        let view = block_on(survey.take(Scope::Retention(TopicId(Uuid([8; 16])))));
        assert!(view.retention.is_empty() && view.silent().is_empty());
    }

    #[test]
    fn silent_shard_is_named_and_its_late_answer_is_not_taken_for_a_new_one() {
        let survey = Arc::new(Survey::new(2));
        let inner = Arc::clone(&survey);
        let mut first = Some(Surveyed::new(Arc::clone(&survey), ShardId(1)));
        survey.open(move || Surveyed::new(Arc::clone(&inner), ShardId(0)).turn(NOW, &mut Fake(1)));
        assert_eq!(block_on(survey.take(Scope::Sums)).silent(), [1]);
        first.as_mut().unwrap().turn(NOW, &mut Fake(1));
        assert_eq!(block_on(survey.take(Scope::Sums)).silent(), [1]);
    }

    #[test]
    fn node_that_starts_has_no_view() {
        assert!(block_on(Survey::new(2).take(Scope::Partitions)).shards.is_empty());
    }
}
