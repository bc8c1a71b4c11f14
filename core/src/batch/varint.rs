//! Zigzag varints, as records use them: a bounded reader over borrowed bytes, and the writers.

use alloc::vec::Vec;

use super::error::RecordFault;

/// Reads fields off the front of `bytes`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordFault> {
        let (&first, rest) = self.bytes.split_first().ok_or(RecordFault::Truncated)?;
        self.bytes = rest;
        Ok(first)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], RecordFault> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(RecordFault::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A zigzag varint of at most 32 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<i32, RecordFault> {
        // Nearly all of a record's numbers are one byte long.
        if let Some((&first, rest)) = self.bytes.split_first()
            && first < 0x80
        {
            self.bytes = rest;
            let raw = i32::from(first);
            return Ok((raw >> 1) ^ -(raw & 1));
        }
        let value = self.long(5)?;
        i32::try_from(value).map_err(|_| RecordFault::Varint)
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub(super) fn varlong(&mut self) -> Result<i64, RecordFault> {
        if let Some((&first, rest)) = self.bytes.split_first()
            && first < 0x80
        {
            self.bytes = rest;
            let raw = i64::from(first);
            return Ok((raw >> 1) ^ -(raw & 1));
        }
        self.long(10)
    }

    /// Padded numbers pass as long as they have no more bytes than their type may need: readers count those.
    fn long(&mut self, bytes_max: u32) -> Result<i64, RecordFault> {
        let mut raw: u64 = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(RecordFault::Varint);
            }
            raw |= bits << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
            if shift == 7 * bytes_max {
                return Err(RecordFault::Varint);
            }
        }
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// Bytes with their length in front; −1 is null.
    #[inline]
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, RecordFault> {
        let len = self.varint()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| RecordFault::NegativeLength)?;
        Ok(Some(self.take(len)?))
    }
}

pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(raw & 0x7f).expect("seven bits fit a byte");
        raw >>= 7;
        if raw == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Bytes that [`put_varlong`] writes for `value`.
pub(super) fn varlong_len(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let bits = 64 - (raw | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Cursor, put_varlong, varlong_len};
    use crate::batch::error::RecordFault;

    #[test]
    fn varlong_reads_what_it_writes() {
        let edges = [0, 1, -1, 63, 64, -64, -65, 1 << 31, i64::from(i32::MIN), i64::MAX, i64::MIN];
        for value in edges.into_iter().chain((0..63).map(|shift| 0x5a5a_5a5a_5a5a_5a5a_i64 >> shift)) {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            assert_eq!(out.len(), varlong_len(value), "{value}");
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varlong(), Ok(value));
            assert!(cursor.is_empty());
            let narrow = Cursor::new(&out).varint();
            assert_eq!(narrow, i32::try_from(value).map_err(|_| RecordFault::Varint));
        }
    }

    #[test]
    fn varlong_refuses_what_does_not_fit() {
        let eleven = [0x80_u8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(Cursor::new(&eleven).varlong(), Err(RecordFault::Varint));
        let wide = [0xff_u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(Cursor::new(&wide).varlong(), Err(RecordFault::Varint));
        let six = [0x80_u8, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(Cursor::new(&six).varint(), Err(RecordFault::Varint));
        assert_eq!(Cursor::new(&six).varlong(), Ok(0));
        assert_eq!(Cursor::new(&[0x80]).varlong(), Err(RecordFault::Truncated));
        assert_eq!(Cursor::new(&[1, 0]).nullable_bytes(), Ok(None));
        assert_eq!(Cursor::new(&[3, 0]).nullable_bytes(), Err(RecordFault::NegativeLength));
    }
}
