//! Any bytes as the files of a write-ahead log, walked to their end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::storage::walk::fuzz::walk(data));
