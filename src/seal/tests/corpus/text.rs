//! Text that is not what it looks like: comments, instructions, entities, encodings, and documents made to be costly.

use super::super::forge::xml::{DSIG, Draft, Pieces, XADES};
use super::Says::{No, Yes};
use super::*;

const COMMENT: &str = "it has a comment";
const DOCTYPE: &str = "it has a document type or entity declaration";
const INSTRUCTION: &str = "it has a processing instruction";
const DECLARATION: &str = "the XML declaration is not version 1.0, UTF-8";
const CDATA: &str = "a CDATA section in the signature";

fn with(edit: fn(&mut Pieces)) -> String {
    let mut p = Draft::honest().sign();
    edit(&mut p);
    p.text()
}

#[test]
fn comments_instructions_and_entities() {
    refused(&[
        // The canonical form leaves comments out: xmlsec1 sees nothing, and some reader sees half an address.
        attack("a comment cuts an address", Yes, guard(COMMENT), || {
            with(|p| p.body = p.body.replace("a@hs01.kep.test", "a@hs01<!-- -->.kep.test"))
        }),
        attack("a comment in the signature value", Yes, guard(COMMENT), || {
            with(|p| p.value = p.value.replace("</ds:S", "<!-- --></ds:S"))
        }),
        attack("a comment behind the root", Yes, guard(COMMENT), || {
            with(|p| p.close.push_str("<!-- -->"))
        }),
        attack(
            "a processing instruction in a value",
            No,
            guard(INSTRUCTION),
            || with(|p| p.body = p.body.replace("a@hs01", "a<?x y?>@hs01")),
        ),
        attack("a style sheet", No, guard(INSTRUCTION), || {
            with(|p| {
                p.prolog
                    .push_str("<?xml-stylesheet type=\"text/xsl\" href=\"http://x.test/\"?>")
            })
        }),
        attack(
            "an instruction that looks like the declaration",
            No,
            guard(INSTRUCTION),
            || with(|p| p.prolog = "<?xmlversion=\"1.0\"?>".to_owned()),
        ),
        attack("a document type", Yes, guard(DOCTYPE), || {
            with(|p| p.prolog.push_str("<!DOCTYPE rem:Evidence>"))
        }),
        attack("an entity in a value", No, guard(DOCTYPE), || {
            with(|p| {
                p.prolog.push_str("<!DOCTYPE x [<!ENTITY e \"a@\">]>");
                p.body = p.body.replace("a@", "&e;");
            })
        }),
        attack("an external entity", No, guard(DOCTYPE), || {
            with(|p| {
                p.prolog
                    .push_str("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>");
                p.body.push_str("&e;");
            })
        }),
        attack("a billion laughs", No, guard(DOCTYPE), || {
            with(|p| {
                let laughs: String = (1..10)
                    .map(|i| format!("<!ENTITY e{i} \"{}\">", format!("&e{};", i - 1).repeat(10)))
                    .collect();
                p.prolog
                    .push_str(&format!("<!DOCTYPE x [<!ENTITY e0 \"ha\">{laughs}]>"));
                p.body.push_str("&e9;");
            })
        }),
        attack("an attribute by default", Yes, guard(DOCTYPE), || {
            with(|p| {
                p.prolog
                    .push_str("<!DOCTYPE x [<!ATTLIST rem:To Id ID \"_e2\">]>")
            })
        }),
        attack(
            "an entity nobody declared",
            No,
            parse("unknown entity reference 'nbsp' at 3:1"),
            || with(|p| p.body.push_str("&nbsp;")),
        ),
        attack("CDATA cuts the signature value", Yes, profile(CDATA), || {
            with(|p| p.value = p.value.replace("</ds:S", "<![CDATA[]]></ds:S"))
        }),
        attack(
            "CDATA behind the signature value, stamped along",
            No,
            profile(CDATA),
            || {
                let mut d = Draft::honest();
                d.stamps = vec![|world, value| {
                    let value = String::from_utf8(value.to_vec())
                        .unwrap()
                        .replace("</ds:S", "AAAA</ds:S");
                    super::super::forge::token::TokenDraft::honest(world, value.as_bytes()).der()
                }];
                let mut p = d.sign();
                p.value = p.value.replace("</ds:S", "<![CDATA[AAAA]]></ds:S");
                p.text()
            },
        ),
        attack("CDATA in the signing time", Yes, profile(CDATA), || {
            let mut d = Draft::honest();
            d.properties = d.properties.replace("2026-11", "<![CDATA[2026]]>-11");
            d.sign().text()
        }),
    ]);
}

#[test]
fn characters_and_encodings() {
    refused(&[
        attack(
            "NUL by reference",
            No,
            parse("a reference to what is no character"),
            || with(|p| p.body = p.body.replace("a@hs01", "a&#0;@hs01")),
        ),
        attack("NUL itself", No, guard("it has a control character"), || {
            with(|p| p.body = p.body.replace("a@hs01", "a\0@hs01"))
        }),
        attack(
            "a control character",
            No,
            guard("it has a control character"),
            || with(|p| p.body = p.body.replace("a@hs01", "a\u{8}@hs01")),
        ),
        attack(
            "U+FFFE",
            No,
            parse("a non-XML character '\\u{fffe}' found at 2:132"),
            || with(|p| p.body = p.body.replace("a@hs01", "a\u{fffe}@hs01")),
        ),
        attack(
            "a surrogate by reference",
            No,
            parse("a reference to what is no character"),
            || with(|p| p.body = p.body.replace("a@hs01", "a&#xD800;@hs01")),
        ),
        attack(
            "a byte order mark",
            Yes,
            guard("it begins with a byte order mark"),
            || with(|p| p.prolog = format!("\u{feff}{}", p.prolog)),
        ),
        attack(
            "white space before the declaration",
            No,
            guard(INSTRUCTION),
            || with(|p| p.prolog = format!(" {}", p.prolog)),
        ),
        attack("UTF-7 declared", No, guard(DECLARATION), || {
            with(|p| p.prolog = p.prolog.replace("UTF-8", "UTF-7"))
        }),
        attack("ISO-8859-9 declared", No, guard(DECLARATION), || {
            with(|p| p.prolog = p.prolog.replace("UTF-8", "ISO-8859-9"))
        }),
        attack("UTF-16 declared", No, guard(DECLARATION), || {
            with(|p| p.prolog = p.prolog.replace("UTF-8", "UTF-16"))
        }),
        attack("XML 1.1", Yes, guard(DECLARATION), || {
            with(|p| p.prolog = p.prolog.replace("1.0", "1.1"))
        }),
        attack("another letter in the value", No, other_document(), || {
            with(|p| p.body = p.body.replace('\u{131}', "i"))
        }),
        attack("the same letter composed otherwise", No, other_document(), || {
            with(|p| p.body = p.body.replace('\u{15f}', "s\u{327}"))
        }),
        attack("a soft hyphen in the address", No, other_document(), || {
            with(|p| p.body = p.body.replace("a@hs01", "a\u{ad}@hs01"))
        }),
    ]);
    // What is no text at all.
    let text = Draft::honest().sign().text();
    let utf16: Vec<u8> = std::iter::once(0xfeffu16)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let overlong = [
        text.split_once("a@hs01").unwrap().0.as_bytes(),
        &[0xc1, 0xa1],
        text.split_once("a@hs01").unwrap().1.as_bytes(),
    ]
    .concat();
    let cesu = [text.as_bytes(), &[0xed, 0xa0, 0x80]].concat();
    for (name, octets) in [
        ("UTF-16", utf16),
        ("an overlong letter", overlong),
        ("a surrogate in three octets", cesu),
    ] {
        let wanted = Finding::Failed(guard("it is not UTF-8").to_string());
        assert_eq!(judge(&octets).findings.signature, wanted, "{name}");
    }
}

fn names() -> XmlError {
    parse("a name that namespaces do not allow")
}

/// What anybody could write into a signed document if names were read as laxly as some parsers do: its canonical form would
/// stay, for these, and libxml2 would refuse it.
#[test]
fn names_that_are_none() {
    refused(&[
        attack(
            "an attribute without a prefix before its colon",
            No,
            names(),
            || with(|p| p.open = p.open.replace(" version=", " :version=")),
        ),
        attack("xmlns with the prefix of the element", No, names(), || {
            with(|p| p.body = p.body.replace("<rem:To>", "<rem:To rem:xmlns=\"anything\">"))
        }),
        attack("xmlns with a prefix that nobody declared", No, names(), || {
            with(|p| p.body = p.body.replace("<rem:To>", "<rem:To zz:xmlns=\"anything\">"))
        }),
        attack("xmlns without a prefix before its colon", No, names(), || {
            with(|p| p.body.push_str("<x :xmlns=\"urn:x\"/>"))
        }),
        attack("an end tag with a bare colon", No, names(), || {
            with(|p| p.body.push_str("<x></:x>"))
        }),
        attack("a tag with a bare colon", No, names(), || {
            with(|p| p.body.push_str("<:x></:x>"))
        }),
        attack("a prefix called xmlns", Yes, names(), || {
            with(|p| p.open = p.open.replace(" version=", " xmlns:xmlns=\"urn:x\" version="))
        }),
        attack(
            "a namespace with a relative name",
            No,
            parse("a namespace whose name is no absolute URI"),
            || with(|p| p.open = p.open.replace(" version=", " xmlns:z=\"rel\" version=")),
        ),
    ]);
}

#[test]
fn namespaces_are_rebound() {
    let rebound = || profile("SignedInfo");
    refused(&[
        attack("the prefix of a value", No, other_document(), || {
            with(|p| p.body = p.body.replace("<rem:To>", "<rem:To xmlns:rem=\"urn:x\">"))
        }),
        attack("the prefix of the root", No, other_document(), || {
            with(|p| p.open = p.open.replace("02640/v2", "02640/v1"))
        }),
        attack(
            "the prefix is another, the namespace the same",
            No,
            other_document(),
            || {
                with(|p| {
                    p.body = p
                        .body
                        .replace("<rem:To>", "<r:To xmlns:r=\"http://uri.etsi.org/02640/v2#\">")
                        .replace("</rem:To>", "</r:To>")
                })
            },
        ),
        attack("the prefix of SignedInfo", No, rebound(), || {
            with(|p| {
                p.signed_info = p
                    .signed_info
                    .replace(&format!("xmlns:ds=\"{DSIG}\""), "xmlns:ds=\"urn:x\"")
            })
        }),
        attack(
            "the prefix of the properties",
            No,
            profile("a part of the signature is missing or stands twice"),
            || with(|p| p.properties = p.properties.replace(XADES, "urn:x")),
        ),
        attack(
            "a prefix that nobody declared",
            No,
            parse("an unknown namespace prefix 'u' at 3:2"),
            || with(|p| p.body.push_str("<u:x/>")),
        ),
        attack(
            "an attribute twice under two prefixes",
            No,
            parse("attribute 'c' at 3:44 is already defined"),
            || {
                with(|p| {
                    p.body
                        .push_str("<x xmlns:a=\"urn:1\" xmlns:b=\"urn:1\" a:c=\"1\" b:c=\"2\"/>")
                })
            },
        ),
        attack("the prefix xml for another namespace", No, names(), || {
            with(|p| p.body.push_str("<x xmlns:xml=\"urn:1\"/>"))
        }),
        attack(
            "a foreign URI before the URI",
            Yes,
            profile("an attribute with a namespace in the signature"),
            || {
                let mut d = Draft::honest();
                d.references[0].attributes = " xmlns:x=\"urn:x\" x:URI=\"#_e1\" URI=\"\"".to_owned();
                d.sign().text()
            },
        ),
        attack(
            "a foreign Algorithm before the Algorithm",
            No,
            profile("an attribute with a namespace in the signature"),
            || {
                let mut d = Draft::honest();
                d.method = d
                    .method
                    .replace(" Algorithm", " xmlns:x=\"urn:x\" x:Algorithm=\"urn:y\" Algorithm");
                d.sign().text()
            },
        ),
        attack(
            "xml:base on the signature",
            Yes,
            profile("an attribute with a namespace in the signature"),
            || with(|p| p.sig_open = p.sig_open.replace(" Id=", " xml:base=\"http://x.test/\" Id=")),
        ),
    ]);
}

#[test]
fn twins_of_ids() {
    let twin = || profile("an Id stands twice");
    let mut rows: Vec<Attack> = Vec::new();
    for (name, says, make) in [
        ("Id", Yes, (|| twins("Id=\"_p1\"")) as fn() -> String),
        ("ID", Yes, || twins("ID=\"_p1\"")),
        ("id", Yes, || twins("id=\"_p1\"")),
        ("iD", Yes, || twins("iD=\"_p1\"")),
        ("xml:id", No, || twins("xml:id=\"_p1\"")),
        ("AssertionID", Yes, || twins("AssertionID=\"_p1\"")),
        ("ASSERTIONID", Yes, || twins("ASSERTIONID=\"_p1\"")),
        ("another namespace's Id", Yes, || {
            twins("xmlns:w=\"urn:wsu\" w:Id=\"_p1\"")
        }),
        ("a value in capitals", Yes, || twins("Id=\"_P1\"")),
        ("the root's own", Yes, || twins("Id=\"_e1\"")),
        ("the signature's own", Yes, || twins("ID=\"_s1\"")),
        ("two kinds on one element", Yes, || twins("Id=\"_t1\" ID=\"_t1\"")),
    ] {
        rows.push(attack(name, says, twin(), make));
    }
    refused(&rows);
}

/// A second element with that attribute, signed along.
fn twins(attribute: &str) -> String {
    let mut d = Draft::honest();
    d.body.push_str(&format!("<rem:Extensions {attribute}/>"));
    d.sign().text()
}

#[test]
fn costly_documents() {
    let elements = || guard("it has too many or too deep elements");
    refused(&[
        attack(
            "larger than a mebibyte",
            Yes,
            guard("it is larger than 1 MiB"),
            || with(|p| p.close.push_str(&" ".repeat(1024 * 1024))),
        ),
        attack("fifty deep", No, elements(), || nested(50)),
        attack("ten thousand deep", No, elements(), || nested(10_000)),
        attack(
            "more elements than a mail of a thousand recipients",
            No,
            elements(),
            || with(|p| p.body.push_str(&"<a/>".repeat(50_001))),
        ),
        attack(
            "more attributes than any element has",
            No,
            guard("an element has too many attributes"),
            || {
                with(|p| {
                    let list: String = (0..33).map(|i| format!(" a{i}=\"\"")).collect();
                    p.body.push_str(&format!("<a{list}/>"));
                })
            },
        ),
        attack(
            "namespaces that multiply",
            No,
            guard("too many namespaces are in scope"),
            || {
                with(|p| {
                    let level = |l: usize| {
                        let list: String = (0..30).map(|i| format!(" xmlns:n{l}_{i}=\"u\"")).collect();
                        format!("<a{list}>")
                    };
                    let open: String = (0..40).map(level).collect();
                    p.body.push_str(&format!(
                        "{open}{}{}",
                        "<b xmlns:q=\"u\"/>".repeat(40_000),
                        "</a>".repeat(40)
                    ));
                })
            },
        ),
        attack(
            "more certificates than any chain has",
            Yes,
            profile("too many certificates"),
            || {
                let mut d = Draft::honest();
                d.key_info = super::super::forge::xml::x509(&[&d.world.seal; 17]);
                d.sign().text()
            },
        ),
        attack(
            "more stamps than anybody sets",
            Yes,
            profile("too many time-stamps"),
            || {
                let mut d = Draft::honest();
                d.stamps = vec![|_, _| vec![0; 8]; 9];
                d.sign().text()
            },
        ),
        attack("a tag without end", No, guard("a tag does not end"), || {
            with(|p| p.close = "</rem:Evidence".to_owned())
        }),
        attack(
            "an attribute without end",
            No,
            guard("a tag does not end"),
            || with(|p| p.open = p.open.replace("Id=\"_e1\">", "Id=\"_e1>")),
        ),
    ]);
}

fn nested(depth: usize) -> String {
    with(|_| ()).replace(
        "<rem:To>",
        &format!("{}{}<rem:To>", "<a>".repeat(depth), "</a>".repeat(depth)),
    )
}

/// The costliest document that is let in is judged like any other.
#[test]
fn the_largest_document_allowed_is_judged() {
    let mut d = Draft::honest();
    let spaces: String = (0..24).map(|i| format!(" xmlns:n{i}=\"urn:{i}\"")).collect();
    let row = format!("<n1:a{spaces}><n2:b n3:c=\"1\">x</n2:b></n1:a>");
    d.body.push_str(&row.repeat(900_000 / row.len()));
    let report = judge(d.sign().text().as_bytes());
    assert!(report.findings.all_ok(), "{:?}", report.findings);
}
