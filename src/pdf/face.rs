//! The three faces of the print, and what must be known of them to set a line: which glyph a character has and how wide it is.
//!
//! DejaVu (`fonts/LICENSE`), unchanged: it has all letters of Turkish, Latin, Greek and Cyrillic, and is free to embed.
//! Reads only `cmap` format 12, `hhea`, `hmtx` and `head` (OpenType 1.9), of these files and no others: no shaping, no
//! kerning. Fonts of strangers are never read.

use krilla::text::Font;

static TEXT: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");
static STRONG: &[u8] = include_bytes!("fonts/DejaVuSans-Bold.ttf");
static MONO: &[u8] = include_bytes!("fonts/DejaVuSansMono.ttf");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Text,
    Strong,
    Mono,
}

/// The faces, read once.
pub(super) struct Faces {
    text: Read,
    strong: Read,
    mono: Read,
}

struct Read {
    font: Font,
    units_per_em: f32,
    /// First and last character of a run, and the glyph of the first; in order.
    runs: Vec<(u32, u32, u32)>,
    /// By glyph; the last holds for all that follow.
    advances: Vec<u16>,
}

impl Faces {
    /// None when a file is not a font: a fault of the build.
    pub(super) fn read() -> Option<Self> {
        Some(Self {
            text: Read::new(TEXT)?,
            strong: Read::new(STRONG)?,
            mono: Read::new(MONO)?,
        })
    }

    fn of(&self, face: Face) -> &Read {
        match face {
            Face::Text => &self.text,
            Face::Strong => &self.strong,
            Face::Mono => &self.mono,
        }
    }

    pub(super) fn font(&self, face: Face) -> Font {
        self.of(face).font.clone()
    }

    /// The glyph of a character; none when the face does not have it.
    pub(super) fn glyph(&self, face: Face, c: char) -> Option<u32> {
        let (runs, c) = (&self.of(face).runs, u32::from(c));
        let at = runs.partition_point(|(_, last, _)| *last < c);
        let (first, _, glyph) = runs.get(at).filter(|(first, _, _)| *first <= c)?;
        Some(glyph + (c - first)).filter(|g| *g != 0)
    }

    /// Width of a character, in ems.
    pub(super) fn advance(&self, face: Face, c: char) -> f32 {
        let read = self.of(face);
        let glyph = self.glyph(face, c).unwrap_or(0) as usize;
        let advance = read.advances.get(glyph).or(read.advances.last());
        f32::from(advance.copied().unwrap_or(0)) / read.units_per_em
    }

    /// Width of a text at a size, in points.
    pub(super) fn width(&self, face: Face, size: f32, text: &str) -> f32 {
        text.chars().map(|c| self.advance(face, c)).sum::<f32>() * size
    }
}

impl Read {
    fn new(octets: &'static [u8]) -> Option<Self> {
        let table = |name: &[u8; 4]| table(octets, name);
        let count = u16_at(table(b"hhea")?, 34)?;
        let hmtx = table(b"hmtx")?;
        let advances = (0..usize::from(count)).map(|n| u16_at(hmtx, n * 4)).collect();
        Some(Self {
            font: Font::new(octets.into(), 0)?,
            units_per_em: f32::from(u16_at(table(b"head")?, 18)?),
            runs: runs(table(b"cmap")?)?,
            advances: Option::<Vec<u16>>::filter(advances, |a| !a.is_empty())?,
        })
    }
}

/// A table of the font, by its name.
fn table<'a>(font: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let count = usize::from(u16_at(font, 4)?);
    let record = (0..count)
        .map(|n| 12 + n * 16)
        .find(|at| font.get(*at..at + 4) == Some(name))?;
    let (from, len) = (
        u32_at(font, record + 8)? as usize,
        u32_at(font, record + 12)? as usize,
    );
    font.get(from..from.checked_add(len)?)
}

/// The runs of the subtable of format 12: all of Unicode.
fn runs(cmap: &[u8]) -> Option<Vec<(u32, u32, u32)>> {
    let count = usize::from(u16_at(cmap, 2)?);
    let mut subtables = (0..count).filter_map(|n| cmap.get(u32_at(cmap, 4 + n * 8 + 4)? as usize..));
    let found = subtables.find(|t| u16_at(t, 0) == Some(12))?;
    let groups = u32_at(found, 12)? as usize;
    let group = |n: usize| {
        let at = 16 + n * 12;
        Some((u32_at(found, at)?, u32_at(found, at + 4)?, u32_at(found, at + 8)?))
    };
    (0..groups).map(group).collect()
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    let two = octets.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let four = octets.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_has_the_letters_of_turkish() {
        let faces = Faces::read().unwrap();
        for face in [Face::Text, Face::Strong, Face::Mono] {
            for c in "abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZâîû‹›⏎✓✗".chars()
            {
                assert!(faces.glyph(face, c).is_some(), "{face:?} {c}");
            }
            assert_eq!(faces.glyph(face, '\u{4e2d}'), None);
        }
        // What the table of the font says: 1139 of 2048 units.
        let i = faces.advance(Face::Text, 'm') * 2048.0;
        assert!((1990.0..2000.0).contains(&i), "{i}");
        assert_eq!(
            faces.width(Face::Mono, 10.0, "iİ"),
            faces.width(Face::Mono, 10.0, "mW")
        );
    }
}
