//! Every word a citizen reads in an envelope, an evidence message or a notice: Turkish, with English beside.
//!
//! Nothing else in the house writes such words. The legal text is the signed evidence; these sentences only tell of it.
//! The words about jobs are in `job`, those of judgements in `judgement` and `findings`, those of receipts in
//! `receipt`, those about credit in `credit`.

pub mod credit;
pub mod findings;
pub mod job;
pub mod judgement;
pub mod receipt;
pub mod signature;

use crate::clock::UtcTime;
use crate::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Extension, Reason};
use crate::mime::compose::html_text;
use std::time::Duration;

/// A text as plain text and as HTML, the same words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub plain: String,
    pub html: String,
}

/// One thing said twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both {
    pub tr: String,
    pub en: String,
}

fn both(tr: impl Into<String>, en: impl Into<String>) -> Both {
    Both {
        tr: tr.into(),
        en: en.into(),
    }
}

/// `23.11.2026 23:45:05` as clocks in Türkiye show it: UTC+3 the whole year since 2016.
pub fn local_time(moment: UtcTime) -> String {
    let text = moment.plus(Duration::from_secs(3 * 3600)).rfc3339();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let parts: Vec<&str> = date.split('-').collect();
    let day = parts.iter().rev().copied().collect::<Vec<_>>().join(".");
    format!("{day} {}", time.get(..8).unwrap_or(time))
}

/// What happened, in one sentence.
pub fn event_sentence(kind: EvidenceKind, event: Event) -> Both {
    use EvidenceKind as K;
    match (kind, event) {
        (K::SubmissionAcceptanceRejection, Event::Acceptance) => both(
            "KEP iletiniz gönderim için kabul edildi.",
            "Your registered mail was accepted for sending.",
        ),
        (K::SubmissionAcceptanceRejection, _) => both(
            "KEP iletiniz gönderim için kabul edilmedi.",
            "Your registered mail was not accepted for sending.",
        ),
        (K::RelayREMMDAcceptanceRejection, Event::Acceptance) => both(
            "Alıcının hizmet sağlayıcısı iletiyi teslim aldı.",
            "The recipient's provider took the mail over.",
        ),
        (K::RelayREMMDAcceptanceRejection, _) => both(
            "Alıcının hizmet sağlayıcısı iletiyi kabul etmedi.",
            "The recipient's provider refused the mail.",
        ),
        (K::RelayREMMDFailure, _) => both(
            "İleti, süresi içinde alıcının hizmet sağlayıcısına ulaştırılamadı.",
            "The mail could not reach the recipient's provider in time.",
        ),
        (K::AcceptanceRejectionByRecipient, Event::Acceptance) => {
            both("Alıcı iletiyi kabul etti.", "The recipient accepted the mail.")
        }
        (K::AcceptanceRejectionByRecipient, _) => {
            both("Alıcı iletiyi geri çevirdi.", "The recipient refused the mail.")
        }
        (K::RelayToNonREMSystem, Event::Acceptance) => both(
            "İleti KEP dışı bir sisteme aktarıldı.",
            "The mail was handed to a system outside registered mail.",
        ),
        (K::RelayToNonREMSystem, _) => both(
            "İleti KEP dışı sisteme aktarılamadı.",
            "The mail could not be handed to a system outside registered mail.",
        ),
        (K::ReceivedFromNonREMSystem, Event::Rejection) => both(
            "KEP dışı bir sistemden gelen ileti kabul edilmedi.",
            "A mail from a system outside registered mail was refused.",
        ),
        (K::ReceivedFromNonREMSystem, _) => both(
            "İleti KEP dışı bir sistemden geldi.",
            "The mail came from a system outside registered mail.",
        ),
        (_, Event::Delivery) => both(
            "İleti alıcının posta kutusuna konuldu.",
            "The mail was placed in the recipient's mailbox.",
        ),
        (_, Event::DeliveryExpiration) => both(
            "İletinin teslim edildiği süresi içinde doğrulanamadı.",
            "Delivery of the mail could not be confirmed in time.",
        ),
        (_, Event::Retrieval) => both("İleti alıcı tarafından okundu.", "The recipient read the mail."),
        (_, Event::RetrievalExpiration) => both(
            "İleti süresi içinde okunmadı.",
            "The mail was not read within the period.",
        ),
        (_, Event::Download) => both(
            "İleti alıcı tarafından indirildi.",
            "The recipient downloaded the mail.",
        ),
        (_, Event::DownloadExpiration) => both(
            "İleti süresi içinde indirilmedi.",
            "The mail was not downloaded within the period.",
        ),
        (_, _) => both(
            "İleti alıcının posta kutusuna konulamadı.",
            "The mail could not be placed in the recipient's mailbox.",
        ),
    }
}

/// Not read in time: the law counts the mail as read.
pub fn deemed_read(at: UtcTime) -> Both {
    both(
        format!(
            "İleti, okunma süresi dolduğundan {} tarihinde okunmuş sayılmıştır.",
            local_time(at)
        ),
        format!(
            "The period for reading has passed; the mail is deemed read as of {} (UTC+3).",
            local_time(at)
        ),
    )
}

/// A reason in words.
pub fn reason_words(reason: Reason) -> Both {
    use Reason as R;
    let (tr, en) = match reason {
        R::InvalidMessageFormat => ("ileti biçimi geçersiz", "invalid message format"),
        R::MalwareFound => ("zararlı yazılım bulundu", "malware found"),
        R::InvalidUserSignature => ("kullanıcı imzası geçersiz", "invalid user signature"),
        R::UserCertExpiredOrRevoked => (
            "kullanıcı sertifikasının süresi dolmuş veya iptal edilmiş",
            "user certificate expired or revoked",
        ),
        R::PolicyViolation => ("kurallara aykırı", "policy violation"),
        R::PeerMalfunction => (
            "alıcı hizmet sağlayıcısında arıza",
            "malfunction at the recipient's provider",
        ),
        R::PeerNotIdentified => (
            "alıcı hizmet sağlayıcısı belirlenemedi",
            "the recipient's provider is unknown",
        ),
        R::PeerUnreachable => (
            "alıcı hizmet sağlayıcısına ulaşılamadı",
            "the recipient's provider is unreachable",
        ),
        R::NoDeliveryInfoFromPeer => (
            "alıcı hizmet sağlayıcısından teslim bilgisi gelmedi",
            "no delivery information from the recipient's provider",
        ),
        R::UnknownRecipient => ("alıcı bilinmiyor", "unknown recipient"),
        R::MailboxFull => ("posta kutusu dolu", "mailbox full"),
        R::TechnicalMalfunction => ("teknik arıza", "technical malfunction"),
        R::AttachmentFormatNotAccepted => ("ek dosya türü kabul edilmiyor", "attachment format not accepted"),
        R::RecipientRejection => ("alıcı geri çevirdi", "refused by the recipient"),
        R::RetentionPeriodExpired => ("süre doldu", "the period has passed"),
        R::RegularEmailUnreachable => (
            "normal e-posta sistemine ulaşılamadı",
            "ordinary mail unreachable",
        ),
        R::RegularEmailNonOperational => (
            "normal e-posta sistemi çalışmıyor",
            "ordinary mail not operational",
        ),
        R::RegularEmailRejection => ("normal e-posta sistemi reddetti", "ordinary mail refused"),
        R::PrintingSystemUnreachable => ("baskı sistemine ulaşılamadı", "printing system unreachable"),
        R::PrintingSystemNonOperational => ("baskı sistemi çalışmıyor", "printing system not operational"),
        R::PrintingBufferFull => ("baskı kuyruğu dolu", "printing buffer full"),
        R::Other => ("diğer", "other"),
    };
    both(tr, en)
}

/// The introduction of a dispatch.
pub fn dispatch_intro(sender: &str, subject: &str, submitted_at: UtcTime, provider: &str) -> Text {
    let at = local_time(submitted_at);
    page(
        &both("KEP iletisi", "Registered mail"),
        &[
            both(
                format!("Bu KEP iletisi {sender} tarafından {at} tarihinde gönderilmiştir."),
                format!("This registered mail was sent by {sender} on {at} (UTC+3)."),
            ),
            both(format!("Konu: {subject}"), format!("Subject: {subject}")),
            both(
                format!("Özgün ileti ve KEP delili ektedir; zarf {provider} tarafından imzalanmıştır."),
                format!("The original and its evidence are attached; {provider} has signed the envelope."),
            ),
        ],
    )
}

/// The introduction of an evidence message: what, who, when, why.
pub fn evidence_intro(facts: &EvidenceFacts) -> Text {
    page(
        &both("KEP delili", "Registered mail evidence"),
        &evidence_lines(facts),
    )
}

fn evidence_lines(facts: &EvidenceFacts) -> Vec<Both> {
    let mut lines = vec![event_sentence(facts.kind, facts.event)];
    if facts.event == Event::RetrievalExpiration {
        lines.push(deemed_read(facts.event_time));
    }
    lines.push(both(
        format!("Zaman: {}", local_time(facts.event_time)),
        format!("Time: {} (UTC+3)", local_time(facts.event_time)),
    ));
    lines.push(both(
        format!("Gönderici: {}", facts.sender.address),
        format!("Sender: {}", facts.sender.address),
    ));
    let names: Vec<&str> = match facts.recipient() {
        Some(recipient) => vec![&recipient.address],
        None => facts.recipients.iter().map(|r| r.address.as_str()).collect(),
    };
    let names = names.join(", ");
    lines.push(both(format!("Alıcı: {names}"), format!("Recipient: {names}")));
    lines.push(both(
        format!("Konu: {}", facts.message.subject),
        format!("Subject: {}", facts.message.subject),
    ));
    if let Some(signature) = facts
        .sender_authentication
        .as_ref()
        .and_then(|a| a.signature.as_ref())
    {
        let (who, profile) = (&signature.signer, signature::profile_words(signature.profile));
        lines.push(both(
            format!(
                "İletiyi imzalayan: {who} (nitelikli elektronik sertifika, {})",
                profile.tr
            ),
            format!(
                "The mail is signed by: {who} (qualified certificate, {})",
                profile.en
            ),
        ));
    }
    for reason in &facts.reasons {
        let words = reason_words(reason.reason);
        let details = reason
            .details
            .as_deref()
            .map(|d| format!(" ({d})"))
            .unwrap_or_default();
        lines.push(both(
            format!("Neden: {}{details}", words.tr),
            format!("Reason: {}{details}", words.en),
        ));
    }
    for extension in &facts.extensions {
        if let Extension::Note { text, .. } = extension {
            lines.push(both(format!("Not: {text}"), format!("Note: {text}")));
        }
    }
    lines.push(both(
        "Ekteki XML dosyası delilin kendisidir; üzerinde yapılacak her değişiklik onu geçersiz kılar.",
        "The attached XML file is the evidence itself; any change makes it invalid.",
    ));
    lines
}

/// The subject of an evidence message.
pub fn evidence_subject(facts: &EvidenceFacts) -> String {
    let word = match (facts.kind, facts.event) {
        (EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance) => "Kabul",
        (EvidenceKind::SubmissionAcceptanceRejection, _) => "Kabul edilmedi",
        (EvidenceKind::RelayREMMDAcceptanceRejection, Event::Acceptance) => "Aktarıldı",
        (EvidenceKind::RelayREMMDAcceptanceRejection, _) => "Aktarım reddedildi",
        (EvidenceKind::RelayREMMDFailure, _) => "Ulaştırılamadı",
        (EvidenceKind::AcceptanceRejectionByRecipient, Event::Acceptance) => "Alıcı kabul etti",
        (EvidenceKind::AcceptanceRejectionByRecipient, _) => "Alıcı geri çevirdi",
        (_, Event::Delivery) => "Teslim edildi",
        (_, Event::NonDelivery | Event::DeliveryExpiration) => "Teslim edilemedi",
        (_, Event::Retrieval) => "Okundu",
        (_, Event::RetrievalExpiration) => "Okunmuş sayıldı",
        (_, Event::Download) => "İndirildi",
        (_, Event::DownloadExpiration) => "İndirilmedi",
        (_, Event::Acceptance) => "Kabul",
        (_, Event::Rejection) => "Ret",
    };
    format!("KEP Delili - {word}: {}", facts.message.subject)
}

/// A limited user's mail matched no rule and became a draft.
pub fn draft_for_no_rule(subject: &str, rules: &[String]) -> Text {
    let list = if rules.is_empty() {
        "-".to_owned()
    } else {
        rules.join(", ")
    };
    page(
        &both(
            "İleti taslak olarak kaydedildi",
            "The message was kept as a draft",
        ),
        &[
            both(format!("Konu: {subject}"), format!("Subject: {subject}")),
            both(
                "İletiniz hiçbir iş akışı kuralına uymadı; gönderilmedi, Taslaklar klasörüne konuldu.",
                "Your message matched no approval rule; it was not sent and lies in your drafts.",
            ),
            both(format!("Tanımlı kurallar: {list}"), format!("Rules: {list}")),
            both(
                "Bir akışı başlatmak için taslağı İş Akışları altındaki klasörlerden birine taşıyın.",
                "To start a flow, move the draft into one of the folders under İş Akışları.",
            ),
        ],
    )
}

/// The provider's name shown in From on behalf of a sender.
pub fn on_behalf(sender: &str) -> String {
    format!("{sender} adına (on behalf of)")
}

fn page(title: &Both, lines: &[Both]) -> Text {
    let plain = |pick: fn(&Both) -> &String| {
        let body: Vec<&str> = lines.iter().map(|line| pick(line).as_str()).collect();
        format!("{}\n\n{}\n", pick(title), body.join("\n"))
    };
    let html = |lang: &str, pick: fn(&Both) -> &String| {
        let body: String = lines
            .iter()
            .map(|line| format!("<p>{}</p>\n", html_text(pick(line))))
            .collect();
        format!(
            "<div lang=\"{lang}\">\n<h3>{}</h3>\n{body}</div>\n",
            html_text(pick(title))
        )
    };
    Text {
        plain: format!("{}\n--------\n\n{}", plain(|b| &b.tr), plain(|b| &b.en)),
        html: format!(
            "<!DOCTYPE html>\n<html><body>\n{}<hr>\n{}</body></html>\n",
            html("tr", |b| &b.tr),
            html("en", |b| &b.en)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::legal_pairs;
    use crate::rem::evidence::tests::facts;
    use std::collections::HashSet;

    #[test]
    fn every_event_has_its_own_words_in_both_languages() {
        let (mut all, mut subjects) = (HashSet::new(), HashSet::new());
        // Kinds that no road here makes share short words.
        let is_alike = |kind, event| {
            use EvidenceKind as K;
            let made = !matches!(kind, K::RelayToNonREMSystem | K::ReceivedFromNonREMSystem);
            !made || event == Event::DeliveryExpiration
        };
        for (kind, event) in legal_pairs() {
            let said = event_sentence(kind, event);
            assert_ne!(said.tr, said.en);
            assert!(
                all.insert(said.tr.clone()),
                "{kind:?} {event:?} has the words of another"
            );
            let facts = facts(kind, event);
            let text = evidence_intro(&facts);
            assert!(text.plain.contains("Not: şğ") && text.plain.contains("Note: şğ"));
            assert!(subjects.insert(evidence_subject(&facts)) || is_alike(kind, event));
            assert!(text.plain.contains(&said.tr) && text.plain.contains(&said.en));
            assert!(!text.html.contains("<5>"), "the subject is escaped");
        }
    }

    #[test]
    fn clocks_of_turkiye() {
        assert_eq!(
            local_time(UtcTime::from_unix_s(1_795_466_705)),
            "23.11.2026 23:45:05"
        );
        assert!(
            deemed_read(UtcTime::from_unix_s(0))
                .tr
                .contains("01.01.1970 03:00:00")
        );
    }
}
