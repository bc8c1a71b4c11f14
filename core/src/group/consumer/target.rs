//! A group as it will be once a decision is in force: what its members are subscribed to, and who shall have which partitions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use twox_hash::XxHash32;

use super::{Kept, regex_of};
use crate::group::assignor::{AssignedTopic, Assignor, Candidate, Input};
use crate::group::command::TopicPartitions;
use crate::group::record::{MemberValue, RegexValue};
use crate::group::regex::TopicRegex;
use crate::group::settings::ConsumerSettings;
use crate::group::topics::{Surroundings, Topic, is_internal};
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

/// What is kept, with what a decision changes of it.
pub(super) struct View<'a> {
    pub kept: &'a Kept,
    /// Members that are no more.
    pub gone: &'a BTreeSet<String>,
    /// The member that a heartbeat is from.
    pub seated: Option<Seated<'a>>,
    /// Expressions that are new or mean other topics than before.
    pub regexes: BTreeMap<String, RegexValue>,
}

#[derive(Clone, Copy)]
pub(super) struct Seated<'a> {
    pub id: &'a str,
    pub value: &'a MemberValue,
    pub target: &'a [TopicPartitions],
}

impl<'a> View<'a> {
    pub(super) fn members(&self) -> impl Iterator<Item = Seated<'a>> {
        let kept = self.kept;
        let seated = self.seated;
        let gone = self.gone;
        let others = kept.members.iter().filter(move |(id, _)| {
            !gone.contains(id.as_str()) && seated.is_none_or(|seated| seated.id != id.as_str())
        });
        others.map(|(id, value)| Seated { id, value, target: kept.target(id) }).chain(seated)
    }

    /// The topics that an expression means, in order.
    fn topics_of_regex(&self, regex: &str) -> &[String] {
        let value = self.regexes.get(regex).or_else(|| self.kept.regexes.get(regex));
        value.map_or(&[], |value| value.topics.as_slice())
    }

    /// All that a member is subscribed to.
    fn names<'b>(&'b self, member: &'b MemberValue) -> impl Iterator<Item = &'b str> {
        let meant = regex_of(member).map_or(&[][..], |regex| self.topics_of_regex(regex));
        member.topics.iter().chain(meant).map(String::as_str)
    }

    pub(super) fn is_subscribed(&self, member: &MemberValue, topic: &str) -> bool {
        let has = |topics: &[String]| topics.binary_search_by(|name| name.as_str().cmp(topic)).is_ok();
        has(&member.topics) || regex_of(member).is_some_and(|regex| has(self.topics_of_regex(regex)))
    }

    /// What is counted, as it will be: without the members that are no more, and with the sender as it will be.
    fn counted(
        &self,
        counts: &'a BTreeMap<String, usize>,
        of: impl Fn(&'a MemberValue) -> &'a [String],
    ) -> BTreeSet<&'a str> {
        let mut less: BTreeMap<&str, usize> = BTreeMap::new();
        let kept = self.kept;
        let seated = self.seated.map(|seated| seated.id);
        let changed = self.gone.iter().map(String::as_str).chain(seated);
        for before in changed.filter_map(|id| kept.members.get(id)) {
            of(before).iter().for_each(|name| *less.entry(name).or_default() += 1);
        }
        let left = counts.iter().filter(|(name, count)| less.get(name.as_str()) != Some(count));
        let left = left.map(|(name, _)| name.as_str());
        left.chain(self.seated.into_iter().flat_map(|seated| of(seated.value)).map(String::as_str)).collect()
    }

    /// The expressions that somebody is subscribed to.
    pub(super) fn regexes(&self) -> BTreeSet<&'a str> {
        self.counted(&self.kept.meant, |member| match &member.regex {
            Some(regex) if !regex.is_empty() => core::slice::from_ref(regex),
            Some(_) | None => &[],
        })
    }

    /// All topics that are there of those that somebody is subscribed to. Does not look at each member.
    fn topics(&self, topics: &dyn Surroundings) -> BTreeMap<String, Topic> {
        let mut names: BTreeSet<&str> = self.counted(&self.kept.named, |member| &member.topics);
        for regex in self.regexes() {
            names.extend(self.topics_of_regex(regex).iter().map(String::as_str));
        }
        names
            .into_iter()
            .filter_map(|name| topics.topic(name).map(|topic| (name.to_string(), topic)))
            .collect()
    }

    /// Differs where a topic that somebody is subscribed to has come, gone or changed. Two hashes of 32 bits under different seeds.
    pub(super) fn metadata_hash(&self, topics: &dyn Surroundings) -> i64 {
        let mut bytes = Vec::new();
        for (name, topic) in self.topics(topics) {
            bytes.extend(topic.id.0.0);
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.extend(topic.partitions.to_be_bytes());
            for mut racks in topic.racks {
                racks.sort_unstable();
                racks.iter().for_each(|rack| {
                    bytes.extend(rack.as_bytes());
                    bytes.push(0);
                });
                bytes.push(1);
            }
        }
        if bytes.is_empty() {
            return 0;
        }
        let [a, b] = [0, 1].map(|seed| i64::from(XxHash32::oneshot(seed, &bytes)));
        (a << 32) | b
    }

    /// What each member shall have, by member.
    pub(super) fn assign(
        &self,
        topics: &dyn Surroundings,
        settings: &ConsumerSettings,
    ) -> Vec<(&'a str, Vec<TopicPartitions>)> {
        let known = self.topics(topics);
        let mut assigned: Vec<AssignedTopic> = known
            .values()
            .map(|topic| {
                let cut = i32::from(topic.partitions > 1 && mutant::on(Mutant::LastPartitionUnassigned));
                AssignedTopic { id: topic.id, partitions: topic.partitions - cut }
            })
            .collect();
        assigned.sort_unstable_by_key(|topic| topic.id);
        let place = |name: &str| {
            let id = known.get(name)?.id;
            assigned.binary_search_by_key(&id, |topic| topic.id).ok()
        };
        let members: Vec<(Seated<'a>, Vec<usize>)> = self
            .members()
            .map(|member| {
                let mut places: Vec<usize> = self.names(member.value).filter_map(place).collect();
                places.sort_unstable();
                places.dedup();
                (member, places)
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = members
            .iter()
            .map(|(member, topics)| Candidate {
                id: member.id,
                instance: member.value.instance.as_deref(),
                topics,
                target: member.target,
            })
            .collect();
        let assignor = Assignor::named(self.assignor(settings)).unwrap_or(Assignor::Uniform);
        let targets = assignor.assign(&Input { members: &candidates, topics: &assigned });
        members.iter().map(|(member, _)| member.id).zip(targets).collect()
    }

    /// What most members ask for; the earlier of the settings where as many ask for another; the first where nobody asks.
    pub(super) fn assignor<'b>(&self, settings: &'b ConsumerSettings) -> &'b str {
        let mut best = (settings.assignors.first().map_or("uniform", String::as_str), 0);
        for name in settings.assignors.iter() {
            let asked = self.members().filter(|member| member.value.assignor.as_ref() == Some(name)).count();
            if asked > best.1 {
                best = (name, asked);
            }
        }
        best.0
    }
}

/// What an expression means now.
pub(super) fn resolve(regex: &TopicRegex, topics: &dyn Surroundings, at: Timestamp) -> RegexValue {
    let names = topics.names().into_iter().filter(|name| !is_internal(name) && regex.is_match(name));
    let mut names: Vec<String> = names.map(ToString::to_string).collect();
    names.sort_unstable();
    RegexValue {
        topics: names,
        version: i64::try_from(topics.version()).unwrap_or(i64::MAX),
        resolved_at: at,
    }
}
