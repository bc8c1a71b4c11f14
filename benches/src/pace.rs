//! When requests are meant to be sent. Knows nothing of whether they can be.

/// An even schedule, fixed before the first request: what is late does not move what comes after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    start_nanos: u64,
    /// Requests per second.
    rate: f64,
    sent: u64,
}

impl Pace {
    /// The share of one of `sources` sources in `rate` requests per second; they take turns.
    pub(crate) fn shared(start_nanos: u64, rate: f64, source: usize, sources: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sources are few")]
        let (source, sources) = (source as f64, sources as f64);
        let turn = source / rate * 1e9;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a second")]
        let turn_nanos = turn as u64;
        Self { start_nanos: start_nanos + turn_nanos, rate: rate / sources, sent: 0 }
    }

    /// When the next request is meant to be sent.
    pub(crate) fn due_nanos(&self) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "a run has fewer requests than 2^52")]
        let after = self.sent as f64 / self.rate * 1e9;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the run")]
        let after_nanos = after as u64;
        self.start_nanos + after_nanos
    }

    pub(crate) fn advance(&mut self) {
        self.sent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_take_turns_and_do_not_drift() {
        let mut one = Pace::shared(1_000, 3_000.0, 0, 3);
        let mut last = Pace::shared(1_000, 3_000.0, 2, 3);
        assert_eq!((one.due_nanos(), last.due_nanos()), (1_000, 667_666));
        for _ in 0..1_000_000 {
            one.advance();
            last.advance();
        }
        assert_eq!(one.due_nanos(), 1_000 + 1_000 * 1_000_000_000);
        assert_eq!(last.due_nanos() - one.due_nanos(), 666_666);
    }
}
