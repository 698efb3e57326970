//! Gathers documents in memory until they are many enough for a segment.

use super::codec::{put_docs, put_spots};
use super::cutting::Numbering;
use super::files::{FORMAT, Field, FieldWriter, Head, nonce, write_head};
use crate::id::ItemId;
use std::collections::HashMap;
use std::path::Path;

/// What a term costs beside its octets, and what one place of it costs, about.
const TERM_COST_BYTES: usize = 160;
const SPOT_COST_BYTES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Harvest {
    items: Vec<ItemId>,
    fields: [Words; 2],
    pages: [Page; 2],
    scratch: Vec<u8>,
    size_bytes: usize,
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

/// The document under way: (term, position).
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

    /// A passage of the document under way. The text is folded.
    pub fn passage(&mut self, field: Field, text: &str) {
        let at = field.index();
        let (words, page) = (&mut self.fields[at], &mut self.pages[at]);
        let size_bytes = &mut self.size_bytes;
        let found = &mut page.found;
        page.numbering.passage(text, |term, spot| {
            *size_bytes += SPOT_COST_BYTES;
            found.push((words.id(term, size_bytes), spot));
        });
    }

    /// The document under way is complete.
    pub fn keep(&mut self, item: ItemId) {
        let doc = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(item);
        for (words, page) in self.fields.iter_mut().zip(&mut self.pages) {
            page.found.sort_unstable();
            for group in page.found.chunk_by(|a, b| a.0 == b.0) {
                let id = group.first().map_or(0, |(id, _)| *id);
                let Some(list) = words.lists.get_mut(id as usize) else {
                    continue;
                };
                list.docs.push(doc);
                put_spots(
                    &mut list.spots,
                    group.iter().map(|(_, spot)| *spot),
                    &mut self.scratch,
                );
            }
            *page = Page::default();
        }
    }

    /// The document under way is given up.
    pub fn forget(&mut self) {
        self.pages = Default::default();
    }

    /// Writes the segment; gives its head and identity.
    pub fn write(&self, dir: &Path, number: u64) -> std::io::Result<(Head, u64)> {
        let nonce = nonce(number, &self.items);
        let docs = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let mut fields: [_; 2] = Default::default();
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
