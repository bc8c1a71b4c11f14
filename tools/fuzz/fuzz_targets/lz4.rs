//! Any bytes as an LZ4 frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::lz4(data));
