//! Brokers and sets of them, in a byte each.

use std::fmt;

use crate::model::REPLICAS_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Broker(pub(super) u8);

impl Broker {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Brokers(u8);

impl Brokers {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn first(count: u8) -> Self {
        assert!(count <= REPLICAS_MAX, "a model has room for {REPLICAS_MAX} replicas");
        Self((1 << count) - 1)
    }

    pub(super) fn has(self, broker: Broker) -> bool {
        self.0 >> broker.0 & 1 == 1
    }

    pub(super) fn with(self, broker: Broker) -> Self {
        Self(self.0 | 1 << broker.0)
    }

    pub(super) fn without(self, broker: Broker) -> Self {
        Self(self.0 & !(1 << broker.0))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn within(self, other: Self) -> bool {
        self.minus(other).is_empty()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn count(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn each(self) -> impl Iterator<Item = Broker> {
        (0..REPLICAS_MAX).map(Broker).filter(move |broker| self.has(*broker))
    }
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{")?;
        for (place, broker) in self.each().enumerate() {
            write!(f, "{}{broker}", if place == 0 { "" } else { "," })?;
        }
        write!(f, "}}")
    }
}
