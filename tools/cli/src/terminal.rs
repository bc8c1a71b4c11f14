//! What depends on whether a person is looking: colours, questions, a line that tells how far it is. A pipe sees none of it.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::args::SureArgs;
use crate::ended::Ended;
use crate::failure::{Exit, Failure};
use crate::output::show_bytes;

/// Whether standard output is a terminal that likes colours (no-color.org).
pub(crate) fn colours_stdout() -> bool {
    colours(io::stdout().is_terminal())
}

/// The same of standard error.
pub fn colours_stderr() -> bool {
    colours(io::stderr().is_terminal())
}

fn colours(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What the user says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    Withheld,
}

/// Whether to do what was shown. Off a terminal there is nobody to ask, and only --yes will do.
pub(crate) fn consent(sure: SureArgs, question: &str) -> Result<Consent, Ended> {
    if sure.yes {
        return Ok(Consent::Given);
    }
    if sure.dry_run {
        return Ok(Consent::Withheld);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure {
            exit: Exit::Usage,
            what: "nothing was done".into(),
            place: "--yes".into(),
            why: "this cannot be undone, and there is no terminal to ask at".into(),
            fix: "add --yes to do it, or --dry-run to see what would be done".into(),
        }
        .into());
    }
    let mut answer = String::new();
    // A question that cannot be written or answered is not consented to.
    let asked = write!(io::stderr(), "{question} [y/N] ")
        .and_then(|()| io::stderr().flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    let yes = asked.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    Ok(if yes { Consent::Given } else { Consent::Withheld })
}

/// A line on standard error that says how far it is; none if that is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    begun: Instant,
    next: Instant,
    total: Option<u64>,
}

const PERIOD: Duration = Duration::from_millis(200);

impl Progress {
    /// `total` is the bytes there will be, where that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let begun = Instant::now();
        Self { shown: io::stderr().is_terminal(), begun, next: begun + PERIOD, total }
    }

    /// For output that goes to the same terminal, where a line of ours would be in the way.
    pub(crate) fn beside_output() -> Self {
        let mut progress = Self::new(None);
        progress.shown &= !io::stdout().is_terminal();
        progress
    }

    pub(crate) fn at(&mut self, records: u64, bytes: u64) {
        let now = Instant::now();
        if !self.shown || now < self.next {
            return;
        }
        self.next = now + PERIOD;
        let line = line(records, bytes, self.total, now - self.begun);
        // Progress that cannot be shown is no failure.
        let _ = write!(io::stderr(), "\r\u{1b}[K{line}").and_then(|()| io::stderr().flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.next > self.begun + PERIOD {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(records: u64, bytes: u64, total: Option<u64>, time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = show_bytes(bytes.saturating_mul(1000) / milliseconds);
    let told = format!("{records} records, {}, {rate}/s", show_bytes(bytes));
    let Some(total) = total.filter(|&total| total > 0) else { return told };
    const CELLS: u64 = 24;
    let filled = usize::try_from(bytes.min(total) * CELLS / total).unwrap_or(0);
    let percent = bytes.min(total) * 100 / total;
    let empty = usize::try_from(CELLS).unwrap_or(0) - filled;
    format!("[{}{}] {percent:>3} %  {told}", "#".repeat(filled), ".".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::{Consent, SureArgs, consent, line};
    use std::time::Duration;

    #[test]
    fn progress_tells_part_and_rate() {
        let second = Duration::from_secs(1);
        assert_eq!(line(3, 2048, None, second), "3 records, 2.0 KiB, 2.0 KiB/s");
        let half = line(3, 512, Some(1024), second);
        assert!(half.starts_with("[############............]  50 %  3 records"), "{half}");
        assert!(line(1, 9, Some(3), second).contains("100 %"));
    }

    #[test]
    fn yes_needs_no_terminal() {
        let sure = |yes, dry_run| SureArgs { yes, dry_run };
        assert!(matches!(consent(sure(true, false), "?"), Ok(Consent::Given)));
        assert!(matches!(consent(sure(false, true), "?"), Ok(Consent::Withheld)));
    }
}
