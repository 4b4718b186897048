#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| godwit::engine::fuzz::records(data));
