//! The one shape of signature that is accepted on an evidence document, and its verification.
//!
//! House profile over XAdES (EN 319 132-1): one `ds:Signature`, last child of the root; two references, one to the whole
//! document (enveloped-signature or its XPath form, then exclusive C14N), one to the SignedProperties of this signature;
//! SHA-2 with ECDSA, RSA or RSASSA-PSS in its plain form; the key is that of the certificate named by SigningCertificateV2 (or V1). No other
//! transform, no external reference, no Manifest. That closes signature wrapping: outside the signature there is nothing
//! that it does not cover, and inside there is nothing but keys, stamps and what is signed. Trust and time-stamps are
//! checked elsewhere.

use super::embedded::{Embedded, Level};
use super::nodes::{base64_of, child, elements, expect, expect_plain, is_blank, is_plain_name, text_of};
use super::stamps::{SignatureRecord, SignatureTimeStamp, Witnesses};
use super::tree::{Source, Tree};
use super::{
    DSIG, ENVELOPED, EXCLUSIVE, SHA256, SHA384, SHA512, SIGNED_PROPERTIES, XADES, XmlError, canonical,
    inside, stamps,
};
use crate::clock::UtcTime;
use aws_lc_rs::digest;
use roxmltree::{Document, Node};
use std::collections::HashSet;

/// Most certificates read from KeyInfo.
const CERTIFICATES_MAX: usize = 16;
const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
const ENVELOPED_XPATH: &str = "not(ancestor-or-self::ds:Signature)";
const METHODS: [(&str, Method); 9] = [
    (
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        Method::of(Family::Ecdsa, Sha2::Sha256),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        Method::of(Family::Ecdsa, Sha2::Sha384),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        Method::of(Family::Ecdsa, Sha2::Sha512),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        Method::of(Family::Rsa, Sha2::Sha256),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
        Method::of(Family::Rsa, Sha2::Sha384),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        Method::of(Family::Rsa, Sha2::Sha512),
    ),
    // RFC 6931 2.3.10: these have no parameters; mask and salt follow the digest. `#rsa-pss` (2.3.9), which has, is refused.
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        Method::of(Family::RsaPss, Sha2::Sha256),
    ),
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
        Method::of(Family::RsaPss, Sha2::Sha384),
    ),
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
        Method::of(Family::RsaPss, Sha2::Sha512),
    ),
];

/// The family of a signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Ecdsa,
    /// PKCS #1 v1.5.
    Rsa,
    /// RSASSA-PSS.
    RsaPss,
}

/// The digest of a signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sha2 {
    Sha256,
    Sha384,
    Sha512,
}

impl Sha2 {
    /// As XML names the digest of a reference.
    pub(super) fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => SHA256,
            Self::Sha384 => SHA384,
            Self::Sha512 => SHA512,
        }
    }

    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// How a signature was made, by its own word; or is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    pub family: Family,
    pub digest: Sha2,
}

impl Method {
    pub const fn of(family: Family, digest: Sha2) -> Self {
        Self { family, digest }
    }

    /// As XML Signature names it. Every pair has a name.
    pub(super) fn uri(self) -> &'static str {
        let known = METHODS.iter().find(|(_, method)| *method == self);
        known.map_or("", |(uri, _)| uri)
    }

    fn of_uri(uri: &str) -> Option<Self> {
        METHODS.iter().find(|(known, _)| *known == uri).map(|(_, m)| *m)
    }
}

/// The value of a signature, for who reads certificates to check: here they are opaque.
#[derive(Debug, Clone, Copy)]
pub struct SignatureValue<'a> {
    /// The one whose key is to have made it.
    pub certificate_der: &'a [u8],
    pub method: Method,
    /// The canonical octets of SignedInfo.
    pub signed: &'a [u8],
    /// As XML Signature 1.1 6.4 writes it: of ECDSA r||s.
    pub value: &'a [u8],
}

/// A document whose signature holds, by the key of `signer_der`. The whole document is covered.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Local name and namespace of the root element.
    pub root_name: String,
    pub root_namespace: String,
    /// The certificate whose key made the signature, which the signature itself names.
    pub signer_der: Vec<u8>,
    /// The other certificates of KeyInfo.
    pub chain_der: Vec<Vec<u8>>,
    /// What the signer says; not proven by anybody.
    pub signing_time: UtcTime,
    pub stamps: Vec<SignatureTimeStamp>,
    /// Evidence records over the signature, in place of a time-stamp of its own.
    pub records: Vec<SignatureRecord>,
    /// What came along to judge signer and time-stamps by; unsigned, and proven by nobody.
    pub embedded: Embedded,
}

impl Verified {
    /// How much the signature carries by its form. Certificates alone make nothing last; whether the values are any good is
    /// asked elsewhere.
    pub fn level(&self) -> Level {
        let is_stamped = !self.stamps.is_empty() || !self.records.is_empty();
        match (is_stamped, self.embedded.has_revocation()) {
            (false, _) => Level::Basic,
            (true, false) => Level::Stamped,
            (true, true) => Level::Lasting,
        }
    }
}

/// The name of the root element, without any check of the signature.
pub fn root_name(octets: &[u8]) -> Result<String, XmlError> {
    let source = Source::of(octets);
    Ok(root_name_of(source.tree().document()?))
}

pub fn root_name_of(document: &Document<'_>) -> String {
    document.root_element().tag_name().name().to_owned()
}

/// Whether a signature algorithm is one of those accepted.
pub(super) fn is_allowed_method(uri: &str) -> bool {
    Method::of_uri(uri).is_some()
}

/// Verifies the signature of a document under the house profile. Whether its value is one of the certificate's key, and what
/// the certificate is to the caller, is for `check` to say; it is asked last but before anything unsigned is read.
pub fn verify<S>(
    tree: &Tree<'_>,
    check: impl FnOnce(&SignatureValue<'_>) -> Result<S, XmlError>,
) -> Result<(Verified, S), XmlError> {
    let document = tree.document()?;
    let root = document.root_element();
    check_ids(document)?;
    let shape = Shape::read(root)?;
    let certificates = shape.certificates()?;
    let named = shape.signing_certificate(&certificates)?;
    let signer_der = certificates.get(named).map_or(&[][..], Vec::as_slice);
    let signer = shape.check_signature(root, signer_der, check)?;
    let Witnesses { stamps, records } = stamps::read(shape.qualifying, shape.signature_value, root)?;
    let embedded = Embedded::read(shape.qualifying)?;
    let time = child(shape.signature_properties, XADES, "SigningTime")?;
    let signing_time =
        UtcTime::parse_rfc3339(text_of(time)?.trim()).ok_or(XmlError::Profile("SigningTime"))?;
    let mut chain_der = certificates;
    let signer_der = chain_der.remove(named);
    let verified = Verified {
        root_name: root.tag_name().name().to_owned(),
        root_namespace: root.tag_name().namespace().unwrap_or_default().to_owned(),
        signer_der,
        chain_der,
        signing_time,
        stamps,
        records,
        embedded,
    };
    Ok((verified, signer))
}

/// Every Id once, whatever the case of the attribute's name and of its value.
fn check_ids(document: &Document<'_>) -> Result<(), XmlError> {
    let mut seen = HashSet::new();
    let attributes = document
        .descendants()
        .filter(Node::is_element)
        .flat_map(|n| n.attributes());
    for attribute in attributes {
        let name = attribute.name();
        let is_id = name.eq_ignore_ascii_case("id") || name.eq_ignore_ascii_case("assertionid");
        if is_id && !seen.insert(attribute.value().to_ascii_lowercase()) {
            return Err(XmlError::Profile("an Id stands twice"));
        }
    }
    Ok(())
}

/// The parts of the one signature that is allowed.
struct Shape<'a, 'input> {
    signature: Node<'a, 'input>,
    signed_info: Node<'a, 'input>,
    signature_value: Node<'a, 'input>,
    key_info: Node<'a, 'input>,
    properties: Node<'a, 'input>,
    signature_properties: Node<'a, 'input>,
    qualifying: Node<'a, 'input>,
    signed: SignedInfo<'a, 'input>,
}

/// What SignedInfo says.
struct SignedInfo<'a, 'input> {
    method: Method,
    /// The reference to the document, and that to the SignedProperties.
    document: Node<'a, 'input>,
    properties: Node<'a, 'input>,
}

impl<'a, 'input> Shape<'a, 'input> {
    fn read(root: Node<'a, 'input>) -> Result<Self, XmlError> {
        let is_signature = |n: &Node<'_, '_>| n.has_tag_name((DSIG, "Signature"));
        if root.descendants().filter(is_signature).count() != 1 {
            return Err(XmlError::Profile("there must be exactly one signature"));
        }
        let signature = root
            .children()
            .rfind(|n| n.is_element() || n.text().is_some_and(|t| !is_blank(t)))
            .filter(is_signature)
            .ok_or(XmlError::Profile(
                "the signature must be the last child of the root",
            ))?;
        let parts = elements(signature)?;
        let [signed_info, signature_value, key_info, object] = parts.as_slice() else {
            return Err(XmlError::Profile(
                "the signature has other parts than are allowed",
            ));
        };
        expect(signed_info, DSIG, "SignedInfo")?;
        expect(signature_value, DSIG, "SignatureValue")?;
        expect(key_info, DSIG, "KeyInfo")?;
        expect(object, DSIG, "Object")?;
        let in_object = elements(*object)?;
        let [qualifying] = in_object.as_slice() else {
            return Err(XmlError::Profile(
                "ds:Object must hold the QualifyingProperties alone",
            ));
        };
        expect(qualifying, XADES, "QualifyingProperties")?;
        inside::check(signature)?;
        inside::check_key_info(*key_info)?;
        inside::check_qualifying(*qualifying)?;
        let id = signature
            .attribute("Id")
            .ok_or(XmlError::Profile("the signature has no Id"))?;
        if qualifying.attribute("Target").and_then(|t| t.strip_prefix('#')) != Some(id) {
            return Err(XmlError::Profile("QualifyingProperties name another signature"));
        }
        let properties = child(*qualifying, XADES, "SignedProperties")?;
        let signature_properties = child(properties, XADES, "SignedSignatureProperties")?;
        Ok(Self {
            signature,
            signed_info: *signed_info,
            signature_value: *signature_value,
            key_info: *key_info,
            properties,
            signature_properties,
            qualifying: *qualifying,
            signed: check_signed_info(*signed_info, root, properties)?,
        })
    }

    /// Both digests, and the value over the SignedInfo that states them.
    fn check_signature<S>(
        &self,
        root: Node<'_, '_>,
        signer_der: &[u8],
        check: impl FnOnce(&SignatureValue<'_>) -> Result<S, XmlError>,
    ) -> Result<S, XmlError> {
        let document = canonical::octets(root, Some(self.signature))?;
        check_digest(
            self.signed.document,
            &document,
            "the document is not what was signed",
        )?;
        let properties = canonical::octets(self.properties, None)?;
        let differ = "the SignedProperties are not what was signed";
        check_digest(self.signed.properties, &properties, differ)?;
        let value = SignatureValue {
            certificate_der: signer_der,
            method: self.signed.method,
            signed: &canonical::octets(self.signed_info, None)?,
            value: &base64_of(self.signature_value)?,
        };
        check(&value)
    }

    /// The certificates of KeyInfo, in DER.
    fn certificates(&self) -> Result<Vec<Vec<u8>>, XmlError> {
        let mut out = Vec::new();
        for data in elements(self.key_info)? {
            for item in data
                .children()
                .filter(|n| n.has_tag_name((DSIG, "X509Certificate")))
            {
                if out.len() >= CERTIFICATES_MAX {
                    return Err(XmlError::Profile("too many certificates"));
                }
                out.push(base64_of(item)?);
            }
        }
        Ok(out)
    }

    /// Which certificate SigningCertificateV2 (or the older SigningCertificate, with SHA-2) names.
    fn signing_certificate(&self, certificates: &[Vec<u8>]) -> Result<usize, XmlError> {
        let is_property = |n: &Node<'_, '_>| {
            n.has_tag_name((XADES, "SigningCertificateV2")) || n.has_tag_name((XADES, "SigningCertificate"))
        };
        let mut properties = elements(self.signature_properties)?
            .into_iter()
            .filter(is_property);
        let property = properties
            .next()
            .ok_or(XmlError::Profile("no SigningCertificateV2"))?;
        // EN 319 132-1 6.3: one or the other. Two could contradict each other, and readers differ about which counts.
        if properties.next().is_some() {
            return Err(XmlError::Profile("more than one signing-certificate property"));
        }
        let first = elements(property)?
            .into_iter()
            .next()
            .ok_or(XmlError::Profile("no Cert"))?;
        let cert_digest = child(first, XADES, "CertDigest")?;
        let method = child(cert_digest, DSIG, "DigestMethod")?
            .attribute("Algorithm")
            .unwrap_or_default();
        let algorithm = digest_algorithm(method)?;
        let value = base64_of(child(cert_digest, DSIG, "DigestValue")?)?;
        certificates
            .iter()
            .position(|c| digest::digest(algorithm, c).as_ref() == value)
            .ok_or(XmlError::Profile(
                "SigningCertificateV2 names no certificate of KeyInfo",
            ))
    }
}

/// Checks SignedInfo and its two references.
fn check_signed_info<'a, 'input>(
    signed_info: Node<'a, 'input>,
    root: Node<'_, '_>,
    properties: Node<'_, '_>,
) -> Result<SignedInfo<'a, 'input>, XmlError> {
    let parts = elements(signed_info)?;
    let [canonicalization, method, references @ ..] = parts.as_slice() else {
        return Err(XmlError::Profile("SignedInfo"));
    };
    expect(canonicalization, DSIG, "CanonicalizationMethod")?;
    expect_plain(*canonicalization, EXCLUSIVE)?;
    expect(method, DSIG, "SignatureMethod")?;
    let is_plain = elements(*method)?.is_empty();
    let method = Method::of_uri(method.attribute("Algorithm").unwrap_or_default());
    let method = method.filter(|_| is_plain);
    let method = method.ok_or(XmlError::Profile("the signature algorithm is not allowed"))?;
    let [first, second] = references else {
        return Err(XmlError::Profile("there must be exactly two references"));
    };
    let is_properties = |n: &Node<'_, '_>| n.attribute("Type") == Some(SIGNED_PROPERTIES);
    let (document, signed) = match (is_properties(first), is_properties(second)) {
        (false, true) => (first, second),
        (true, false) => (second, first),
        _ => return Err(XmlError::Profile("one reference must be to the SignedProperties")),
    };
    let document_uri = document
        .attribute("URI")
        .ok_or(XmlError::Profile("a reference without URI"))?;
    let names_root = id_of(root).is_some_and(|id| document_uri.strip_prefix('#') == Some(id));
    if !document_uri.is_empty() && !names_root {
        return Err(XmlError::Profile("a reference must be to the whole document"));
    }
    let properties_uri = signed.attribute("URI").unwrap_or_default();
    let names_properties = id_of(properties).is_some_and(|id| properties_uri.strip_prefix('#') == Some(id));
    if !names_properties {
        return Err(XmlError::Profile(
            "the SignedProperties of this signature are not referenced",
        ));
    }
    // An Id like `xpointer(id('x'))` would be this element's name for us, and for others a pointer to another.
    let mut fragments = [document_uri, properties_uri]
        .into_iter()
        .filter_map(|u| u.strip_prefix('#'));
    if !fragments.all(is_plain_name) {
        return Err(XmlError::Profile("an Id that is no plain name"));
    }
    let transforms = reference_transforms(*document)?;
    let [remove, canonical] = transforms.as_slice() else {
        return Err(XmlError::Profile("the document's transforms are not allowed"));
    };
    check_enveloped(*remove)?;
    expect_plain(*canonical, EXCLUSIVE)?;
    let transforms = reference_transforms(*signed)?;
    let [canonical] = transforms.as_slice() else {
        return Err(XmlError::Profile(
            "the transforms of SignedProperties are not allowed",
        ));
    };
    expect_plain(*canonical, EXCLUSIVE)?;
    Ok(SignedInfo {
        method,
        document: *document,
        properties: *signed,
    })
}

/// The parser finds attributes by local name: `x:Id` would pass for `Id`.
fn id_of<'a>(element: Node<'a, '_>) -> Option<&'a str> {
    let mut attributes = element.attributes();
    let id = attributes.find(|a| a.namespace().is_none() && a.name() == "Id");
    id.map(|a| a.value())
}

/// Whether a reference states the digest of these octets.
fn check_digest(reference: Node<'_, '_>, octets: &[u8], differ: &str) -> Result<(), XmlError> {
    let method = child(reference, DSIG, "DigestMethod")?;
    let algorithm = digest_algorithm(method.attribute("Algorithm").unwrap_or_default())?;
    let stated = base64_of(child(reference, DSIG, "DigestValue")?)?;
    if digest::digest(algorithm, octets).as_ref() == stated {
        Ok(())
    } else {
        Err(XmlError::Signature(differ.to_owned()))
    }
}

/// The transforms of a reference, after its parts and digest algorithm were checked.
fn reference_transforms<'a, 'input>(reference: Node<'a, 'input>) -> Result<Vec<Node<'a, 'input>>, XmlError> {
    expect(&reference, DSIG, "Reference")?;
    let parts = elements(reference)?;
    let [transforms, method, value] = parts.as_slice() else {
        return Err(XmlError::Profile("a reference has other parts than are allowed"));
    };
    expect(transforms, DSIG, "Transforms")?;
    expect(method, DSIG, "DigestMethod")?;
    expect(value, DSIG, "DigestValue")?;
    digest_algorithm(method.attribute("Algorithm").unwrap_or_default())?;
    let list = elements(*transforms)?;
    list.iter().try_for_each(|t| expect(t, DSIG, "Transform"))?;
    Ok(list)
}

/// The enveloped-signature transform, or its XPath form and no other expression.
pub(super) fn check_enveloped(transform: Node<'_, '_>) -> Result<(), XmlError> {
    if transform.attribute("Algorithm") == Some(ENVELOPED) {
        return expect_plain(transform, ENVELOPED);
    }
    let parts = elements(transform)?;
    let [expression] = parts.as_slice() else {
        return Err(XmlError::Profile("a transform that is not allowed"));
    };
    let plain = transform.attribute("Algorithm") == Some(XPATH)
        && expression.has_tag_name((DSIG, "XPath"))
        && text_of(*expression)?.trim() == ENVELOPED_XPATH
        && expression.lookup_namespace_uri(Some("ds")) == Some(DSIG);
    if plain {
        Ok(())
    } else {
        Err(XmlError::Profile("a transform that is not allowed"))
    }
}

fn digest_algorithm(uri: &str) -> Result<&'static digest::Algorithm, XmlError> {
    let all = [Sha2::Sha256, Sha2::Sha384, Sha2::Sha512];
    let known = all.into_iter().find(|d| d.uri() == uri);
    known
        .map(Sha2::algorithm)
        .ok_or(XmlError::Profile("the digest algorithm is not allowed"))
}
