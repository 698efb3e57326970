//! Reading the lexical forms of RFC 9051 9 off a slice: atoms, strings, numbers, parentheses.
//!
//! For what imap-codec does not read, and for what is said most ([`super::parse`]). Literals stand in the slice as the framer gathered them.

use super::flag::is_atom_char;
use super::set::SequenceSet;

/// The command does not follow the grammar; the text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The part not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// Takes `octet` if it is next.
    pub fn eat(&mut self, octet: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == octet => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    pub fn expect(&mut self, octet: u8, what: &'static str) -> Result<(), Malformed> {
        if self.eat(octet) {
            Ok(())
        } else {
            Err(Malformed(what))
        }
    }

    pub fn space(&mut self) -> Result<(), Malformed> {
        self.expect(b' ', "a space is missing")
    }

    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() || self.0 == b"\r\n" {
            Ok(())
        } else {
            Err(Malformed("something follows the command"))
        }
    }

    pub fn take_while(&mut self, ok: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&b| !ok(b)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// One atom as text.
    pub fn atom(&mut self) -> Result<&'a str, Malformed> {
        let atom = self.take_while(is_atom_char);
        std::str::from_utf8(atom)
            .ok()
            .filter(|a| !a.is_empty())
            .ok_or(Malformed("an atom is missing"))
    }

    /// Takes `word` in any case if it is next as a whole atom.
    pub fn word(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        let found = ahead.atom().is_ok_and(|atom| atom.eq_ignore_ascii_case(word));
        if found {
            *self = ahead;
        }
        found
    }

    /// astring = 1*ASTRING-CHAR / string.
    pub fn astring(&mut self) -> Result<Vec<u8>, Malformed> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.unquoted(|b| is_atom_char(b) || b == b']'),
        }
    }

    /// list-mailbox = 1*list-char / string.
    pub fn list_mailbox(&mut self) -> Result<Vec<u8>, Malformed> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.unquoted(|b| is_atom_char(b) || b"]%*".contains(&b) || b >= 0x80),
        }
    }

    fn unquoted(&mut self, ok: impl Fn(u8) -> bool) -> Result<Vec<u8>, Malformed> {
        let taken = self.take_while(ok);
        if taken.is_empty() {
            Err(Malformed("a string is missing"))
        } else {
            Ok(taken.to_vec())
        }
    }

    /// string = quoted / literal. Quoted strings may hold UTF-8 (RFC 9051 4.3).
    pub fn string(&mut self) -> Result<Vec<u8>, Malformed> {
        if self.eat(b'"') {
            self.quoted_rest()
        } else {
            self.literal()
        }
    }

    fn quoted_rest(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)));
            if self.eat(b'"') {
                return Ok(text);
            }
            if !self.eat(b'\\') {
                return Err(Malformed("a quoted string does not end"));
            }
            match self.peek() {
                Some(b @ (b'"' | b'\\')) => {
                    self.eat(b);
                    text.push(b);
                }
                _ => return Err(Malformed("a backslash escapes only itself and the quote")),
            }
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>, Malformed> {
        const WHAT: Malformed = Malformed("a string is missing");
        self.expect(b'{', WHAT.0)?;
        let size = usize::try_from(self.number()?).map_err(|_| WHAT)?;
        self.eat(b'+');
        self.0 = self.0.strip_prefix(b"}\r\n").ok_or(WHAT)?;
        if size > self.0.len() {
            return Err(WHAT);
        }
        let (octets, rest) = self.0.split_at(size);
        self.0 = rest;
        if octets.contains(&0) {
            Err(Malformed("a literal holds no NUL"))
        } else {
            Ok(octets.to_vec())
        }
    }

    /// number64 = 1*DIGIT below 2^63.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse::<u64>().ok());
        number
            .filter(|n| *n <= i64::MAX as u64)
            .ok_or(Malformed("a number is missing or too large"))
    }

    /// sequence-set, or `$` (RFC 5182 3).
    pub fn set(&mut self) -> Result<SequenceSet, Malformed> {
        let text = self.take_while(|b| b.is_ascii_digit() || b":*,$".contains(&b));
        let set = std::str::from_utf8(text).ok().and_then(SequenceSet::parse);
        set.ok_or(Malformed("that is not a sequence set"))
    }

    /// flag, whichever it is: an atom, or a backslash and an atom.
    pub fn flag(&mut self) -> Result<&'a str, Malformed> {
        let from = self.0;
        self.eat(b'\\');
        self.atom()?;
        let flag = &from[..from.len() - self.0.len()];
        std::str::from_utf8(flag).map_err(|_| Malformed("an atom is missing"))
    }

    /// `(` item *(SP item) `)`, at least `least` of them.
    pub fn list<T>(
        &mut self,
        least: usize,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.expect(b'(', "a parenthesis is missing")?;
        let mut items = Vec::new();
        while !self.eat(b')') {
            if !items.is_empty() {
                self.space()?;
            }
            if items.len() >= most {
                return Err(Malformed("the list is too long"));
            }
            items.push(item(self)?);
        }
        if items.len() < least {
            Err(Malformed("the list is empty"))
        } else {
            Ok(items)
        }
    }
}
