//! The address to which users mail documents they want to know about: `dogrula@PROVIDER`.

use crate::address::{Domain, KepAddress};

/// Turkish for "verify". No account may have this name at the provider's own domain.
pub const LOCAL_PART: &str = "dogrula";

/// Whether this is the address at `domain`.
pub fn is_address(address: &KepAddress, domain: &Domain) -> bool {
    address.domain() == *domain && address.local_part() == LOCAL_PART
}
