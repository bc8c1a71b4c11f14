//! The APIs: their keys, names, versions and listeners. The table is generated; this is its shape.

mod table;

pub use table::ApiKey;

/// What the schema says of an API as a whole.
struct Facts {
    name: &'static str,
    versions: (i16, i16),
    /// The last version that a broker offers unasked; later ones are still being worked on by Kafka.
    stable: i16,
    flexible_from: Option<i16>,
    on_broker: bool,
    on_controller: bool,
}

macro_rules! api_keys {
    ($($variant:ident = $code:literal $facts:tt,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($variant = $code,)*
        }

        impl ApiKey {
            /// Every key, ascending.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(super) const fn facts(self) -> &'static super::Facts {
                match self {
                    $(Self::$variant => &super::Facts $facts,)*
                }
            }
        }
    };
}

use api_keys;
use core::ops::RangeInclusive;

impl ApiKey {
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, like `OffsetForLeaderEpoch`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Every version that we can encode and decode.
    pub const fn versions(self) -> RangeInclusive<i16> {
        let (first, last) = self.facts().versions;
        first..=last
    }

    /// The versions that Kafka declares stable.
    pub const fn stable_versions(self) -> RangeInclusive<i16> {
        self.facts().versions.0..=self.facts().stable
    }

    /// The first version with compact lengths and tagged fields.
    pub const fn flexible_from(self) -> Option<i16> {
        self.facts().flexible_from
    }

    /// Whether brokers answer it.
    pub const fn on_broker(self) -> bool {
        self.facts().on_broker
    }

    /// Whether controllers answer it, on their own listener.
    pub const fn on_controller(self) -> bool {
        self.facts().on_controller
    }
}
