//! Chance from a seed (SplitMix64): alike on every machine, and fast.

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `0..most`; 0 when that is empty.
    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn octet(&mut self) -> u8 {
        self.next() as u8
    }

    /// Cuts octets into random pieces.
    pub fn pieces<'a>(&mut self, octets: &'a [u8]) -> Vec<&'a [u8]> {
        let most = *self.pick(&[1, 7, 100, 5000, usize::MAX]);
        let mut rest = octets;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + self.below(most)).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces
    }

    /// Spoils octets in one of the ways that break parsers; `splice` are words that mean something to them.
    pub fn spoil(&mut self, octets: &mut Vec<u8>, splice: &[&[u8]]) {
        let at = self.below(octets.len() + 1);
        let len = self.below(40).min(octets.len() - at);
        match self.below(7) {
            0 if at < octets.len() => octets[at] = self.octet(),
            1 if at < octets.len() => octets[at] ^= 1 << self.below(8),
            2 => {
                octets.drain(at..at + len);
            }
            3 => {
                let piece = octets[at..at + len].to_vec();
                let times = *self.pick(&[1, 1, 1, 2, 50]);
                let piece = piece.repeat(times);
                octets.splice(at..at, piece);
            }
            4 => octets.truncate(at),
            _ => {
                let word = self.pick(splice).to_vec();
                octets.splice(at..at, word);
            }
        }
    }
}
