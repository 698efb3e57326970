//! Breaking text into lines of a width. Words break at blanks; a word wider than the line (a digest, an address) breaks
//! after its punctuation, and in the last resort anywhere.

use super::face::{Face, Faces};
use super::foreign;

/// Leading: from one base line to the next, in ems.
const LEADING: f32 = 1.32;

/// Colours of the print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    /// Labels and the English words.
    Grey,
    /// Headings.
    Blue,
    Green,
    Red,
    Amber,
    /// Grounds, pale.
    PaleBlue,
    PaleGrey,
    PaleGreen,
    PaleRed,
    PaleAmber,
    /// Thin rules.
    Rule,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub face: Face,
    pub size: f32,
    pub ink: Ink,
}

impl Style {
    pub(super) const fn new(face: Face, size: f32, ink: Ink) -> Self {
        Self { face, size, ink }
    }
}

/// A stretch of text of one style.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub text: String,
    pub style: Style,
}

/// A stretch within a line, at its place from the left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub x: f32,
    pub text: String,
    pub style: Style,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    pub pieces: Vec<Piece>,
    /// Of the widest style in it.
    pub height: f32,
}

/// Sets spans one after the other; "\n" in one of ours begins a new line. Whatever cannot be drawn is replaced.
pub(super) fn wrap(faces: &Faces, spans: &[Span], width: f32) -> Vec<Line> {
    let mut setter = Setter {
        faces,
        width,
        lines: Vec::new(),
        line: Line::default(),
        x: 0.0,
        blank: None,
    };
    for span in spans {
        for (n, text) in span.text.split('\n').enumerate() {
            if n > 0 {
                setter.end_line();
            }
            setter.line.height = setter.line.height.max(span.style.size * LEADING);
            setter.text(&foreign::shown(faces, span.style.face, text), span.style);
        }
    }
    setter.end_line();
    setter.lines
}

pub(super) fn height(lines: &[Line]) -> f32 {
    lines.iter().map(|l| l.height).sum()
}

struct Setter<'a> {
    faces: &'a Faces,
    width: f32,
    lines: Vec<Line>,
    line: Line,
    x: f32,
    /// A blank that is set only if a word follows on the same line.
    blank: Option<Style>,
}

impl Setter<'_> {
    fn text(&mut self, text: &str, style: Style) {
        for (n, word) in text.split(' ').enumerate() {
            if n > 0 && self.x > 0.0 {
                self.blank = Some(style);
            }
            if !word.is_empty() {
                self.word(word, style);
            }
        }
    }

    fn word(&mut self, word: &str, style: Style) {
        if self.fits(word, style) {
            return self.put(word, style);
        }
        if self.measure(word, style) <= self.width {
            self.end_line();
            return self.put(word, style);
        }
        for part in word.split_inclusive(['@', '.', '-', '/', ',', ';', ':', '=', '_', '+']) {
            if self.fits(part, style) {
                self.put(part, style);
            } else if self.measure(part, style) <= self.width {
                self.end_line();
                self.put(part, style);
            } else {
                self.by_characters(part, style);
            }
        }
    }

    fn by_characters(&mut self, part: &str, style: Style) {
        let mut piece = String::new();
        let mut at = self.x + self.blank_width();
        for c in part.chars() {
            let advance = self.faces.advance(style.face, c) * style.size;
            if at + advance > self.width && (at > 0.0 || !piece.is_empty()) {
                if !piece.is_empty() {
                    self.put(&std::mem::take(&mut piece), style);
                }
                self.end_line();
                at = 0.0;
            }
            piece.push(c);
            at += advance;
        }
        if !piece.is_empty() {
            self.put(&piece, style);
        }
    }

    fn measure(&self, text: &str, style: Style) -> f32 {
        self.faces.width(style.face, style.size, text)
    }

    fn blank_width(&self) -> f32 {
        self.blank.map_or(0.0, |style| self.measure(" ", style))
    }

    fn fits(&self, text: &str, style: Style) -> bool {
        // A hundredth of a point: sums of floats.
        self.x + self.blank_width() + self.measure(text, style) <= self.width + 0.01
    }

    fn put(&mut self, text: &str, style: Style) {
        let blank = self.blank.take();
        self.line.height = self.line.height.max(style.size * LEADING);
        match (self.line.pieces.last_mut(), blank) {
            (Some(last), blank) if last.style == style && blank.is_none_or(|b| b == style) => {
                if blank.is_some() {
                    last.text.push(' ');
                    self.x += self.faces.width(style.face, style.size, " ");
                }
                last.text.push_str(text);
            }
            (_, blank) => {
                self.x += blank.map_or(0.0, |b| self.faces.width(b.face, b.size, " "));
                self.line.pieces.push(Piece {
                    x: self.x,
                    text: text.to_owned(),
                    style,
                });
            }
        }
        self.x += self.faces.width(style.face, style.size, text);
    }

    fn end_line(&mut self) {
        let next = Line {
            pieces: Vec::new(),
            height: 0.0,
        };
        self.lines.push(std::mem::replace(&mut self.line, next));
        self.x = 0.0;
        self.blank = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STYLE: Style = Style::new(Face::Text, 10.0, Ink::Black);

    fn set(text: &str, width: f32) -> Vec<Line> {
        let span = Span {
            text: text.into(),
            style: STYLE,
        };
        wrap(&Faces::read().unwrap(), &[span], width)
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        let whole = |l: &Line| l.pieces.iter().map(|p| p.text.as_str()).collect();
        lines.iter().map(whole).collect()
    }

    #[test]
    fn words_break_at_blanks_and_long_ones_after_punctuation() {
        assert_eq!(texts(&set("bir iki üç", 40.0)), ["bir iki", "üç"]);
        assert_eq!(texts(&set("bir\niki", 400.0)), ["bir", "iki"]);
        let address = texts(&set("cokuzunbirad@hs01.kep.test", 90.0));
        assert_eq!(address, ["cokuzunbirad@", "hs01.kep.test"]);
        let digest = "0123456789abcdef".repeat(4);
        let lines = texts(&set(&digest, 100.0));
        assert!(lines.len() > 3 && lines.concat() == digest, "{lines:?}");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked_and_no_letter_is_lost(
            text in "[a-zA-ZığüşöçİĞÜŞÖÇ0-9@._ -]{0,200}", width in 20f32..300.0
        ) {
            let faces = Faces::read().unwrap();
            let lines = set(&text, width);
            for line in &lines {
                for piece in &line.pieces {
                    let end = piece.x + faces.width(STYLE.face, STYLE.size, &piece.text);
                    prop_assert!(end <= width + 0.1, "{end} of {width}");
                }
            }
            let letters = |t: &str| t.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&texts(&lines).concat()), letters(&text));
        }
    }
}
