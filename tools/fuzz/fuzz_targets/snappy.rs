//! Any bytes as snappy, raw or in chunks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::snappy(data));
