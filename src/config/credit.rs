//! `[credit]`: what a mail costs an account that pays in advance (kontör). Which accounts do is told by `kepctl tenant set`.

use super::value::Size;
use crate::domain::credit::{Tariff, UNIT_DEFAULT};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credit {
    pub unit: Size,
    pub per_recipient: bool,
}

impl Default for Credit {
    fn default() -> Self {
        Self {
            unit: Size(UNIT_DEFAULT.get()),
            per_recipient: false,
        }
    }
}

impl Credit {
    pub(super) fn check_sense(&self) -> Result<(), String> {
        let why = "credit.unit is 0B; a mail costs a unit for each started run of octets, as in \"5MiB\"";
        NonZeroU64::new(self.unit.0)
            .map(drop)
            .ok_or_else(|| why.to_owned())
    }

    pub(super) fn tariff(&self) -> Tariff {
        Tariff {
            unit_bytes: NonZeroU64::new(self.unit.0).unwrap_or(UNIT_DEFAULT),
            per_recipient: self.per_recipient,
        }
    }

    /// The tariff in words.
    pub fn words(&self) -> String {
        let each = match self.per_recipient {
            true => ", for each recipient",
            false => ", whatever the number of recipients",
        };
        format!("a mail costs 1 unit for each started {}{each}", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_tariff_is_read_and_nothing_is_free_of_charge_by_mistake() {
        let read = |more: &str| {
            let least = "[provider]\ndomain = \"hs01.kep.tr\"\nname = \"x\"\n[credit]\n";
            Config::parse(&format!("{least}{more}\n"))
        };
        let config = read("unit = \"1MiB\"\nper_recipient = true").unwrap();
        assert_eq!(config.credit.tariff().cost(1024 * 1024 + 1, 3), 6);
        assert!(
            config
                .credit
                .words()
                .contains("each started 1MiB, for each recipient")
        );
        assert_eq!(read("").unwrap().credit.tariff(), Default::default());
        assert!(read("unit = \"0B\"").unwrap().check_sense().is_err());
        let (_, why) = read("per_recipent = true").unwrap_err();
        assert!(why.contains("did you mean `per_recipient`"), "{why}");
    }
}
