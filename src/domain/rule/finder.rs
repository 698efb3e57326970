//! Finds which of many texts stand in a text, without asking for each: a thousand rules cost little more than one.
//!
//! The texts are sorted. Of those that stand at one place of what is looked through, the longest is the beginning of
//! the last text that is not greater than what follows there, or that text itself; so one search finds it, and the
//! shorter ones are its own beginnings. That costs a logarithm for each place, and a number for each text: a large
//! automaton would be quicker still, and its size would be in the hands of whoever writes rules.

/// Octets of a text by which it is sorted in the first place.
const KEY_OCTETS: usize = 8;

#[derive(Debug, Clone, Default)]
pub(super) struct Finder {
    /// Sorted, none twice, none empty.
    texts: Vec<String>,
    /// The first octets of each.
    keys: Vec<u64>,
    /// The longest other text that each begins with.
    within: Vec<Option<u32>>,
}

fn key(octets: &[u8]) -> u64 {
    let mut key = [0; KEY_OCTETS];
    let len = octets.len().min(KEY_OCTETS);
    key[..len].copy_from_slice(&octets[..len]);
    u64::from_be_bytes(key)
}

impl Finder {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<String> = texts.into_iter().filter(|t| !t.is_empty()).collect();
        texts.sort_unstable();
        texts.dedup();
        let keys = texts.iter().map(|t| key(t.as_bytes())).collect();
        let mut within: Vec<Option<u32>> = Vec::with_capacity(texts.len());
        for (n, text) in texts.iter().enumerate() {
            // Whatever this one begins with is the text before it, or the beginning of that.
            let mut at = u32::try_from(n).ok().and_then(|n| n.checked_sub(1));
            while let Some(shorter) = at
                && !text.starts_with(&texts[shorter as usize])
            {
                at = within[shorter as usize];
            }
            within.push(at);
        }
        Self { texts, keys, within }
    }

    /// The number of a text, if it is one of these.
    pub fn number(&self, text: &str) -> Option<usize> {
        self.texts.binary_search_by(|t| t.as_str().cmp(text)).ok()
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Calls `found` with the number and the place of each text that stands in `text`.
    pub fn each(&self, text: &str, mut found: impl FnMut(usize, std::ops::Range<usize>)) {
        if self.texts.is_empty() {
            return;
        }
        for (at, _) in text.char_indices() {
            let rest = &text[at..];
            let mut candidate = self.not_greater(rest);
            let mut stands = false;
            while let Some(n) = candidate {
                let sought = self.texts[n].as_str();
                // What a found text begins with is found, too.
                stands = stands || rest.starts_with(sought);
                if stands {
                    found(n, at..at + sought.len());
                }
                candidate = self.within[n].map(|n| n as usize);
            }
        }
    }

    /// The last text that is not greater than this.
    fn not_greater(&self, rest: &str) -> Option<usize> {
        let key = key(rest.as_bytes());
        let below = self.keys.partition_point(|k| *k < key);
        let alike = self.keys[below..].partition_point(|k| *k == key);
        let among = &self.texts[below..below + alike];
        (below + among.partition_point(|t| t.as_str() <= rest)).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_looking_for_each_finds(
            texts in prop::collection::vec("[abı]{1,12}", 0..40),
            text in "[abı ]{0,60}",
        ) {
            let finder = Finder::new(texts.clone());
            let mut found = Vec::new();
            finder.each(&text, |n, place| found.push((finder.texts[n].clone(), place)));
            let mut each = Vec::new();
            let mut distinct = texts;
            distinct.sort();
            distinct.dedup();
            for sought in &distinct {
                let places = text.char_indices().map(|(at, _)| at);
                let places = places.filter(|at| text[*at..].starts_with(sought.as_str()));
                each.extend(places.map(|at| (sought.clone(), at..at + sought.len())));
            }
            let order = |a: &(String, std::ops::Range<usize>)| (a.1.start, a.1.end);
            found.sort_by_key(order);
            each.sort_by_key(order);
            prop_assert_eq!(found, each);
        }
    }
}
