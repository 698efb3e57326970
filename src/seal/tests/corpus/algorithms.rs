//! Algorithms that are too weak, of the wrong kind, or not what they are called.

use super::super::forge::xml::{DSIG, Draft, ECDSA_SHA256, RSA_SHA256, integers};
use super::Says::{No, Yes};
use super::*;
use aws_lc_rs::{digest, hmac};

const METHOD: &str = "the signature algorithm is not allowed";
const DIGEST: &str = "the digest algorithm is not allowed";
const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";

fn sha1(octets: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets)
        .as_ref()
        .to_vec()
}

fn sha512(octets: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA512, octets).as_ref().to_vec()
}

/// The key of the HMAC is what everybody knows: the certificate.
fn keyed(d: &Draft, signed_info: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, d.party.certificate.spki_der());
    hmac::sign(&key, signed_info).as_ref().to_vec()
}

fn fixed_of(signature: &[u8], width: usize) -> Vec<u8> {
    let (r, s) = integers(signature);
    let pad = |n: Vec<u8>| [vec![0; width - n.len()], n].concat();
    [pad(r), pad(s)].concat()
}

/// The method that is named is not one of the signer's key.
fn other_kind() -> XmlError {
    broken("signature value verification failed")
}

#[test]
fn signature_methods() {
    refused(&[
        attack("RSA with SHA-1", Yes, profile(METHOD), || {
            let mut d = Draft::by(&world().rsa, &format!("{DSIG}rsa-sha1"));
            d.value = |d, octets| d.party.sign_by_openssl("sha1", octets);
            d.sign().text()
        }),
        attack("RSA with MD5", Yes, profile(METHOD), || {
            let mut d = Draft::by(&world().rsa, &format!("{MORE}rsa-md5"));
            d.value = |d, octets| d.party.sign_by_openssl("md5", octets);
            d.sign().text()
        }),
        attack("ECDSA with SHA-1", Yes, profile(METHOD), || {
            let mut d = Draft::by(&world().seal, &format!("{MORE}ecdsa-sha1"));
            d.value = |d, octets| fixed_of(&d.party.sign_by_openssl("sha1", octets), 32);
            d.sign().text()
        }),
        attack("HMAC under the public key", No, profile(METHOD), || {
            let mut d = Draft::by(&world().seal, &format!("{MORE}hmac-sha256"));
            d.value = keyed;
            d.sign().text()
        }),
        attack("HMAC of no length", No, profile(METHOD), || {
            let mut d = Draft::by(&world().seal, &format!("{DSIG}hmac-sha1"));
            d.method = d
                .method
                .replace("></", "><ds:HMACOutputLength>0</ds:HMACOutputLength></");
            d.value = |_, _| Vec::new();
            d.sign().text()
        }),
        attack("a length beside ECDSA", Yes, profile(METHOD), || {
            let mut d = Draft::honest();
            d.method = d
                .method
                .replace("></", "><ds:HMACOutputLength>8</ds:HMACOutputLength></");
            d.sign().text()
        }),
        attack("an algorithm of nobody's", No, profile(METHOD), || {
            Draft::by(&world().seal, "urn:x").sign().text()
        }),
        attack("no algorithm", No, profile(METHOD), || {
            Draft::honest()
                .sign()
                .text()
                .replace(&format!(" Algorithm=\"{ECDSA_SHA256}\""), "")
        }),
        attack("called RSA, made by ECDSA", No, other_kind(), || {
            Draft::by(&world().seal, RSA_SHA256).sign().text()
        }),
        attack("called ECDSA, made by RSA", No, other_kind(), || {
            Draft::by(&world().rsa, ECDSA_SHA256).sign().text()
        }),
        attack(
            "called SHA-512, made with SHA-256",
            No,
            broken("signature value verification failed"),
            || {
                Draft::by(&world().seal, &format!("{MORE}ecdsa-sha512"))
                    .sign()
                    .text()
            },
        ),
    ]);
}

#[test]
fn digest_methods() {
    refused(&[
        attack("SHA-1 of the document", Yes, profile(DIGEST), || {
            let mut d = Draft::honest();
            d.references[0].digest_uri = format!("{DSIG}sha1");
            d.references[0].digest = sha1;
            d.sign().text()
        }),
        attack("SHA-1 of the properties", Yes, profile(DIGEST), || {
            let mut d = Draft::honest();
            d.references[1].digest_uri = format!("{DSIG}sha1");
            d.references[1].digest = sha1;
            d.sign().text()
        }),
        attack("MD5", No, profile(DIGEST), || {
            let mut d = Draft::honest();
            d.references[0].digest_uri = format!("{MORE}md5");
            d.sign().text()
        }),
        attack("called SHA-512, made with SHA-256", No, other_document(), || {
            let mut d = Draft::honest();
            d.references[0].digest_uri = "http://www.w3.org/2001/04/xmlenc#sha512".to_owned();
            d.sign().text()
        }),
        attack("called SHA-256, made with SHA-512", No, other_document(), || {
            let mut d = Draft::honest();
            d.references[0].digest = sha512;
            d.sign().text()
        }),
        attack("half a digest", No, other_document(), || {
            let mut d = Draft::honest();
            d.references[0].digest = |o| crate::cms::algorithm::sha256(o)[..16].to_vec();
            d.sign().text()
        }),
        attack(
            "an empty digest",
            No,
            profile("an element that must hold one text"),
            || {
                let mut d = Draft::honest();
                d.references[0].digest = |_| Vec::new();
                d.sign().text()
            },
        ),
        attack("a digest with a tail", No, other_document(), || {
            let mut d = Draft::honest();
            d.references[0].digest = |o| [&crate::cms::algorithm::sha256(o)[..], &[0]].concat();
            d.sign().text()
        }),
        attack("SHA-224", Yes, profile(DIGEST), || {
            let mut d = Draft::honest();
            d.references[0].digest_uri = format!("{MORE}sha224");
            d.references[0].digest = |o| digest::digest(&digest::SHA224, o).as_ref().to_vec();
            d.sign().text()
        }),
    ]);
}

#[test]
fn keys_too_weak_or_unknown() {
    let short = || profile("an RSA signature of less than 2048 bits");
    refused(&[
        attack("RSA of 512 bits", No, short(), || {
            Draft::by(&world().rsa_512, RSA_SHA256).sign().text()
        }),
        attack("RSA of 1024 bits", No, short(), || {
            Draft::by(&world().rsa_1024, RSA_SHA256).sign().text()
        }),
        attack(
            "secp256k1",
            No,
            profile("the signer's key is neither ECDSA P-256, P-384 nor RSA"),
            || Draft::by(&world().secp256k1, ECDSA_SHA256).sign().text(),
        ),
        attack(
            "P-521",
            No,
            profile("the signer's key is neither ECDSA P-256, P-384 nor RSA"),
            || {
                let mut d = Draft::by(&world().p521, ECDSA_SHA256);
                d.value = |d, octets| fixed_of(&d.party.sign(d.digest, octets), 66);
                d.sign().text()
            },
        ),
    ]);
}
