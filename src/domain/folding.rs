//! Turkish folding for search and rule matching: the only place where letters lose their case by Turkish rules. Also how
//! far apart two names are, for "did you mean".
//!
//! `I` folds to `ı` and `İ` to `i`, as a Turkish reader expects; everything else by Unicode. Protocol text is never
//! folded here (see `address`).

use std::cmp::Ordering;

/// So much of two names is compared; no name or key is longer.
const COMPARED_MAX_CHARS: usize = 128;

/// The text in folded form, for "contains" comparisons between two folded texts.
pub fn turkish_fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'I' => folded.push('ı'),
            'İ' => folded.push('i'),
            // U+0307 is what is left of a decomposed İ (I + combining dot above).
            '\u{307}' => {
                if folded.ends_with('ı') {
                    folded.pop();
                    folded.push('i');
                }
            }
            _ => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

/// The same with one letter for all four `i`: for what machines write and read, and for whoever has ASCII only. By it two
/// texts are the same wherever they are the same by ASCII's rule or by the Turkish one.
pub fn plain_fold(text: &str) -> String {
    turkish_fold(text).replace('ı', "i")
}

/// Which of two folded texts comes first in a list: letters stand in the order of the Turkish alphabet (`ç` behind `c`,
/// `ı` before `i`), those with a circumflex behind the plain ones, and everything else by Unicode.
pub fn turkish_order(a: &str, b: &str) -> Ordering {
    a.chars().map(place).cmp(b.chars().map(place))
}

fn place(c: char) -> u32 {
    let beside = |letter: char, by: i32| (letter as u32 * 4).saturating_add_signed(by);
    match c {
        'ç' => beside('c', 2),
        'ğ' => beside('g', 2),
        'ı' => beside('i', -2),
        'ö' => beside('o', 2),
        'ş' => beside('s', 2),
        'ü' => beside('u', 2),
        'â' => beside('a', 1),
        'î' => beside('i', 1),
        'û' => beside('u', 1),
        other => beside(other, 0),
    }
}

/// A key under which names count as the same whatever the case and whichever `i` was typed, so that no two units,
/// roles, labels or rules differ by that alone.
pub fn name_key(name: &str) -> String {
    plain_fold(name.trim())
}

/// Levenshtein's distance. What is longer than `COMPARED_MAX_CHARS` is cut: the work grows with the product of both.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(COMPARED_MAX_CHARS).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(COMPARED_MAX_CHARS).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_as_a_turkish_reader_does() {
        assert_eq!(turkish_fold("IŞIK İÇİN Teklif"), "ışık için teklif");
        assert_eq!(turkish_fold("I\u{307}stanbul"), "istanbul");
        assert_ne!(turkish_fold("ILIK"), turkish_fold("ilik"));
        assert_eq!(name_key(" Isıtma "), name_key("ISITMA"));
        assert_eq!(name_key("İlan"), name_key("ilan"));
    }

    #[test]
    fn lists_stand_in_the_order_of_the_alphabet() {
        let alphabet = "abcçdefgğhıijklmnoöpqrsştuüvwxyz";
        let mut letters: Vec<String> = alphabet.chars().rev().map(String::from).collect();
        letters.sort_by(|a, b| turkish_order(a, b));
        assert_eq!(letters.concat(), alphabet);
        let mut names = [
            "zam", "çam", "cam", "cama", "", "1", "kâr", "kar", "kaş", "ılık", "ilik", "hal",
        ];
        names.sort_by(|a, b| turkish_order(a, b));
        assert_eq!(
            names,
            [
                "", "1", "cam", "cama", "çam", "hal", "ılık", "ilik", "kar", "kaş", "kâr", "zam"
            ]
        );
    }

    #[test]
    fn distance_counts_letters_added_taken_and_changed() {
        assert_eq!(edit_distance("kitap", "kitaplar"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kalem", "kelam"), 2);
    }
}
