//! Gathers documents in memory until they are many enough for a segment.
//!
//! An item is a document, or several: a long one is cut into stretches that overlap by as much as a search decides about.
//! So one item never takes much memory at once, and each text that terms decide about stands whole in one of its documents.

use super::codec::{put_docs, put_spots};
use super::cutting::{DECIDED_MAX_CHARS, Numbering};
use super::files::{FIELD_COUNT, FORMAT, Field, FieldWriter, Head, nonce, write_head};
use crate::id::ItemId;
use std::collections::HashMap;
use std::path::Path;

/// What a term costs beside its octets, and what one place of it costs, about.
const TERM_COST_BYTES: usize = 160;
const SPOT_COST_BYTES: usize = 8;
/// Octets of text of one document: cutting them takes up to forty times as much memory.
const STRETCH_MAX_OCTETS: usize = 2 * 1024 * 1024;
/// What one item may take while it is gathered. Nothing a person writes comes near it; what goes beyond is read by who
/// searches.
const ITEM_MAX_BYTES: usize = 96 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Harvest {
    items: Vec<ItemId>,
    fields: [Words; FIELD_COUNT],
    /// The item under way, stretch by stretch.
    stretches: Vec<Stretch>,
    scratch: Vec<u8>,
    size_bytes: usize,
    /// What it was before the item under way.
    size_before_bytes: usize,
}

#[derive(Debug, Default)]
struct Stretch {
    pages: [Page; FIELD_COUNT],
    octets: usize,
}

/// Terms of one field. The standard hash is keyed by chance: whoever writes mails cannot make terms that collide.
#[derive(Debug, Default)]
struct Words {
    ids: HashMap<Box<str>, u32>,
    lists: Vec<List>,
}

#[derive(Debug, Default)]
struct List {
    docs: Vec<u32>,
    spots: Vec<u8>,
}

/// A field of a document under way: (term, position).
#[derive(Debug, Default)]
struct Page {
    numbering: Numbering,
    found: Vec<(u32, u32)>,
}

impl Words {
    fn id(&mut self, term: &str, size_bytes: &mut usize) -> u32 {
        if let Some(id) = self.ids.get(term) {
            return *id;
        }
        let id = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        self.ids.insert(term.into(), id);
        self.lists.push(List::default());
        *size_bytes += term.len() + TERM_COST_BYTES;
        id
    }
}

impl Harvest {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// A passage of the item under way. The text is folded. `false`: the item takes too much memory and has to be given up.
    #[must_use]
    pub fn passage(&mut self, field: Field, text: &str) -> bool {
        let mut rest = text;
        while self.size_bytes - self.size_before_bytes <= ITEM_MAX_BYTES {
            let used = self.stretches.last().map_or(STRETCH_MAX_OCTETS, |s| s.octets);
            if rest.len() > STRETCH_MAX_OCTETS.saturating_sub(used) && used > 0 {
                self.stretches.push(Stretch::default());
            }
            let end = rest.floor_char_boundary(STRETCH_MAX_OCTETS);
            self.stretch(field, &rest[..end]);
            if end == rest.len() {
                return true;
            }
            let again = rest[..end].char_indices().rev().take(DECIDED_MAX_CHARS).last();
            rest = &rest[again.map_or(end, |(at, _)| at)..];
        }
        false
    }

    fn stretch(&mut self, field: Field, text: &str) {
        let Some(stretch) = self.stretches.last_mut() else {
            return;
        };
        stretch.octets += text.len();
        let at = field.index();
        let (words, page) = (&mut self.fields[at], &mut stretch.pages[at]);
        let size_bytes = &mut self.size_bytes;
        let found = &mut page.found;
        page.numbering.passage(text, |term, spot| {
            *size_bytes += SPOT_COST_BYTES;
            found.push((words.id(term, size_bytes), spot));
        });
    }

    /// The item under way is complete.
    pub fn keep(&mut self, item: ItemId) {
        let mut stretches = std::mem::take(&mut self.stretches);
        if stretches.is_empty() {
            stretches.push(Stretch::default());
        }
        for mut stretch in stretches {
            let doc = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
            self.items.push(item);
            for (words, page) in self.fields.iter_mut().zip(&mut stretch.pages) {
                page.found.sort_unstable();
                for group in page.found.chunk_by(|a, b| a.0 == b.0) {
                    let id = group.first().map_or(0, |(id, _)| *id);
                    let Some(list) = words.lists.get_mut(id as usize) else {
                        continue;
                    };
                    list.docs.push(doc);
                    let spots = group.iter().map(|(_, spot)| *spot);
                    put_spots(&mut list.spots, spots, &mut self.scratch);
                }
            }
        }
        self.size_before_bytes = self.size_bytes;
    }

    /// The item under way is given up.
    pub fn forget(&mut self) {
        self.stretches.clear();
        self.size_before_bytes = self.size_bytes;
    }

    /// Writes the segment; gives its head and identity.
    pub fn write(&self, dir: &Path, number: u64) -> std::io::Result<(Head, u64)> {
        let nonce = nonce(number, &self.items);
        let docs = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let mut fields: [_; FIELD_COUNT] = Default::default();
        for (field, words) in Field::ALL.into_iter().zip(&self.fields) {
            let mut writer = FieldWriter::create(dir, number, nonce, field, docs)?;
            let mut terms: Vec<(&str, u32)> = words.ids.iter().map(|(term, id)| (&**term, *id)).collect();
            terms.sort_unstable();
            let mut list = Vec::new();
            for (term, id) in terms {
                let Some(found) = words.lists.get(id as usize).filter(|l| !l.docs.is_empty()) else {
                    continue;
                };
                list.clear();
                put_docs(&mut list, &found.docs, docs);
                writer.push(term.as_bytes(), &list, &found.spots)?;
            }
            fields[field.index()] = writer.finish()?;
        }
        let head = Head {
            format: FORMAT,
            number,
            nonce,
            items: self.items.iter().map(|item| item.0).collect(),
            fields,
        };
        let identity = write_head(dir, &head)?;
        Ok((head, identity))
    }
}
