//! A document that is parsed once, for whoever asks several things of it: parsing is half of what either answer costs.

use super::evidence_read::{self, Read};
use super::schema;
use roxmltree::Document;

/// A document, or why it is none.
#[derive(Debug)]
pub struct Parsed<'a>(Result<Document<'a>, String>);

impl<'a> Parsed<'a> {
    pub fn of(xml: &'a [u8]) -> Self {
        Self(super::parse(xml))
    }

    /// Whether it obeys the schema: see [`schema::check`].
    pub fn check_schema(&self) -> Result<(), String> {
        schema::check_document(self.document()?)
    }

    /// What it states: see [`evidence_read::read`].
    pub fn read(&self) -> Result<Read, String> {
        evidence_read::read_document(self.document()?)
    }

    fn document(&self) -> Result<&Document<'a>, String> {
        self.0.as_ref().map_err(Clone::clone)
    }
}
