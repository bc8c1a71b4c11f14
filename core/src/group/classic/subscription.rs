//! What a consumer says of itself when it joins: as much of it as a broker has to know. Versions add fields behind those that are
//! read here.

use alloc::vec::Vec;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.int16()?).ok()?;
        core::str::from_utf8(self.bytes(length)?).ok()
    }
}

/// The topics of a subscription; `None` if it is none.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut reader = Reader(metadata);
    if reader.int16()? < 0 {
        return None;
    }
    let count = usize::try_from(reader.int32()?).ok()?;
    // Two bytes are the shortest topic: no claim of a count takes more memory than the bytes behind it.
    if count > reader.0.len() / 2 {
        return None;
    }
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        topics.push(reader.string()?);
    }
    match usize::try_from(reader.int32()?) {
        Ok(length) => reader.bytes(length).map(|_| topics),
        Err(_) => Some(topics),
    }
}

#[cfg(test)]
pub(super) fn encode(version: i16, topics: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(version.to_be_bytes());
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    if version > 0 {
        bytes.extend(0_i32.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{encode, topics};

    #[test]
    fn topics_are_read_of_every_version() {
        for version in 0..4 {
            assert_eq!(topics(&encode(version, &["a", "", "topic"])), Some(vec!["a", "", "topic"]));
        }
        assert_eq!(topics(&encode(0, &[])), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_subscription_is_refused() {
        let whole = encode(0, &["a", "topic"]);
        for length in 0..whole.len() {
            assert_eq!(topics(&whole[..length]), None, "cut at {length}");
        }
        assert_eq!(topics(&encode(-1, &["a"])), None);
        assert_eq!(topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0]), None, "a count without its topics");
        assert_eq!(topics(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), None, "a null array");
        assert_eq!(topics(&[0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff]), None, "not UTF-8");
    }
}
