//! The words of the answer to a user who mailed documents to be verified.

use super::judgement::Language;
use super::{Both, Text, both, page};

/// What the answer says.
#[derive(Debug, Clone)]
pub struct Answer {
    pub all_ok: bool,
    pub documents: usize,
    /// More was attached than is looked at.
    pub cut: bool,
    /// The reports, in both languages.
    pub turkish: String,
    pub english: String,
}

impl Answer {
    pub const TURKISH: Language = Language::Turkish;
    pub const ENGLISH: Language = Language::English;

    pub fn subject(&self, asked: &str) -> String {
        let outcome = match (self.documents, self.all_ok) {
            (0, _) => "Belge bulunamadı",
            (_, true) => "Geçerli",
            (_, false) => "Geçerli değil",
        };
        format!("Doğrulama - {outcome}: {asked}")
    }

    pub fn text(&self) -> Text {
        let mut lines = Vec::new();
        if self.documents == 0 {
            lines.push(both(
                "Gönderdiğiniz iletide doğrulanacak belge yok. KEP delilini (.xml) ya da KEP iletisini (.eml) iletiye ekleyip \
                 yeniden gönderin.",
                "There is no document to verify in your message. Attach the evidence (.xml) or the registered mail (.eml) \
                 and send it again.",
            ));
        } else {
            lines.push(self.outcome());
        }
        if self.cut {
            lines.push(both(
                "Eklerin bir bölümü sınırı aştığı için incelenmedi; onları ayrı bir iletiyle gönderin.",
                "Some attachments were beyond the limit and not looked at; send them in another message.",
            ));
        }
        lines.push(both(
            "Güven, bu hizmet sağlayıcının ve tanıdığı sağlayıcıların kök sertifikalarına göre değerlendirildi.",
            "Trust was judged by the anchors of this provider and of the providers it knows.",
        ));
        lines.extend(lines_of(&self.turkish, &self.english));
        page(&both("Doğrulama sonucu", "Result of the verification"), &lines)
    }

    fn outcome(&self) -> Both {
        let n = self.documents;
        if self.all_ok {
            both(
                format!("İncelenen {n} belgenin tümü geçerli."),
                format!("All {n} documents that were looked at are valid."),
            )
        } else {
            both(
                format!(
                    "İncelenen {n} belgenin en az biri geçerli değil ya da kesinleşmedi; ayrıntılar aşağıda."
                ),
                format!(
                    "Of {n} documents that were looked at at least one is not valid or not decided; see below."
                ),
            )
        }
    }
}

/// The reports line by line. Both have the same lines, for they come of the same findings.
fn lines_of(turkish: &str, english: &str) -> Vec<Both> {
    turkish
        .lines()
        .zip(english.lines())
        .map(|(tr, en)| both(tr, en))
        .collect()
}
