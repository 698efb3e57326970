//! Nouns and rules of registered mail. Pure: no I/O, no async, and no clock is read here; moments are handed in.

pub mod algorithm_policy;
pub mod audit;
pub mod audit_chain;
pub mod calendar;
pub mod certificate;
pub mod credit;
pub mod enquiry;
pub mod evidence;
pub mod folding;
pub mod item;
pub mod job;
pub mod label;
pub mod mail;
pub mod needle;
pub mod network;
pub mod number;
pub mod org;
pub mod policy;
pub mod provider;
pub mod receipt;
pub mod reply;
pub mod rights;
pub mod rule;
#[cfg(test)]
pub mod samples;
pub mod schedule;
pub mod selector;
pub mod signature;
pub mod tenant;
