//! The range assignor. Static members come first, by their instance ids, so that a restart under another member id moves nothing.

use alloc::vec;
use alloc::vec::Vec;

use super::{Candidate, Input};
use crate::group::command::TopicPartitions;

pub(super) fn assign(input: &Input<'_>) -> Vec<Vec<TopicPartitions>> {
    let mut assigned = vec![Vec::new(); input.members.len()];
    for (topic, mut subscribers) in input.topics.iter().zip(input.subscribers()) {
        subscribers.sort_unstable_by_key(|&member| rank(&input.members[member]));
        let Ok(count) = i32::try_from(subscribers.len()) else { continue };
        if count == 0 {
            continue;
        }
        let (quota, extra) = (topic.partitions / count, topic.partitions % count);
        let mut next = 0;
        for (place, member) in (0..count).zip(subscribers) {
            let end = next + quota + i32::from(place < extra);
            if next < end {
                let partitions = (next..end).collect();
                assigned[member].push(TopicPartitions { topic: topic.id, partitions });
            }
            next = end;
        }
    }
    assigned
}

/// `None` is less than any instance, so whether there is one is asked first.
fn rank<'a>(member: &Candidate<'a>) -> (bool, Option<&'a str>, &'a str) {
    (member.instance.is_none(), member.instance, member.id)
}
