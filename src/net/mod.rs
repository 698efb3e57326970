//! Doors: the only room that opens sockets. Here a protocol engine meets the services, one file per meeting.
//!
//! A door holds no state that matters: what it has accepted is in the store before it says so, and a connection that
//! breaks takes nothing with it.

mod asking;
pub mod autoconfig;
mod external;
pub mod fetch;
pub mod imap;
pub mod listener;
pub mod metrics;
mod private_key;
pub mod refusals;
pub mod relay_in;
pub mod relay_out;
pub mod secured;
pub mod submission;
pub mod tls;
pub mod tsa;
pub mod wire;
