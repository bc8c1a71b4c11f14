//! Random walks, for bounds that are too large to exhaust. Each walk draws how likely each kind of action is, and some kinds
//! not at all, so that walks differ in what they dwell on; uniform ones hardly ever reach what is rare.

use highwater_core::prng::Prng;

use super::action::Action;
use super::state::State;
use super::{Model, Story, words};

#[derive(Debug, Clone, Copy)]
pub struct Walks {
    pub count: u64,
    /// The length of a walk at most.
    pub steps: u64,
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    pub walks: u64,
    pub steps: u64,
    /// The first walk that broke an invariant, without the steps it did not need.
    pub story: Option<Story>,
}

pub fn walk(model: &Model, walks: Walks) -> Walked {
    let actions = Action::all(&model.bounds);
    let mut walked = Walked { walks: 0, steps: 0, story: None };
    for number in 0..walks.count {
        let mut prng = Prng::keyed(walks.seed, number);
        let way = one(model, &actions, &mut prng, walks.steps);
        walked.walks += 1;
        walked.steps += way.taken;
        if let Some(way) = way.broken {
            walked.story = Some(tell(model, shortened(model, way)));
            break;
        }
    }
    walked
}

struct Way {
    taken: u64,
    broken: Option<Vec<Action>>,
}

/// Draws that may come to nothing before a walk is given up.
const MISSES_MAX: u32 = 400;

fn one(model: &Model, actions: &[Action], prng: &mut Prng, steps: u64) -> Way {
    let urn = urn(actions, prng);
    let mut state = State::first(&model.bounds);
    let mut way = Vec::new();
    let (mut taken, mut misses) = (0, 0);
    while taken < steps && misses < MISSES_MAX {
        let at = prng.below(u64::try_from(urn.len()).expect("an urn is small"));
        let action = urn[usize::try_from(at).expect("an urn is small")];
        let Some(step) = model.step(&state, action) else {
            misses += 1;
            continue;
        };
        way.push(action);
        state = step.state;
        (taken, misses) = (taken + 1, 0);
        if step.broken.or_else(|| model.broken(&step.state)).is_some() {
            return Way { taken, broken: Some(way) };
        }
    }
    Way { taken, broken: None }
}

/// Each action as often as this walk favours it.
fn urn(actions: &[Action], prng: &mut Prng) -> Vec<Action> {
    let mut urn = Vec::new();
    for action in actions {
        let most = if rare(action) { 4 } else { 12 };
        let tickets = if prng.chance(100_000) { 0 } else { 1 + prng.below(most) };
        urn.extend((0..tickets).map(|_| *action));
    }
    urn
}

/// What a run may do only so often: spent at once, it would not meet anything interesting.
fn rare(action: &Action) -> bool {
    match action {
        Action::Crash { .. }
        | Action::Fence(_)
        | Action::Move(_)
        | Action::Shrink { .. }
        | Action::Repeat(_) => true,
        Action::Produce(_)
        | Action::Flush(_)
        | Action::Learn(_)
        | Action::Fetch(_)
        | Action::Report(_)
        | Action::Advance(_)
        | Action::Expand { .. }
        | Action::Retract(_)
        | Action::Deliver(_)
        | Action::Unfence(_)
        | Action::Elect(_)
        | Action::Restart(_) => false,
    }
}

/// Leaves actions out, last first, as long as an invariant still breaks.
fn shortened(model: &Model, mut way: Vec<Action>) -> Vec<Action> {
    loop {
        let before = way.len();
        for at in (0..before).rev() {
            let mut shorter = way.clone();
            if at < shorter.len() {
                shorter.remove(at);
            }
            if let Some(end) = breaks_at(model, &shorter) {
                shorter.truncate(end);
                way = shorter;
            }
        }
        if way.len() == before {
            return way;
        }
    }
}

/// How many actions of `way` it takes to break an invariant.
fn breaks_at(model: &Model, way: &[Action]) -> Option<usize> {
    let mut state = State::first(&model.bounds);
    for (count, action) in (1..).zip(way) {
        let step = model.step(&state, *action)?;
        if step.broken.or_else(|| model.broken(&step.state)).is_some() {
            return Some(count);
        }
        state = step.state;
    }
    None
}

fn tell(model: &Model, way: Vec<Action>) -> Story {
    let mut state = State::first(&model.bounds);
    let mut broken = None;
    for action in &way {
        let step = model.step(&state, *action).expect("the way was walked before");
        broken = step.broken.or_else(|| model.broken(&step.state));
        state = step.state;
    }
    Story { broken: broken.expect("the way breaks an invariant"), lines: words::lines(model, &way) }
}
