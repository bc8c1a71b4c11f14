//! Any bytes as the footer of a segment.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::log::footer::fuzz(data));
