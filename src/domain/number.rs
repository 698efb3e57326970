//! Numbers by which Türkiye knows persons and institutions: TCKN, VKN, MERSİS, DETSİS. Only their form is checked here;
//! whose number it is, is another question.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A TCKN whose check digits hold. Debug is silent: an identity number does not belong into logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tckn(String);

impl Tckn {
    /// The digits. Whoever calls this must not log or print them.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As it may be shown: enough to tell two apart, too little to use. `172******60`.
    pub fn masked(&self) -> String {
        let shown = |n: usize| !(3..9).contains(&n);
        let digits = self.0.chars().enumerate();
        digits.map(|(n, d)| if shown(n) { d } else { '*' }).collect()
    }
}

impl FromStr for Tckn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match is_tckn(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("that is no TCKN: it has 11 digits, and the last two follow from the others"),
        }
    }
}

impl TryFrom<String> for Tckn {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Tckn> for String {
    fn from(tckn: Tckn) -> Self {
        tckn.0
    }
}

impl fmt::Debug for Tckn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tckn")
    }
}

/// TCKN, the identity number of a person: 11 digits, the last two of them check digits.
pub fn is_tckn(text: &str) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let odd = d[0] + d[2] + d[4] + d[6] + d[8];
    let even = d[1] + d[3] + d[5] + d[7];
    let tenth = (7 * odd + 10 * even - even) % 10;
    let eleventh = d[..10].iter().sum::<u32>() % 10;
    d[0] != 0 && d[9] == tenth && d[10] == eleventh
}

/// VKN, the tax number: 10 digits, the last of them a check digit.
pub fn is_vkn(text: &str) -> bool {
    let Some(d) = digits::<10>(text) else { return false };
    let weighed = |(i, digit): (u32, u32)| match (digit + i) % 10 {
        0 => 0,
        c => match (c * 2u32.pow(i)) % 9 {
            0 => 9,
            rest => rest,
        },
    };
    let sum: u32 = (1..).zip(d[..9].iter().rev().copied()).map(weighed).sum();
    d[9] == (10 - sum % 10) % 10
}

/// A tax number as institutions and persons write it: a VKN, or the TCKN that stands for it.
pub fn is_tax_number(text: &str) -> bool {
    is_vkn(text) || is_tckn(text)
}

/// MERSİS, the number in the trade register: 16 digits, the first eleven of them `0` and a VKN, or a TCKN.
pub fn is_mersis(text: &str) -> bool {
    let inner = text.get(..11).unwrap_or_default();
    digits::<16>(text).is_some() && (is_tckn(inner) || inner.strip_prefix('0').is_some_and(is_vkn))
}

/// DETSİS, the number of a public body: 8 digits in practice.
pub fn is_detsis(text: &str) -> bool {
    digits::<8>(text).is_some()
}

fn digits<const N: usize>(text: &str) -> Option<[u32; N]> {
    let values: Vec<u32> = text.bytes().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let all: [u32; N] = values.try_into().ok()?;
    all.iter().all(|d| *d < 10).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_number_is_shown_in_part_only() {
        let tckn: Tckn = "17291716060".parse().unwrap();
        assert_eq!(tckn.masked(), "172******60");
        assert_eq!(format!("{tckn:?}"), "Tckn");
        for bad in ["10000000147", "", "1729171606", "4540536920"] {
            assert!(bad.parse::<Tckn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn known_numbers_pass_and_each_changed_digit_fails() {
        for tckn in ["17291716060", "10000000146"] {
            assert!(is_tckn(tckn), "{tckn}");
        }
        for vkn in ["4540536920", "7330887853", "3130557669", "0123456789"] {
            assert!(is_vkn(vkn) && is_tax_number(vkn), "{vkn}");
        }
        assert!(is_mersis("0733088785300001") && is_detsis("24301234"));
        for (text, is) in [
            ("10000000147", is_tckn as fn(&str) -> bool),
            ("00000000000", is_tckn),
            ("1729171606", is_tckn),
            ("1729171606x", is_tckn),
            ("١٧٢٩١٧١٦٠٦٠", is_tckn),
            ("4540536921", is_vkn),
            ("454053692", is_vkn),
            ("1733088785300001", is_mersis),
            ("073308878530001", is_mersis),
            ("2430123", is_detsis),
            ("2430123a", is_detsis),
            ("", is_tax_number),
        ] {
            assert!(!is(text), "{text}");
        }
        // The last digit of a TCKN is the sum of the others: no other one fits.
        for digit in 1..10u8 {
            let last = (b'0' + digit) as char;
            assert!(!is_tckn(&format!("1729171606{last}")));
        }
    }
}
