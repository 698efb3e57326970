//! Reading a segment: its head, its terms in memory while they are in use, its lists from the disk. Every octet that is
//! used has been held against a sum.

use super::FulltextError;
use super::codec::sum;
use super::files::{
    BLOCK_OCTETS, FIELD_COUNT, FORMAT, Field, FieldHead, GAP, Head, Part, RECORD_OCTETS, Record, head_path,
    list_sum, part_path,
};
use super::grams::Grams;
use crate::domain::needle::{Letters, Needle};
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Octets read at once where lists lie close together, and where they do not.
const NEAR_READ_OCTETS: usize = 64 * 1024;
const FAR_READ_OCTETS: usize = 4 * 1024;
/// Ways to spell the beginning of a term that are tried one by one; beyond, all terms are looked through.
const SPELLINGS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Segment {
    dir: PathBuf,
    pub head: Head,
    dictionaries: [OnceLock<Arc<Dictionary>>; FIELD_COUNT],
}

/// All terms of a field, one behind the other.
#[derive(Debug)]
pub(super) struct Dictionary {
    octets: Vec<u8>,
    /// Where each term begins; and the end, as if one more began there.
    starts: Vec<u32>,
    grams: Grams,
}

fn damaged(what: &str, number: u64) -> FulltextError {
    FulltextError::Damaged(format!("segment {number}: {what}"))
}

impl Segment {
    /// Reads the head, which must be the one with that identity, and looks at the sizes of the files.
    pub fn open(dir: &Path, number: u64, identity: u64) -> Result<Self, FulltextError> {
        let octets = std::fs::read(head_path(dir, number))?;
        let (written, rest) = octets
            .split_first_chunk::<8>()
            .ok_or_else(|| damaged("its head is cut off", number))?;
        let right = u64::from_le_bytes(*written) == identity && sum(u64::from(FORMAT), rest) == identity;
        let head: Option<Head> = postcard::from_bytes(rest).ok().filter(|_| right);
        let head = head
            .filter(|head| head.format == FORMAT && head.number == number)
            .ok_or_else(|| damaged("its head is not the one that was written", number))?;
        let segment = Self {
            dir: dir.to_owned(),
            head,
            dictionaries: Default::default(),
        };
        segment.check_sizes()?;
        Ok(segment)
    }

    fn check_sizes(&self) -> Result<(), FulltextError> {
        for field in Field::ALL {
            let head = self.field(field);
            let records = (u64::from(head.terms) + 1) * RECORD_OCTETS as u64;
            let sizes = [head.terms_octets, records, head.docs_octets, head.spots_octets];
            for (part, size) in Part::ALL.into_iter().zip(sizes) {
                let path = part_path(&self.dir, self.head.number, field, part);
                if std::fs::metadata(path)?.len() != size {
                    return Err(damaged("a file has another size", self.head.number));
                }
            }
        }
        Ok(())
    }

    pub fn field(&self, field: Field) -> &FieldHead {
        &self.head.fields[field.index()]
    }

    pub fn path(&self, field: Field, part: Part) -> PathBuf {
        part_path(&self.dir, self.head.number, field, part)
    }

    /// Octets in memory.
    pub fn held_bytes(&self) -> usize {
        let loaded = self.dictionaries.iter().filter_map(OnceLock::get);
        self.head.items.len() * 8 + loaded.map(|d| d.held_bytes()).sum::<usize>()
    }

    /// The terms of a field, read when they are wanted first.
    pub fn dictionary(&self, field: Field) -> Result<Arc<Dictionary>, FulltextError> {
        let slot = &self.dictionaries[field.index()];
        if let Some(loaded) = slot.get() {
            return Ok(loaded.clone());
        }
        let loaded = Arc::new(self.load(field)?);
        Ok(slot.get_or_init(|| loaded).clone())
    }

    fn load(&self, field: Field) -> Result<Dictionary, FulltextError> {
        let head = self.field(field);
        let bad = |what: &str| damaged(what, self.head.number);
        // `check_sizes` has seen that the file is so large.
        let size = usize::try_from(head.terms_octets).map_err(|_| bad("too many terms"))?;
        let mut octets = Vec::with_capacity(size);
        File::open(self.path(field, Part::Terms))?.read_to_end(&mut octets)?;
        let summed = octets.chunks(BLOCK_OCTETS).fold(self.head.nonce, sum);
        if summed != head.terms_sum || octets.len() != size {
            return Err(bad("its terms are damaged"));
        }
        let mut starts = Vec::with_capacity(head.terms as usize + 1);
        for at in memchr::memchr_iter(GAP, &octets) {
            starts.push(u32::try_from(at + 1).map_err(|_| bad("too many terms"))?);
        }
        if starts.len() != head.terms as usize + 1 {
            return Err(bad("it has another number of terms"));
        }
        let grams = Grams::of(&octets, &starts);
        Ok(Dictionary {
            octets,
            starts,
            grams,
        })
    }

    /// Opens the lists of a field.
    pub fn lists(&self, field: Field) -> Result<Lists<'_>, FulltextError> {
        let open = |part| Ok::<_, FulltextError>(Window::new(File::open(self.path(field, part))?));
        Ok(Lists {
            segment: self,
            field,
            records: open(Part::Records)?,
            docs: open(Part::Docs)?,
            spots: open(Part::Spots)?,
        })
    }
}

impl Dictionary {
    fn held_bytes(&self) -> usize {
        self.octets.len() + self.starts.len() * 4 + self.grams.held_bytes()
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.starts.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub fn term(&self, ordinal: u32) -> &[u8] {
        let at = ordinal as usize;
        let (Some(start), Some(next)) = (self.starts.get(at), self.starts.get(at + 1)) else {
            return &[];
        };
        self.octets
            .get(*start as usize..*next as usize - 1)
            .unwrap_or_default()
    }

    /// Terms that end with a text, in order.
    pub fn ending(&self, text: &[u8], letters: Letters) -> Vec<u32> {
        self.holding(&Needle::new(&[text, &[GAP]].concat(), letters))
    }

    /// Terms in which a text stands, in order.
    pub fn holding(&self, needle: &Needle) -> Vec<u32> {
        self.matching(needle, 0)
    }

    /// Terms where a needle stands whose first `before` octets are the gap before it.
    fn matching(&self, needle: &Needle, before: usize) -> Vec<u32> {
        let (mut found, mut ordinal) = (Vec::new(), 0);
        for range in self.grams.ranges(needle, &self.starts) {
            let Some(octets) = self.octets.get(..range.end) else {
                break;
            };
            let mut at = range.start;
            while let Some(hit) = needle.first_in(octets, at) {
                ordinal = self.ordinal_at(hit + before, ordinal);
                found.push(ordinal);
                ordinal += 1;
                // One finding is enough for a term: on to the gap before the next.
                let Some(next) = self.starts.get(ordinal as usize) else {
                    break;
                };
                at = *next as usize - 1;
            }
        }
        found
    }

    /// The term that has an octet, which is not before term `from`.
    fn ordinal_at(&self, at: usize, from: u32) -> u32 {
        let starts = self.starts.get(from as usize..).unwrap_or_default();
        let behind = |start: &u32| *start as usize <= at;
        let (mut low, mut step) = (0, 1);
        while starts.get(low + step).is_some_and(behind) {
            low += step;
            step *= 2;
        }
        let among = starts
            .get(low..(low + step).min(starts.len()))
            .unwrap_or_default();
        let past = low + among.partition_point(behind);
        from + u32::try_from(past.saturating_sub(1)).unwrap_or(0)
    }

    /// Terms that begin with a text, in order.
    pub fn beginning(&self, text: &[u8], letters: Letters) -> Vec<u32> {
        match self.spellings(text, letters) {
            Some(spellings) => spellings
                .iter()
                .flat_map(|text| self.beginning_so(text))
                .collect(),
            None => {
                let needle = Needle::new(&[&[GAP], text].concat(), letters);
                self.matching(&needle, 1)
            }
        }
    }

    /// Terms that are exactly the text, in order.
    pub fn whole(&self, text: &[u8], letters: Letters) -> Vec<u32> {
        match self.spellings(text, letters) {
            Some(spellings) => {
                let so =
                    |text: &Vec<u8>| Some(self.first_not_before(text)).filter(|at| self.term(*at) == *text);
                spellings.iter().filter_map(so).collect()
            }
            None => {
                let needle = Needle::new(&[&[GAP], text, &[GAP]].concat(), letters);
                self.matching(&needle, 1)
            }
        }
    }

    fn beginning_so(&self, text: &[u8]) -> Range<u32> {
        let end = self.first(|term| term < text || term.starts_with(text));
        self.first_not_before(text)..end
    }

    /// The ways a text is spelled with which some term begins, in order; `None` when there are very many.
    fn spellings(&self, text: &[u8], letters: Letters) -> Option<Vec<Vec<u8>>> {
        if letters == Letters::Turkish {
            return Some(vec![text.to_vec()]);
        }
        let text = std::str::from_utf8(text).ok()?;
        let mut spellings = vec![Vec::with_capacity(text.len())];
        for run in text.split_inclusive(['i', 'ı']) {
            let plain = run.trim_end_matches(['i', 'ı']);
            let forms: &[&str] = if plain.len() < run.len() {
                &["i", "ı"]
            } else {
                &[""]
            };
            let mut next = Vec::with_capacity(spellings.len() * forms.len());
            for so_far in &spellings {
                next.extend(
                    forms
                        .iter()
                        .map(|form| [so_far, plain.as_bytes(), form.as_bytes()].concat()),
                );
            }
            next.retain(|text: &Vec<u8>| !self.beginning_so(text).is_empty());
            spellings = next;
            if spellings.len() > SPELLINGS_MAX {
                return None;
            }
        }
        Some(spellings)
    }

    fn first_not_before(&self, text: &[u8]) -> u32 {
        self.first(|term| term < text)
    }

    /// The first term that is not before.
    fn first(&self, before: impl Fn(&[u8]) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.term(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// A file of which runs are read in ascending order; what lies close together is read at once.
struct Window {
    file: File,
    octets: Vec<u8>,
    at: u64,
}

impl Window {
    fn new(file: File) -> Self {
        Self {
            file,
            octets: Vec::new(),
            at: 0,
        }
    }

    fn run(&mut self, from: u64, to: u64) -> Result<&[u8], FulltextError> {
        let end = self.at + self.octets.len() as u64;
        if from < self.at || to > end {
            let near = from >= self.at && from.saturating_sub(end) < NEAR_READ_OCTETS as u64;
            let ahead = if near { NEAR_READ_OCTETS } else { FAR_READ_OCTETS };
            let length = usize::try_from(to - from).map_err(|_| too_long())?;
            self.octets.resize(length.max(ahead), 0);
            let read = read_at_most(&self.file, &mut self.octets, from)?;
            self.octets.truncate(read);
            self.at = from;
        }
        let start = usize::try_from(from - self.at).map_err(|_| too_long())?;
        let end = usize::try_from(to - self.at).map_err(|_| too_long())?;
        self.octets.get(start..end).ok_or_else(too_long)
    }
}

fn too_long() -> FulltextError {
    FulltextError::Damaged("a list reaches beyond its file".into())
}

fn read_at_most(file: &File, octets: &mut [u8], from: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while read < octets.len() {
        match file.read_at(&mut octets[read..], from + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The lists of one field. Terms are asked for in ascending order.
pub(super) struct Lists<'s> {
    segment: &'s Segment,
    field: Field,
    records: Window,
    docs: Window,
    spots: Window,
}

impl Lists<'_> {
    fn record(&mut self, ordinal: u32) -> Result<(Record, Record), FulltextError> {
        let from = u64::from(ordinal) * RECORD_OCTETS as u64;
        let both = self.records.run(from, from + 2 * RECORD_OCTETS as u64)?;
        let (this, next) = both.split_at(RECORD_OCTETS);
        let pair = Record::read(this).zip(Record::read(next));
        // Also bounds what a damaged record could ask to be read.
        let most = self.segment.field(self.field);
        let ordered = pair.filter(|(a, b)| {
            let docs = a.docs_at <= b.docs_at && b.docs_at <= most.docs_octets;
            docs && a.spots_at <= b.spots_at && b.spots_at <= most.spots_octets
        });
        ordered.ok_or_else(|| damaged("a record is damaged", self.segment.head.number))
    }

    /// The list of documents of a term.
    pub fn docs(&mut self, ordinal: u32) -> Result<&[u8], FulltextError> {
        let (this, next) = self.record(ordinal)?;
        let list = self.docs.run(this.docs_at, next.docs_at)?;
        let head = &self.segment.head;
        if list_sum(head.nonce, ordinal, Part::Docs, list) != this.docs_sum {
            return Err(damaged("a list of documents is damaged", head.number));
        }
        Ok(list)
    }

    /// Octets that the positions of a term take.
    pub fn spots_octets(&mut self, ordinal: u32) -> Result<u64, FulltextError> {
        let (this, next) = self.record(ordinal)?;
        Ok(next.spots_at - this.spots_at)
    }

    /// The positions of a term.
    pub fn spots(&mut self, ordinal: u32) -> Result<&[u8], FulltextError> {
        let (this, next) = self.record(ordinal)?;
        let list = self.spots.run(this.spots_at, next.spots_at)?;
        let head = &self.segment.head;
        if list_sum(head.nonce, ordinal, Part::Spots, list) != this.spots_sum {
            return Err(damaged("a list of positions is damaged", head.number));
        }
        Ok(list)
    }

    pub fn unreadable(&self) -> FulltextError {
        damaged("a list cannot be read", self.segment.head.number)
    }
}
