//! Signature wrapping: what was signed is still there and still holds, but what is read stands somewhere else.

use super::super::forge::xml::{Draft, EXCLUSIVE, Over, PROPERTIES, Pieces, XADES, transform};
use super::super::forge::xml::{cert_of, properties, v2};
use super::Says::{No, Yes};
use super::*;

const ORDER: &str = "the signature must be the last child of the root";
const ONE: &str = "there must be exactly one signature";
const ROOT: &str = "a reference must be to the whole document";
const TWICE: &str = "an Id stands twice";
const PARTS: &str = "the signature has other parts than are allowed";
const ALONE: &str = "ds:Object must hold the QualifyingProperties alone";
const UNREFERENCED: &str = "the SignedProperties of this signature are not referenced";

/// Signed with a reference to the root by its Id, as many products do: that alone can be wrapped.
fn by_id() -> Pieces {
    by_uri("#_e1")
}

fn by_uri(uri: &str) -> Pieces {
    let mut d = Draft::honest();
    d.references[0].attributes = format!(" Id=\"_r1\" URI=\"{uri}\"");
    d.sign()
}

/// The root without the signature, as it was signed.
fn original(p: &Pieces) -> String {
    format!("{}{}{}", p.open, p.body, p.close)
}

/// A root of the same kind with other contents, and the original somewhere in it.
fn forged(id: &str, before: &str, p: &Pieces, after: &str) -> String {
    let open = p.open.replace("_e1", id);
    let body = p.body.replace("a@hs01", "mallory@evil");
    format!(
        "{}{open}{body}{before}{}{after}{}",
        p.prolog,
        p.signature(),
        p.close
    )
}

fn in_extensions(p: &Pieces) -> String {
    format!(
        "<rem:Extensions><rem:Extension>{}</rem:Extension></rem:Extensions>",
        original(p)
    )
}

#[test]
fn the_signed_element_is_moved() {
    refused(&[
        attack("under Extensions, new root", Yes, profile(ROOT), || {
            let p = by_id();
            forged("_f1", &in_extensions(&p), &p, "")
        }),
        attack(
            "under Extensions, new root with the same Id",
            No,
            profile(TWICE),
            || {
                let p = by_id();
                forged("_e1", &in_extensions(&p), &p, "")
            },
        ),
        attack(
            "under Extensions, new root with a twin of the Id",
            Yes,
            profile(TWICE),
            || {
                let p = by_id();
                forged("_E1", &in_extensions(&p), &p, "")
            },
        ),
        attack("a sibling before the signature", Yes, profile(ROOT), || {
            let p = by_id();
            forged("_f1", &original(&p), &p, "")
        }),
        attack("a sibling behind the signature", Yes, profile(ORDER), || {
            let p = by_id();
            forged("_f1", "", &p, &original(&p))
        }),
        attack(
            "with its signature inside a new root",
            Yes,
            profile(ORDER),
            || {
                let p = by_id();
                format!("<x xmlns=\"urn:y\">{}</x>", p.root())
            },
        ),
        attack(
            "with its signature inside a new root, and a copy of the signature",
            No,
            profile(TWICE),
            || {
                let p = by_id();
                format!("<x xmlns=\"urn:y\">{}{}</x>", p.root(), p.signature())
            },
        ),
        attack("under a second Object", No, profile(PARTS), || {
            let mut p = by_id();
            p.object_close = format!("{}<ds:Object>{}</ds:Object>", p.object_close, original(&p));
            forged("_f1", "", &p, "")
        }),
        attack("under the Object of the properties", No, profile(ALONE), || {
            let mut p = by_id();
            p.object_close = p
                .object_close
                .replace("</ds:Object>", &format!("{}</ds:Object>", original(&p)));
            forged("_f1", "", &p, "")
        }),
        attack(
            "into KeyInfo",
            No,
            profile("KeyInfo holds more than keys"),
            || {
                let mut p = by_id();
                p.key_info = p
                    .key_info
                    .replace("</ds:KeyInfo>", &format!("{}</ds:KeyInfo>", original(&p)));
                forged("_f1", "", &p, "")
            },
        ),
        attack("into the unsigned properties", No, profile(ROOT), || {
            let mut p = by_id();
            let end = "</xades:UnsignedSignatureProperties>";
            p.unsigned = p.unsigned.replace(end, &format!("{}{end}", original(&p)));
            forged("_f1", "", &p, "")
        }),
        attack("by a whole-document reference", No, profile(ORDER), || {
            let p = Draft::honest().sign();
            format!("<x xmlns=\"urn:y\">{}</x>", p.root())
        }),
        attack(
            "the root is exchanged, the whole-document reference stays",
            No,
            other_document(),
            || {
                let p = Draft::honest().sign();
                forged("_e1", "", &p, "")
            },
        ),
        attack(
            "an xpointer names the moved one, the root is called like the pointer",
            Yes,
            profile("an Id that is no plain name"),
            || {
                let p = by_uri("#xpointer(id('_e1'))");
                forged("xpointer(id('_e1'))", &original(&p), &p, "")
            },
        ),
        attack(
            "detached: the signed element under Object, a forged root around",
            Yes,
            profile(ALONE),
            || {
                let mut d = Draft::honest();
                d.references[0].attributes = " URI=\"#_e1\"".to_owned();
                d.references[0].transforms = transform(EXCLUSIVE);
                let mut p = d.sign();
                p.object_close = p
                    .object_close
                    .replace("</ds:Object>", &format!("{}</ds:Object>", original(&p)));
                forged("_f1", "", &p, "")
            },
        ),
        attack(
            "detached: the signed element beside the signature",
            Yes,
            profile("a reference must be to the whole document"),
            || {
                let mut d = Draft::honest();
                d.references[0].attributes = " URI=\"#_e1\"".to_owned();
                d.references[0].transforms = transform(EXCLUSIVE);
                let p = d.sign();
                forged("_f1", &original(&p), &p, "")
            },
        ),
        attack(
            "enveloping: the signature is the root",
            Yes,
            profile(ORDER),
            || {
                let mut d = Draft::honest();
                d.references[0].attributes = " URI=\"#_e1\"".to_owned();
                d.references[0].transforms = transform(EXCLUSIVE);
                let mut p = d.sign();
                p.sig_close = format!("<ds:Object>{}</ds:Object>{}", original(&p), p.sig_close);
                p.signature()
            },
        ),
    ]);
}

#[test]
fn the_signature_is_moved() {
    refused(&[
        attack("to the front", Yes, profile(ORDER), || {
            let p = Draft::honest().sign();
            format!("{}{}{}{}{}", p.prolog, p.open, p.signature(), p.body, p.close)
        }),
        attack("one level down", Yes, profile(ORDER), || {
            let mut d = Draft::honest();
            d.body = format!("{}<rem:Extensions>@</rem:Extensions>", d.body);
            // The digest is over the document with an empty place there.
            let empty = d.document().replace('@', "").replace("ahs01", "a@hs01");
            d.references[0].over = Over::Octets(crate::xml::canonical_form(empty.as_bytes()).unwrap());
            let p = d.sign();
            format!(
                "{}{}{}{}",
                p.prolog,
                p.open,
                p.body.replace(">@<", &format!(">{}<", p.signature())),
                p.close
            )
        }),
        attack("text behind it", No, profile(ORDER), || {
            let mut p = Draft::honest().sign();
            p.close = format!("x{}", p.close);
            p.text()
        }),
        attack("nothing signed at all", No, profile(ONE), || {
            Draft::honest().document()
        }),
    ]);
}

/// SignedProperties that say another time and another certificate; their Id is free.
fn false_properties(id: &str) -> String {
    properties(id, "2020-01-01T00:00:00Z", &v2(&cert_of(&world().seal)))
}

/// The false properties stand where they are looked for, the signed ones somewhere else.
fn displaced(id: &str, into: fn(&mut Pieces, &str)) -> String {
    let mut p = Draft::honest().sign();
    let signed = std::mem::replace(&mut p.properties, false_properties(id));
    into(&mut p, &signed);
    p.text()
}

fn into_unsigned(p: &mut Pieces, signed: &str) {
    let end = "</xades:UnsignedSignatureProperties>";
    p.unsigned = p.unsigned.replace(end, &format!("{signed}{end}"));
}

fn into_object(p: &mut Pieces, signed: &str) {
    p.object_close
        .push_str(&format!("<ds:Object>{signed}</ds:Object>"));
}

#[test]
fn the_signed_properties_are_wrapped_or_doubled() {
    refused(&[
        attack(
            "false ones in their place, the signed ones among the unsigned",
            Yes,
            profile(UNREFERENCED),
            || displaced("_p2", into_unsigned),
        ),
        attack("the same under one Id", No, profile(TWICE), || {
            displaced("_p1", into_unsigned)
        }),
        attack("the same under twins", Yes, profile(TWICE), || {
            displaced("_P1", into_unsigned)
        }),
        attack("the same, without an Id", Yes, profile(UNREFERENCED), || {
            displaced("_p2", into_unsigned).replace(" Id=\"_p2\"", "")
        }),
        attack("the signed ones in a second Object", Yes, profile(PARTS), || {
            displaced("_p2", into_object)
        }),
        attack(
            "the signed ones inside the false ones",
            Yes,
            profile(UNREFERENCED),
            || {
                displaced("_p2", |p, signed| {
                    p.properties = p.properties.replace(
                        "</xades:SignedProperties>",
                        &format!("{signed}</xades:SignedProperties>"),
                    );
                })
            },
        ),
        attack(
            "the signed ones in KeyInfo",
            Yes,
            profile("KeyInfo holds more than keys"),
            || {
                displaced("_p2", |p, signed| {
                    p.key_info = p
                        .key_info
                        .replace("</ds:KeyInfo>", &format!("{signed}</ds:KeyInfo>"));
                })
            },
        ),
        attack(
            "the signed ones behind the false ones",
            Yes,
            profile("a part of the signature is missing or stands twice"),
            || displaced("_p2", |p, signed| p.properties.push_str(signed)),
        ),
        attack(
            "an xpointer names the signed ones, the false ones are called like the pointer",
            Yes,
            profile("an Id that is no plain name"),
            || {
                let mut d = Draft::honest();
                d.references[1].attributes = format!(" Type=\"{PROPERTIES}\" URI=\"#xpointer(id('_p1'))\"");
                let mut p = d.sign();
                let signed = std::mem::replace(&mut p.properties, false_properties("xpointer(id('_p1'))"));
                into_unsigned(&mut p, &signed);
                p.text()
            },
        ),
        attack(
            "none at all",
            No,
            profile("a part of the signature is missing or stands twice"),
            || {
                let mut p = Draft::honest().sign();
                p.properties.clear();
                p.text()
            },
        ),
        attack(
            "changed",
            No,
            broken("the SignedProperties are not what was signed"),
            || {
                let mut p = Draft::honest().sign();
                p.properties = false_properties("_p1");
                p.text()
            },
        ),
        attack(
            "the reference goes to another element of the signature",
            Yes,
            profile(UNREFERENCED),
            || {
                let mut d = Draft::honest();
                d.references[1].attributes = format!(" Type=\"{PROPERTIES}\" URI=\"#_x\"");
                d.references[1].over = Over::Octets(
                    "<rem:Evidence xmlns:rem=\"http://uri.etsi.org/02640/v2#\" Id=\"_x\"></rem:Evidence>"
                        .into(),
                );
                d.body.push_str("<rem:Evidence Id=\"_x\"/>");
                d.sign().text()
            },
        ),
        attack(
            "Target names another signature",
            Yes,
            profile("QualifyingProperties name another signature"),
            || {
                Draft::honest()
                    .sign()
                    .text()
                    .replace("Target=\"#_s1\"", "Target=\"#_s2\"")
            },
        ),
        attack(
            "Target without a number sign",
            Yes,
            profile("QualifyingProperties name another signature"),
            || {
                Draft::honest()
                    .sign()
                    .text()
                    .replace("Target=\"#_s1\"", "Target=\"_s1\"")
            },
        ),
        attack(
            "Target of another namespace",
            Yes,
            profile("an attribute with a namespace in the signature"),
            || {
                Draft::honest()
                    .sign()
                    .text()
                    .replace("Target=\"#_s1\"", "xades:Target=\"#_s1\"")
            },
        ),
        attack(
            "no Id on the signature",
            Yes,
            profile("the signature has no Id"),
            || {
                let mut d = Draft::honest();
                d.attributes.clear();
                d.sign().text()
            },
        ),
        attack(
            "QualifyingProperties in a second Object",
            Yes,
            profile(PARTS),
            || {
                let mut p = Draft::honest().sign();
                p.object_open = format!("<ds:Object></ds:Object>{}", p.object_open);
                p.text()
            },
        ),
        attack("QualifyingProperties twice", Yes, profile(ALONE), || {
            let mut p = Draft::honest().sign();
            p.object_close = format!(
                "</xades:QualifyingProperties><xades:QualifyingProperties xmlns:xades=\"{XADES}\" Target=\"#_s1\"/></ds:Object>"
            );
            p.text()
        }),
        attack(
            "QualifyingProperties elsewhere",
            No,
            profile("QualifyingProperties"),
            || {
                let p = Draft::honest().sign();
                let away = format!(
                    "<ds:Object><xades:QualifyingPropertiesReference xmlns:xades=\"{XADES}\" URI=\"http://x.test/\"/></ds:Object>"
                );
                p.text().replace(&p.object(), &away)
            },
        ),
        attack(
            "QualifyingProperties of an older XAdES",
            No,
            profile("QualifyingProperties"),
            || {
                Draft::honest()
                    .sign()
                    .text()
                    .replace(XADES, "http://uri.etsi.org/01903/v1.1.1#")
            },
        ),
        attack(
            "something else among the properties",
            Yes,
            profile("QualifyingProperties hold other parts than are allowed"),
            || {
                let mut p = Draft::honest().sign();
                p.unsigned.push_str("<xades:Other/>");
                p.text()
            },
        ),
        attack(
            "unsigned properties twice",
            Yes,
            profile("QualifyingProperties hold other parts than are allowed"),
            || {
                let mut p = Draft::honest().sign();
                p.unsigned
                    .push_str("<xades:UnsignedProperties></xades:UnsignedProperties>");
                p.text()
            },
        ),
    ]);
}
