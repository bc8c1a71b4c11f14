//! The newest log lines, in memory of bounded size. Knows nothing of what they say.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of all lines together.
const BYTES_MAX: usize = 512 * 1024;

/// Bytes of one line; what is longer is cut.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Takes each line that is logged; the oldest give way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Ring {
    /// All lines, oldest first.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().expect("no thread panics while it holds the lines");
        lines.lines.iter().map(String::as_str).collect()
    }

    fn push(&self, line: &[u8]) {
        let mut line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]).into_owned();
        if !line.ends_with('\n') {
            line.push('\n');
        }
        let mut lines = self.0.lock().expect("no thread panics while it holds the lines");
        lines.bytes += line.len();
        lines.lines.push_back(line);
        while lines.bytes > BYTES_MAX {
            let oldest = lines.lines.pop_front().expect("they have bytes");
            lines.bytes -= oldest.len();
        }
    }
}

/// One line: the formatter writes each as a whole.
#[derive(Debug)]
pub(crate) struct LineWriter(Ring);

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Ring {
    type Writer = LineWriter;

    fn make_writer(&'w self) -> LineWriter {
        LineWriter(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_lines_are_kept_within_the_bound() {
        let ring = Ring::default();
        for number in 0..20_000 {
            ring.make_writer().write_all(format!("line {number} {}\n", "é".repeat(50)).as_bytes()).unwrap();
        }
        ring.push(&[b'x'; 3 * LINE_BYTES_MAX]);
        let text = ring.text();
        assert!(text.len() <= BYTES_MAX && text.len() > BYTES_MAX - LINE_BYTES_MAX, "{}", text.len());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[lines.len() - 2].starts_with("line 19999 "));
        assert_eq!(lines[lines.len() - 1].len(), LINE_BYTES_MAX);
    }
}
