//! The committed inputs of the fuzzers, and mutations of them, against every decoder. What once broke one is among them.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use highwater_core::prng::Prng;

/// Mutations that each target runs, over all of its inputs.
const MUTATIONS: usize = 4_000;

macro_rules! targets {
    ($($target:ident => $fuzz:path,)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(#[test]
        fn $target() {
            replay(stringify!($target), $fuzz);
        })*
    };
}

targets! {
    wire => highwater_core::wire::inspect::fuzz,
    header => highwater_core::wire::inspect::fuzz_header,
    connection => highwater_core::shard::fuzz_connection,
    produced => highwater_core::batch::fuzz::produced,
    stored => highwater_core::batch::fuzz::stored,
    gzip => highwater_core::batch::fuzz::gzip,
    snappy => highwater_core::batch::fuzz::snappy,
    lz4 => highwater_core::batch::fuzz::lz4,
    zstd => highwater_core::batch::fuzz::zstd,
    wal_frame => highwater_core::storage::frame::fuzz,
    wal_walk => highwater_core::storage::walk::fuzz::walk,
    checkpoint => highwater_core::storage::checkpoint::fuzz,
    log_start => highwater_core::storage::log_start::fuzz,
    superblock => highwater_core::storage::superblock::fuzz,
    recovery_points => highwater_core::shard::fuzz_recovery_points,
    footer => highwater_core::log::footer::fuzz,
    metadata => highwater_core::controller::fuzz::records,
    group_record => highwater_core::group::record::fuzz,
    log_recovery => highwater_core::log::recovery::fuzz,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tools/fuzz")
}

/// The inputs of a target with their names, in order.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("corpus").join(target);
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = listed
        .map(|entry| {
            let path = entry.expect("the folder can be listed").path();
            (
                path.file_name().expect("an entry has a name").to_string_lossy().into_owned(),
                fs::read(&path).expect("an input can be read"),
            )
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} has no input", folder.display());
    inputs
}

fn replay(target: &str, fuzz: fn(&[u8])) {
    let inputs = inputs(target);
    for (name, data) in &inputs {
        run(fuzz, data, name);
    }
    let mut prng = Prng::new(0xf022);
    for round in 0..MUTATIONS {
        let (name, data) = &inputs[round % inputs.len()];
        let other = &inputs[below(&mut prng, inputs.len())].1;
        let mutated = mutate(data, other, &mut prng);
        run(fuzz, &mutated, &format!("round {round}, a mutation of {name}"));
    }
}

/// Runs one input; if it fails, its bytes are told so that they can join the corpus.
fn run(fuzz: fn(&[u8]), data: &[u8], name: &str) {
    if catch_unwind(|| fuzz(data)).is_err() {
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}: {hex}");
    }
}

fn below(prng: &mut Prng, bound: usize) -> usize {
    usize::try_from(prng.below(bound.max(1) as u64)).expect("below a usize")
}

/// One to four changes: a byte, a bit, an extreme number, a cut, a hole, a repetition, the end of another input.
fn mutate(data: &[u8], other: &[u8], prng: &mut Prng) -> Vec<u8> {
    const EXTREMES: [u64; 6] = [0, 1, 0x7f, i32::MAX as u64, i64::MAX as u64, u64::MAX];
    let mut data = data.to_vec();
    for _ in 0..prng.between(1, 4) {
        let at = below(prng, data.len());
        let len = below(prng, 16.min(data.len() - at) + 1);
        match prng.below(10) {
            0 => data.truncate(at),
            1 => drop(data.drain(at..at + len)),
            2 => drop(data.splice(at..at, data[at..at + len].to_vec())),
            3 => drop(data.splice(at.., other[below(prng, other.len())..].iter().copied())),
            4 | 5 => {
                let extreme = EXTREMES[below(prng, EXTREMES.len())];
                let bytes = if prng.chance(500_000) { extreme.to_be_bytes() } else { extreme.to_le_bytes() };
                let width = len.min(8);
                let from = if prng.chance(500_000) { 8 - width } else { 0 };
                data[at..at + width].copy_from_slice(&bytes[from..from + width]);
            }
            6 | 7 if at < data.len() => data[at] ^= 1 << prng.below(8),
            _ if at < data.len() => data[at] = prng.next_u64().to_le_bytes()[0],
            _ => data.push(prng.next_u64().to_le_bytes()[0]),
        }
    }
    data
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_corpus() {
    let mut folders: Vec<String> = fs::read_dir(folder().join("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let mut targets = TARGETS.to_vec();
    targets.sort_unstable();
    assert_eq!(folders, targets);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let names = manifest.split("[[bin]]").skip(1).map(|bin| bin.split('"').nth(1).unwrap());
    let mut fuzzers: Vec<&str> = names.collect();
    fuzzers.sort_unstable();
    assert_eq!(fuzzers, targets);
}
