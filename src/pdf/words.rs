//! The words of the summary: Turkish, and English for what a reader abroad has to find. A judge reads them, not the user:
//! nothing here says "your mail". Reasons are told in the words of the notices (`rem::notice`).

use super::summary::Finding;
use crate::clock::UtcTime;
/// Digests as they stand in the manifest and as sha256sum prints them.
pub(super) use crate::domain::audit_chain::hex;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::job::{Act, Deed};
use crate::rem::notice::local_time;

/// What an evidence attests, as a title.
pub(super) fn title(kind: EvidenceKind, event: Event) -> (&'static str, &'static str) {
    use Event as E;
    use EvidenceKind as K;
    match (kind, event) {
        (K::SubmissionAcceptanceRejection, E::Acceptance) => {
            ("Gönderim için kabul edildi", "Accepted for sending")
        }
        (K::SubmissionAcceptanceRejection, _) => ("Gönderim için kabul edilmedi", "Not accepted for sending"),
        (K::RelayREMMDAcceptanceRejection, E::Acceptance) => (
            "Alıcının sağlayıcısı teslim aldı",
            "Taken over by the recipient's provider",
        ),
        (K::RelayREMMDAcceptanceRejection, _) => (
            "Alıcının sağlayıcısı kabul etmedi",
            "Refused by the recipient's provider",
        ),
        (K::RelayREMMDFailure, _) => (
            "Alıcının sağlayıcısına iletilemedi",
            "Not relayed to the recipient's provider",
        ),
        (K::RelayToNonREMSystem, E::Acceptance) => ("KEP dışı sisteme aktarıldı", "Relayed outside KEP"),
        (K::RelayToNonREMSystem, _) => ("KEP dışı sisteme aktarılamadı", "Not relayed outside KEP"),
        (K::ReceivedFromNonREMSystem, E::Rejection) => {
            ("KEP dışından alınmadı", "Not taken from outside KEP")
        }
        (K::ReceivedFromNonREMSystem, _) => ("KEP dışından alındı", "Taken from outside KEP"),
        (K::AcceptanceRejectionByRecipient, E::Rejection) => {
            ("Alıcı iletiyi reddetti", "Refused by the recipient")
        }
        (K::AcceptanceRejectionByRecipient, _) => ("Alıcı iletiyi kabul etti", "Accepted by the recipient"),
        (_, E::Delivery) => (
            "Alıcının posta kutusuna teslim edildi",
            "Delivered to the mailbox",
        ),
        (_, E::NonDelivery | E::DeliveryExpiration) => ("Alıcıya teslim edilemedi", "Not delivered"),
        (_, E::Retrieval) => ("Alıcı okudu", "Read by the recipient"),
        (_, E::RetrievalExpiration) => ("Süresinde okunmadı", "Not read in time"),
        (_, E::Download) => ("Alıcı indirdi", "Downloaded by the recipient"),
        (_, E::DownloadExpiration) => ("Süresinde indirilmedi", "Not downloaded in time"),
        (_, E::Acceptance) => ("Kabul", "Acceptance"),
        (_, E::Rejection) => ("Ret", "Rejection"),
    }
}

/// The kind of document, as practice calls it.
pub(super) fn kind_name(kind: EvidenceKind) -> &'static str {
    use EvidenceKind as K;
    match kind {
        K::SubmissionAcceptanceRejection => "Gönderim delili",
        K::RelayREMMDAcceptanceRejection => "İletim delili",
        K::RelayREMMDFailure => "İletim başarısızlık delili",
        K::DeliveryNonDeliveryToRecipient => "Teslim delili",
        K::DownloadNonDownloadByRecipient => "İndirme delili",
        K::RetrievalNonRetrievalByRecipient => "Okunma delili",
        K::AcceptanceRejectionByRecipient => "Alıcı beyanı delili",
        K::RelayToNonREMSystem => "KEP dışına aktarım delili",
        K::ReceivedFromNonREMSystem => "KEP dışından alım delili",
    }
}

pub(super) fn deed(deed: &Deed) -> &'static str {
    match deed {
        Deed::Decided(Act::Approve) => "Onayladı",
        Deed::Decided(Act::Reject) => "Reddetti",
        Deed::Decided(Act::Return) => "Yazarına iade etti",
        Deed::Decided(Act::Release) => "Gönderime verdi",
        Deed::Decided(Act::Withdraw) => "Geri çekti",
        Deed::Decided(Act::Cancel) => "İptal etti",
        Deed::Decided(Act::Delegate(_)) => "Kararı devretti",
        Deed::Decided(Act::Reassign(_)) => "Adımı başkasına verdi",
        Deed::Decided(Act::Undo) => "Kararını geri aldı",
        Deed::Started => "Onaya sundu",
        Deed::Noted => "Not bıraktı",
        Deed::Reminded => "Hatırlatıldı",
        Deed::BecameLate => "Gecikti",
        Deed::Escalated => "Üst makama açıldı",
        Deed::Stuck => "Karar verecek kimse kalmadı",
        Deed::Expired => "Süresi doldu",
        Deed::Left => "Gönderime verildi",
        Deed::HandedInAnew => "Yeniden sundu",
    }
}

pub(super) fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::Ok => "✓ geçerli",
        Finding::Failed(_) => "✗ GEÇERSİZ",
        Finding::Unknown(_) => "? belirsiz",
    }
}

/// What a level of the seal means to a reader.
pub(super) fn level(level: &str) -> (&'static str, &'static str) {
    match level {
        "B-B" => (
            "yalnızca imza, zaman damgası yok",
            "signature alone, no time-stamp",
        ),
        "B-T" => ("imza ve zaman damgası", "signature and time-stamp"),
        "B-LT" => (
            "imza, zaman damgası ve iptal bilgileri; kendi içinde doğrulanır",
            "with certificates and revocation values: verifies from itself",
        ),
        _ => ("", ""),
    }
}

/// The day and time of clocks in Türkiye; UTC beside it.
pub(super) fn both_times(moment: UtcTime) -> String {
    format!("{} (TSİ) · {} (UTC)", local_time(moment), moment.rfc3339())
}

/// A number of octets with points between the thousands, as Turkish writes it.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push('.');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::legal_pairs;
    use std::collections::HashMap;

    #[test]
    fn every_legal_pair_has_words_of_its_own() {
        let mut seen = HashMap::new();
        for (kind, event) in legal_pairs() {
            let words = title(kind, event);
            assert!(words.0 != "Kabul" && words.0 != "Ret");
            // Not delivered and not delivered in time are one thing to the reader.
            if event == Event::DeliveryExpiration && kind == EvidenceKind::DeliveryNonDeliveryToRecipient {
                continue;
            }
            assert_eq!(seen.insert(words, (kind, event)), None, "{words:?}");
        }
        assert_eq!(thousands(1_234_567), "1.234.567");
        assert_eq!(thousands(12), "12");
    }
}
