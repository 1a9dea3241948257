//! Base62: `0-9A-Za-z`.

use zeroize::Zeroize;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends so many digits of the number that these bytes make.
pub(super) fn push_random<const N: usize>(text: &mut String, digits: usize, mut number: [u8; N]) {
    for _ in 0..digits {
        text.push(char::from(DIGITS[usize::from(divide(&mut number))]));
    }
    number.zeroize();
}

/// Appends a number, most significant digit first.
pub(super) fn push_number(text: &mut String, digits: usize, number: u32) {
    for place in (0..digits).rev() {
        let power = 62_u64.pow(u32::try_from(place).unwrap_or(0));
        text.push(char::from(DIGITS[(u64::from(number) / power % 62) as usize]));
    }
}

/// Divides a big-endian number by 62 in place and gives the remainder.
fn divide(number: &mut [u8]) -> u8 {
    let mut remainder = 0_u16;
    for byte in number {
        let value = remainder << 8 | u16::from(*byte);
        *byte = (value / 62) as u8;
        remainder = value % 62;
    }
    remainder as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_most_significant_digit_first() {
        let written = |number| {
            let mut text = String::new();
            push_number(&mut text, 6, number);
            text
        };
        assert_eq!(written(0), "000000");
        assert_eq!(written(61), "00000z");
        assert_eq!(written(62), "000010");
        assert_eq!(written(u32::MAX), "4gfFC3");
    }

    #[test]
    fn random_digits_are_those_of_the_number() {
        let mut text = String::new();
        push_random(&mut text, 4, (62_u64 * 62 + 62 * 2 + 61).to_be_bytes());
        assert_eq!(text, "z210");
    }
}
