//! What reports say of our own documents, of foreign ones and of forged ones.

use super::report::{entries, words};
use super::{Basis, Judged, OriginalMatch, Piece, judge};
use crate::clock::{ManualClock, UtcTime};
use crate::cms::algorithm::sha256;
use crate::cms::crl::Entry;
use crate::cms::{RevocationReason, RevocationShelf};
use crate::rem::notice::judgement::Language;
use crate::seal::pki::{Credential, DevPki, KeyAlgorithm, Plan};
use crate::seal::revoking::RevocationOffice;
use crate::seal::tsa::{DevAuthority, LocalTransport, SystemNonces, TimestampClient};
use crate::seal::{SealKey, Sealer, TrustStore};
use base64::Engine as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-23T20:45:05Z
const NOW: UtcTime = UtcTime::from_unix_s(1_795_466_705);

fn sample(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/samples/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

fn pki(seal_key: KeyAlgorithm) -> DevPki {
    DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec![],
        not_before: NOW.minus(Duration::from_secs(86_400)),
        not_after: NOW.plus(Duration::from_secs(86_400 * 365)),
        seal_key,
    })
    .unwrap()
}

fn trust(pki: &DevPki) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    trust
}

async fn sealed(pki: &DevPki, document: &[u8]) -> Vec<u8> {
    let key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    let authority = DevAuthority::new(key, pki.tsa.certificate().unwrap()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(NOW)), 1);
    let stamps = TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), Arc::new(trust(pki)));
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let sealer = Sealer::new(key, vec![pki.seal.certificate().unwrap()], stamps).unwrap();
    sealer.seal_evidence(document, NOW).await.unwrap()
}

/// The minimal sample, about an original of our own.
fn about(original: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(sample("own-minimal-submission-acceptance.xml")).unwrap();
    let digest = base64::engine::general_purpose::STANDARD.encode(sha256(original));
    assert!(text.contains(">AAAA<"));
    text.replace(">AAAA<", &format!(">{digest}<")).into_bytes()
}

fn one(octets: &[u8], original: Option<&[u8]>, trust: &TrustStore) -> Judged {
    let mut all = judge("delil.xml", octets, original.map(sha256), trust);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_report_says_who_what_when_and_of_which_original() {
    let pki = pki(KeyAlgorithm::P256);
    let original = b"Subject: a\r\n\r\nb\r\n";
    let document = sealed(&pki, &about(original)).await;
    let trust = trust(&pki);
    let judged = one(&document, Some(original), &trust);
    assert!(judged.is_ok(), "{judged:?}");
    assert_eq!(
        (judged.original, judged.piece),
        (OriginalMatch::Same, Piece::Evidence)
    );
    let turkish = words(&judged, Language::Turkish);
    for said in [
        "şema: uygun",
        "zaman damgası: uygun",
        "mühürleyen: CN=KEP hs01.kep.test Seal",
        "damga zamanı: 2026-11-23T20:45:05Z (23.11.2026 23:45:05 UTC+3)",
        "Kanıtladığı:",
        "KEP iletiniz gönderim için kabul edildi. (SubmissionAcceptanceRejection / Acceptance)",
        "özgün ileti: verilen ileti budur",
        "Sonuç: GEÇERLİ",
    ] {
        assert!(turkish.contains(said), "{said}\n{turkish}");
    }
    assert!(
        !turkish.contains("failed") && !turkish.contains("geçersiz"),
        "{turkish}"
    );
    // The same octets and anchors, the same report.
    assert_eq!(
        turkish,
        words(&one(&document, Some(original), &trust), Language::Turkish)
    );

    let other = one(&document, Some(b"another"), &trust);
    assert!(other.findings.all_ok() && !other.is_ok() && other.is_failed());
    let english = words(&other, Language::English);
    assert!(english.contains("the message given is another one") && english.contains("Result: INVALID"));
    assert!(
        english.contains("What it claims, without being proof:"),
        "{english}"
    );
    let absent = one(&document, None, &trust);
    assert!(absent.is_ok() && absent.original == OriginalMatch::NotGiven);
    let values = entries(&absent);
    let value = |name| values.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    assert_eq!(value("original"), "not given");
    assert_eq!(value("trusted_at"), "2026-11-23T20:45:05Z");
    assert_eq!(value("states")["event"], "Acceptance");
    assert_eq!(
        value("states")["original_sha256"].as_str().map(str::len),
        Some(64)
    );
}

#[tokio::test]
async fn without_anchors_nothing_is_decided_and_a_changed_word_is() {
    let pki = pki(KeyAlgorithm::P256);
    let document = sealed(&pki, &about(b"a")).await;
    let nobody = one(&document, None, &TrustStore::new());
    assert!(!nobody.is_ok() && !nobody.is_failed());
    assert!(words(&nobody, Language::English).contains("Result: UNDECIDED"));
    let changed = String::from_utf8(document)
        .unwrap()
        .replacen("EventTime>2", "EventTime>1", 1);
    let changed = one(changed.as_bytes(), None, &trust(&pki));
    assert!(changed.is_failed());
    assert_eq!(changed.remarks, ["the document is not the one that was signed"]);
    let turkish = words(&changed, Language::Turkish);
    assert!(
        turkish.contains("ayrıca: belge, imzalanan belge değil"),
        "{turkish}"
    );
}

#[test]
fn samples_of_others_get_findings_of_their_own() {
    let trust = trust(&pki(KeyAlgorithm::P256));
    let found = |name: &str| {
        let judged = one(&sample(name), None, &trust);
        assert!(judged.is_failed(), "{name}");
        (words(&judged, Language::English), judged)
    };
    let (old, judged) = found("muell16-submission-acceptance-signed.xml");
    for said in [
        "schema: failed: the value of SubmissionAcceptanceRejection/@Id is not a name that may be an ID",
        "also: the signature algorithm is RSA with SHA-1, which is no longer secure",
        "also: the element that names the signing certificate is empty",
        "also: the document is not the one that was signed",
        "the evidence states no SHA-256 digest",
    ] {
        assert!(old.contains(said), "{said}\n{old}");
    }
    // What it says is shown all the same, as a claim.
    assert_eq!(judged.facts.unwrap().issuer.name, "domibus-red");
    let (plain, _) = found("vefa-sample-rem.xml");
    assert!(
        plain.contains("also: it is a plain XML signature, not XAdES"),
        "{plain}"
    );
    let (comment, _) = found("vefa-sample-signed-rem.xml");
    assert!(comment.contains("signature: failed: the document is refused before parsing: it has a comment"));
    let (unsigned, _) = found("own-minimal-submission-acceptance.xml");
    assert!(
        unsigned.contains("schema: ok") && unsigned.contains("also: it has no signature"),
        "{unsigned}"
    );
}

/// The other spelling of the event, which some write, is read as the same event.
#[test]
fn both_spellings_of_an_event_are_one() {
    let text = String::from_utf8(about(b"a")).unwrap();
    let other = text.replace("http:uri.etsi.org/02640/Event#", "http://uri.etsi.org/REM/Event#");
    assert_ne!(other, text);
    let facts = |text: &str| one(text.as_bytes(), None, &TrustStore::new()).facts.unwrap();
    assert_eq!(facts(&other), facts(&text));
}

/// An old signature by RSA with SHA-1 whose arithmetic comes out (xmlsec1 made it): refused, and told so exactly.
#[test]
fn an_old_algorithm_is_refused_although_its_value_holds() {
    let pki = pki(KeyAlgorithm::Rsa3072);
    let dir = tempfile::tempdir().unwrap();
    let signature = r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"/>
<ds:Reference URI=""><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/><ds:DigestValue/></ds:Reference></ds:SignedInfo>
<ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"##;
    let end = "</rem:SubmissionAcceptanceRejection>";
    let document = String::from_utf8(about(b"a")).unwrap();
    assert!(document.contains(end));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("t.xml", &document.replace(end, &format!("{signature}{end}")));
    write("seal.pem", &pki.seal.certificate_pem);
    write("seal.key", &pki.seal.key_pem);
    let run = Command::new("xmlsec1")
        .current_dir(dir.path())
        .args([
            "--sign",
            "--privkey-pem",
            "seal.key,seal.pem",
            "--output",
            "signed.xml",
            "t.xml",
        ])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let signed = std::fs::read_to_string(dir.path().join("signed.xml")).unwrap();
    let judged = one(signed.as_bytes(), None, &trust(&pki));
    let holds = "its value would hold for the certificate that came along";
    assert!(
        judged.is_failed() && judged.remarks.iter().any(|r| r == holds),
        "{:?}",
        judged.remarks
    );
    // Its value under another certificate's name, and its document changed.
    let value = signed.find("SignatureValue>").unwrap() + "SignatureValue>".len();
    let swapped = format!(
        "{}{}{}",
        &signed[..value],
        if &signed[value..=value] == "A" { "B" } else { "A" },
        &signed[value + 1..]
    );
    let judged = one(swapped.as_bytes(), None, &trust(&pki));
    assert!(
        judged
            .remarks
            .iter()
            .any(|r| r.starts_with("its value is not one of")),
        "{:?}",
        judged.remarks
    );
    let changed = signed.replacen("EventTime>2", "EventTime>1", 1);
    let judged = one(changed.as_bytes(), None, &trust(&pki));
    assert!(
        judged
            .remarks
            .iter()
            .any(|r| r == "the document is not the one that was signed"),
        "{:?}",
        judged.remarks
    );
}

#[test]
fn what_is_no_document_says_why() {
    let judged = judge("x", b"From: a@b\r\n\r\nno envelope\r\n", None, &TrustStore::new());
    assert_eq!(judged[0].piece, Piece::Unknown);
    let turkish = words(&judged[0], Language::Turkish);
    assert!(
        turkish.contains("şema: geçersiz: ileti multipart/signed değil"),
        "{turkish}"
    );
    let hostile = judge("a\u{1b}[2J\u{202e}b", b"<a/>", None, &TrustStore::new());
    assert!(words(&hostile[0], Language::English).starts_with("a?[2J?b\n"));
}

/// What is known of revocation is told of the seal and of the time-stamp, in both languages and for scripts.
#[tokio::test]
async fn the_standing_of_seal_and_stamp_is_told() {
    let pki = pki(KeyAlgorithm::P256);
    let document = sealed(&pki, &about(b"a")).await;
    let trust = trust(&pki);
    let office_key = SealKey::from_pem(&pki.ca.key_pem).unwrap();
    let mut office = RevocationOffice::new(office_key, pki.ca.certificate().unwrap()).unwrap();
    let told = |office: &RevocationOffice, of: UtcTime| {
        let mut shelf = RevocationShelf::default();
        shelf.add_list(&office.list(of).unwrap()).unwrap();
        let judged = judge("d", &document, None, Basis::known(&trust, &shelf)).remove(0);
        let [turkish, english] = [Language::Turkish, Language::English].map(|l| words(&judged, l));
        let value = |name| entries(&judged).into_iter().find(|(n, _)| *n == name).unwrap().1;
        (
            judged.is_ok(),
            turkish,
            english,
            [value("revocation"), value("stamp_revocation")],
        )
    };
    let has = |text: &str, said: &str| assert!(text.contains(said), "{said}\n{text}");

    // Nobody publishes anything about a self-run authority.
    let judged = one(&document, None, &trust);
    assert!(judged.is_ok());
    has(
        &words(&judged, Language::Turkish),
        "mühür sertifikasının iptal durumu: hakkında iptal bilgisi yayımlanmıyor",
    );
    has(
        &words(&judged, Language::English),
        "revocation of the time-stamp's certificate: nobody publishes anything about it",
    );

    let (ok, turkish, english, values) = told(&office, NOW);
    assert!(ok);
    has(
        &turkish,
        "damga sertifikasının iptal durumu: 2026-11-23T20:45:05Z anında iptal değil",
    );
    has(
        &english,
        "revocation of the seal's certificate: not revoked at 2026-11-23T20:45:05Z",
    );
    assert_eq!(values[0]["standing"], "valid");
    // A list of another time tells nothing of this one.
    let (ok, turkish, english, values) = told(&office, NOW.minus(Duration::from_secs(86_400)));
    assert!(!ok);
    has(
        &english,
        "revocation of the seal's certificate: not known: what is known of 'CN=KEP hs01.kep.test Seal",
    );
    has(&turkish, "mühür sertifikasının iptal durumu: bilinmiyor: 'CN=KEP");
    has(&turkish, "Sonuç: BELİRSİZ");
    assert_eq!(values[1]["standing"], "unknown");

    let hour = Duration::from_secs(3600);
    let revoke = |office: &mut RevocationOffice, credential: &Credential, at, reason| {
        let entry = Entry {
            revoked_at: at,
            reason,
            invalid_since: None,
        };
        office.revoke(&credential.certificate().unwrap(), entry);
    };
    revoke(
        &mut office,
        &pki.seal,
        NOW.plus(hour),
        RevocationReason::KeyCompromise,
    );
    let (ok, turkish, english, values) = told(&office, NOW.plus(hour * 2));
    assert!(ok, "{english}");
    has(&turkish, "bunun zararı yok");
    has(
        &english,
        "was revoked only later, at 2026-11-23T21:45:05Z (keyCompromise), which does no harm",
    );
    assert_eq!(values[0]["revoked_later"]["since"], "2026-11-23T21:45:05Z");

    // The authority of the time-stamp lost its key: then the time is nobody's word, unless a record proves it older.
    revoke(
        &mut office,
        &pki.tsa,
        NOW.plus(hour),
        RevocationReason::KeyCompromise,
    );
    let (ok, turkish, _, values) = told(&office, NOW.plus(hour * 2));
    assert!(!ok);
    has(&turkish, "zaman damgası: belirsiz: 'CN=KEP");
    has(
        &turkish,
        "(anahtar ele geçirilmiş); zaman damgasının daha eski olduğunu gösteren bir şey yok",
    );
    assert_eq!(values[1]["harmless"], false);

    revoke(&mut office, &pki.seal, NOW, RevocationReason::Superseded);
    let (ok, turkish, english, values) = told(&office, NOW.plus(hour * 2));
    assert!(!ok);
    has(&turkish, "tarihinden beri iptal (yenisiyle değiştirilmiş)");
    has(&turkish, "Sonuç: GEÇERSİZ");
    has(&english, "trust: failed: 'CN=KEP hs01.kep.test Seal");
    assert_eq!(
        (&values[0]["standing"], &values[0]["reason"]),
        (&"revoked".into(), &"superseded".into())
    );
}
