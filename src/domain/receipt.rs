//! In which form the evidence of a delivery is put before the sender of a mail (`docs/features.md` P5).
//!
//! The evidence is always the same signed document; the form says what lies beside it. The Italian PEC knows the same three
//! (`X-TipoRicevuta`: completa, breve, sintetica). The wish is fixed when a mail is accepted: what was promised then is kept.

use crate::domain::evidence::EvidenceKind;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptForm {
    /// The evidence alone.
    #[default]
    Summary,
    /// With the header of the original and a table of its parts and their digests.
    Brief,
    /// With the original, octet for octet.
    Full,
}

impl ReceiptForm {
    pub const ALL: [Self; 3] = [Self::Summary, Self::Brief, Self::Full];

    pub fn word(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Brief => "brief",
            Self::Full => "full",
        }
    }

    /// The word of the header field by which a mail asks for it.
    pub fn wish(self) -> &'static str {
        match self {
            Self::Summary => "ozet",
            Self::Brief => "kisa",
            Self::Full => "tam",
        }
    }

    /// By the word of the header field; `None` for any other.
    pub fn wished(value: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|form| form.wish().eq_ignore_ascii_case(value.trim()))
    }

    /// The form that evidence of this kind takes: only that of delivery says what was delivered.
    pub fn of(self, kind: EvidenceKind) -> Self {
        match kind {
            EvidenceKind::DeliveryNonDeliveryToRecipient => self,
            _ => Self::Summary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_of_three_words() {
        for form in ReceiptForm::ALL {
            assert_eq!(ReceiptForm::wished(&format!(" {} ", form.wish())), Some(form));
            assert_eq!(ReceiptForm::wished(&form.wish().to_ascii_uppercase()), Some(form));
        }
        for other in ["", "full", "özet", "kısa", "tam kisa"] {
            assert_eq!(ReceiptForm::wished(other), None, "{other}");
        }
    }

    #[test]
    fn only_evidence_of_delivery_takes_another_form() {
        for kind in EvidenceKind::ALL {
            let delivery = kind == EvidenceKind::DeliveryNonDeliveryToRecipient;
            assert_eq!(ReceiptForm::Full.of(kind) == ReceiptForm::Full, delivery);
            assert_eq!(ReceiptForm::Summary.of(kind), ReceiptForm::Summary);
        }
    }
}
