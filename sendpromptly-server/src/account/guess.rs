//! Passwords that a guesser tries early.
//!
//! Published lists of the most used passwords hold few of twelve characters or more; those few are made of
//! common words, names, years, rows of keys and repeats, joined. So a password is taken apart into such pieces,
//! and one of few pieces is refused, whether or not a list happens to hold it.

/// Words from which common passwords are made, one a line.
const COMMON: &str = include_str!("common_words.txt");

/// Rows of keys, both ways, and the alphabet and the digits likewise.
const ROWS: [&str; 7] = [
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
];

/// Fewer pieces than this are guessed early.
const PIECES: usize = 6;
/// Fewer different characters than this, too.
const DISTINCT: usize = 5;
/// Longer ones are on no list, whatever they are made of.
const LONG: usize = 32;

/// Whether a password is guessed early by somebody who knows common words and these, the user's own.
pub(super) fn is_guessable(password: &str, own: &[&str]) -> bool {
    let text: Vec<char> = password.chars().flat_map(char::to_lowercase).collect();
    if text.len() > LONG {
        return false;
    }
    let mut distinct = text.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < DISTINCT {
        return true;
    }
    let own: Vec<String> = own.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<Vec<char>> = own
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .chain(COMMON.lines())
        .filter(|word| word.chars().count() > 2)
        .map(|word| word.chars().collect())
        .collect();
    pieces(repeated_unit(&text), &words) < PIECES
}

/// The shortest text of which this one is a repeat; itself, if it is none.
fn repeated_unit(text: &[char]) -> &[char] {
    let is_unit =
        |length: &usize| text.len().is_multiple_of(*length) && text[*length..] == text[..text.len() - length];
    let length = (1..text.len()).find(is_unit).unwrap_or(text.len());
    &text[..length]
}

/// How many pieces a text has, where a common word, a year and a run count as one, and so does any other
/// character.
fn pieces(text: &[char], words: &[Vec<char>]) -> usize {
    let mut rest = text;
    let mut count = 0;
    while !rest.is_empty() {
        let word = words
            .iter()
            .filter(|word| starts_with(rest, word))
            .map(Vec::len)
            .max();
        let length = word.unwrap_or(1).max(run(rest)).max(year(rest));
        rest = &rest[length..];
        count += 1;
    }
    count
}

/// Whether a text starts with a word, also in the spelling in which digits stand for letters.
fn starts_with(text: &[char], word: &[char]) -> bool {
    let stands_for = |found: char, letter: char| {
        found == letter
            || matches!(
                (found, letter),
                ('0', 'o')
                    | ('1' | '!' | '|', 'i' | 'l')
                    | ('3', 'e')
                    | ('4' | '@', 'a')
                    | ('5' | '$', 's')
                    | ('7', 't')
            )
    };
    text.len() >= word.len()
        && text
            .iter()
            .zip(word)
            .all(|(found, letter)| stands_for(*found, *letter))
}

/// The length of the run at the start: one character again and again, or neighbours of a row.
fn run(text: &[char]) -> usize {
    let same = text.iter().take_while(|c| **c == text[0]).count();
    let along = |row: &mut dyn Iterator<Item = char>| {
        let found = row
            .skip_while(|c| *c != text[0])
            .zip(text)
            .take_while(|(c, found)| c == *found);
        found.count()
    };
    let rows = ROWS
        .iter()
        .map(|row| along(&mut row.chars()).max(along(&mut row.chars().rev())));
    let longest = rows.max().unwrap_or(0).max(same);
    if longest < 3 { 1 } else { longest }
}

/// The length of a year of the last or this century at the start.
fn year(text: &[char]) -> usize {
    match text {
        ['1', '9', a, b, ..] | ['2', '0', a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["ada.lovelace", "Analytical Engines"];

    #[test]
    fn common_words_years_rows_and_repeats_are_guessed() {
        for guessed in [
            "passwordpassword",
            "Password1234!",
            "P@ssw0rd2024!",
            "qwertyuiop123",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "121212121212",
            "123456789012",
            "iloveyou2024!!",
            "letmeinletmein1",
            "Sendpromptly1!",
            "Summer2026!!",
            "zxcvbnmasdfghjkl",
            "dragonmonkeyfootball",
            "1q2w3e4r5t6y",
            "adalovelace12",
            "Analytical-2026",
        ] {
            assert!(is_guessable(guessed, &OWN), "{guessed}");
        }
    }

    #[test]
    fn several_words_of_ones_own_and_random_text_are_not() {
        for good in [
            "correct horse battery",
            "tr7-Vq9p.Lw2x",
            "nine purple otters skate",
            "mein Fahrrad quietscht",
            "雨が降る日は本を読むのが好き",
            &"é".repeat(64),
        ] {
            assert!(!is_guessable(good, &OWN), "{good}");
        }
    }
}
