//! What a signature that holds is over: our canonical form, xmlsec1's digest input and xmllint's canonical form are the
//! same octets.

use super::super::forge::xml::{Draft, RSA_SHA256, cert_of, properties, v2, x509};
use super::*;
use crate::xml::canonical_form;

/// The document without its one signature.
pub fn without_signature(document: &str) -> String {
    let start = document.find("<ds:Signature ").unwrap();
    let end = document.rfind("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    format!("{}{}", &document[..start], &document[end..])
}

/// How what xmlsec1 digests differs from what we say is covered.
pub fn differs(document: &str) -> Option<String> {
    let bare = without_signature(document);
    let ours = canonical_form(bare.as_bytes()).unwrap();
    let covers = judges::xmlsec1_covers(world(), document.as_bytes());
    if covers.len() != 2 || !covers.contains(&ours) {
        return Some(format!(
            "xmlsec1 covers {:?}, we {:?}",
            covers
                .iter()
                .map(|c| String::from_utf8_lossy(c))
                .collect::<Vec<_>>(),
            String::from_utf8_lossy(&ours)
        ));
    }
    let xmllint = judges::xmllint_canonical(bare.as_bytes());
    (xmllint.as_ref() != Some(&ours)).then(|| "xmllint has another canonical form".to_owned())
}

/// The same signed thing written otherwise: the octets change, what they say does not.
#[test]
fn what_says_the_same_is_accepted_and_covers_the_same() {
    accepted(&[
        ("as it is", || Draft::honest().sign().text()),
        ("CDATA in a value", || {
            let mut p = Draft::honest().sign();
            p.body = p.body.replace("a@hs01", "<![CDATA[a@]]>hs01");
            p.text()
        }),
        ("character references", || {
            let mut p = Draft::honest().sign();
            p.body = p.body.replace("a@hs01", "&#x61;&#64;hs01");
            p.text()
        }),
        ("line ends of another system", || {
            let mut p = Draft::honest().sign();
            p.body = p.body.replace('\n', "\r\n");
            p.text()
        }),
        ("white space and quotes in tags", || {
            let mut p = Draft::honest().sign();
            p.open = p.open.replace(" version=\"2\"", "\n\tversion = '2' ");
            p.close = "</rem:Evidence >".to_owned();
            p.text()
        }),
        ("a namespace that nobody uses", || {
            let mut p = Draft::honest().sign();
            p.open = p.open.replace(" version", " xmlns:free=\"urn:free\" version");
            p.text()
        }),
        ("without a declaration", || {
            let mut p = Draft::honest().sign();
            p.prolog = String::new();
            p.text()
        }),
        ("white space between the parts of the signature", || {
            let p = Draft::honest().sign();
            p.text()
                .replace("<ds:KeyInfo>", "\n <ds:KeyInfo>\n")
                .replace("</ds:X509Data>", "\n</ds:X509Data>\n")
        }),
        ("a stranger's certificate along with it", || {
            let mut d = Draft::honest();
            d.key_info = x509(&[&d.world.seal, &d.world.other]);
            d.sign().text()
        }),
    ]);
}

/// What other signers write, and sign.
#[test]
fn what_others_write_is_accepted() {
    accepted(&[
        ("by P-384", || {
            Draft::by(&world().p384, P384).with_digest().sign().text()
        }),
        ("by RSA", || Draft::by(&world().rsa, RSA_SHA256).sign().text()),
        ("the root by its Id", || {
            let mut d = Draft::honest();
            d.references[0].attributes = " URI=\"#_e1\"".to_owned();
            d.sign().text()
        }),
        ("the properties first", || {
            let mut d = Draft::honest();
            d.references.reverse();
            d.sign().text()
        }),
        ("xml:lang and xml:base above", || {
            let mut d = Draft::honest();
            d.open = d
                .open
                .replace(" version", " xml:lang=\"tr\" xml:base=\"http://x.test/\" version");
            d.sign().text()
        }),
        ("a default namespace, undone and rebound", || {
            let mut d = Draft::honest();
            d.body =
                "<a xmlns=\"urn:a\"><b xmlns=\"\"><rem:c xmlns:rem=\"urn:c\" rem:d=\"1\" d=\"2\"/></b></a>"
                    .to_owned();
            d.sign().text()
        }),
        ("attributes to sort, and white space in them", || {
            let mut d = Draft::honest();
            d.body = "<z xmlns:b=\"urn:1\" xmlns:a=\"urn:2\" b:z=\"x\ty\" a:z='\"' z=\"&lt;&#10;&amp;&#9;>\" a=\"  \"/>".to_owned();
            d.sign().text()
        }),
        ("letters of every length", || {
            let mut d = Draft::honest();
            d.body = "<a t=\"\u{130}\">\u{7f}\u{85}\u{2028}\u{fffd}\u{1f4e8}&#13;&gt;]]&gt;</a>".to_owned();
            d.sign().text()
        }),
        ("an element that is only called Signature", || {
            let mut d = Draft::honest();
            d.body = "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig\"/>".to_owned();
            d.sign().text()
        }),
        ("a chain named behind the signer", || {
            let mut d = Draft::honest();
            let both = format!("{}{}", cert_of(&d.world.seal), cert_of(&d.world.other));
            d.properties = properties("_p1", "2026-11-23T23:45:05+03:00", &v2(&both));
            d.sign().text()
        }),
    ]);
}

const P384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";

impl Draft {
    fn with_digest(mut self) -> Self {
        self.digest = crate::cms::DigestAlgorithm::Sha384;
        self
    }
}

/// Documents nobody wrote: names, prefixes, rebindings, white space and references thrown together. Two canonicalisers that
/// share no code must agree on every octet.
#[test]
fn our_canonical_form_is_xmllints() {
    let seeds: Vec<u64> = (1..=96).collect();
    all(&seeds, |seed| {
        let document = thrown_together(*seed);
        let ours = canonical_form(document.as_bytes());
        let theirs = judges::xmllint_canonical(document.as_bytes());
        let text = |o: &[u8]| String::from_utf8_lossy(o).into_owned();
        match (&ours, &theirs) {
            (Ok(a), Some(b)) if a == b => None,
            _ => Some(format!(
                "{document:?}\n  ours   {:?}\n  theirs {:?}",
                ours.map(|o| text(&o)),
                theirs.map(|o| text(&o))
            )),
        }
    });
}

/// A document from a seed, by a small generator of pseudo-chance (xorshift).
fn thrown_together(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    };
    const TEXTS: [&str; 16] = [
        "a",
        " ",
        "\n",
        "\r\n",
        "\t",
        "&#13;",
        "&#10;",
        "&#9;",
        "&lt;",
        "&amp;",
        "&gt;",
        "&quot;",
        "\u{131}",
        "&#x1F4E8;",
        "\r",
        "'",
    ];
    // No `&` here: libxml2 writes it bare into its canonical form.
    const NAMESPACES: [&str; 3] = ["urn:1", "urn:2", "http://x.test/?a=1"];
    let mut out = String::new();
    let mut open: Vec<String> = Vec::new();
    // Every prefix is bound at the root, and bound anew here and there below.
    for step in 0..30 {
        if open.is_empty() || next(3) > 0 {
            let name = format!("{}{}", ["", "p:", "q:"][next(3)], ["a", "b"][next(2)]);
            let mut attributes: Vec<String> = Vec::new();
            for prefix in ["xmlns:p", "xmlns:q", "xmlns"] {
                if step == 0 || next(5) == 0 {
                    attributes.push(format!("{prefix}=\"{}\"", NAMESPACES[next(3)]));
                }
            }
            if step > 0 && next(6) == 0 {
                attributes.retain(|a| !a.starts_with("xmlns="));
                attributes.push("xmlns=\"\"".to_owned());
            }
            // Two names with prefixes could meet in one namespace: one of them only.
            for attribute in [["p:z", "q:z"][next(2)], "y", "xml:lang"] {
                if next(3) == 0 {
                    let value: String = (0..next(4)).map(|_| TEXTS[next(16)]).collect();
                    attributes.push(format!("{attribute}=\"{value}\""));
                }
            }
            let gap = [" ", "\n", "\t "][next(3)];
            let list: String = attributes.iter().map(|a| format!("{gap}{a}")).collect();
            out.push_str(&format!("<{name}{list}{}>", ["", " "][next(2)]));
            open.push(name);
        } else if open.len() > 1 {
            out.push_str(&format!("</{}>", open.pop().unwrap()));
        }
        match next(4) {
            0 => out.push_str(&(0..next(5)).map(|_| TEXTS[next(16)]).collect::<String>()),
            1 => out.push_str("<![CDATA[<&>\r\n]]>"),
            _ => {}
        }
    }
    while let Some(name) = open.pop() {
        out.push_str(&format!("</{name}>"));
    }
    out
}
