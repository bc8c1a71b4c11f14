//! The exhaustive search, breadth first, so that the first broken invariant is one of the soonest.
//!
//! Of a visited state it keeps 64 bits, which is far less than the state: two of n states share them with odds below
//! n² / 2⁶⁵, and then one of the two is not looked at. A state costs 11 to 22
//! bytes for the number, and 5 for the way back; the states of two neighbouring depths are kept whole.

use super::action::Action;
use super::invariant::Invariant;
use super::key::key;
use super::state::State;
use super::{Model, Story, words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub states: usize,
    /// Steps from the first state to the last ones.
    pub depth: usize,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// There is no other state.
    Exhausted,
    /// There are more states than were asked for.
    Capped,
    Broken(Story),
}

impl Found {
    /// The odds that two states were taken for one, at most.
    pub fn collision_odds_max(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "odds need no more than a few digits")]
        let states = self.states as f64;
        states * states / 2_f64.powi(65)
    }
}

/// Looks at all states, or at `states_max` of them.
pub fn search(model: &Model, states_max: usize) -> Found {
    let mut search = Search { model, actions: Action::all(&model.bounds), visited: Visited::default() };
    let first = State::first(&model.bounds);
    search.visited.insert(key(&model.bounds, &first), Came { from: 0, action: 0 });
    let mut level = vec![first];
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        let level_begin = search.visited.count() - level.len();
        for (state, number) in level.iter().zip(level_begin..) {
            let from = u32::try_from(number).expect("memory ends before 2³² states");
            if let Some(story) = search.follow(state, from, &mut next) {
                return search.found(depth + 1, End::Broken(story));
            }
            if search.visited.count() >= states_max {
                return search.found(depth, End::Capped);
            }
        }
        level = next;
        depth += usize::from(!level.is_empty());
    }
    search.found(depth, End::Exhausted)
}

struct Search<'a> {
    model: &'a Model,
    actions: Vec<Action>,
    visited: Visited,
}

impl Search<'_> {
    /// Takes every step from a state, and gathers the states that are new.
    fn follow(&mut self, state: &State, from: u32, next: &mut Vec<State>) -> Option<Story> {
        for (at, number) in (0..self.actions.len()).zip(0..) {
            let Some(step) = self.model.step(state, self.actions[at]) else { continue };
            let came = Came { from, action: number };
            let new = self.visited.insert(key(&self.model.bounds, &step.state), came);
            let wrong = || self.model.broken(&step.state).filter(|_| new);
            if let Some(broken) = step.broken.or_else(wrong) {
                return Some(self.tell(came, broken));
            }
            if new {
                next.push(step.state);
            }
        }
        None
    }

    fn tell(&self, last: Came, broken: Invariant) -> Story {
        let way: Vec<Action> =
            self.visited.way(last).into_iter().map(|number| self.actions[usize::from(number)]).collect();
        Story { broken, lines: words::lines(self.model, &way) }
    }

    fn found(&self, depth: usize, end: End) -> Found {
        Found { states: self.visited.count(), depth, end }
    }
}

/// How a state was reached first.
#[derive(Clone, Copy)]
struct Came {
    from: u32,
    action: u8,
}

/// The states seen so far, numbered in the order of their discovery.
#[derive(Default)]
struct Visited {
    keys: Keys,
    from: Vec<u32>,
    action: Vec<u8>,
}

impl Visited {
    fn count(&self) -> usize {
        self.from.len()
    }

    /// Whether the state is new.
    fn insert(&mut self, key: u64, came: Came) -> bool {
        let new = self.keys.insert(key);
        if new {
            self.from.push(came.from);
            self.action.push(came.action);
        }
        new
    }

    /// The numbers of the actions that lead to a state and through one more.
    fn way(&self, last: Came) -> Vec<u8> {
        let mut way = vec![last.action];
        let mut at = usize::try_from(last.from).expect("an index of memory");
        while at != 0 {
            way.push(self.action[at]);
            at = usize::try_from(self.from[at]).expect("an index of memory");
        }
        way.reverse();
        way
    }
}

/// A set of numbers that are well mixed already, each in the first free place from where it belongs. 0 is a free place.
#[derive(Default)]
struct Keys {
    places: Vec<u64>,
    count: usize,
}

impl Keys {
    /// Whether it was not there yet.
    fn insert(&mut self, key: u64) -> bool {
        if self.count * 4 >= self.places.len() * 3 {
            self.grow();
        }
        let key = key.max(1);
        let place = self.place(key);
        let new = self.places[place] == 0;
        self.places[place] = key;
        self.count += usize::from(new);
        new
    }

    /// Where the key is, or would be.
    fn place(&self, key: u64) -> usize {
        let mask = self.places.len() - 1;
        let belongs = usize::try_from(key >> 32).expect("an index of memory");
        (0..)
            .map(|step| (belongs + step) & mask)
            .find(|at| [0, key].contains(&self.places[*at]))
            .expect("never full")
    }

    fn grow(&mut self) {
        let larger = vec![0; (self.places.len() * 2).max(1 << 10)];
        for key in std::mem::replace(&mut self.places, larger).into_iter().filter(|key| *key != 0) {
            let place = self.place(key);
            self.places[place] = key;
        }
    }
}
