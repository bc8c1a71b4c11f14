//! A run as data: its seed, its options, its faults one by one, and what is left out of it. Drawn from a seed, written to a
//! file, edited, read again, shrunk. Must not know how a run works.

mod text;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Planned;
use crate::params::{Options, Params};
use crate::seed::{COMMIT, SeedString};
pub(crate) use text::millis;

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(with = "text::seed")]
    pub seed: u64,
    /// The build that drew it: another one may draw other clients, topics and speeds from the same seed.
    pub commit: String,
    /// How many requests clients may send before they only finish what is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations_max: Option<u64>,
    /// Clients that never wake up, by their number in the draw.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without_clients: BTreeSet<usize>,
    /// Steps after which the run has failed to end, where that is less than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_max: Option<u64>,
    /// The invariant that the planted bug of this plan breaks, where the plan is to show that it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks: Option<String>,
    pub options: Options,
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Planned>,
}

impl Plan {
    pub fn draw(seed: u64, options: Options) -> Self {
        Self {
            seed,
            commit: COMMIT.to_owned(),
            operations_max: None,
            without_clients: BTreeSet::new(),
            steps_max: None,
            breaks: None,
            options,
            faults: Params::draw(seed, options).faults,
        }
    }

    /// All that the world needs, with what this plan leaves out or changes.
    pub fn params(&self) -> Params {
        let drawn = Params::draw(self.seed, self.options);
        // The reader at the end comes after all clients of the draw and is no matter of the plan.
        let without_clients =
            self.without_clients.iter().copied().filter(|&client| client < drawn.clients.len()).collect();
        let operations_max = self.operations_max;
        let steps_max = self.steps_max.unwrap_or(drawn.steps_max);
        Params { operations_max, without_clients, steps_max, faults: self.faults.clone(), ..drawn }
    }

    /// Whether the seed and the options alone say it all.
    pub fn is_as_drawn(&self) -> bool {
        *self == Self { commit: self.commit.clone(), ..Self::draw(self.seed, self.options) }
    }

    pub fn seed_string(&self) -> SeedString {
        SeedString { seed: self.seed, commit: Some(self.commit.clone()), profile: Some(self.options.profile) }
    }

    /// What to tell whoever runs a plan of another build.
    pub fn warning(&self) -> Option<String> {
        (self.commit != COMMIT).then(|| {
            format!(
                "this plan was drawn by build {} and this is build {COMMIT}: the faults are the plan's, but clients, topics \
                 and speeds may be drawn otherwise",
                self.commit
            )
        })
    }
}

/// Why a text is not a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAPlan(pub String);

impl fmt::Display for NotAPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAPlan {}
