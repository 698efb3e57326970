//! How texts are cut into terms, so that the terms of an index say everything about where a text stands.
//!
//! A text is cut before each word character that follows another character: `ankara'da toplantı` gives `ankara'`, `da ` and
//! `toplantı`. Whether there is a cut depends on two neighbours only. So wherever a wanted text stands in a larger one, the
//! larger one is cut inside it exactly as the wanted text is by itself: its first piece ends a term, those in the
//! middle are whole terms, its last begins one; a single piece stands within a term. All terms after one another
//! are the text again, separators included, and a search that knows their positions need not read the text.
//!
//! Terms longer than a window are kept as overlapping windows. The numbers of one term's windows are two apart, so that
//! only its last window has the next term as its neighbour, and only its first the one before.

/// The longest piece of a wanted text that is decided by terms alone; any run of so many characters is within one window.
pub const PIECE_MAX_CHARS: usize = 32;
/// Pieces of a wanted text that are compared by position: a long sentence. What is longer is read.
pub const PIECES_MAX: usize = 48;
/// So many characters of a wanted text at most are decided about by terms.
pub const DECIDED_MAX_CHARS: usize = PIECES_MAX * PIECE_MAX_CHARS;
/// Characters of a window.
const WINDOW_CHARS: usize = 2 * PIECE_MAX_CHARS;

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// A text in pieces; one after the other they are the text.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: &'a str,
}

pub fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut after_gap = false;
        let cut = self.rest.char_indices().find_map(|(at, c)| {
            let word = is_word(c);
            let here = word && after_gap;
            after_gap = !word;
            here.then_some(at)
        });
        let (piece, rest) = self.rest.split_at(cut.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

/// Numbers the terms of one document, passage after passage.
#[derive(Debug, Default)]
pub struct Numbering {
    next: u32,
}

impl Numbering {
    /// Gives every term of a passage with its number. Nothing is a neighbour across passages.
    pub fn passage(&mut self, text: &str, mut each: impl FnMut(&str, u32)) {
        for piece in pieces(text) {
            self.piece(piece, &mut each);
        }
        self.next = self.next.saturating_add(1);
    }

    fn piece(&mut self, piece: &str, each: &mut impl FnMut(&str, u32)) {
        let mut rest = piece;
        while let Some(end) = char_offset(rest, WINDOW_CHARS) {
            each(&rest[..end], self.next);
            self.next = self.next.saturating_add(2);
            let step = char_offset(rest, WINDOW_CHARS / 2).unwrap_or(rest.len());
            rest = &rest[step..];
        }
        each(rest, self.next);
        self.next = self.next.saturating_add(1);
    }
}

/// Where character number `n` begins, if a text has more than `n` characters.
fn char_offset(text: &str, n: usize) -> Option<usize> {
    // No text has more characters than octets.
    if text.len() <= n {
        return None;
    }
    text.char_indices().nth(n).map(|(at, _)| at)
}

/// Whether terms alone decide about a piece.
pub fn is_short(piece: &str) -> bool {
    char_offset(piece, PIECE_MAX_CHARS).is_none()
}

/// The beginning of a piece that terms decide about.
pub fn shortened(piece: &str) -> &str {
    &piece[..char_offset(piece, PIECE_MAX_CHARS).unwrap_or(piece.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        pieces(text).collect()
    }

    #[test]
    fn a_text_is_cut_before_words() {
        assert_eq!(cut("ankara'da  toplantı."), ["ankara'", "da  ", "toplantı."]);
        assert_eq!(cut(" ışık\r\nvar"), [" ", "ışık\r\n", "var"]);
        assert_eq!(cut("..."), ["..."]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn long_terms_become_windows_with_a_neighbour_at_their_ends_only() {
        let long = "x".repeat(100);
        let mut terms = Vec::new();
        Numbering::default().passage(&format!("ab {long} cd"), |term, n| {
            terms.push((term.to_owned(), n))
        });
        let lengths: Vec<(usize, u32)> = terms.iter().map(|(t, n)| (t.len(), *n)).collect();
        // 101 octets with the space behind: windows from 0, 32 and 64; then `cd`.
        assert_eq!(lengths, [(3, 0), (64, 1), (64, 3), (37, 5), (2, 6)]);
    }

    proptest! {
        /// Where a text stands inside another, the other is cut alike inside it.
        #[test]
        fn cuts_depend_on_neighbours_only(before in "[a ı.]{0,6}", text in "[a ı.]{1,9}", after in "[a ı.]{0,6}") {
            let whole = format!("{before}{text}{after}");
            prop_assert_eq!(cut(&whole).concat(), whole.clone());
            let inside = |cuts: &[&str], from: usize, to: usize| {
                let ends = cuts.iter().scan(0, |at, c| { *at += c.len(); Some(*at) });
                ends.filter(|at| *at > from && *at < to).map(|at| at - from).collect::<Vec<_>>()
            };
            let end = before.len() + text.len();
            prop_assert_eq!(inside(&cut(&whole), before.len(), end), inside(&cut(&text), 0, text.len()));
        }

        /// Every short run of characters of a long term lies within one of its windows.
        #[test]
        fn short_runs_lie_within_a_window(length in 1usize..300, at in 0usize..300, run in 1usize..=PIECE_MAX_CHARS) {
            let term: String = (0..length).map(|n| char::from_u32(0x4e00 + n as u32).unwrap()).collect();
            let run: String = term.chars().skip(at % length).take(run).collect();
            let mut windows = Vec::new();
            Numbering::default().passage(&term, |window, _| windows.push(window.to_owned()));
            prop_assert!(windows.iter().any(|w| w.contains(&run)));
            prop_assert!(windows.iter().all(|w| w.chars().count() <= WINDOW_CHARS));
        }
    }
}
