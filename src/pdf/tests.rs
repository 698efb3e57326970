//! The print before judges that are not ours (poppler, qpdf), and what is on it.

use super::summary::*;
use super::*;
use crate::clock::UtcTime;
use crate::domain::evidence::{Event, EvidenceKind, Reason, ReasonDetail};
use crate::domain::job::{Act, Deed};
use crate::domain::signature::{PersonSignature, SignatureProfile, SignatureStanding};
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;

const START: i64 = 1_795_466_705;

fn at(minutes: i64) -> UtcTime {
    UtcTime::from_unix_s(START + minutes * 60)
}

fn document(n: usize, kind: EvidenceKind, event: Event, recipient: Option<&str>) -> Document {
    Document {
        file: format!("evidence/{n:02}-{}.xml", kind.element_name()),
        sha256: [n as u8; 32],
        kind,
        event,
        event_time: at(n as i64),
        stamp_time: Some(at(n as i64)),
        identifier: format!("0198-{n}"),
        issuer: "hs01.kep.test".into(),
        issuer_name: "Örnek KEP Hizmet Sağlayıcısı A.Ş.".into(),
        signer: Some("CN=hs01.kep.test seal, O=Örnek KEP Hizmet Sağlayıcısı A.Ş., C=TR".into()),
        recipient: recipient.map(str::to_owned),
        reasons: Vec::new(),
        other_reasons: Vec::new(),
        schema: Finding::Ok,
        signature: Finding::Ok,
        trust: Finding::Ok,
        timestamp: Finding::Ok,
        level: Some("B-T"),
        preserved: Preserved::NotYet,
        person: None,
        names_original: Some(true),
    }
}

fn approval(
    minutes: i64,
    who: &str,
    act: Act,
    step: Option<u16>,
    role: Option<&str>,
    note: &str,
) -> Approval {
    Approval {
        at: at(minutes),
        actor: who.into(),
        in_name_of: None,
        deed: Deed::Decided(act),
        to: None,
        rule: "Teklif".into(),
        step,
        role: role.map(str::to_owned),
        note: note.into(),
        on_original: true,
    }
}

/// The road of the demo, as a summary.
fn the_road() -> Summary {
    use Event as E;
    use EvidenceKind as K;
    let alici = Some("alici@hs02.kep.test");
    let mut relay = document(2, K::RelayREMMDAcceptanceRejection, E::Acceptance, alici);
    relay.issuer = "hs02.kep.test".into();
    Summary {
        prepared_at: at(600),
        provider: "hs01.kep.test".into(),
        mail: MailFacts {
            id: "0198c1de-0000-7000-8000-000000000001".into(),
            side: Side::Sent,
            subject: "Fiyat TEKLİFİ: Ağır İşçilik, Çığ Önleme, Düğüm ŞÖÜ ıİ".into(),
            sender: "ornekas@hs01.kep.test".into(),
            recipients: vec!["alici@hs02.kep.test".into()],
            message_id: "<20261123.204505@ornekas.example>".into(),
            rem_message_id: "0198c1de-0000-7000-8000-000000000001.0@hs01.kep.test".into(),
            submitted_at: Some(at(0)),
            original_sha256: [0xab; 32],
            original_size_bytes: 48_213,
        },
        documents: vec![
            document(1, K::SubmissionAcceptanceRejection, E::Acceptance, None),
            relay,
            document(3, K::DeliveryNonDeliveryToRecipient, E::Delivery, alici),
            document(4, K::RetrievalNonRetrievalByRecipient, E::Retrieval, alici),
        ],
        dispatches: vec![SealedCopy {
            file: "dispatch.eml".into(),
            sha256: [0xcd; 32],
            issuer: "hs01.kep.test".into(),
            stamp_time: Some(at(1)),
            preserved: Preserved::NotYet,
            signer: Some("CN=KEPHS hs01.kep.test".into()),
            signature: Finding::Ok,
            trust: Finding::Ok,
            timestamp: Finding::Ok,
        }],
        approvals: vec![
            approval(
                -90,
                "onay1@ornekas",
                Act::Approve,
                Some(1),
                Some("Onay Rolü"),
                "uygundur",
            ),
            approval(
                -60,
                "onay2@ornekas",
                Act::Approve,
                Some(2),
                Some("Onay Rolü2"),
                "Fiyatlar güncel.\r\nGönderilebilir.",
            ),
            approval(-1, "mudur@ornekas", Act::Release, None, None, ""),
        ],
        anchors: ["hs01.kep.test", "hs02.kep.test"]
            .map(|provider| Anchor {
                provider: provider.into(),
                subject: format!("CN={provider} CA, C=TR"),
                sha256: [0x5a; 32],
                not_before: at(-100_000),
                not_after: at(5_000_000),
            })
            .into(),
        attachments: vec![Attachment {
            name: "01-SubmissionAcceptanceRejection.xml".into(),
            media_type: "application/xml",
            octets: b"<a/>".to_vec(),
        }],
    }
}

/// The same, signed by a person; judged, preserved and failed in every way that is told.
fn the_signed_road() -> Summary {
    let mut summary = the_road();
    let signature = PersonSignature {
        profile: SignatureProfile::P4,
        signer: "AYŞE GÜLİZAR ÖRNEKOĞLU ÇIĞIR".into(),
        issuer: "Örnek Nitelikli Elektronik Sertifika Hizmet Sağlayıcısı S7 ığüşöçİĞÜŞÖÇ".into(),
        certificate_sha256: [0x3c; 32],
        claimed_at: Some(at(-2)),
        stamped_at: Some(at(-1)),
        judged_at: at(-1),
        standing: SignatureStanding::Final,
    };
    summary.documents[0].person = Some(Person {
        signature,
        masked_number: Some("172******60".into()),
    });
    summary.documents[0].level = Some("B-LT");
    summary.documents[0].preserved = Preserved::Since {
        since: at(900),
        until: at(900_000),
    };
    summary.documents[2].level = None;
    summary.documents[2].preserved = Preserved::Failed("the evidence record has no time-stamp".into());
    summary.dispatches[0].preserved = summary.documents[0].preserved.clone();
    summary
}

#[test]
fn the_person_who_signed_levels_and_evidence_records_are_told() {
    let (summary, dir) = (the_signed_road(), tempfile::tempdir().unwrap());
    let octets = Press::new().unwrap().print(&summary).unwrap();
    std::fs::write(dir.path().join("s.pdf"), octets).unwrap();
    ask(dir.path(), "pdftotext", &["-layout", "s.pdf", "s.txt"]);
    let text = std::fs::read_to_string(dir.path().join("s.txt")).unwrap();
    for words in [
        "İletiyi imzalayan kişi",
        "AYŞE GÜLİZAR ÖRNEKOĞLU ÇIĞIR · TCKN 172******60",
        "ığüşöçİĞÜŞÖÇ",
        "23.11.2026 23:44:05 (zaman damgası)",
        "iptal edilmemiş (kesin)",
        "B-LT · imza, zaman damgası ve iptal bilgileri",
        "B-T · imza ve zaman damgası",
        "saptanamadı: imza geçerli değil",
        "24.11.2026 14:45:05 tarihinden beri",
        "henüz yok",
        "GEÇERSİZ: ",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("fully hold"), "{text}");
    assert!(
        text.contains("4 delil belgesinden 1 tanesi doğrulanamadı"),
        "{text}"
    );
    let mut doubtful = summary;
    doubtful.documents[0].trust = Finding::Unknown("?".into());
    let octets = Press::new().unwrap().print(&doubtful).unwrap();
    std::fs::write(dir.path().join("s.pdf"), octets).unwrap();
    ask(dir.path(), "pdftotext", &["-layout", "s.pdf", "s.txt"]);
    let text = std::fs::read_to_string(dir.path().join("s.txt")).unwrap();
    assert!(text.contains("tümüyle doğrulanamadı"), "{text}");
}

/// A mail to a thousand, whose words are hostile.
fn the_crowd() -> Summary {
    use EvidenceKind as K;
    let name =
        |n: usize| format!("cok.uzun.adli.kurum.birimi.numara{n:04}@bir-cok-uzun-alan-adi.hs02.kep.test");
    let mut crowd = the_road();
    crowd.mail.subject = format!("Ağ\u{202e}fdp.exe\r\nBcc: x 中文 {}", "İşÇğ".repeat(230));
    crowd.mail.recipients = (0..1000).map(name).collect();
    crowd.approvals[1].note = "satır\n".repeat(400);
    crowd.documents = (0..200)
        .map(|n| {
            document(
                n,
                K::DeliveryNonDeliveryToRecipient,
                Event::Delivery,
                Some(&name(n)),
            )
        })
        .collect();
    crowd.documents[7].trust = Finding::Failed("no path to an anchor".into());
    crowd.documents[8].event = Event::NonDelivery;
    crowd.documents[8].reasons = vec![ReasonDetail {
        reason: Reason::MailboxFull,
        details: Some("kota\u{7}".into()),
    }];
    crowd.documents[9].names_original = Some(false);
    crowd
}

fn print(summary: &Summary) -> Vec<u8> {
    Press::new().unwrap().print(summary).unwrap()
}

fn ask(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is installed: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{program}: {said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Written to a folder, past qpdf, and as text.
fn judged(summary: &Summary) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("s.pdf"), print(summary)).unwrap();
    ask(dir.path(), "qpdf", &["--check", "s.pdf"]);
    ask(dir.path(), "pdftotext", &["-layout", "s.pdf", "s.txt"]);
    let text = std::fs::read_to_string(dir.path().join("s.txt")).unwrap();
    (dir, text)
}

/// Without its blanks and ends of lines: what is broken into lines is found all the same.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn a_road_is_told_in_turkish_with_every_digest() {
    let (dir, text) = judged(&the_road());
    for said in [
        "Delil Özeti",
        "Fiyat TEKLİFİ: Ağır İşçilik, Çığ Önleme, Düğüm ŞÖÜ ıİ",
        "Delil belgelerinin tümü doğrulandı (4 belge)",
        "23.11.2026 23:45:05 (TSİ)",
        "2026-11-23T20:45:05Z (UTC)",
        &"ab".repeat(32),
        &"cd".repeat(32),
        &"04".repeat(32),
        &"5a".repeat(32),
        "onay2@ornekas",
        "Fiyatlar güncel. ⏎",
        "kepctl evidence verify evidence/*.xml --trust trust --offline",
        "sayfa 1 / ",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    // Column by column: embedded, subset, with a table back to Unicode.
    let fonts = ask(dir.path(), "pdffonts", &["s.pdf"]);
    let rows: Vec<&str> = fonts.lines().skip(2).collect();
    assert_eq!(rows.len(), 3, "{fonts}");
    for row in rows {
        assert!(row.contains("+DejaVu") && row.contains("yes yes yes"), "{fonts}");
    }
    let info = ask(dir.path(), "pdfinfo", &["s.pdf"]);
    assert!(
        info.contains("(A4)") && info.contains("JavaScript:      no"),
        "{info}"
    );
    let metadata = ask(dir.path(), "pdfinfo", &["-meta", "s.pdf"]);
    for said in ["<pdfaid:part>3<", "<pdfaid:conformance>B<"] {
        assert!(metadata.contains(said), "{metadata}");
    }
    assert!(
        info.contains("Title:           KEP delil özeti: Fiyat TEKLİFİ"),
        "{info}"
    );
    ask(dir.path(), "pdfdetach", &["-saveall", "s.pdf"]);
    let attached = std::fs::read(dir.path().join("01-SubmissionAcceptanceRejection.xml"));
    assert_eq!(attached.unwrap(), b"<a/>");
}

#[test]
fn the_same_summary_gives_the_same_octets() {
    assert_eq!(print(&the_road()), print(&the_road()));
    let mut later = the_road();
    later.prepared_at = at(601);
    assert_ne!(print(&the_road()), print(&later));
}

#[test]
fn a_thousand_recipients_and_hostile_words_stay_within_their_cells() {
    let (dir, text) = judged(&the_crowd());
    let whole = dense(&text);
    for said in [
        "Ağ‹U+202E›fdp.exe",
        "‹U+4E2D›‹U+6587›",
        "cok.uzun.adli.kurum.birimi.numara0999@",
        "ve 997 alıcı daha",
        "no path to an anchor",
        "posta kutusu dolu (kota‹U+0007›)",
        "200 delil belgesinden 2 tanesi doğrulanamadı",
        "alıcıya ilişkin delil yok",
    ] {
        assert!(whole.contains(&dense(said)), "{said}");
    }
    assert_eq!(whole.matches("satır").count(), 400);
    let turns = |c: char| c == '\u{202e}' || (c.is_control() && !matches!(c, '\n' | '\u{c}'));
    assert_eq!(text.chars().find(|c| turns(*c)), None);
    // Each page has its number, and the head of the table that goes on over it.
    let pages: Vec<&str> = text.trim_end_matches('\u{c}').split('\u{c}').collect();
    for (n, page) in pages.iter().enumerate() {
        assert!(
            page.contains(&format!("sayfa {} / {}", n + 1, pages.len())),
            "{page}"
        );
    }
    assert!(pages.len() > 60, "{}", pages.len());
    let heads = pages
        .iter()
        .filter(|p| p.contains("Alıcı ") && p.contains("Son durum"))
        .count();
    assert!(heads > 10, "{heads}");
    // Nothing lies outside the page: the words of every page have boxes within it.
    ask(dir.path(), "pdftotext", &["-bbox", "s.pdf", "s.html"]);
    let boxes = std::fs::read_to_string(dir.path().join("s.html")).unwrap();
    let number = |line: &str, name: &str| -> f32 {
        let from = line.split_once(&format!("{name}=\"")).unwrap().1;
        from.split_once('"').unwrap().0.parse().unwrap()
    };
    let mut words = 0;
    for line in boxes.lines().filter(|l| l.contains("<word")) {
        let (left, right) = (number(line, "xMin"), number(line, "xMax"));
        let (top, bottom) = (number(line, "yMin"), number(line, "yMax"));
        assert!(
            left >= 49.0 && right <= 546.5 && top >= 20.0 && bottom <= 835.0,
            "{line}"
        );
        words += 1;
    }
    assert!(words > 10_000, "{words}");
}

#[test]
fn what_was_not_found_good_is_not_called_good() {
    let mut summary = the_road();
    summary.documents[2].timestamp = Finding::Unknown("no anchors".into());
    let (_, text) = judged(&summary);
    assert!(text.contains("4 delil belgesinden 3 tanesi doğrulandı"), "{text}");
    assert!(text.contains("? belirsiz") && !text.contains("tümü doğrulandı"));
    summary.documents[1].signature = Finding::Failed("the digest differs".into());
    let (_, text) = judged(&summary);
    assert!(
        text.contains("4 delil belgesinden 1 tanesi doğrulanamadı"),
        "{text}"
    );
    summary.documents.clear();
    summary.approvals.clear();
    let (_, text) = judged(&summary);
    assert!(text.contains("Bu ileti için delil belgesi yoktur.") && text.contains("onay akışı kaydı yoktur"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_people_write_comes_to_a_pdf(
        subject in any::<String>(), sender in any::<String>(), note in "\\PC{0,400}", id in "[\\x00-\\x7f]{0,80}", why in any::<String>()
    ) {
        let mut summary = the_road();
        summary.mail.subject = subject;
        summary.mail.sender = sender.clone();
        summary.mail.recipients = vec![sender.clone(), String::new()];
        summary.mail.message_id = id.clone();
        summary.documents[0].identifier = id;
        summary.documents[1].recipient = Some(sender);
        summary.documents[2].trust = Finding::Unknown(why.clone());
        summary.documents[2].issuer_name = why;
        summary.approvals[0].note = note.clone();
        summary.approvals[1].role = Some(note);
        let press = Press::new().unwrap();
        prop_assert!(press.print(&summary).is_ok());
    }
}
