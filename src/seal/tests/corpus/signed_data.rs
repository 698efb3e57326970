//! Attacks on SignedData: what is detached, who signs, which attributes count, how they are written.

use super::super::forge::cms::{
    CONTENT_TYPE, CmsDraft, MESSAGE_DIGEST, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
    Signer, attribute, ess_v1, ess_v2, issuer_serial, octets,
};
use super::Says::{No, Yes};
use super::*;
use crate::cms::DigestAlgorithm;
use crate::cms::algorithm::sha256;
use crate::cms::der::{self, context};
use crate::cms::signed::{CONTENT_DATA, CONTENT_TST_INFO, CmsError};
use crate::seal::verifier::{EntityReport, verify_entity};

pub(super) const CONTENT: &[u8] = b"abc\r\n";

/// Name, what openssl says, why we refuse it, the forgery.
pub(super) type Row = (&'static str, Says, CmsError, fn() -> Vec<u8>);

pub(super) fn report(cms: &[u8]) -> EntityReport {
    verify_entity(sha256(CONTENT), cms, &world().trust)
}

pub(super) fn refused_data(rows: &[Row]) {
    all(rows, |(name, judged, why, make)| {
        let cms = make();
        let found = report(&cms).signature;
        let (says, words) = judges::openssl_cms(world(), CONTENT, &cms);
        let wanted = Finding::Failed(why.to_string());
        (found != wanted || says != *judged)
            .then(|| format!("{name}:\n  found  {found}\n  wanted {wanted}\n  openssl {says:?} {words}"))
    });
}

pub(super) type Strange = (&'static str, fn() -> Vec<u8>);

pub(super) fn accepted_data(rows: &[Strange]) {
    all(rows, |(name, make)| {
        let cms = make();
        let report = report(&cms);
        let (says, words) = judges::openssl_cms(world(), CONTENT, &cms);
        let ok = report.signature.is_ok() && report.trust.is_ok() && says == Yes;
        (!ok).then(|| format!("{name}: {report:?}\n  openssl {says:?} {words}"))
    });
}

pub(super) fn profile(what: &'static str) -> CmsError {
    CmsError::Profile(what)
}

pub(super) fn der_error(what: &'static str) -> CmsError {
    CmsError::Der(der::DerError(what))
}

pub(super) fn with(edit: fn(&mut CmsDraft)) -> Vec<u8> {
    let mut d = CmsDraft::honest(&world().seal, CONTENT);
    edit(&mut d);
    d.der()
}

/// One signer's attributes are changed before he signs.
pub(super) fn signing(edit: fn(&mut Signer)) -> Vec<u8> {
    let mut d = CmsDraft::honest(&world().seal, CONTENT);
    edit(&mut d.signers[0]);
    d.der()
}

pub(super) fn certificate() -> &'static crate::cms::Certificate {
    &world().seal.certificate
}

#[test]
fn content_and_signers() {
    const DETACHED: &str = "not a detached signature over id-data";
    refused_data(&[
        ("the content inside as well", Yes, profile(DETACHED), || {
            with(|d| d.content = Some(CONTENT.to_vec()))
        }),
        ("other content inside", Yes, profile(DETACHED), || {
            with(|d| d.content = Some(b"other".to_vec()))
        }),
        ("an empty content inside", Yes, profile(DETACHED), || {
            with(|d| d.content = Some(Vec::new()))
        }),
        (
            "signed content inside, the message beside it",
            No,
            profile(DETACHED),
            || {
                let mut d = CmsDraft::honest(&world().seal, b"signed");
                d.content = Some(b"signed".to_vec());
                d.der()
            },
        ),
        ("over other content", No, CmsError::ContentDigest, || {
            CmsDraft::honest(&world().seal, b"other").der()
        }),
        ("over the empty content", No, CmsError::ContentDigest, || {
            CmsDraft::honest(&world().seal, b"").der()
        }),
        ("a time-stamp token", No, profile(DETACHED), || {
            super::super::forge::token::TokenDraft::honest(world(), CONTENT).der()
        }),
        ("no signer", No, der_error("SignerInfo"), || {
            with(|d| d.signers.clear())
        }),
        (
            "a good signer and a bad one",
            No,
            der_error("more than one signer"),
            || {
                with(|d| {
                    d.signers
                        .push(Signer::honest(&world().other, CONTENT_DATA, b"other"));
                    d.certificates.push(world().other.certificate.der().to_vec());
                })
            },
        ),
        (
            "a bad signer and a good one",
            No,
            der_error("more than one signer"),
            || {
                with(|d| {
                    d.signers
                        .insert(0, Signer::honest(&world().other, CONTENT_DATA, b"other"));
                    d.certificates.push(world().other.certificate.der().to_vec());
                })
            },
        ),
        ("two good signers", Yes, der_error("more than one signer"), || {
            with(|d| {
                d.signers
                    .push(Signer::honest(&world().other, CONTENT_DATA, CONTENT));
                d.certificates.push(world().other.certificate.der().to_vec());
            })
        }),
        ("the content's type is another", Yes, profile(DETACHED), || {
            with(|d| d.content_type = vec![0x2a, 3])
        }),
        (
            "a type in the attribute that is not the content's",
            Yes,
            profile("contentType"),
            || signing(|s| s.set(CONTENT_TYPE, &[&der::tlv(der::OID, &[CONTENT_TST_INFO])])),
        ),
        ("SignedData in SignedData", Yes, profile(DETACHED), || {
            with(|d| d.content_type = vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2])
        }),
        ("an unknown version", Yes, profile("SignedData version"), || {
            with(|d| d.version = 2)
        }),
        (
            "the version of other revocation values, of which there are none",
            Yes,
            profile("SignedData version"),
            || with(|d| d.version = 5),
        ),
        (
            "too many revocation values",
            Yes,
            profile("too many revocation values"),
            || {
                with(|d| {
                    d.version = 5;
                    d.revocation = vec![other_values(&[0x2a, 3]); 65];
                })
            },
        ),
        (
            "the version of the other signer identifier",
            Yes,
            profile("signer identifier"),
            || signing(|s| s.version = 3),
        ),
        (
            "a digest that is not announced",
            No,
            profile("the digest algorithm is not announced"),
            || with(|d| d.digests = vec![DigestAlgorithm::Sha512.identifier()]),
        ),
        (
            "no digest announced",
            No,
            profile("the digest algorithm is not announced"),
            || with(|d| d.digests.clear()),
        ),
        (
            "another digest than is at hand",
            No,
            CmsError::OtherDigest(DigestAlgorithm::Sha512),
            || {
                with(|d| {
                    d.digests = vec![DigestAlgorithm::Sha512.identifier()];
                    d.signers[0].digest_der = DigestAlgorithm::Sha512.identifier();
                    d.signers[0].algorithm_der =
                        crate::cms::SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha512).identifier();
                })
            },
        ),
        (
            "two digest algorithms in one signer",
            Yes,
            profile("two digest algorithms"),
            || {
                signing(|s| {
                    s.algorithm_der =
                        crate::cms::SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha512).identifier();
                })
            },
        ),
        (
            "SHA-1",
            No,
            der_error("digest algorithm is not SHA-256, -384 or -512"),
            || {
                with(|d| {
                    let sha1 = der::sequence(&[&der::tlv(der::OID, &[&[0x2b, 0x0e, 3, 2, 0x1a]])]);
                    d.signers[0].digest_der = sha1.clone();
                    d.digests = vec![sha1];
                })
            },
        ),
        (
            "RSA-PSS said without parameters, ECDSA made",
            Yes,
            der_error("RSASSA-PSS parameters"),
            || {
                signing(|s| {
                    s.algorithm_der = der::sequence(&[&der::tlv(
                        der::OID,
                        &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]],
                    )]);
                })
            },
        ),
        ("RSA said, ECDSA made", Yes, CmsError::Signature, || {
            signing(|s| {
                s.algorithm_der = crate::cms::SignatureAlgorithm::Rsa(DigestAlgorithm::Sha256).identifier();
            })
        }),
        (
            "parameters of the digest",
            Yes,
            der_error("algorithm parameters"),
            || {
                signing(|s| {
                    s.digest_der =
                        der::sequence(&[&der::tlv(der::OID, &[DigestAlgorithm::Sha256.oid()]), &[4, 1, 0]]);
                })
            },
        ),
    ]);
}

#[test]
fn attributes() {
    const TWICE: &str = "an attribute stands twice, or too many";
    refused_data(&[
        (
            "none: the content is signed itself",
            Yes,
            der_error("signed attributes are missing"),
            || signing(|s| s.attributes = None),
        ),
        (
            "all of them unsigned",
            Yes,
            der_error("signed attributes are missing"),
            || {
                signing(|s| {
                    s.attributes = None;
                    s.unsigned = |_| {
                        Signer::honest(&world().seal, CONTENT_DATA, CONTENT)
                            .attributes
                            .unwrap()
                    };
                })
            },
        ),
        ("the digest unsigned", No, profile("no messageDigest"), || {
            signing(|s| {
                s.remove(MESSAGE_DIGEST);
                s.unsigned = |_| vec![attribute(MESSAGE_DIGEST, &[&octets(&sha256(CONTENT))])];
            })
        }),
        (
            "the signing certificate unsigned",
            No,
            profile("no signing-certificate attribute"),
            || {
                signing(|s| {
                    s.remove(SIGNING_CERTIFICATE_V2);
                    s.unsigned = |_| vec![attribute(SIGNING_CERTIFICATE_V2, &[&ess_v2(certificate(), &[])])];
                })
            },
        ),
        ("no content type", No, profile("no contentType"), || {
            signing(|s| s.remove(CONTENT_TYPE))
        }),
        ("no digest", No, profile("no messageDigest"), || {
            signing(|s| s.remove(MESSAGE_DIGEST))
        }),
        ("an empty set", No, profile("no contentType"), || {
            signing(|s| s.attributes = Some(Vec::new()))
        }),
        ("a wrong digest", No, CmsError::ContentDigest, || {
            signing(|s| s.set(MESSAGE_DIGEST, &[&octets(&[7; 32])]))
        }),
        ("half a digest", No, CmsError::ContentDigest, || {
            signing(|s| s.set(MESSAGE_DIGEST, &[&octets(&sha256(CONTENT)[..16])]))
        }),
        ("the digest of another type", No, CmsError::ContentDigest, || {
            signing(|s| {
                s.set(
                    MESSAGE_DIGEST,
                    &[&der::tlv(der::UTF8_STRING, &[&sha256(CONTENT)])],
                )
            })
        }),
        ("the digest twice: two attributes", No, profile(TWICE), || {
            signing(|s| {
                let list = s.attributes.as_mut().unwrap();
                list.push(attribute(MESSAGE_DIGEST, &[&octets(&[7; 32])]));
                list.sort();
            })
        }),
        (
            "the digest twice: two values",
            No,
            der_error("an attribute with several values"),
            || {
                signing(|s| {
                    s.set(MESSAGE_DIGEST, &[&octets(&[7; 32]), &octets(&sha256(CONTENT))]);
                })
            },
        ),
        ("no value", No, der_error("truncated"), || {
            signing(|s| s.set(MESSAGE_DIGEST, &[]))
        }),
        (
            "out of order",
            Yes,
            profile("the signed attributes are not in DER order"),
            || signing(|s| s.attributes.as_mut().unwrap().reverse()),
        ),
        (
            "out of order, signed in order",
            No,
            profile("the signed attributes are not in DER order"),
            || {
                signing(|s| {
                    s.attributes.as_mut().unwrap().reverse();
                    s.sign_sorted = true;
                })
            },
        ),
        ("signed as a SEQUENCE", No, CmsError::Signature, || {
            signing(|s| s.tags.0 = der::SEQUENCE)
        }),
        ("signed under their own tag", No, CmsError::Signature, || {
            signing(|s| s.tags.0 = context(0))
        }),
        (
            "written as a SET",
            No,
            der_error("signed attributes are missing"),
            || signing(|s| s.tags.1 = der::SET),
        ),
        (
            "written as the unsigned ones",
            No,
            der_error("signed attributes are missing"),
            || signing(|s| s.tags.1 = context(1)),
        ),
        ("a time that is none", Yes, der_error("time"), || {
            signing(|s| s.set(SIGNING_TIME, &[&der::tlv(der::UTC_TIME, &[b"269999999999Z"])]))
        }),
        ("more than anybody writes", Yes, profile(TWICE), || {
            signing(|s| {
                let list = s.attributes.as_mut().unwrap();
                list.extend((0..40u8).map(|i| attribute(&[0x2a, 3, i], &[&octets(&[i])])));
                list.sort();
            })
        }),
        (
            "octets behind an attribute's values",
            No,
            der_error("attribute"),
            || {
                signing(|s| {
                    let list = s.attributes.as_mut().unwrap();
                    list.push(der::sequence(&[
                        &der::tlv(der::OID, &[&[0x2a, 3]]),
                        &der::tlv(der::SET, &[&octets(b"x")]),
                        &octets(b"y"),
                    ]));
                    list.sort();
                })
            },
        ),
    ]);
}

/// What is strange and genuine: we say ok, and so does openssl.
#[test]
fn strange_and_genuine() {
    accepted_data(&[
        ("as it is", || with(|_| ())),
        ("by RSA", || CmsDraft::honest(&world().rsa, CONTENT).der()),
        ("rsaEncryption for a method", || {
            let mut d = CmsDraft::honest(&world().rsa, CONTENT);
            d.signers[0].algorithm_der = der::sequence(&[
                &der::tlv(der::OID, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]]),
                &[5, 0],
            ]);
            d.der()
        }),
        (
            "no signing time stays unknown elsewhere; both versions agree",
            || signing(|s| s.set(SIGNING_CERTIFICATE, &[&ess_v1(certificate())])),
        ),
        ("issuer and serial number in the attribute", || {
            signing(|s| {
                let right = issuer_serial(certificate().issuer_der(), certificate().serial());
                s.set(SIGNING_CERTIFICATE_V2, &[&ess_v2(certificate(), &right)]);
            })
        }),
        ("strangers' certificates first", || {
            with(|d| {
                d.certificates.insert(0, world().other.certificate.der().to_vec());
                d.certificates
                    .insert(0, world().renewed.certificate.der().to_vec());
            })
        }),
        ("an attribute of nobody's", || {
            signing(|s| s.set(&[0x2a, 3], &[&octets(b"x"), &octets(b"y")]))
        }),
        ("an unsigned attribute of nobody's", || {
            signing(|s| s.unsigned = |_| vec![attribute(&[0x2a, 3], &[&octets(b"x")])])
        }),
        ("revocation values of nobody's", || {
            with(|d| {
                d.version = 5;
                d.revocation = vec![other_values(&[0x2a, 3]), other_values(&OCSP_RESPONSE)];
            })
        }),
        ("digests announced that nobody uses", || {
            with(|d| d.digests.push(DigestAlgorithm::Sha512.identifier()))
        }),
        ("named by the identifier of the key", || {
            let mut d = CmsDraft::honest(&world().other, CONTENT);
            d.version = 3;
            d.signers[0].version = 3;
            d.signers[0].sid = der::tlv(0x80, &[world().other.certificate.subject_key_id().unwrap()]);
            d.der()
        }),
    ]);
}

/// id-ri-ocsp-response (RFC 5940).
const OCSP_RESPONSE: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 16, 2];

/// OtherRevocationInfoFormat with something that says nothing.
fn other_values(format: &[u8]) -> Vec<u8> {
    let said = der::sequence(&[&[der::ENUMERATED, 1, 1]]);
    der::tlv(der::context(1), &[&der::tlv(der::OID, &[format]), &said])
}
