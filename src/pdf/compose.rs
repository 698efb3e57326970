//! From marks on pages to the octets of a PDF/A-3b (over `krilla`; its types stop here and in `face`).

use super::face::{Face, Faces};
use super::lines::{Ink, Style};
use super::paper::{Bookmark, LEFT, MEASURE, Mark, PAGE_HEIGHT, PAGE_WIDTH};
use super::sections;
use super::summary::{Attachment, Summary};
use super::{foreign, words};
use crate::clock::UtcTime;
use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};

/// Of the subject in the title of the file: what a window shows. A string of a PDF/A has at most 32,767 octets.
const TITLE_MAX_CHARACTERS: usize = 200;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PressError {
    #[error("the fonts of the print cannot be read")]
    Fonts,
    #[error("the print does not come to a PDF/A: {0}")]
    Refused(String),
}

/// What prints: the fonts are read once.
pub struct Press {
    faces: Faces,
}

impl Press {
    pub fn new() -> Result<Self, PressError> {
        Faces::read().map(|faces| Self { faces }).ok_or(PressError::Fonts)
    }

    /// The octets of the PDF.
    pub fn print(&self, summary: &Summary) -> Result<Vec<u8>, PressError> {
        let refused = |why: String| PressError::Refused(why);
        let configuration = ConfigurationBuilder::new()
            .with_archival_validator(Archival::A3_B)
            .finish()
            .map_err(|e| refused(format!("{e:?}")))?;
        let mut document = Document::new_with(SerializeSettings {
            configuration,
            enable_tagging: false,
            ..Default::default()
        });
        document.set_metadata(self.metadata(summary));
        let paper = sections::set(&self.faces, summary);
        let count = paper.pages.len();
        for (n, marks) in paper.pages.iter().enumerate() {
            let settings = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT);
            let mut page = document.start_page_with(settings.ok_or_else(|| refused("the page".into()))?);
            let mut surface = page.surface();
            for mark in marks.iter().chain(&self.around(summary, n + 1, count)) {
                self.draw(&mut surface, mark);
            }
            surface.finish();
            page.finish();
        }
        document.set_outline(outline(&paper.bookmarks));
        attach(&mut document, summary);
        document.finish().map_err(|e| refused(format!("{e} {e:?}")))
    }

    fn metadata(&self, summary: &Summary) -> Metadata {
        let subject: String = summary.mail.subject.chars().take(TITLE_MAX_CHARACTERS).collect();
        let subject = foreign::shown(&self.faces, Face::Text, &subject);
        Metadata::new()
            .title(format!("KEP delil özeti: {subject}"))
            .description(format!("KEP iletisi {}", summary.mail.id))
            .authors(vec![summary.provider.clone()])
            .creator("kepd".into())
            .producer("kepd (krilla)".into())
            .language("tr-TR".into())
            .creation_date(date(summary.prepared_at))
            .document_id(format!("{} {}", summary.mail.id, summary.prepared_at))
    }

    /// Head and foot of a page.
    fn around(&self, summary: &Summary, page: usize, of: usize) -> Vec<Mark> {
        let small = Style::new(Face::Text, 7.0, Ink::Grey);
        let text = |x, y, text: String, style| Mark::Text { x, y, text, style };
        let right = |y, said: String, style: Style| {
            let width = self.faces.width(style.face, style.size, &said);
            text(LEFT + MEASURE - width, y, said, style)
        };
        let rule = |y| Mark::Fill {
            x: LEFT,
            y,
            width: MEASURE,
            height: 0.5,
            ink: Ink::Rule,
        };
        let foot = PAGE_HEIGHT - 50.0;
        let mut marks = vec![
            rule(foot),
            text(
                LEFT,
                foot + 12.0,
                "Bu özet tek başına delil değildir; delil, listelediği imzalı ve zaman damgalı belgelerdir."
                    .into(),
                small,
            ),
            text(
                LEFT,
                foot + 21.0,
                "This summary is not evidence by itself; the sealed and time-stamped documents it lists are."
                    .into(),
                Style { size: 6.0, ..small },
            ),
            right(
                foot + 12.0,
                format!("sayfa {page} / {of}"),
                Style::new(Face::Strong, 7.5, Ink::Black),
            ),
        ];
        if page > 1 {
            marks.push(text(
                LEFT,
                38.0,
                format!("KEP delil özeti · ileti {}", summary.mail.id),
                small,
            ));
            let made = words::both_times(summary.prepared_at);
            marks.push(right(38.0, made, small));
            marks.push(rule(44.0));
        }
        marks
    }

    fn draw(&self, surface: &mut Surface<'_>, mark: &Mark) {
        match mark {
            Mark::Fill {
                x,
                y,
                width,
                height,
                ink,
            } => {
                let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else {
                    return;
                };
                let mut path = PathBuilder::new();
                path.push_rect(rect);
                if let Some(path) = path.finish() {
                    surface.set_fill(Some(fill(*ink)));
                    surface.draw_path(&path);
                }
            }
            Mark::Text { x, y, text, style } => {
                let glyphs: Vec<KrillaGlyph> = text
                    .char_indices()
                    .filter_map(|(at, c)| self.glyph(*style, at, c))
                    .collect();
                surface.set_fill(Some(fill(style.ink)));
                let font = self.faces.font(style.face);
                surface.draw_glyphs(Point::from_xy(*x, *y), &glyphs, font, text, style.size, false);
            }
        }
    }

    fn glyph(&self, style: Style, at: usize, c: char) -> Option<KrillaGlyph> {
        let id = GlyphId::new(self.faces.glyph(style.face, c)?);
        let advance = self.faces.advance(style.face, c);
        Some(KrillaGlyph::new(
            id,
            advance,
            0.0,
            0.0,
            0.0,
            at..at + c.len_utf8(),
            None,
        ))
    }
}

fn fill(ink: Ink) -> Fill {
    let (r, g, b) = match ink {
        Ink::Black => (24, 24, 27),
        Ink::Grey => (96, 100, 108),
        Ink::Blue => (23, 54, 93),
        Ink::Green => (20, 100, 50),
        Ink::Red => (165, 20, 20),
        Ink::Amber => (140, 85, 0),
        Ink::PaleBlue => (229, 235, 243),
        Ink::PaleGrey => (245, 246, 248),
        Ink::PaleGreen => (230, 243, 234),
        Ink::PaleRed => (251, 231, 231),
        Ink::PaleAmber => (252, 243, 222),
        Ink::Rule => (205, 209, 216),
    };
    Fill {
        paint: rgb::Color::new(r, g, b).into(),
        ..Default::default()
    }
}

fn outline(bookmarks: &[Bookmark]) -> Outline {
    let mut outline = Outline::new();
    for mark in bookmarks {
        let place = XyzDestination::new(mark.page, Point::from_xy(LEFT, mark.y));
        outline.push_child(OutlineNode::new(mark.title.clone(), place));
    }
    outline
}

fn attach(document: &mut Document, summary: &Summary) {
    for Attachment {
        name,
        media_type,
        octets,
    } in &summary.attachments
    {
        // None: a file of this name rides in it already.
        let _ = document.embed_file(EmbeddedFile {
            path: name.clone(),
            mime_type: MimeType::new(media_type),
            description: Some(format!("KEP iletisi {}: {name}", summary.mail.id)),
            association_kind: AssociationKind::Data,
            data: octets.clone().into(),
            modification_date: Some(date(summary.prepared_at)),
            compress: Some(true),
            location: None,
        });
    }
}

fn date(moment: UtcTime) -> DateTime {
    let (year, month, day) = moment.date();
    let seconds = moment.unix_s().rem_euclid(86_400);
    let small = |n: i64| u8::try_from(n).unwrap_or(0);
    DateTime::new(u16::try_from(year).unwrap_or(0))
        .month(month.unsigned_abs())
        .day(day.unsigned_abs())
        .hour(small(seconds / 3600))
        .minute(small(seconds / 60 % 60))
        .second(small(seconds % 60))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
