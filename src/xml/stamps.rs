//! The SignatureTimeStamps of an XAdES signature and the octets they are over (EN 319 132-1 5.3), and the records that stand
//! in their place when many signatures share one token.
//!
//! Tokens and records are not judged here; only what they must cover is worked out, in the canonical form that each one names.

use super::nodes::{base64_of, child, elements, expect, text_of};
use super::{DSIG, EXCLUSIVE, SIGNATURE_RECORD, XADES, XmlError, canonical};
use roxmltree::Node;

/// Most SignatureTimeStamps read from one signature.
const STAMPS_MAX: usize = 8;
const INCLUSIVE: [&str; 2] = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
];

/// A time-stamp on the signature; not checked here.
#[derive(Debug, Clone)]
pub struct SignatureTimeStamp {
    pub token_der: Vec<u8>,
    /// The canonical octets that the token must be over.
    pub covered: Vec<u8>,
}

/// An evidence record (RFC 4998) over the signature; not checked here.
#[derive(Debug, Clone)]
pub struct SignatureRecord {
    pub record_der: Vec<u8>,
    /// The canonical octets that the record must cover: those that a time-stamp would be over.
    pub covered: Vec<u8>,
}

/// What proves when the signature existed.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    pub stamps: Vec<SignatureTimeStamp>,
    pub records: Vec<SignatureRecord>,
}

/// Reads every SignatureTimeStamp below `qualifying`, the QualifyingProperties.
pub(super) fn read(
    qualifying: Node<'_, '_>,
    signature_value: Node<'_, '_>,
    root: Node<'_, '_>,
) -> Result<Witnesses, XmlError> {
    let mut out = Witnesses::default();
    let stamps = elements(qualifying)?
        .into_iter()
        .filter(|n| n.has_tag_name((XADES, "UnsignedProperties")))
        .flat_map(|n| {
            n.children()
                .filter(|c| c.has_tag_name((XADES, "UnsignedSignatureProperties")))
        })
        .flat_map(|n| {
            n.children()
                .filter(|c| c.has_tag_name((XADES, "SignatureTimeStamp")))
        });
    for stamp in stamps {
        if out.stamps.len() + out.records.len() >= STAMPS_MAX {
            return Err(XmlError::Profile("too many time-stamps"));
        }
        let covered = covered(stamp, signature_value, root)?;
        let parts = elements(stamp)?;
        let mut tokens = parts
            .iter()
            .filter(|n| matches!(n.tag_name().name(), "EncapsulatedTimeStamp" | "XMLTimeStamp"));
        let (Some(token), None) = (tokens.next(), tokens.next()) else {
            return Err(XmlError::Profile("SignatureTimeStamp must hold one token"));
        };
        if token.has_tag_name((XADES, "EncapsulatedTimeStamp")) {
            let token_der = base64_of(*token)?;
            out.stamps.push(SignatureTimeStamp { token_der, covered });
        } else {
            expect(token, XADES, "XMLTimeStamp")?;
            let record_der = base64_of(child(*token, SIGNATURE_RECORD, "EvidenceRecord")?)?;
            out.records.push(SignatureRecord { record_der, covered });
        }
    }
    Ok(out)
}

/// What a time-stamp speaks of: the signature value, in the canonical form that it names.
fn covered(
    stamp: Node<'_, '_>,
    signature_value: Node<'_, '_>,
    root: Node<'_, '_>,
) -> Result<Vec<u8>, XmlError> {
    let parts = elements(stamp)?;
    let method = parts
        .iter()
        .find(|n| n.has_tag_name((DSIG, "CanonicalizationMethod")))
        .map(|n| n.attribute("Algorithm").unwrap_or_default())
        // EN 319 132-1 4.5: canonical XML 1.0 where nothing is said.
        .unwrap_or(INCLUSIVE[0]);
    canonical_signature_value(signature_value, root, method)
}

/// The canonical form of `ds:SignatureValue`, which has one text and at most an Id.
fn canonical_signature_value(
    node: Node<'_, '_>,
    root: Node<'_, '_>,
    method: &str,
) -> Result<Vec<u8>, XmlError> {
    if method == EXCLUSIVE {
        return canonical::octets(node, None);
    }
    let text = text_of(node)?;
    if !text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/=\n\t ".contains(&b))
    {
        return Err(XmlError::Profile("SignatureValue is not base64"));
    }
    // Two prefixes may stand for the namespace: the one that is written counts.
    let written = node.document().input_text().get(node.range()).unwrap_or_default();
    let name = written
        .trim_start_matches('<')
        .split([' ', '>', '\t', '\r', '\n'])
        .next()
        .unwrap_or_default();
    let mut declarations: Vec<(&str, &str)> = if INCLUSIVE.contains(&method) {
        // Inclusive canonical XML inherits xml:lang and its like; nobody writes them on an evidence's root.
        if root
            .attributes()
            .any(|a| a.namespace() == Some("http://www.w3.org/XML/1998/namespace"))
        {
            return Err(XmlError::Profile(
                "xml: attributes above a time-stamped signature",
            ));
        }
        let xml = |n: &&roxmltree::Namespace<'_>| n.name() != Some("xml") && !n.uri().is_empty();
        node.namespaces()
            .filter(xml)
            .map(|n| (n.name().unwrap_or_default(), n.uri()))
            .collect()
    } else {
        return Err(XmlError::Profile(
            "the canonicalisation of the time-stamp is not allowed",
        ));
    };
    declarations.sort_unstable();
    let mut out = format!("<{name}");
    for (prefix, uri) in declarations {
        if uri.contains(['&', '<', '"', '\t', '\n', '\r']) {
            return Err(XmlError::Profile("a namespace that is not a plain URI"));
        }
        let colon = if prefix.is_empty() { "" } else { ":" };
        out.push_str(&format!(" xmlns{colon}{prefix}=\"{uri}\""));
    }
    for attribute in node.attributes() {
        let plain = attribute
            .value()
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if attribute.name() != "Id" || attribute.namespace().is_some() || !plain {
            return Err(XmlError::Profile("attributes of SignatureValue"));
        }
        out.push_str(&format!(" Id=\"{}\"", attribute.value()));
    }
    out.push_str(&format!(">{text}</{name}>"));
    Ok(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bergshamra::c14n::{C14nMode, canonicalize_doc};
    use bergshamra::xml::XmlDocument;
    use bergshamra::xml::nodeset::NodeSet;

    /// The canonicaliser of the signature library is the judge of our short way.
    #[test]
    fn the_signature_value_is_canonicalised_like_any_element() {
        let text = "<r xmlns='urn:r' xmlns:zz='urn:z' xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>\
             <ds:Signature xmlns:a='urn:a'><ds:SignatureValue  Id='_v' >AB\n cd==</ds:SignatureValue></ds:Signature></r>";
        let default = text
            .replace("ds:", "")
            .replace(":ds=", "=")
            .replace("<r xmlns='urn:r'", "<r");
        let other = text.replace("ds:S", "zz:S").replace("urn:z", DSIG);
        for text in [text, &default, &other] {
            let document = roxmltree::Document::parse(text).unwrap();
            let node = document
                .descendants()
                .find(|n| n.has_tag_name((DSIG, "SignatureValue")))
                .unwrap();
            let theirs = XmlDocument::parse(text.to_owned()).unwrap();
            let theirs = theirs.parse_doc().unwrap();
            let element = XmlDocument::find_element(&theirs, DSIG, "SignatureValue").unwrap();
            let set = NodeSet::tree_without_comments(element, &theirs);
            for uri in [EXCLUSIVE, INCLUSIVE[0], INCLUSIVE[1]] {
                let mode = C14nMode::from_uri(uri).unwrap();
                let wanted = canonicalize_doc(&theirs, mode, Some(&set), &[] as &[&str]).unwrap();
                let ours = canonical_signature_value(node, document.root_element(), uri).unwrap();
                assert_eq!(
                    String::from_utf8(ours).unwrap(),
                    String::from_utf8(wanted).unwrap(),
                    "{uri}"
                );
            }
            let comments = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
            assert!(canonical_signature_value(node, document.root_element(), comments).is_err());
        }
    }
}
