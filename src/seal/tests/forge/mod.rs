//! The forger's workshop: signed documents with every part under control and real keys behind them.
//!
//! A forgery that fails because its signature value is broken proves nothing. So everything here signs for real: the
//! value holds over whatever SignedInfo, attributes or padding an attack needs. Judges from outside are asked as well.

pub mod cms;
pub mod judges;
pub mod keys;
pub mod token;
pub mod xml;

pub use keys::{Party, World, world};
