//! The words about prepaid credit (kontör): why a mail is not taken, and that an account has little left.

use super::{Both, Text, both, page};

/// A mail costs more than is left. The same in two languages, each of one line of SMTP. `reserved`: told to who may know it.
pub fn not_enough(cost: u64, left: u64, reserved: Option<u64>) -> Both {
    let aside = reserved.map(|units| {
        both(
            format!(" (onay bekleyen iletilere ayrılan: {units})"),
            format!(" ({units} reserved for mail in approval)"),
        )
    });
    let (aside_tr, aside_en) = aside.map_or_else(Default::default, |aside| (aside.tr, aside.en));
    both(
        format!(
            "kontör yetersiz: bu ileti {cost} kontör tutuyor, hesapta kullanılabilir {left} kontör var{aside_tr}. \
             Hizmet sağlayıcınızdan kontör yükletin ya da onaydaki bir iletiyi geri çekin, sonra yeniden gönderin"
        ),
        format!(
            "not enough credit: this mail costs {cost}, {left} is left in the account{aside_en}. Have \
             credit added by your provider, or withdraw a mail that waits, then send it again"
        ),
    )
}

/// Little is left: told to the officers once, until an addition takes it to the mark.
pub fn low(account: &str, free: i64, warn_below: u64) -> Text {
    page(
        &both("Kontörünüz azaldı", "Your credit is low"),
        &[
            both(format!("Hesap: {account}"), format!("Account: {account}")),
            both(
                format!(
                    "Kullanılabilir kontör uyarı sınırının ({warn_below}) altına düştü. Şu anda: {free}."
                ),
                format!(
                    "The credit that is free fell below {warn_below}, the mark set for you. It is {free} now."
                ),
            ),
            both(
                "Kontör bitince KEP iletisi gönderilemez; gelen iletiler alınmaya devam eder. Kontör yüklenmesi için hizmet \
                 sağlayıcınıza başvurun.",
                "Without credit no registered mail is sent; what comes in is still taken. Ask your provider to add credit.",
            ),
            both(
                "Bu uyarı, kullanılabilir kontör yüklemeyle yeniden bu sınıra ulaşana kadar yinelenmez.",
                "You are not told again until an addition takes it to that mark or above.",
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
        let said = not_enough(u64::MAX, u64::MAX, Some(u64::MAX));
        // RFC 5321 4.5.3.1.5: 512 octets with code, enhanced code and line end.
        assert!(said.tr.chars().count() < 490 && said.en.len() < 490);
        let said = not_enough(3, 2, Some(1));
        for text in [&said.tr, &said.en] {
            assert!(
                text.contains('3') && text.contains('2') && text.contains('1'),
                "{text}"
            );
        }
        let said = not_enough(3, 2, None);
        for text in [&said.tr, &said.en] {
            assert!(!text.contains('1') && !text.contains('('), "{text}");
        }
        let text = low("Örnek A.Ş.", -1, 5);
        assert!(
            text.plain.contains("sınırının (5) altına düştü. Şu anda: -1."),
            "{}",
            text.plain
        );
    }
}
