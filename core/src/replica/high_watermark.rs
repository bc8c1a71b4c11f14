//! The high watermark: the end of what is committed. Never goes back.

use crate::id::Offset;
use crate::replica::isr::Isr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HighWatermark(Offset);

impl HighWatermark {
    pub(super) const fn new(offset: Offset) -> Self {
        Self(offset)
    }

    pub(super) const fn offset(self) -> Offset {
        self.0
    }

    /// Moves up to what every in-sync replica has on disk, if there are enough of them (R2). Gives where it moved to.
    pub(super) fn advance(&mut self, isr: &Isr) -> Option<Offset> {
        let durable_end = isr.durable_end().filter(|_| isr.is_enough())?;
        if durable_end <= self.0 {
            return None;
        }
        self.0 = durable_end;
        Some(durable_end)
    }
}
