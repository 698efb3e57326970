//! Making an enveloped XAdES signature, baseline B-B or with a time-stamp B-T (EN 319 132-1).
//!
//! Everything below `ds:Signature` is written already in its exclusive canonical form: namespace declarations stand at
//! the very places where canonicalisation would put them. So the octets that are signed are the octets in the file, and
//! nothing is canonicalised but the document itself, once.

use super::profile::{Method, Sha2};
use super::{
    DSIG, ENVELOPED, EXCLUSIVE, SIGNATURE_RECORD, SIGNED_PROPERTIES, XADES, XmlError, canonical_form,
};
use crate::clock::UtcTime;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr_iter, memmem};

/// A document waiting for its signature value.
#[derive(Debug)]
pub struct Prepared<'a> {
    document: &'a str,
    /// Where the signature goes: before the end tag of the root.
    insert_at: usize,
    id: String,
    signed_info: String,
    key_info: String,
    signed_properties: String,
}

/// A document with its signature value, waiting for a time-stamp.
#[derive(Debug)]
pub struct Signed<'a> {
    prepared: Prepared<'a>,
    signature_value: String,
}

/// Computes what is to be signed. `chain` is leaf first, in DER; the document must not carry a signature yet. Whatever is digested is
/// digested with the method's digest: a signature is no stronger than its references.
///
/// CPU: one parse and one canonicalisation.
pub fn prepare<'a>(
    document: &'a [u8],
    chain: &[&[u8]],
    method: Method,
    signing_time: UtcTime,
) -> Result<Prepared<'a>, XmlError> {
    let canonical = canonical_form(document)?;
    let document = std::str::from_utf8(document).map_err(|_| XmlError::Guard("it is not UTF-8"))?;
    let leaf = chain.first().ok_or(XmlError::Profile("no certificate"))?;
    let insert_at = end_tag_of_root(document)?;
    let document_digest = digest::digest(method.digest.algorithm(), &canonical);
    // Ids that cannot meet another Id of the document, nor of a document this one is put into.
    let id: String = document_digest
        .as_ref()
        .iter()
        .take(10)
        .map(|o| format!("{o:02x}"))
        .collect();
    if memmem::find(document.as_bytes(), id.as_bytes()).is_some() {
        return Err(XmlError::Profile("the document names its own digest"));
    }
    let signed_properties = signed_properties(&id, leaf, method.digest, signing_time);
    let signed_info = signed_info(&id, method, document_digest.as_ref(), &signed_properties);
    let mut key_info = String::from("<ds:KeyInfo><ds:X509Data>");
    for certificate in chain {
        key_info.push_str("<ds:X509Certificate>");
        STANDARD.encode_string(certificate, &mut key_info);
        key_info.push_str("</ds:X509Certificate>");
    }
    key_info.push_str("</ds:X509Data></ds:KeyInfo>");
    Ok(Prepared {
        document,
        insert_at,
        id,
        signed_info,
        key_info,
        signed_properties,
    })
}

impl<'a> Prepared<'a> {
    /// The canonical octets of SignedInfo.
    pub fn to_be_signed(&self) -> &[u8] {
        self.signed_info.as_bytes()
    }

    pub fn signed(self, signature_value: &[u8]) -> Signed<'a> {
        let signature_value = format!(
            "<ds:SignatureValue xmlns:ds=\"{DSIG}\">{}</ds:SignatureValue>",
            STANDARD.encode(signature_value)
        );
        Signed {
            prepared: self,
            signature_value,
        }
    }
}

impl Signed<'_> {
    /// The canonical `ds:SignatureValue` element: what a SignatureTimeStamp is over (EN 319 132-1 5.3).
    pub fn stamp_octets(&self) -> &[u8] {
        self.signature_value.as_bytes()
    }

    /// The signed document; with `token_der` it is B-T, without it B-B.
    pub fn finish(&self, token_der: Option<&[u8]>) -> Vec<u8> {
        let stamp = token_der.map(|token| {
            format!(
                "<xades:SignatureTimeStamp>\
                 <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
                 <xades:EncapsulatedTimeStamp>{}</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>",
                STANDARD.encode(token)
            )
        });
        self.document(stamp.as_deref())
    }

    /// The signed document with an evidence record over [`Signed::stamp_octets`] in place of a token of its own: an XMLTimeStamp,
    /// of a kind that others need not know (docs/decisions/0036-one-token-for-many-signatures.md).
    pub fn finish_with_record(&self, record_der: &[u8]) -> Vec<u8> {
        let record = format!(
            "<xades:SignatureTimeStamp>\
             <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <xades:XMLTimeStamp><r:EvidenceRecord xmlns:r=\"{SIGNATURE_RECORD}\">{}</r:EvidenceRecord></xades:XMLTimeStamp>\
             </xades:SignatureTimeStamp>",
            STANDARD.encode(record_der)
        );
        self.document(Some(&record))
    }

    fn document(&self, property: Option<&str>) -> Vec<u8> {
        let p = &self.prepared;
        let unsigned = property.map(|property| {
            format!(
                "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{property}\
                 </xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
            )
        });
        let (head, tail) = p.document.split_at(p.insert_at);
        let parts = [
            head,
            "<ds:Signature xmlns:ds=\"",
            DSIG,
            "\" Id=\"_s",
            &p.id,
            "\">",
            &p.signed_info,
            &self.signature_value,
            &p.key_info,
            "<ds:Object><xades:QualifyingProperties xmlns:xades=\"",
            XADES,
            "\" Target=\"#_s",
            &p.id,
            "\">",
            &p.signed_properties,
            unsigned.as_deref().unwrap_or_default(),
            "</xades:QualifyingProperties></ds:Object></ds:Signature>",
            tail,
        ];
        parts.concat().into_bytes()
    }
}

fn signed_info(id: &str, method: Method, document_digest: &[u8], properties: &str) -> String {
    let document_digest = STANDARD.encode(document_digest);
    let properties_digest = digest::digest(method.digest.algorithm(), properties.as_bytes());
    let properties_digest = STANDARD.encode(properties_digest);
    let (digest_uri, method) = (method.digest.uri(), method.uri());
    // Canonical form: attributes of one element in alphabetical order, no empty-element tags.
    format!(
        "<ds:SignedInfo xmlns:ds=\"{DSIG}\">\
         <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
         <ds:Reference Id=\"_r{id}\" URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest_uri}\"></ds:DigestMethod>\
         <ds:DigestValue>{document_digest}</ds:DigestValue></ds:Reference>\
         <ds:Reference Type=\"{SIGNED_PROPERTIES}\" URI=\"#_p{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest_uri}\"></ds:DigestMethod>\
         <ds:DigestValue>{properties_digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
}

fn signed_properties(id: &str, leaf: &[u8], digest: Sha2, signing_time: UtcTime) -> String {
    let certificate_digest = STANDARD.encode(digest::digest(digest.algorithm(), leaf));
    let digest_uri = digest.uri();
    let time = UtcTime::from_unix_s(signing_time.unix_s()).rfc3339();
    format!(
        "<xades:SignedProperties xmlns:xades=\"{XADES}\" Id=\"_p{id}\"><xades:SignedSignatureProperties>\
         <xades:SigningTime>{time}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>\
         <ds:DigestMethod xmlns:ds=\"{DSIG}\" Algorithm=\"{digest_uri}\"></ds:DigestMethod>\
         <ds:DigestValue xmlns:ds=\"{DSIG}\">{certificate_digest}</ds:DigestValue></xades:CertDigest></xades:Cert>\
         </xades:SigningCertificateV2></xades:SignedSignatureProperties><xades:SignedDataObjectProperties>\
         <xades:DataObjectFormat ObjectReference=\"#_r{id}\"><xades:MimeType>text/xml</xades:MimeType>\
         </xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
    )
}

/// Where the end tag of the root starts: the last `</`, as comments and instructions are refused before.
fn end_tag_of_root(document: &str) -> Result<usize, XmlError> {
    let at = document
        .rfind("</")
        .ok_or(XmlError::Profile("the root element is empty"))?;
    let is_last = document[at..].trim_end().ends_with('>') && !document[at + 2..].contains('<');
    if !is_last {
        return Err(XmlError::Profile("something stands behind the root element"));
    }
    // The document was parsed: it is well-formed.
    if memchr_iter(b'<', document.as_bytes()).any(|i| is_signature_tag(&document[i + 1..])) {
        return Err(XmlError::Profile("the document has a signature already"));
    }
    Ok(at)
}

/// Whether a tag's name is `Signature`, with any prefix.
fn is_signature_tag(tag: &str) -> bool {
    let ends = |o: u8| o.is_ascii_whitespace() || o == b'>' || o == b'/';
    let end = tag.bytes().position(ends).unwrap_or(tag.len());
    let name = &tag[..end];
    name.ends_with("Signature") && name.rsplit(':').next() == Some("Signature")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::profile::Family;

    const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\" Id='_1'>\n <b c='1'/>\n</a>\n";

    fn prepared() -> Prepared<'static> {
        let time = UtcTime::from_unix_ms(1_795_466_705_120);
        prepare(
            DOCUMENT.as_bytes(),
            &[b"leaf"],
            Method::of(Family::Ecdsa, Sha2::Sha256),
            time,
        )
        .unwrap()
    }

    #[test]
    fn the_signature_is_written_in_canonical_form() {
        let signed = prepared().signed(&[1; 64]);
        let document = String::from_utf8(signed.finish(Some(b"token"))).unwrap();
        let p = &signed.prepared;
        // Each signed part, cut out and canonicalised alone, is what stands in the file.
        for part in [&p.signed_info, &p.signed_properties, &signed.signature_value] {
            let canonical = canonical_form(part.as_bytes()).unwrap();
            assert_eq!(&String::from_utf8(canonical).unwrap(), part);
            assert_eq!(document.matches(part.as_str()).count(), 1);
        }
        assert!(document.ends_with("</ds:Signature></a>\n"));
        assert!(document.contains("<xades:SigningTime>2026-11-23T20:45:05Z</xades:SigningTime>"));
    }

    #[test]
    fn without_the_signature_the_document_is_as_before() {
        let signed = prepared().signed(&[1; 64]);
        let document = String::from_utf8(signed.finish(None)).unwrap();
        let start = document.find("<ds:Signature ").unwrap();
        let end = document.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        assert_eq!(format!("{}{}", &document[..start], &document[end..]), DOCUMENT);
    }

    #[test]
    fn an_empty_root_or_a_second_signature_is_refused() {
        let prepare = |d: &[u8]| {
            let method = Method::of(Family::RsaPss, Sha2::Sha512);
            prepare(d, &[b"leaf"], method, UtcTime::default())
                .map(|p| p.id)
                .unwrap_err()
        };
        assert!(matches!(prepare(b"<a/>"), XmlError::Profile(_)));
        assert!(matches!(prepare(b"<a></b>"), XmlError::Parse(_)));
        let again = prepared().signed(&[1]).finish(None);
        assert!(matches!(prepare(&again), XmlError::Profile(_)));
    }
}
