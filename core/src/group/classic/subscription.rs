//! What consumers tell each other through a group: of themselves when they join, and what the leader gives to each. Versions add
//! fields behind those that are read here, and none takes any away.

use alloc::string::String;
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

    /// A negative length is that of none.
    fn data(&mut self) -> Option<&'a [u8]> {
        match usize::try_from(self.int32()?) {
            Ok(length) => self.bytes(length),
            Err(_) => Some(&[]),
        }
    }

    /// How many follow, each of at least so many bytes: no claim of a count takes more memory than the bytes behind it.
    fn count(&mut self, bytes_min: usize) -> Option<usize> {
        let count = usize::try_from(self.int32()?).ok()?;
        (count <= self.0.len() / bytes_min).then_some(count)
    }

    fn partitions(&mut self) -> Option<Partitions> {
        let count = self.count(6)?;
        let mut topics = Vec::with_capacity(count);
        for _ in 0..count {
            let topic = String::from(self.string()?);
            let count = self.count(4)?;
            let partitions: Option<Vec<i32>> = (0..count).map(|_| self.int32()).collect();
            topics.push((topic, partitions?));
        }
        Some(topics)
    }
}

/// By the names of their topics.
type Partitions = Vec<(String, Vec<i32>)>;

/// What one consumer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::group) struct Subscription {
    pub(in crate::group) topics: Vec<String>,
    pub(in crate::group) owned: Partitions,
    pub(in crate::group) rack: Option<String>,
}

impl Subscription {
    pub(in crate::group) fn read(metadata: &[u8]) -> Option<Self> {
        let mut reader = Reader(metadata);
        let version = reader.int16().filter(|version| *version >= 0)?;
        let count = reader.count(2)?;
        let topics: Option<Vec<String>> = (0..count).map(|_| reader.string().map(String::from)).collect();
        let topics = topics?;
        reader.data()?;
        let owned = if version >= 1 { reader.partitions()? } else { Vec::new() };
        if version >= 2 {
            reader.int32()?;
        }
        let has_rack = version >= 3 && reader.0.get(..2)? != (-1_i16).to_be_bytes();
        let rack = if has_rack { Some(String::from(reader.string()?)) } else { None };
        Some(Self { topics, owned, rack })
    }
}

/// What a leader gave to a member; `None` if it cannot be read, or says more than which partitions those are.
pub(in crate::group) fn read_assignment(assignment: &[u8]) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = Reader(assignment);
    reader.int16().filter(|version| *version >= 0)?;
    let partitions = reader.partitions()?;
    reader.data()?.is_empty().then_some(partitions)
}

/// An assignment as a member reads it that has said this of itself.
pub(in crate::group) fn write_assignment(partitions: &[(&str, &[i32])], metadata: &[u8]) -> Vec<u8> {
    let version = Reader(metadata).int16().unwrap_or_default().clamp(0, VERSION_MAX);
    let count = |count: usize| u32::try_from(count).expect("partitions are counted by 32 bits").to_be_bytes();
    let mut bytes = Vec::from(version.to_be_bytes());
    bytes.extend(count(partitions.len()));
    for (topic, partitions) in partitions {
        bytes.extend(u16::try_from(topic.len()).expect("a topic's name is short").to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend(count(partitions.len()));
        partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes
}

/// The newest version that is known.
const VERSION_MAX: i16 = 3;

/// The topics of a subscription; `None` if it is none.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut reader = Reader(metadata);
    if reader.int16()? < 0 {
        return None;
    }
    let count = reader.count(2)?;
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        topics.push(reader.string()?);
    }
    reader.data().map(|_| topics)
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
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Subscription, encode, read_assignment, topics, write_assignment};

    /// Version 3: topic `t`, a byte of user data, of `t` partitions 1 and 2, generation 5, rack `r`.
    const WHOLE: &[u8] =
        b"\0\x03\0\0\0\x01\0\x01t\0\0\0\x01x\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\0\0\x05\0\x01r";

    #[test]
    fn subscription_is_read_as_far_as_its_version_goes() {
        let whole = Subscription {
            topics: vec!["t".to_string()],
            owned: vec![("t".to_string(), vec![1, 2])],
            rack: Some("r".to_string()),
        };
        assert_eq!(Subscription::read(WHOLE), Some(whole.clone()));
        for length in 0..WHOLE.len() {
            assert_eq!(Subscription::read(&WHOLE[..length]), None, "cut at {length}");
        }
        let of_version = |version: u8| Subscription::read(&[&[0, version], &WHOLE[2..]].concat());
        let without_rack = Subscription { rack: None, ..whole.clone() };
        assert_eq!(of_version(2), Some(without_rack.clone()));
        assert_eq!(of_version(1), Some(without_rack.clone()));
        assert_eq!(of_version(0), Some(Subscription { owned: Vec::new(), ..without_rack.clone() }));
        assert_eq!(of_version(9), Some(whole));
        let no_rack = [&WHOLE[..WHOLE.len() - 3], &[0xff, 0xff]].concat();
        assert_eq!(Subscription::read(&no_rack), Some(without_rack));
        assert_eq!(Subscription::read(&[0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(Subscription::read(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn assignment_is_read_as_it_was_written_and_refused_with_data_of_an_assignor() {
        let written = write_assignment(&[("t", &[1, 2]), ("u", &[])], WHOLE);
        assert_eq!(written[..2], [0, 3]);
        let read = vec![("t".to_string(), vec![1, 2]), ("u".to_string(), vec![])];
        assert_eq!(read_assignment(&written), Some(read.clone()));
        for length in 1..written.len() {
            assert_eq!(read_assignment(&written[..length]), None, "cut at {length}");
        }
        assert_eq!(read_assignment(&[]), Some(vec![]), "it has not been given anything");
        let before = &written[..written.len() - 4];
        assert_eq!(read_assignment(&[before, &[0; 4]].concat()), Some(read));
        assert_eq!(read_assignment(&[before, &[0, 0, 0, 1, 7]].concat()), None);
        assert_eq!(write_assignment(&[], &[0, 0])[..2], [0, 0]);
        assert_eq!(write_assignment(&[], &[0, 7])[..2], [0, 3], "no version that is not known");
    }

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
