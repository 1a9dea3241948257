//! The beginnings of long texts, so that a page of many stays small.

/// So many characters of a text are shown.
const CHARACTERS: usize = 256;

/// And no more of them than weigh so many bytes in the page.
const WEIGHT: usize = 600;

/// Cuts a text down to its beginning. Whether there was anything to cut.
pub(super) fn cut(text: &mut String) -> bool {
    let mut weight = 0;
    let too_much = |(number, (_, c)): &(usize, (usize, char))| {
        weight += weight_of(*c);
        *number >= CHARACTERS || weight > WEIGHT
    };
    let Some((_, (end, _))) = text.char_indices().enumerate().find(too_much) else {
        return false;
    };
    text.truncate(end);
    text.push('…');
    true
}

/// What a character weighs in a page: some are escaped.
const fn weight_of(c: char) -> usize {
    match c {
        '<' | '>' | '&' | '"' | '\'' => "&#60;".len(),
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_cutting(mut text: String) -> (usize, bool) {
        let cut = cut(&mut text);
        (text.chars().count(), cut)
    }

    #[test]
    fn a_text_is_cut_at_a_whole_character_and_by_its_weight() {
        assert_eq!(after_cutting("x".repeat(256)), (256, false));
        assert_eq!(after_cutting("x".repeat(257)), (257, true));
        assert_eq!(after_cutting("<".repeat(4_000)), (121, true));
        assert_eq!(after_cutting("😀".repeat(4_000)), (151, true));
        assert_eq!(after_cutting(String::new()), (0, false));
    }
}
