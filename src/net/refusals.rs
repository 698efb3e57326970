//! From a failure of a service to what an SMTP client hears: the one table (contract: "Refusals at SMTP time").
//!
//! A refusal's own sentence goes to whoever asked; what went wrong in here goes to the log and is never said.

use crate::service::failure::{BETWEEN_LANGUAGES, Failure, Kind, Refusal};
use crate::smtp::reply::{self, Reply};

/// What was asked when the failure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Sender,
    Recipient,
    Content,
}

/// The reply to a failure. Failures of ours are logged here.
pub fn reply_to(failure: &Failure, at: At) -> Reply {
    match failure {
        Failure::Refused(refusal) => refused(refusal, at),
        Failure::Unavailable(why) => {
            tracing::warn!(%why, ?at, "not possible now");
            reply::TRY_LATER
        }
        Failure::Broken(why) => {
            tracing::error!(%why, ?at, "internal error");
            reply::TRY_LATER
        }
    }
}

fn refused(refusal: &Refusal, at: At) -> Reply {
    let policy = reply::NO_PERMISSION;
    let usual = match (refusal.kind, at) {
        (Kind::NotKepAddress, _) => reply::NOT_A_KEP_ADDRESS,
        // A provider we do not know as the sender is a stranger at the door; as a recipient's it is a wrong address.
        (Kind::UnknownProvider, At::Sender) => policy,
        (Kind::UnknownProvider, _) => reply::UNKNOWN_PROVIDER,
        (Kind::UnknownRecipient, _) => reply::UNKNOWN_RECIPIENT,
        (Kind::AccountClosed, _) => reply::ACCOUNT_CLOSED,
        (Kind::NoPermission, _) => reply::NO_PERMISSION,
        (Kind::NotYourAddress, _) => reply::SENDER_NOT_OWN,
        (Kind::TooLarge, _) => reply::TOO_LARGE,
        (Kind::Malformed | Kind::Invalid, _) => reply::MALFORMED_LINE_ENDS,
        (Kind::TooMany, _) => reply::TOO_MANY_RECIPIENTS,
        (Kind::OverQuota, _) => reply::MAILBOX_FULL,
        (Kind::NoCredit, _) => reply::NO_CREDIT,
        (Kind::Unsigned | Kind::BadSignature | Kind::SignerEnded, _) => policy,
        (Kind::NotGenuine | Kind::NotFound | Kind::Exists | Kind::WrongState | Kind::OnRecord, _) => policy,
    };
    let text = ascii(&refusal.text);
    match refusal.kind {
        // A line each, so that a line's length (RFC 5321 4.5.3.1.5) cuts off neither language.
        Kind::Unsigned | Kind::BadSignature | Kind::SignerEnded | Kind::NoCredit => {
            usual.with_text(text.replacen(BETWEEN_LANGUAGES, "\n", 1))
        }
        _ => usual.with_text(text),
    }
}

/// A reply's words: RFC 5321 4.2 has ASCII only. Turkish letters become the ones a reader expects, one line is kept.
pub fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        'ı' => 'i',
        'İ' | 'Î' => 'I',
        'î' => 'i',
        'ş' => 's',
        'Ş' => 'S',
        'ğ' => 'g',
        'Ğ' => 'G',
        'ü' | 'û' => 'u',
        'Ü' | 'Û' => 'U',
        'ö' => 'o',
        'Ö' => 'O',
        'ç' => 'c',
        'Ç' => 'C',
        'â' => 'a',
        'Â' => 'A',
        ' '..='~' => c,
        c if c.is_control() => ' ',
        _ => '?',
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_code_of_the_contract() {
        let code = |kind, at| {
            let reply = reply_to(&Failure::refused(kind, "why"), at);
            assert_eq!(reply.text, "why");
            (reply.code, reply.enhanced.unwrap())
        };
        for (kind, at, want) in [
            (Kind::NotKepAddress, At::Recipient, (550, (5, 1, 3))),
            (Kind::UnknownProvider, At::Recipient, (550, (5, 1, 2))),
            (Kind::UnknownProvider, At::Sender, (550, (5, 7, 1))),
            (Kind::UnknownRecipient, At::Recipient, (550, (5, 1, 1))),
            (Kind::AccountClosed, At::Sender, (550, (5, 7, 1))),
            (Kind::NoPermission, At::Sender, (550, (5, 7, 1))),
            (Kind::NotYourAddress, At::Content, (550, (5, 7, 1))),
            (Kind::TooLarge, At::Content, (552, (5, 3, 4))),
            (Kind::OverQuota, At::Content, (552, (5, 2, 2))),
            (Kind::NoCredit, At::Content, (550, (5, 7, 1))),
            (Kind::Malformed, At::Content, (554, (5, 6, 0))),
            (Kind::NotGenuine, At::Content, (550, (5, 7, 1))),
            (Kind::Unsigned, At::Content, (550, (5, 7, 1))),
            (Kind::BadSignature, At::Content, (550, (5, 7, 1))),
            (Kind::SignerEnded, At::Content, (550, (5, 7, 1))),
            (Kind::NotFound, At::Content, (550, (5, 7, 1))),
        ] {
            assert_eq!(code(kind, at), want, "{kind:?} {at:?}");
        }
    }

    #[test]
    fn our_own_trouble_is_temporary_and_unsaid() {
        for failure in [
            Failure::Unavailable("disk /dev/x".into()),
            Failure::Broken("row 7".into()),
        ] {
            assert_eq!(reply_to(&failure, At::Content), reply::TRY_LATER);
        }
    }

    #[test]
    fn words_become_ascii() {
        assert_eq!(ascii("Satın Alma İŞ\r\nâ 漢"), "Satin Alma IS  a ?");
    }
}
