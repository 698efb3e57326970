//! Signatures that others make: xmlsec1 with the XPath form, openssl with streaming BER; and changed SignedData.

use super::*;
use crate::cms::algorithm::sha256;
use crate::seal::verifier::{Finding, verify_entity};
use base64::Engine as _;

const XMLSEC_SIGN: [&str; 7] = [
    "--sign",
    "--privkey-pem",
    "seal.key,seal.pem",
    "--id-attr:Id",
    "SignedProperties",
    "--id-attr:Id",
    "SubmissionAcceptanceRejection",
];

#[test]
fn a_short_rsa_key_is_no_key() {
    let house = house(KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "seal.key", "-out", "seal.pem",
        ])
        .args(["-subj", "/CN=short", "-days", "36500"]));
    let pem = std::fs::read_to_string(folder.path().join("seal.pem")).unwrap();
    let certificate = crate::cms::Certificate::from_pem_text(&pem).unwrap().remove(0);
    assert_eq!(certificate.pem(), pem);
    let digest = base64::engine::general_purpose::STANDARD.encode(certificate.fingerprint());
    std::fs::write(folder.path().join("t.xml"), template(&digest, "rsa-sha256")).unwrap();
    run(Command::new("xmlsec1")
        .current_dir(folder.path())
        .args(XMLSEC_SIGN)
        .args(["--output", "signed.xml", "t.xml"]));
    let signed = std::fs::read(folder.path().join("signed.xml")).unwrap();
    let finding = judge(&house, &signed).findings.signature;
    assert!(
        matches!(&finding, Finding::Failed(why) if why.contains("2048 bits")),
        "{finding:?}"
    );
}

/// A template as DSS writes it: XPath form of enveloped, references and Ids in its manner, RSA or ECDSA.
fn template(certificate_digest: &str, method: &str) -> String {
    let signature = format!(
        r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="id-1"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{method}"/>
<ds:Reference Id="r-id-1" Type="" URI=""><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/><ds:DigestValue/></ds:Reference>
<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#xades-id-1"><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo>
<ds:SignatureValue Id="value-id-1"/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo>
<ds:Object><xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Target="#id-1">
<xades:SignedProperties Id="xades-id-1"><xades:SignedSignatureProperties>
<xades:SigningTime>2026-11-23T20:45:05Z</xades:SigningTime>
<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>{certificate_digest}</ds:DigestValue>
</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties></xades:SignedProperties>
</xades:QualifyingProperties></ds:Object></ds:Signature>
"##
    );
    EVIDENCE.replace(
        "</rem:SubmissionAcceptanceRejection>",
        &format!("{signature}</rem:SubmissionAcceptanceRejection>"),
    )
}

#[test]
fn xmlsec1_signs_with_the_xpath_form_and_we_verify() {
    for (algorithm, method, uri) in [
        (KeyAlgorithm::P256, "ecdsa-sha256", "URI=\"\""),
        (KeyAlgorithm::P256, "ecdsa-sha384", "URI=\"#_e1\""),
        (KeyAlgorithm::Rsa3072, "rsa-sha512", "URI=\"#_e1\""),
    ] {
        let house = house(algorithm);
        let digest = house.pki.seal.certificate().unwrap().fingerprint();
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("t.xml", &template(&digest, method).replace("URI=\"\"", uri));
        write("seal.pem", &house.pki.seal.certificate_pem);
        write("seal.key", &house.pki.seal.key_pem);
        run(Command::new("xmlsec1")
            .current_dir(folder.path())
            .args(XMLSEC_SIGN)
            .args(["--output", "signed.xml", "t.xml"]));
        let signed = std::fs::read(folder.path().join("signed.xml")).unwrap();
        let report = judge(&house, &signed);
        assert!(report.findings.signature.is_ok(), "{method}: {report:?}");
        assert!(report.findings.trust.is_ok(), "{method}: {report:?}");
        assert!(!report.findings.timestamp.is_ok());
        let changed = String::from_utf8(signed).unwrap().replace("ev-1", "ev-2");
        assert!(!judge(&house, changed.as_bytes()).findings.signature.is_ok());
    }
}

/// The three outer layers with indefinite lengths, as streaming writers leave them.
fn streamed(cms_der: &[u8]) -> Vec<u8> {
    use crate::cms::der::{self, Reader};
    let mut info = der::whole(cms_der, der::SEQUENCE, "ContentInfo").unwrap();
    let oid = info.any().unwrap().raw;
    let signed_data = Reader::new(info.any().unwrap().value).any().unwrap().value;
    let end = [0; 6];
    [
        &[0x30, 0x80][..],
        oid,
        &[0xa0, 0x80, 0x30, 0x80],
        signed_data,
        &end,
    ]
    .concat()
}

#[tokio::test]
async fn streamed_ber_is_read_like_der() {
    let house = house(KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    let der = house.sealer.seal_entity(sha256(b"abc\r\n"), now()).await.unwrap();
    let ber = streamed(&der);
    write("content", b"abc\r\n");
    write("cms.ber", &ber);
    write("ca.pem", house.pki.ca.certificate_pem.as_bytes());
    run(Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms.ber", "-content", "content",
        ])
        .args(["-CAfile", "ca.pem", "-attime", "1795466710", "-out", "out"]));
    let report = verify_entity(sha256(b"abc\r\n"), &ber, &house.trust);
    assert!(
        report.signature.is_ok() && report.trust.is_ok() && report.timestamp.is_ok(),
        "{report:?}"
    );

    // What openssl streams has the content inside: read, and refused as not detached.
    write("seal.pem", house.pki.seal.certificate_pem.as_bytes());
    write("seal.key", house.pki.seal.key_pem.as_bytes());
    run(Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "cms", "-sign", "-binary", "-stream", "-cades", "-md", "sha256", "-signer", "seal.pem",
        ])
        .args([
            "-inkey",
            "seal.key",
            "-in",
            "content",
            "-outform",
            "DER",
            "-out",
            "inside.ber",
        ]));
    let inside = std::fs::read(folder.path().join("inside.ber")).unwrap();
    assert_eq!(inside[1], 0x80, "not indefinite: the test tests nothing");
    let report = verify_entity(sha256(b"abc\r\n"), &inside, &house.trust);
    assert!(
        matches!(&report.signature, Finding::Failed(why) if why.contains("detached")),
        "{report:?}"
    );
}
