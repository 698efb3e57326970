//! Stations and services: they know registered mail, and nothing of SMTP or IMAP.
//!
//! Along the roads: `submission`, `approval`, `dispatch`, `relay` out; `intake`, `delivery`, `mailbox` in. A station
//! never calls the next one: it commits its state with the work it leaves, and rings a bell. `declaring` is what a
//! recipient says of a mail he has. The `herald` tells of every stage of an approval, and `answering` takes the answers.
//! `emptying` lets go what has lain in the bin for its time.

pub mod account;
pub mod answering;
pub mod approval;
pub mod archive;
pub mod aside;
pub mod auditing;
pub mod bell;
pub mod credit;
pub mod declaring;
pub mod delivery;
pub mod dispatch;
pub mod effect;
pub mod emptying;
pub mod enquiry;
pub mod evidence_records;
pub mod failure;
pub mod gauges;
pub mod genuine;
pub mod herald;
pub mod identity;
pub mod indexing;
pub mod intake;
pub mod item_numbers;
pub mod lasting;
pub mod mailbox;
pub mod notary;
pub mod octets;
pub mod organisation;
pub mod outline;
pub mod owing;
pub mod peers;
pub mod preservation;
pub mod putting_off;
pub mod queueing;
pub mod records;
pub mod rehearsal;
pub mod relay;
pub mod searched;
pub mod submission;
pub mod time_slice;
pub mod usage;
pub mod yielding;
