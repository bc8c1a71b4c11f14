//! Any bytes as a record of groups: the length of its key, the key, its value.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| highwater_core::group::record::fuzz(data));
