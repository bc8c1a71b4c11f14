//! No partition is with two members of a group: not in one generation, which gives each member its own once, and not at one time. A member that was silent for as long as
//! its session lasts may not know yet that it is none any more, and neither may a static member whose place was taken.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::group::command::GroupState;
use highwater_core::group::out::GroupEvent;
use highwater_core::shard::Event;
use highwater_core::time::{Duration, Instant};

use super::Checker;
use crate::history::{Act, Fact, Member, Place, Process, Share};
use crate::report::Violation;

/// What a member has that is in no generation that counts.
const NO_GENERATION: i32 = -1;

/// Clocks of nodes drift, and faults of clocks come on top: so much of a hundred may be missing of a session.
const HASTE_PERCENT: u64 = 30;

#[derive(Debug, Clone)]
struct Owner {
    share: Share,
    session: Duration,
    /// When it sent what the coordinator answered last.
    heard: Instant,
    /// All that it has had in its generation.
    of_generation: Vec<Place>,
    /// When it was known that another of its name is in its place.
    fenced: Option<Instant>,
}

impl Owner {
    /// Whether the coordinator may have given it up.
    fn is_silent(&self, at: Instant) -> bool {
        let session = Duration::from_nanos(self.session.as_nanos() / 100 * (100 - HASTE_PERCENT));
        self.heard + session <= at
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct OneOwner {
    owners: BTreeMap<Process, Owner>,
    heard: BTreeMap<Process, Instant>,
    /// Groups and names of static members that two have had at once.
    shared: BTreeSet<(String, String)>,
}

impl OneOwner {
    fn on_has(&mut self, process: Process, at: Instant, mut owner: Owner) -> Result<(), Violation> {
        owner.heard = self.heard.get(&process).copied().unwrap_or_default();
        owner.of_generation = owner.share.places.clone();
        if let Some(before) = self.owners.get(&process)
            && before.share.generation == owner.share.generation
            && owner.share.generation.is_some_and(|generation| generation >= 0)
        {
            let known = &before.of_generation;
            if let Some(place) = owner.share.places.iter().find(|place| !known.contains(place)) {
                let story = format!("{process:?} is given {place:?} and had {known:?} before: {owner:?}");
                return Err(Violation::new("one_owner", story));
            }
            owner.of_generation.clone_from(known);
        }
        self.share_name(process, &owner.share);
        let before = self.owners.insert(process, owner);
        let owner = &self.owners[&process];
        let had = |place: &Place| before.as_ref().is_some_and(|before| before.share.places.contains(place));
        for (other, known) in self.owners.iter().filter(|(other, _)| **other != process) {
            let (one, two) = (&owner.share, &known.share);
            let is_same = one.instance.is_some() && one.instance == two.instance;
            let Some(both) = one.places.iter().find(|place| two.places.contains(place)) else { continue };
            if one.group != two.group || is_same {
                continue;
            }
            let in_generation = one.generation.is_some() && one.generation == two.generation;
            let is_fenced = self.is_shared(one) || self.is_shared(two);
            let excused = had(both) || known.is_silent(at) || owner.is_silent(at) || is_fenced;
            if (in_generation && !is_fenced) || !excused {
                let story = format!("{both:?} is with {process:?} and with {other:?}: {owner:?}, {known:?}");
                return Err(Violation::new("one_owner", story));
            }
        }
        Ok(())
    }
}

impl OneOwner {
    /// Where two live under one name, each may have lost its place to the other, also to what the other asked for long ago.
    fn share_name(&mut self, process: Process, share: &Share) {
        let Some(name) = &share.instance else { return };
        let is_twin = |(other, known): (&Process, &Owner)| {
            *other != process && known.share.group == share.group && known.share.instance == share.instance
        };
        if self.owners.iter().any(is_twin) {
            self.shared.insert((share.group.clone(), name.clone()));
        }
    }

    fn is_shared(&self, share: &Share) -> bool {
        let name = share.instance.clone().map(|name| (share.group.clone(), name));
        name.is_some_and(|name| self.shared.contains(&name))
    }

    /// Whoever is heard under a name has taken the place of those who had it. None of them is heard any more before it has joined
    /// again, for which it first has to learn that it lost all it had. Only a crash may take that back.
    fn on_heard(&mut self, process: Process, sent: Instant, at: Instant) -> Result<(), Violation> {
        self.heard.insert(process, sent);
        let Some(owner) = self.owners.get_mut(&process) else { return Ok(()) };
        owner.heard = owner.heard.max(sent);
        let (owner, group) = (owner.clone(), owner.share.group.clone());
        if let Some(fenced) = owner.fenced.filter(|fenced| *fenced < sent && !owner.share.places.is_empty()) {
            let story = format!("{process:?} is heard at {sent:?} and was fenced at {fenced:?}: {owner:?}");
            return Err(Violation::new("one_owner", story));
        }
        let Some(name) = &owner.share.instance else { return Ok(()) };
        for (other, known) in &mut self.owners {
            let is_twin = known.share.group == group && known.share.instance.as_ref() == Some(name);
            if *other != process && is_twin && known.heard < sent && known.fenced.is_none() {
                known.fenced = Some(at);
            }
        }
        Ok(())
    }

    /// A group that was deleted while a member of it did not look counts its generations from the first again.
    fn on_group_changed(&mut self, change: &GroupEvent) {
        if change.from != GroupState::Empty || change.generation != 0 {
            return;
        }
        for owner in self.owners.values_mut().filter(|owner| owner.share.group == change.group) {
            owner.share.generation = owner.share.generation.map(|_| NO_GENERATION);
        }
    }
}

impl Checker for OneOwner {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only members own")]
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Member(Member { process, act, .. }) => match act {
                Act::Has { at, session, share } => {
                    let (share, session, of_generation) = (share.clone(), *session, Vec::new());
                    let owner = Owner { share, session, heard: *at, of_generation, fenced: None };
                    return self.on_has(*process, *at, owner);
                }
                Act::Gone => {
                    self.owners.remove(process);
                    self.heard.remove(process);
                }
                Act::Heard { sent, at } => return self.on_heard(*process, *sent, *at),
                Act::Commits { .. } | Act::Committed { .. } | Act::LogStarts { .. } | Act::Finds { .. } => {}
            },
            Fact::DiskReplaced { .. } => *self = Self::default(),
            Fact::Ended { .. } => self.owners.values_mut().for_each(|owner| owner.fenced = None),
            Fact::Core { event: Event::GroupChanged(change), .. } => self.on_group_changed(change),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::group::command::GroupState;
    use highwater_core::group::out::{GroupEvent, Reason};
    use highwater_core::shard::Event;
    use highwater_core::time::{Duration, Instant};

    use super::{Checker, OneOwner};
    use crate::checker::samples::PLACE;
    use crate::history::{Act, Ending, Fact, Member, Process, Share};

    fn at(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    fn member(process: u32, act: Act) -> Fact {
        Fact::Member(Member { node: 0, process: Process(process), act })
    }

    fn has(process: u32, millis: u64, generation: Option<i32>, owns: usize) -> Fact {
        let share = Share { group: "g".into(), generation, instance: None, places: vec![PLACE; owns] };
        member(process, Act::Has { at: at(millis), session: Duration::from_secs(1), share })
    }

    fn heard(process: u32, millis: u64) -> Fact {
        member(process, Act::Heard { sent: at(millis), at: at(millis) })
    }

    fn named(process: u32, millis: u64, owns: usize) -> Fact {
        let share = Share {
            group: "g".into(),
            generation: None,
            instance: Some("i".into()),
            places: vec![PLACE; owns],
        };
        member(process, Act::Has { at: at(millis), session: Duration::from_secs(1), share })
    }

    fn judge(facts: &[Fact]) -> bool {
        let mut checker = OneOwner::default();
        facts.iter().all(|fact| checker.on_fact(fact).is_ok())
    }

    #[test]
    fn partition_is_taken_over_from_who_gave_it_up() {
        assert!(judge(&[
            heard(1, 0),
            has(1, 1, None, 1),
            has(1, 50, None, 0),
            heard(2, 40),
            has(2, 60, None, 1)
        ]));
        assert!(judge(&[heard(1, 0), has(1, 1, None, 1), member(1, Act::Gone), has(2, 60, None, 1)]));
        assert!(!judge(&[heard(1, 0), has(1, 1, None, 1), heard(2, 40), has(2, 60, None, 1)]));
    }

    #[test]
    fn silence_excuses_once_the_session_is_over() {
        let after =
            |millis| judge(&[heard(1, 0), has(1, 1, None, 1), heard(2, millis), has(2, millis, None, 1)]);
        assert!(!after(650) && after(700));
        let kept = [heard(1, 0), has(1, 1, None, 1), heard(1, 500), heard(2, 900), has(2, 900, None, 1)];
        assert!(!judge(&kept));
    }

    #[test]
    fn crash_takes_a_place_back() {
        let ended = Fact::Ended { node: 0, how: Ending::Killed };
        let begins = [heard(1, 0), named(1, 1, 1), named(2, 5, 0), heard(2, 10)];
        assert!(judge(&[&begins[..], &[ended, heard(1, 20)]].concat()));
        assert!(!judge(&[&begins[..], &[heard(1, 20)]].concat()));
    }

    #[test]
    fn who_takes_a_name_fences_who_had_it() {
        let begins = [heard(1, 0), named(1, 1, 1), named(2, 5, 0), heard(2, 10), named(2, 11, 1)];
        let and = |more: &[Fact]| judge(&[&begins, more].concat());
        assert!(and(&[]) && !and(&[heard(1, 20)]));
        assert!(and(&[named(1, 15, 0), heard(1, 20)]), "it has joined again");
        assert!(and(&[named(2, 12, 0), heard(3, 13), has(3, 14, None, 1)]), "the first does not know yet");
    }

    #[test]
    fn generation_gives_once() {
        let again = |generation| {
            judge(&[has(1, 1, Some(4), 1), has(1, 2, Some(4), 0), has(1, 3, Some(generation), 1)])
        };
        assert!(again(4) && again(5), "the same again is nothing new");
        assert!(!judge(&[has(1, 1, Some(4), 0), has(1, 2, Some(4), 1)]));
        assert!(judge(&[has(1, 1, Some(4), 0), has(1, 2, Some(5), 1)]));
    }

    #[test]
    fn generation_excuses_nobody() {
        let facts = |generation| [has(1, 1, Some(4), 1), has(2, 9_000, Some(generation), 1)];
        assert!(judge(&facts(5)) && !judge(&facts(4)));
    }

    #[test]
    fn group_that_begins_again_counts_again() {
        let begins = |generation| {
            let group = GroupEvent {
                group: "g".into(),
                generation,
                from: GroupState::Empty,
                to: GroupState::PreparingRebalance,
                reason: Reason::MemberExpired("m".into()),
            };
            Fact::Core { node: 0, event: Event::GroupChanged(Box::new(group)) }
        };
        let facts = |begins| [has(1, 1, Some(4), 1), begins, has(2, 9_000, Some(4), 1)];
        assert!(judge(&facts(begins(0))) && !judge(&facts(begins(4))));
    }
}
