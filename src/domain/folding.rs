//! Turkish folding for search and rule matching: the only place where letters lose their case by Turkish rules. Also how
//! far apart two names are, for "did you mean".
//!
//! `I` folds to `ı` and `İ` to `i`, as a Turkish reader expects; everything else by Unicode. Protocol text is never
//! folded here (see `address`).

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

/// A key under which names count as the same whatever the case and whichever `i` was typed, so that no two units,
/// roles, labels or rules differ by that alone.
pub fn name_key(name: &str) -> String {
    turkish_fold(name.trim()).replace('ı', "i")
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
    fn distance_counts_letters_added_taken_and_changed() {
        assert_eq!(edit_distance("kitap", "kitaplar"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kalem", "kelam"), 2);
    }
}
