//! What a signature that the profile refuses amounts to: every rule it breaks, and whether its value would hold.
//!
//! For reports on documents of others and of other times, which want an exact finding instead of "invalid". Nothing said
//! here makes a signature acceptable: [`super::profile::verify`] alone does that, and has refused before this is asked.
//! SHA-1 is computed, because old files have it; MD5 is named and not computed.

use super::profile;
use super::{DSIG, ENVELOPED, EXCLUSIVE, SHA256, SHA384, SHA512, SIGNED_PROPERTIES, XADES};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::{DsigContext, KeysManager, VerifyResult};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

/// Most rules named in one portrait; a document made to break thousands is not worth more words.
const FAULTS_MAX: usize = 12;
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// How the signature library (pinned to one version) begins when a digest is not that of what it refers to.
const DIGEST_FAILED: &str = "Reference digest failed";
/// Most references and transforms that are worked out: XAdES has two references and three transforms.
const REFERENCES_MAX: usize = 4;
const TRANSFORMS_MAX: usize = 8;

/// Whether the arithmetic of a refused signature comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The digest of the document and the signature value agree with the certificate that came along. That says only
    /// that nobody changed it who could not also have signed it anew.
    Holds,
    /// The document is not the one that was signed.
    DocumentDiffers,
    /// The value is not one of the certificate that came along.
    ValueDiffers,
    /// It was not worked out, and why.
    NotComputed(&'static str),
}

/// What is to be said of a refused signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portrait {
    /// Each rule that is broken, one sentence each.
    pub faults: Vec<String>,
    /// None where there is no signature.
    pub arithmetic: Option<Arithmetic>,
}

/// Draws the portrait of the first signature of a document. None when the octets are no XML that may be parsed here.
pub fn portray(octets: &[u8]) -> Option<Portrait> {
    if octets.len() > super::DOCUMENT_MAX_OCTETS {
        return None;
    }
    let text = std::str::from_utf8(octets).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    super::guard::check_shape(text).ok()?;
    let document = Document::parse(text).ok()?;
    let mut faults = Vec::new();
    if document.descendants().any(|n| n.is_comment()) {
        faults.push("it has a comment, which no signature covers".to_owned());
    }
    if document.descendants().any(|n| n.is_pi()) {
        faults.push("it has a processing instruction".to_owned());
    }
    let signatures: Vec<Node<'_, '_>> = document
        .descendants()
        .filter(|n| n.has_tag_name((DSIG, "Signature")))
        .collect();
    let Some(signature) = signatures.first().copied() else {
        faults.push("it has no signature".to_owned());
        return Some(Portrait {
            faults,
            arithmetic: None,
        });
    };
    if signatures.len() > 1 {
        faults.push(format!("it has {} signatures", signatures.len()));
    }
    let sketch = Sketch { text, signature };
    sketch.algorithms(&mut faults);
    sketch.references(&mut faults);
    sketch.properties(&mut faults);
    if signature.parent() != Some(document.root_element()) {
        faults.push("the signature does not stand right below the root".to_owned());
    }
    faults.truncate(FAULTS_MAX);
    let arithmetic = match signatures.len() {
        1 => sketch.arithmetic(),
        // The library takes the one it meets first, which may be another.
        _ => Arithmetic::NotComputed("there are several"),
    };
    Some(Portrait {
        faults,
        arithmetic: Some(arithmetic),
    })
}

struct Sketch<'a, 'input> {
    text: &'a str,
    signature: Node<'a, 'input>,
}

impl<'a, 'input> Sketch<'a, 'input> {
    fn find(&self, namespace: &'static str, name: &'static str) -> Option<Node<'a, 'input>> {
        self.signature
            .descendants()
            .find(|n| n.has_tag_name((namespace, name)))
    }

    fn method(&self) -> &'a str {
        let method = self.find(DSIG, "SignatureMethod");
        method.and_then(|n| n.attribute("Algorithm")).unwrap_or_default()
    }

    fn reference_nodes(&self) -> Vec<Node<'a, 'input>> {
        let info = self.find(DSIG, "SignedInfo");
        let children = info.into_iter().flat_map(|n| n.children());
        children.filter(|n| n.has_tag_name((DSIG, "Reference"))).collect()
    }

    fn algorithms(&self, faults: &mut Vec<String>) {
        let method = self.method();
        if !profile::is_allowed_method(method) {
            faults.push(format!("the signature algorithm is {}", named(method)));
        }
        let digests: BTreeSet<&str> = self
            .reference_nodes()
            .iter()
            .flat_map(|r| r.descendants())
            .filter(|n| n.has_tag_name((DSIG, "DigestMethod")))
            .filter_map(|n| n.attribute("Algorithm"))
            .filter(|a| ![SHA256, SHA384, SHA512].contains(a))
            .collect();
        faults.extend(
            digests
                .into_iter()
                .map(|d| format!("a digest algorithm is {}", named(d))),
        );
        let canonical = self
            .find(DSIG, "CanonicalizationMethod")
            .and_then(|n| n.attribute("Algorithm"));
        if canonical.is_some_and(|c| c != EXCLUSIVE) {
            faults.push("it is not canonicalised by exclusive C14N".to_owned());
        }
        if self.certificate().is_none() {
            faults.push("it carries no certificate".to_owned());
        }
    }

    fn references(&self, faults: &mut Vec<String>) {
        let references = self.reference_nodes();
        if references.len() != 2 {
            faults.push(format!("it has {} references where two belong", references.len()));
        }
        let is_properties = |n: &&Node<'_, '_>| n.attribute("Type") == Some(SIGNED_PROPERTIES);
        if !references.iter().any(|n| is_properties(&n)) {
            faults.push("no reference covers the SignedProperties".to_owned());
        }
        let outside = (references.iter())
            .filter_map(|n| n.attribute("URI"))
            .filter(|uri| !uri.is_empty() && !uri.starts_with('#'))
            .map(|uri| format!("a reference is to something outside: {}", short(uri)));
        faults.extend(outside.take(FAULTS_MAX));
        let transforms = (references.iter())
            .flat_map(|r| r.descendants())
            .filter(|n| n.has_tag_name((DSIG, "Transform")))
            .map(|n| n.attribute("Algorithm").unwrap_or_default())
            .filter(|algorithm| ![ENVELOPED, EXCLUSIVE, XPATH].contains(algorithm))
            .map(|algorithm| format!("a transform is {}", named(algorithm)));
        faults.extend(transforms.take(FAULTS_MAX));
    }

    fn properties(&self, faults: &mut Vec<String>) {
        if self.find(XADES, "QualifyingProperties").is_none() {
            faults.push("it is a plain XML signature, not XAdES".to_owned());
            return;
        }
        let named = ["SigningCertificateV2", "SigningCertificate"]
            .iter()
            .find_map(|name| self.find(XADES, name));
        match named {
            None => faults.push("it does not name the signing certificate".to_owned()),
            Some(node) if !node.children().any(|n| n.is_element()) => {
                faults.push("the element that names the signing certificate is empty".to_owned());
            }
            Some(_) => {}
        }
    }

    /// The first certificate of KeyInfo.
    fn certificate(&self) -> Option<Vec<u8>> {
        let text: String = self
            .find(DSIG, "X509Certificate")?
            .text()?
            .split_ascii_whitespace()
            .collect();
        STANDARD.decode(text).ok()
    }

    /// Whether the signature library may be let loose on it. What it follows, it fetches, also from files, and each reference
    /// costs a walk through the document: so there are few, all within the document, and nothing else to follow.
    fn may_be_computed(&self) -> bool {
        let named = |name: &'static str| {
            let all = self.signature.descendants();
            all.filter(move |n| n.is_element() && n.tag_name().name() == name)
        };
        let nothing_else = ["RetrievalMethod", "KeyInfoReference", "Manifest", "SignedInfo"]
            .into_iter()
            .flat_map(named)
            .count()
            == 1;
        // Both parsers find attributes by their local name alone.
        let plain_attributes = (self.signature.descendants())
            .flat_map(|n| n.attributes())
            .all(|a| a.namespace().is_none());
        let references = self.reference_nodes();
        let transforms: Vec<Node<'_, '_>> = named("Transform").collect();
        let canonical = self.find(DSIG, "CanonicalizationMethod");
        nothing_else
            && plain_attributes
            && (1..=REFERENCES_MAX).contains(&references.len())
            && named("Reference").count() == references.len()
            && references.iter().all(is_within)
            && transforms.len() <= TRANSFORMS_MAX
            && transforms.into_iter().all(is_cheap)
            && canonical.is_some_and(is_cheap)
    }

    /// What the signature library makes of it, where references and transforms are ones that it may be let loose on.
    fn arithmetic(&self) -> Arithmetic {
        let Some(certificate) = self.certificate() else {
            return Arithmetic::NotComputed("it carries no certificate");
        };
        if !self.may_be_computed() {
            return Arithmetic::NotComputed(
                "it refers to something outside, or transforms in a way that is not computed",
            );
        }
        let Ok(key) = bergshamra::keys::loader::load_x509_cert_der(&certificate) else {
            return Arithmetic::NotComputed("its certificate cannot be read");
        };
        let mut keys = KeysManager::new();
        keys.add_key(key);
        let context = DsigContext::new(keys)
            .with_strict_verification(false)
            .with_trusted_keys_only(true);
        match bergshamra::verify(&context, self.text) {
            Ok(VerifyResult::Valid { .. }) => Arithmetic::Holds,
            Ok(VerifyResult::Invalid { reason }) if reason.starts_with(DIGEST_FAILED) => {
                Arithmetic::DocumentDiffers
            }
            Ok(VerifyResult::Invalid { .. }) => Arithmetic::ValueDiffers,
            Err(_) => Arithmetic::NotComputed("an algorithm of it is not computed here"),
        }
    }
}

/// Whether a reference is to the document or to an element of it by its plain name.
fn is_within(reference: &Node<'_, '_>) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    reference.attribute("URI").is_some_and(|uri| {
        uri.is_empty() || uri.strip_prefix('#').is_some_and(|name| name.bytes().all(plain))
    })
}

/// Whether a transform is one of the canonicalisations, with at most a list of prefixes, or takes the signature away.
fn is_cheap(transform: Node<'_, '_>) -> bool {
    let algorithm = transform.attribute("Algorithm").unwrap_or_default();
    let mut inside = transform.children().filter(Node::is_element);
    let prefixes = inside.all(|n| n.has_tag_name((EXCLUSIVE, "InclusiveNamespaces")) && !n.has_children());
    let bare = [ENVELOPED, EXCLUSIVE, INCLUSIVE].contains(&algorithm) && prefixes;
    bare || profile::check_enveloped(transform).is_ok()
}

/// An algorithm as people call it.
fn named(uri: &str) -> String {
    let known = [
        (RSA_SHA1, "RSA with SHA-1, which is no longer secure"),
        (SHA1, "SHA-1, which is no longer secure"),
        (
            "http://www.w3.org/2001/04/xmldsig-more#md5",
            "MD5, which is broken",
        ),
        (
            "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
            "RSA with MD5, which is broken",
        ),
        (
            "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
            "DSA with SHA-1, which is no longer secure",
        ),
        (
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
            "HMAC, which anybody with the key can make",
        ),
        (INCLUSIVE, "inclusive C14N"),
    ];
    known
        .iter()
        .find(|(known, _)| *known == uri)
        .map_or_else(|| format!("\"{}\"", short(uri)), |(_, words)| (*words).to_owned())
}

/// Foreign text in a sentence of ours: bounded, and in one line.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/samples/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    fn portrait(name: &str) -> (Vec<String>, Option<Arithmetic>) {
        let drawn = portray(&sample(name)).unwrap();
        (drawn.faults, drawn.arithmetic)
    }

    #[test]
    fn old_documents_are_told_what_is_wrong_with_each() {
        const RSA: &str = "the signature algorithm is RSA with SHA-1, which is no longer secure";
        const DIGEST: &str = "a digest algorithm is SHA-1, which is no longer secure";
        const ALONE: &str = "it has 1 references where two belong";
        const UNCOVERED: &str = "no reference covers the SignedProperties";
        const PLAIN: &str = "it is a plain XML signature, not XAdES";
        // xmlsec1 says the same of the three: the data and its digest do not match.
        let differs = Some(Arithmetic::DocumentDiffers);
        let empty = "the element that names the signing certificate is empty";
        let (faults, arithmetic) = portrait("muell16-submission-acceptance-signed.xml");
        assert_eq!(
            (faults, arithmetic),
            (vec![RSA.into(), DIGEST.into(), empty.into()], differs)
        );
        let (faults, arithmetic) = portrait("vefa-sample-signed-rem.xml");
        let comment = "it has a comment, which no signature covers";
        let inclusive = "it is not canonicalised by exclusive C14N";
        let all = [comment, RSA, DIGEST, inclusive, ALONE, UNCOVERED, PLAIN];
        assert_eq!((faults, arithmetic), (all.map(str::to_owned).into(), differs));
        let (faults, arithmetic) = portrait("vefa-sample-rem.xml");
        assert_eq!(
            (faults, arithmetic),
            ([ALONE, UNCOVERED, PLAIN].map(str::to_owned).into(), differs)
        );
        let (faults, arithmetic) = portrait("own-minimal-submission-acceptance.xml");
        assert_eq!((faults, arithmetic), (vec!["it has no signature".into()], None));
    }

    #[test]
    fn what_refers_outside_is_named_and_not_fetched() {
        let outside = String::from_utf8(sample("vefa-sample-signed-rem.xml"))
            .unwrap()
            .replace("URI=\"\"", "URI=\"http://example.org/\"");
        let drawn = portray(outside.as_bytes()).unwrap();
        assert!(
            drawn
                .faults
                .contains(&"a reference is to something outside: http://example.org/".to_owned())
        );
        assert!(matches!(drawn.arithmetic, Some(Arithmetic::NotComputed(_))));
        // By a file, by an expression, by another part that points, by very many references: each would be work or a way out.
        let text = String::from_utf8(sample("vefa-sample-signed-rem.xml")).unwrap();
        let start = text.find("<Reference").unwrap();
        let end = text.find("</Reference>").unwrap() + "</Reference>".len();
        let reference = &text[start..end];
        let enveloped = format!("<Transform Algorithm=\"{ENVELOPED}\"/>");
        let expression = format!(
            "<Transform Algorithm=\"{XPATH}\"><XPath>count(//node()//node()) = 1</XPath></Transform>"
        );
        for changed in [
            text.replace("URI=\"\"", "URI=\"#xpointer(id('a'))\""),
            text.replace("URI=\"\"", "URI=\"/etc/passwd\""),
            text.replace(&enveloped, &expression),
            text.replace("<KeyInfo>", "<KeyInfo><RetrievalMethod URI=\"/etc/passwd\"/>"),
            text.replace(reference, &reference.repeat(500)),
            text.replace("URI=\"\"", "xmlns:x=\"urn:x\" x:URI=\"\" URI=\"\""),
        ] {
            assert_ne!(changed, text);
            let drawn = portray(changed.as_bytes()).unwrap();
            assert!(
                matches!(drawn.arithmetic, Some(Arithmetic::NotComputed(_))),
                "{:?}",
                drawn.arithmetic
            );
            assert!(drawn.faults.len() <= FAULTS_MAX);
        }
        assert_eq!(portray(b"<!DOCTYPE a><a/>"), None);
        assert_eq!(portray(b"\xff"), None);
    }
}
