//! The address that takes one answer to a status message: `is-<32 hex digits>@<service domain>`.
//!
//! Its local part is chance, so that nobody can guess one; whose it is, for which job, and whether it has been used
//! is looked up by whoever takes the answer. No account may have a name of this form.

use crate::address::{AddressError, Domain, KepAddress};
use crate::clock::UtcTime;
use crate::domain::schedule::DAY;
use crate::id::IdSource;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

const PREFIX: &str = "is-";
const DIGITS: usize = 32;
/// How long an answer address holds: longer than approvals take, and short enough that what lies in old mailboxes and
/// backups opens nothing.
pub const REPLY_VALID: Duration = DAY.saturating_mul(90);

/// The part of an answer address that nobody can guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyToken(Uuid);

impl fmt::Debug for ReplyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyToken")
    }
}

impl ReplyToken {
    pub fn fresh(ids: &dyn IdSource) -> Self {
        Self(ids.uuid())
    }

    /// The token of an address of this form at `domain`; `None` for the address of an account.
    pub fn of(address: &KepAddress, domain: &Domain) -> Option<Self> {
        if address.domain() != *domain {
            return None;
        }
        let digits = address.local_part().strip_prefix(PREFIX)?;
        let plain = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        Uuid::try_parse(digits).ok().filter(|_| plain).map(Self)
    }

    pub fn address(self, domain: &Domain) -> Result<KepAddress, AddressError> {
        KepAddress::new(&format!("{PREFIX}{}", self.0.simple()), domain)
    }

    pub fn octets(self) -> [u8; 16] {
        *self.0.as_bytes()
    }
}

/// Until when an address that is given out at `now` holds.
pub fn valid_until(now: UtcTime) -> UtcTime {
    now.plus(REPLY_VALID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SystemIds;

    #[test]
    fn an_address_and_its_token_are_inverses_and_accounts_have_none() {
        let token = ReplyToken::fresh(&SystemIds);
        let domain: Domain = "hs01.kep.test".parse().unwrap();
        let address = token.address(&domain).unwrap();
        assert_eq!(ReplyToken::of(&address, &domain), Some(token));
        let upper: KepAddress = address.as_str().to_ascii_uppercase().parse().unwrap();
        assert_eq!(ReplyToken::of(&upper, &domain), Some(token));
        let elsewhere = token.address(&"hs02.kep.test".parse().unwrap()).unwrap();
        assert_eq!(ReplyToken::of(&elsewhere, &domain), None);
        assert_eq!(format!("{token:?}"), "ReplyToken");
        for other in [
            "is-@hs01.kep.test",
            "is@hs01.kep.test",
            "ornekas@hs01.kep.test",
            "is-0123456789abcdef0123456789abcdeg@hs01.kep.test",
            "is-01234567-89ab-cdef-0123-456789abcdef@hs01.kep.test",
            "is-0123456789abcdef0123456789abcdef0@hs01.kep.test",
        ] {
            assert_eq!(ReplyToken::of(&other.parse().unwrap(), &domain), None, "{other}");
        }
    }
}
