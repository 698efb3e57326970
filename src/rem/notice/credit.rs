//! The words about prepaid credit (kontör): why a mail is not taken, and that an account has little left.

use super::{Both, Text, both, page};

/// A mail costs more than is left. The same in two languages, each of one line of SMTP.
pub fn not_enough(cost: u64, left: u64, reserved: u64) -> Both {
    both(
        format!(
            "kontör yetersiz: bu ileti {cost} kontör tutuyor, hesapta kullanılabilir {left} kontör var (onay bekleyen iletilere ayrılan: \
             {reserved}). Hizmet sağlayıcınızdan kontör yükletin ya da onaydaki bir iletiyi geri çekin, sonra yeniden gönderin"
        ),
        format!(
            "not enough credit: this mail costs {cost}, {left} is left in the account ({reserved} reserved for mail in approval). Have \
             credit added by your provider, or withdraw a mail that waits, then send it again"
        ),
    )
}

/// Little is left: told to the officers once, until some is added.
pub fn low(account: &str, free: i64, warn_below: u64) -> Text {
    page(
        &both("Kontörünüz azaldı", "Your credit is low"),
        &[
            both(format!("Hesap: {account}"), format!("Account: {account}")),
            both(
                format!("Kullanılabilir kontör: {free}. Uyarı sınırı: {warn_below}."),
                format!("Credit that is free: {free}. You are warned below {warn_below}."),
            ),
            both(
                "Kontör bitince KEP iletisi gönderilemez; gelen iletiler alınmaya devam eder. Kontör yüklenmesi için hizmet \
                 sağlayıcınıza başvurun.",
                "Without credit no registered mail is sent; what comes in is still taken. Ask your provider to add credit.",
            ),
            both(
                "Bu uyarı, kontör yüklenene kadar yinelenmez.",
                "You are not told again until credit has been added.",
            ),
        ],
    )
}

/// The subject of that.
pub fn low_subject() -> String {
    "Kontörünüz azaldı (your credit is low)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_cost_and_balance_and_fits_a_line_of_smtp() {
        let said = not_enough(u64::MAX, u64::MAX, u64::MAX);
        // RFC 5321 4.5.3.1.5: 512 octets with code, enhanced code and line end.
        assert!(said.tr.chars().count() < 490 && said.en.len() < 490);
        let said = not_enough(3, 2, 1);
        for text in [&said.tr, &said.en] {
            assert!(
                text.contains('3') && text.contains('2') && text.contains('1'),
                "{text}"
            );
        }
        let text = low("Örnek A.Ş.", -1, 5);
        assert!(
            text.plain.contains("Kullanılabilir kontör: -1. Uyarı sınırı: 5."),
            "{}",
            text.plain
        );
    }
}
