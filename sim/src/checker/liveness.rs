//! After the faults have ended every operation ends, and the final read of every partition succeeds, in bounded virtual time.

use super::Checker;
use crate::history::Fact;
use crate::report::Violation;

/// The world keeps the time; what it calls overdue is broken.
#[derive(Debug, Clone)]
pub(super) struct Liveness;

impl Checker for Liveness {
    fn on_fact(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Overdue { what } => Err(Violation::new("liveness", what.clone())),
            Fact::Sent(_)
            | Fact::Acked(_)
            | Fact::Unacked(_)
            | Fact::Fetched(_)
            | Fact::Told(_)
            | Fact::OutOfRange(_)
            | Fact::Damaged { .. }
            | Fact::Sought(_)
            | Fact::Member(_)
            | Fact::Listed(_)
            | Fact::RefusedInSequence { .. }
            | Fact::Trimmed(_)
            | Fact::Unreadable { .. }
            | Fact::Disk { .. }
            | Fact::Kept { .. }
            | Fact::Steward { .. }
            | Fact::Core { .. }
            | Fact::Ended { .. }
            | Fact::ReadToEnd { .. }
            | Fact::DiskReplaced { .. }
            | Fact::FinalReadBegan => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Checker, Liveness};
    use crate::history::Fact;

    #[test]
    fn overdue_is_found() {
        assert!(Liveness.on_fact(&Fact::Overdue { what: "x".into() }).is_err());
        assert!(Liveness.on_fact(&Fact::FinalReadBegan).is_ok());
    }
}
