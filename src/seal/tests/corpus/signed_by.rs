//! Attacks on SignedData: whose certificate it is, and how it is encoded.

use super::super::forge::cms::{
    CmsDraft, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, Signer, ess_v1, ess_v2, issuer_serial, octets,
};
use super::Says::{No, Yes};
use super::signed_data::{CONTENT, certificate, der_error, profile, refused_data, signing, with};
use super::*;
use crate::cms::der;
use crate::cms::signed::{CONTENT_DATA, CmsError};

#[test]
fn certificates() {
    const MISSING: &str = "the signer's certificate is not in the signature";
    refused_data(&[
        ("none", No, profile(MISSING), || with(|d| d.certificates.clear())),
        ("another one only", No, profile(MISSING), || {
            with(|d| d.certificates = vec![world().other.certificate.der().to_vec()])
        }),
        (
            "the twin instead: same name and number, other key",
            No,
            CmsError::SigningCertificate,
            || with(|d| d.certificates = vec![world().twin.certificate.der().to_vec()]),
        ),
        (
            "the renewed one, by which the signer is named",
            No,
            CmsError::SigningCertificate,
            || {
                with(|d| {
                    let renewed = &world().renewed.certificate;
                    d.certificates = vec![renewed.der().to_vec()];
                    d.signers[0].sid =
                        der::sequence(&[renewed.issuer_der(), &der::tlv(der::INTEGER, &[renewed.serial()])]);
                })
            },
        ),
        (
            "no signing-certificate attribute",
            No,
            profile("no signing-certificate attribute"),
            || signing(|s| s.remove(SIGNING_CERTIFICATE_V2)),
        ),
        (
            "the first version only",
            Yes,
            profile("no signing-certificate attribute"),
            || {
                signing(|s| {
                    s.remove(SIGNING_CERTIFICATE_V2);
                    s.set(SIGNING_CERTIFICATE, &[&ess_v1(certificate())]);
                })
            },
        ),
        ("of another certificate", No, CmsError::SigningCertificate, || {
            signing(|s| {
                s.set(
                    SIGNING_CERTIFICATE_V2,
                    &[&ess_v2(&world().other.certificate, &[])],
                )
            })
        }),
        ("of the twin", No, CmsError::SigningCertificate, || {
            signing(|s| s.set(SIGNING_CERTIFICATE_V2, &[&ess_v2(&world().twin.certificate, &[])]))
        }),
        (
            "the versions contradict",
            No,
            CmsError::SigningCertificate,
            || signing(|s| s.set(SIGNING_CERTIFICATE, &[&ess_v1(&world().other.certificate)])),
        ),
        (
            "another serial number in it",
            No,
            CmsError::SigningCertificate,
            || {
                signing(|s| {
                    let wrong = issuer_serial(certificate().issuer_der(), &[9, 9]);
                    s.set(SIGNING_CERTIFICATE_V2, &[&ess_v2(certificate(), &wrong)]);
                })
            },
        ),
        ("another issuer in it", No, CmsError::SigningCertificate, || {
            signing(|s| {
                let wrong = issuer_serial(certificate().subject_der(), certificate().serial());
                s.set(SIGNING_CERTIFICATE_V2, &[&ess_v2(certificate(), &wrong)]);
            })
        }),
        (
            "an empty list in it",
            No,
            der_error("signing certificate"),
            || signing(|s| s.set(SIGNING_CERTIFICATE_V2, &[&der::sequence(&[&der::sequence(&[])])])),
        ),
        (
            "SHA-1 in it",
            No,
            der_error("digest algorithm is not SHA-256, -384 or -512"),
            || {
                signing(|s| {
                    let sha1 = der::sequence(&[&der::tlv(der::OID, &[&[0x2b, 0x0e, 3, 2, 0x1a]])]);
                    let id = der::sequence(&[&sha1, &octets(&[0; 20])]);
                    s.set(
                        SIGNING_CERTIFICATE_V2,
                        &[&der::sequence(&[&der::sequence(&[&id])])],
                    );
                })
            },
        ),
        (
            "the twin signs and the victim is named",
            No,
            CmsError::Signature,
            || {
                with(|d| {
                    let mut s = Signer::honest(&world().twin, CONTENT_DATA, CONTENT);
                    s.set(SIGNING_CERTIFICATE_V2, &[&ess_v2(certificate(), &[])]);
                    d.signers = vec![s];
                })
            },
        ),
        (
            "a serial number with a zero in front",
            No,
            profile(MISSING),
            || {
                signing(|s| {
                    let longer = [&[0], certificate().serial()].concat();
                    s.sid = der::sequence(&[certificate().issuer_der(), &der::tlv(der::INTEGER, &[&longer])]);
                })
            },
        ),
        (
            "octets behind the signer's identifier",
            No,
            profile(MISSING),
            || {
                signing(|s| {
                    s.sid = der::sequence(&[
                        certificate().issuer_der(),
                        &der::tlv(der::INTEGER, &[certificate().serial()]),
                        &[5, 0],
                    ]);
                })
            },
        ),
        (
            "the identifier of a key that is not there",
            No,
            profile(MISSING),
            || {
                signing(|s| {
                    s.version = 3;
                    s.sid = der::tlv(0x80, &[&[7; 20]]);
                })
            },
        ),
        (
            "more than any chain has",
            Yes,
            profile("too many certificates"),
            || with(|d| d.certificates = vec![world().seal.certificate.der().to_vec(); 17]),
        ),
    ]);
}

#[test]
fn encodings() {
    fn cut(n: usize) -> Vec<u8> {
        let good = CmsDraft::honest(&world().seal, CONTENT).der();
        good[..good.len() - n].to_vec()
    }
    refused_data(&[
        ("an octet behind it", Yes, der_error("ContentInfo"), || {
            [CmsDraft::honest(&world().seal, CONTENT).der(), vec![0]].concat()
        }),
        ("an octet short", No, der_error("length beyond the end"), || {
            cut(1)
        }),
        ("empty", No, der_error("ContentInfo"), Vec::new),
        ("text", No, der_error("ContentInfo"), || {
            b"-----BEGIN CMS-----".to_vec()
        }),
        (
            "an indefinite length that never ends",
            No,
            der_error("truncated"),
            || {
                let good = CmsDraft::honest(&world().seal, CONTENT).der();
                [&[0x30, 0x80], &good[4..]].concat()
            },
        ),
        (
            "indefinite lengths without end",
            No,
            der_error("indefinite length"),
            || [0x30, 0x80].repeat(10_000),
        ),
        (
            "a length of four gibibytes",
            No,
            der_error("length beyond the end"),
            || vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "a length of a length",
            No,
            der_error("indefinite or oversized length"),
            || vec![0x30, 0xff, 1, 1, 1],
        ),
        ("larger than any", No, CmsError::TooLarge, || {
            vec![0x30; crate::cms::signed::SIGNED_DATA_MAX_OCTETS + 1]
        }),
        (
            "a length written too long",
            Yes,
            der_error("length is not minimal"),
            || {
                let good = CmsDraft::honest(&world().seal, CONTENT).der();
                [&[0x30, 0x83, 0], &good[2..]].concat()
            },
        ),
        ("a high tag", No, der_error("ContentInfo"), || {
            vec![0x3f, 0x81, 1, 0]
        }),
        (
            "an indefinite length in the attributes",
            No,
            der_error("indefinite or oversized length"),
            || {
                signing(|s| {
                    let list = s.attributes.as_mut().unwrap();
                    let inner = [
                        &[0x30, 0x80][..],
                        &der::tlv(der::OID, &[&[0x2a, 3]]),
                        &der::tlv(der::SET, &[&octets(b"x")]),
                        &[0, 0],
                    ]
                    .concat();
                    list.push(inner);
                })
            },
        ),
    ]);
}
