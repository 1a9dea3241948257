//! Payloads packed before they are sealed: what is sealed packs no more, and a payload is mostly the names of its
//! fields, which a provider's events have in common.
//!
//! A packed payload is `0x01 ‖ u32le length ‖ LZ4 block`, the block made with a dictionary of such names. One that
//! packing does not make smaller stays as it is: JSON, which never begins with `0x01`.

use lz4_flex::block;
use zeroize::{Zeroize, Zeroizing};

use crate::event::Provider;

/// The longest payload: as long as the body of a receipt may be, in bytes.
pub const LONGEST: usize = 64 * 1_024;

/// Begins what is packed with the dictionary.
const LZ4: u8 = 1;
/// Bytes before the block: that one, and the length.
const HEAD: usize = 1 + 4;

/// The shapes of Stripe's and Shopify's events about payments. What is kept does not unpack without it, so it never
/// changes: another one is a second, under a number of its own.
const DICTIONARY: &[u8] = include_bytes!("dictionary_1.json");

/// Where Stripe's shapes begin in it; they go on to its end.
const STRIPE: usize = 1_572;

/// Why what was opened is no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was kept does not unpack to a payload")]
pub struct UnpackError;

/// How much room [`pack`] needs for a text of so many bytes.
#[must_use]
pub const fn room_to_pack(length: usize) -> usize {
    HEAD + block::get_maximum_output_size(length)
}

/// Packs the JSON text of a payload of this provider's into a room of [`room_to_pack`] bytes or more, zeroes, and says how
/// many it takes. Nothing of the text is left behind them.
///
/// # Panics
/// Where the room is too small.
///
/// ```
/// use sendpromptly_core::event::Provider;
/// use sendpromptly_core::snapshot::{pack, room_to_pack, unpack};
///
/// let text = format!(r#"{{"lines":[{}1]}}"#, r#"{"amount":100},"#.repeat(50));
/// let mut room = vec![0; room_to_pack(text.len())];
/// let length = pack(&text, Provider::Stripe, &mut room);
/// assert!(length < text.len() / 4);
/// assert_eq!(unpack(&room[..length])?.as_str(), text);
/// # Ok::<(), sendpromptly_core::snapshot::UnpackError>(())
/// ```
pub fn pack(text: &str, provider: Provider, room: &mut [u8]) -> usize {
    assert!(room.len() >= room_to_pack(text.len()), "the room is too small");
    let (plain, shapes) = (text.as_bytes(), shapes_of(provider));
    let length = u32::try_from(plain.len()).ok();
    let block = block::compress_into_with_dict(plain, &mut room[HEAD..], shapes).ok();
    match (length, block) {
        (Some(length), Some(block)) if HEAD + block < plain.len() => {
            room[0] = LZ4;
            room[1..HEAD].copy_from_slice(&length.to_le_bytes());
            HEAD + block
        }
        _ => {
            // The block is the text in other words, and longer.
            room.zeroize();
            room[..plain.len()].copy_from_slice(plain);
            plain.len()
        }
    }
}

/// The end of the dictionary that holds a provider's shapes. An LZ4 block counts from its own place backwards, so it
/// unpacks with the whole dictionary whichever end it was packed with; and what is not looked for is found sooner.
fn shapes_of(provider: Provider) -> &'static [u8] {
    match provider {
        Provider::Stripe => &DICTIONARY[STRIPE..],
        Provider::Shopify => DICTIONARY,
    }
}

/// The JSON text of a packed payload.
///
/// # Errors
/// [`UnpackError`] where it is none: what [`pack`] gave unpacks always.
pub fn unpack(packed: &[u8]) -> Result<Zeroizing<String>, UnpackError> {
    let mut plain = match packed {
        [LZ4, a, b, c, d, block @ ..] => unpack_block(block, [*a, *b, *c, *d])?,
        [LZ4, ..] => return Err(UnpackError),
        text => Zeroizing::new(text.to_vec()),
    };
    match String::from_utf8(std::mem::take(&mut *plain)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(UnpackError)
        }
    }
}

fn unpack_block(block: &[u8], length: [u8; 4]) -> Result<Zeroizing<Vec<u8>>, UnpackError> {
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| UnpackError)?;
    if length > LONGEST {
        return Err(UnpackError);
    }
    let mut plain = Zeroizing::new(vec![0; length]);
    let unpacked = block::decompress_into_with_dict(block, &mut plain, DICTIONARY);
    let is_whole = unpacked.is_ok_and(|bytes| bytes == length);
    is_whole.then_some(plain).ok_or(UnpackError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    fn packed(text: &str, provider: Provider) -> Vec<u8> {
        let mut room = vec![0; room_to_pack(text.len())];
        let length = pack(text, provider, &mut room);
        room.truncate(length);
        room
    }

    #[test]
    fn the_dictionary_is_what_it_was_when_payloads_were_packed_with_it() {
        let digest = Sha256::digest(DICTIONARY);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0a321a3783a8c47ad953fd1c839fc122648776da2f6fed855a17b2fbb802454d"
        );
    }

    #[test]
    fn the_shapes_of_stripe_begin_with_a_charge() {
        let shapes = str::from_utf8(shapes_of(Provider::Stripe)).unwrap();
        assert!(shapes.starts_with(r#"{"object":"charge""#), "{}", &shapes[..40]);
        assert!(DICTIONARY.ends_with(shapes.as_bytes()));
    }

    #[test]
    fn what_packs_to_no_less_stays_as_it_is() {
        let (text, mut room) = ("{\"a\":1}", [0; room_to_pack(7)]);
        assert_eq!(pack(text, Provider::Stripe, &mut room), text.len());
        let (kept, behind) = room.split_at(text.len());
        assert_eq!(unpack(kept).unwrap().as_str(), text);
        assert!(behind.iter().all(|byte| *byte == 0), "{behind:?}");
    }

    #[test]
    fn an_event_of_a_provider_packs_to_half_and_less() {
        let event = r#"{"id":"evt_1PqXyZ2eZvKYlo2C","object":"event","api_version":"2024-06-20","created":1764000000,"data":
            {"object":{"id":"cs_live_a1B2c3D4","object":"checkout.session","amount_total":4200,"currency":"eur","customer":
            "cus_QwErTy","mode":"subscription","payment_status":"paid","status":"complete"}},"livemode":true,
            "type":"checkout.session.completed"}"#;
        let packed = packed(event, Provider::Stripe);
        assert!(
            packed.len() * 2 < event.len(),
            "{} of {}",
            packed.len(),
            event.len()
        );
        assert_eq!(unpack(&packed).unwrap().as_str(), event);
    }

    #[test]
    fn what_is_no_payload_is_refused_whatever_length_it_names() {
        let packed = packed(&"x".repeat(1_000), Provider::Shopify);
        let with_length = |length: u32| {
            let mut changed = packed.clone();
            changed[1..5].copy_from_slice(&length.to_le_bytes());
            unpack(&changed).map(|text| text.len())
        };
        assert_eq!(with_length(1_000), Ok(1_000));
        for wrong in [0, 999, 1_001, 65_537, u32::MAX] {
            assert_eq!(with_length(wrong), Err(UnpackError), "{wrong}");
        }
        assert_eq!(unpack(&[LZ4, 1, 0]), Err(UnpackError));
        assert_eq!(unpack(&[0xff]), Err(UnpackError));
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same(text in "\\PC{0,40}", times in 1_usize..200) {
            let text = format!("{{{}}}", text.repeat(times));
            for provider in [Provider::Stripe, Provider::Shopify] {
                let mut room = vec![0; room_to_pack(text.len())];
                let length = pack(&text, provider, &mut room);
                let (packed, behind) = room.split_at(length);
                let unpacked = unpack(packed).unwrap();
                prop_assert_eq!(unpacked.as_str(), &text);
                prop_assert!(behind.iter().all(|byte| *byte == 0), "nothing is left behind");
            }
        }

        #[test]
        fn no_bytes_make_it_fail_otherwise_than_by_its_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes);
            let _ = unpack(&[&[LZ4, 0, 1, 0, 0], bytes.as_slice()].concat());
        }
    }
}
