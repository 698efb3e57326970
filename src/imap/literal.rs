//! How a literal is announced at the end of a line (RFC 9051 4.3, RFC 7888, RFC 3516), and which announcement is that of a
//! message. Whether it may come is the framer's to say.

/// An announcement at the end of a line: `{12}`, `{12+}`, `~{12}`, `~{12+}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    pub size: u64,
    pub synchronising: bool,
    pub literal8: bool,
    /// Octets of the announcement itself, with CRLF.
    pub width: usize,
}

/// `~{18446744073709551615+}` CRLF.
pub(super) const ANNOUNCEMENT_MAX: usize = 26;

/// The announcement at the end of a line with CRLF. A quoted string cannot run over a line end, so one that looks
/// like an announcement is one. A size past u64 counts as u64::MAX.
pub(super) fn announcement(line: &[u8]) -> Option<Literal> {
    let inner = line.strip_suffix(b"}\r\n")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (head, number) = inner.split_at(inner.len() - digits);
    let head = head.strip_suffix(b"{").filter(|_| digits > 0)?;
    let literal8 = head.ends_with(b"~");
    let size = std::str::from_utf8(number).ok()?.parse().unwrap_or(u64::MAX);
    let width = line.len() - head.len() + usize::from(literal8);
    Some(Literal {
        size,
        synchronising,
        literal8,
        width,
    })
}

/// Whether this literal is the message of APPEND, REPLACE or UID REPLACE, and not its mailbox name.
pub(super) fn is_message(command: &[u8], literal: Literal) -> bool {
    let mut rest = command;
    let mut word = || {
        let at = rest.iter().position(|&b| b == b' ')?;
        let (word, behind) = rest.split_at(at);
        rest = &behind[1..];
        Some(word)
    };
    let _tag = word();
    let first = word().unwrap_or_default();
    let verb = match first.eq_ignore_ascii_case(b"UID") {
        true => word().filter(|verb| verb.eq_ignore_ascii_case(b"REPLACE")),
        false => Some(first),
    };
    let named = match verb {
        Some(verb) if verb.eq_ignore_ascii_case(b"APPEND") => true,
        // Which message it replaces stands before the mailbox.
        Some(verb) if verb.eq_ignore_ascii_case(b"REPLACE") => word().is_some(),
        _ => false,
    };
    named && rest.len() > literal.width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_announces_a_literal() {
        let of = |line: &str| {
            announcement(line.as_bytes()).map(|l| (l.size, l.synchronising, l.literal8, l.width))
        };
        assert_eq!(of("a LOGIN {12}\r\n"), Some((12, true, false, 6)));
        assert_eq!(of("a LOGIN {12+}\r\n"), Some((12, false, false, 7)));
        assert_eq!(of("a APPEND x ~{0}\r\n"), Some((0, true, true, 6)));
        assert_eq!(of("a APPEND x ~{007+}\r\n"), Some((7, false, true, 9)));
        assert_eq!(of("{5}\r\n"), Some((5, true, false, 5)));
        for line in [
            "a {}\r\n",
            "a {+}\r\n",
            "a {1-}\r\n",
            "a { 1}\r\n",
            "a 1}\r\n",
            "a {1}\n",
            "a {1} \r\n",
            "a {1++}\r\n",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        let widest = "~{18446744073709551615+}\r\n";
        assert_eq!(
            of(widest).map(|(size, .., width)| (size, width)),
            Some((u64::MAX, ANNOUNCEMENT_MAX))
        );
    }
}
