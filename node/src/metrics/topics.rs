//! Topics and partitions: our sums, and the names that kafka_exporter gives offsets and replicas. Bounds how many series there are.

use std::sync::Arc;

use highwater_core::controller::{Image, PartitionImage, TopicImage};
use highwater_core::id::PartitionId;
use highwater_core::shard::PartitionReport;

use super::Limits;
use super::families as f;
use super::page::{Family, Page};
use crate::survey::View;

/// The label of all topics that have no series of their own.
const OTHER: &str = "__other__";

/// One partition with a series of its own.
struct Shown<'v> {
    topic: &'v str,
    index: String,
    state: &'v PartitionImage,
    report: Option<&'v PartitionReport>,
}

pub(super) fn write(page: &mut Page, view: &View, limits: Limits) {
    let empty = Arc::new(Image::empty());
    let image = view.image().unwrap_or(&empty);
    // A topic with the name of the sum would make two series one.
    let topics = || image.topics().filter(|topic| &*topic.name != OTHER);
    let shown: Vec<&Arc<TopicImage>> = topics().take(limits.topics_max).collect();
    page.single(&f::TOPICS, image.topic_count());
    page.single(&f::TOPICS_HIDDEN, image.topic_count() - shown.len());
    write_sums(page, view, &shown, image);

    let mut left = limits.partitions_max;
    let mut partitions = Vec::new();
    for topic in &shown {
        // All of a topic or none: a part of it would be taken for the whole.
        if let Some(rest) = left.checked_sub(topic.partitions.len()) {
            left = rest;
            partitions.extend(topic.partitions().map(|(id, state)| one(view, topic, id, state)));
        }
    }
    page.single(&f::PARTITIONS, image.partition_count());
    page.single(&f::PARTITIONS_HIDDEN, image.partition_count() - partitions.len());
    let faulty = view.partitions.iter().filter(|report| report.faulty_ranges > 0).count();
    page.single(&f::PARTITIONS_FAULTY, faulty);
    write_partitions(page, &partitions);
}

fn one<'v>(view: &'v View, topic: &'v TopicImage, id: PartitionId, state: &'v PartitionImage) -> Shown<'v> {
    Shown { topic: &topic.name, index: id.index.to_string(), state, report: view.partition(id) }
}

/// What is added up over the partitions of a topic.
type Sum = fn(&PartitionReport) -> u64;

fn write_sums(page: &mut Page, view: &View, shown: &[&Arc<TopicImage>], image: &Image) {
    let has_others = shown.len() < image.topic_count();
    let of_topics = |report: &&PartitionReport| image.topic_by_id(report.partition.topic).is_some();
    let sums: [(&'static Family, Sum); 2] = [
        (&f::TOPIC_BYTES, |report| report.bytes),
        (&f::TOPIC_SEGMENTS, |report| u64::try_from(report.segments).unwrap_or(u64::MAX)),
    ];
    for (family, figure) in sums {
        let mut samples = page.family(family);
        let mut others: u64 = view.partitions.iter().filter(of_topics).map(figure).sum();
        for topic in shown {
            let sum: u64 = view.partitions_of(topic).iter().map(figure).sum();
            others -= sum;
            samples.add(&[&topic.name], sum);
        }
        if has_others {
            samples.add(&[OTHER], others);
        }
    }
    let mut samples = page.family(&f::KAFKA_TOPIC_PARTITIONS);
    for topic in shown {
        samples.add(&[&topic.name], topic.partitions.len());
    }
}

/// What one of kafka_exporter's metrics says of a partition; nothing if its shard was silent.
type Figure = fn(&Shown<'_>) -> Option<i64>;

fn write_partitions(page: &mut Page, partitions: &[Shown<'_>]) {
    let figures: [(&'static Family, Figure); 7] = [
        (&f::KAFKA_CURRENT_OFFSET, |shown| Some(shown.report?.high_watermark.0)),
        (&f::KAFKA_OLDEST_OFFSET, |shown| Some(shown.report?.log_start.0)),
        (&f::KAFKA_LEADER, |shown| Some(shown.state.leader.map_or(-1, |node| node.0.into()))),
        (&f::KAFKA_REPLICAS, |shown| i64::try_from(shown.state.replicas.len()).ok()),
        (&f::KAFKA_IN_SYNC_REPLICAS, |shown| i64::try_from(shown.state.isr.len()).ok()),
        (&f::KAFKA_LEADER_IS_PREFERRED, |shown| {
            let leader = shown.state.leader;
            Some(i64::from(leader.is_some() && leader == shown.state.replicas.first().copied()))
        }),
        (&f::KAFKA_UNDER_REPLICATED, |shown| {
            Some(i64::from(shown.state.isr.len() < shown.state.replicas.len()))
        }),
    ];
    for (family, figure) in figures {
        let mut samples = page.family(family);
        for shown in partitions {
            if let Some(figure) = figure(shown) {
                samples.add(&[shown.topic, &shown.index], figure);
            }
        }
    }
}
