//! The values that make a signature last: certificates and what was said of their revocation, embedded as unsigned
//! properties (EN 319 132-1 5.4.1 CertificateValues, 5.4.2 RevocationValues, 5.5.1 TimeStampValidationData). That is level B-LT.
//!
//! What is signed is not touched: the properties are put as text before one end tag, and taking them out gives back the very
//! octets that were there ([`without_values`]). Values that are read are candidates and nothing more: nobody signed that
//! they belong here, and who judges by them checks their own signatures. They are octets here, and opaque.

use super::nodes::{base64_of, child, elements};
use super::{DSIG, XADES, XADES141, XmlError, guard};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

/// Most values of one kind, in all properties together: as many as are looked at for one path (`cms::revocation`).
pub const VALUES_MAX: usize = 32;
/// Most TimeStampValidationData: one for each time-stamp that is read.
const VALIDATION_DATA_MAX: usize = 8;
/// EN 319 132-1 5.1.3: DER, which is also meant when nothing is said. Other encodings are not read.
const ENCODING_DER: &str = "http://uri.etsi.org/01903/v1.2.2#DER";

const TWICE: XmlError = XmlError::Profile("embedded values of one kind stand twice");
const TOO_MANY: XmlError = XmlError::Profile("too many embedded values");
const OTHER_PARTS: XmlError = XmlError::Profile("the embedded values hold other parts than are allowed");

/// How much a signature carries (EN 319 132-1 6). It is told by the form; whether the values suffice is for who judges by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The signature alone.
    Basic,
    /// A time-stamp on it.
    Stamped,
    /// With the values by which both can be judged later.
    Lasting,
}

impl Level {
    /// The word of the standard.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "B-B",
            Self::Stamped => "B-T",
            Self::Lasting => "B-LT",
        }
    }
}

/// Certificates, lists and OCSP responses, each in DER.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueSet {
    pub certificates: Vec<Vec<u8>>,
    pub crls: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
}

/// What is embedded: for the path of the signer, and for those of the time-stamps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedded {
    pub signer: ValueSet,
    pub stamps: ValueSet,
}

impl ValueSet {
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.crls.is_empty() && self.ocsp.is_empty()
    }

    /// The properties, in the order of the schema; `xades` and `xades141` declare themselves.
    fn write(&self, out: &mut String) {
        if !self.certificates.is_empty() {
            out.push_str("<xades:CertificateValues xmlns:xades=\"");
            out.push_str(XADES);
            out.push_str("\">");
            write_each("EncapsulatedX509Certificate", &self.certificates, out);
            out.push_str("</xades:CertificateValues>");
        }
        if self.crls.is_empty() && self.ocsp.is_empty() {
            return;
        }
        out.push_str("<xades:RevocationValues xmlns:xades=\"");
        out.push_str(XADES);
        out.push_str("\">");
        for (list, one, values) in [
            ("CRLValues", "EncapsulatedCRLValue", &self.crls),
            ("OCSPValues", "EncapsulatedOCSPValue", &self.ocsp),
        ] {
            if !values.is_empty() {
                out.push_str(&format!("<xades:{list}>"));
                write_each(one, values, out);
                out.push_str(&format!("</xades:{list}>"));
            }
        }
        out.push_str("</xades:RevocationValues>");
    }

    fn is_within_bounds(&self, other: &Self) -> bool {
        let both = [
            self.certificates.len() + other.certificates.len(),
            self.crls.len() + other.crls.len(),
            self.ocsp.len() + other.ocsp.len(),
        ];
        both.into_iter().all(|n| n <= VALUES_MAX)
    }

    fn read_certificates(&mut self, values: Node<'_, '_>) -> Result<(), XmlError> {
        for node in elements(values)? {
            match name_of(&node) {
                Some("EncapsulatedX509Certificate") => take(node, &mut self.certificates)?,
                // The schema has room for other kinds of certificates; nobody here could use them.
                Some("OtherCertificate") => {}
                _ => return Err(OTHER_PARTS),
            }
        }
        Ok(())
    }

    fn read_revocation(&mut self, values: Node<'_, '_>) -> Result<(), XmlError> {
        for list in elements(values)? {
            let (one, to) = match name_of(&list) {
                Some("CRLValues") => ("EncapsulatedCRLValue", &mut self.crls),
                Some("OCSPValues") => ("EncapsulatedOCSPValue", &mut self.ocsp),
                Some("OtherValues") => continue,
                _ => return Err(OTHER_PARTS),
            };
            for node in elements(list)? {
                if name_of(&node) != Some(one) {
                    return Err(OTHER_PARTS);
                }
                take(node, to)?;
            }
        }
        Ok(())
    }
}

impl Embedded {
    pub fn is_empty(&self) -> bool {
        self.signer.is_empty() && self.stamps.is_empty()
    }

    /// Whether there is more than certificates.
    pub fn has_revocation(&self) -> bool {
        let has = |set: &ValueSet| !set.crls.is_empty() || !set.ocsp.is_empty();
        has(&self.signer) || has(&self.stamps)
    }

    fn is_within_bounds(&self) -> bool {
        self.signer.is_within_bounds(&self.stamps)
    }

    /// What stands in the UnsignedSignatureProperties below `qualifying`, the QualifyingProperties.
    pub(super) fn read(qualifying: Node<'_, '_>) -> Result<Self, XmlError> {
        let mut out = Self::default();
        let (mut certificates, mut revocation, mut stamps) = (0, 0, 0);
        for property in properties(qualifying)? {
            match Property::of(&property) {
                Some(Property::Certificates) => {
                    certificates += 1;
                    out.signer.read_certificates(property)?;
                }
                Some(Property::Revocation) => {
                    revocation += 1;
                    out.signer.read_revocation(property)?;
                }
                Some(Property::Stamps) => {
                    stamps += 1;
                    read_validation_data(property, &mut out.stamps)?;
                }
                None => {}
            }
        }
        // EN 319 132-1 6.3: each at most once; for each time-stamp there may be data of its own.
        if certificates > 1 || revocation > 1 {
            return Err(TWICE);
        }
        if stamps > VALIDATION_DATA_MAX || !out.is_within_bounds() {
            return Err(TOO_MANY);
        }
        Ok(out)
    }
}

fn read_validation_data(data: Node<'_, '_>, to: &mut ValueSet) -> Result<(), XmlError> {
    let parts = elements(data)?;
    let names: Vec<_> = parts.iter().map(name_of).collect();
    match names.as_slice() {
        [] => Ok(()),
        [Some("CertificateValues")] => to.read_certificates(parts[0]),
        [Some("RevocationValues")] => to.read_revocation(parts[0]),
        [Some("CertificateValues"), Some("RevocationValues")] => {
            to.read_certificates(parts[0])?;
            to.read_revocation(parts[1])
        }
        _ => Err(OTHER_PARTS),
    }
}

/// Takes one value, unless it is in an encoding that is not read.
fn take(node: Node<'_, '_>, to: &mut Vec<Vec<u8>>) -> Result<(), XmlError> {
    if node
        .attributes()
        .any(|a| a.name() == "Encoding" && a.value() != ENCODING_DER)
    {
        return Ok(());
    }
    // Before anything is decoded: each is bounded by the document, and so is their number.
    if to.len() >= VALUES_MAX {
        return Err(TOO_MANY);
    }
    to.push(base64_of(node)?);
    Ok(())
}

/// The name of an element of XAdES 1.3.2.
fn name_of<'a>(node: &Node<'a, '_>) -> Option<&'a str> {
    let name = node.tag_name();
    (name.namespace() == Some(XADES)).then(|| name.name())
}

#[derive(Clone, Copy)]
enum Property {
    Certificates,
    Revocation,
    Stamps,
}

impl Property {
    fn of(node: &Node<'_, '_>) -> Option<Self> {
        let name = node.tag_name();
        match (name.namespace()?, name.name()) {
            (XADES, "CertificateValues") => Some(Self::Certificates),
            (XADES, "RevocationValues") => Some(Self::Revocation),
            (XADES141, "TimeStampValidationData") => Some(Self::Stamps),
            _ => None,
        }
    }
}

/// Every unsigned property of the signature. They count in one place only; elsewhere they are not looked at.
fn properties<'a, 'input>(qualifying: Node<'a, 'input>) -> Result<Vec<Node<'a, 'input>>, XmlError> {
    let mut out = Vec::new();
    let named = |n: &Node<'_, '_>, name| n.has_tag_name((XADES, name));
    for unsigned in elements(qualifying)?
        .into_iter()
        .filter(|n| named(n, "UnsignedProperties"))
    {
        for of_signature in elements(unsigned)?
            .into_iter()
            .filter(|n| named(n, "UnsignedSignatureProperties"))
        {
            out.extend(elements(of_signature)?);
        }
    }
    Ok(out)
}

fn write_each(name: &str, values: &[Vec<u8>], out: &mut String) {
    for value in values {
        out.push_str(&format!("<xades:{name}>"));
        STANDARD.encode_string(value, out);
        out.push_str(&format!("</xades:{name}>"));
    }
}

/// The document with `values` behind its last unsigned property. Every octet that was there stays, in its order.
///
/// The document must be one that [`verify`](super::verify) accepts; it must carry a time-stamp, for values without a moment
/// say nothing, and no values yet.
pub fn embed_values(document: &[u8], values: &Embedded) -> Result<Vec<u8>, XmlError> {
    let text = guard::check(document)?;
    let parsed = Document::parse(text).map_err(|e| XmlError::Parse(e.to_string()))?;
    let place = place(&parsed)?;
    let there = elements(place)?;
    if there.iter().any(|n| Property::of(n).is_some()) {
        return Err(TWICE);
    }
    if !there
        .iter()
        .any(|n| n.has_tag_name((XADES, "SignatureTimeStamp")))
    {
        return Err(XmlError::Profile("values are embedded behind a time-stamp only"));
    }
    if values.is_empty() {
        return Err(XmlError::Profile("there are no values to embed"));
    }
    if !values.is_within_bounds() {
        return Err(TOO_MANY);
    }
    let mut added = String::new();
    values.signer.write(&mut added);
    if !values.stamps.is_empty() {
        added.push_str("<xades141:TimeStampValidationData xmlns:xades141=\"");
        added.push_str(XADES141);
        added.push_str("\">");
        values.stamps.write(&mut added);
        added.push_str("</xades141:TimeStampValidationData>");
    }
    if text.len() + added.len() > guard::DOCUMENT_MAX_OCTETS {
        return Err(XmlError::Profile(
            "with its values the document would be too large",
        ));
    }
    // Comments, instructions and CDATA are refused, so the last `</` of an element is its own end tag.
    let range = place.range();
    let written = text.get(range.clone()).unwrap_or_default();
    let end_tag = written.rfind("</").map(|at| range.start + at);
    let (head, tail) = end_tag
        .and_then(|at| text.split_at_checked(at))
        .ok_or(XmlError::Profile("the unsigned properties are empty"))?;
    Ok([head, &added, tail].concat().into_bytes())
}

/// The document without the values that are embedded in it. Of a document made by [`embed_values`]: what it was made from.
pub fn without_values(document: &[u8]) -> Result<Vec<u8>, XmlError> {
    let text = guard::check(document)?;
    let parsed = Document::parse(text).map_err(|e| XmlError::Parse(e.to_string()))?;
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for node in elements(place(&parsed)?)? {
        if Property::of(&node).is_some() {
            out.push_str(text.get(at..node.range().start).unwrap_or_default());
            at = node.range().end;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out.into_bytes())
}

/// The UnsignedSignatureProperties of the one signature.
fn place<'a, 'input>(document: &'a Document<'input>) -> Result<Node<'a, 'input>, XmlError> {
    let signature = child(document.root_element(), DSIG, "Signature")?;
    let object = child(signature, DSIG, "Object")?;
    let qualifying = child(object, XADES, "QualifyingProperties")?;
    let unsigned = child(qualifying, XADES, "UnsignedProperties")?;
    child(unsigned, XADES, "UnsignedSignatureProperties")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::xml::profile::{Family, Method, Sha2};
    use crate::xml::xades::prepare;
    use proptest::prelude::*;

    fn stamped(token: Option<&[u8]>) -> Vec<u8> {
        let document = b"<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\" Id='_1'>\n <b c='1'/>\n</a>\n";
        let method = Method::of(Family::Ecdsa, Sha2::Sha256);
        let prepared = prepare(document, &[b"leaf"], method, UtcTime::default()).unwrap();
        prepared.signed(&[1; 64]).finish(token)
    }

    fn read(document: &[u8]) -> Result<Embedded, XmlError> {
        let text = std::str::from_utf8(document).unwrap();
        let parsed = Document::parse(text).unwrap();
        let is_qualifying = |n: &Node<'_, '_>| n.has_tag_name((XADES, "QualifyingProperties"));
        Embedded::read(parsed.descendants().find(is_qualifying).unwrap())
    }

    fn some() -> Embedded {
        Embedded {
            signer: ValueSet {
                certificates: vec![b"ca".to_vec()],
                crls: vec![b"list".to_vec()],
                ocsp: vec![b"answer".to_vec(), b"another".to_vec()],
            },
            stamps: ValueSet {
                ocsp: vec![b"of the authority".to_vec()],
                ..ValueSet::default()
            },
        }
    }

    fn with(property: &str) -> Vec<u8> {
        let text = String::from_utf8(stamped(Some(b"token"))).unwrap();
        let end = "</xades:UnsignedSignatureProperties>";
        assert_eq!(text.matches(end).count(), 1);
        text.replace(end, &format!("{property}{end}")).into_bytes()
    }

    fn set() -> impl Strategy<Value = ValueSet> {
        let some = || prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..4);
        (some(), some(), some()).prop_map(|(certificates, crls, ocsp)| ValueSet {
            certificates,
            crls,
            ocsp,
        })
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_read_and_taken_out_again((signer, stamps) in (set(), set())) {
            let values = Embedded { signer, stamps };
            let issued = stamped(Some(b"token"));
            match embed_values(&issued, &values) {
                Err(why) => prop_assert!(values.is_empty(), "{why}"),
                Ok(lasting) => {
                    prop_assert_eq!(read(&lasting).unwrap(), values);
                    prop_assert_eq!(without_values(&lasting).unwrap(), issued);
                }
            }
        }
    }

    #[test]
    fn values_are_embedded_once_and_behind_a_time_stamp() {
        let lasting = embed_values(&stamped(Some(b"token")), &some()).unwrap();
        assert_eq!(embed_values(&lasting, &some()), Err(TWICE));
        assert!(embed_values(&stamped(None), &some()).is_err());
        let mut many = some();
        many.stamps.ocsp = vec![vec![1]; VALUES_MAX - 1];
        assert_eq!(embed_values(&stamped(Some(b"t")), &many), Err(TOO_MANY));
        let mut large = some();
        large.signer.crls = vec![vec![0; guard::DOCUMENT_MAX_OCTETS]];
        assert!(embed_values(&stamped(Some(b"t")), &large).is_err());
    }

    #[test]
    fn other_prefixes_and_white_space_are_kept() {
        let text = String::from_utf8(stamped(Some(b"token"))).unwrap();
        let text = text.replace("xades:", "x:").replace("xmlns:xades", "xmlns:x");
        let text = text.replace("</x:SignatureTimeStamp>", "</x:SignatureTimeStamp>\r\n  ");
        let lasting = embed_values(text.as_bytes(), &some()).unwrap();
        assert_eq!(read(&lasting).unwrap(), some());
        assert_eq!(without_values(&lasting).unwrap(), text.as_bytes());
    }

    #[test]
    fn what_the_schema_does_not_have_is_refused_and_what_nobody_reads_is_passed_over() {
        let values = |inside: &str| {
            let declared = format!("<xades:CertificateValues xmlns:xades=\"{XADES}\">{inside}");
            read(&with(&(declared + "</xades:CertificateValues>")))
        };
        let certificate = "<xades:EncapsulatedX509Certificate>YQ==</xades:EncapsulatedX509Certificate>";
        assert_eq!(values(certificate).unwrap().signer.certificates, [b"a"]);
        assert!(
            values("<xades:OtherCertificate>x</xades:OtherCertificate>")
                .unwrap()
                .is_empty()
        );
        let encoded = certificate.replace("Certificate>YQ", "Certificate Encoding=\"urn:other\">YQ");
        assert!(values(&encoded).unwrap().is_empty());
        assert_eq!(values("<xades:Cert>YQ==</xades:Cert>"), Err(OTHER_PARTS));
        let foreign = certificate
            .replace("xades:", "y:")
            .replacen('>', " xmlns:y=\"urn:y\">", 1);
        assert_eq!(values(&foreign), Err(OTHER_PARTS));
        assert!(values(&certificate.replace("YQ==", "YQ=")).is_err());
        assert!(values(&format!("text{certificate}")).is_err());
        assert_eq!(values(&certificate.repeat(VALUES_MAX + 1)), Err(TOO_MANY));
        let twice = format!("<xades:CertificateValues>{certificate}</xades:CertificateValues>").repeat(2);
        assert_eq!(read(&with(&twice)), Err(TWICE));
        let data = format!("<v:TimeStampValidationData xmlns:v=\"{XADES141}\"/>");
        assert!(read(&with(&data.repeat(VALIDATION_DATA_MAX))).unwrap().is_empty());
        assert_eq!(read(&with(&data.repeat(VALIDATION_DATA_MAX + 1))), Err(TOO_MANY));
        // In another namespace, or another place, they are no values.
        assert!(read(&with(&data.replace("v1.4.1", "v1.3.2"))).unwrap().is_empty());
    }
}
