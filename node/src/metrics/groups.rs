//! Groups of consumers: our sums and lags, and the names that kafka_exporter gives to what they have committed.

use std::sync::Arc;

use highwater_core::group::command::{GroupKind, GroupState};
use highwater_core::id::{Offset, PartitionId};

use super::families as f;
use super::page::Page;
use crate::survey::View;

/// The states that groups of a protocol may be in.
const STATES: [(GroupKind, GroupState); 8] = [
    (GroupKind::Classic, GroupState::Empty),
    (GroupKind::Classic, GroupState::PreparingRebalance),
    (GroupKind::Classic, GroupState::CompletingRebalance),
    (GroupKind::Classic, GroupState::Stable),
    (GroupKind::Consumer, GroupState::Empty),
    (GroupKind::Consumer, GroupState::Assigning),
    (GroupKind::Consumer, GroupState::Reconciling),
    (GroupKind::Consumer, GroupState::Stable),
];

/// What a group has committed of one partition.
struct Row<'v> {
    group: &'v str,
    topic: &'v str,
    index: String,
    offset: Offset,
    /// `None` where the partition is not there, or its shard was silent.
    behind: Option<Behind>,
}

struct Behind {
    partition: PartitionId,
    records: i64,
}

impl Row<'_> {
    fn labels(&self) -> [&str; 3] {
        [self.group, self.topic, &self.index]
    }
}

fn rows(view: &View) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (group, shown) in &view.groups.shown {
        for report in shown.offsets.iter().flatten() {
            let (topic, offset) = (report.partition.topic.as_str(), report.offset);
            let index = report.partition.partition;
            let found = view.image().and_then(|image| image.topic(topic));
            let behind = found.and_then(|found| {
                let partition = PartitionId { topic: found.id, index };
                let end = view.partition(partition)?.high_watermark;
                Some(Behind { partition, records: end.0.saturating_sub(offset.0).max(0) })
            });
            rows.push(Row { group, topic, index: index.to_string(), offset, behind });
        }
    }
    rows
}

/// The offsets behind which there is something to read: how old that is, is asked in a second look.
pub(super) fn behind(view: &View) -> Arc<[(PartitionId, Offset)]> {
    let behind = |row: Row<'_>| Some((row.behind.filter(|behind| behind.records > 0)?.partition, row.offset));
    rows(view).into_iter().filter_map(behind).collect()
}

/// `ages` is of the look that [`behind`] asked for.
pub(super) fn write(page: &mut Page, view: &View, ages: &View) {
    let groups = &view.groups;
    let mut samples = page.family(&f::GROUPS);
    for (kind, state) in STATES {
        let same = groups.sums.iter().filter(|sum| (sum.kind, sum.state) == (kind, state));
        let labels = [kind.name(), state.name()];
        samples.add(&labels, same.map(|sum| sum.groups).sum::<usize>());
    }
    let mut samples = page.family(&f::GROUP_MEMBERS);
    for kind in [GroupKind::Classic, GroupKind::Consumer] {
        let same = groups.sums.iter().filter(|sum| sum.kind == kind);
        samples.add(&[kind.name()], same.map(|sum| sum.members).sum::<usize>());
    }
    page.single(&f::GROUPS_HIDDEN, groups.count() - groups.shown.len());
    let without = groups.shown.values().filter(|group| group.offsets.is_none()).count();
    page.single(&f::GROUPS_OFFSETS_HIDDEN, groups.count() - groups.shown.len() + without);
    let mut samples = page.family(&f::KAFKA_GROUP_MEMBERS);
    for (name, group) in &groups.shown {
        samples.add(&[name], group.members);
    }
    write_rows(page, &rows(view), ages);
}

fn write_rows(page: &mut Page, rows: &[Row<'_>], ages: &View) {
    let mut samples = page.family(&f::KAFKA_GROUP_CURRENT_OFFSET);
    for row in rows {
        samples.add(&row.labels(), row.offset.0);
    }
    for family in [&f::KAFKA_GROUP_LAG, &f::GROUP_LAG_RECORDS] {
        let mut samples = page.family(family);
        for row in rows {
            if let Some(behind) = &row.behind {
                samples.add(&row.labels(), behind.records);
            }
        }
    }
    let mut samples = page.family(&f::GROUP_LAG_SECONDS);
    for row in rows {
        let Some(Behind { partition, records }) = row.behind else { continue };
        let age = if records == 0 { Some(&0) } else { ages.ages.get(&(partition, row.offset)) };
        if let Some(millis) = age {
            samples.add(&row.labels(), std::time::Duration::from_millis(*millis).as_secs_f64());
        }
    }
}
