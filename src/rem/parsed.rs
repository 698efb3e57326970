//! A document that is parsed once, for whoever asks several things of it: parsing is half of what either answer costs.

use super::evidence_read::{self, Read};
use super::{XML_MAX_NODES, schema};
use crate::xml::Tree;
use roxmltree::Document;

/// A document, or why it is none.
#[derive(Debug)]
pub struct Parsed<'a>(Held<'a>);

#[derive(Debug)]
enum Held<'a> {
    Own(Result<Document<'a>, String>),
    /// The tree that the signature is verified on.
    Shared(&'a Document<'a>),
}

impl<'a> Parsed<'a> {
    pub fn of(xml: &'a [u8]) -> Self {
        Self(Held::Own(super::parse(xml)))
    }

    /// What was parsed already, where it could be; what is refused there may still be read here, for a signature is not all
    /// that is asked about.
    pub fn of_tree(tree: &'a Tree<'a>) -> Self {
        match tree.document() {
            Ok(document) if is_of_usual_size(document) => Self(Held::Shared(document)),
            _ => Self::of(tree.octets()),
        }
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
        match &self.0 {
            Held::Own(document) => document.as_ref().map_err(Clone::clone),
            Held::Shared(document) => Ok(document),
        }
    }
}

fn is_of_usual_size(document: &Document<'_>) -> bool {
    document.descendants().nth(XML_MAX_NODES as usize).is_none()
}
