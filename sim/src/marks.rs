//! Coverage: the kinds of events and the marks that a batch of runs reached, and those that it should have reached. Must not know
//! how a run reaches them.

use highwater_core::shard::{Event, Mark};

use crate::params::Rot;
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
const OF_ROT: [&str; 4] = ["Rot", "Faulty", "CheckpointLost", "SuperblockRepaired"];

/// What no run is expected to reach: nothing in the core tells of it.
const NEVER: [&str; 2] = ["TopicCreated", "TopicDeleted"];

/// What no run of a batch reached.
pub fn unreached(reached: &Counts) -> Vec<&'static str> {
    all().filter(|name| reached.of(name) == 0).collect()
}

/// What a large batch should have reached and has not.
pub fn missing(reached: &Counts, rot: Rot) -> Vec<&'static str> {
    let expected = |name: &&str| !NEVER.contains(name) && (rot == Rot::On || !OF_ROT.contains(name));
    unreached(reached).into_iter().filter(expected).collect()
}

#[cfg(test)]
mod tests {
    use highwater_core::shard::{Event, Mark};

    use super::{NEVER, OF_ROT, all, missing, name, unreached};
    use crate::params::Rot;
    use crate::report::Counts;

    #[test]
    fn marks_count_under_their_own_names() {
        assert_eq!(name(&Event::Marked(Mark::ReadAgain)), "ReadAgain");
        assert_eq!(name(&Event::StorageFull), "StorageFull");
        assert!(OF_ROT.iter().chain(&NEVER).all(|name| all().any(|known| known == *name)));
    }

    #[test]
    fn rot_is_missed_only_where_it_is() {
        let mut reached = Counts::default();
        all().filter(|name| *name != "Rot" && *name != "ReadAgain").for_each(|name| reached.add(name));
        assert_eq!(unreached(&reached), ["Rot", "ReadAgain"]);
        assert_eq!(missing(&reached, Rot::Off), ["ReadAgain"]);
        assert_eq!(missing(&reached, Rot::On), ["Rot", "ReadAgain"]);
    }
}
