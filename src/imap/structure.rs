//! What FETCH tells about a message without its octets: ENVELOPE and BODYSTRUCTURE (RFC 9051 7.5.2), as plain values.
//!
//! Texts are the raw octets of the header fields, unfolded but not decoded: encoded words stay encoded.

use super::limits::STRUCTURE_DEPTH_MAX;
use super::name::Spelling;
use super::response::{put_nstring, put_string};
use super::response_fetch::put_header_text;

/// The envelope structure. Absent fields are `None`; absent address lists are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    pub date: Option<Vec<u8>>,
    pub subject: Option<Vec<u8>>,
    pub from: Vec<Address>,
    /// The same as `from` when the message has none; the writer sees to it.
    pub sender: Vec<Address>,
    /// The same as `from` when the message has none; the writer sees to it.
    pub reply_to: Vec<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub in_reply_to: Option<Vec<u8>>,
    pub message_id: Option<Vec<u8>>,
}

/// An address, or a mark of group syntax: begin = `host` absent, end = `mailbox` absent too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    pub name: Option<Vec<u8>>,
    pub mailbox: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
}

/// Names and values, in order.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// The structure of a body part.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyStructure {
    Multipart {
        parts: Vec<BodyStructure>,
        subtype: Vec<u8>,
        parameters: Parameters,
        extension: Extension,
    },
    Single(Box<SinglePart>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SinglePart {
    pub media_type: Vec<u8>,
    pub subtype: Vec<u8>,
    pub parameters: Parameters,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    /// `7BIT` when the part names none.
    pub encoding: Vec<u8>,
    /// Octets of the content in its transfer encoding.
    pub size_octets: u64,
    pub kind: SingleKind,
    pub md5: Option<Vec<u8>>,
    pub extension: Extension,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub enum SingleKind {
    #[default]
    Basic,
    /// `text/*`; lines of the content in its transfer encoding.
    Text { lines: u64 },
    /// `message/rfc822`.
    Message {
        envelope: Box<Envelope>,
        body: Box<BodyStructure>,
        lines: u64,
    },
}

/// Extension data after the md5 or the parameters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extension {
    pub disposition: Option<(Vec<u8>, Parameters)>,
    pub language: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}

/// Whether extension data is written: BODYSTRUCTURE has it, BODY has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Body,
    BodyStructure,
}

/// How a structure is written.
type How = (Detail, Spelling);

impl Envelope {
    /// Writes `(date subject from sender reply-to to cc bcc in-reply-to message-id)`.
    pub fn write(&self, out: &mut Vec<u8>, spelling: Spelling) {
        // RFC 9051 7.5.2: where they are absent, the sender's names stand in.
        let sender = if self.sender.is_empty() {
            &self.from
        } else {
            &self.sender
        };
        let reply_to = if self.reply_to.is_empty() {
            &self.from
        } else {
            &self.reply_to
        };
        out.push(b'(');
        put_nstring(out, self.date.as_deref());
        out.push(b' ');
        put_header_text(out, self.subject.as_deref(), spelling);
        for list in [&self.from, sender, reply_to, &self.to, &self.cc, &self.bcc] {
            out.push(b' ');
            write_addresses(out, list, spelling);
        }
        out.push(b' ');
        put_nstring(out, self.in_reply_to.as_deref());
        out.push(b' ');
        put_nstring(out, self.message_id.as_deref());
        out.push(b')');
    }
}

fn write_addresses(out: &mut Vec<u8>, list: &[Address], spelling: Spelling) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for address in list {
        out.push(b'(');
        put_header_text(out, address.name.as_deref(), spelling);
        // The source route (at-domain-list) is obsolete and never kept.
        out.extend_from_slice(b" NIL ");
        put_nstring(out, address.mailbox.as_deref());
        out.push(b' ');
        put_nstring(out, address.host.as_deref());
        out.push(b')');
    }
    out.push(b')');
}

impl BodyStructure {
    pub fn write(&self, out: &mut Vec<u8>, detail: Detail, spelling: Spelling) {
        self.write_at(out, (detail, spelling), 0);
    }

    fn write_at(&self, out: &mut Vec<u8>, how: How, depth: usize) {
        if depth >= STRUCTURE_DEPTH_MAX {
            return write_single(out, &opaque(), how, depth);
        }
        match self {
            // Without its envelope a message/rfc822 part cannot be written as one.
            BodyStructure::Single(part) if part.is_message() && part.kind == SingleKind::Basic => {
                let shown = SinglePart {
                    size_octets: part.size_octets,
                    // What BINARY undoes is told.
                    encoding: part.encoding.clone(),
                    ..opaque()
                };
                write_single(out, &shown, how, depth);
            }
            BodyStructure::Single(part) => write_single(out, part, how, depth),
            BodyStructure::Multipart {
                parts,
                subtype,
                parameters,
                extension,
            } => {
                out.push(b'(');
                if parts.is_empty() {
                    // The grammar wants at least one body (RFC 9051 9, body-type-mpart).
                    write_single(out, &opaque(), how, depth);
                }
                for part in parts {
                    part.write_at(out, how, depth + 1);
                }
                out.push(b' ');
                put_string(out, subtype);
                if how.0 == Detail::BodyStructure {
                    out.push(b' ');
                    write_parameters(out, parameters);
                    write_extension(out, extension);
                }
                out.push(b')');
            }
        }
    }
}

impl SinglePart {
    fn is_message(&self) -> bool {
        self.media_type.eq_ignore_ascii_case(b"message") && self.subtype.eq_ignore_ascii_case(b"rfc822")
    }
}

fn opaque() -> SinglePart {
    SinglePart {
        media_type: b"application".to_vec(),
        subtype: b"octet-stream".to_vec(),
        encoding: b"7bit".to_vec(),
        ..SinglePart::default()
    }
}

fn write_single(out: &mut Vec<u8>, part: &SinglePart, how: How, depth: usize) {
    out.push(b'(');
    put_string(out, &part.media_type);
    out.push(b' ');
    put_string(out, &part.subtype);
    out.push(b' ');
    write_parameters(out, &part.parameters);
    out.push(b' ');
    put_nstring(out, part.id.as_deref());
    out.push(b' ');
    put_header_text(out, part.description.as_deref(), how.1);
    out.push(b' ');
    put_string(
        out,
        if part.encoding.is_empty() {
            b"7bit"
        } else {
            &part.encoding
        },
    );
    out.extend_from_slice(format!(" {}", part.size_octets).as_bytes());
    match &part.kind {
        // The grammar wants lines behind every text part (RFC 9051 9, body-type-text).
        SingleKind::Basic if part.media_type.eq_ignore_ascii_case(b"text") => out.extend_from_slice(b" 0"),
        SingleKind::Basic => {}
        SingleKind::Text { lines } => out.extend_from_slice(format!(" {lines}").as_bytes()),
        SingleKind::Message {
            envelope,
            body,
            lines,
        } => {
            out.push(b' ');
            envelope.write(out, how.1);
            out.push(b' ');
            body.write_at(out, how, depth + 1);
            out.extend_from_slice(format!(" {lines}").as_bytes());
        }
    }
    if how.0 == Detail::BodyStructure {
        out.push(b' ');
        put_nstring(out, part.md5.as_deref());
        write_extension(out, &part.extension);
    }
    out.push(b')');
}

fn write_parameters(out: &mut Vec<u8>, parameters: &Parameters) {
    if parameters.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (i, (name, value)) in parameters.iter().enumerate() {
        out.push(if i == 0 { b'(' } else { b' ' });
        put_string(out, name);
        out.push(b' ');
        put_string(out, value);
    }
    out.push(b')');
}

fn write_extension(out: &mut Vec<u8>, extension: &Extension) {
    out.push(b' ');
    match &extension.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some((kind, parameters)) => {
            out.push(b'(');
            put_string(out, kind);
            out.push(b' ');
            write_parameters(out, parameters);
            out.push(b')');
        }
    }
    out.push(b' ');
    match extension.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => put_string(out, one),
        many => {
            for (i, language) in many.iter().enumerate() {
                out.push(if i == 0 { b'(' } else { b' ' });
                put_string(out, language);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    put_nstring(out, extension.location.as_deref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap_codec::ResponseCodec;
    use imap_codec::decode::Decoder;

    fn text(lines: u64) -> SinglePart {
        SinglePart {
            media_type: b"text".to_vec(),
            subtype: b"plain".to_vec(),
            parameters: vec![(b"charset".to_vec(), b"utf-8".to_vec())],
            encoding: b"8bit".to_vec(),
            size_octets: 12,
            kind: SingleKind::Text { lines },
            ..SinglePart::default()
        }
    }

    fn envelope() -> Envelope {
        let address = |name: Option<&str>, mailbox: Option<&str>, host: Option<&str>| Address {
            name: name.map(|n| n.as_bytes().to_vec()),
            mailbox: mailbox.map(|n| n.as_bytes().to_vec()),
            host: host.map(|n| n.as_bytes().to_vec()),
        };
        Envelope {
            subject: Some("a \"quoted\" \\ ve ç".as_bytes().to_vec()),
            from: vec![address(Some("A"), Some("a"), Some("x.test"))],
            to: vec![address(None, Some("group"), None), address(None, None, None)],
            ..Envelope::default()
        }
    }

    fn written(structure: &BodyStructure, detail: Detail) -> Vec<u8> {
        let mut out = Vec::new();
        structure.write(&mut out, detail, Spelling::Utf7);
        out
    }

    /// A client's parser must be able to read it.
    fn readable(structure: &BodyStructure) {
        for (word, detail) in [("BODY", Detail::Body), ("BODYSTRUCTURE", Detail::BodyStructure)] {
            let mut line = format!("* 1 FETCH ({word} ").into_bytes();
            line.extend(written(structure, detail));
            line.extend_from_slice(b")\r\n");
            let read = ResponseCodec::default().decode(&line);
            assert!(read.is_ok(), "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn nested_structures_are_read_by_another_parser() {
        let message = SinglePart {
            media_type: b"message".to_vec(),
            subtype: b"rfc822".to_vec(),
            encoding: b"7bit".to_vec(),
            size_octets: 99,
            kind: SingleKind::Message {
                envelope: Box::new(envelope()),
                body: Box::new(BodyStructure::Single(Box::new(text(3)))),
                lines: 9,
            },
            ..SinglePart::default()
        };
        let disposition = Some((
            b"attachment".to_vec(),
            vec![(b"filename".to_vec(), b"a.pdf".to_vec())],
        ));
        let whole = BodyStructure::Multipart {
            parts: vec![
                BodyStructure::Single(Box::new(text(1))),
                BodyStructure::Single(Box::new(message)),
                BodyStructure::Single(Box::new(SinglePart {
                    extension: Extension {
                        disposition,
                        language: vec![b"tr".to_vec(), b"en".to_vec()],
                        location: None,
                    },
                    ..opaque()
                })),
            ],
            subtype: b"mixed".to_vec(),
            parameters: vec![(b"boundary".to_vec(), b"--x".to_vec())],
            extension: Extension::default(),
        };
        readable(&whole);
    }

    #[test]
    fn odd_structures_stay_within_the_grammar() {
        let empty = BodyStructure::Multipart {
            parts: Vec::new(),
            subtype: b"mixed".to_vec(),
            parameters: Vec::new(),
            extension: Extension::default(),
        };
        readable(&empty);
        let bare = |kind: &[u8], subtype: &[u8]| {
            let part = SinglePart {
                media_type: kind.to_vec(),
                subtype: subtype.to_vec(),
                ..SinglePart::default()
            };
            BodyStructure::Single(Box::new(part))
        };
        readable(&bare(b"text", b"html"));
        readable(&bare(b"message", b"rfc822"));
        let mut deep = bare(b"text", b"plain");
        for _ in 0..STRUCTURE_DEPTH_MAX * 3 {
            deep = BodyStructure::Multipart {
                parts: vec![deep],
                subtype: b"mixed".to_vec(),
                parameters: Vec::new(),
                extension: Extension::default(),
            };
        }
        let depth = written(&deep, Detail::Body)
            .iter()
            .take_while(|&&b| b == b'(')
            .count();
        assert_eq!(depth, STRUCTURE_DEPTH_MAX + 1);
    }

    #[test]
    fn an_envelope_fills_in_sender_and_reply_to() {
        let mut out = Vec::new();
        envelope().write(&mut out, Spelling::Utf7);
        let from = "((\"A\" NIL \"a\" \"x.test\"))";
        let subject = "\"=?UTF-8?B?YSAicXVvdGVkIiBcIHZlIMOn?=\"";
        let want = format!(
            "(NIL {subject} {from} {from} {from} ((NIL NIL \"group\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
