//! Any bytes as what a disk holds of one log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::log::recovery::fuzz(data));
