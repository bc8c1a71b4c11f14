//! What `batch.validation` costs: CPU nanoseconds and batch bytes for each MB of records, `full` beside `crc`, for each codec. The two
//! are measured in turns, so that what slows one down slows the other down too.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;

use highwater_core::batch::{
    BatchBuilder, BatchHeader, BatchView, Codec, Compressor, HEADER_BYTES, KeyPolicy, NewRecord,
    ProducePolicy, Scratch, TimestampWindow, Validation, ZstdPolicy, recompress, validate_produced,
};
use highwater_core::limits::BATCH_BYTES_MAX;
use highwater_core::prng::Prng;
use highwater_core::time::Timestamp;

const RECORDS: u64 = 2_000;
const VALUE_BYTES: usize = 100;
const ROUNDS: u32 = 3;
/// So many that the ticks by which Linux counts CPU time are small beside them.
const BATCHES_IN_A_ROUND: u32 = 1_500;

/// Words of a small vocabulary, which compress about as logs do.
fn plain() -> Vec<u8> {
    let mut prng = Prng::new(1);
    let mut builder = BatchBuilder::new(BatchHeader::default());
    let vocabulary: Vec<String> = (0..300).map(|_| format!("{:x} ", prng.below(1 << 24))).collect();
    for record in 0..RECORDS {
        let mut value = String::new();
        while value.len() < VALUE_BYTES {
            let word = usize::try_from(prng.below(300)).expect("a small number");
            value.push_str(&vocabulary[word]);
        }
        let key = record.to_be_bytes();
        let value = Some(value.as_bytes());
        builder.push(&NewRecord { timestamp: Timestamp(1), key: Some(&key), value, headers: &[] });
    }
    builder.build()
}

/// Nanoseconds that this thread has had a processor, as Linux counts them.
fn cpu_nanos() -> Option<u64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

fn main() -> ExitCode {
    let plain = plain();
    let (view, _) = BatchView::parse(&plain).expect("it was just built");
    let (mut compressor, mut scratch) = (Compressor::new(), Scratch::new());
    println!("{} records, {} bytes without compression", RECORDS, plain.len());
    println!("{:8} {:>12} {:>14} {:>14}", "codec", "batch bytes", "full ns/MB", "crc ns/MB");
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let batch = recompress(&view, &plain[HEADER_BYTES..], codec.into(), &mut compressor);
        let mut nanos = [0, 0];
        for _ in 0..ROUNDS {
            for (sum, validation) in nanos.iter_mut().zip([Validation::Records, Validation::Crc]) {
                let policy = ProducePolicy {
                    expanded_bytes_max: usize::MAX,
                    batch_bytes_max: u32::try_from(BATCH_BYTES_MAX).expect("below 4 GiB"),
                    zstd: ZstdPolicy::Accept,
                    timestamps: TimestampWindow::ANY,
                    key: KeyPolicy::Optional,
                    validation,
                };
                let Some(begun) = cpu_nanos() else {
                    eprintln!("/proc/thread-self/schedstat tells no CPU time here");
                    return ExitCode::FAILURE;
                };
                for _ in 0..BATCHES_IN_A_ROUND {
                    black_box(validate_produced(black_box(&batch), &policy, &mut scratch))
                        .expect("it is a good batch");
                }
                *sum += cpu_nanos().expect("it was told before") - begun;
            }
        }
        let megabytes = plain.len() as u64 * u64::from(ROUNDS * BATCHES_IN_A_ROUND);
        let [full, crc] = nanos.map(|sum| sum * 1_000_000 / megabytes);
        println!("{:8} {:>12} {full:>14} {crc:>14}", format!("{codec:?}"), batch.len());
    }
    ExitCode::SUCCESS
}
