//! Any bytes as the values of a metadata log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::controller::fuzz::records(data));
