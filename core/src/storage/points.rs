//! Files of recovery points: points one after the other, each in an envelope of its own; each write begins at a block. What is torn or
//! rotten is passed over: a point that is lost costs time, not truth. Knows nothing of what a point says.

use super::wrap::Envelope;
use crate::buf::{PageMut, Slice};
use crate::limits::{BLOCK_BYTES, RECOVERY_POINT_BYTES_MAX};

const ENVELOPE: Envelope = Envelope { magic: *b"HWRP", version: 1 };

/// A point as it goes to its file; `None` if it is too long for one.
pub fn seal(archive: &[u8]) -> Option<Slice> {
    let sealed = ENVELOPE.seal(archive);
    (sealed.len() <= RECOVERY_POINT_BYTES_MAX).then_some(sealed)
}

/// Gives the archives of all points that are whole in `bytes`, which begin at a block but for `skip` bytes that were gone through. `is_end`
/// says that the file ends with them. Gives the place from which the rest is to be read, which is where `bytes` end if there is no more in them.
pub fn scan(bytes: &[u8], skip: usize, is_end: bool, mut found: impl FnMut(&[u8])) -> usize {
    let mut place = skip;
    while place < bytes.len() {
        let rest = &bytes[place..];
        if let Some(archive) = ENVELOPE.open_first(rest) {
            found(&archive);
            place += ENVELOPE.announced(rest).expect("it was just opened");
            continue;
        }
        let announced = ENVELOPE.announced(rest).filter(|len| *len <= RECOVERY_POINT_BYTES_MAX);
        let is_cut = announced.is_some_and(|len| len > rest.len());
        // A head that is cut begins less than a block before the end.
        if !is_end && (is_cut || rest.len() < BLOCK_BYTES) && place > skip {
            return place;
        }
        place = (place + 1).next_multiple_of(BLOCK_BYTES);
    }
    bytes.len()
}

/// What is written at once, as whole blocks.
pub fn joined(points: &[Slice]) -> Slice {
    let len = points.iter().map(|point| point.len()).sum::<usize>();
    let mut page = PageMut::with_len(len.next_multiple_of(BLOCK_BYTES));
    let mut at = 0;
    for point in points {
        page.as_mut_slice()[at..at + point.len()].copy_from_slice(point);
        at += point.len();
    }
    Slice::from_page(page)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn all(bytes: &[u8], window: usize) -> Vec<Vec<u8>> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let from = at - at % BLOCK_BYTES;
            let end = (from + window).min(bytes.len());
            let more =
                scan(&bytes[from..end], at - from, end == bytes.len(), |point| found.push(point.to_vec()));
            assert!(from + more > at, "each read gets on");
            at = from + more;
        }
        found
    }

    #[test]
    fn points_are_found_across_reads_and_behind_what_is_lost() {
        let archives: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 100 + 97 * usize::from(n)]).collect();
        let sealed: Vec<Slice> = archives.iter().map(|archive| seal(archive).unwrap()).collect();
        let mut file = joined(&sealed[..100]).to_vec();
        let second = file.len();
        file.extend_from_slice(&joined(&sealed[100..]));
        for window in [32 << 10, 64 << 10, 16 << 20] {
            assert_eq!(all(&file, window), archives);
        }
        file[3 * BLOCK_BYTES] ^= 1;
        let left = all(&file, 64 << 10);
        assert!(left.len() < 200 && left.ends_with(&archives[100..]), "the second write is whole");
        file.truncate(second + BLOCK_BYTES);
        assert!(all(&file, 64 << 10).len() < left.len());
    }

    #[test]
    fn too_long_a_point_is_none() {
        assert!(seal(&vec![0; RECOVERY_POINT_BYTES_MAX]).is_none());
    }
}
