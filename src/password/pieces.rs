//! Whether a password is made of well-known pieces alone.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{error::PasswordErrorKind, length::MIN_LEN};

/// The commonest passwords, all in lowercase; the source is named at the top of the file.
const COMMON: &str = include_str!("common.txt");

/// Keyboard walks: keys in a row. A walk may begin at any key, continue at the first after the last, and go backwards.
const WALKS: [&str; 5] = [
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!@#$%^&*()",
];

/// The shortest walk that counts as one, and the shortest name.
pub(super) const PIECE_MINIMUM: usize = 3;

/// A password of at most this many known pieces, and nothing else, is as easy to guess as they are.
const PIECES: usize = 3;

/// Above this many characters a password is not taken apart.
const PIECES_LIMIT: usize = 64;

/// Returns why `password`, which is in lowercase, is well known. It is checked as it is and without separators.
pub(super) fn well_known(password: &str, names: &[String]) -> Option<PasswordErrorKind> {
    let mut letters = Zeroizing::new(String::with_capacity(password.len()));
    letters.extend(password.chars().filter(|&character| !is_separator(character)));
    // If most of the text is separators, the few letters between them are not checked alone.
    let letters = Some(&letters).filter(|letters| 2 * letters.chars().count() >= password.chars().count());
    let kinds = [Some(password), letters.map(|letters| letters.as_str())];
    let kinds = kinds
        .into_iter()
        .flatten()
        .filter_map(|text| error_kind(text, names));
    kinds.max_by_key(|kind| *kind == PasswordErrorKind::ContainsName)
}

/// Returns why `text` is well known, read as it is.
fn error_kind(text: &str, names: &[String]) -> Option<PasswordErrorKind> {
    let characters: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let period = period(&characters);
    let is_repeated = period < characters.len();
    if is_repeated && period < MIN_LEN {
        return Some(PasswordErrorKind::Common);
    }
    // A repeated text counts once.
    let end = text
        .char_indices()
        .nth(period)
        .map_or(text.len(), |(place, _)| place);
    let once = text.get(..end).filter(|once| !once.is_empty())?;
    if common().any(|entry| entry == once) {
        return Some(PasswordErrorKind::Common);
    }
    if period > PIECES_LIMIT {
        return None;
    }
    split_into_pieces(once, |place| pieces_at(once, place, names))
}

/// A well-known piece of a text: where it ends, and whether it is a name.
#[derive(Clone, Copy)]
struct Piece {
    end: usize,
    is_name: bool,
}

/// The kind of error if `text` is made of at most [`PIECES`] known ones: `Name` if a name can be among them.
///
/// Separators between the pieces are left out, unless they are most of the text. `pieces_at` is called at most once for
/// each place in the text, so the time does not depend on how many ways there are to split it.
fn split_into_pieces(
    text: &str,
    mut pieces_at: impl FnMut(usize) -> Vec<Piece>,
) -> Option<PasswordErrorKind> {
    let most_left_out = text.chars().count() / 2;
    let mut pieces: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
    // The places that the pieces so far lead to, with a name among them or without, and the fewest separators left out.
    let mut reached = BTreeMap::from([((0, false), 0)]);
    let mut error_kind = None;
    for _ in 0..=PIECES {
        for (place, separator) in text
            .char_indices()
            .filter(|(_, character)| is_separator(*character))
        {
            for named in [false, true] {
                if let Some(&left_out) = reached.get(&(place, named)) {
                    lower(&mut reached, (place + separator.len_utf8(), named), left_out + 1);
                }
            }
        }
        let is_whole = |named| {
            reached
                .get(&(text.len(), named))
                .is_some_and(|left_out| *left_out <= most_left_out)
        };
        if is_whole(true) {
            return Some(PasswordErrorKind::ContainsName);
        }
        if is_whole(false) {
            error_kind = Some(PasswordErrorKind::Common);
        }
        let mut further = BTreeMap::new();
        for (&(place, named), &left_out) in &reached {
            for piece in pieces.entry(place).or_insert_with(|| pieces_at(place)) {
                lower(&mut further, (piece.end, named || piece.is_name), left_out);
            }
        }
        reached = further;
    }
    error_kind
}

/// Notes that so few separators need to be left out on the way to `place`.
fn lower(reached: &mut BTreeMap<(usize, bool), usize>, place: (usize, bool), left_out: usize) {
    let fewest = reached.entry(place).or_insert(left_out);
    *fewest = left_out.min(*fewest);
}

/// The known pieces that begin at `place` in `text`.
fn pieces_at(text: &str, place: usize, names: &[String]) -> Vec<Piece> {
    let rest = text.get(place..).unwrap_or_default();
    let whole = |length: usize, is_name| Piece {
        end: place + length,
        is_name,
    };
    let begins = |piece: &str| !piece.is_empty() && rest.starts_with(piece);
    let names = names.iter().filter(|name| begins(name));
    let names = names.map(|name| whole(name.len(), true));
    let walks = (PIECE_MINIMUM..=walk(rest)).map(|length| whole(length, false));
    let common = common().filter(|entry| begins(entry));
    let common = common.map(|entry| whole(entry.len(), false));
    names.chain(walks).chain(common).collect()
}

pub(super) fn common() -> impl Iterator<Item = &'static str> {
    COMMON.lines().filter(|line| !line.starts_with('#'))
}

/// Whether users put this between words.
pub(super) fn is_separator(character: char) -> bool {
    !character.is_alphanumeric()
}

/// The length of the shortest piece that `characters` repeat twice or more often, the last time perhaps cut; all of them
/// if there is none.
fn period(characters: &[char]) -> usize {
    (1..=characters.len() / 2)
        .find(|&period| {
            characters
                .iter()
                .zip(characters.iter().skip(period))
                .all(|(one, next)| one == next)
        })
        .unwrap_or(characters.len())
}

/// How many characters of `text` the longest walk that it begins with has, all of which are ASCII.
fn walk(text: &str) -> usize {
    let walks = WALKS.iter();
    let lengths = walks.flat_map(|walk| [steps(walk, text, false), steps(walk, text, true)]);
    lengths.max().unwrap_or_default()
}

/// How many characters of `text` go along `walk`, all of which are ASCII.
fn steps(walk: &str, text: &str, backwards: bool) -> usize {
    let keys = walk.as_bytes();
    let Some(first) = text.bytes().next() else {
        return 0;
    };
    let Some(start) = keys.iter().position(|&key| key == first) else {
        return 0;
    };
    let step = if backwards { keys.len() - 1 } else { 1 };
    let along = (0..).map(|number| keys.get((start + number * step) % keys.len()).copied());
    text.bytes()
        .zip(along)
        .take_while(|&(byte, key)| Some(byte) == key)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_of_a_text_is_looked_at_once() {
        for text in [
            format!("{}\u{e9}", "abcdefghijklmnopqrstuvwxyz".repeat(3)),
            format!("{}\u{e9}", "1234567890!@#$%^&*()".repeat(3)),
        ] {
            let text: String = text.chars().rev().take(PIECES_LIMIT).collect();
            let text: String = text.chars().rev().collect();
            let mut places = Vec::new();
            let error_kind = split_into_pieces(&text, |place| {
                places.push(place);
                pieces_at(&text, place, &[])
            });
            assert_eq!(error_kind, None, "{text}");
            assert!(places.len() > 20, "{text}: it is taken apart at all");
            places.sort_unstable();
            let count = places.len();
            places.dedup();
            assert_eq!(places.len(), count, "{text}: a place was looked at twice");
        }
    }

    #[test]
    fn period_is_that_of_the_shortest_repeated_piece() {
        for (text, expected) in [
            ("", 0),
            ("a", 1),
            ("aa", 1),
            ("abab", 2),
            ("ababa", 2),
            ("abcab", 5),
            ("passwordpassword", 8),
        ] {
            let characters: Vec<char> = text.chars().collect();
            assert_eq!(period(&characters), expected, "{text}");
        }
    }
}
