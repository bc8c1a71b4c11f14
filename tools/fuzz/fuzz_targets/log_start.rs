//! Any bytes as the file of a log's start.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::storage::log_start::fuzz(data));
