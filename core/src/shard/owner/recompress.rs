//! `compression.type`: a batch of another codec is compressed anew on its way into the log. Here and not where the request came in,
//! because here it is copied at once, so that no more than one such batch is in memory; and of a batch that is in the log already
//! nobody asks how it is compressed.

use alloc::vec::Vec;

use super::Owner;
use crate::batch::{self, BatchInfo, BatchView, Codec, HEADER_BYTES};
use crate::replica::{PartitionError, ProduceOp, Recompress};

impl Owner {
    /// The batch as its topic wants it compressed, or nothing if it came so.
    pub(super) fn recompressed(
        &mut self,
        op: &ProduceOp,
    ) -> Result<Option<(Vec<u8>, BatchInfo)>, PartitionError> {
        let Some(Recompress { encoding, batch_bytes_max: max }) = op.recompress else { return Ok(None) };
        let too_large = PartitionError::RecompressedTooLarge { max };
        let (view, _) = BatchView::parse(&op.batch).expect("the home has checked the batch");
        let codec = op.checked.info.codec;
        let records = self.scratch.decompress(codec, &op.batch[HEADER_BYTES..]);
        let records = records.expect("the home has walked the records");
        let fits = |len: usize| len <= max as usize;
        if encoding.codec == Codec::None && !fits(HEADER_BYTES + records.len()) {
            self.scratch.let_go();
            return Err(too_large);
        }
        let bytes = batch::recompress(&view, records, encoding, &mut self.compressor);
        self.scratch.let_go();
        if !fits(bytes.len()) {
            return Err(too_large);
        }
        let (view, _) = BatchView::parse(&bytes).expect("a batch that fits parses");
        let info = view.info().expect("the codec is one of Kafka's");
        Ok(Some((bytes, info)))
    }
}
