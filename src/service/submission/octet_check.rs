//! Looks once at every octet that is to become a registered mail, whichever way it came (RFC 5321 2.3.8, 4.5.3.1.6).
//!
//! SMTP's DATA holds its own input to the same rules already; a draft that is sent by moving it came in by IMAP, where
//! nothing does. What passes here can be relayed octet by octet, so that its digest holds at the receiver's.
//! Only looks: nothing is mended, because a mended message is another one.

/// RFC 5321 4.5.3.1.6: octets of a text line without its CRLF.
const LINE_MAX_OCTETS: usize = 998;

/// The state between two chunks.
#[derive(Debug, Default)]
pub(super) struct OctetCheck {
    after_cr: bool,
    line_octets: usize,
}

impl OctetCheck {
    /// Looks at the next octets. `Err` is a sentence for the sender.
    pub fn look(&mut self, chunk: &[u8]) -> Result<(), &'static str> {
        for &octet in chunk {
            if self.after_cr != (octet == b'\n') {
                return Err("a line does not end in CRLF: the message has a bare CR or a bare LF");
            }
            self.after_cr = octet == b'\r';
            match octet {
                b'\n' => self.line_octets = 0,
                b'\r' => {}
                0 => return Err("the message has a NUL octet"),
                _ => self.line_octets += 1,
            }
            if self.line_octets > LINE_MAX_OCTETS {
                return Err("the message has a line longer than 998 octets");
            }
        }
        Ok(())
    }

    /// The message is complete.
    pub fn finish(&self) -> Result<(), &'static str> {
        if self.after_cr || self.line_octets > 0 {
            return Err("the last line of the message does not end in CRLF");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of `piece` octets.
    fn looked(message: &[u8], piece: usize) -> Result<(), &'static str> {
        let mut check = OctetCheck::default();
        for chunk in message.chunks(piece) {
            check.look(chunk)?;
        }
        check.finish()
    }

    #[test]
    fn only_what_can_be_relayed_passes() {
        let longest = [&[b'x'; 998], b"\r\n".as_slice()].concat();
        let too_long = [&[b'x'; 999], b"\r\n".as_slice()].concat();
        let cases: [(&[u8], Result<(), &str>); 12] = [
            (b"", Ok(())),
            (b"a\r\n\r\nb\r\n", Ok(())),
            (&longest, Ok(())),
            (&too_long, Err("998")),
            (b"a\nb\r\n", Err("bare")),
            (b"a\rb\r\n", Err("bare")),
            (b"a\r\r\n", Err("bare")),
            (b"\n", Err("bare")),
            (b"a\0\r\n", Err("NUL")),
            (b"a\r\nb", Err("last line")),
            (b"a\r\nb\r", Err("last line")),
            (b"\r", Err("last line")),
        ];
        for (message, wanted) in cases {
            for piece in [1, 2, 3, 4096] {
                let said = looked(message, piece);
                match wanted {
                    Ok(()) => assert_eq!(said, Ok(())),
                    Err(part) => assert!(said.is_err_and(|s| s.contains(part)), "{message:?}"),
                }
            }
        }
    }
}
