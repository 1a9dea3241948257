//! The memory of nonces.

use std::sync::Barrier;

use sendpromptly_verify::{NonceMemory, Verified, VerifyError};

use crate::callback::{BODY, NOW, headers, verifier};

/// A callback that was signed a window ahead, so that it is good until 600 seconds from now.
fn callback(number: u32) -> Verified<'static> {
    let headers = headers(NOW + 300, &format!("{number:032x}"), BODY);
    verifier().verify(&headers, BODY, NOW).unwrap()
}

#[test]
fn a_nonce_is_taken_once_for_as_long_as_its_callback_verifies() {
    let nonces = NonceMemory::default();
    assert_eq!(nonces.remember(&callback(1), NOW), Ok(()));
    for later in [0, 300, 600] {
        let again = nonces.remember(&callback(1), NOW + later);
        assert_eq!(again, Err(VerifyError::ReplayedNonce), "{later}");
    }
    assert_eq!(nonces.remember(&callback(2), NOW), Ok(()));
    assert_eq!(nonces.remember(&callback(1), NOW + 601), Ok(()));
}

#[test]
fn a_full_memory_refuses_and_forgets_none() {
    let nonces = NonceMemory::new(2);
    for number in [1, 2] {
        assert_eq!(nonces.remember(&callback(number), NOW), Ok(()));
    }
    let refused = nonces.remember(&callback(3), NOW + 600).unwrap_err();
    assert_eq!(refused, VerifyError::NonceMemoryFull);
    assert_eq!(refused.status(), 503);
    assert_eq!(
        nonces.remember(&callback(1), NOW + 600),
        Err(VerifyError::ReplayedNonce)
    );
    assert_eq!(nonces.remember(&callback(3), NOW + 601), Ok(()));
}

#[test]
fn a_clock_that_steps_back_forgets_none() {
    let nonces = NonceMemory::default();
    assert_eq!(nonces.remember(&callback(1), NOW), Ok(()));
    let again = nonces.remember(&callback(1), i64::MIN);
    assert_eq!(again, Err(VerifyError::ReplayedNonce));
}

#[test]
fn a_thousand_at_once_take_a_nonce_once() {
    let (nonces, start) = (NonceMemory::default(), Barrier::new(1_000));
    let taken = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..1_000)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    nonces.remember(&callback(1), NOW).is_ok()
                })
            })
            .collect();
        calls
            .into_iter()
            .filter_map(|call| call.join().ok())
            .filter(|taken| *taken)
            .count()
    });
    assert_eq!(taken, 1);
}
