//! Second signatures, Objects and Manifests: more that could be taken for what was signed, or for who signed.

use super::super::forge::xml::{DSIG, Draft, ENVELOPED, EXCLUSIVE, Over, PROPERTIES, transform};
use super::Says::{No, Yes};
use super::*;

const ONE: &str = "there must be exactly one signature";
const PARTS: &str = "the signature has other parts than are allowed";

#[test]
fn second_signatures() {
    refused(&[
        attack("beside it", No, profile(ONE), || {
            let mut p = Draft::honest().sign();
            p.sig_close = format!(
                "{0}{1}",
                p.sig_close,
                Draft::honest()
                    .sign()
                    .signature()
                    .replace("_s1", "_s2")
                    .replace("_p1", "_p2")
                    .replace("_r1", "_r2")
            );
            p.text()
        }),
        attack("inside Extensions, signed along", No, profile(ONE), || {
            let mut d = Draft::honest();
            let inner = Draft::honest()
                .sign()
                .signature()
                .replace("_s1", "_s2")
                .replace("_p1", "_p2")
                .replace("_r1", "_r2");
            d.body = format!("{}<rem:Extensions>{inner}</rem:Extensions>", d.body);
            d.sign().text()
        }),
        attack(
            "as a counter-signature among the unsigned properties",
            Yes,
            profile(ONE),
            || {
                let mut p = Draft::honest().sign();
                let counter = format!(
                    "<xades:CounterSignature><ds:Signature><ds:SignedInfo/></ds:Signature></xades:CounterSignature>{}",
                    "</xades:UnsignedSignatureProperties>"
                );
                p.unsigned = p
                    .unsigned
                    .replace("</xades:UnsignedSignatureProperties>", &counter);
                p.text()
            },
        ),
        attack("in a second Object", Yes, profile(ONE), || {
            let mut p = Draft::honest().sign();
            p.object_close.push_str("<ds:Object><ds:Signature/></ds:Object>");
            p.text()
        }),
        attack(
            "an empty one in front, for readers that take the first",
            No,
            profile(ONE),
            || {
                let mut p = Draft::honest().sign();
                p.body = format!("<ds:Signature xmlns:ds=\"{DSIG}\"/>{}", p.body);
                p.text()
            },
        ),
        attack("in KeyInfo", Yes, profile(ONE), || {
            let mut p = Draft::honest().sign();
            p.key_info = p
                .key_info
                .replace("</ds:KeyInfo>", "<ds:Signature/></ds:KeyInfo>");
            p.text()
        }),
    ]);
}

#[test]
fn objects_and_manifests() {
    refused(&[
        attack("a Manifest stands for the document", Yes, profile(PARTS), || {
            manifest(true)
        }),
        attack("a Manifest beside the document", Yes, profile(PARTS), || {
            manifest(false)
        }),
        attack("an empty Object in front", Yes, profile(PARTS), || {
            let mut p = Draft::honest().sign();
            p.key_info.push_str("<ds:Object/>");
            p.text()
        }),
        attack(
            "an Object in the Object",
            Yes,
            profile("QualifyingProperties"),
            || {
                let mut p = Draft::honest().sign();
                p.object_open = format!("<ds:Object>{}", p.object_open);
                p.object_close = format!("{}</ds:Object>", p.object_close);
                p.text()
            },
        ),
        attack("SignatureProperties in an Object", Yes, profile(PARTS), || {
            let mut p = Draft::honest().sign();
            p.object_close.push_str("<ds:Object><ds:SignatureProperties><ds:SignatureProperty Target=\"#_s1\"/></ds:SignatureProperties></ds:Object>");
            p.text()
        }),
        attack(
            "the Object signed as a third",
            Yes,
            profile("there must be exactly two references"),
            || {
                let mut d = Draft::honest();
                let mut third = d.references[0].clone();
                third.attributes = " URI=\"#_e1\"".to_owned();
                d.references.push(third);
                d.sign().text()
            },
        ),
        attack(
            "only the properties are signed",
            Yes,
            profile("there must be exactly two references"),
            || {
                let mut d = Draft::honest();
                d.references.remove(0);
                d.sign().text()
            },
        ),
        attack(
            "only the document is signed",
            Yes,
            profile("there must be exactly two references"),
            || {
                let mut d = Draft::honest();
                d.references.remove(1);
                d.sign().text()
            },
        ),
        attack(
            "nothing is signed",
            No,
            profile("there must be exactly two references"),
            || {
                let mut d = Draft::honest();
                d.references.clear();
                d.sign().text()
            },
        ),
        attack(
            "the properties are signed twice, the document never",
            Yes,
            profile("one reference must be to the SignedProperties"),
            || {
                let mut d = Draft::honest();
                d.references[0] = d.references[1].clone();
                d.sign().text()
            },
        ),
        attack(
            "both references of the one Type",
            Yes,
            profile("one reference must be to the SignedProperties"),
            || {
                let mut d = Draft::honest();
                d.references[0].attributes = format!(" Type=\"{PROPERTIES}\" URI=\"\"");
                d.sign().text()
            },
        ),
        attack(
            "the properties are signed without their Type",
            Yes,
            profile("one reference must be to the SignedProperties"),
            || {
                let mut d = Draft::honest();
                d.references[1].attributes = " URI=\"#_p1\"".to_owned();
                d.sign().text()
            },
        ),
    ]);
}

/// A Manifest that lists the document: its reference holds, but nobody digests what it lists.
fn manifest(instead: bool) -> String {
    let id = "_m1";
    let listed = format!(
        "<ds:Manifest xmlns:ds=\"{DSIG}\" Id=\"{id}\"><ds:Reference URI=\"\"><ds:Transforms>{}{}</ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>AAAA</ds:DigestValue></ds:Reference></ds:Manifest>",
        transform(ENVELOPED),
        transform(EXCLUSIVE)
    );
    let mut d = Draft::honest();
    let mut reference = d.references[1].clone();
    reference.attributes = format!(" Type=\"{DSIG}Manifest\" URI=\"#{id}\"");
    reference.over = Over::Octets(listed.clone().into_bytes());
    if instead {
        d.references = vec![reference.clone(), d.references[1].clone()];
        d.references[1].attributes = " URI=\"#_p1\"".to_owned();
    } else {
        d.references.push(reference);
    }
    let mut p = d.sign();
    p.object_close
        .push_str(&format!("<ds:Object>{listed}</ds:Object>"));
    p.text()
}
