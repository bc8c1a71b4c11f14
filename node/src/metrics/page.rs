//! Prometheus' text format, version 0.0.4: families, their samples, escaping. Knows no metric.

use std::fmt::{self, Write};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric: its samples differ in the values of its labels.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// Samples of one histogram, added up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// The upper bound of each bucket in base units, and the count of that bucket alone.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// Those above the last bound.
    pub(crate) beyond: u64,
    pub(crate) sum: f64,
}

/// A page in the making.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Begins a family; all its samples follow at once.
    pub(crate) fn family<'p>(&'p mut self, family: &'static Family) -> Samples<'p> {
        let Family { name, kind, help, .. } = family;
        self.put(format_args!("# HELP {name} {}\n# TYPE {name} {}\n", Escaped::help(help), kind.name()));
        Samples { page: self, family }
    }

    /// A family of one sample without labels.
    pub(crate) fn single(&mut self, family: &'static Family, value: impl fmt::Display) {
        self.family(family).add(&[], value);
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a String takes any text");
    }
}

/// The samples of one family.
#[derive(Debug)]
pub(crate) struct Samples<'p> {
    page: &'p mut Page,
    family: &'static Family,
}

impl Samples<'_> {
    /// One sample; `labels` are the values of the family's labels, in their order.
    pub(crate) fn add(&mut self, labels: &[&str], value: impl fmt::Display) {
        self.sample("", labels, None, value);
    }

    pub(crate) fn add_distribution(&mut self, labels: &[&str], found: &Distribution) {
        let mut count = 0;
        for (bound, in_bucket) in &found.buckets {
            count += in_bucket;
            self.sample("_bucket", labels, Some(&bound.to_string()), count);
        }
        count += found.beyond;
        self.sample("_bucket", labels, Some("+Inf"), count);
        self.sample("_sum", labels, None, found.sum);
        self.sample("_count", labels, None, count);
    }

    fn sample(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl fmt::Display) {
        assert_eq!(labels.len(), self.family.labels.len(), "{} has other labels", self.family.name);
        self.page.put(format_args!("{}{suffix}", self.family.name));
        let named = self.family.labels.iter().copied().zip(labels.iter().copied());
        let mut separator = '{';
        for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
            self.page.put(format_args!("{separator}{name}=\"{}\"", Escaped::label(value)));
            separator = ',';
        }
        self.page.put(format_args!("{} {value}\n", if separator == ',' { "}" } else { "" }));
    }
}

/// Text with what would end it escaped.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl<'a> Escaped<'a> {
    fn help(text: &'a str) -> Self {
        Self { text, quotes: false }
    }

    fn label(text: &'a str) -> Self {
        Self { text, quotes: true }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.text.split_inclusive(['\\', '\n', '"']) {
            let (before, last) = part.split_at(part.len() - usize::from(part.ends_with(['\\', '\n', '"'])));
            f.write_str(before)?;
            f.write_str(match last {
                "\\" => "\\\\",
                "\n" => "\\n",
                "\"" if self.quotes => "\\\"",
                other => other,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: Family = Family { name: "a_total", kind: Kind::Counter, labels: &[], help: "a \"b\"\\\nc" };
    static LABELLED: Family = Family { name: "b", kind: Kind::Gauge, labels: &["x", "y"], help: "b" };
    static SPREAD: Family = Family { name: "c_seconds", kind: Kind::Histogram, labels: &["x"], help: "c" };

    #[test]
    fn page_is_escaped_as_the_format_says() {
        let mut page = Page::default();
        page.single(&PLAIN, 7);
        let mut samples = page.family(&LABELLED);
        samples.add(&["é\\\"\n{}", ""], 0.25);
        samples.add(&["1", "2"], -1);
        let expected = "# HELP a_total a \"b\"\\\\\\nc\n# TYPE a_total counter\na_total 7\n\
            # HELP b b\n# TYPE b gauge\nb{x=\"é\\\\\\\"\\n{}\",y=\"\"} 0.25\nb{x=\"1\",y=\"2\"} -1\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn buckets_add_up() {
        let mut page = Page::default();
        let found = Distribution { buckets: vec![(0.5, 2), (1.0, 0), (2.5, 3)], beyond: 1, sum: 12.75 };
        page.family(&SPREAD).add_distribution(&["z"], &found);
        let text = page.finish();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            "c_seconds_bucket{x=\"z\",le=\"0.5\"} 2",
            "c_seconds_bucket{x=\"z\",le=\"1\"} 2",
            "c_seconds_bucket{x=\"z\",le=\"2.5\"} 5",
            "c_seconds_bucket{x=\"z\",le=\"+Inf\"} 6",
            "c_seconds_sum{x=\"z\"} 12.75",
            "c_seconds_count{x=\"z\"} 6",
        ];
        assert_eq!(lines, expected);
    }
}
