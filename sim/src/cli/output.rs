//! What a command prints, in each of its formats. Must not know what the command does.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Instant;

use clap::ValueEnum;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line, for each case.
    Json,
    /// Annotations of GitHub's workflows.
    Github,
    /// JUnit's XML, when all is over.
    Junit,
}

/// One thing that went well or did not: a seed, a mutant, a cut.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// The class of the failure and its story.
    pub(super) failure: Option<(String, String)>,
    pub(super) seconds: f64,
    /// For people; may be empty.
    pub(super) text: String,
    pub(super) json: Value,
}

/// Prints cases as they come, and what they came to.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) format: Format,
    /// The name of the command.
    suite: &'static str,
    cases: Vec<Case>,
    drawn: Option<Instant>,
}

/// How often the line of progress is drawn.
const PROGRESS_MILLIS: u128 = 200;

impl Output {
    pub(super) fn new(format: Format, suite: &'static str) -> Self {
        Self { format, suite, cases: Vec::new(), drawn: None }
    }

    pub(super) fn case(&mut self, case: Case) {
        self.clear_progress();
        match self.format {
            Format::Text if case.text.is_empty() => {}
            Format::Text => line(&case.text),
            Format::Json => line(&case.json.to_string()),
            Format::Github => {
                if let Some((class, story)) = &case.failure {
                    let title = github(&format!("{} {}: {class}", self.suite, case.name), Place::Property);
                    line(&format!("::error title={title}::{}", github(story, Place::Message)));
                }
            }
            Format::Junit => self.cases.push(case),
        }
    }

    /// Something for people that is no case.
    pub(super) fn say(&mut self, text: &str) {
        self.clear_progress();
        if matches!(self.format, Format::Text | Format::Github) {
            line(text);
        }
    }

    /// Draws the line of progress if there is a terminal to draw it on.
    pub(super) fn progress(&mut self, text: impl FnOnce() -> String) {
        let soon = self.drawn.is_some_and(|drawn| drawn.elapsed().as_millis() < PROGRESS_MILLIS);
        if self.format == Format::Text && !soon && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{}", text());
            self.drawn = Some(Instant::now());
        }
    }

    fn clear_progress(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }

    pub(super) fn end(mut self) {
        self.clear_progress();
        if self.format == Format::Junit {
            line(junit(self.suite, &self.cases).trim_end());
        }
    }
}

/// Prints a line; a reader that has seen enough ends the program quietly.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    Property,
}

fn github(text: &str, place: Place) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    match place {
        Place::Message => text,
        Place::Property => text.replace(':', "%3A").replace(',', "%2C"),
    }
}

fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(letter),
            // No other control character may stand in XML at all.
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

fn junit(suite: &str, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let (tests, suite) = (cases.len(), format!("highwater-sim {suite}"));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
         <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">\n"
    );
    for case in cases {
        let head = format!(
            "    <testcase classname=\"{suite}\" name=\"{}\" time=\"{:.3}\"",
            xml(&case.name),
            case.seconds
        );
        let written = match &case.failure {
            None => writeln!(text, "{head}/>"),
            Some((class, story)) => writeln!(
                text,
                "{head}>\n      <failure type=\"{0}\" message=\"{0}\">{1}</failure>\n    </testcase>",
                xml(class),
                xml(story)
            ),
        };
        written.expect("a string takes all");
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Case, Place, github, junit};

    fn case(failure: Option<(&str, &str)>) -> Case {
        Case {
            name: "7@c@smoke".to_owned(),
            failure: failure.map(|(class, story)| (class.to_owned(), story.to_owned())),
            seconds: 0.25,
            text: String::new(),
            json: Value::Null,
        }
    }

    #[test]
    fn junit_escapes_and_counts() {
        let text = junit("run", &[case(None), case(Some(("wire", "a < b & \"c\"\n\u{1b}")))]);
        assert!(text.contains("tests=\"2\" failures=\"1\" time=\"0.500\""), "{text}");
        assert!(text.contains(">a &lt; b &amp; &quot;c&quot;\n\u{fffd}</failure>"), "{text}");
    }

    #[test]
    fn github_keeps_one_line() {
        assert_eq!(github("50 %\nx: y, z", Place::Property), "50 %25%0Ax%3A y%2C z");
        assert_eq!(github("a: b", Place::Message), "a: b");
    }
}
