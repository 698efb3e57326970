//! Labels: words that a tenant hangs on mail, each a folder and a keyword as well.

use crate::id::LabelId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub id: LabelId,
    pub name: String,
}

impl Label {
    /// The label as an IMAP keyword (RFC 9051 flag-keyword, an atom): Turkish letters lose their marks, whatever else
    /// is not a letter or digit becomes `_`.
    pub fn keyword(&self) -> String {
        self.name
            .chars()
            .map(|c| match c {
                'ç' => 'c',
                'Ç' => 'C',
                'ğ' => 'g',
                'Ğ' => 'G',
                'ı' => 'i',
                'İ' => 'I',
                'ö' => 'o',
                'Ö' => 'O',
                'ş' => 's',
                'Ş' => 'S',
                'ü' => 'u',
                'Ü' => 'U',
                c if c.is_ascii_alphanumeric() || c == '-' => c,
                _ => '_',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_keyword_too() {
        let label = Label {
            id: LabelId(1),
            name: "Mali İşler/2026 (gizli)".into(),
        };
        assert_eq!(label.keyword(), "Mali_Isler_2026__gizli_");
    }
}
