//! Any bytes as the header of a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::wire::inspect::fuzz_header(data));
