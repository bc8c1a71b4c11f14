//! Any bytes as a zstd frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::zstd(data));
