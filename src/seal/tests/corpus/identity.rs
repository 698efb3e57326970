//! Who signed: certificates that are swapped, doubled, or contradict one another.

use super::super::forge::xml::{DSIG, Draft, SHA256, cert_of, properties, v2, x509};
use super::Says::{No, Yes};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const NAMES_NONE: &str = "SigningCertificateV2 names no certificate of KeyInfo";
const NONE: &str = "no SigningCertificateV2";
const SEVERAL: &str = "more than one signing-certificate property";
const TIME: &str = "2026-11-23T20:45:05Z";

fn key_info(list: String) -> String {
    let mut p = Draft::honest().sign();
    p.key_info = format!("<ds:KeyInfo>{list}</ds:KeyInfo>");
    p.text()
}

fn named(certificates: &str) -> String {
    let mut d = Draft::honest();
    d.properties = properties("_p1", TIME, certificates);
    d.sign().text()
}

/// The older property, with SHA-1 or SHA-256 and the serial number it needs.
fn v1(uri: &str, digest: &[u8], serial: &str) -> String {
    format!(
        "<xades:SigningCertificate><xades:Cert><xades:CertDigest><ds:DigestMethod xmlns:ds=\"{DSIG}\" Algorithm=\"{uri}\"></ds:DigestMethod>\
         <ds:DigestValue xmlns:ds=\"{DSIG}\">{}</ds:DigestValue></xades:CertDigest><xades:IssuerSerial>\
         <ds:X509IssuerName xmlns:ds=\"{DSIG}\">CN=Corpus Root,C=TR</ds:X509IssuerName>\
         <ds:X509SerialNumber xmlns:ds=\"{DSIG}\">{serial}</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert></xades:SigningCertificate>",
        STANDARD.encode(digest)
    )
}

fn sha1_of_seal() -> Vec<u8> {
    use aws_lc_rs::digest;
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, world().seal.certificate.der())
        .as_ref()
        .to_vec()
}

/// The value of IssuerSerialV2 for a serial number.
fn issuer_serial_v2(serial: &[u8]) -> String {
    let seal = &world().seal.certificate;
    let value = super::super::forge::cms::issuer_serial(seal.issuer_der(), serial);
    let cert = cert_of(&world().seal);
    let with = format!(
        "<xades:IssuerSerialV2>{}</xades:IssuerSerialV2></xades:Cert>",
        STANDARD.encode(value)
    );
    v2(&cert.replace("</xades:Cert>", &with))
}

#[test]
fn certificates_are_swapped() {
    refused(&[
        attack(
            "the same name and number, another key",
            No,
            profile(NAMES_NONE),
            || key_info(x509(&[&world().twin])),
        ),
        attack(
            "the same key, another certificate",
            Yes,
            profile(NAMES_NONE),
            || key_info(x509(&[&world().renewed])),
        ),
        attack("somebody else's certificate", No, profile(NAMES_NONE), || {
            key_info(x509(&[&world().other]))
        }),
        attack("no certificate", No, profile(NAMES_NONE), || {
            key_info("<ds:X509Data></ds:X509Data>".to_owned())
        }),
        attack("an empty KeyInfo", No, profile(NAMES_NONE), || {
            key_info(String::new())
        }),
        attack("a bare key", No, profile(NAMES_NONE), || {
            let key = STANDARD.encode(world().seal.certificate.spki_der());
            key_info(format!(
                "<ds11:DEREncodedKeyValue xmlns:ds11=\"http://www.w3.org/2009/xmldsig11#\">{key}</ds11:DEREncodedKeyValue>"
            ))
        }),
        attack(
            "signed by the twin, naming the victim",
            No,
            broken("signature value verification failed"),
            || {
                let mut d = Draft::by(&world().twin, super::super::forge::xml::ECDSA_SHA256);
                d.key_info = x509(&[&world().seal]);
                d.properties = properties("_p1", TIME, &v2(&cert_of(&world().seal)));
                d.sign().text()
            },
        ),
        attack(
            "signed by the twin, naming the victim, with both certificates",
            Yes,
            broken("signature value verification failed"),
            || {
                let mut d = Draft::by(&world().twin, super::super::forge::xml::ECDSA_SHA256);
                d.key_info = x509(&[&world().twin, &world().seal]);
                d.properties = properties("_p1", TIME, &v2(&cert_of(&world().seal)));
                d.sign().text()
            },
        ),
        attack(
            "a key that is named elsewhere",
            Yes,
            profile("KeyInfo points elsewhere"),
            || {
                key_info(format!(
                    "<ds:RetrievalMethod URI=\"#_e1\"/>{}",
                    x509(&[&world().seal])
                ))
            },
        ),
        attack(
            "a KeyInfo that is named elsewhere",
            Yes,
            profile("KeyInfo points elsewhere"),
            || {
                key_info(format!(
                    "<k:KeyInfoReference xmlns:k=\"http://www.w3.org/2009/xmldsig11#\" URI=\"#_e1\"/>{}",
                    x509(&[&world().seal])
                ))
            },
        ),
        attack("a certificate that is no base64", No, profile("base64"), || {
            key_info("<ds:X509Data><ds:X509Certificate>=</ds:X509Certificate></ds:X509Data>".to_owned())
        }),
        attack("octets behind the certificate", Yes, profile(NAMES_NONE), || {
            let longer = [world().seal.certificate.der(), &[0]].concat();
            key_info(format!(
                "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
                STANDARD.encode(longer)
            ))
        }),
    ]);
}

#[test]
fn the_signing_certificate_property_is_missing_or_contradicts() {
    refused(&[
        attack("none", Yes, profile(NONE), || named("")),
        attack("an empty one", Yes, profile("no Cert"), || named(&v2(""))),
        attack("of another certificate", Yes, profile(NAMES_NONE), || {
            named(&v2(&cert_of(&world().other)))
        }),
        attack(
            "of the renewed certificate, which has the same key",
            Yes,
            profile(NAMES_NONE),
            || named(&v2(&cert_of(&world().renewed))),
        ),
        attack("a decoy first", Yes, profile(NAMES_NONE), || {
            named(&v2(&format!(
                "{}{}",
                cert_of(&world().other),
                cert_of(&world().seal)
            )))
        }),
        attack(
            "a decoy first, whose certificate is there",
            Yes,
            broken("signature value verification failed"),
            || {
                let mut d = Draft::honest();
                d.key_info = x509(&[&world().seal, &world().other]);
                d.properties = properties(
                    "_p1",
                    TIME,
                    &v2(&format!("{}{}", cert_of(&world().other), cert_of(&world().seal))),
                );
                d.sign().text()
            },
        ),
        attack("twice, alike", Yes, profile(SEVERAL), || {
            named(&format!("{0}{0}", v2(&cert_of(&world().seal))))
        }),
        attack("twice, contradicting", Yes, profile(SEVERAL), || {
            named(&format!(
                "{}{}",
                v2(&cert_of(&world().seal)),
                v2(&cert_of(&world().other))
            ))
        }),
        attack("both versions, contradicting", Yes, profile(SEVERAL), || {
            named(&format!(
                "{}{}",
                v2(&cert_of(&world().seal)),
                v1(SHA256, &world().other.certificate.fingerprint(), "1")
            ))
        }),
        attack(
            "the first version with SHA-1",
            Yes,
            profile("the digest algorithm is not allowed"),
            || named(&v1(&format!("{DSIG}sha1"), &sha1_of_seal(), "16394")),
        ),
        attack("a digest that is cut", Yes, profile(NAMES_NONE), || {
            named(&v2(&cert_of(&world().seal)).replace(
                &STANDARD.encode(world().seal.certificate.fingerprint()),
                &STANDARD.encode(&world().seal.certificate.fingerprint()[..16]),
            ))
        }),
        attack(
            "an empty digest",
            Yes,
            profile("an element that must hold one text"),
            || {
                named(
                    &v2(&cert_of(&world().seal))
                        .replace(&STANDARD.encode(world().seal.certificate.fingerprint()), ""),
                )
            },
        ),
        attack(
            "two digests",
            Yes,
            profile("a part of the signature is missing or stands twice"),
            || {
                named(&v2(&cert_of(&world().seal).replace(
                    "</xades:CertDigest>",
                    &format!("<ds:DigestValue xmlns:ds=\"{DSIG}\">AAAA</ds:DigestValue></xades:CertDigest>"),
                )))
            },
        ),
        attack("among the unsigned properties", Yes, profile(NONE), || {
            let mut d = Draft::honest();
            d.properties = properties("_p1", TIME, "");
            let mut p = d.sign();
            let end = "</xades:UnsignedSignatureProperties>";
            p.unsigned = p
                .unsigned
                .replace(end, &format!("{}{end}", v2(&cert_of(&world().seal))));
            p.text()
        }),
        attack(
            "no signing time",
            Yes,
            profile("a part of the signature is missing or stands twice"),
            || {
                let mut d = Draft::honest();
                d.properties = d
                    .properties
                    .replace(&format!("<xades:SigningTime>{TIME}</xades:SigningTime>"), "");
                d.sign().text()
            },
        ),
        attack(
            "two signing times",
            Yes,
            profile("a part of the signature is missing or stands twice"),
            || {
                let mut d = Draft::honest();
                d.properties = d.properties.replace(
                    "<xades:SigningTime>",
                    "<xades:SigningTime>2020-01-01T00:00:00Z</xades:SigningTime><xades:SigningTime>",
                );
                d.sign().text()
            },
        ),
        attack("a signing time that is none", Yes, profile("SigningTime"), || {
            let mut d = Draft::honest();
            d.properties = d.properties.replace(TIME, "2026-02-30T00:00:00Z");
            d.sign().text()
        }),
    ]);
}

#[test]
fn what_names_the_signer_rightly_is_accepted() {
    accepted(&[
        ("the first version with SHA-256", || {
            named(&v1(SHA256, &world().seal.certificate.fingerprint(), "16394"))
        }),
        // EN 319 132-1 5.2.2: only a hint; what binds is the digest.
        ("with another's serial number", || {
            named(&issuer_serial_v2(&[9, 9]))
        }),
        ("with its serial number", || {
            named(&issuer_serial_v2(world().seal.certificate.serial()))
        }),
    ]);
    let report = judge(named(&v2(&cert_of(&world().seal))).as_bytes());
    assert_eq!(
        report.signer.unwrap().fingerprint,
        world().seal.certificate.fingerprint()
    );
}

/// Findings other than the signature: a stranger's own signature is genuine, and trusted by nobody.
#[test]
fn a_stranger_signs_for_himself() {
    let found = judge(
        Draft::by(&world().stray_tsa, super::super::forge::xml::ECDSA_SHA256)
            .sign()
            .text()
            .as_bytes(),
    )
    .findings;
    assert!(found.signature.is_ok());
    let why = found.trust.to_string();
    assert_eq!(why, "failed: 'CN=Stamps, C=TR' may not be used for signing");
    let found = judge(
        Draft::by(&world().rsa_e3, super::super::forge::xml::RSA_SHA256)
            .sign()
            .text()
            .as_bytes(),
    )
    .findings;
    assert!(found.signature.is_ok(), "{found:?}");
    assert!(matches!(found.trust, Finding::Failed(_)), "{found:?}");
}
