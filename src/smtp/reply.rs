//! SMTP replies (RFC 5321 4.2) with enhanced codes (RFC 2034, RFC 3463): the ones this house gives, and the reader for
//! those a peer gives.
//!
//! A reply is what the *peer* may hear. The private cause of a refusal belongs in the log, never in here.

use bytes::{Buf, BytesMut};
use std::borrow::Cow;
use std::fmt;

/// RFC 5321 4.5.3.1.5: octets of a reply line with its CRLF. What we write never exceeds it.
pub const REPLY_LINE_MAX_OCTETS: usize = 512;
/// Longest line taken from a peer: generous, because real servers put long texts (links) into refusals.
pub const PEER_LINE_MAX_OCTETS: usize = 4096;
/// Most lines of one reply, ours or a peer's: an EHLO reply has a dozen.
pub const REPLY_LINES_MAX: usize = 64;

/// Whose turn it is after a reply, and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyClass {
    /// 2yz.
    Done,
    /// 3yz.
    Continue,
    /// 4yz: try again later.
    Temporary,
    /// 5yz: do not try again.
    Permanent,
}

/// One reply. Lines of text are parted by `\n` in `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// `x.y.z` of RFC 3463.
    pub enhanced: Option<(u8, u16, u16)>,
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply of fixed words.
    pub const fn fixed(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        Self {
            code,
            enhanced: Some(enhanced),
            text: Cow::Borrowed(text),
        }
    }

    /// A reply of fixed words without an enhanced code (RFC 2034 4: greeting, EHLO and 3yz replies have none).
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self {
            code,
            enhanced: None,
            text: Cow::Borrowed(text),
        }
    }

    /// A reply with words made at run time. What is not printable ASCII is written as `?`.
    pub fn new(code: u16, enhanced: Option<(u8, u16, u16)>, text: impl Into<String>) -> Self {
        Self {
            code,
            enhanced,
            text: Cow::Owned(text.into()),
        }
    }

    /// The same verdict in other words.
    pub fn with_text(&self, text: impl Into<String>) -> Self {
        Self {
            text: Cow::Owned(text.into()),
            ..*self
        }
    }

    pub fn class(&self) -> ReplyClass {
        match self.code / 100 {
            2 => ReplyClass::Done,
            3 => ReplyClass::Continue,
            4 => ReplyClass::Temporary,
            _ => ReplyClass::Permanent,
        }
    }

    /// Writes the reply as it goes over the wire; every line carries the codes.
    pub fn write_to(&self, out: &mut BytesMut) {
        let lines = self.text.split('\n').take(REPLY_LINES_MAX);
        let last = self.text.split('\n').count().min(REPLY_LINES_MAX) - 1;
        for (index, line) in lines.enumerate() {
            let start = out.len();
            out.extend_from_slice(
                format!("{:03}{}", self.code, if index == last { ' ' } else { '-' }).as_bytes(),
            );
            if let Some((class, subject, detail)) = self.enhanced {
                out.extend_from_slice(format!("{class}.{subject}.{detail} ").as_bytes());
            }
            let space = REPLY_LINE_MAX_OCTETS - 2 - (out.len() - start);
            out.extend(
                line.chars()
                    .take(space)
                    .map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }),
            );
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// One line, for logs: `550 5.1.1 No such recipient here`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} ", self.code)?;
        if let Some((class, subject, detail)) = self.enhanced {
            write!(f, "{class}.{subject}.{detail} ")?;
        }
        self.text
            .chars()
            .try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { ' ' } else { c }))
    }
}

// Success and progress.
pub const OK: Reply = Reply::fixed(250, (2, 0, 0), "OK");
pub const SENDER_OK: Reply = Reply::fixed(250, (2, 1, 0), "Sender OK");
pub const RECIPIENT_OK: Reply = Reply::fixed(250, (2, 1, 5), "Recipient OK");
pub const ACCEPTED: Reply = Reply::fixed(250, (2, 6, 0), "Message accepted");
pub const AUTHENTICATED: Reply = Reply::fixed(235, (2, 7, 0), "Authentication succeeded");
pub const START_TLS: Reply = Reply::fixed(220, (2, 0, 0), "Ready to start TLS");
pub const START_DATA: Reply = Reply::bare(354, "Start mail input; end with <CRLF>.<CRLF>");
pub const BYE: Reply = Reply::fixed(221, (2, 0, 0), "Bye");
pub const CANNOT_VERIFY: Reply =
    Reply::fixed(252, (2, 5, 2), "Cannot VRFY user; try RCPT to attempt delivery");
pub const HELP: Reply = Reply::fixed(214, (2, 0, 0), "See RFC 5321");

// The contract's refusals of mail ("Refusals at SMTP time").
pub const NOT_A_KEP_ADDRESS: Reply = Reply::fixed(550, (5, 1, 3), "Not a KEP address of a known realm");
pub const UNKNOWN_PROVIDER: Reply = Reply::fixed(550, (5, 1, 2), "Unknown provider");
pub const UNKNOWN_RECIPIENT: Reply = Reply::fixed(550, (5, 1, 1), "No such recipient here");
pub const ACCOUNT_CLOSED: Reply = Reply::fixed(550, (5, 7, 1), "Account is closing or suspended");
pub const NO_PERMISSION: Reply = Reply::fixed(550, (5, 7, 1), "No permission to compose");
pub const NO_CREDIT: Reply = Reply::fixed(550, (5, 7, 1), "Not enough credit");
pub const SENDER_NOT_OWN: Reply = Reply::fixed(550, (5, 7, 1), "Sender address is not yours");
pub const MALWARE: Reply = Reply::fixed(550, (5, 7, 1), "Message refused: malware found");
pub const TOO_LARGE: Reply = Reply::fixed(552, (5, 3, 4), "Message too large");
/// RFC 3463 3.3: "Mailbox full".
pub const MAILBOX_FULL: Reply = Reply::fixed(552, (5, 2, 2), "Storage is full");
pub const MALFORMED_LINE_ENDS: Reply = Reply::fixed(
    554,
    (5, 6, 0),
    "Malformed message: bare CR or LF, NUL, or no final CRLF",
);
pub const LINE_TOO_LONG: Reply =
    Reply::fixed(554, (5, 6, 0), "Malformed message: line longer than 998 octets");
pub const TRY_LATER: Reply = Reply::fixed(451, (4, 3, 0), "Temporary trouble here; try again later");

// Protocol refusals.
pub const UNKNOWN_COMMAND: Reply = Reply::fixed(500, (5, 5, 1), "Command not recognized");
pub const BAD_LINE: Reply = Reply::fixed(500, (5, 5, 2), "Lines end with CRLF and hold text");
pub const COMMAND_TOO_LONG: Reply = Reply::fixed(500, (5, 5, 6), "Line too long");
pub const SYNTAX: Reply = Reply::fixed(501, (5, 5, 4), "Syntax error in parameters");
pub const BAD_BASE64: Reply = Reply::fixed(501, (5, 5, 2), "Cannot decode the response");
pub const AUTH_CANCELLED: Reply = Reply::fixed(501, (5, 7, 0), "Authentication cancelled");
pub const BAD_SENDER: Reply = Reply::fixed(553, (5, 1, 7), "Sender address is not valid here");
pub const BAD_RECIPIENT: Reply = Reply::fixed(501, (5, 1, 3), "Malformed recipient address");
pub const NOT_IMPLEMENTED: Reply = Reply::fixed(502, (5, 5, 1), "Command not implemented");
pub const BAD_SEQUENCE: Reply = Reply::fixed(503, (5, 5, 1), "Bad sequence of commands");
pub const UNKNOWN_MECHANISM: Reply = Reply::fixed(504, (5, 5, 4), "Authentication mechanism not offered");
pub const NO_BINARY: Reply = Reply::fixed(501, (5, 6, 3), "BINARYMIME is not offered");
pub const UNKNOWN_PARAMETER: Reply = Reply::fixed(555, (5, 5, 4), "Parameter not recognized");
pub const NEED_SMTPUTF8: Reply = Reply::fixed(553, (5, 6, 7), "Non-ASCII address needs SMTPUTF8");
pub const NO_RECIPIENTS: Reply = Reply::fixed(554, (5, 5, 1), "No valid recipients");
pub const TOO_MANY_RECIPIENTS: Reply = Reply::fixed(452, (4, 5, 3), "Too many recipients");
pub const AUTH_REQUIRED: Reply = Reply::fixed(530, (5, 7, 0), "Authentication required");
pub const TLS_REQUIRED: Reply = Reply::fixed(530, (5, 7, 0), "Must issue a STARTTLS command first");
pub const AUTH_NEEDS_TLS: Reply = Reply::fixed(538, (5, 7, 11), "Encryption required for authentication");
pub const BAD_CREDENTIALS: Reply = Reply::fixed(535, (5, 7, 8), "Authentication credentials invalid");
/// RFC 4954 6: a temporary failure.
pub const TOO_MANY_FAILURES: Reply = Reply::fixed(454, (4, 7, 0), "Too many failed logins; wait a minute");
pub const TOO_MANY_ERRORS: Reply = Reply::fixed(421, (4, 7, 0), "Too many errors; closing");
pub const PIPELINED_TLS: Reply = Reply::fixed(421, (4, 7, 0), "Nothing may follow STARTTLS; closing");
pub const SHUTTING_DOWN: Reply = Reply::fixed(421, (4, 3, 2), "Shutting down; try again later");
pub const TIMED_OUT: Reply = Reply::fixed(421, (4, 4, 2), "Timed out; closing");
pub const ENDLESS: Reply = Reply::fixed(421, (4, 7, 0), "Refused input does not end; closing");

/// A peer's reply cannot be read: the peer's fault. Close, and try again later (another host may do better).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the reply is not three digits and text")]
    Malformed,
    #[error("the reply is too long")]
    TooLong,
}

/// Reads a peer's replies, in chunks of any size.
#[derive(Debug, Default)]
pub struct ReplyReader {
    code: u16,
    enhanced: Option<(u8, u16, u16)>,
    lines: usize,
    text: String,
    /// Octets at the head of the input already searched for a line end.
    searched: usize,
}

impl ReplyReader {
    /// The next whole reply, or `None` until more input is there. Consumes whole lines only.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        loop {
            let from = self.searched.min(input.len());
            let Some(end) = input[from..]
                .iter()
                .position(|octet| *octet == b'\n')
                .map(|at| from + at)
            else {
                self.searched = input.len();
                return if input.len() > PEER_LINE_MAX_OCTETS {
                    Err(ReplyError::TooLong)
                } else {
                    Ok(None)
                };
            };
            self.searched = 0;
            if end > PEER_LINE_MAX_OCTETS || self.lines == REPLY_LINES_MAX {
                return Err(ReplyError::TooLong);
            }
            let line = input.split_to(end);
            input.advance(1);
            if self.line(&line)? {
                let done = std::mem::take(self);
                return Ok(Some(Reply::new(done.code, done.enhanced, done.text)));
            }
        }
    }

    /// Takes one line without its LF; says whether it was the last of its reply.
    fn line(&mut self, line: &[u8]) -> Result<bool, ReplyError> {
        let line = line.strip_suffix(b"\r").ok_or(ReplyError::Malformed)?;
        let (digits, rest) = line.split_at_checked(3).ok_or(ReplyError::Malformed)?;
        let (last, rest) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', rest)) => (true, rest),
            Some((b'-', rest)) => (false, rest),
            Some(_) => return Err(ReplyError::Malformed),
        };
        if !matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']) {
            return Err(ReplyError::Malformed);
        }
        let code = digits
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let rest = String::from_utf8_lossy(rest);
        let (enhanced, words) = split_enhanced(&rest, digits[0]);
        if self.lines == 0 {
            self.code = code;
            self.enhanced = enhanced;
        } else if self.code != code {
            // RFC 5321 4.2.1: all lines carry the same code.
            return Err(ReplyError::Malformed);
        } else {
            self.text.push('\n');
        }
        self.lines += 1;
        self.text
            .extend(words.chars().map(|c| if c.is_control() { '?' } else { c }));
        Ok(last)
    }
}

/// `5.1.1 words` -> the code and the words. Only a code of the reply's own class counts (RFC 2034 4).
fn split_enhanced(text: &str, class: u8) -> (Option<(u8, u16, u16)>, &str) {
    let (head, words) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = head.split('.');
    let number = |part: Option<&str>| {
        part.filter(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|p| p.parse::<u16>().ok())
    };
    match (
        parts.next(),
        number(parts.next()),
        number(parts.next()),
        parts.next(),
    ) {
        (Some(c), Some(subject), Some(detail), None)
            if c.as_bytes() == [class] && matches!(class, b'2' | b'4' | b'5') =>
        {
            (Some((class - b'0', subject, detail)), words)
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.write_to(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn replies_are_written_with_their_codes_on_every_line() {
        assert_eq!(
            written(&UNKNOWN_RECIPIENT),
            "550 5.1.1 No such recipient here\r\n"
        );
        let two = Reply::new(550, Some((5, 7, 1)), "a\nb\r\u{131}");
        assert_eq!(written(&two), "550-5.7.1 a\r\n550 5.7.1 b??\r\n");
        assert!(written(&OK.with_text("x".repeat(5000))).len() <= REPLY_LINE_MAX_OCTETS);
    }

    #[test]
    fn what_is_written_is_read() {
        let replies = [
            OK,
            START_DATA,
            Reply::new(250, None, "host\nSIZE 10\nPIPELINING"),
            Reply::new(450, Some((4, 2, 1)), ""),
        ];
        let mut wire = BytesMut::new();
        replies.iter().for_each(|reply| reply.write_to(&mut wire));
        let mut reader = ReplyReader::default();
        let mut read = Vec::new();
        let mut input = BytesMut::new();
        for octet in wire {
            input.extend_from_slice(&[octet]);
            read.extend(reader.receive(&mut input).unwrap());
        }
        assert_eq!(read, replies);
    }

    #[test]
    fn foreign_replies() {
        let read = |text: &str| ReplyReader::default().receive(&mut BytesMut::from(text));
        assert_eq!(read("250\r\n"), Ok(Some(Reply::new(250, None, ""))));
        assert_eq!(read("550 4.1.1 x\r\n").unwrap().unwrap().enhanced, None);
        assert_eq!(read("250-a\r\n"), Ok(None));
        for bad in [
            "250 a\n",
            "25 a\r\n",
            "650 a\r\n",
            "250_a\r\n",
            "250-a\r\n251 b\r\n",
            "\r\n",
        ] {
            assert_eq!(read(bad), Err(ReplyError::Malformed), "{bad:?}");
        }
        assert_eq!(
            read(&"2".repeat(PEER_LINE_MAX_OCTETS + 1)),
            Err(ReplyError::TooLong)
        );
        assert_eq!(
            read(&"250-x\r\n".repeat(REPLY_LINES_MAX + 1)),
            Err(ReplyError::TooLong)
        );
    }
}
