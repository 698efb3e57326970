//! Flags and keywords (RFC 9051 2.3.2). Both are compared without case, in ASCII only.

use super::limits::KEYWORD_MAX;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

/// A flag a client may set. `\Recent` is the server's alone and always absent here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    Answered,
    Deleted,
    Draft,
    Flagged,
    Seen,
    Keyword(Keyword),
}

/// A keyword: an atom, in the spelling of whoever wrote it first.
#[derive(Debug, Clone)]
pub struct Keyword(String);

/// The flags of one message: bits for those that have a name of their own, so that most cost no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<Flag>,
}

/// In the order in which they are told; a flag's place is its bit.
const SYSTEM: [Flag; 5] = [
    Flag::Answered,
    Flag::Deleted,
    Flag::Draft,
    Flag::Flagged,
    Flag::Seen,
];

impl Keyword {
    /// Refuses what is not an atom (RFC 9051 9) or is too long.
    pub fn new(text: &str) -> Option<Self> {
        let ok = (1..=KEYWORD_MAX).contains(&text.len()) && text.bytes().all(is_atom_char);
        ok.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}
impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| b.hash(state));
    }
}

impl Flag {
    /// `\Seen` or a keyword; `None` for `\Recent`, `\*` and system flags nobody defined.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(system) = text.strip_prefix('\\') else {
            return Keyword::new(text).map(Flag::Keyword);
        };
        SYSTEM
            .into_iter()
            .find(|flag| flag.as_str()[1..].eq_ignore_ascii_case(system))
    }

    /// The bit of a system flag.
    fn bit(&self) -> Option<u8> {
        let place = match self {
            Flag::Answered => 0,
            Flag::Deleted => 1,
            Flag::Draft => 2,
            Flag::Flagged => 3,
            Flag::Seen => 4,
            Flag::Keyword(_) => return None,
        };
        Some(1 << place)
    }

    pub fn as_str(&self) -> &str {
        match self {
            Flag::Answered => "\\Answered",
            Flag::Deleted => "\\Deleted",
            Flag::Draft => "\\Draft",
            Flag::Flagged => "\\Flagged",
            Flag::Seen => "\\Seen",
            Flag::Keyword(keyword) => keyword.as_str(),
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The words of each set of system flags, by its bits: most messages have no others, and are told in a word.
static SYSTEM_TEXT: LazyLock<[String; 1 << SYSTEM.len()]> = LazyLock::new(|| {
    std::array::from_fn(|bits| {
        let system = bits as u8;
        let flags = Flags {
            system,
            ..Flags::default()
        };
        let words: Vec<&str> = flags.iter().map(Flag::as_str).collect();
        words.join(" ")
    })
});

impl Flags {
    /// Those system flags that are set; what is a keyword is passed over.
    pub fn of_system(flags: impl IntoIterator<Item = (bool, Flag)>) -> Self {
        let bits = flags.into_iter().map(|(set, flag)| match set {
            true => flag.bit().unwrap_or(0),
            false => 0,
        });
        Self {
            system: bits.fold(0, |all, bit| all | bit),
            keywords: BTreeSet::new(),
        }
    }

    /// The system flags as they are told, with spaces between.
    pub fn system_text(&self) -> &'static str {
        // There is one for each set of bits.
        &SYSTEM_TEXT[usize::from(self.system)]
    }

    pub fn keywords(&self) -> impl Iterator<Item = &Flag> {
        self.keywords.iter()
    }

    pub fn contains(&self, flag: &Flag) -> bool {
        match flag.bit() {
            Some(bit) => self.system & bit != 0,
            None => self.keywords.contains(flag),
        }
    }

    /// Whether it was not there before.
    pub fn insert(&mut self, flag: Flag) -> bool {
        match flag.bit() {
            Some(bit) => {
                let fresh = self.system & bit == 0;
                self.system |= bit;
                fresh
            }
            None => self.keywords.insert(flag),
        }
    }

    pub fn remove(&mut self, flag: &Flag) -> bool {
        match flag.bit() {
            Some(bit) => {
                let there = self.system & bit != 0;
                self.system &= !bit;
                there
            }
            None => self.keywords.remove(flag),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flag> {
        let set = |flag: &&Flag| flag.bit().is_some_and(|bit| self.system & bit != 0);
        SYSTEM.iter().filter(set).chain(&self.keywords)
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }
}

impl Extend<Flag> for Flags {
    fn extend<I: IntoIterator<Item = Flag>>(&mut self, flags: I) {
        // One by one: the first spelling of a keyword stays.
        flags.into_iter().for_each(|flag| {
            self.insert(flag);
        });
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut all = Self::default();
        all.extend(flags);
        all
    }
}

/// `(\Seen work)`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, flag) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { " " })?;
            f.write_str(flag.as_str())?;
        }
        f.write_str(")")
    }
}

/// ATOM-CHAR of RFC 9051 9: no specials, no controls, nothing above ASCII.
pub fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_strangers_are_refused() {
        assert_eq!(Flag::parse("\\sEEN"), Some(Flag::Seen));
        assert_eq!(Flag::parse("$Forwarded"), Flag::parse("$FORWARDED"));
        for bad in ["\\Recent", "\\*", "", "a b", "a(b", "çöp", "\\"] {
            assert_eq!(Flag::parse(bad), None, "{bad}");
        }
        let flags: Flags = ["x", "\\Seen", "X", "\\Answered"]
            .iter()
            .filter_map(|f| Flag::parse(f))
            .collect();
        assert_eq!(flags.to_string(), "(\\Answered \\Seen x)");
    }

    #[test]
    fn each_set_of_system_flags_has_its_words() {
        for bits in 0..1 << SYSTEM.len() {
            let set = SYSTEM.into_iter().enumerate();
            let set: Vec<_> = set.map(|(n, flag)| (bits & (1 << n) != 0, flag)).collect();
            let flags = Flags::of_system(set.clone());
            assert!(set.iter().all(|(is_set, flag)| flags.contains(flag) == *is_set));
            assert_eq!(format!("({})", flags.system_text()), flags.to_string());
        }
    }
}
