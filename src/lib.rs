//! kepd: an open server for registered electronic mail (Turkish KEP).
//!
//! The table of contents. Rooms stand in floor order: a room imports only from the floors below it
//! (`tests/architecture.rs` holds the table). Data flows one way along two roads:
//!
//! ```text
//! OUT   user --SMTP--> submission --> policy --> approval* --> dispatch --> queue --> relay --SMTP--> other provider
//! IN    other provider --SMTP--> intake --> delivery --> mailbox views --IMAP--> user
//! BACK  every station records "evidence owed"; one notary seals it; evidence leaves by the same queue and relay
//! ```

// ground
pub mod address;
pub mod clock;
pub mod id;
pub mod roster;

// domain: nouns and rules, pure
pub mod domain;

// formats: octets and values
pub mod autoconfig;
pub mod cms;
pub mod mime;
pub mod pdf;
pub mod rem;
pub mod xml;

// protocol engines: sans-I/O state machines
pub mod imap;
pub mod sasl;
pub mod smtp;

// mechanisms
pub mod seal;
pub mod store;

// the judgement on sealed documents
pub mod validation;

// stations and services
pub mod service;

// doors
pub mod control;
pub mod kepctl;
pub mod net;

// roof
pub mod check;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod init;
