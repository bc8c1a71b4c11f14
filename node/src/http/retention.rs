//! The page `/retention`: why a topic has the segments that it has, and what becomes of each. Its words are codes; people read them
//! through the command line.

use highwater_core::controller::TopicImage;
use highwater_core::limits::RETENTION_SEGMENTS_MAX;
use highwater_core::log::{Barred, CleanFate, Kept, SegmentFate, SegmentState};
use highwater_core::shard::RetentionReport;
use serde_json::{Value, json};

use crate::survey::View;

/// All partitions of the topic that the shards tell of, and their segments as far as there is room.
pub(super) fn page(topic: &TopicImage, view: &View, partitions_max: usize) -> Value {
    let mut room = RETENTION_SEGMENTS_MAX;
    let reports = view.retention.iter().take(partitions_max);
    let rows: Vec<Value> = reports
        .map(|report| {
            let told = &report.segments[..report.segments.len().min(room)];
            room -= told.len();
            row(report, told)
        })
        .collect();
    json!({
        "topic": &*topic.name,
        "id": topic.id.0.to_string(),
        "more": topic.partitions.len().saturating_sub(rows.len()),
        "partitions": rows,
        "silent_shards": view.silent(),
    })
}

fn row(report: &RetentionReport, told: &[SegmentFate]) -> Value {
    let left_out = report.segments_left_out + report.segments.len() - told.len();
    json!({
        "partition": report.partition.partition.index,
        "timestamp": report.now.0,
        "next_check_timestamp": report.next_check.0,
        "log_start_offset": report.partition.log_start.0,
        "high_watermark": report.partition.high_watermark.0,
        "log_end_offset": report.partition.log_end.0,
        "size_bytes": report.partition.bytes,
        "cleaning_given_up": report.cleaning_given_up,
        "segments": told.iter().map(segment).collect::<Vec<Value>>(),
        "segments_left_out": left_out,
    })
}

fn segment(fate: &SegmentFate) -> Value {
    let (state, cleaned_upto) = match fate.state {
        SegmentState::Active => ("active", None),
        SegmentState::Ended => ("ended", None),
        SegmentState::Sealed => ("sealed", None),
        SegmentState::Cleaned { upto } => ("cleaned", Some(upto.0)),
    };
    json!({
        "base_offset": fate.base.0,
        "end_offset": fate.end.0,
        "size_bytes": fate.bytes,
        "newest_timestamp": fate.newest.map(|newest| newest.0),
        "state": state,
        "cleaned_upto_offset": cleaned_upto,
        "kept": fate.kept.iter().map(kept).collect::<Vec<Value>>(),
        "clean": fate.clean.as_ref().map(clean),
    })
}

fn kept(kept: &Kept) -> Value {
    match kept {
        Kept::Active => json!({ "reason": "active" }),
        Kept::NotOnDisk => json!({ "reason": "not_on_disk" }),
        Kept::NotCommitted => json!({ "reason": "not_committed" }),
        Kept::NeverDeleted => json!({ "reason": "never_deleted" }),
        Kept::Unbounded => json!({ "reason": "unbounded" }),
        Kept::Young { until } => json!({ "reason": "young", "until_timestamp": until.0 }),
        Kept::Small { bytes_lacking } => json!({ "reason": "small", "bytes_lacking": bytes_lacking }),
        Kept::Older => json!({ "reason": "older" }),
    }
}

fn clean(clean: &CleanFate) -> Value {
    match clean {
        CleanFate::Clean => json!({ "fate": "clean" }),
        CleanFate::Tombstones { until } => json!({ "fate": "tombstones", "until_timestamp": until.0 }),
        CleanFate::Due => json!({ "fate": "due" }),
        CleanFate::Waits { dirty_ppm, dirty_ratio_min_ppm, until } => json!({
            "fate": "waits",
            "dirty_ratio": f64::from(*dirty_ppm) / 1e6,
            "dirty_ratio_min": f64::from(*dirty_ratio_min_ppm) / 1e6,
            "until_timestamp": until.map(|until| until.0),
        }),
        CleanFate::Barred(Barred::Unready) => json!({ "fate": "unready" }),
        CleanFate::Barred(Barred::Lost) => json!({ "fate": "lost" }),
        CleanFate::Barred(Barred::Young { until }) => {
            json!({ "fate": "young", "until_timestamp": until.0 })
        }
        CleanFate::Behind => json!({ "fate": "behind" }),
    }
}
