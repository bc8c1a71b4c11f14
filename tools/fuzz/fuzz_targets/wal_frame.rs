//! Any bytes as a frame of the write-ahead log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::storage::frame::fuzz(data));
