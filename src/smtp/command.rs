//! Commands (RFC 5321 4.1): one line in, one [`Command`] or the refusal out.
//!
//! smtp-proto reads the grammar. It is lenient on purpose, so a gate of ours stands before it: no control characters,
//! no text after commands without arguments, no doubled or unknown parameters, no numbers that overflow (it wraps a
//! long SIZE round to a small one). Paths are cut out by us, because it unquotes quoted local parts and gives an empty
//! address for `<Postmaster>`. DSN (RFC 3461), BINARYMIME, ETRN and the like are not offered and are refused.

use super::reply::{self, Reply};
use crate::address::{AddressError, KepAddress, ReversePath};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::{MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_SMTPUTF8, Request};
use std::fmt;
use zeroize::Zeroizing;

/// RFC 5321 4.5.3.1.4 says 512 with CRLF, and the extensions add: SIZE 26 (RFC 1870), BODY 16, AUTH 500 (RFC 4954),
/// SMTPUTF8 10. Together below this.
pub const COMMAND_LINE_MAX_OCTETS: usize = 1100;
/// RFC 4954 4: an AUTH command and the client's answers to challenges.
pub const AUTH_LINE_MAX_OCTETS: usize = 12_288;
/// RFC 5321 4.5.3.1.3: octets of a path with its brackets.
pub const PATH_MAX_OCTETS: usize = 256;
/// RFC 1870 4: digits of a SIZE value.
const SIZE_DIGITS_MAX: usize = 20;
/// RFC 4422 3.1: characters of a mechanism's name.
const MECHANISM_MAX_OCTETS: usize = 20;

/// Octets of a SASL message: there may be a password in them. Wiped when dropped; Debug says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslOctets(Zeroizing<Vec<u8>>);

impl SaslOctets {
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SaslOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslOctets")
    }
}

/// A command, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Ehlo(String),
    Helo(String),
    StartTls,
    /// The initial response is decoded; `Some(empty)` was `=`. The name is as sent.
    Auth {
        mechanism: String,
        initial: Option<SaslOctets>,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Bdat {
        octets: u64,
        last: bool,
    },
    Rset,
    Noop,
    Quit,
    Vrfy,
    Help,
}

/// A `MAIL FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub from: ReversePath,
    /// Announced octets (RFC 1870).
    pub size: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub body_8bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
}

/// A `RCPT TO`. Whether this address is anybody is policy, and so is what to say to one that is not a KEP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// What stood between the brackets, without a source route.
    pub raw: String,
    pub address: Result<KepAddress, AddressError>,
}

/// Reads a line without its CRLF.
pub fn parse(line: &[u8]) -> Result<Command, Reply> {
    let text = std::str::from_utf8(line).map_err(|_| reply::BAD_LINE)?;
    if text.chars().any(char::is_control) {
        return Err(reply::BAD_LINE);
    }
    // RFC 5321 4.1.1: white space before the line end is tolerated.
    let text = text.trim_end_matches(' ');
    let (verb, arguments) = text.split_once(' ').unwrap_or((text, ""));
    if verb.is_empty() || !verb.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(reply::UNKNOWN_COMMAND);
    }
    // AUTH is ours alone: mechanisms are opaque names here, and smtp-proto knows a fixed list.
    if verb.eq_ignore_ascii_case("AUTH") {
        return auth(arguments);
    }
    let wire = [text.as_bytes(), b"\r\n"].concat();
    let request = Request::parse(&mut wire.iter()).map_err(|error| refusal(&error))?;
    let without_arguments = |command| {
        if arguments.is_empty() {
            Ok(command)
        } else {
            Err(reply::SYNTAX)
        }
    };
    match request {
        Request::Ehlo { .. } => hello(arguments).map(Command::Ehlo),
        Request::Helo { .. } => hello(arguments).map(Command::Helo),
        Request::StartTls => without_arguments(Command::StartTls),
        Request::Data => without_arguments(Command::Data),
        Request::Rset => without_arguments(Command::Rset),
        Request::Quit => without_arguments(Command::Quit),
        Request::Noop { .. } => Ok(Command::Noop),
        Request::Help { .. } => Ok(Command::Help),
        Request::Vrfy { .. } => Ok(Command::Vrfy),
        Request::Bdat { is_last, .. } => bdat(arguments, is_last),
        Request::Mail { from } => mail(arguments, from.flags),
        Request::Rcpt { .. } => rcpt(arguments),
        _ => Err(reply::NOT_IMPLEMENTED),
    }
}

/// Decodes what a client sends in AUTH. The caller has bounded the line.
pub(super) fn decode_auth(text: &[u8]) -> Result<SaslOctets, Reply> {
    STANDARD
        .decode(text)
        .map(SaslOctets::new)
        .map_err(|_| reply::BAD_BASE64)
}

/// Encodes a challenge.
pub(super) fn encode_auth(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

fn refusal(error: &smtp_proto::Error) -> Reply {
    use smtp_proto::Error;
    match error {
        Error::UnknownCommand => reply::UNKNOWN_COMMAND,
        Error::InvalidSenderAddress => reply::BAD_SENDER,
        Error::InvalidRecipientAddress => reply::BAD_RECIPIENT,
        Error::UnsupportedParameter { .. } => reply::UNKNOWN_PARAMETER,
        _ => reply::SYNTAX,
    }
}

fn auth(arguments: &str) -> Result<Command, Reply> {
    let (mechanism, initial) = match arguments.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (arguments, None),
    };
    let name_ok = (1..=MECHANISM_MAX_OCTETS).contains(&mechanism.len())
        && mechanism
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !name_ok {
        return Err(reply::SYNTAX);
    }
    let initial = match initial {
        None => None,
        // RFC 4954 4: an empty initial response is written as one equals sign.
        Some("=") => Some(SaslOctets::new(Vec::new())),
        Some(text) => Some(decode_auth(text.as_bytes())?),
    };
    Ok(Command::Auth {
        mechanism: mechanism.to_owned(),
        initial,
    })
}

/// A domain or an address literal; not believed and not checked further (RFC 5321 4.1.4), but kept printable for logs.
fn hello(arguments: &str) -> Result<String, Reply> {
    if (1..=255).contains(&arguments.len()) && arguments.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(arguments.to_owned())
    } else {
        Err(reply::SYNTAX)
    }
}

fn bdat(arguments: &str, last: bool) -> Result<Command, Reply> {
    let mut words = arguments.split(' ');
    let octets = words.next().and_then(size).ok_or(reply::SYNTAX)?;
    let last_said = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
    if last_said != last || words.next().is_some() || (!last && arguments.contains(' ')) {
        return Err(reply::SYNTAX);
    }
    Ok(Command::Bdat { octets, last })
}

fn mail(arguments: &str, flags: u64) -> Result<Command, Reply> {
    let (path, parameters) = cut_path(arguments, "FROM:").ok_or(reply::SYNTAX)?;
    let mut size_said = None;
    let mut seen = Vec::new();
    for parameter in parameters.split(' ').filter(|p| !p.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "SIZE" => size_said = Some(size(value).ok_or(reply::SYNTAX)?),
            // AUTH= (RFC 4954 5) is accepted and not believed.
            "BODY" | "AUTH" => {}
            "SMTPUTF8" if value.is_empty() => {}
            _ => return Err(reply::UNKNOWN_PARAMETER),
        }
        if seen.contains(&name) {
            return Err(reply::SYNTAX);
        }
        seen.push(name);
    }
    if flags & MAIL_BODY_BINARYMIME != 0 {
        return Err(reply::NO_BINARY);
    }
    let smtputf8 = flags & MAIL_SMTPUTF8 != 0;
    if !path.is_ascii() && !smtputf8 {
        return Err(reply::NEED_SMTPUTF8);
    }
    let from = if path.is_empty() {
        ReversePath::Null
    } else {
        ReversePath::Address(path.parse().map_err(|_| reply::BAD_SENDER)?)
    };
    Ok(Command::Mail(Mail {
        from,
        size: size_said,
        body_8bit: flags & MAIL_BODY_8BITMIME != 0,
        smtputf8,
    }))
}

fn rcpt(arguments: &str) -> Result<Command, Reply> {
    let (path, parameters) = cut_path(arguments, "TO:").ok_or(reply::SYNTAX)?;
    if !parameters.is_empty() {
        return Err(reply::UNKNOWN_PARAMETER);
    }
    if path.is_empty() {
        return Err(reply::BAD_RECIPIENT);
    }
    Ok(Command::Rcpt(Rcpt {
        raw: path.to_owned(),
        address: path.parse(),
    }))
}

/// Cuts `FROM:<path> parameters` apart. Quotes are honoured; a source route is dropped (RFC 5321 appendix C); a space
/// before `<` is tolerated because old mail programs write it.
fn cut_path<'a>(arguments: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.strip_prefix(' ').unwrap_or(rest).strip_prefix('<')?;
    let mut quoted = false;
    let mut escaped = false;
    let end = rest.bytes().position(|octet| {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' => return !quoted,
            _ => {}
        }
        false
    })?;
    let (path, after) = (&rest[..end], &rest[end + 1..]);
    let path = match path.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => path,
    };
    let unquoted_space = !path.contains('"') && path.contains([' ', '<']);
    if path.len() > PATH_MAX_OCTETS - 2 || unquoted_space || !(after.is_empty() || after.starts_with(' ')) {
        return None;
    }
    Some((path, after.trim_matches(' ')))
}

fn size(digits: &str) -> Option<u64> {
    let digits_ok =
        (1..=SIZE_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if digits_ok { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> u16 {
        parse(line.as_bytes()).map_or_else(|reply| reply.code, |_| 0)
    }

    fn mail_of(line: &str) -> Mail {
        match parse(line.as_bytes()) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn rcpt_of(line: &str) -> Rcpt {
        match parse(line.as_bytes()) {
            Ok(Command::Rcpt(rcpt)) => rcpt,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn plain_commands() {
        assert_eq!(
            parse(b"EHLO [192.0.2.1]"),
            Ok(Command::Ehlo("[192.0.2.1]".to_owned()))
        );
        assert_eq!(parse(b"hElO a"), Ok(Command::Helo("a".to_owned())));
        assert_eq!(parse(b"rset  "), Ok(Command::Rset));
        assert_eq!(parse(b"NOOP anything goes"), Ok(Command::Noop));
        assert_eq!(parse(b"vrfy a"), Ok(Command::Vrfy));
        assert_eq!(
            parse(b"BDAT 12 last"),
            Ok(Command::Bdat {
                octets: 12,
                last: true
            })
        );
        assert_eq!(
            parse(b"BDAT 0"),
            Ok(Command::Bdat {
                octets: 0,
                last: false
            })
        );
    }

    #[test]
    fn what_the_lenient_reader_would_let_through() {
        for (line, want) in [
            ("DATA now", 501),
            ("QUIT x", 501),
            ("STARTTLS x", 501),
            ("RSET x", 501),
            ("  NOOP", 500),
            ("", 500),
            ("NO\rOP", 500),
            ("NOOP\0", 500),
            ("NOOP \u{7f}", 500),
            ("DATAX", 500),
            ("EHLO", 501),
            ("EHLO a b", 501),
            ("EHLO \u{131}", 501),
            ("BDAT", 501),
            ("BDAT -1", 501),
            ("BDAT 1 LAST x", 501),
            ("BDAT 1 x", 501),
            ("BDAT 1LAST", 501),
            ("BDAT 999999999999999999999999999", 501),
            ("LHLO a", 502),
            ("EXPN a", 502),
            ("ETRN a", 502),
            ("MAIL FROM:<a@b.c> SIZE=99999999999999999999999", 501),
            ("MAIL FROM:<a@b.c> SIZE=", 501),
            ("MAIL FROM:<a@b.c> SIZE=1 SIZE=2", 501),
            ("MAIL FROM:<a@b.c> BODY=BINARYMIME", 501),
            ("MAIL FROM:<a@b.c> BODY=9BIT", 501),
            ("MAIL FROM:<a@b.c> RET=FULL", 555),
            ("MAIL FROM:<a@b.c>SIZE=1", 501),
            ("MAIL FROM:<a@b.c", 501),
            ("MAIL FROM:a@b.c", 501),
            ("MAIL FROM: a@b.c", 501),
            ("MAIL <a@b.c>", 501),
            ("MAIL", 501),
            ("MAIL FROM:<a b@c.d>", 553),
            ("MAIL FROM:<Postmaster>", 553),
            ("MAIL FROM:<\u{131}@b.c>", 553),
            ("RCPT TO:<>", 501),
            ("RCPT TO:<a@b.c> NOTIFY=NEVER,SUCCESS", 555),
            ("RCPT TO:<a@b.c> ORCPT=rfc822;y@z", 555),
            ("RCPT TO:<a@b.c>x", 555),
            ("RCPT TO:<<a@b.c>>", 501),
        ] {
            assert_eq!(code(line), want, "{line}");
        }
    }

    #[test]
    fn senders() {
        assert_eq!(mail_of("MAIL FROM:<>").from, ReversePath::Null);
        let mail = mail_of("mail from: <A@B.c> size=00012 body=8bitmime SMTPUTF8 AUTH=<>");
        assert_eq!(mail.from, ReversePath::Address("a@b.c".parse().unwrap()));
        assert_eq!((mail.size, mail.body_8bit, mail.smtputf8), (Some(12), true, true));
        assert_eq!(
            mail_of("MAIL FROM:<a@b.c> SIZE=9999999999999999999").size,
            Some(9_999_999_999_999_999_999)
        );
        assert_eq!(
            mail_of("MAIL FROM:<@x.y,@z:a@b.c>").from,
            ReversePath::Address("a@b.c".parse().unwrap())
        );
    }

    #[test]
    fn recipients_keep_their_text() {
        assert_eq!(rcpt_of("RCPT TO:<Postmaster>").raw, "Postmaster");
        assert_eq!(rcpt_of("RCPT TO:<Postmaster>").address, Err(AddressError::NoAt));
        let quoted = rcpt_of("RCPT TO:<\"a> b\"@c.d>");
        assert_eq!(
            (quoted.raw.as_str(), quoted.address),
            ("\"a> b\"@c.d", Err(AddressError::LocalPart))
        );
        assert_eq!(
            rcpt_of("RCPT TO:<Ali@HS01.kep.test>").address.unwrap().as_str(),
            "ali@hs01.kep.test"
        );
    }

    #[test]
    fn auth_is_opaque() {
        let auth = |line: &str| parse(line.as_bytes());
        let read = |initial: Option<&[u8]>| {
            Ok(Command::Auth {
                mechanism: "X-New".to_owned(),
                initial: initial.map(|octets| SaslOctets::new(octets.to_vec())),
            })
        };
        assert_eq!(auth("AUTH X-New"), read(None));
        assert_eq!(auth("auth X-New ="), read(Some(b"")));
        assert_eq!(auth("AUTH X-New AGEA"), read(Some(b"\0a\0")));
        assert!(!format!("{:?}", auth("AUTH X-New AGEA")).contains("97"));
        assert_eq!(auth("AUTH X-New AGE"), Err(reply::BAD_BASE64));
        assert_eq!(auth("AUTH"), Err(reply::SYNTAX));
        assert_eq!(auth(&format!("AUTH {}", "A".repeat(21))), Err(reply::SYNTAX));
    }

    proptest::proptest! {
        /// Neither we nor the reader behind us may panic, whatever comes; and what is taken holds no control character.
        #[test]
        fn hostile_lines_never_panic(
            head in "(|MAIL FROM:|RCPT TO:<|BDAT |AUTH |EHLO |mail from:<a@b.c> )", tail in "[ -~\u{131}\r\0]{0,40}",
        ) {
            let line = head + &tail;
            if let Ok(Command::Rcpt(rcpt)) = parse(line.as_bytes()) {
                proptest::prop_assert!(!rcpt.raw.is_empty() && !rcpt.raw.chars().any(char::is_control));
            }
        }
    }
}
