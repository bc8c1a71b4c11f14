//! Times as users write and read them. Without an offset a time is UTC.

use std::time::SystemTime;

use highwater_core::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, SpanRelativeTo};

const EXPECTED: &str =
    "expected a time such as \"10m ago\", 2026-01-31T12:00:00Z, 2026-01-31, @MILLISECONDS or now";

/// Reads a time; relative ones count from now.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now())
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis());
    Timestamp(i64::try_from(since).unwrap_or(i64::MAX))
}

fn parse_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let time = if text == "now" {
        Some(now.0)
    } else if let Some(milliseconds) = text.strip_prefix('@') {
        milliseconds.parse().ok()
    } else if text.ends_with("ago") {
        before(text, now)
    } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
        Some(time.as_millisecond())
    } else {
        let civil = text.parse::<DateTime>().ok();
        let civil = civil.or_else(|| text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0)));
        civil.and_then(|civil| Offset::UTC.to_timestamp(civil).ok()).map(jiff::Timestamp::as_millisecond)
    };
    match time {
        Some(time) if time >= 0 => Ok(Timestamp(time)),
        Some(_) => Err("no record is from before 1970".into()),
        None => Err(EXPECTED.into()),
    }
}

/// Days and weeks are of 24 hours; months and years have no fixed length and are refused.
fn before(text: &str, now: Timestamp) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let back = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    now.0.checked_add(i64::try_from(back.as_millis()).ok()?)
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn show(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(shown) => format!("{shown:.3}"),
        // Producers may write any number; this one is beyond the calendar.
        Err(_) => format!("@{}", time.0),
    }
}

/// A length of time in its two largest units.
pub(crate) fn show_length(milliseconds: u64) -> String {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let Some(largest) = UNITS.iter().position(|(_, unit)| milliseconds >= *unit) else { return "0 s".into() };
    let mut rest = milliseconds;
    let mut words = Vec::new();
    for (name, unit) in UNITS.iter().skip(largest).take(2) {
        if rest >= *unit {
            words.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{parse_at, show, show_length};
    use highwater_core::time::Timestamp;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, time) in [
            ("now", NOW.0),
            ("@7", 7),
            ("10m ago", NOW.0 - 600_000),
            ("1h 30m ago", NOW.0 - 5_400_000),
            ("1 day ago", NOW.0 - 86_400_000),
            ("2w ago", NOW.0 - 14 * 86_400_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500),
            ("2023-11-14 22:13:20", 1_700_000_000_000),
            ("2023-11-14T22:13", 1_699_999_980_000),
            ("2023-11-14", 1_699_920_000_000),
        ] {
            assert_eq!(parse_at(text, NOW), Ok(Timestamp(time)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "ago",
            "10m",
            "10 ago",
            "1 month ago",
            "yesterday",
            "@",
            "@x",
            "2023-13-01",
            "1969-01-01",
            "99999999999h ago",
        ] {
            assert!(parse_at(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_lengths_are_shown() {
        assert_eq!(show(Timestamp(1_700_000_000_007)), "2023-11-14T22:13:20.007Z");
        assert_eq!(show(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(show(Timestamp(i64::MAX)), format!("@{}", i64::MAX));
        assert_eq!(show_length(0), "0 s");
        assert_eq!(show_length(604_800_000), "7 d");
        assert_eq!(show_length(90_061_001), "1 d 1 h");
        assert_eq!(show_length(61_001), "1 m 1 s");
        assert_eq!(show_length(5), "5 ms");
    }
}
