//! A text to look for: by which letters it is compared, and where it stands in folded texts.
//!
//! Two rules (see [`Letters`]). Under both, texts are kept in one form: as [`turkish_fold`] gives them. What machines write
//! and read (addresses, ids) is kept by [`plain_fold`] and compared by it always. The scan of a message and the full-text
//! index look with the same needle, so that they cannot differ in what "the same letter" means. It does not know what of
//! a message is searched.

use super::folding::{plain_fold, turkish_fold};
use memchr::memmem::Finder;

/// Up to so many octets a needle is compared in place, at every letter it could begin with. Longer ones would let one
/// search of one mail take minutes; they are looked for in a copy.
const IN_PLACE_MAX_OCTETS: usize = 192;

/// `ı` in UTF-8; `i` is one octet.
const DOTLESS: &[u8] = "ı".as_bytes();

/// Which letters are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Letters {
    /// `I` is the great letter of `ı`, `İ` of `i`.
    Turkish,
    /// `I`, `i`, `İ` and `ı` are one letter: to whoever has ASCII only, `I` and `i` are, and he cannot write the others.
    /// It finds all that either reader expects.
    AnyI,
}

/// A wanted text, made ready. Two are the same when they ask the same.
#[derive(Debug, Clone)]
pub struct Wanted {
    letters: Letters,
    folded: String,
    words: Needle,
    plain: Needle,
    plainly: String,
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from these.
        self.letters == other.letters && self.folded == other.folded
    }
}

impl Wanted {
    pub fn new(text: &str, letters: Letters) -> Self {
        let (folded, plainly) = (turkish_fold(text), plain_fold(text));
        Self {
            letters,
            words: Needle::new(folded.as_bytes(), letters),
            plain: Needle::new(plainly.as_bytes(), Letters::Turkish),
            folded,
            plainly,
        }
    }

    /// As a Turkish reader expects.
    pub fn turkish(text: &str) -> Self {
        Self::new(text, Letters::Turkish)
    }

    pub fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }

    /// What is compared with words: with the rule of [`Wanted::letters`].
    pub fn in_words(&self) -> &str {
        &self.folded
    }

    /// What is compared with what is kept by [`plain_fold`]: letter by letter.
    pub fn in_plain(&self) -> &str {
        &self.plainly
    }

    pub fn letters(&self) -> Letters {
        self.letters
    }

    /// Whether it stands in a text that [`turkish_fold`] gave.
    pub fn is_in_words(&self, folded: &str) -> bool {
        self.words.is_in(folded)
    }

    /// Whether it stands in a text that [`plain_fold`] gave.
    pub fn is_in_plain(&self, plain: &str) -> bool {
        self.plain.is_in(plain)
    }
}

/// Octets to look for, of which each `i` may stand for `ı` too.
#[derive(Debug, Clone)]
pub struct Needle {
    /// With `i` for both letters, if that is the rule.
    octets: Vec<u8>,
    letters: Letters,
    /// The longest run that is only itself, and where it begins; what stands around it is compared where it is found.
    anchor: Finder<'static>,
    anchor_at: usize,
    anchor_end: usize,
}

impl Needle {
    /// Of a text that [`turkish_fold`] gave; marks that are no UTF-8 may stand around it.
    pub fn new(folded: &[u8], letters: Letters) -> Self {
        let (octets, letters) = match letters {
            Letters::AnyI if holds_i(folded) => (undotted(folded), Letters::AnyI),
            // Nothing in it has two forms.
            _ => (folded.to_vec(), Letters::Turkish),
        };
        let (anchor_at, anchor_end) = match letters {
            Letters::Turkish => (0, octets.len()),
            Letters::AnyI => longest_run(&octets),
        };
        let anchor = octets.get(anchor_at..anchor_end).unwrap_or_default();
        Self {
            anchor: Finder::new(anchor).into_owned(),
            anchor_at,
            anchor_end,
            octets,
            letters,
        }
    }

    /// What is looked for; with [`Letters::AnyI`] each `i` stands for `ı` too.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// [`Letters::AnyI`] only if that makes a difference.
    pub fn letters(&self) -> Letters {
        self.letters
    }

    /// Whether it stands in a folded text.
    pub fn is_in(&self, text: &str) -> bool {
        if self.letters == Letters::AnyI && self.octets.len() > IN_PLACE_MAX_OCTETS {
            let copy = undotted(text.as_bytes());
            return memchr::memmem::find(&copy, &self.octets).is_some();
        }
        self.first_in(text.as_bytes(), 0).is_some()
    }

    /// Where it begins first, at `from` or behind.
    pub fn first_in(&self, hay: &[u8], from: usize) -> Option<usize> {
        if self.letters == Letters::Turkish {
            return Some(from + self.anchor.find(hay.get(from..)?)?);
        }
        let mut at = from;
        while let Some(found) = self.next_anchor(hay, at) {
            let begins = backwards(hay, from, found, self.octets.get(..self.anchor_at)?);
            let behind = self.octets.get(self.anchor_end..)?;
            let ends = || forwards(hay, found + self.anchor_end - self.anchor_at, behind);
            if let Some(begins) = begins.filter(|_| ends().is_some()) {
                return Some(begins);
            }
            at = found + 1;
        }
        None
    }

    fn next_anchor(&self, hay: &[u8], from: usize) -> Option<usize> {
        let rest = hay.get(from..)?;
        let found = if self.anchor_at < self.anchor_end {
            self.anchor.find(rest)
        } else {
            // It is made of this letter only.
            memchr::memchr2(b'i', 0xc4, rest)
        };
        Some(from + found?)
    }
}

fn holds_i(folded: &[u8]) -> bool {
    folded.contains(&b'i') || folded.windows(DOTLESS.len()).any(|two| two == DOTLESS)
}

/// With `i` for `ı`.
fn undotted(folded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(folded.len());
    let mut rest = folded;
    while let Some(at) = memchr::memmem::find(rest, DOTLESS) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b'i');
        rest = from.get(DOTLESS.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// The longest run without an `i`.
fn longest_run(octets: &[u8]) -> (usize, usize) {
    let (mut best, mut at) = ((0, 0), 0);
    for run in octets.split(|octet| *octet == b'i') {
        if run.len() > best.1 - best.0 {
            best = (at, at + run.len());
        }
        at += run.len() + 1;
    }
    best
}

/// Where a pattern ends that begins at `at`.
fn forwards(hay: &[u8], mut at: usize, pattern: &[u8]) -> Option<usize> {
    for octet in pattern {
        let rest = hay.get(at..)?;
        at += match rest.first()? {
            first if first == octet => 1,
            _ if *octet == b'i' && rest.starts_with(DOTLESS) => DOTLESS.len(),
            _ => return None,
        };
    }
    Some(at)
}

/// Where a pattern begins that ends at `at`, not before `from`.
fn backwards(hay: &[u8], from: usize, mut at: usize, pattern: &[u8]) -> Option<usize> {
    for octet in pattern.iter().rev() {
        let before = hay.get(from..at)?;
        at -= match before.last()? {
            last if last == octet => 1,
            _ if *octet == b'i' && before.ends_with(DOTLESS) => DOTLESS.len(),
            _ => return None,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_in(text: &str, wanted: &str, letters: Letters) -> bool {
        Wanted::new(wanted, letters).is_in_words(&turkish_fold(text))
    }

    #[test]
    fn a_turkish_reader_tells_the_two_letters_apart_and_ascii_does_not() {
        for (text, wanted, turkish, any) in [
            ("IŞIK", "ışık", true, true),
            ("IŞIK", "işik", false, true),
            ("INFO", "info", false, true),
            ("info", "INFO", false, true),
            ("İHALE", "ihale", true, true),
            ("İHALE", "IHALE", false, true),
            ("ilan", "ılan", false, true),
            ("bılgi", "BILGI", false, true),
            ("bilgi", "bilge", false, false),
            ("", "", true, true),
        ] {
            assert_eq!(is_in(text, wanted, Letters::Turkish), turkish, "{text} {wanted}");
            assert_eq!(is_in(text, wanted, Letters::AnyI), any, "{text} {wanted}");
        }
    }

    #[test]
    fn addresses_know_one_i_whatever_the_rule() {
        let wanted = Wanted::turkish("ALICI");
        assert!(wanted.is_in_plain(&plain_fold("alici@hs02.kep.test")));
        assert!(!wanted.is_in_words(&turkish_fold("alici@hs02.kep.test")));
    }

    #[test]
    fn the_first_place_is_found_and_marks_may_stand_around() {
        let hay = "\u{131}i kız kiz".as_bytes();
        let needle = Needle::new("kiz".as_bytes(), Letters::AnyI);
        assert_eq!(
            (needle.first_in(hay, 0), needle.first_in(hay, 5)),
            (Some(4), Some(9))
        );
        assert_eq!(needle.first_in(hay, 10), None);
        let marked = [&[0xff], "kız".as_bytes(), &[0xff]].concat();
        let ending = [b"iz".as_slice(), &[0xff]].concat();
        assert_eq!(Needle::new(&ending, Letters::AnyI).first_in(&marked, 0), Some(2));
        assert_eq!(Needle::new(b"ii", Letters::AnyI).first_in(hay, 0), Some(0));
    }

    #[test]
    fn a_long_needle_is_found_too() {
        let long = "çıkı".repeat(90);
        assert!(is_in(
            &format!("a{}b", "ÇIKI".repeat(90)),
            &long.replace('ı', "i"),
            Letters::AnyI
        ));
        assert!(!is_in(&long, &(long.clone() + "x"), Letters::AnyI));
    }

    proptest! {
        /// The rule is what folding both sides plainly says.
        #[test]
        fn any_i_is_what_plain_folding_says(text in "[ıiIİnbc ]{0,40}", wanted in "[ıiIİnbc ]{0,5}") {
            let plain = plain_fold(&text).contains(&plain_fold(&wanted));
            prop_assert_eq!(is_in(&text, &wanted, Letters::AnyI), plain);
            let turkish = turkish_fold(&text).contains(&turkish_fold(&wanted));
            prop_assert_eq!(is_in(&text, &wanted, Letters::Turkish), turkish);
            prop_assert!(plain || !turkish);
        }

        #[test]
        fn what_is_there_is_found(before in "[ıinb]{0,9}", wanted in "[ıinb]{1,6}", after in "[ıinb]{0,9}") {
            let hay = before.clone() + &wanted + &after;
            let swapped: String = wanted.chars().map(|c| match c { 'i' => 'ı', 'ı' => 'i', c => c }).collect();
            let at = Needle::new(swapped.as_bytes(), Letters::AnyI).first_in(hay.as_bytes(), 0);
            prop_assert!(at.is_some_and(|at| at <= before.len()));
        }
    }
}
