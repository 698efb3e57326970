//! The corpus: everything known that could fool a verifier, each attack with the exact reason it is refused for, and with
//! what xmlsec1 and openssl say about the same octets.
//!
//! The documents are made by `forge`, with signature values that hold. A table has one row for each attack; all rows that
//! go wrong are told at once. Two laws stand over the tables: what we call ok, the judges call ok; and a row that we
//! refuse is refused for its own reason and not for another fault of the forgery.

mod algorithms;
mod covered;
mod doubling;
mod embedded;
mod identity;
mod mutation;
mod numbers;
mod pss;
mod shape;
mod signed_by;
mod signed_data;
mod text;
mod tokens;
mod wrapping;

use super::forge::judges::{self, Says};
use super::forge::world;
use super::no_schema;
use crate::seal::verifier::{EvidenceReport, Finding, verify_evidence};
use crate::xml::XmlError;

/// One attack on an evidence document.
struct Attack {
    name: &'static str,
    /// What the finding on the signature must say.
    why: String,
    xmlsec1: Says,
    make: fn() -> String,
}

/// A row: what is done, what xmlsec1 says to it, why we refuse it, and how it is made.
fn attack(name: &'static str, xmlsec1: Says, why: XmlError, make: fn() -> String) -> Attack {
    Attack {
        name,
        why: why.to_string(),
        xmlsec1,
        make,
    }
}

fn profile(what: &'static str) -> XmlError {
    XmlError::Profile(what)
}

fn guard(what: &'static str) -> XmlError {
    XmlError::Guard(what)
}

fn parse(what: &str) -> XmlError {
    XmlError::Parse(what.to_owned())
}

fn broken(what: &str) -> XmlError {
    XmlError::Signature(what.to_owned())
}

/// The document's digest is another.
fn other_document() -> XmlError {
    broken("the document is not what was signed")
}

/// What we accept, the signature library must accept, too: it has another parser and another canonicaliser.
fn judge(document: &[u8]) -> EvidenceReport {
    let report = verify_evidence(document, &world().trust, no_schema);
    if report.findings.signature.is_ok() {
        let (verified, _) = crate::seal::enveloped::verify(document).unwrap();
        let theirs = crate::xml::judge::library_accepts(document, &verified.signer_der);
        assert_eq!(theirs, Ok(()), "{}", String::from_utf8_lossy(document));
    }
    report
}

/// Both halves of a table at once, and every row that is not as it should be.
fn all<T: Sync>(rows: &[T], check: impl Fn(&T) -> Option<String> + Sync) {
    world();
    let (left, right) = rows.split_at(rows.len() / 2);
    let faults: Vec<String> = std::thread::scope(|s| {
        let other = s.spawn(|| left.iter().filter_map(&check).collect::<Vec<_>>());
        let mine: Vec<_> = right.iter().filter_map(&check).collect();
        other.join().unwrap().into_iter().chain(mine).collect()
    });
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        rows.len(),
        faults.join("\n")
    );
}

/// Holds a table of attacks against the verifier and xmlsec1.
fn refused(attacks: &[Attack]) {
    all(attacks, |a| {
        let document = (a.make)();
        let found = judge(document.as_bytes()).findings.signature;
        let (says, words) = judges::xmlsec1(world(), document.as_bytes());
        let wanted = Finding::Failed(a.why.clone());
        (found != wanted || says != a.xmlsec1).then(|| {
            let words: Vec<&str> = words.lines().filter(|l| l.contains("error")).take(2).collect();
            format!(
                "{}:\n  found  {found}\n  wanted {wanted}\n  xmlsec1 {says:?} {words:?}",
                a.name
            )
        })
    });
}

/// A document that is genuine for all its strangeness.
type Strange = (&'static str, fn() -> String);

/// Documents that are genuine for all their strangeness: every finding is ok, and xmlsec1 agrees and digests the octets
/// that we say are covered.
fn accepted(documents: &[Strange]) {
    all(documents, |(name, make)| {
        let document = make();
        let report = judge(document.as_bytes());
        let (says, words) = judges::xmlsec1(world(), document.as_bytes());
        if !report.findings.all_ok() || says == Says::No {
            return Some(format!(
                "{name}:\n  {:?}\n  xmlsec1 {says:?} {words}",
                report.findings
            ));
        }
        covered::differs(&document).map(|how| format!("{name}: {how}"))
    });
}
