//! Any bytes as a body, its API, kind and version.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::wire::inspect::fuzz(data));
