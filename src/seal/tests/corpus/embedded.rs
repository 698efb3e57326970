//! Values that are embedded to make a signature last: nobody signed that they belong there, so whatever stands there must
//! change nothing about what is signed, cost little, and be read by everybody alike or not at all.

use super::super::forge::xml::{DSIG, Draft, Pieces, XADES, x509};
use super::Says::{No, Yes};
use super::*;
use crate::seal::enveloped::verify;
use crate::xml::{Level, embedded::VALUES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const END: &str = "</xades:UnsignedSignatureProperties>";
const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
const TWICE: &str = "embedded values of one kind stand twice";
const MANY: &str = "too many embedded values";
const PARTS: &str = "the embedded values hold other parts than are allowed";

/// An honest document with `property` behind its time-stamp.
fn with(property: &str) -> String {
    let mut p = Draft::honest().sign();
    assert_eq!(p.unsigned.matches(END).count(), 1);
    p.unsigned = p.unsigned.replace(END, &format!("{property}{END}"));
    p.text()
}

fn certificate() -> String {
    let der = STANDARD.encode(world().other.certificate.der());
    format!("<xades:EncapsulatedX509Certificate>{der}</xades:EncapsulatedX509Certificate>")
}

fn certificates(inside: &str) -> String {
    format!("<xades:CertificateValues>{inside}</xades:CertificateValues>")
}

fn list(values: &str) -> String {
    format!("<xades:RevocationValues><xades:CRLValues>{values}</xades:CRLValues></xades:RevocationValues>")
}

fn crl(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    format!("<xades:EncapsulatedCRLValue>{text}</xades:EncapsulatedCRLValue>")
}

fn into_signed(p: &mut Pieces) {
    let end = "</xades:SignedSignatureProperties>";
    p.properties = p
        .properties
        .replace(end, &format!("{}{end}", certificates(&certificate())));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    refused(&[
        attack("one kind twice", Yes, profile(TWICE), || {
            with(&certificates(&certificate()).repeat(2))
        }),
        attack("too many", Yes, profile(MANY), || {
            with(&list(&crl(b"x").repeat(VALUES_MAX + 1)))
        }),
        attack("too many in all places together", Yes, profile(MANY), || {
            let half = list(&crl(b"x").repeat(VALUES_MAX / 2 + 1));
            let data = format!(
                "<x:TimeStampValidationData xmlns:x=\"{XADES141}\">{half}</x:TimeStampValidationData>"
            );
            with(&format!("{half}{data}"))
        }),
        attack(
            "a signature in them",
            Yes,
            profile("there must be exactly one signature"),
            || {
                let signature = format!("<ds:Signature xmlns:ds=\"{DSIG}\"></ds:Signature>");
                with(&certificates(&signature))
            },
        ),
        attack("another element", Yes, profile(PARTS), || {
            with(&certificates("<xades:Cert/>"))
        }),
        attack("an element of KeyInfo", Yes, profile(PARTS), || {
            with(&certificates(&x509(&[&world().other])))
        }),
        attack(
            "an attribute with a namespace",
            Yes,
            profile("an attribute with a namespace in the signature"),
            || {
                let data = format!(
                    "<x:TimeStampValidationData xmlns:x=\"{XADES141}\" xmlns:y=\"urn:y\" y:Id=\"_v\"/>"
                );
                with(&data)
            },
        ),
        attack(
            "an Id of the document",
            Yes,
            profile("an Id stands twice"),
            || with("<xades:CertificateValues Id=\"_E1\"/>"),
        ),
        attack(
            "among the signed properties, after signing",
            No,
            properties_changed(),
            || {
                let mut p = Draft::honest().sign();
                into_signed(&mut p);
                p.text()
            },
        ),
        attack(
            "a second UnsignedProperties",
            Yes,
            profile("QualifyingProperties hold other parts than are allowed"),
            || {
                let mut p = Draft::honest().sign();
                let second = certificates(&certificate());
                p.unsigned.push_str(&format!(
                    "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{second}{END}</xades:UnsignedProperties>"
                ));
                p.text()
            },
        ),
    ]);
}

fn properties_changed() -> XmlError {
    broken("the SignedProperties are not what was signed")
}

#[test]
fn hostile_values_are_nobodys_word() {
    accepted(&[
        ("a certificate of another", || with(&certificates(&certificate()))),
        ("octets that are no certificate and no list", || {
            let rubbish = "<xades:EncapsulatedX509Certificate>AAAA</xades:EncapsulatedX509Certificate>";
            with(&format!("{}{}", certificates(rubbish), list(&crl(&[0; 1000]))))
        }),
        ("in a namespace of nobody's", || {
            with("<x:CertificateValues xmlns:x=\"urn:x\"><x:Any>x</x:Any></x:CertificateValues>")
        }),
        ("as property of data objects", || {
            let end = "</xades:UnsignedProperties>";
            let mut p = Draft::honest().sign();
            let inside = certificates(&certificate());
            let property = format!(
                "<xades:UnsignedDataObjectProperties><xades:UnsignedDataObjectProperty>{inside}\
                 </xades:UnsignedDataObjectProperty></xades:UnsignedDataObjectProperties>"
            );
            p.unsigned = p.unsigned.replace(end, &format!("{property}{end}"));
            p.text()
        }),
    ]);
    // Only what stands in its place is read, and the signer stays who he was.
    let level = |document: &str| verify(document.as_bytes()).unwrap().0.level();
    // Certificates make nothing last: anybody may put one there.
    assert_eq!(level(&with(&certificates(&certificate()))), Level::Stamped);
    let elsewhere = with("<x:CertificateValues xmlns:x=\"urn:x\"/>");
    assert_eq!(level(&elsewhere), Level::Stamped);
    let report = judge(with(&certificates(&certificate())).as_bytes());
    assert_eq!(
        report.signer.unwrap().fingerprint,
        world().seal.certificate.fingerprint()
    );
    assert!(XADES.ends_with("v1.3.2#"));
}
