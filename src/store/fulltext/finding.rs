//! Finds the documents of a segment in which a folded text stands.
//!
//! A text of one piece stands within a term: all terms are looked through, and their documents are the answer. A text of
//! several pieces stands where the first ends a term, the next is the next term, and so on; positions decide. See
//! [`super::cutting`] why that is exact. What would take more than its bounds is not decided here: it is given
//! as documents that may hold the text, and whoever asks has to read them.

use super::FulltextError;
use super::codec::{add_docs, each_spot, meets, take_docs, take_spots};
use super::cutting::{DECIDED_MAX_CHARS, PIECES_MAX, is_short, pieces, shortened};
use super::files::Field;
use super::item_set::DocSet;
use super::segment::{Dictionary, Lists, Segment};
use crate::domain::needle::{Letters, Needle, Wanted};
use std::sync::Arc;

/// Octets of positions held at once: those of the most frequent words in a segment of a hundred thousand mails.
const SPOTS_MAX_OCTETS: u64 = 64 * 1024 * 1024;
/// So few documents are read faster than the positions of so many terms.
const FEW_DOCS: u32 = 24;
const MANY_TERMS: usize = 20_000;
/// Documents whose positions are compared at once.
const BLOCK_DOCS: u32 = 2048;
/// Lists added before it is asked whether all documents are found.
const LISTS_BETWEEN_LOOKS: usize = 512;

/// Documents of one segment.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub docs: DocSet,
    /// Whether all of them hold the text; else any of them may.
    pub sure: bool,
}

/// A field of a segment, while it is asked.
struct Asked<'s> {
    segment: &'s Segment,
    dictionary: Arc<Dictionary>,
    lists: Lists<'s>,
    field: Field,
    letters: Letters,
}

pub(super) fn find(segment: &Segment, field: Field, wanted: &Wanted) -> Result<Found, FulltextError> {
    let (text, letters) = field.sought(wanted);
    let mut asked = Asked {
        segment,
        dictionary: segment.dictionary(field)?,
        lists: segment.lists(field)?,
        field,
        letters,
    };
    let pieces: Vec<&str> = pieces(text).take(PIECES_MAX + 1).collect();
    let whole = pieces.len() <= PIECES_MAX && pieces.iter().all(|piece| is_short(piece));
    match pieces.as_slice() {
        [piece] if whole => asked.within(piece).map(|docs| Found { docs, sure: true }),
        [_, _, ..] if whole => asked.in_order(&pieces),
        _ => asked.all_somewhere(&near(&pieces)),
    }
}

/// The first pieces, as far as they stand so near one another that they stand in one document wherever the text does.
fn near<'t>(pieces: &[&'t str]) -> Vec<&'t str> {
    let mut end = 0;
    let within = |piece: &&str| {
        let from = end;
        end += piece.chars().count();
        from + shortened(piece).chars().count() <= DECIDED_MAX_CHARS
    };
    pieces.iter().copied().take_while(within).map(shortened).collect()
}

impl Asked<'_> {
    fn docs(&self) -> u32 {
        self.segment.head.docs()
    }

    /// Documents with a term in which the piece stands.
    fn within(&mut self, piece: &str) -> Result<DocSet, FulltextError> {
        let dictionary = self.dictionary.clone();
        // What is part of a very common word is found in all documents at once.
        let needle = Needle::new(piece.as_bytes(), self.letters);
        let common = &self.segment.field(self.field).common;
        let mut first: Vec<u32> = common
            .iter()
            .copied()
            .filter(|ordinal| needle.first_in(dictionary.term(*ordinal), 0).is_some())
            .collect();
        first.sort_unstable();
        let mut found = DocSet::none(self.docs());
        self.add_lists(&first, &mut found)?;
        if !found.is_full() {
            self.add_lists(&dictionary.holding(&needle), &mut found)?;
        }
        Ok(found)
    }

    fn add_lists(&mut self, ordinals: &[u32], found: &mut DocSet) -> Result<(), FulltextError> {
        for some in ordinals.chunks(LISTS_BETWEEN_LOOKS) {
            for ordinal in some {
                let list = self.lists.docs(*ordinal)?;
                if add_docs(list, found).is_none() {
                    return Err(self.lists.unreadable());
                }
            }
            if found.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Documents that have every piece somewhere, in whatever order.
    fn all_somewhere(&mut self, pieces: &[&str]) -> Result<Found, FulltextError> {
        let mut docs: Option<DocSet> = None;
        for piece in pieces {
            let found = self.within(piece)?;
            match &mut docs {
                Some(docs) => docs.keep(&found),
                None => docs = Some(found),
            }
        }
        let docs = docs.unwrap_or_else(|| DocSet::none(self.docs()));
        Ok(Found { docs, sure: false })
    }

    /// Documents that have the pieces one behind the other.
    fn in_order(&mut self, pieces: &[&str]) -> Result<Found, FulltextError> {
        let mut terms: Vec<(u32, Vec<u32>)> = (0..).zip(self.terms(pieces)).collect();
        terms.sort_by_key(|(_, ordinals)| ordinals.len());
        let mut candidates: Option<DocSet> = None;
        for (_, ordinals) in &terms {
            let few = candidates.as_ref().is_some_and(|docs| docs.len() <= FEW_DOCS);
            if few && ordinals.len() > MANY_TERMS {
                return Ok(unsure(candidates, self.docs()));
            }
            let mut docs = DocSet::none(self.docs());
            self.add_lists(ordinals, &mut docs)?;
            if let Some(before) = &candidates {
                docs.keep(before);
            }
            if docs.is_empty() {
                return Ok(Found { docs, sure: true });
            }
            candidates = Some(docs);
        }
        let mut sized = Vec::with_capacity(terms.len());
        for (place, ordinals) in terms {
            let ordinals = self.meeting(ordinals, candidates.as_ref())?;
            let mut octets = 0;
            for ordinal in &ordinals {
                octets += self.lists.spots_octets(*ordinal)?;
            }
            sized.push((octets, place, ordinals));
        }
        let all: u64 = sized.iter().map(|(octets, ..)| octets).sum();
        let Some(candidates) = candidates.take_if(|_| all <= SPOTS_MAX_OCTETS) else {
            return Ok(unsure(candidates, self.docs()));
        };
        // The rarest piece first: the others only have to confirm.
        sized.sort_by_key(|(octets, place, _)| (*octets, *place));
        let mut runs = Vec::with_capacity(sized.len());
        for (_, place, ordinals) in sized {
            runs.push(self.run(place, &ordinals)?);
        }
        let docs = meet(&mut runs, &candidates).ok_or_else(|| self.lists.unreadable())?;
        Ok(Found { docs, sure: true })
    }

    /// Of some terms those that a candidate has: the positions of others need not be read.
    fn meeting(
        &mut self,
        ordinals: Vec<u32>,
        candidates: Option<&DocSet>,
    ) -> Result<Vec<u32>, FulltextError> {
        let Some(candidates) = candidates else {
            return Ok(ordinals);
        };
        let mut met = Vec::new();
        for ordinal in ordinals {
            let list = self.lists.docs(ordinal)?;
            if meets(list, candidates).ok_or_else(|| self.lists.unreadable())? {
                met.push(ordinal);
            }
        }
        Ok(met)
    }

    /// For each piece the terms that can stand for it.
    fn terms(&self, pieces: &[&str]) -> Vec<Vec<u32>> {
        let last = pieces.len().saturating_sub(1);
        let terms = |(at, piece): (usize, &&str)| match at {
            0 => self.dictionary.ending(piece.as_bytes(), self.letters),
            at if at == last => self.dictionary.beginning(piece.as_bytes(), self.letters),
            _ => self.dictionary.whole(piece.as_bytes(), self.letters),
        };
        pieces.iter().enumerate().map(terms).collect()
    }

    fn run(&mut self, place: u32, ordinals: &[u32]) -> Result<Run, FulltextError> {
        let all = self.docs();
        let mut lists = Vec::with_capacity(ordinals.len());
        for ordinal in ordinals {
            let docs = take_docs(self.lists.docs(*ordinal)?, all);
            let docs = docs.ok_or_else(|| self.lists.unreadable())?;
            lists.push(Spots {
                docs,
                octets: self.lists.spots(*ordinal)?.to_vec(),
                next: 0,
                at: 0,
            });
        }
        Ok(Run { place, lists })
    }
}

fn unsure(candidates: Option<DocSet>, docs: u32) -> Found {
    Found {
        docs: candidates.unwrap_or_else(|| DocSet::none(docs)),
        sure: false,
    }
}

/// One piece: where all terms stand that can stand for it.
struct Run {
    /// Which piece of the wanted text it is.
    place: u32,
    lists: Vec<Spots>,
}

/// Where one term stands, walked document by document.
struct Spots {
    docs: Vec<u32>,
    octets: Vec<u8>,
    next: usize,
    at: usize,
}

impl Spots {
    /// Gives (document, position) for candidates before `end`.
    fn until(&mut self, end: u32, candidates: &DocSet, mut each: impl FnMut(u32, u32)) -> Option<()> {
        while let Some(doc) = self.docs.get(self.next).copied().filter(|doc| *doc < end) {
            let mut rest = self.octets.get(self.at..)?;
            let before = rest.len();
            let group = take_spots(&mut rest)?;
            self.at += before - rest.len();
            self.next += 1;
            if candidates.contains(doc) {
                each_spot(group, |spot| each(doc, spot))?;
            }
        }
        Some(())
    }
}

/// Documents in which the runs stand one behind the other; `None` when a list cannot be read.
fn meet(runs: &mut [Run], candidates: &DocSet) -> Option<DocSet> {
    let mut found = candidates.emptied();
    let mut block = 0u32;
    let (mut keys, mut marks) = (Vec::new(), Vec::new());
    let Some(end) = candidates.iter().last().map(|last| last + 1) else {
        return Some(found);
    };
    while block < end {
        let next = block.saturating_add(BLOCK_DOCS);
        let Some((first, others)) = runs.split_first_mut() else {
            break;
        };
        keys.clear();
        for list in &mut first.lists {
            list.until(next, candidates, |doc, spot| {
                keys.extend(key(doc, spot, first.place))
            })?;
        }
        if first.lists.len() > 1 {
            keys.sort_unstable();
        }
        for run in others {
            confirm(&mut keys, &mut marks, run, next, candidates)?;
        }
        for key in &keys {
            found.insert((key >> 32) as u32);
        }
        block = next;
    }
    Some(found)
}

/// Where the wanted text would begin, if piece number `place` of it is here.
fn key(doc: u32, spot: u32, place: u32) -> Option<u64> {
    Some(u64::from(doc) << 32 | u64::from(spot.checked_sub(place)?))
}

/// Keeps of the keys those that a run has too.
fn confirm(
    keys: &mut Vec<u64>,
    marks: &mut Vec<bool>,
    run: &mut Run,
    end: u32,
    candidates: &DocSet,
) -> Option<()> {
    marks.clear();
    marks.resize(keys.len(), false);
    for list in &mut run.lists {
        let mut low = 0;
        list.until(end, candidates, |doc, spot| {
            let Some(wanted) = key(doc, spot, run.place) else {
                return;
            };
            // Positions of a list ascend, so the search goes on from where it was.
            let mut step = 1;
            while keys.get(low + step).is_some_and(|key| *key < wanted) {
                low += step;
                step *= 2;
            }
            let among = keys
                .get(low..(low + step + 1).min(keys.len()))
                .unwrap_or_default();
            low += among.partition_point(|key| *key < wanted);
            if keys.get(low) == Some(&wanted)
                && let Some(mark) = marks.get_mut(low)
            {
                *mark = true;
            }
        })?;
    }
    let mut mark = marks.iter();
    keys.retain(|_| mark.next().copied().unwrap_or(false));
    Some(())
}
