//! RSASSA-PSS: one form of it is taken, and every other one is refused, whoever else takes it.
//!
//! xmlsec1 does not know it. What we accept on XML, openssl accepts over the canonical SignedInfo, and bergshamra over the document
//! (`judge`).

use super::super::forge::keys::Party;
use super::super::forge::xml::{Draft, RSA_SHA256};
use super::Says::{No, Yes};
use super::signed_data::{CONTENT, accepted_data, der_error, refused_data};
use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::signed::{CmsError, verify_personal};
use crate::cms::{Certificate, PathError, Purpose};
use crate::seal::TrustStore;
use std::time::Duration;

const METHOD: &str = "the signature algorithm is not allowed";
const PSS_SHA256: &str = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1";

fn drafted(value: fn(&Draft, &[u8]) -> Vec<u8>) -> String {
    let mut d = Draft::by(&world().rsa, PSS_SHA256);
    d.value = value;
    d.sign().text()
}

/// The method is written so; the value is what it should be.
fn written(method: &str) -> String {
    let mut d = Draft::by(&world().rsa, PSS_SHA256);
    d.method = method.to_owned();
    d.value = |d, octets| d.party.pss(["digest", "sha256"], octets);
    d.sign().text()
}

fn value_fails() -> XmlError {
    broken("signature value verification failed")
}

#[test]
fn of_documents() {
    refused(&[
        attack("the longest salt", No, value_fails(), || {
            drafted(|d, octets| d.party.pss(["max", "sha256"], octets))
        }),
        attack("no salt", No, value_fails(), || {
            drafted(|d, octets| d.party.pss(["0", "sha256"], octets))
        }),
        attack("the salt of SHA-1", No, value_fails(), || {
            drafted(|d, octets| d.party.pss(["20", "sha256"], octets))
        }),
        attack("the mask of SHA-1", No, value_fails(), || {
            drafted(|d, octets| d.party.pss(["digest", "sha1"], octets))
        }),
        attack("the mask of SHA-512", No, value_fails(), || {
            drafted(|d, octets| d.party.pss(["digest", "sha512"], octets))
        }),
        attack("called PSS, padded by PKCS #1", No, value_fails(), || {
            Draft::by(&world().rsa, PSS_SHA256).sign().text()
        }),
        attack("called PKCS #1, padded by PSS", No, value_fails(), || {
            let mut d = Draft::by(&world().rsa, RSA_SHA256);
            d.value = |d, octets| d.party.pss(["digest", "sha256"], octets);
            d.sign().text()
        }),
        attack("called PSS, made by ECDSA", No, value_fails(), || {
            Draft::by(&world().seal, PSS_SHA256).sign().text()
        }),
        attack(
            "called PSS with SHA-512, made with SHA-256",
            No,
            value_fails(),
            || {
                written(
                    "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1\"></ds:SignatureMethod>",
                )
            },
        ),
        attack("SHA-1 and MGF1", No, profile(METHOD), || {
            written(
                "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1\"></ds:SignatureMethod>",
            )
        }),
        attack("the form with parameters", No, profile(METHOD), || {
            written(
                "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#rsa-pss\"><p:RSAPSSParams \
                 xmlns:p=\"http://www.w3.org/2007/05/xmldsig-more#\"><p:SaltLength>32</p:SaltLength></p:RSAPSSParams>\
                 </ds:SignatureMethod>",
            )
        }),
        attack("parameters where none belong", No, profile(METHOD), || {
            written(&format!(
                "<ds:SignatureMethod Algorithm=\"{PSS_SHA256}\"><p:RSAPSSParams \
                 xmlns:p=\"http://www.w3.org/2007/05/xmldsig-more#\"></p:RSAPSSParams></ds:SignatureMethod>"
            ))
        }),
    ]);
}

#[test]
fn the_one_form_is_taken_as_openssl_and_the_library_take_it() {
    let mut draft = Draft::by(&world().rsa, PSS_SHA256);
    draft.value = |d, octets| d.party.pss(["digest", "sha256"], octets);
    let document = draft.sign().text();
    let report = judge(document.as_bytes());
    assert!(report.findings.all_ok(), "{:?}", report.findings);
    assert_eq!(judges::openssl_pss(document.as_bytes()), Yes);
}

fn made(options: &[&str]) -> Vec<u8> {
    let pss = ["-keyopt", "rsa_padding_mode:pss"];
    world().rsa.cms(&[&pss[..], options].concat(), CONTENT)
}

/// openssl's own with the last of some octets of the parameters changed.
fn changed(from: &[u8], to: u8) -> Vec<u8> {
    let mut cms = made(&["-keyopt", "rsa_pss_saltlen:digest"]);
    let places = cms.windows(from.len()).enumerate();
    let places: Vec<usize> = places.filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
    let [at] = places[..] else {
        panic!("{places:?}");
    };
    cms[at + from.len() - 1] = to;
    cms
}

#[test]
fn of_signed_data() {
    refused_data(&[
        (
            "the salt of SHA-1, which is the default and left out",
            Yes,
            der_error("RSASSA-PSS salt"),
            || made(&["-keyopt", "rsa_pss_saltlen:20"]),
        ),
        (
            "no salt",
            Yes,
            der_error("an RSASSA-PSS salt that is not as long as the digest"),
            || made(&["-keyopt", "rsa_pss_saltlen:0"]),
        ),
        (
            "the longest salt, of 222 octets",
            Yes,
            der_error("small integer"),
            || made(&["-keyopt", "rsa_pss_saltlen:max"]),
        ),
        (
            "the mask of SHA-1, which is the default and left out",
            Yes,
            der_error("RSASSA-PSS mask"),
            || made(&["-keyopt", "rsa_pss_saltlen:digest", "-keyopt", "rsa_mgf1_md:sha1"]),
        ),
        (
            "the mask of SHA-512",
            Yes,
            der_error("an RSASSA-PSS mask of another digest"),
            || {
                made(&[
                    "-keyopt",
                    "rsa_pss_saltlen:digest",
                    "-keyopt",
                    "rsa_mgf1_md:sha512",
                ])
            },
        ),
        (
            "a salt of 31 said, of 32 made",
            No,
            der_error("an RSASSA-PSS salt that is not as long as the digest"),
            || changed(&[0xa2, 3, 2, 1, 32], 31),
        ),
        (
            "another mask said than MGF1",
            No,
            der_error("an RSASSA-PSS mask that is not MGF1"),
            || changed(&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8], 9),
        ),
        ("padded by PKCS #1", No, CmsError::Signature, || {
            swapped(
                made(&["-keyopt", "rsa_pss_saltlen:digest"]),
                world().rsa.cms(&[], CONTENT),
            )
        }),
    ]);
    accepted_data(&[("as everybody makes it", || {
        made(&["-keyopt", "rsa_pss_saltlen:digest"])
    })]);
}

/// The first with the last 256 octets of the second: its value.
fn swapped(said: Vec<u8>, made: Vec<u8>) -> Vec<u8> {
    let value = &made[made.len() - 256..];
    [&said[..said.len() - 256], value].concat()
}

/// Keys that are named id-RSASSA-PSS make no other signatures, and with parameters none with others.
#[test]
fn keys_that_are_for_it_alone() {
    let with = |md: &str| {
        let [md, mask] = [
            format!("rsa_pss_keygen_md:{md}"),
            format!("rsa_pss_keygen_mgf1_md:{md}"),
        ];
        let options = [
            "-pkeyopt",
            &*md,
            "-pkeyopt",
            &*mask,
            "-pkeyopt",
            "rsa_pss_keygen_saltlen:32",
        ];
        let bits = ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"];
        Party::by_openssl(&[&bits[..], &options].concat())
    };
    let open = Party::by_openssl(&["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let bound = with("sha256");
    use crate::cms::DigestAlgorithm::{Sha256, Sha512};
    use crate::cms::SignatureAlgorithm::{Rsa, RsaPss};
    for party in [&open, &bound] {
        let c = &party.certificate;
        assert_eq!((c.key_family(), c.key_bits()), ("RSA-PSS", 2048));
        let value = party.pss(["digest", "sha256"], b"abc");
        assert!(c.verify(RsaPss(Sha256), b"abc", &value));
        assert!(!c.verify(Rsa(Sha256), b"abc", &value));
        assert!(!c.verify(RsaPss(Sha512), b"abc", &value));
    }
    // It signed itself so; by the other openssl makes the longest salt.
    let signs_itself = |party: &Party| party.certificate.is_signed_by(&party.certificate);
    assert_eq!((signs_itself(&bound), signs_itself(&open)), (true, false));
    assert_eq!(world().rsa.certificate.key_family(), "RSA");
}

/// BTK wants it of authorities that use RSA: their certificates are followed, and a person below them may sign so too.
#[test]
fn an_authority_and_a_person_who_sign_with_it() {
    let bound = [
        "-algorithm",
        "RSA-PSS",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-pkeyopt",
        "rsa_pss_keygen_md:sha256",
        "-pkeyopt",
        "rsa_pss_keygen_mgf1_md:sha256",
        "-pkeyopt",
        "rsa_pss_keygen_saltlen:32",
    ];
    let (authority, other) = (Party::by_openssl(&bound), Party::by_openssl(&bound));
    let person = authority.certifies(&world().rsa);
    let mut trust = TrustStore::new();
    trust.add_anchor(authority.certificate.clone());
    let at = person.certificate.not_before().plus(Duration::from_secs(60));
    let check = |c: &Certificate| trust.check(c, &[], at, Purpose::Signing);
    assert_eq!(check(&person.certificate), Ok(()));
    // Of another authority of that name, with a key of its own.
    let stranger = other.certifies(&world().rsa).certificate;
    assert!(
        matches!(check(&stranger), Err(PathError::Signature(_))),
        "{:?}",
        check(&stranger)
    );

    let pss = [
        "-keyopt",
        "rsa_padding_mode:pss",
        "-keyopt",
        "rsa_pss_saltlen:digest",
    ];
    let cms = person.cms(&pss, CONTENT);
    let verified = verify_personal(&cms, &sha256(CONTENT).into()).unwrap();
    assert_eq!(verified.signer, person.certificate);
    assert_eq!(verified.algorithm.family(), "RSA-PSS");
    let other = verify_personal(&cms, &sha256(b"abd").into());
    assert_eq!(other.unwrap_err(), CmsError::ContentDigest);
}
