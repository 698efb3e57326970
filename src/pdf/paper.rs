//! Pages: blocks go on from top to bottom, tables repeat their heads, nothing is cut off.
//!
//! Knows no PDF: what stands on a page is a list of marks in points from the upper left corner.

use super::face::Faces;
use super::lines::{Ink, Line, Span, Style, height, wrap};

/// A4 (ISO 216), in points.
pub(super) const PAGE_WIDTH: f32 = 595.28;
pub(super) const PAGE_HEIGHT: f32 = 841.89;
pub(super) const LEFT: f32 = 50.0;
/// Width of what is set.
pub(super) const MEASURE: f32 = PAGE_WIDTH - 2.0 * LEFT;
const TOP: f32 = 62.0;
const BOTTOM: f32 = PAGE_HEIGHT - 66.0;
/// Left and right within a cell.
const GUTTER: f32 = 5.0;
/// Above and below within a row.
const PAD: f32 = 2.6;
/// A heading does not stand at the foot of a page: this much must fit below it.
const BELOW_HEADING: f32 = 70.0;
/// Where the base line lies in a line, from its top.
const BASE: f32 = 0.74;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// At the left end of its base line.
    Text {
        x: f32,
        y: f32,
        text: String,
        style: Style,
    },
    Fill {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        ink: Ink,
    },
}

/// A place that can be jumped to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bookmark {
    pub title: String,
    pub page: usize,
    pub y: f32,
}

/// A row of a table, still to be set.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub cells: Vec<Vec<Span>>,
    pub ground: Option<Ink>,
    /// A thin rule below.
    pub ruled: bool,
}

impl Row {
    pub(super) fn of(cells: Vec<Vec<Span>>) -> Self {
        Self {
            cells,
            ground: None,
            ruled: true,
        }
    }

    pub(super) fn on(self, ground: Ink) -> Self {
        Self {
            ground: Some(ground),
            ruled: false,
            ..self
        }
    }
}

/// A row with its lines broken.
#[derive(Debug, Clone)]
struct Set {
    /// From the left margin.
    cells: Vec<(f32, Vec<Line>)>,
    height: f32,
    ground: Option<Ink>,
    ruled: bool,
}

pub(super) struct Paper<'f> {
    faces: &'f Faces,
    pub pages: Vec<Vec<Mark>>,
    pub bookmarks: Vec<Bookmark>,
    y: f32,
}

impl<'f> Paper<'f> {
    pub(super) fn new(faces: &'f Faces) -> Self {
        Self {
            faces,
            pages: vec![Vec::new()],
            bookmarks: Vec::new(),
            y: TOP,
        }
    }

    /// Higher up on the first page than the others begin.
    pub(super) fn begin_at(&mut self, y: f32) {
        self.y = y;
    }

    pub(super) fn gap(&mut self, height: f32) {
        if self.y > TOP {
            self.y += height;
        }
    }

    /// A line across, of some strength.
    pub(super) fn bar(&mut self, strength: f32, ink: Ink) {
        self.mark(Mark::Fill {
            x: LEFT,
            y: self.y,
            width: MEASURE,
            height: strength,
            ink,
        });
        self.y += strength;
    }

    pub(super) fn heading(&mut self, title: &str, spans: &[Span]) {
        self.gap(15.0);
        let lines = wrap(self.faces, spans, MEASURE);
        if self.room() < height(&lines) + BELOW_HEADING {
            self.next_page(None);
        }
        self.bookmarks.push(Bookmark {
            title: title.to_owned(),
            page: self.pages.len() - 1,
            y: (self.y - 10.0).max(0.0),
        });
        self.draw_lines(&lines, LEFT);
        self.y += 2.0;
        self.bar(0.8, Ink::Blue);
        self.y += 4.0;
    }

    pub(super) fn paragraph(&mut self, spans: &[Span]) {
        for line in wrap(self.faces, spans, MEASURE) {
            if self.room() < line.height {
                self.next_page(None);
            }
            self.draw_lines(&[line], LEFT);
        }
        self.y += 3.0;
    }

    /// Rows under a head that is repeated on each page they reach.
    pub(super) fn table(&mut self, columns: &[f32], head: &Row, rows: impl Iterator<Item = Row>) {
        let head = self.set(columns, head);
        for (n, row) in rows.enumerate() {
            let row = self.set(columns, &row);
            if n == 0 {
                // Not a head alone at the foot of a page.
                if self.room() < head.height + row.height.min(BELOW_HEADING) {
                    self.next_page(None);
                }
                self.draw(&head);
            }
            self.place(row, Some(&head));
        }
    }

    /// Rows of their own columns that stay together if a page has room for them. The first is repeated where they go on.
    pub(super) fn together(&mut self, rows: &[(&[f32], Row)]) {
        let sets: Vec<Set> = rows.iter().map(|(columns, row)| self.set(columns, row)).collect();
        let whole: f32 = sets.iter().map(|s| s.height).sum();
        if whole > self.room() && whole <= BOTTOM - TOP {
            self.next_page(None);
        }
        let head = sets.first().cloned();
        for (n, set) in sets.into_iter().enumerate() {
            self.place(set, head.as_ref().filter(|_| n > 0));
        }
    }

    /// Columns are widths in points; the last takes what is left.
    fn set(&self, columns: &[f32], row: &Row) -> Set {
        let (mut x, mut cells) = (LEFT, Vec::new());
        for (n, spans) in row.cells.iter().enumerate() {
            let left = LEFT + MEASURE - x;
            let last = n + 1 == row.cells.len();
            let width = columns.get(n).copied().filter(|_| !last).unwrap_or(left);
            cells.push((x + GUTTER, wrap(self.faces, spans, width - 2.0 * GUTTER)));
            x += width;
        }
        let tallest = cells.iter().map(|(_, lines)| height(lines)).fold(0.0, f32::max);
        Set {
            cells,
            height: tallest + 2.0 * PAD,
            ground: row.ground,
            ruled: row.ruled,
        }
    }

    fn place(&mut self, mut set: Set, head: Option<&Set>) {
        let head_height = head.map_or(0.0, |h| h.height);
        loop {
            if set.height <= self.room() {
                return self.draw(&set);
            }
            if set.height <= BOTTOM - TOP - head_height {
                self.next_page(head);
                return self.draw(&set);
            }
            // Taller than any page: as many lines as there is room for, the others on the next.
            let (now, later) = split(set, self.room());
            if let Some(now) = now {
                self.draw(&now);
            }
            self.next_page(head);
            set = later;
        }
    }

    fn draw(&mut self, set: &Set) {
        let top = self.y;
        if let Some(ink) = set.ground {
            self.mark(Mark::Fill {
                x: LEFT,
                y: top,
                width: MEASURE,
                height: set.height,
                ink,
            });
        }
        for (x, lines) in &set.cells {
            self.y = top + PAD;
            self.draw_lines(lines, *x);
        }
        self.y = top + set.height;
        if set.ruled {
            self.mark(Mark::Fill {
                x: LEFT,
                y: self.y - 0.25,
                width: MEASURE,
                height: 0.5,
                ink: Ink::Rule,
            });
        }
    }

    fn draw_lines(&mut self, lines: &[Line], x: f32) {
        for line in lines {
            for piece in &line.pieces {
                self.mark(Mark::Text {
                    x: x + piece.x,
                    y: self.y + line.height * BASE,
                    text: piece.text.clone(),
                    style: piece.style,
                });
            }
            self.y += line.height;
        }
    }

    fn room(&self) -> f32 {
        BOTTOM - self.y
    }

    fn next_page(&mut self, head: Option<&Set>) {
        self.pages.push(Vec::new());
        self.y = TOP;
        if let Some(head) = head {
            self.draw(head);
        }
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }
}

/// What fits into `room` of each cell, and the rest. Nothing fits where not even one line does.
fn split(set: Set, room: f32) -> (Option<Set>, Set) {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for (x, lines) in set.cells {
        let mut left = room - 2.0 * PAD;
        let fits = lines.iter().take_while(|line| {
            left -= line.height;
            left >= 0.0
        });
        let fits = fits.count();
        let mut first = lines;
        let rest = first.split_off(fits);
        now.push((x, first));
        later.push((x, rest));
    }
    let tall =
        |cells: &[(f32, Vec<Line>)]| cells.iter().map(|(_, l)| height(l)).fold(0.0, f32::max) + 2.0 * PAD;
    let part = |cells: Vec<(f32, Vec<Line>)>, ruled| Set {
        height: tall(&cells),
        cells,
        ground: set.ground,
        ruled,
    };
    let any = now.iter().any(|(_, lines)| !lines.is_empty());
    (any.then(|| part(now, false)), part(later, set.ruled))
}
