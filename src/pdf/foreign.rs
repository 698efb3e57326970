//! Text of people and of other providers, made fit to be printed: nothing in it steers the page or the reader's eye.
//!
//! What is drawn is what was there: a character that cannot be drawn, or that would be seen by nobody (controls, marks
//! that turn the direction of writing, zero widths), stands as its code, `‹U+202E›`. Letters of scripts that are written from right
//! to left, or that join, stand as codes too: set one after the other they would say something else.

use super::face::{Face, Faces};

/// Marks on one letter that are drawn; a pile of them would cover the lines above.
const MARKS_MAX: usize = 2;

/// Letter, mark, and the two in one: what Turkish is written with. Programs that take letters apart are common.
const WHOLE: &[(char, char, char)] = &[
    ('s', '\u{327}', 'ş'),
    ('S', '\u{327}', 'Ş'),
    ('c', '\u{327}', 'ç'),
    ('C', '\u{327}', 'Ç'),
    ('g', '\u{306}', 'ğ'),
    ('G', '\u{306}', 'Ğ'),
    ('o', '\u{308}', 'ö'),
    ('O', '\u{308}', 'Ö'),
    ('u', '\u{308}', 'ü'),
    ('U', '\u{308}', 'Ü'),
    ('I', '\u{307}', 'İ'),
    ('a', '\u{302}', 'â'),
    ('A', '\u{302}', 'Â'),
    ('i', '\u{302}', 'î'),
    ('u', '\u{302}', 'û'),
];

/// A text on one line, each character of which this face can draw.
pub(super) fn shown(faces: &Faces, face: Face, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut last, mut marks) = (None, 0);
    for c in text.chars() {
        if is_mark(c) {
            let whole = WHOLE
                .iter()
                .find(|(letter, mark, _)| Some(*letter) == last && *mark == c);
            if let (Some((_, _, whole)), 0) = (whole, marks) {
                out.pop();
                out.push(*whole);
                last = Some(*whole);
                continue;
            }
            marks += 1;
            // A mark without a letter would stand on whatever is before it.
            if last.is_none() || marks > MARKS_MAX || faces.glyph(face, c).is_none() {
                push_code(&mut out, c);
            } else {
                out.push(c);
            }
            continue;
        }
        marks = 0;
        last = None;
        if is_blank(c) {
            out.push(' ');
        } else if is_plain(c) && faces.glyph(face, c).is_some() {
            out.push(c);
            last = Some(c);
        } else {
            push_code(&mut out, c);
        }
    }
    out
}

/// Words of a person on several lines, as one text: the ends of lines stay to be seen.
pub(super) fn on_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines.join(" ⏎ ")
}

fn push_code(out: &mut String, c: char) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "‹U+{:04X}›", u32::from(c));
}

/// Combining marks of the blocks our faces draw.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// Blanks of any width.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Seen as itself, where it stands.
fn is_plain(c: char) -> bool {
    let hidden = c.is_control()
        || matches!(
            c,
            // Soft hyphen, joiners, fillers, direction marks, separators, byte order mark, variation selectors.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}'
        );
    // Right to left (Hebrew to Arabic, with the forms of presentation), joining scripts, private use.
    let turned = matches!(
        c,
        '\u{590}'..='\u{dff}' | '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{e000}'..='\u{f8ff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    );
    !hidden && !turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> String {
        shown(&Faces::read().unwrap(), Face::Text, text)
    }

    #[test]
    fn what_would_not_be_seen_is_shown_by_its_code() {
        for (said, printed) in [
            ("Fiyat TEKLİFİ: ıİşŞğĞçÇöÖüÜ €", "Fiyat TEKLİFİ: ıİşŞğĞçÇöÖüÜ €"),
            ("a\r\nBcc: b", "a‹U+000D›‹U+000A›Bcc: b"),
            ("fatura\u{202e}fdp.exe", "fatura‹U+202E›fdp.exe"),
            ("a\u{200b}b\u{feff}", "a‹U+200B›b‹U+FEFF›"),
            ("中", "‹U+4E2D›"),
            ("שלום", "‹U+05E9›‹U+05DC›‹U+05D5›‹U+05DD›"),
            ("a\u{a0}b", "a b"),
            // Taken apart, as some systems write it.
            ("s\u{327}I\u{307}g\u{306}", "şİğ"),
            ("\u{301}x", "‹U+0301›x"),
            ("a\u{301}\u{301}\u{301}", "a\u{301}\u{301}‹U+0301›"),
            ("Ελλάδα Москва", "Ελλάδα Москва"),
        ] {
            assert_eq!(text(said), printed, "{said:?}");
        }
        assert_eq!(on_one_line("bir\r\niki\n"), "bir ⏎ iki");
    }

    proptest! {
        #[test]
        fn every_character_of_the_result_can_be_drawn(said in any::<String>()) {
            let faces = Faces::read().unwrap();
            for face in [Face::Text, Face::Strong, Face::Mono] {
                let shown = shown(&faces, face, &said);
                for c in shown.chars() {
                    prop_assert!(!c.is_control() && faces.glyph(face, c).is_some(), "{c:?}");
                }
            }
        }
    }
}
