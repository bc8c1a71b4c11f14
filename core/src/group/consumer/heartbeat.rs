//! A member's heartbeat: it joins, says what has changed and what it has, and is told what it is to have.
//!
//! Where nothing has changed this neither allocates nor writes. Otherwise the records are, in this order: the member's subscription, the
//! expressions, the group epoch, the targets and their epoch, and how far this member has come.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use super::check::invalid_regex;
use super::describe::without_epochs;
use super::reconcile::{Step, Subscription};
use super::target::{Seated, View, resolve};
use super::{AWAY_EPOCH, ConsumerGroup, regex_of};
use crate::coordinator::{Token, When};
use crate::group::command::{
    ConsumerAssigned, ConsumerHeartbeat, GroupError, GroupReply, GroupState, TopicPartitions,
};
use crate::group::out::{Arrival, Out, Reason};
use crate::group::record::{
    ConsumerValue, CurrentValue, GroupRecord, MemberState, MemberValue, RegexValue, TargetEpochValue,
};
use crate::group::regex::TopicRegex;
use crate::group::topics::Surroundings;
use crate::id::Uuid;
use crate::mutant::{self, Mutant};
use crate::prng::Prng;
use crate::time::Duration;

/// Whom a heartbeat is from, or a join.
pub(super) struct Seat {
    pub(super) id: String,
    /// The id under which this static member was known until now.
    pub(super) replaced: Option<String>,
}

impl Seat {
    /// Under which id its records are until this heartbeat is in force.
    pub(super) fn was(&self) -> &str {
        self.replaced.as_ref().unwrap_or(&self.id)
    }
}

impl ConsumerGroup {
    /// Takes a heartbeat that was [checked](Self::check_request).
    pub fn heartbeat(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        from: Token,
        heartbeat: ConsumerHeartbeat,
    ) {
        let decided = if heartbeat.member_epoch < 0 {
            self.leave(out, topics, heartbeat)
        } else {
            self.beat(out, topics, heartbeat)
        };
        let reply = decided.map_or_else(GroupReply::Failed, GroupReply::ConsumerHeartbeat);
        out.answer(from, reply, When::Committed);
    }

    fn beat(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        mut heartbeat: ConsumerHeartbeat,
    ) -> Result<ConsumerAssigned, GroupError> {
        if let Some(names) = &mut heartbeat.topics {
            names.sort_unstable();
            names.dedup();
        }
        let replaced = self.admit(out, &heartbeat)?;
        let regex = self.new_regex(&heartbeat)?;
        let id = match mem::take(&mut heartbeat.member) {
            id if id.is_empty() => new_member_id(out.prng),
            id => id,
        };
        let seat = Seat { id, replaced };
        out.decision.answers.reserve(1);
        let is_steady = seat.replaced.is_none()
            && self.topics_version == Some(topics.version())
            && !self.is_assignment_due(out)
            && self.kept.is_reconciled(&seat.id)
            && self.kept.members.get(&seat.id).is_some_and(|member| says_nothing_new(member, &heartbeat));
        let changed = if is_steady {
            None
        } else {
            let value = merge(self.kept.members.get(seat.was()), &heartbeat);
            let rebalance_timeout = value.rebalance_timeout;
            // Who names the epoch before may have got more since: what it had then says nothing of what it has given back.
            let epoch = heartbeat.member_epoch;
            let is_new = [0, self.kept.current(seat.was()).epoch].contains(&epoch);
            let owned = heartbeat.owned.as_deref().filter(|_| is_new);
            let said = Said { value, owned, regex };
            Some((self.change(out, topics, &seat, said), rebalance_timeout))
        };
        let session_ends = out.now.mono + out.settings.consumer.session_timeout;
        self.timers.on_heartbeat(&seat.id, session_ends);
        let old = self.kept.current(seat.was());
        let current = match &changed {
            Some((current, _)) => current,
            None => old,
        };
        let is_told = is_full(&heartbeat) || heartbeat.member_epoch == 0 || current.assigned != old.assigned;
        let assigned = ConsumerAssigned {
            member: String::new(),
            member_epoch: current.epoch,
            heartbeat_interval: out.settings.consumer.heartbeat_interval,
            assignment: is_told.then(|| without_epochs(&current.assigned)),
        };
        if let Some((current, rebalance_timeout)) = &changed
            && current != old
        {
            self.await_revocation(out, &seat.id, current, *rebalance_timeout);
        }
        if let Some(replaced) = &seat.replaced {
            self.timers.remove(replaced);
        }
        Ok(ConsumerAssigned { member: seat.id, ..assigned })
    }

    /// A member may take so long to give partitions back.
    pub(super) fn await_revocation(
        &mut self,
        out: &Out<'_>,
        member: &str,
        current: &CurrentValue,
        timeout: Duration,
    ) {
        let revoking = current.state == MemberState::UnrevokedPartitions;
        self.timers.on_revocation(member, revoking.then(|| out.now.mono + timeout));
    }

    /// Whether the sender is a member or may become one. Tells the id of the member whose place a static member takes.
    fn admit(&self, out: &Out<'_>, heartbeat: &ConsumerHeartbeat) -> Result<Option<String>, GroupError> {
        let is_member = self.kept.members.contains_key(&heartbeat.member);
        let joins = heartbeat.member_epoch == 0;
        let seated = heartbeat.instance.as_ref().map(|instance| self.kept.instances.get(instance));
        match seated {
            Some(None) if !joins => return Err(GroupError::UnknownMember),
            Some(Some(member)) if *member != heartbeat.member => {
                if !joins {
                    return Err(GroupError::FencedInstance);
                }
                // One of the classic protocol cannot go for a while: its successor is expected at any time.
                let is_classic = self.kept.members.get(member).is_some_and(|member| member.classic.is_some());
                if !is_classic && self.kept.current(member).epoch != AWAY_EPOCH {
                    return Err(GroupError::UnreleasedInstance);
                }
                return Ok(Some(member.clone()));
            }
            Some(_) | None => {}
        }
        if is_member {
            return self.check_epoch(heartbeat).map(|()| None);
        }
        if !joins {
            return Err(GroupError::UnknownMember);
        }
        if self.kept.members.len() >= out.settings.consumer.size_max {
            return Err(GroupError::MaxSizeReached);
        }
        Ok(None)
    }

    /// The expression of a heartbeat, if the group does not know yet what it means.
    fn new_regex(&self, heartbeat: &ConsumerHeartbeat) -> Result<Option<TopicRegex>, GroupError> {
        match heartbeat.regex.as_deref() {
            None | Some("") => Ok(None),
            Some(regex) if self.kept.regexes.contains_key(regex) => Ok(None),
            Some(regex) => TopicRegex::parse(regex).map(Some).map_err(|why| invalid_regex(regex, &why)),
        }
    }

    /// Decides on a member that says something new, or has not come to its target. Tells how far it has come then.
    pub(super) fn change(
        &mut self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        seat: &Seat,
        said: Said<'_>,
    ) -> CurrentValue {
        let Said { value, owned, regex } = said;
        let mut base = self.kept.current(seat.was()).clone();
        if base.epoch == AWAY_EPOCH || seat.replaced.is_some() {
            (base.epoch, base.previous_epoch) = (0, 0);
        }
        let before = self.kept.members.get(seat.was());
        let mut gone = BTreeSet::new();
        if let (Some(replaced), Some(before)) = (&seat.replaced, before) {
            self.replace(out, seat, before, &base);
            gone.insert(replaced.clone());
        }
        if before != Some(&value) {
            self.record(out, seat, |group, member| GroupRecord::Member {
                group,
                member,
                value: Some(value.clone()),
            });
        }
        let same =
            |before: &MemberValue| before.topics == value.topics && regex_of(before) == regex_of(&value);
        let subscription = if before.is_some_and(same) { Subscription::Same } else { Subscription::Changed };
        let mut view = View {
            kept: &self.kept,
            gone: &gone,
            seated: Some(Seated { id: &seat.id, value: &value, target: self.kept.target(seat.was()) }),
            regexes: BTreeMap::new(),
        };
        let is_stale = self.topics_version != Some(topics.version());
        self.resolve(out, topics, &mut view, Resolving { before, regex, is_stale });
        let epoch = if is_stale || subscription == Subscription::Changed {
            self.renew_epoch(out, topics, &view, subscription)
        } else {
            self.kept.epoch
        };
        if let Some(reason) = self.news(seat, before, epoch, subscription) {
            let state = self.state();
            let to = if epoch > self.kept.epoch { GroupState::Assigning } else { state };
            self.tell(out, epoch, [state, to], reason);
        }
        let (target_epoch, target) = self.renew_target(out, topics, &view, epoch);
        let is_subscribed =
            |topic| topics.name_of(topic).is_some_and(|name| view.is_subscribed(&value, name));
        let mine = [seat.id.as_str(), seat.was()];
        let current = Step {
            current: &base,
            target_epoch,
            target: &target,
            owned,
            subscription,
            is_subscribed: &is_subscribed,
            is_taken: &|topic, partition| {
                let owner = self.kept.owners.get(&(topic, partition));
                owner.is_some_and(|owner| !mine.contains(&&**owner)) && !mutant::on(Mutant::UnreleasedGiven)
            },
        }
        .next();
        if current != base {
            let kept = Some(current.clone());
            self.record(out, seat, |group, member| GroupRecord::CurrentMember { group, member, value: kept });
        }
        self.topics_version = Some(topics.version());
        current
    }

    /// What has happened to the group, of those things that are told.
    fn news(
        &self,
        seat: &Seat,
        before: Option<&MemberValue>,
        epoch: i32,
        subscription: Subscription,
    ) -> Option<Reason> {
        let arrival = |instance: Option<&String>| Arrival {
            member: seat.id.clone(),
            instance: instance.cloned(),
            client_reason: None,
        };
        match (before, subscription) {
            (None, _) => Some(Reason::MemberJoined(arrival(None))),
            (Some(before), _) if seat.replaced.is_some() => {
                Some(Reason::MemberReplaced(arrival(before.instance.as_ref())))
            }
            (Some(_), Subscription::Changed) => Some(Reason::SubscriptionChanged(seat.id.clone())),
            (Some(_), Subscription::Same) => (epoch > self.kept.epoch).then_some(Reason::TopicsChanged),
        }
    }

    fn record(&self, out: &mut Out<'_>, seat: &Seat, of: impl FnOnce(String, String) -> GroupRecord) {
        out.decision.records.push(of(self.id.clone(), seat.id.clone()));
    }

    /// A static member goes on where it left under another id: its records move.
    fn replace(&self, out: &mut Out<'_>, seat: &Seat, before: &MemberValue, base: &CurrentValue) {
        self.bury_member(out, seat.was());
        let (value, target) = (Some(before.clone()), Some(self.kept.target(seat.was()).to_vec()));
        self.record(out, seat, |group, member| GroupRecord::Member { group, member, value });
        self.record(out, seat, |group, member| GroupRecord::TargetMember { group, member, value: target });
        let value = Some(base.clone());
        self.record(out, seat, |group, member| GroupRecord::CurrentMember { group, member, value });
    }

    /// Expressions that nobody is subscribed to any more are dropped; those that are new, or all where topics have changed, are resolved.
    fn resolve(
        &self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        view: &mut View<'_>,
        what: Resolving<'_>,
    ) {
        let at = out.now.wall;
        let used = view.regexes();
        let records = &mut out.decision.records;
        let group = || self.id.clone();
        if let Some(old) = what.before.and_then(regex_of)
            && !used.contains(old)
        {
            records.push(GroupRecord::Regex { group: group(), regex: old.to_string(), value: None });
        }
        let new = view.seated.and_then(|seated| regex_of(seated.value));
        if let (Some(new), Some(regex)) = (new, &what.regex) {
            view.regexes.insert(new.to_string(), resolve(regex, topics, at));
        }
        if what.is_stale {
            for (regex, old) in self.kept.regexes.iter().filter(|(regex, _)| used.contains(regex.as_str())) {
                // One that cannot be taken stays as whoever took it left it.
                let Ok(parsed) = TopicRegex::parse(regex) else { continue };
                let now = resolve(&parsed, topics, at);
                if now.topics != old.topics {
                    view.regexes.insert(regex.clone(), now);
                }
            }
        }
        for (regex, value) in &view.regexes {
            let value: Option<RegexValue> = Some(value.clone());
            records.push(GroupRecord::Regex { group: group(), regex: regex.clone(), value });
        }
    }

    /// The group epoch grows where a subscription or a topic of one has changed.
    fn renew_epoch(
        &self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        view: &View<'_>,
        subscription: Subscription,
    ) -> i32 {
        let metadata_hash = view.metadata_hash(topics);
        if subscription == Subscription::Same
            && metadata_hash == self.kept.metadata_hash
            && self.kept.epoch > 0
        {
            return self.kept.epoch;
        }
        let epoch = self.kept.epoch.saturating_add(1);
        let value = Some(ConsumerValue { epoch, metadata_hash });
        out.decision.records.push(GroupRecord::Consumer { group: self.id.clone(), value });
        epoch
    }

    /// The targets are computed anew if they are not of this group epoch, and their time has come; those that differ are written.
    /// Tells their epoch and the sender's.
    fn renew_target(
        &self,
        out: &mut Out<'_>,
        topics: &dyn Surroundings,
        view: &View<'_>,
        epoch: i32,
    ) -> (i32, Vec<TopicPartitions>) {
        let seated = view.seated.expect("a heartbeat has a sender");
        if epoch <= self.kept.target_epoch || !self.may_assign(out) {
            return (self.kept.target_epoch, seated.target.to_vec());
        }
        let mut mine = Vec::new();
        for (member, target) in view.assign(topics, &out.settings.consumer) {
            let is_seated = member == seated.id;
            let old = if is_seated { seated.target } else { self.kept.target(member) };
            if old != target || !self.kept.targets.contains_key(member) {
                out.decision.records.push(GroupRecord::TargetMember {
                    group: self.id.clone(),
                    member: member.to_string(),
                    value: Some(target.clone()),
                });
            }
            if is_seated {
                mine = target;
            }
        }
        let assignor = view.assignor(&out.settings.consumer).to_string();
        self.tell(out, epoch, [GroupState::Assigning, GroupState::Reconciling], Reason::Computed(assignor));
        let value = Some(TargetEpochValue { epoch, assigned_at: Some(out.now.wall) });
        out.decision.records.push(GroupRecord::TargetEpoch { group: self.id.clone(), value });
        (epoch, mine)
    }
}

/// What a member says of itself.
pub(super) struct Said<'a> {
    /// The member as it is from now on.
    pub(super) value: MemberValue,
    /// What it has.
    pub(super) owned: Option<&'a [TopicPartitions]>,
    /// Its expression, if that is new to the group.
    pub(super) regex: Option<TopicRegex>,
}

/// What expressions have to be looked at.
struct Resolving<'a> {
    /// The sender as it was.
    before: Option<&'a MemberValue>,
    /// The sender's expression, if it is new to the group.
    regex: Option<TopicRegex>,
    /// Topics have changed.
    is_stale: bool,
}

/// Whether the sender says all of itself, as a member does that does not know what has reached the broker.
fn is_full(heartbeat: &ConsumerHeartbeat) -> bool {
    heartbeat.rebalance_timeout.is_some()
        && (heartbeat.topics.is_some() || heartbeat.regex.is_some())
        && heartbeat.owned.is_some()
}

fn says_nothing_new(member: &MemberValue, heartbeat: &ConsumerHeartbeat) -> bool {
    fn is_same<T: PartialEq>(said: Option<&T>, known: Option<&T>) -> bool {
        said.is_none() || said == known
    }
    is_same(heartbeat.instance.as_ref(), member.instance.as_ref())
        && is_same(heartbeat.rack.as_ref(), member.rack.as_ref())
        && is_same(heartbeat.rebalance_timeout.as_ref(), Some(&member.rebalance_timeout))
        && is_same(heartbeat.topics.as_ref(), Some(&member.topics))
        && is_same(heartbeat.regex.as_ref(), member.regex.as_ref())
        && is_same(heartbeat.assignor.as_ref(), member.assignor.as_ref())
        && heartbeat.client == member.client
        && member.classic.is_none()
}

/// The member as it is after a heartbeat: what is not said stays.
fn merge(before: Option<&MemberValue>, heartbeat: &ConsumerHeartbeat) -> MemberValue {
    let said = heartbeat.clone();
    let before = before.cloned();
    let (instance, rack, topics, regex, timeout, assignor) = match before {
        Some(before) => (
            before.instance,
            before.rack,
            before.topics,
            before.regex,
            before.rebalance_timeout,
            before.assignor,
        ),
        None => (None, None, Vec::new(), None, Duration::ZERO, None),
    };
    MemberValue {
        instance: said.instance.or(instance),
        rack: said.rack.or(rack),
        client: said.client,
        topics: said.topics.unwrap_or(topics),
        regex: said.regex.or(regex),
        rebalance_timeout: said.rebalance_timeout.unwrap_or(timeout),
        assignor: said.assignor.or(assignor),
        classic: None,
    }
}

/// A random UUID as Kafka writes them; never with a dash first, which tools would take for an option.
pub(super) fn new_member_id(prng: &mut Prng) -> String {
    loop {
        let mut bytes = [0; 16];
        prng.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Uuid(bytes).to_string();
        if !id.starts_with('-') {
            return id;
        }
    }
}
