//! A password on its way through the house.
//!
//! The text is wiped when it is dropped and never printed. It is compared and hashed elsewhere; here it is only held.

use std::fmt;
use zeroize::Zeroizing;

/// A password as the client sent it (UTF-8, not normalised).
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Whoever calls this must not store, log or format it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("cok gizli".to_owned())), "Secret");
    }
}
