//! Joins segments into one: their documents one behind the other, their terms in order. Reads and writes from front to
//! back, so that little memory is needed whatever the size.

use super::FulltextError;
use super::codec::{put_docs, take_docs};
use super::files::{
    FIELD_COUNT, FORMAT, Field, FieldWriter, GAP, Head, Part, RECORD_OCTETS, Record, list_sum, nonce,
    write_head,
};
use super::segment::Segment;
use crate::id::ItemId;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

/// Octets read ahead of each file.
const READ_OCTETS: usize = 128 * 1024;
/// Terms written before it is asked whether to go on.
const TERMS_BETWEEN_LOOKS: u32 = 4096;

/// One segment's field, read term by term.
struct Lane<'s> {
    segment: &'s Segment,
    /// Place of its first document in the new segment.
    base: u32,
    terms: BufReader<File>,
    records: BufReader<File>,
    docs: BufReader<File>,
    spots: BufReader<File>,
    ordinal: u32,
    record: Record,
    /// Empty: there are no more.
    term: Vec<u8>,
}

fn damaged(segment: &Segment, what: &str) -> FulltextError {
    FulltextError::Damaged(format!("segment {}: {what}", segment.head.number))
}

impl<'s> Lane<'s> {
    fn open(segment: &'s Segment, field: Field, base: u32) -> Result<Self, FulltextError> {
        let open = |part| {
            let file = File::open(segment.path(field, part))?;
            Ok::<_, FulltextError>(BufReader::with_capacity(READ_OCTETS, file))
        };
        let mut terms = open(Part::Terms)?;
        let mut gap = [0];
        terms.read_exact(&mut gap)?;
        let mut lane = Self {
            segment,
            base,
            terms,
            records: open(Part::Records)?,
            docs: open(Part::Docs)?,
            spots: open(Part::Spots)?,
            ordinal: 0,
            record: Record {
                docs_at: 0,
                spots_at: 0,
                docs_sum: 0,
                spots_sum: 0,
            },
            term: Vec::new(),
        };
        lane.record = lane.next_record()?;
        lane.next_term()?;
        Ok(lane)
    }

    fn next_record(&mut self) -> Result<Record, FulltextError> {
        let mut octets = [0; RECORD_OCTETS];
        self.records.read_exact(&mut octets)?;
        Record::read(&octets).ok_or_else(|| damaged(self.segment, "a record is cut off"))
    }

    fn next_term(&mut self) -> Result<(), FulltextError> {
        self.term.clear();
        self.terms.read_until(GAP, &mut self.term)?;
        self.term.pop();
        Ok(())
    }

    /// Adds the lists of the term that stands here, and goes on to the next.
    fn take(&mut self, field: Field, docs: &mut Vec<u32>, spots: &mut Vec<u8>) -> Result<(), FulltextError> {
        let next = self.next_record()?;
        let most = self.segment.field(field);
        let length = |from: u64, to: u64, most: u64| {
            let length = to.checked_sub(from).filter(|_| to <= most);
            length.and_then(|n| usize::try_from(n).ok())
        };
        let docs_length = length(self.record.docs_at, next.docs_at, most.docs_octets);
        let spots_length = length(self.record.spots_at, next.spots_at, most.spots_octets);
        let (Some(docs_length), Some(spots_length)) = (docs_length, spots_length) else {
            return Err(damaged(self.segment, "a record is damaged"));
        };
        let mut list = vec![0; docs_length];
        self.docs.read_exact(&mut list)?;
        let at = spots.len();
        spots.resize(at + spots_length, 0);
        self.spots.read_exact(&mut spots[at..])?;
        let head = &self.segment.head;
        let sums = [
            list_sum(head.nonce, self.ordinal, Part::Docs, &list),
            list_sum(head.nonce, self.ordinal, Part::Spots, &spots[at..]),
        ];
        if sums != [self.record.docs_sum, self.record.spots_sum] {
            return Err(damaged(self.segment, "a list is damaged"));
        }
        let own =
            take_docs(&list, head.docs()).ok_or_else(|| damaged(self.segment, "a list cannot be read"))?;
        docs.extend(own.into_iter().map(|doc| self.base + doc));
        self.record = next;
        self.ordinal += 1;
        self.next_term()
    }
}

/// Writes the new segment; `None` when it was told to stop. The old ones stay as they are.
pub(super) fn merge(
    dir: &Path,
    number: u64,
    segments: &[Arc<Segment>],
    going_on: impl Fn() -> bool,
) -> Result<Option<(Head, u64)>, FulltextError> {
    let items: Vec<ItemId> = segments
        .iter()
        .flat_map(|segment| segment.head.items.iter().map(|item| ItemId(*item)))
        .collect();
    let all = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let nonce = nonce(number, &items);
    let mut fields: [_; FIELD_COUNT] = Default::default();
    for field in Field::ALL {
        let mut base = 0;
        let mut lanes = Vec::with_capacity(segments.len());
        for segment in segments {
            // Sums of all terms: a merge must not carry damage on.
            segment.dictionary(field)?;
            lanes.push(Lane::open(segment, field, base)?);
            base += segment.head.docs();
        }
        let mut writer = FieldWriter::create(dir, number, nonce, field, all)?;
        let mut written = 0u32;
        let (mut term, mut docs, mut spots, mut list) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(least) = lanes.iter().map(|l| &l.term).filter(|t| !t.is_empty()).min() {
            term.clone_from(least);
            docs.clear();
            spots.clear();
            list.clear();
            for lane in lanes.iter_mut().filter(|lane| lane.term == term) {
                lane.take(field, &mut docs, &mut spots)?;
            }
            put_docs(&mut list, &docs, all);
            writer.push(&term, &list, &spots)?;
            written = written.wrapping_add(1);
            if written.is_multiple_of(TERMS_BETWEEN_LOOKS) && !going_on() {
                return Ok(None);
            }
        }
        fields[field.index()] = writer.finish()?;
    }
    let head = Head {
        format: FORMAT,
        number,
        nonce,
        items: items.iter().map(|item| item.0).collect(),
        fields,
    };
    let identity = write_head(dir, &head)?;
    Ok(Some((head, identity)))
}
