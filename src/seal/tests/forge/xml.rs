//! Signed evidence piece by piece. A [`Draft`] is what a signer is led to sign; [`Draft::sign`] gives the [`Pieces`], which
//! an attacker may then put together as he likes. The signature value always holds over the SignedInfo of the draft.

use super::super::now;
use super::keys::{Party, World, world};
use super::token::TokenDraft;
use crate::cms::certificate::KeyKind;
use crate::cms::{DigestAlgorithm, algorithm::sha256};
use crate::xml::canonical_form;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub const PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";

/// What the digest of a reference is over.
#[derive(Clone)]
pub enum Over {
    /// The document without the signature.
    Document,
    /// The SignedProperties.
    Properties,
    Octets(Vec<u8>),
}

/// Makes a token over octets.
pub type Stamper = fn(&'static World, &[u8]) -> Vec<u8>;

#[derive(Clone)]
pub struct Reference {
    /// All attributes, with a blank before each.
    pub attributes: String,
    /// What stands in ds:Transforms; with no text there is no such element.
    pub transforms: String,
    pub digest_uri: String,
    pub digest: fn(&[u8]) -> Vec<u8>,
    pub over: Over,
}

/// What a signer is led to sign.
#[derive(Clone)]
pub struct Draft {
    pub world: &'static World,
    pub party: &'static Party,
    pub digest: DigestAlgorithm,
    pub prolog: String,
    /// The root's start tag.
    pub open: String,
    pub body: String,
    pub close: String,
    /// Attributes of ds:Signature.
    pub attributes: String,
    pub canonicalization: String,
    pub method: String,
    pub references: Vec<Reference>,
    /// What stands in ds:KeyInfo.
    pub key_info: String,
    pub properties: String,
    /// From the octets of SignedInfo to the signature value.
    pub value: fn(&Draft, &[u8]) -> Vec<u8>,
    /// Tokens, made over the canonical SignatureValue.
    pub stamps: Vec<Stamper>,
}

/// A signed document in pieces that follow one another.
#[derive(Clone)]
pub struct Pieces {
    pub prolog: String,
    pub open: String,
    pub body: String,
    pub sig_open: String,
    pub signed_info: String,
    pub value: String,
    pub key_info: String,
    pub object_open: String,
    pub properties: String,
    pub unsigned: String,
    pub object_close: String,
    pub sig_close: String,
    pub close: String,
}

pub fn transform(algorithm: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\"></ds:Transform>")
}

pub fn x509(parties: &[&Party]) -> String {
    let list: String = parties
        .iter()
        .map(|p| {
            let der = STANDARD.encode(p.certificate.der());
            format!("<ds:X509Certificate>{der}</ds:X509Certificate>")
        })
        .collect();
    format!("<ds:X509Data>{list}</ds:X509Data>")
}

/// A xades:Cert that names a certificate by SHA-256.
pub fn cert_of(party: &Party) -> String {
    let digest = STANDARD.encode(party.certificate.fingerprint());
    format!(
        "<xades:Cert><xades:CertDigest><ds:DigestMethod xmlns:ds=\"{DSIG}\" Algorithm=\"{SHA256}\"></ds:DigestMethod>\
         <ds:DigestValue xmlns:ds=\"{DSIG}\">{digest}</ds:DigestValue></xades:CertDigest></xades:Cert>"
    )
}

/// SignedProperties with this Id, time and signing-certificate properties.
pub fn properties(id: &str, time: &str, certificates: &str) -> String {
    format!(
        "<xades:SignedProperties xmlns:xades=\"{XADES}\" Id=\"{id}\"><xades:SignedSignatureProperties>\
         <xades:SigningTime>{time}</xades:SigningTime>{certificates}\
         </xades:SignedSignatureProperties></xades:SignedProperties>"
    )
}

pub fn v2(certs: &str) -> String {
    format!("<xades:SigningCertificateV2>{certs}</xades:SigningCertificateV2>")
}

fn sha256_vec(octets: &[u8]) -> Vec<u8> {
    sha256(octets).to_vec()
}

/// r||s from ECDSA-Sig-Value.
pub fn fixed(der: &[u8], width: usize) -> Vec<u8> {
    let (r, s) = integers(der);
    let pad = |n: &[u8]| [vec![0; width - n.len()], n.to_vec()].concat();
    [pad(&r), pad(&s)].concat()
}

/// The magnitudes of r and s.
pub fn integers(signature: &[u8]) -> (Vec<u8>, Vec<u8>) {
    use crate::cms::der;
    let mut fields = der::whole(signature, der::SEQUENCE, "signature").unwrap();
    let mut next = || {
        let digits = fields.expect(der::INTEGER, "integer").unwrap().value;
        digits.strip_prefix(&[0]).unwrap_or(digits).to_vec()
    };
    (next(), next())
}

/// What an honest signer writes as value.
pub fn honest_value(draft: &Draft, signed_info: &[u8]) -> Vec<u8> {
    let signature = draft.party.sign(draft.digest, signed_info);
    match draft.party.certificate.key_kind() {
        KeyKind::P384 => fixed(&signature, 48),
        KeyKind::Rsa => signature,
        // Unsupported ones: the curve has 32 octets, or it is an RSA key.
        _ if signature.first() == Some(&0x30) && signature.len() < 80 => fixed(&signature, 32),
        _ => signature,
    }
}

impl Draft {
    /// An honest document: what the house's own sealer writes.
    pub fn honest() -> Self {
        let world = world();
        Self::by(&world.seal, ECDSA_SHA256)
    }

    pub fn by(party: &'static Party, method: &str) -> Self {
        let canonical = transform(EXCLUSIVE);
        Self {
            world: world(),
            party,
            digest: DigestAlgorithm::Sha256,
            prolog: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            open: "<rem:Evidence xmlns:rem=\"http://uri.etsi.org/02640/v2#\" version=\"2\" Id=\"_e1\">".to_owned(),
            body: " <rem:Subject>Konu: \u{131}\u{15f} &amp; i\u{15f}</rem:Subject><rem:To>a@hs01.kep.test</rem:To>\n"
                .to_owned(),
            close: "</rem:Evidence>".to_owned(),
            attributes: " Id=\"_s1\"".to_owned(),
            canonicalization: format!(
                "<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>"
            ),
            method: format!("<ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>"),
            references: vec![
                Reference {
                    attributes: " Id=\"_r1\" URI=\"\"".to_owned(),
                    transforms: format!("{}{canonical}", transform(ENVELOPED)),
                    digest_uri: SHA256.to_owned(),
                    digest: sha256_vec,
                    over: Over::Document,
                },
                Reference {
                    attributes: format!(" Type=\"{PROPERTIES}\" URI=\"#_p1\""),
                    transforms: canonical,
                    digest_uri: SHA256.to_owned(),
                    digest: sha256_vec,
                    over: Over::Properties,
                },
            ],
            key_info: x509(&[party]),
            properties: properties("_p1", &now().rfc3339(), &v2(&cert_of(party))),
            value: honest_value,
            stamps: vec![|world, octets| TokenDraft::honest(world, octets).der()],
        }
    }

    /// The document without its signature.
    pub fn document(&self) -> String {
        format!("{}{}{}{}", self.prolog, self.open, self.body, self.close)
    }

    fn signed_info(&self) -> String {
        let references: String = self.references.iter().map(|r| self.reference(r)).collect();
        format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\">{}{}{references}</ds:SignedInfo>",
            self.canonicalization, self.method
        )
    }

    fn reference(&self, r: &Reference) -> String {
        let octets = match &r.over {
            Over::Document => canonical_form(self.document().as_bytes()).unwrap(),
            Over::Properties => canonical_form(self.properties.as_bytes()).unwrap(),
            Over::Octets(octets) => octets.clone(),
        };
        let digest = STANDARD.encode((r.digest)(&octets));
        let transforms = match r.transforms.as_str() {
            "" => String::new(),
            list => format!("<ds:Transforms>{list}</ds:Transforms>"),
        };
        format!(
            "<ds:Reference{}>{transforms}<ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>",
            r.attributes, r.digest_uri
        )
    }

    pub fn sign(&self) -> Pieces {
        let signed_info = self.signed_info();
        let canonical = canonical_form(signed_info.as_bytes()).unwrap();
        let value = format!(
            "<ds:SignatureValue xmlns:ds=\"{DSIG}\">{}</ds:SignatureValue>",
            STANDARD.encode((self.value)(self, &canonical))
        );
        let stamps: String = self
            .stamps
            .iter()
            .map(|s| stamp(&s(self.world, value.as_bytes())))
            .collect();
        Pieces {
            prolog: self.prolog.clone(),
            open: self.open.clone(),
            body: self.body.clone(),
            sig_open: format!("<ds:Signature xmlns:ds=\"{DSIG}\"{}>", self.attributes),
            signed_info,
            value,
            key_info: format!("<ds:KeyInfo>{}</ds:KeyInfo>", self.key_info),
            object_open: format!(
                "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" Target=\"#_s1\">"
            ),
            properties: self.properties.clone(),
            unsigned: unsigned(&stamps),
            object_close: "</xades:QualifyingProperties></ds:Object>".to_owned(),
            sig_close: "</ds:Signature>".to_owned(),
            close: self.close.clone(),
        }
    }
}

/// A SignatureTimeStamp around a token.
pub fn stamp(token: &[u8]) -> String {
    format!(
        "<xades:SignatureTimeStamp><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <xades:EncapsulatedTimeStamp>{}</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>",
        STANDARD.encode(token)
    )
}

pub fn unsigned(stamps: &str) -> String {
    if stamps.is_empty() {
        return String::new();
    }
    format!(
        "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{stamps}\
         </xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    )
}

impl Pieces {
    pub fn object(&self) -> String {
        [
            &self.object_open,
            &self.properties,
            &self.unsigned,
            &self.object_close,
        ]
        .map(String::as_str)
        .concat()
    }

    pub fn signature(&self) -> String {
        [
            &self.sig_open,
            &self.signed_info,
            &self.value,
            &self.key_info,
            &self.object(),
            &self.sig_close,
        ]
        .map(String::as_str)
        .concat()
    }

    /// The root element with everything in it.
    pub fn root(&self) -> String {
        format!("{}{}{}{}", self.open, self.body, self.signature(), self.close)
    }

    pub fn text(&self) -> String {
        format!("{}{}", self.prolog, self.root())
    }
}
