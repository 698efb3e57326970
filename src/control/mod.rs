//! The administrator's door: its words ([`protocol`]) and its server on a unix socket ([`server`]).
//!
//! The server side puts each word to a service and writes the answer down; it decides nothing itself.

mod acting;
mod auditing;
mod certificates;
mod crediting;
mod declaring;
mod dns;
mod exporting;
mod jobs;
mod mails;
mod noting;
mod people;

pub mod protocol;
mod rehearsing;
mod rules;
pub mod server;
mod signing;
mod tenants;
mod traffic;
mod words;

pub use server::{ControlServer, SocketError};
pub use words::{ControlDoor, Ports};
