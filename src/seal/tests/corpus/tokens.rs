//! Time-stamps: tokens on signatures, in XML and in CMS, and the answers of authorities.

use super::super::forge::cms::{
    CmsDraft, SIGNATURE_TIME_STAMP, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, attribute, ess_v1, ess_v2,
    octets,
};
use super::super::forge::token::{POLICY, TokenDraft, response};
use super::super::forge::xml::{Draft, EXCLUSIVE};
use super::super::now;
use super::Says::{No, Yes};
use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::der::{self, context};
use crate::cms::signed::CONTENT_DATA;
use crate::cms::tsp::{self, StampError, Token};
use crate::cms::{ContentDigest, DigestAlgorithm};
use crate::seal::verifier::verify_entity;
use std::time::Duration;

type Make = fn(&[u8]) -> Vec<u8>;

/// Name, what openssl says to the token over the same octets, what the finding must say, the token.
type Row = (&'static str, Says, &'static str, fn(&[u8]) -> Vec<u8>);

fn honest(octets: &[u8]) -> TokenDraft {
    TokenDraft::honest(world(), octets)
}

fn with(octets: &[u8], edit: fn(&mut TokenDraft)) -> Vec<u8> {
    let mut t = honest(octets);
    edit(&mut t);
    t.der()
}

fn bent(octets: &[u8], bend: fn(&mut CmsDraft)) -> Vec<u8> {
    TokenDraft {
        bend,
        ..honest(octets)
    }
    .der()
}

/// The same token put on an XML signature and on a CMS one; both must say the same.
fn stamped(rows: &[Row]) {
    all(rows, |(name, judged, why, make)| {
        let xml = {
            let mut d = Draft::honest();
            d.stamps.clear();
            let mut p = d.sign();
            let token = make(p.value.as_bytes());
            p.unsigned = super::super::forge::xml::unsigned(&super::super::forge::xml::stamp(&token));
            let (says, words) = judges::openssl_ts(world(), p.value.as_bytes(), &token);
            if says != *judged {
                return Some(format!("{name}: openssl {says:?} {words}"));
            }
            judge(p.text().as_bytes()).findings
        };
        let d = CmsDraft::honest(&world().seal, b"abc");
        let cms = with_token(&d, *make);
        let entity = verify_entity(sha256(b"abc"), &cms, &world().trust);
        let wanted = match *why {
            "" => Finding::Ok,
            why => Finding::Failed(why.to_owned()),
        };
        let ok = xml.signature.is_ok()
            && xml.timestamp == wanted
            && entity.signature.is_ok()
            && entity.timestamp == wanted;
        (!ok).then(|| {
            format!(
                "{name}:\n  XML {:?} {}\n  CMS {:?} {}\n  wanted {wanted}",
                xml.signature, xml.timestamp, entity.signature, entity.timestamp
            )
        })
    });
}

/// An entity's signature with the token that `make` makes over its value.
fn with_token(d: &CmsDraft, make: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    use std::cell::Cell;
    thread_local!(static MAKE: Cell<Make> = const { Cell::new(|_| Vec::new()) });
    MAKE.set(make);
    let mut d = d.clone();
    d.signers[0].unsigned = |value| vec![attribute(SIGNATURE_TIME_STAMP, &[&MAKE.get()(value)])];
    d.der()
}

#[test]
fn tokens_on_signatures() {
    const OTHER: &str = "the time-stamp is over other data";
    const PURPOSE: &str = "the certificate of the time-stamp has not the one critical purpose time-stamping";
    stamped(&[
        ("as it is", Yes, "", |o| honest(o).der()),
        ("over other octets", No, OTHER, |_| honest(b"other").der()),
        ("over the digest of the digest", No, OTHER, |o| {
            honest(&sha256(o)).der()
        }),
        ("over nothing", No, OTHER, |_| honest(b"").der()),
        (
            "an imprint that is called SHA-512",
            No,
            "not the expected DER: messageImprint",
            |o| with(o, |t| t.imprint_algorithm = DigestAlgorithm::Sha512.identifier()),
        ),
        (
            "an imprint of SHA-1",
            Yes,
            "not the expected DER: digest algorithm is not SHA-256, -384 or -512",
            |o| {
                use aws_lc_rs::digest;
                let mut t = honest(o);
                t.imprint_algorithm = der::sequence(&[&der::tlv(der::OID, &[&[0x2b, 0x0e, 3, 2, 0x1a]])]);
                t.imprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, o)
                    .as_ref()
                    .to_vec();
                t.der()
            },
        ),
        (
            "half an imprint",
            No,
            "not the expected DER: messageImprint",
            |o| with(o, |t| t.imprint.truncate(16)),
        ),
        ("the purpose not critical", No, PURPOSE, |o| {
            TokenDraft::by(&world().lax_tsa, o).der()
        }),
        ("two purposes", No, PURPOSE, |o| {
            TokenDraft::by(&world().double_tsa, o).der()
        }),
        ("no purpose: the signer stamps himself", No, PURPOSE, |o| {
            TokenDraft::by(&world().seal, o).der()
        }),
        (
            "an authority of nobody's, with the name of ours",
            No,
            "the signature of the issuer on 'CN=Stamps, C=TR' does not verify",
            |o| TokenDraft::by(&world().stray_tsa, o).der(),
        ),
        (
            "an authority whose certificate begins later",
            No,
            "'CN=Later Stamps, C=TR' is valid from 2027-11-01T00:00:00Z to 2036-11-20T20:45:05Z, not at 2026-11-23T20:45:05Z",
            |o| TokenDraft::by(&world().later_tsa, o).der(),
        ),
        (
            "ten minutes before the signature",
            Yes,
            "the signer claims a time after the time-stamp",
            |o| with(o, |t| t.gen_time = now().minus(Duration::from_secs(600))),
        ),
        ("four minutes before: clocks differ", Yes, "", |o| {
            with(o, |t| t.gen_time = now().minus(Duration::from_secs(240)))
        }),
        (
            "before its authority's certificate",
            Yes,
            "'CN=Stamps, C=TR' is valid from 2026-11-22T20:45:05Z to 2036-11-20T20:45:05Z, not at 2026-11-21T20:45:05Z",
            |o| with(o, |t| t.gen_time = now().minus(Duration::from_secs(2 * 86_400))),
        ),
        (
            "TSTInfo of an unknown version",
            No,
            "not the expected DER: TSTInfo version",
            |o| with(o, |t| t.version = 2),
        ),
        (
            "octets behind TSTInfo",
            No,
            "not the expected DER: TSTInfo",
            |o| with(o, |t| t.tail = octets(b"x")),
        ),
        (
            "it names another authority",
            No,
            "the time-stamp names another authority than its signer",
            |o| {
                with(o, |t| {
                    t.tail = der::tlv(
                        context(0),
                        &[&der::tlv(context(4), &[world().other.certificate.subject_der()])],
                    )
                })
            },
        ),
        ("it names its authority", Yes, "", |o| {
            with(o, |t| {
                t.tail = der::tlv(
                    context(0),
                    &[&der::tlv(context(4), &[world().tsa.certificate.subject_der()])],
                )
            })
        }),
        (
            "a critical extension",
            Yes,
            "the time-stamp has a critical extension that is not understood",
            |o| {
                with(o, |t| {
                    let one = der::sequence(&[
                        &der::tlv(der::OID, &[&[0x2a, 3]]),
                        &der::tlv(der::BOOLEAN, &[&[0xff]]),
                        &octets(b"x"),
                    ]);
                    t.tail = der::tlv(context(1), &[&one]);
                })
            },
        ),
        ("an extension that is not critical", Yes, "", |o| {
            with(o, |t| {
                let one = der::sequence(&[&der::tlv(der::OID, &[&[0x2a, 3]]), &octets(b"x")]);
                t.tail = der::tlv(context(1), &[&one]);
            })
        }),
        (
            "content of another type",
            No,
            "the time-stamp token: the signature does not follow the profile: not a time-stamp token",
            |o| with(o, |t| t.content_type = CONTENT_DATA.to_vec()),
        ),
        (
            "detached",
            No,
            "the time-stamp token: the signature does not follow the profile: not a time-stamp token",
            |o| bent(o, |d| d.content = None),
        ),
        (
            "its content exchanged",
            No,
            "the time-stamp token: the content is not what was signed",
            |_| bent(b"other", |d| d.content = Some(honest(b"x").info())),
        ),
        (
            "no certificate",
            No,
            "the time-stamp token: the signature does not follow the profile: the signer's certificate is not in the signature",
            |o| bent(o, |d| d.certificates.clear()),
        ),
        (
            "no signing-certificate attribute",
            No,
            "the time-stamp token: the signature does not follow the profile: no signing-certificate attribute",
            |o| bent(o, |d| d.signers[0].remove(SIGNING_CERTIFICATE_V2)),
        ),
        ("the first version of it", Yes, "", |o| {
            bent(o, |d| {
                d.signers[0].remove(SIGNING_CERTIFICATE_V2);
                d.signers[0].set(SIGNING_CERTIFICATE, &[&ess_v1(&world().tsa.certificate)]);
            })
        }),
        (
            "the first version of another",
            No,
            "the time-stamp token: the signing-certificate attribute does not match the signer's certificate",
            |o| {
                bent(o, |d| {
                    d.signers[0].remove(SIGNING_CERTIFICATE_V2);
                    d.signers[0].set(SIGNING_CERTIFICATE, &[&ess_v1(&world().seal.certificate)]);
                })
            },
        ),
        (
            "the versions contradict",
            No,
            "the time-stamp token: the signing-certificate attribute does not match the signer's certificate",
            |o| {
                bent(o, |d| {
                    d.signers[0].set(SIGNING_CERTIFICATE, &[&ess_v1(&world().seal.certificate)])
                })
            },
        ),
        (
            "the second version of another",
            No,
            "the time-stamp token: the signing-certificate attribute does not match the signer's certificate",
            |o| {
                bent(o, |d| {
                    d.signers[0].set(SIGNING_CERTIFICATE_V2, &[&ess_v2(&world().seal.certificate, &[])])
                })
            },
        ),
        (
            "two signers",
            No,
            "the time-stamp token: not the expected DER: more than one signer",
            |o| {
                bent(o, |d| {
                    let again = d.signers[0].clone();
                    d.signers.push(again);
                })
            },
        ),
        (
            "a signature by another key",
            No,
            "the time-stamp token: the signature value does not verify",
            |o| bent(o, |d| d.signers[0].party = &world().seal),
        ),
    ]);
}

/// Stamps of other documents, stamps over what is not the canonical form, and several stamps of which one is wrong.
#[test]
fn stamps_that_do_not_belong() {
    const OTHER: &str = "failed: the time-stamp is over other data";
    let of = |text: String| judge(text.as_bytes()).findings;
    // The stamp of another document of the same signer.
    let mut p = Draft::honest().sign();
    let mut d = Draft::honest();
    d.body.push('x');
    p.unsigned = d.sign().unsigned;
    assert_eq!(of(p.text()).timestamp.to_string(), OTHER);
    // Over the value's octets, or its text, and not over the canonical element.
    use base64::Engine as _;
    let mut d = Draft::honest();
    d.stamps = vec![|w, o| TokenDraft::honest(w, text_of(o).as_bytes()).der()];
    assert_eq!(of(d.sign().text()).timestamp.to_string(), OTHER);
    d.stamps = vec![|w, o| {
        let value = base64::engine::general_purpose::STANDARD
            .decode(text_of(o))
            .unwrap();
        TokenDraft::honest(w, &value).der()
    }];
    assert_eq!(of(d.sign().text()).timestamp.to_string(), OTHER);
    // Two stamps: both right, one wrong, in both orders.
    let good: fn(&'static super::super::forge::World, &[u8]) -> Vec<u8> =
        |w, o| TokenDraft::honest(w, o).der();
    let bad: fn(&'static super::super::forge::World, &[u8]) -> Vec<u8> =
        |w, _| TokenDraft::honest(w, b"x").der();
    for (stamps, wanted) in [
        (vec![good, good], "ok"),
        (vec![good, bad], OTHER),
        (vec![bad, good], OTHER),
        (vec![], "failed: there is no time-stamp on the signature"),
    ] {
        let mut d = Draft::honest();
        d.stamps = stamps;
        assert_eq!(of(d.sign().text()).timestamp.to_string(), wanted);
    }
    // A canonicalisation nobody allows, and one that would reach above the signature.
    let mut p = Draft::honest().sign();
    p.unsigned = p.unsigned.replace(EXCLUSIVE, "urn:x");
    assert_eq!(
        of(p.text()).signature.to_string(),
        format!(
            "failed: {}",
            profile("the canonicalisation of the time-stamp is not allowed")
        )
    );
    let mut d = Draft::honest();
    d.open = d.open.replace(" version", " xml:lang=\"tr\" version");
    let mut p = d.sign();
    p.unsigned = p
        .unsigned
        .replace(EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315");
    assert_eq!(
        of(p.text()).signature.to_string(),
        format!(
            "failed: {}",
            profile("xml: attributes above a time-stamped signature")
        )
    );
    // A token that is none.
    let mut d = Draft::honest();
    d.stamps = vec![|_, _| b"no token".to_vec()];
    assert_eq!(
        of(d.sign().text()).timestamp.to_string(),
        "failed: the time-stamp token: not the expected DER: ContentInfo"
    );
}

fn text_of(element: &[u8]) -> String {
    let text = String::from_utf8(element.to_vec()).unwrap();
    text.split_once('>')
        .unwrap()
        .1
        .split_once('<')
        .unwrap()
        .0
        .to_owned()
}

/// Answers of authorities, before any token is looked at.
#[test]
fn answers_of_authorities() {
    let token = honest(b"x").der();
    let free_text = der::sequence(&[&der::tlv(
        der::UTF8_STRING,
        &["kullan\u{131}c\u{131} yok\n".as_bytes()],
    )]);
    let failure = der::tlv(der::BIT_STRING, &[&[2, 0x20]]);
    let refusal = |status: u8, text: &str| StampError::Refused {
        status,
        text: text.to_owned(),
    };
    let rows: [(&str, Vec<u8>, Result<(), StampError>); 12] = [
        ("granted", response(0, &[], &token), Ok(())),
        (
            "granted with changes: the token is judged like any other",
            response(1, &free_text, &token),
            Ok(()),
        ),
        (
            "granted, and a failure stated",
            response(0, &failure, &token),
            Err(refusal(0, "failure 2")),
        ),
        (
            "granted with changes, and a failure stated",
            response(1, &[free_text.clone(), failure.clone()].concat(), &token),
            Err(refusal(1, "kullan\u{131}c\u{131} yok; failure 2")),
        ),
        (
            "granted without a token",
            response(0, &[], &[]),
            Err(der::DerError("a granted response without a token").into()),
        ),
        (
            "rejected, with a token",
            response(2, &failure, &token),
            Err(refusal(2, "failure 2")),
        ),
        ("waiting", response(3, &[], &[]), Err(refusal(3, ""))),
        (
            "an unknown status",
            response(99, &[], &token),
            Err(refusal(99, "")),
        ),
        (
            "a negative status",
            response(0xff, &[], &token),
            Err(der::DerError("small integer").into()),
        ),
        (
            "octets behind the token",
            response(0, &[], &[token.clone(), vec![5, 0]].concat()),
            Err(der::DerError("TimeStampResp").into()),
        ),
        (
            "words instead of an answer",
            b"<html>502 Bad Gateway</html>".to_vec(),
            Err(der::DerError("TimeStampResp").into()),
        ),
        ("nothing", Vec::new(), Err(der::DerError("TimeStampResp").into())),
    ];
    for (name, octets, wanted) in rows {
        assert_eq!(tsp::token_of_response(&octets).map(|_| ()), wanted, "{name}");
    }
}

/// What only the asker can see: nonce, policy, and a time of another day.
#[test]
fn tokens_for_another_asker() {
    let asked = ContentDigest::Sha256(sha256(b"x"));
    let nonce = [9; tsp::NONCE_OCTETS];
    let policies = [POLICY.to_owned()];
    let hour = Duration::from_secs(3600);
    let fresh = |edit: fn(&mut TokenDraft)| {
        let mut t = honest(b"x");
        t.nonce = Some(vec![9; tsp::NONCE_OCTETS]);
        edit(&mut t);
        let token = Token::read(&t.der()).unwrap();
        token.check_fresh(&asked, &nonce, &policies, now(), Duration::from_secs(60))
    };
    assert_eq!(fresh(|_| ()), Ok(()));
    assert_eq!(fresh(|t| t.nonce = None), Err(StampError::Nonce));
    assert_eq!(
        fresh(|t| t.nonce = Some(vec![8; tsp::NONCE_OCTETS])),
        Err(StampError::Nonce)
    );
    assert_eq!(
        fresh(|t| t.nonce = Some(vec![9; tsp::NONCE_OCTETS - 1])),
        Err(StampError::Nonce)
    );
    assert_eq!(
        fresh(|t| t.policy = "2.999.792.2".to_owned()),
        Err(StampError::Policy("2.999.792.2".to_owned()))
    );
    assert_eq!(fresh(|t| t.imprint = vec![7; 32]), Err(StampError::Imprint));
    for stamp in [now().minus(hour), now().plus(hour)] {
        let mut t = honest(b"x");
        t.nonce = Some(nonce.to_vec());
        t.gen_time = stamp;
        let token = Token::read(&t.der()).unwrap();
        let found = token.check_fresh(&asked, &nonce, &policies, now(), Duration::from_secs(60));
        assert_eq!(found, Err(StampError::Time { stamp, now: now() }));
    }
}
