//! Any bytes as a gzip stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::gzip(data));
