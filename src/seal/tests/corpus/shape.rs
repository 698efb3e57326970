//! Foreign shapes of SignedInfo: transforms, canonicalisations, and where references point.

use super::super::forge::xml::{DSIG, Draft, ENVELOPED, EXCLUSIVE, Over, transform};
use super::Says::{No, Yes};
use super::*;
use crate::xml::canonical_form;

const DOCUMENT: &str = "the document's transforms are not allowed";
const NOT_ALLOWED: &str = "a transform that is not allowed";
const PLAIN: &str = "an algorithm or parameter that is not allowed";
const ROOT: &str = "a reference must be to the whole document";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
const FILTER2: &str = "http://www.w3.org/2002/06/xmldsig-filter2";

/// A draft whose document reference has these transforms; its digest is over these octets.
fn through(transforms: String, over: Over) -> String {
    let mut d = Draft::honest();
    d.references[0].transforms = transforms;
    d.references[0].over = over;
    d.sign().text()
}

fn part(text: &str) -> Over {
    Over::Octets(canonical_form(text.as_bytes()).unwrap())
}

fn xpath(expression: &str) -> String {
    format!(
        "<ds:Transform Algorithm=\"{XPATH}\"><ds:XPath xmlns:rem=\"http://uri.etsi.org/02640/v2#\">{expression}</ds:XPath></ds:Transform>"
    )
}

/// The subject alone, as a filter would leave it in place: white space of the rest falls away with its elements.
fn only_subject() -> Over {
    part(
        "<rem:Subject xmlns:rem=\"http://uri.etsi.org/02640/v2#\">Konu: \u{131}\u{15f} &amp; i\u{15f}</rem:Subject>",
    )
}

#[test]
fn foreign_transforms() {
    refused(&[
        attack(
            "an XPath that leaves out a recipient",
            Yes,
            profile(NOT_ALLOWED),
            || {
                through(
                    format!(
                        "{}{}",
                        xpath("ancestor-or-self::rem:Subject"),
                        transform(EXCLUSIVE)
                    ),
                    only_subject(),
                )
            },
        ),
        attack(
            "an XPath that only looks like enveloped",
            Yes,
            profile(NOT_ALLOWED),
            || {
                let d = Draft::honest();
                let both = "not(ancestor-or-self::ds:Signature or ancestor-or-self::rem:To)";
                let bare = part(&d.document().replace("<rem:To>a@hs01.kep.test</rem:To>", ""));
                through(format!("{}{}", xpath(both), transform(EXCLUSIVE)), bare)
            },
        ),
        attack(
            "the prefix of the XPath is rebound",
            No,
            profile(NOT_ALLOWED),
            || {
                let bound = xpath("not(ancestor-or-self::ds:Signature)")
                    .replace(
                        "xmlns:rem=\"http://uri.etsi.org/02640/v2#\"",
                        "xmlns:ds=\"urn:x\"",
                    )
                    .replace("ds:XPath", "q:XPath")
                    .replace(" xmlns:ds", &format!(" xmlns:q=\"{DSIG}\" xmlns:ds"));
                through(format!("{bound}{}", transform(EXCLUSIVE)), Over::Document)
            },
        ),
        attack("an XPath filter 2.0", Yes, profile(NOT_ALLOWED), || {
            let filter = format!(
                "<ds:Transform Algorithm=\"{FILTER2}\"><f:XPath xmlns:f=\"{FILTER2}\" xmlns:rem=\"http://uri.etsi.org/02640/v2#\" Filter=\"intersect\">//rem:Subject</f:XPath></ds:Transform>"
            );
            through(format!("{filter}{}", transform(EXCLUSIVE)), only_subject())
        }),
        attack("XSLT", No, profile(NOT_ALLOWED), || {
            let sheet = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"><xsl:template match=\"/\">x</xsl:template></xsl:stylesheet></ds:Transform>";
            through(
                format!("{sheet}{}", transform(EXCLUSIVE)),
                Over::Octets(b"x".to_vec()),
            )
        }),
        attack("base64", No, profile(NOT_ALLOWED), || {
            through(
                format!(
                    "{}{}",
                    transform("http://www.w3.org/2000/09/xmldsig#base64"),
                    transform(EXCLUSIVE)
                ),
                Over::Octets(Vec::new()),
            )
        }),
        attack(
            "only enveloped: inclusive by default",
            Yes,
            profile(DOCUMENT),
            || {
                let d = Draft::honest();
                // With one namespace on the root both forms are the same octets.
                let octets = canonical_form(d.document().as_bytes()).unwrap();
                through(transform(ENVELOPED), Over::Octets(octets))
            },
        ),
        attack("only canonicalisation", No, profile(DOCUMENT), || {
            through(transform(EXCLUSIVE), Over::Document)
        }),
        attack(
            "no transform",
            No,
            profile("a reference has other parts than are allowed"),
            || through(String::new(), Over::Document),
        ),
        attack("enveloped twice", Yes, profile(DOCUMENT), || {
            through(
                format!("{0}{0}{1}", transform(ENVELOPED), transform(EXCLUSIVE)),
                Over::Document,
            )
        }),
        attack("canonicalised first", No, profile(NOT_ALLOWED), || {
            through(
                format!("{1}{0}", transform(ENVELOPED), transform(EXCLUSIVE)),
                Over::Document,
            )
        }),
        attack("inclusive", Yes, profile(PLAIN), || {
            through(
                format!("{}{}", transform(ENVELOPED), transform(INCLUSIVE)),
                Over::Document,
            )
        }),
        attack("inclusive 1.1", Yes, profile(PLAIN), || {
            through(
                format!(
                    "{}{}",
                    transform(ENVELOPED),
                    transform("http://www.w3.org/2006/12/xml-c14n11")
                ),
                Over::Document,
            )
        }),
        attack("with comments", Yes, profile(PLAIN), || {
            through(
                format!(
                    "{}{}",
                    transform(ENVELOPED),
                    transform(&format!("{EXCLUSIVE}WithComments"))
                ),
                Over::Document,
            )
        }),
        attack("a list of prefixes", Yes, profile(PLAIN), || {
            let list = format!(
                "<ds:Transform Algorithm=\"{EXCLUSIVE}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"rem\"></ec:InclusiveNamespaces></ds:Transform>"
            );
            through(format!("{}{list}", transform(ENVELOPED)), Over::Document)
        }),
        attack("an XPointer transform", No, profile(NOT_ALLOWED), || {
            through(
                format!(
                    "{}{}",
                    transform("http://www.w3.org/2001/04/xmldsig-more/xptr"),
                    transform(EXCLUSIVE)
                ),
                Over::Document,
            )
        }),
        attack(
            "a transform of another namespace",
            No,
            profile("Transform"),
            || {
                let foreign =
                    format!("<x:Transform xmlns:x=\"urn:x\" Algorithm=\"{ENVELOPED}\"></x:Transform>");
                through(format!("{foreign}{}", transform(EXCLUSIVE)), Over::Document)
            },
        ),
        attack(
            "text among the transforms",
            Yes,
            profile("text between the elements of the signature"),
            || {
                through(
                    format!("{}x{}", transform(ENVELOPED), transform(EXCLUSIVE)),
                    Over::Document,
                )
            },
        ),
        attack(
            "a transform of the properties",
            Yes,
            profile("the transforms of SignedProperties are not allowed"),
            || {
                let mut d = Draft::honest();
                d.references[1].transforms = format!("{}{}", transform(ENVELOPED), transform(EXCLUSIVE));
                d.references[1].over = Over::Octets(Vec::new());
                d.sign().text()
            },
        ),
        attack(
            "SignedInfo canonicalised with comments",
            Yes,
            profile(PLAIN),
            || {
                let mut d = Draft::honest();
                d.canonicalization = d.canonicalization.replace("exc-c14n#", "exc-c14n#WithComments");
                d.sign().text()
            },
        ),
        attack("SignedInfo canonicalised inclusively", No, profile(PLAIN), || {
            let mut d = Draft::honest();
            d.canonicalization = d.canonicalization.replace(EXCLUSIVE, INCLUSIVE);
            d.sign().text()
        }),
        attack("SignedInfo with a list of prefixes", No, profile(PLAIN), || {
            let mut d = Draft::honest();
            d.canonicalization = d.canonicalization.replace("></ds:C", &format!("><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"rem\"></ec:InclusiveNamespaces></ds:C"));
            d.sign().text()
        }),
    ]);
}

/// A draft whose document reference has this URI; the digest is over these octets.
fn to(uri: &str, over: Over) -> String {
    let mut d = Draft::honest();
    d.references[0].attributes = format!(" URI=\"{uri}\"");
    d.references[0].over = over;
    d.sign().text()
}

#[test]
fn references_that_point_elsewhere() {
    refused(&[
        attack("a web address", No, profile(ROOT), || {
            to("http://127.0.0.1:9/x", Over::Document)
        }),
        attack("a file", No, profile(ROOT), || {
            to("file:///etc/passwd", Over::Document)
        }),
        attack("a file beside", No, profile(ROOT), || to("e.xml", Over::Document)),
        attack("the whole document with a fragment", No, profile(ROOT), || {
            to("e.xml#_e1", Over::Document)
        }),
        attack("a part of a message", No, profile(ROOT), || {
            to("cid:x@y", Over::Document)
        }),
        attack("the root by XPointer", Yes, profile(ROOT), || {
            to("#xpointer(/)", Over::Document)
        }),
        attack("the root's Id by XPointer", Yes, profile(ROOT), || {
            to("#xpointer(id('_e1'))", Over::Document)
        }),
        attack("an empty fragment", No, profile(ROOT), || to("#", Over::Document)),
        attack("a blank", No, profile(ROOT), || to(" ", Over::Document)),
        attack("a blank behind the Id", Yes, profile(ROOT), || {
            to("#_e1 ", Over::Document)
        }),
        attack("an escaped Id", No, profile(ROOT), || {
            to("#%5Fe1", Over::Document)
        }),
        attack("the Id in capitals", No, profile(ROOT), || {
            to("#_E1", Over::Document)
        }),
        attack("a child of the root", Yes, profile(ROOT), || {
            let mut d = Draft::honest();
            d.body = "<rem:Evidence Id=\"_t1\">a</rem:Evidence><rem:From>b</rem:From>".to_owned();
            d.references[0].attributes = " URI=\"#_t1\"".to_owned();
            d.references[0].over = Over::Octets(
                b"<rem:Evidence xmlns:rem=\"http://uri.etsi.org/02640/v2#\" Id=\"_t1\">a</rem:Evidence>"
                    .to_vec(),
            );
            d.sign().text()
        }),
        attack("no URI", Yes, profile("a reference without URI"), || {
            let mut d = Draft::honest();
            d.references[0].attributes = String::new();
            d.sign().text()
        }),
        attack("the root's Id under another name", No, profile(ROOT), || {
            let mut d = Draft::honest();
            d.open = d.open.replace(" Id=", " ID=");
            d.references[0].attributes = " URI=\"#_e1\"".to_owned();
            d.sign().text()
        }),
        attack(
            "the properties without URI",
            No,
            profile("the SignedProperties of this signature are not referenced"),
            || {
                let mut d = Draft::honest();
                d.references[1].attributes =
                    " Type=\"http://uri.etsi.org/01903#SignedProperties\"".to_owned();
                d.sign().text()
            },
        ),
        attack(
            "the Type of an older XAdES",
            Yes,
            profile("one reference must be to the SignedProperties"),
            || {
                let mut d = Draft::honest();
                d.references[1].attributes =
                    " Type=\"http://uri.etsi.org/01903/v1.1.1#SignedProperties\" URI=\"#_p1\"".to_owned();
                d.sign().text()
            },
        ),
    ]);
}
