//! Any bytes as a checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::storage::checkpoint::fuzz(data));
