//! Any bytes as a superblock.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::storage::superblock::fuzz(data));
