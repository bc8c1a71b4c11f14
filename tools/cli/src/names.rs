//! Which topics are meant: names as they are, patterns as what the broker has that matches.

use highwater_core::client::TopicDescription;
use regex::Regex;

use crate::args::TopicsArgs;
use crate::drive::Drive;
use crate::failure::{Exit, Failure};

/// What stands for topics on a command line.
#[derive(Debug)]
pub(crate) enum Selection {
    Names(Vec<String>),
    Patterns(Vec<Name>),
}

#[derive(Debug)]
pub(crate) enum Name {
    Exact(String),
    Pattern { text: String, regex: Regex },
}

impl Selection {
    pub(crate) fn new(topics: &[String], all_regex: bool) -> Result<Self, Failure> {
        let pattern = |topic: &'_ String| -> Option<String> {
            let inner = topic.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            inner.map(str::to_owned).or_else(|| all_regex.then(|| topic.clone()))
        };
        if topics.iter().all(|topic| pattern(topic).is_none()) {
            return Ok(Self::Names(topics.to_vec()));
        }
        let names = topics.iter().map(|topic| match pattern(topic) {
            None => Ok(Name::Exact(topic.clone())),
            Some(text) => match Regex::new(&format!("^(?:{text})$")) {
                Ok(regex) => Ok(Name::Pattern { text, regex }),
                Err(error) => Err(no_regex(&text, &error)),
            },
        });
        Ok(Self::Patterns(names.collect::<Result<_, _>>()?))
    }

    /// The names meant, of those that there are, sorted. Exact ones are taken whether there are such topics or not.
    pub(crate) fn among(&self, existing: &[TopicDescription]) -> Result<Vec<String>, Failure> {
        let names = match self {
            Self::Names(names) => return Ok(names.clone()),
            Self::Patterns(names) => names,
        };
        let mut chosen = Vec::new();
        for name in names {
            match name {
                Name::Exact(name) => chosen.push(name.clone()),
                Name::Pattern { text, regex } => {
                    let matching =
                        existing.iter().filter(|topic| !topic.internal && regex.is_match(&topic.name));
                    let before = chosen.len();
                    chosen.extend(matching.map(|topic| topic.name.clone()));
                    if chosen.len() == before {
                        return Err(no_match(text));
                    }
                }
            }
        }
        chosen.sort();
        chosen.dedup();
        Ok(chosen)
    }

    pub(crate) fn is_pattern(&self) -> bool {
        match self {
            Self::Names(_) => false,
            Self::Patterns(_) => true,
        }
    }
}

impl Drive {
    /// The names of the topics that are meant.
    pub(crate) fn topic_names(&mut self, args: &TopicsArgs) -> Result<Vec<String>, Failure> {
        let selection = Selection::new(&args.topics, args.regex)?;
        let existing = if selection.is_pattern() { self.list_topics()? } else { Vec::new() };
        selection.among(&existing)
    }
}

fn no_regex(text: &str, error: &regex::Error) -> Failure {
    Failure {
        exit: Exit::Usage,
        what: "this is no regular expression".into(),
        place: format!("/{text}/"),
        why: error
            .to_string()
            .lines()
            .last()
            .unwrap_or("it cannot be read")
            .trim_start_matches("error: ")
            .into(),
        fix: "mend it, or leave the slashes out for a plain name".into(),
    }
}

fn no_match(text: &str) -> Failure {
    Failure {
        exit: Exit::Failed,
        what: "no topic matches".into(),
        place: format!("/{text}/"),
        why: "a pattern must match a whole name, and internal topics are left out".into(),
        fix: "see what there is with `highwater topic list`; /.*text.*/ matches text anywhere".into(),
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::client::TopicDescription;
    use highwater_core::id::TopicId;

    use super::Selection;

    fn chosen(topics: &[&str], all_regex: bool) -> Result<Vec<String>, String> {
        let existing = ["orders", "orders-eu", "users", "__internal"].map(|name| TopicDescription {
            name: name.into(),
            id: TopicId::default(),
            internal: name.starts_with("__"),
            error: None,
            partitions: Vec::new(),
        });
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let selection = Selection::new(&topics, all_regex).map_err(|failure| failure.why)?;
        selection.among(&existing).map_err(|failure| failure.what)
    }

    #[test]
    fn patterns_match_whole_names_and_nothing_internal() {
        assert_eq!(chosen(&["/orders/"], false).unwrap(), ["orders"]);
        assert_eq!(chosen(&["/orders|users/"], false).unwrap(), ["orders", "users"]);
        assert_eq!(chosen(&["/.*/", "new"], false).unwrap(), ["new", "orders", "orders-eu", "users"]);
        assert_eq!(chosen(&["orders.*"], true).unwrap(), ["orders", "orders-eu"]);
        assert_eq!(chosen(&["orders.*", "x"], false).unwrap(), ["orders.*", "x"]);
    }

    #[test]
    fn what_matches_nothing_or_cannot_be_read_is_said() {
        assert_eq!(chosen(&["/order/"], false).unwrap_err(), "no topic matches");
        assert_eq!(chosen(&["/a(/"], false).unwrap_err(), "unclosed group");
    }
}
