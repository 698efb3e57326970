//! How much may be kept, as it is typed: `10GiB`, or `none`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Unit and octets, largest first.
const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageWord(Option<u64>);

impl StorageWord {
    /// `None`: no limit.
    pub fn limit_bytes(self) -> Option<u64> {
        self.0
    }
}

impl FromStr for StorageWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let octets = text.split_at_checked(digits).and_then(|(number, unit)| {
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            number.parse::<u64>().ok()?.checked_mul(*factor)
        });
        let say = || {
            format!("{text:?} is no size; write a number and B, KiB, MiB, GiB or TiB, as in 10GiB, or none")
        };
        octets.map(|octets| Self(Some(octets))).ok_or_else(say)
    }
}

impl fmt::Display for StorageWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(octets) = self.0 else {
            return f.write_str("none");
        };
        let fits = |(_, factor): &&(&str, u64)| octets.is_multiple_of(*factor) && octets >= *factor;
        match UNITS.iter().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", octets / factor),
            None => write!(f, "{octets}B"),
        }
    }
}

impl TryFrom<String> for StorageWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StorageWord> for String {
    fn from(word: StorageWord) -> String {
        word.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_comes_back() {
        for text in ["none", "0B", "10GiB", "1TiB", "1500MiB", "7B"] {
            assert_eq!(
                text.parse::<StorageWord>().map(|w| w.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "1KiB".parse::<StorageWord>().map(StorageWord::limit_bytes),
            Ok(Some(1024))
        );
        for bad in ["", "10", "10GB", "-1B", "99999999999TiB", "10 GiB", "None"] {
            assert!(bad.parse::<StorageWord>().is_err(), "{bad}");
        }
    }
}
