//! What a record holds so that it is known again: its number, in the key or at the head of the value, and a filling that follows
//! from it. Must not know batches.

use crate::history::Value;

/// Bytes of the number.
pub(super) const NUMBER_BYTES: usize = 8;

/// The header with the number of a record whose key others have too.
pub(super) const NUMBER_HEADER: &[u8] = b"number";

/// The key of a record in a compacted topic.
pub(super) fn shared_key(value: Value) -> Vec<u8> {
    format!("key-{}", value.key()).into_bytes()
}

/// The number in the header of a record, if all of it is as it was written.
pub(super) fn recognise_shared(number: &[u8], key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Value> {
    let number = Value(u64::from_be_bytes(*number.as_array()?));
    let sound =
        value.is_none() == number.is_tombstone() && value.is_none_or(|value| is_content(number, value));
    (sound && key == Some(&shared_key(number))).then_some(number)
}

/// So many bytes that only this record may have.
pub(super) fn content(value: Value, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + NUMBER_BYTES);
    bytes.extend(value.0.to_be_bytes());
    let filling = filling(value);
    while bytes.len() < len {
        bytes.extend(filling);
    }
    bytes.truncate(len);
    bytes
}

fn filling(value: Value) -> [u8; NUMBER_BYTES] {
    value.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

fn is_content(value: Value, bytes: &[u8]) -> bool {
    let (head, rest) = bytes.split_at(bytes.len().min(NUMBER_BYTES));
    let filling = filling(value);
    value.0.to_be_bytes().starts_with(head)
        && rest.chunks(NUMBER_BYTES).all(|chunk| filling.starts_with(chunk))
}

/// The number of a record, if all of it is as it was written.
pub(super) fn recognise(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Value> {
    let number = key.or(value)?.first_chunk()?;
    let number = Value(u64::from_be_bytes(*number));
    [key, value].into_iter().flatten().all(|bytes| is_content(number, bytes)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{content, recognise};
    use crate::history::Value;

    #[test]
    fn record_is_known_by_key_or_value() {
        let (number, other) = (Value(77), Value(78));
        for len in [0, 1, 7, 8, 9, 100] {
            let (key, value) = (content(number, 8), content(number, len));
            assert_eq!(value.len(), len);
            assert_eq!(recognise(Some(&key), Some(&value)), Some(number));
            assert_eq!(recognise(None, Some(&value)), (len >= 8).then_some(number));
        }
        let key = content(number, 8);
        assert_eq!(recognise(Some(&key), None), Some(number));
        assert_eq!(recognise(None, None), None);
        assert_eq!(recognise(Some(&key), Some(&content(other, 8))), None);
        let mut broken = content(number, 30);
        broken[29] ^= 1;
        assert_eq!(recognise(Some(&key), Some(&broken)), None);
    }
}
