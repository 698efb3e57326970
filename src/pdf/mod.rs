//! The summary of a mail's evidence, for a reader in court: one PDF in Turkish, with English beside in small letters.
//!
//! PDF/A-3 level B (ISO 19005-3), so that it can be read in decades: every font is inside, colours do not depend on a
//! device, nothing is fetched and nothing runs. The evidence documents ride in it as attachments, as far as there is room.
//! Pure and deterministic: what it says is handed in, the time of its making too; the same summary gives the same octets.
//!
//! It proves nothing by itself and says so on every page: the proof is in the sealed documents it lists. It verifies
//! nothing either; the findings it prints were made by who asks for it. It is not tagged for screen readers (level A).

mod compose;
mod face;
mod foreign;
mod lines;
mod paper;
mod sections;
pub mod summary;
mod words;

pub use compose::{Press, PressError};

#[cfg(test)]
mod tests;
