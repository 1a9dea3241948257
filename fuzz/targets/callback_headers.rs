//! Feeds `callback_headers` with what libFuzzer makes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sendpromptly_fuzz::callback_headers(data));
