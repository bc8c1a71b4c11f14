//! Regular expressions over the names of topics, in RE2's syntax and in linear time. Knows no group.
//!
//! Names of topics are ASCII, so expressions are taken by bytes, and classes of Unicode are not known.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;

use regex_automata::meta;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, Look};

use crate::limits::{TOPIC_REGEX_BYTES_MAX, TOPIC_REGEX_CACHE_BYTES_MAX, TOPIC_REGEX_COMPILED_BYTES_MAX};

/// An expression that is to match whole names.
#[derive(Debug)]
pub struct TopicRegex(meta::Regex);

impl TopicRegex {
    /// Or why it is none.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > TOPIC_REGEX_BYTES_MAX {
            return Err(alloc::format!("longer than {TOPIC_REGEX_BYTES_MAX} bytes"));
        }
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(&unquoted(pattern));
        let hir = parsed.map_err(|error| reason(&error))?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(TOPIC_REGEX_COMPILED_BYTES_MAX))
            .hybrid_cache_capacity(TOPIC_REGEX_CACHE_BYTES_MAX);
        let compiled = meta::Builder::new().configure(config).build_from_hir(&whole);
        compiled.map(Self).map_err(|error| match error.size_limit() {
            Some(_) => "too large when compiled".to_string(),
            None => error.to_string(),
        })
    }

    pub fn is_match(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

/// RE2 takes what is between `\\Q` and `\\E` as it stands.
fn unquoted(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(r"\Q") {
        return Cow::Borrowed(pattern);
    }
    let (mut out, mut rest) = (String::new(), pattern);
    while let Some(at) = rest.find('\\') {
        // What is escaped is one character, of whatever length.
        let escaped = rest[at + 1..].chars().next().map_or(0, char::len_utf8);
        let (before, after) = rest.split_at(at + 1 + escaped);
        if before.ends_with(r"\Q") {
            out.push_str(&before[..at]);
            let (quoted, left) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex_syntax::escape(quoted));
            rest = left;
        } else {
            out.push_str(before);
            rest = after;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The kind of the error alone: in full it repeats the expression over several lines.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "it cannot be read".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::TopicRegex;
    use crate::limits::TOPIC_REGEX_BYTES_MAX;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicRegex::parse(pattern).unwrap().is_match(topic)
    }

    #[test]
    fn regex_matches_whole_names() {
        assert!(matches("foo", "foo") && !matches("foo", "foobar") && !matches("foo", "afoo"));
        assert!(matches("foo|foobar", "foobar"), "an alternative does not end the match early");
        assert!(matches("foo.*", "foo") && matches("foo.*", "foo-1.x_"));
        assert!(matches("(?i)FOO[0-9]{2}", "foo42") && !matches("foo[0-9]{2}", "foo421"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"), "anchors hold both alternatives");
        assert!(matches(r"\w+\.\d+", "orders.7") && matches("[[:alpha:]]+", "orders"));
        assert!(matches("", "") && !matches("", "a"));
    }

    #[test]
    fn regex_takes_quoted_text_as_it_stands() {
        assert!(matches(r"\Qa.b\E", "a.b") && !matches(r"\Qa.b\E", "axb"));
        assert!(matches(r"\Qa.b\E.*", "a.b-c") && matches(r"x\.\Q.", "x.."), "the end closes it too");
        assert!(matches(r"(?:\Qa.\E)+\d", "a.a.7") && matches(r"[\Q.-\E]+", "-."));
        assert!(TopicRegex::parse(r"\\Q(").is_err(), "a backslash, a letter and an open group");
        assert!(TopicRegex::parse("\\Q\\E\\").is_err() && TopicRegex::parse("\\Q\\Eé\\é").is_err());
    }

    #[test]
    fn regex_says_why_it_is_none() {
        for (pattern, why) in [
            ("[", "unclosed character class"),
            ("a)(b", "unopened group"),
            ("*", "repetition operator missing expression"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around, including look-ahead and look-behind, is not supported"),
            ("((a{1000}){1000}){1000}", "too large when compiled"),
        ] {
            assert_eq!(TopicRegex::parse(pattern).unwrap_err(), why, "{pattern}");
        }
        let long = "a".repeat(TOPIC_REGEX_BYTES_MAX + 1);
        assert!(TopicRegex::parse(&long).unwrap_err().starts_with("longer than"));
        let deep = "(".repeat(TOPIC_REGEX_BYTES_MAX / 2) + &")".repeat(TOPIC_REGEX_BYTES_MAX / 2);
        assert!(TopicRegex::parse(&deep).unwrap_err().contains("nest"));
    }

    #[test]
    fn regex_is_linear_where_others_explode() {
        let topic = "a".repeat(249);
        assert!(
            !matches("(a*)*b", &topic)
                && !matches("(a|aa)+b", &topic)
                && matches("(a?){100}a{100}.*", &topic)
        );
    }
}
