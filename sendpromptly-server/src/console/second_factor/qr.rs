//! QR codes as pictures in a page (SVG).

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::console::PageError;

/// Modules of white around a code, without which readers do not find it.
const QUIET_ZONE: usize = 4;

/// A QR code, drawn.
pub(super) struct Picture {
    /// Its width and height, in modules.
    pub(super) size: usize,
    /// The dark modules, as the path of an SVG.
    pub(super) path: Zeroizing<String>,
}

impl Picture {
    /// The code of this text.
    ///
    /// # Errors
    /// [`PageError::Internal`] where it is too long for a code.
    pub(super) fn of(text: &str) -> Result<Self, PageError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .map_err(|error| PageError::Internal(format!("no QR code: {error}")))?;
        let width = code.width();
        let mut path = Zeroizing::new(String::with_capacity(width * width * 8));
        for y in 0..width {
            let mut x = 0;
            while x < width {
                let run = (x..width).take_while(|x| code[(*x, y)] == Color::Dark).count();
                if run > 0 {
                    let (left, top) = (x + QUIET_ZONE, y + QUIET_ZONE);
                    let _ = write!(path, "M{left} {top}h{run}v1h-{run}z");
                }
                x += run + 1;
            }
        }
        Ok(Self {
            size: width + 2 * QUIET_ZONE,
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules that a path darkens.
    fn darkened(picture: &Picture) -> Vec<(usize, usize)> {
        let mut dark = Vec::new();
        for run in picture.path.split('M').skip(1) {
            let (at, rest) = run.split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let length: usize = rest.split('v').next().unwrap().parse().unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            dark.extend((x..x + length).map(|x| (x, y)));
        }
        dark
    }

    #[test]
    fn the_picture_darkens_what_the_code_has_dark() {
        let text = "otpauth://totp/SendPromptly:ada%40example.com?secret=GEZDGNBVGY3TQOJQ";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let picture = Picture::of(text).unwrap();
        let mut expected = Vec::new();
        for y in 0..code.width() {
            for x in 0..code.width() {
                if code[(x, y)] == Color::Dark {
                    expected.push((x + QUIET_ZONE, y + QUIET_ZONE));
                }
            }
        }
        assert_eq!(darkened(&picture), expected);
        assert_eq!(picture.size, code.width() + 8);
    }

    #[test]
    fn the_longest_address_of_a_user_has_a_code() {
        let secret = sendpromptly_core::second_factor::TotpSecret::new([0xff; 20]);
        assert!(Picture::of(&secret.uri(&"@".repeat(254))).is_ok());
    }
}
