//! Every octet of one document, changed in every way that matters: all eight single bits, and the characters that could
//! turn markup into something else. Nothing goes unnoticed but a document that says the same.

use super::super::forge::cms::{CmsDraft, SIGNATURE_TIME_STAMP, attribute};
use super::super::forge::token::TokenDraft;
use super::super::forge::xml::Draft;
use super::*;
use crate::cms::algorithm::sha256;
use crate::seal::verifier::verify_entity;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What an octet is replaced by besides its eight neighbours: markup, white space, base64's letters, NUL.
const PUT: &[u8] = b"<>&\"' \n\t/=:#A0-\0";

/// The octets that stand for `octet` at a place: eight bits, the list, and the next of the same kind, which keeps names
/// names and base64 base64. A debug build is slow: there each place has one bit and one of the list in turn; a release
/// build has them all.
fn replacements(place: usize, octet: u8) -> impl Iterator<Item = u8> {
    let next = match octet {
        b'z' | b'Z' | b'9' => octet - 1,
        c if c.is_ascii_alphanumeric() => c + 1,
        c => c ^ 0x20,
    };
    let turn = move |i: usize, length: usize| !cfg!(debug_assertions) || place % length == i;
    let bits = (0..8).filter(move |b| turn(*b, 8)).map(move |b| octet ^ (1 << b));
    let put = (0..PUT.len())
        .filter(move |i| turn(*i, PUT.len()))
        .map(|i| PUT[i]);
    bits.chain(put).chain([next]).filter(move |o| *o != octet)
}

/// Spreads places over the threads; gives the number of changes that were harmless.
fn every_place(length: usize, check: impl Fn(usize) -> usize + Sync) -> usize {
    let (next, harmless) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|s| {
        for _ in 0..threads {
            s.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= length {
                        break;
                    }
                    harmless.fetch_add(check(at), Ordering::Relaxed);
                }
            });
        }
    });
    harmless.into_inner()
}

#[test]
fn every_octet_of_an_evidence() {
    let good = Draft::honest().sign().text().into_bytes();
    assert!(judge(&good).findings.all_ok());
    let canonical = crate::xml::canonical_form(&good).unwrap();
    let harmless = every_place(good.len(), |i| {
        let (mut changed, mut harmless) = (good.clone(), 0);
        for octet in replacements(i, good[i]) {
            changed[i] = octet;
            if !judge(&changed).findings.all_ok() {
                continue;
            }
            // The canonical form of the whole, signature included, is what both say.
            let says_the_same = crate::xml::canonical_form(&changed).is_ok_and(|c| c == canonical);
            let around = String::from_utf8_lossy(&good[i.saturating_sub(30)..(i + 10).min(good.len())]);
            assert!(
                says_the_same,
                "octet {i} {:?} -> {octet:?} near {around}",
                good[i]
            );
            harmless += 1;
        }
        harmless
    });
    // White space in tags, quotes, the prefixes of declarations that nobody uses: some, and not many.
    assert!((1..good.len() / 4).contains(&harmless), "{harmless}");
}

/// What stands between two octets: a colon everywhere, and of the list one in turn (in a release build all).
#[test]
fn an_octet_put_anywhere_into_an_evidence() {
    let good = Draft::honest().sign().text().into_bytes();
    let said = |octets: &[u8]| format!("{:?}", crate::seal::enveloped::verify(octets).unwrap());
    let verified = said(&good);
    let harmless = every_place(good.len(), |i| {
        let turn = |n: &usize| !cfg!(debug_assertions) || i % PUT.len() == *n;
        let put = (0..PUT.len()).filter(turn).map(|n| PUT[n]).chain([b':']);
        let unnoticed = put.filter(|octet| {
            let changed = [&good[..i], &[*octet], &good[i..]].concat();
            if !judge(&changed).findings.all_ok() {
                return false;
            }
            // It stands where nothing is signed or read: the same was verified.
            let before = String::from_utf8_lossy(&good[i.saturating_sub(40)..i]);
            let octet = char::from(*octet);
            assert!(said(&changed) == verified, "{octet:?} behind {before}");
            true
        });
        unnoticed.count()
    });
    assert!((1..good.len()).contains(&harmless), "{harmless}");
}

#[test]
fn every_octet_of_signed_data() {
    let digest = sha256(b"content");
    let mut d = CmsDraft::honest(&world().seal, b"content");
    d.signers[0].unsigned = |value| {
        vec![attribute(
            SIGNATURE_TIME_STAMP,
            &[&TokenDraft::honest(world(), value).der()],
        )]
    };
    let good = d.der();
    let all_ok = |octets: &[u8]| {
        let r = verify_entity(digest, octets, &world().trust);
        r.signature.is_ok() && r.trust.is_ok() && r.timestamp.is_ok()
    };
    assert!(all_ok(&good));
    let harmless = every_place(good.len(), |i| {
        let mut changed = good.clone();
        let mut harmless = 0;
        for octet in replacements(i, good[i]) {
            changed[i] = octet;
            harmless += usize::from(all_ok(&changed));
        }
        assert!(!all_ok(&good[..i]), "cut at {i}");
        harmless
    });
    // The version of the SignedData, 1 or 3, says nothing about who signed what.
    assert!(harmless <= 2, "{harmless}");
}
