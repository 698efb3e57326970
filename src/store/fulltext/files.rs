//! The files of a segment, and how they are written: a run of documents that never changes once its head is there.
//!
//! Each field has its terms in order, one record for each term, lists of documents, and positions. All but
//! the head are written from front to back, so a merge of any size needs little memory. The head names the documents
//! and carries the sums; it is written last.

use super::codec::{count_docs, sum};
use crate::domain::needle::{Letters, Wanted};
use crate::id::ItemId;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Grows when the form of the files changes; what is older is built anew.
pub const FORMAT: u32 = 2;
/// Stands before, between and behind terms; no UTF-8 text has it.
pub const GAP: u8 = 0xff;
/// Octets of a record.
pub const RECORD_OCTETS: usize = 24;
/// Terms are summed in blocks of so many octets.
pub const BLOCK_OCTETS: usize = 1 << 20;
/// Terms named in the head because so many documents have them: a wanted text that is part of one or two of these is
/// answered without looking at all other terms.
const COMMON_MAX: usize = 256;
/// A term is common when one of so many documents has it.
const COMMON_SHARE: u32 = 16;

/// Where a term can stand. What people write is kept as `turkish_fold` gives it, what machines write and read as `plain_fold`
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    HeaderWords,
    HeaderPlain,
    BodyWords,
    BodyPlain,
}

/// How many fields there are.
pub(super) const FIELD_COUNT: usize = 4;

impl Field {
    pub const ALL: [Field; FIELD_COUNT] = [
        Field::HeaderWords,
        Field::HeaderPlain,
        Field::BodyWords,
        Field::BodyPlain,
    ];

    pub(super) fn index(self) -> usize {
        match self {
            Field::HeaderWords => 0,
            Field::HeaderPlain => 1,
            Field::BodyWords => 2,
            Field::BodyPlain => 3,
        }
    }

    /// What a wanted text looks like here, and which letters are the same.
    pub(super) fn sought(self, wanted: &Wanted) -> (&str, Letters) {
        match self {
            Field::HeaderWords | Field::BodyWords => (wanted.in_words(), wanted.letters()),
            Field::HeaderPlain | Field::BodyPlain => (wanted.in_plain(), Letters::Turkish),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Field::HeaderWords => "header",
            Field::HeaderPlain => "header-plain",
            Field::BodyWords => "body",
            Field::BodyPlain => "body-plain",
        }
    }
}

/// One kind of file of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Terms,
    Records,
    Docs,
    Spots,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Terms, Part::Records, Part::Docs, Part::Spots];

    fn word(self) -> &'static str {
        match self {
            Part::Terms => "terms",
            Part::Records => "records",
            Part::Docs => "docs",
            Part::Spots => "spots",
        }
    }
}

pub(super) fn head_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.head"))
}

pub(super) fn part_path(dir: &Path, number: u64, field: Field, part: Part) -> PathBuf {
    dir.join(format!("{number:010}.{}.{}", field.word(), part.word()))
}

/// The segment a file belongs to.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.split_once('.')?.0.parse().ok()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub format: u32,
    pub number: u64,
    /// Goes into every sum, so that files of two segments cannot be taken for one another's.
    pub nonce: u64,
    /// The documents, in the order of their places.
    pub items: Vec<u64>,
    pub fields: [FieldHead; FIELD_COUNT],
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct FieldHead {
    pub terms: u32,
    pub terms_octets: u64,
    pub terms_sum: u64,
    pub docs_octets: u64,
    pub spots_octets: u64,
    /// Terms that very many documents have, most frequent first.
    pub common: Vec<u32>,
}

impl Head {
    pub fn docs(&self) -> u32 {
        u32::try_from(self.items.len()).unwrap_or(u32::MAX)
    }

    /// Octets of all files of the segment, about.
    pub fn octets(&self) -> u64 {
        let field = |f: &FieldHead| {
            f.terms_octets + f.docs_octets + f.spots_octets + (f.terms as u64 + 1) * RECORD_OCTETS as u64
        };
        self.fields.iter().map(field).sum::<u64>() + self.items.len() as u64
    }
}

/// One record: where the lists of a term begin, and their sums. The next record says where they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub docs_at: u64,
    pub spots_at: u64,
    pub docs_sum: u32,
    pub spots_sum: u32,
}

impl Record {
    pub fn to_octets(self) -> [u8; RECORD_OCTETS] {
        let mut out = [0; RECORD_OCTETS];
        out[..8].copy_from_slice(&self.docs_at.to_le_bytes());
        out[8..16].copy_from_slice(&self.spots_at.to_le_bytes());
        out[16..20].copy_from_slice(&self.docs_sum.to_le_bytes());
        out[20..].copy_from_slice(&self.spots_sum.to_le_bytes());
        out
    }

    pub fn read(octets: &[u8]) -> Option<Self> {
        let (docs_at, rest) = octets.split_first_chunk()?;
        let (spots_at, rest) = rest.split_first_chunk()?;
        let (docs_sum, rest) = rest.split_first_chunk()?;
        let (spots_sum, _) = rest.split_first_chunk()?;
        Some(Self {
            docs_at: u64::from_le_bytes(*docs_at),
            spots_at: u64::from_le_bytes(*spots_at),
            docs_sum: u32::from_le_bytes(*docs_sum),
            spots_sum: u32::from_le_bytes(*spots_sum),
        })
    }
}

/// The sum of one list of a term.
pub(super) fn list_sum(nonce: u64, ordinal: u32, part: Part, list: &[u8]) -> u32 {
    let seed = nonce ^ u64::from(ordinal) << 2 ^ part as u64;
    sum(seed, list) as u32
}

/// A file that is being written.
struct Out {
    file: BufWriter<File>,
    at: u64,
}

impl Out {
    fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(64 * 1024, File::create(path)?),
            at: 0,
        })
    }

    fn put(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.at += octets.len() as u64;
        self.file.write_all(octets)
    }

    fn finish(self) -> std::io::Result<u64> {
        let file = self.file.into_inner().map_err(|e| e.into_error())?;
        file.sync_data()?;
        Ok(self.at)
    }
}

/// Writes one field. Terms come in order.
pub(super) struct FieldWriter {
    nonce: u64,
    docs_in_all: u32,
    terms: Out,
    block: Vec<u8>,
    terms_sum: u64,
    records: Out,
    docs: Out,
    spots: Out,
    count: u32,
    common: BinaryHeap<Reverse<(u32, u32)>>,
}

impl FieldWriter {
    pub fn create(
        dir: &Path,
        number: u64,
        nonce: u64,
        field: Field,
        docs_in_all: u32,
    ) -> std::io::Result<Self> {
        let out = |part| Out::create(&part_path(dir, number, field, part));
        Ok(Self {
            nonce,
            docs_in_all,
            terms: out(Part::Terms)?,
            block: vec![GAP],
            terms_sum: nonce,
            records: out(Part::Records)?,
            docs: out(Part::Docs)?,
            spots: out(Part::Spots)?,
            count: 0,
            common: BinaryHeap::new(),
        })
    }

    pub fn push(&mut self, term: &[u8], docs: &[u8], spots: &[u8]) -> std::io::Result<()> {
        self.block.extend_from_slice(term);
        self.block.push(GAP);
        while self.block.len() >= BLOCK_OCTETS {
            let rest = self.block.split_off(BLOCK_OCTETS);
            let full = std::mem::replace(&mut self.block, rest);
            self.terms_sum = sum(self.terms_sum, &full);
            self.terms.put(&full)?;
        }
        let ordinal = self.count;
        self.record(
            list_sum(self.nonce, ordinal, Part::Docs, docs),
            list_sum(self.nonce, ordinal, Part::Spots, spots),
        )?;
        self.docs.put(docs)?;
        self.spots.put(spots)?;
        self.count += 1;
        let has = count_docs(docs).unwrap_or(0);
        if has.saturating_mul(COMMON_SHARE) >= self.docs_in_all {
            self.common.push(Reverse((has, ordinal)));
            if self.common.len() > COMMON_MAX {
                self.common.pop();
            }
        }
        Ok(())
    }

    fn record(&mut self, docs_sum: u32, spots_sum: u32) -> std::io::Result<()> {
        let record = Record {
            docs_at: self.docs.at,
            spots_at: self.spots.at,
            docs_sum,
            spots_sum,
        };
        self.records.put(&record.to_octets())
    }

    pub fn finish(mut self) -> std::io::Result<FieldHead> {
        self.record(0, 0)?;
        self.terms_sum = sum(self.terms_sum, &self.block);
        self.terms.put(&self.block)?;
        self.records.finish()?;
        let common = self.common.into_sorted_vec();
        Ok(FieldHead {
            terms: self.count,
            terms_octets: self.terms.finish()?,
            terms_sum: self.terms_sum,
            docs_octets: self.docs.finish()?,
            spots_octets: self.spots.finish()?,
            common: common.into_iter().map(|Reverse((_, ordinal))| ordinal).collect(),
        })
    }
}

/// What every sum of a new segment begins with.
pub(super) fn nonce(number: u64, items: &[ItemId]) -> u64 {
    items
        .iter()
        .fold(sum(number, &[]), |h, item| sum(h, &item.0.to_le_bytes()))
}

/// Writes the head: with it the segment is complete. Gives its identity.
pub(super) fn write_head(dir: &Path, head: &Head) -> std::io::Result<u64> {
    let octets = postcard::to_stdvec(head).map_err(std::io::Error::other)?;
    let identity = sum(u64::from(FORMAT), &octets);
    let mut file = File::create(head_path(dir, head.number))?;
    file.write_all(&identity.to_le_bytes())?;
    file.write_all(&octets)?;
    file.sync_data()?;
    File::open(dir)?.sync_all()?;
    Ok(identity)
}

/// Removes the files of a segment that no row names any more. Who reads them has them open.
pub(super) fn remove(dir: &Path, number: u64) {
    let parts = Field::ALL
        .into_iter()
        .flat_map(|field| Part::ALL.map(|part| part_path(dir, number, field, part)));
    for path in parts.chain([head_path(dir, number)]) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file of the full-text index stays behind");
            }
            _ => {}
        }
    }
}
