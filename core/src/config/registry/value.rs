//! Judging values: by type, then by range.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use super::{Definition, Kind, Valid};
use crate::limits::CONFIG_VALUE_BYTES_MAX;

/// Whether `definition` allows `value`.
pub fn check(definition: &Definition, value: &str) -> bool {
    if value.len() > CONFIG_VALUE_BYTES_MAX {
        return false;
    }
    let value = value.trim();
    let of_kind = match definition.kind {
        Kind::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
        Kind::Short => value.parse::<i16>().is_ok(),
        Kind::Int => value.parse::<i32>().is_ok(),
        Kind::Long => value.parse::<i64>().is_ok(),
        Kind::Double => value.parse::<f64>().is_ok_and(|number| !number.is_nan()),
        Kind::String | Kind::List | Kind::Class | Kind::Password => true,
    };
    of_kind && in_range(definition.valid, value)
}

fn in_range(valid: Valid, value: &str) -> bool {
    let whole = |holds: &dyn Fn(i64) -> bool| value.parse().is_ok_and(holds);
    match valid {
        Valid::Any => true,
        Valid::AtLeast(min) => whole(&|number| number >= min),
        Valid::Within(min, max) => whole(&|number| (min..=max).contains(&number)),
        Valid::OffOrWithin(min, max) => whole(&|number| number == -1 || (min..=max).contains(&number)),
        Valid::Ratio => is_ratio(value),
        Valid::OneOf(values) => values.contains(&value),
        Valid::Among(values) => {
            let mut seen = BTreeSet::new();
            parse_list(value).all(|element| values.contains(&element) && seen.insert(element))
        }
        Valid::Patterns(names) => parse_list(value).all(|element| {
            element
                .split_once('=')
                .is_some_and(|(name, pattern)| names.contains(&name) && !pattern.is_empty())
        }),
    }
}

/// Whether this is a decimal number in 0..=1, found without floating point.
fn is_ratio(value: &str) -> bool {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return false;
    }
    match whole.trim_start_matches('0') {
        "" => true,
        "1" => part.bytes().all(|byte| byte == b'0'),
        _ => false,
    }
}

/// The elements of a list; an empty text has none.
pub fn parse_list(value: &str) -> impl Iterator<Item = &str> {
    let whole = value.trim();
    whole.split(',').map(str::trim).filter(move |_| !whole.is_empty())
}

impl Definition {
    /// What a value must be, as the end of a sentence that begins with "must be".
    pub fn must_be(&self) -> String {
        let or = |values: &[&str]| values.join(", ");
        match self.valid {
            Valid::AtLeast(min) => format!("a whole number of at least {min}"),
            Valid::Within(min, max) => format!("a whole number from {min} to {max}"),
            Valid::OffOrWithin(min, max) => format!("-1 or a whole number from {min} to {max}"),
            Valid::Ratio => "a decimal number from 0 to 1".to_string(),
            Valid::OneOf([value]) => (*value).to_string(),
            Valid::OneOf(values) => format!("one of {}", or(values)),
            Valid::Among(values) => format!("a list of some of {}, each once, or empty", or(values)),
            Valid::Patterns(names) => format!("a list of NAME=PATTERN, with names out of {}", or(names)),
            Valid::Any => self.kind.must_be().to_string(),
        }
    }
}

impl Kind {
    fn must_be(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Short => "a whole number from -32768 to 32767",
            Self::Int => "a whole number from -2147483648 to 2147483647",
            Self::Long => "a whole number of 64 bits",
            Self::Double => "a decimal number",
            Self::List => "a list with commas between its elements, shorter than 32768 bytes",
            Self::String | Self::Class | Self::Password => "a text shorter than 32768 bytes",
        }
    }

    /// Kafka's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }
}
