//! Coverage: the kinds of events and the marks that a batch of runs reached, and those that it should have reached. Must not know
//! how a run reaches them.

use highwater_core::shard::{Event, Mark};

use crate::params::{Profile, Rot};
use crate::report::Counts;

/// Under what an event counts.
pub fn name(event: &Event) -> &'static str {
    let Event::Marked(mark) = event else { return event.name() };
    mark.name()
}

/// All that could be reached.
pub fn all() -> impl Iterator<Item = &'static str> {
    Event::NAMES.iter().chain(Mark::NAMES).copied().filter(|name| *name != "Marked")
}

/// What is reached only where bits rot.
const OF_ROT: [&str; 7] = [
    "Rot",
    "Faulty",
    "CheckpointLost",
    "ProducersLost",
    "LogStartLost",
    "SuperblockRepaired",
    "CleaningGivenUp",
];

/// What is asked of one profile only, and why others need not come to it.
const LEANS: [(&str, Profile, &str); 11] = [
    ("Halted", Profile::Disk, "the disk seldom fails elsewhere"),
    ("StorageRoomAgain", Profile::Disk, "the disk is seldom full elsewhere"),
    ("ProduceRefused", Profile::Load, "elsewhere little waits when a disk is found full"),
    ("UnwrittenRefused", Profile::Disk, "the disk is seldom full elsewhere"),
    ("ReadStarved", Profile::Load, "elsewhere there is more memory than clients can use"),
    ("DestageStarved", Profile::Load, "elsewhere there is more memory than clients can use"),
    ("ConnectionStarved", Profile::Load, "elsewhere there is more memory than clients can use"),
    ("SegmentCleaned", Profile::Compact, "topics are compacted nowhere else"),
    ("LogCleaned", Profile::Compact, "topics are compacted nowhere else"),
    ("CleaningGivenUp", Profile::Compact, "topics are compacted nowhere else"),
    ("GroupChanged", Profile::Groups, "nobody is a member of a group elsewhere"),
];

/// What no run is expected to reach, and why.
const NEVER: [(&str, &str); 4] = [
    (
        "CallBeforeImage",
        "messages between shards all take the same time, so that no call overtakes the metadata",
    ),
    ("GroupsUnreadable", "a coordinator writes nothing that it cannot read"),
    ("LogLevelSet", "loggers are the process's, and a run has none"),
    (
        "WatchRipe",
        "an answer is made in the turn in which its reader begins to wait, and nothing comes in between",
    ),
];

/// What no run of a batch reached.
pub fn unreached(reached: &Counts) -> Vec<&'static str> {
    all().filter(|name| reached.of(name) == 0).collect()
}

/// What a large batch of a profile should have reached and has not.
pub fn missing(reached: &Counts, profile: Profile, rot: Rot) -> Vec<&'static str> {
    let expected = |name: &&str| {
        let elsewhere = LEANS.iter().any(|(of, leans, _)| of == name && *leans != profile);
        let never = NEVER.iter().any(|(of, _)| of == name);
        !elsewhere && !never && (rot == Rot::On || !OF_ROT.contains(name))
    };
    unreached(reached).into_iter().filter(expected).collect()
}

#[cfg(test)]
mod tests {
    use highwater_core::shard::{Event, Mark};

    use super::{LEANS, NEVER, OF_ROT, all, missing, name, unreached};
    use crate::params::{Profile, Rot};
    use crate::report::Counts;

    #[test]
    fn marks_count_under_their_own_names() {
        assert_eq!(name(&Event::Marked(Mark::ReadAgain)), "ReadAgain");
        assert_eq!(name(&Event::StorageFull), "StorageFull");
        let leans = LEANS.iter().map(|(name, ..)| name);
        let mut named = OF_ROT.iter().chain(NEVER.iter().map(|(name, _)| name)).chain(leans);
        assert!(named.all(|name| all().any(|known| known == *name)));
    }

    #[test]
    fn rot_is_missed_only_where_it_is() {
        let mut reached = Counts::default();
        all().filter(|name| *name != "Rot" && *name != "ReadAgain").for_each(|name| reached.add(name));
        assert_eq!(unreached(&reached), ["Rot", "ReadAgain"]);
        let missing = |rot| missing(&reached, Profile::Smoke, rot);
        assert_eq!(missing(Rot::Off), ["ReadAgain"]);
        assert_eq!(missing(Rot::On), ["Rot", "ReadAgain"]);
    }

    #[test]
    fn mark_of_one_profile_is_missed_only_there() {
        let mut reached = Counts::default();
        all().filter(|name| *name != "Halted" && *name != "WatchRipe").for_each(|name| reached.add(name));
        assert_eq!(missing(&reached, Profile::Disk, Rot::Off), ["Halted"]);
        assert!(missing(&reached, Profile::Power, Rot::Off).is_empty());
    }
}
