//! Any bytes as a segment, or an answer to a fetch.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::batch::fuzz::stored(data));
