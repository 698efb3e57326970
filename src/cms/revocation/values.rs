//! What is known of revocation, as it came: whole, or as slices of what lies elsewhere, and by whom it was brought.
//!
//! Nothing is believed here and nothing left out: which values are looked at is chosen by `known`.

use super::checks::Checks;
use crate::clock::UtcTime;
use crate::cms::algorithm::sha256;
use crate::cms::certificate::Certificate;

/// What is known of revocation: lists and responses in DER as they came, and certificates of responders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationValues {
    pub crls: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
    pub certificates: Vec<Certificate>,
}

impl RevocationValues {
    pub fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.ocsp.is_empty()
    }

    /// Takes over what `other` has and this has not.
    pub fn add_all(&mut self, other: Self) {
        fn add<T: PartialEq>(to: &mut Vec<T>, from: Vec<T>) {
            for item in from {
                if !to.contains(&item) {
                    to.push(item);
                }
            }
        }
        add(&mut self.crls, other.crls);
        add(&mut self.ocsp, other.ocsp);
        add(&mut self.certificates, other.certificates);
    }
}

/// Who brought a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Whoever judges, or asked on his own.
    Caller,
    /// The document that is judged: anybody may have added to what it carries unsigned, or taken it away.
    Document,
}

/// A list or a response, and what it is remembered by.
#[derive(Debug, Clone, Copy)]
pub(in crate::cms) struct Value<'a> {
    pub octets: &'a [u8],
    pub sha256: [u8; 32],
}

impl<'a> Value<'a> {
    pub fn of(octets: &'a [u8]) -> Self {
        Self {
            octets,
            sha256: sha256(octets),
        }
    }
}

/// What is known of a list without reading it through.
#[derive(Debug, Clone, Copy)]
pub(in crate::cms) struct Head<'a> {
    pub issuer: &'a [u8],
    pub from: UtcTime,
}

/// What one side brought.
#[derive(Debug, Clone, Default)]
pub(in crate::cms) struct Brought<'a> {
    pub crls: Vec<(Value<'a>, Option<Head<'a>>)>,
    pub ocsp: Vec<Value<'a>>,
}

/// Values that lie elsewhere: what a judgement looks at.
#[derive(Debug, Clone, Default)]
pub struct ValueSlices<'a> {
    pub(in crate::cms) by_caller: Brought<'a>,
    pub(in crate::cms) by_document: Brought<'a>,
    pub(in crate::cms) certificates: Vec<Certificate>,
    pub(in crate::cms) checks: Checks,
}

impl<'a> ValueSlices<'a> {
    pub fn of(values: &'a RevocationValues) -> Self {
        let mut out = Self::default();
        let lists = values.crls.iter().map(|octets| (Value::of(octets), None));
        out.by_caller.crls = lists.collect();
        out.by_caller.ocsp = values.ocsp.iter().map(|octets| Value::of(octets)).collect();
        out.certificates.clone_from(&values.certificates);
        out
    }

    /// None yet; what is checked of those to come is remembered by `checks`.
    pub fn checked_by(checks: Checks) -> Self {
        Self {
            checks,
            ..Self::default()
        }
    }

    /// The same values, for the document of which `checks` are.
    pub fn counted_by(mut self, checks: &Checks) -> Self {
        self.checks = checks.clone();
        self
    }

    pub fn is_empty(&self) -> bool {
        let is_empty = |brought: &Brought<'_>| brought.crls.is_empty() && brought.ocsp.is_empty();
        is_empty(&self.by_caller) && is_empty(&self.by_document)
    }

    pub(in crate::cms) fn by(&self, origin: Origin) -> &Brought<'a> {
        match origin {
            Origin::Caller => &self.by_caller,
            Origin::Document => &self.by_document,
        }
    }

    pub(in crate::cms) fn by_mut(&mut self, origin: Origin) -> &mut Brought<'a> {
        match origin {
            Origin::Caller => &mut self.by_caller,
            Origin::Document => &mut self.by_document,
        }
    }
}
