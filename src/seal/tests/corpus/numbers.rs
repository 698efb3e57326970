//! Signature values at the edges of arithmetic and of their encodings: ECDSA and RSA, in XML and in CMS.
//!
//! High s: (r, n - s) verifies wherever (r, s) does. Nobody forbids it (SEC 1, FIPS 186-5 and XML Signature 1.1 have no
//! low-s rule), OpenSSL and we accept it, and it proves nothing else: the same key over the same octets. The time-stamp
//! is over the value, so a document whose value was turned over by a third hand fails there.

use super::super::forge::cms::CmsDraft;
use super::super::forge::xml::{Draft, RSA_SHA256, fixed, integers};
use super::Says::{No, Yes};
use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::der;
use crate::seal::verifier::verify_entity;

/// The order of P-256 (SEC 2 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const LENGTH: &str = "the signature value has not the length that its key gives";
const FAILED: &str = "signature value verification failed";

/// n - s.
fn turned(s: &[u8]) -> Vec<u8> {
    let s = [vec![0; 32 - s.len()], s.to_vec()].concat();
    let (mut out, mut borrow) = (vec![0; 32], 0i16);
    for i in (0..32).rev() {
        let d = i16::from(ORDER[i]) - i16::from(s[i]) - borrow;
        borrow = i16::from(d < 0);
        out[i] = d.rem_euclid(256) as u8;
    }
    out
}

/// a + b over equal lengths; None when it does not fit.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut carry) = (vec![0; a.len()], 0u16);
    for i in (0..a.len()).rev() {
        let d = u16::from(a[i]) + u16::from(b[i]) + carry;
        out[i] = d as u8;
        carry = d >> 8;
    }
    (carry == 0).then_some(out)
}

fn ecdsa(value: fn(&[u8]) -> Vec<u8>) -> String {
    let mut d = Draft::honest();
    d.stamps.clear();
    let made = d.sign();
    let info = crate::xml::canonical_form(made.signed_info.as_bytes()).unwrap();
    let good = d.party.sign(d.digest, &info);
    use base64::Engine as _;
    let mut p = made;
    let text = base64::engine::general_purpose::STANDARD.encode(value(&good));
    p.value = format!(
        "<ds:SignatureValue xmlns:ds=\"{}\">{text}</ds:SignatureValue>",
        super::super::forge::xml::DSIG
    );
    p.text()
}

fn halves(signature: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let f = fixed(signature, 32);
    (f[..32].to_vec(), f[32..].to_vec())
}

#[test]
fn ecdsa_values_in_xml() {
    let scalar = || broken(FAILED);
    refused(&[
        attack("r = 0", No, scalar(), || {
            ecdsa(|v| [vec![0; 32], halves(v).1].concat())
        }),
        attack("s = 0", No, scalar(), || {
            ecdsa(|v| [halves(v).0, vec![0; 32]].concat())
        }),
        attack("both 0", No, scalar(), || ecdsa(|_| vec![0; 64])),
        attack("r = n", No, scalar(), || {
            ecdsa(|v| [ORDER.to_vec(), halves(v).1].concat())
        }),
        attack("s = n", No, scalar(), || {
            ecdsa(|v| [halves(v).0, ORDER.to_vec()].concat())
        }),
        attack("s = 2^256 - 1", No, scalar(), || {
            ecdsa(|v| [halves(v).0, vec![0xff; 32]].concat())
        }),
        attack("r and s exchanged", No, broken(FAILED), || {
            ecdsa(|v| [halves(v).1, halves(v).0].concat())
        }),
        attack("empty", No, profile("an element that must hold one text"), || {
            ecdsa(|_| Vec::new())
        }),
        attack("r alone", No, profile(LENGTH), || ecdsa(|v| halves(v).0)),
        attack("an octet too long", No, profile(LENGTH), || {
            ecdsa(|v| [fixed(v, 32), vec![0]].concat())
        }),
        attack("halves of 33 octets", No, profile(LENGTH), || {
            ecdsa(|v| fixed(v, 33))
        }),
        attack("halves of 48 octets", No, profile(LENGTH), || {
            ecdsa(|v| fixed(v, 48))
        }),
        attack("in DER, as X9.62 has it", No, profile(LENGTH), || {
            ecdsa(<[u8]>::to_vec)
        }),
        attack("by the right key over other octets", No, broken(FAILED), || {
            ecdsa(|_| {
                fixed(
                    &world().seal.sign(crate::cms::DigestAlgorithm::Sha256, b"other"),
                    32,
                )
            })
        }),
    ]);
    let turned_over = ecdsa(|v| [halves(v).0, turned(&halves(v).1)].concat());
    let report = judge(turned_over.as_bytes());
    assert!(report.findings.signature.is_ok(), "{:?}", report.findings);
    assert_eq!(judges::xmlsec1(world(), turned_over.as_bytes()).0, Yes);
}

/// What a third hand turns over is noticed by the stamp.
#[test]
fn a_value_turned_over_breaks_its_stamp() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut p = Draft::honest().sign();
    let (open, rest) = p.value.split_once('>').unwrap();
    let (value, close) = rest.split_once('<').unwrap();
    let old = engine.decode(value).unwrap();
    let new = engine.encode([&old[..32], &turned(&old[32..])].concat());
    p.value = format!("{open}>{new}<{close}");
    let found = judge(p.text().as_bytes()).findings;
    assert!(found.signature.is_ok());
    assert_eq!(
        found.timestamp.to_string(),
        "failed: the time-stamp is over other data"
    );
}

fn der_of(r: &[u8], s: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::unsigned(r), &der::unsigned(s)])
}

/// A row of the tables for CMS: what becomes of an honest value.
type Row = (&'static str, Says, fn(Vec<u8>) -> Vec<u8>);

fn cms_values(rows: &[Row], party: &'static super::super::forge::Party) {
    all(rows, |(name, judged, value)| {
        let mut d = CmsDraft::honest(party, b"abc\r\n");
        d.signers[0].value = *value;
        let cms = d.der();
        let found = verify_entity(sha256(b"abc\r\n"), &cms, &world().trust).signature;
        let (says, words) = judges::openssl_cms(world(), b"abc\r\n", &cms);
        let wanted = Finding::Failed("the signature value does not verify".to_owned());
        (found != wanted || says != *judged).then(|| format!("{name}: {found}, openssl {says:?} {words}"))
    });
}

#[test]
fn ecdsa_values_in_cms() {
    cms_values(
        &[
            ("r = 0", No, |v| der_of(&[0], &integers(&v).1)),
            ("s = 0", No, |v| der_of(&integers(&v).0, &[0])),
            ("r = n", No, |v| der_of(&ORDER, &integers(&v).1)),
            ("s = s + n", No, |v| {
                let s = [vec![0], vec![0; 32 - integers(&v).1.len()], integers(&v).1].concat();
                der_of(&integers(&v).0, &sum(&s, &[&[0], &ORDER[..]].concat()).unwrap())
            }),
            ("a negative r", No, |v| {
                let (r, s) = integers(&v);
                der::sequence(&[&der::tlv(der::INTEGER, &[&[0xff], &r]), &der::unsigned(&s)])
            }),
            ("an overlong r", No, |v| {
                let (r, s) = integers(&v);
                der::sequence(&[&der::tlv(der::INTEGER, &[&[0, 0], &r]), &der::unsigned(&s)])
            }),
            ("an overlong length", No, |v| {
                [&[0x30, 0x81, v[1]], &v[2..]].concat()
            }),
            ("an indefinite length", No, |v| {
                [&[0x30, 0x80], &v[2..], &[0, 0]].concat()
            }),
            ("an octet behind", No, |v| [v, vec![0]].concat()),
            ("a third number", No, |v| {
                let (r, s) = integers(&v);
                der::sequence(&[&der::unsigned(&r), &der::unsigned(&s), &der::unsigned(&[1])])
            }),
            ("r || s, as XML has it", No, |v| fixed(&v, 32)),
            ("empty", No, |_| Vec::new()),
        ],
        &world().seal,
    );
    let mut d = CmsDraft::honest(&world().seal, b"abc\r\n");
    d.signers[0].value = |v| der_of(&integers(&v).0, &turned(&integers(&v).1));
    let cms = d.der();
    assert!(
        verify_entity(sha256(b"abc\r\n"), &cms, &world().trust)
            .signature
            .is_ok()
    );
    assert_eq!(judges::openssl_cms(world(), b"abc\r\n", &cms).0, Yes);
}

/// DigestInfo of SHA-256 with its parameters and the digest as they are given.
fn digest_info(parameters: &[u8], digest: &[u8]) -> Vec<u8> {
    let oid = der::tlv(
        der::OID,
        &[&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]],
    );
    der::sequence(&[
        &der::sequence(&[&oid, parameters]),
        &der::tlv(der::OCTET_STRING, &[digest]),
    ])
}

const NULL: &[u8] = &[der::NULL, 0];

/// 00 01 FF.. 00 `info`, filled up to the modulus' length.
fn padded(info: &[u8]) -> Vec<u8> {
    [&[0, 1][..], &vec![0xff; 256 - 3 - info.len()], &[0], info].concat()
}

type Encoding = fn(&[u8]) -> Vec<u8>;

/// Encoded messages that lenient verifiers took, all raised to the private exponent for real.
fn rsa_encodings() -> Vec<(&'static str, Encoding)> {
    vec![
        // Bleichenbacher 2006: eight octets of padding, the digest, and whatever makes a cube.
        ("garbage behind the digest", |m| {
            let info = digest_info(NULL, &sha256(m));
            let head = [&[0, 1][..], &[0xff; 8], &[0], &info].concat();
            [head.clone(), vec![0x5a; 256 - head.len()]].concat()
        }),
        ("garbage inside the parameters", |m| {
            let room = 256 - 3 - 8 - 53 - 6;
            let filler = der::tlv(der::OCTET_STRING, &[&vec![0x5a; room]]);
            let info = digest_info(&filler, &sha256(m));
            padded(&info)
        }),
        ("garbage behind the digest, inside the SEQUENCE", |m| {
            let good = digest_info(NULL, &sha256(m));
            let inner = &good[2..];
            padded(&der::sequence(&[inner, &[0x5a; 100]]))
        }),
        ("no NULL", |m| padded(&digest_info(&[], &sha256(m)))),
        ("a long length of the SEQUENCE", |m| {
            let good = digest_info(NULL, &sha256(m));
            padded(&[&[0x30, 0x81, good[1]], &good[2..]].concat())
        }),
        ("a long length of the digest", |m| {
            let good = digest_info(NULL, &sha256(m));
            let cut = good.len() - 34;
            padded(
                &[
                    &[0x30, good[1] + 1],
                    &good[2..cut],
                    &[4, 0x81, 32],
                    &good[cut + 2..],
                ]
                .concat(),
            )
        }),
        ("an indefinite length", |m| {
            let good = digest_info(NULL, &sha256(m));
            padded(&[&[0x30, 0x80], &good[2..], &[0, 0]].concat())
        }),
        ("padding of seven octets", |m| {
            let info = digest_info(NULL, &sha256(m));
            let zeros = vec![0; 256 - 3 - 7 - info.len()];
            [&[0, 1][..], &[0xff; 7], &[0], &zeros, &info].concat()
        }),
        ("no padding", |m| {
            let info = digest_info(NULL, &sha256(m));
            [vec![0; 256 - info.len()], info].concat()
        }),
        ("padding of type 2", |m| {
            let mut out = padded(&digest_info(NULL, &sha256(m)));
            out[1] = 2;
            out
        }),
        ("padding of type 0", |m| {
            let info = digest_info(NULL, &sha256(m));
            [vec![0; 256 - info.len()], info].concat()
        }),
        ("one octet of the padding is another", |m| {
            let mut out = padded(&digest_info(NULL, &sha256(m)));
            out[100] = 0xfe;
            out
        }),
        ("no zero behind the padding", |m| {
            let mut out = padded(&digest_info(NULL, &sha256(m)));
            let info = digest_info(NULL, &[0; 32]).len();
            out[255 - info] = 0xff;
            out
        }),
        ("the digest alone", |m| padded(&sha256(m))),
        ("called SHA-512", |m| {
            let mut info = digest_info(NULL, &sha256(m));
            info[14] = 3;
            padded(&info)
        }),
        ("the digest cut", |m| padded(&digest_info(NULL, &sha256(m)[..31]))),
        ("the digest with a tail", |m| {
            padded(&digest_info(NULL, &[&sha256(m)[..], &[0]].concat()))
        }),
        ("the padding of X9.31", |m| {
            let mut out = [
                vec![0x6b],
                vec![0xbb; 256 - 1 - 1 - 32 - 2],
                vec![0xba],
                sha256(m).to_vec(),
                vec![0x34, 0xcc],
            ]
            .concat();
            out[0] = 0x6b;
            out
        }),
    ]
}

#[test]
fn rsa_paddings() {
    let encodings = rsa_encodings();
    for party in [&world().rsa, &world().rsa_e3] {
        all(&encodings, |(name, encode)| {
            let mut d = Draft::by(party, RSA_SHA256);
            d.stamps.clear();
            let info = crate::xml::canonical_form(d.sign().signed_info.as_bytes()).unwrap();
            let value = party.raw_rsa(&encode(&info));
            let (xml, says) = rsa_document(&d, &value);
            let wanted = Finding::Failed(broken(FAILED).to_string());
            let in_xml =
                (xml != wanted || says == Yes).then(|| format!("{name} in XML: {xml}, xmlsec1 {says:?}"));
            in_xml.or_else(|| rsa_signed_data(party, name, *encode))
        });
    }
}

/// The same in CMS: the octets that are signed are known only to the signer, so the value is put in afterwards.
fn rsa_signed_data(
    party: &'static super::super::forge::Party,
    name: &str,
    encode: fn(&[u8]) -> Vec<u8>,
) -> Option<String> {
    let mut d = CmsDraft::honest(party, b"abc\r\n");
    let attributes = d.signers[0].attributes.clone().unwrap();
    let parts: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    let value = party.raw_rsa(&encode(&der::tlv(der::SET, &parts)));
    d.signers[0].value = |_| vec![0xa5; 256];
    let cms = d.der();
    let at = cms.windows(256).position(|w| w == [0xa5; 256]).unwrap();
    let cms = [&cms[..at], &value, &cms[at + 256..]].concat();
    let found = verify_entity(sha256(b"abc\r\n"), &cms, &world().trust).signature;
    let says = judges::openssl_cms(world(), b"abc\r\n", &cms).0;
    let wanted = Finding::Failed("the signature value does not verify".to_owned());
    (found != wanted || says == Yes).then(|| format!("{name} in CMS: {found}, openssl {says:?}"))
}

fn rsa_document(d: &Draft, value: &[u8]) -> (Finding, Says) {
    use base64::Engine as _;
    let mut p = d.sign();
    let text = base64::engine::general_purpose::STANDARD.encode(value);
    p.value = format!(
        "<ds:SignatureValue xmlns:ds=\"{}\">{text}</ds:SignatureValue>",
        super::super::forge::xml::DSIG
    );
    let document = p.text();
    let found = judge(document.as_bytes()).findings.signature;
    (found, judges::xmlsec1(world(), document.as_bytes()).0)
}

/// The control: the honest encoding, made in the same way, verifies.
#[test]
fn the_honest_padding_verifies() {
    let party = &world().rsa;
    let mut d = Draft::by(party, RSA_SHA256);
    d.stamps.clear();
    let info = crate::xml::canonical_form(d.sign().signed_info.as_bytes()).unwrap();
    let value = party.raw_rsa(&padded(&digest_info(NULL, &sha256(&info))));
    assert_eq!(rsa_document(&d, &value), (Finding::Ok, Yes));
    // The same number written otherwise.
    let modulus = modulus(party);
    let fails = |value: &[u8], what: &str| {
        let why = match value.len() < 256 {
            true => profile("an RSA signature of less than 2048 bits"),
            false => broken(FAILED),
        };
        assert_eq!(
            rsa_document(&d, value),
            (Finding::Failed(why.to_string()), No),
            "{what}"
        );
    };
    fails(&[&[0], &value[..]].concat(), "a leading zero");
    fails(&value[..255], "an octet short");
    fails(&[&value[..], &[0]].concat(), "an octet long");
    fails(&modulus, "s = n");
    fails(&[0; 256], "s = 0");
    fails(&[&[0; 255][..], &[1]].concat(), "s = 1");
    // s + n is the same residue. It fits into the octets for (2^2048 - n) / n of the values: three in four or one in
    // hundreds, as the key happens to be.
    let beyond = (0..10_000).find_map(|i| {
        let mut d = d.clone();
        d.open = d.open.replace("version=\"2\"", &format!("version=\"{i}\""));
        let info = crate::xml::canonical_form(d.sign().signed_info.as_bytes()).unwrap();
        let value = party.sign(d.digest, &info);
        sum(&value, &modulus).map(|beyond| (d, beyond))
    });
    let (d, beyond) = beyond.expect("a value that fits");
    assert_eq!(
        rsa_document(&d, &beyond),
        (Finding::Failed(broken(FAILED).to_string()), No)
    );
}

fn modulus(party: &super::super::forge::Party) -> Vec<u8> {
    let spki = party.certificate.spki_der();
    let mut fields = der::whole(spki, der::SEQUENCE, "spki").unwrap();
    fields.any().unwrap();
    let key = fields.any().unwrap().value[1..].to_vec();
    let n = der::whole(&key, der::SEQUENCE, "key")
        .unwrap()
        .any()
        .unwrap()
        .value;
    n.strip_prefix(&[0]).unwrap_or(n).to_vec()
}
