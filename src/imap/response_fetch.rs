//! The data items of extensions in a FETCH line: decoded parts (RFC 3516), previews (RFC 8970), object ids (RFC 8474),
//! save dates (RFC 8514).

use super::ask::{Content, Member, Out, Row};
use super::command::{BinaryItem, FetchItem};
use super::name::Spelling;
use super::response::{Writer, put_literal, put_quoted, put_string};
use crate::clock::UtcTime;
use std::vec::IntoIter;

/// What a row tells beside the base items, given out in the order in which it is asked for.
pub(super) struct More {
    member: Member,
    binaries: IntoIter<Content>,
    binary_sizes: IntoIter<Option<u64>>,
    preview: Option<String>,
    email_id: Option<String>,
    thread_id: Option<String>,
    save_date: Option<UtcTime>,
}

impl More {
    pub fn of(member: Member, row: &mut Row) -> Self {
        Self {
            member,
            binaries: std::mem::take(&mut row.binaries).into_iter(),
            binary_sizes: std::mem::take(&mut row.binary_sizes).into_iter(),
            preview: row.preview.take(),
            email_id: row.email_id.take(),
            thread_id: row.thread_id.take(),
            save_date: row.save_date,
        }
    }

    /// Writes an item; those that are not of an extension are none of its business.
    pub fn put(&mut self, out: &mut Writer, first: &mut bool, item: &FetchItem) {
        match item {
            FetchItem::Binary(wanted) => {
                out.separate(first);
                out.binary(self.member, wanted, self.binaries.next().unwrap_or(Content::Nil));
            }
            FetchItem::BinarySize(part) => {
                if let Some(octets) = self.binary_sizes.next().flatten() {
                    out.separate(first);
                    out.binary_size(part, octets);
                }
            }
            FetchItem::Preview { .. } => {
                out.separate(first);
                out.preview(self.preview.as_deref());
            }
            FetchItem::EmailId => {
                out.separate(first);
                out.object_id("EMAILID", self.email_id.as_deref());
            }
            FetchItem::ThreadId => {
                out.separate(first);
                out.object_id("THREADID", self.thread_id.as_deref());
            }
            // RFC 8514 4.3: NIL when it is not known.
            FetchItem::SaveDate => match self.save_date {
                Some(date) => out.words(first, format_args!("SAVEDATE \"{}\"", date.imap_date_time())),
                None => out.word(first, "SAVEDATE NIL"),
            },
            _ => {}
        }
    }
}

impl Writer {
    /// `BINARY[1]<0> ~{12}`: a literal8 where NULs are or may be, else a string (RFC 9051 9, `msg-att-static`).
    fn binary(&mut self, member: Member, wanted: &BinaryItem, content: Content) {
        self.put_binary_name("BINARY", &wanted.part);
        if let Some((start, _)) = wanted.partial {
            self.print(format_args!("<{start}>"));
        }
        self.put(" ");
        let (start, most) = wanted.partial.unwrap_or((0, u64::MAX));
        let range = |len: u64| {
            let from = start.min(len);
            (from, most.min(len - from))
        };
        match content {
            Content::Nil => self.put("NIL"),
            Content::Octets(octets) => {
                let (from, take) = range(octets.len() as u64);
                self.print(format_args!("~{{{take}}}\r\n"));
                let (from, take) = (to_usize(from), to_usize(take));
                self.put_octets(octets.get(from..from + take).unwrap_or_default());
            }
            Content::Stored { offset, len } => {
                let (from, take) = range(len);
                self.print(format_args!("~{{{take}}}\r\n"));
                let offset = offset.saturating_add(from);
                self.content(Out::Content {
                    member,
                    offset,
                    len: take,
                });
            }
            Content::Decoded {
                offset,
                len,
                how,
                octets,
                nul,
            } => {
                let (skip, take) = range(octets);
                self.print(format_args!("{}{{{take}}}\r\n", if nul { "~" } else { "" }));
                self.content(Out::Decoded {
                    member,
                    offset,
                    len,
                    how,
                    skip,
                    take,
                });
            }
        }
    }

    /// `BINARY.SIZE[1] 12`.
    fn binary_size(&mut self, part: &[u32], octets: u64) {
        self.put_binary_name("BINARY.SIZE", part);
        self.print(format_args!(" {octets}"));
    }

    fn put_binary_name(&mut self, word: &str, part: &[u32]) {
        let part: Vec<String> = part.iter().map(u32::to_string).collect();
        self.print(format_args!("{word}[{}]", part.join(".")));
    }

    /// `PREVIEW "..."`. RFC 8970 3.2: in UTF-8 always; quoted where the client reads that.
    fn preview(&mut self, text: Option<&str>) {
        self.put("PREVIEW ");
        match text {
            None => self.put("NIL"),
            Some(text) => {
                let spelling = self.spelling;
                self.put_with(|line| put_text(line, text.as_bytes(), spelling));
            }
        }
    }

    /// `EMAILID (M1)`, or NIL (RFC 8474 5).
    fn object_id(&mut self, word: &str, id: Option<&str>) {
        match id {
            Some(id) => self.print(format_args!("{word} ({id})")),
            None => self.print(format_args!("{word} NIL")),
        }
    }
}

/// A string that may hold UTF-8: quoted for who asked for that (RFC 6855 3, RFC 9051 4.3), else a literal.
fn put_text(out: &mut Vec<u8>, octets: &[u8], spelling: Spelling) {
    if spelling == Spelling::Utf8 && fits_quoted(octets) {
        put_quoted(out, octets);
    } else {
        put_string(out, octets);
    }
}

/// UTF-8 without control characters.
fn fits_quoted(octets: &[u8]) -> bool {
    octets.len() <= super::response::QUOTED_MAX
        && std::str::from_utf8(octets).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// Text of a header that is shown by itself: in UTF-8 to who asked for that; to others in encoded words (RFC 2047), for
/// such a client cannot be expected to read anything else (RFC 6855 7). What is not UTF-8 stays as it is.
pub(super) fn put_header_text(out: &mut Vec<u8>, text: Option<&[u8]>, spelling: Spelling) {
    let Some(octets) = text else {
        return out.extend_from_slice(b"NIL");
    };
    if octets.is_ascii() {
        return put_string(out, octets);
    }
    match std::str::from_utf8(octets) {
        Ok(_) if spelling == Spelling::Utf8 => put_text(out, octets, spelling),
        Ok(text) => put_string(out, encoded_words(text).as_bytes()),
        Err(_) => put_literal(out, octets),
    }
}

/// RFC 2047 2: an encoded word has at most 75 characters; 45 octets become 60 of base64.
const WORD_OCTETS_MAX: usize = 45;

/// The text as encoded words, one behind the other; none of them cuts a character.
fn encoded_words(text: &str) -> String {
    use base64::Engine as _;
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    let mut close = |piece: &mut String| {
        let coded = base64::engine::general_purpose::STANDARD.encode(std::mem::take(piece));
        words.push(format!("=?UTF-8?B?{coded}?="));
    };
    for c in text.chars() {
        if piece.len() + c.len_utf8() > WORD_OCTETS_MAX {
            close(&mut piece);
        }
        piece.push(c);
    }
    close(&mut piece);
    words.join(" ")
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], spelling: Spelling) -> String {
        let mut out = Vec::new();
        put_header_text(&mut out, Some(text), spelling);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn utf8_in_headers_is_shown_as_the_client_reads_it() {
        let text = "ç \"ş\"".as_bytes();
        assert_eq!(shown(text, Spelling::Utf8), "\"ç \\\"ş\\\"\"");
        assert_eq!(shown(text, Spelling::Utf7), "\"=?UTF-8?B?w6cgIsWfIg==?=\"");
        assert_eq!(shown(b"plain", Spelling::Utf7), "\"plain\"");
        // Encoded words that are there already stay.
        assert_eq!(
            shown(b"=?UTF-8?Q?=C3=A7?=", Spelling::Utf8),
            "\"=?UTF-8?Q?=C3=A7?=\""
        );
        let mut out = Vec::new();
        put_header_text(&mut out, Some(b"\xfe"), Spelling::Utf8);
        assert_eq!(out, b"{1}\r\n\xfe");
    }

    #[test]
    fn long_texts_are_several_words() {
        let text = "ğüşiöç".repeat(40);
        let words = encoded_words(&text);
        assert!(words.split(' ').all(|w| w.len() <= 75));
        assert_eq!(crate_decode(&words), text);
    }

    /// Undoes what was done, in the way RFC 2047 6.2 joins neighbours.
    fn crate_decode(words: &str) -> String {
        use base64::Engine as _;
        let decode = |word: &str| {
            let coded = word
                .strip_prefix("=?UTF-8?B?")
                .unwrap()
                .strip_suffix("?=")
                .unwrap();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(coded).unwrap()).unwrap()
        };
        words.split(' ').map(decode).collect()
    }
}
