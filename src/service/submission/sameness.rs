//! Whether two mails say the same: the content of one that was approved, and of one that was signed afterwards.
//!
//! Mail readers write what they send anew: lines are broken elsewhere, the encoding is another, boundaries are, and a
//! signature stands around it. So what is compared is what a reader gets: To and Cc as sets of addresses, the words of the
//! subject, and the parts in their order and as they are put together (mixed, alternative, related) - the words of a text
//! after its charset and encoding are undone, the octets of everything else with its file name, a named text's charset too;
//! and of each whether it is shown or attached. White space between words is not compared, every other character is. HTML is
//! compared as it is written, not as it looks: a link may show one address and lead to another.
//!
//! Not compared: other fields of the header than those, the media type of what is no text (readers guess it by the name),
//! identifiers and descriptions of parts, signatures around the whole. Nothing here names a file or a word of the mail.

use crate::mime::decode::{self, TEXT_MAX_OCTETS};
use crate::mime::mailbox::{Entry, mailboxes};
use crate::mime::structure::{Part, PartKind, Structure};
use crate::mime::transfer::{Decoder, Encoding};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
use crate::validation::personal::is_protocol;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeSet;

/// What a reader gets of a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sameness {
    to: BTreeSet<String>,
    cc: BTreeSet<String>,
    subject: Vec<String>,
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Parts put together: the subtype of the multipart.
    Open(String),
    Close,
    /// A text: its subtype, whether it is shown or attached, and the digest of its words.
    Words {
        kind: String,
        is_attached: bool,
        sha256: [u8; 32],
    },
    /// Anything else: its file name, the charset of a text, and the digest of its octets.
    File {
        name: String,
        charset: Option<String>,
        is_attached: bool,
        sha256: [u8; 32],
    },
}

/// A step of the walk over the parts.
enum Step<'a> {
    /// Whether nothing but signatures stands around it.
    Look(&'a Part, bool),
    /// The group that was opened there is complete.
    Close(usize),
}

impl Sameness {
    pub async fn of(spool: &Spool, content: &Content, outline: &Outline) -> Result<Self, Failure> {
        let summary = &outline.summary;
        Ok(Self {
            to: addresses(&summary.to),
            cc: addresses(&summary.cc),
            subject: summary.subject.split_whitespace().map(str::to_owned).collect(),
            pieces: pieces(spool, content, &outline.structure).await?,
        })
    }

    /// What of `other` is not as here, in words; `None` when nothing is.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.to != other.to || self.cc != other.cc {
            return Some("To or Cc name others".to_owned());
        }
        if self.subject != other.subject {
            return Some("the subject is another".to_owned());
        }
        let mut pairs = self.pieces.iter().zip(&other.pieces);
        let Some(at) = pairs.position(|(approved, signed)| approved != signed) else {
            return (self.pieces.len() != other.pieces.len()).then(|| MORE_OR_FEWER.to_owned());
        };
        let nth = |pieces: &[Piece]| {
            let before = pieces.iter().take(at + 1);
            before.filter(|piece| matches!(piece, Piece::File { .. })).count()
        };
        Some(match (self.pieces.get(at), other.pieces.get(at)) {
            (Some(Piece::Close), _) | (_, Some(Piece::Close)) => MORE_OR_FEWER.to_owned(),
            (Some(Piece::Open(_)), _) | (_, Some(Piece::Open(_))) => {
                "its parts are put together in another way (mixed, alternative, related)".to_owned()
            }
            (Some(Piece::File { .. }), _) => not_the_same_attachment(nth(&self.pieces)),
            (_, Some(Piece::File { .. })) => not_the_same_attachment(nth(&other.pieces)),
            _ => "the text is not the same, or not in the same form (plain text, HTML)".to_owned(),
        })
    }
}

const MORE_OR_FEWER: &str = "it has more parts, or fewer";

/// By its number: names of files stand in no log and no evidence.
fn not_the_same_attachment(nth: usize) -> String {
    format!("attachment number {nth} is not the same, or has another name")
}

fn addresses(entries: &[Entry]) -> BTreeSet<String> {
    mailboxes(entries)
        .map(|m| m.address().to_ascii_lowercase())
        .collect()
}

/// What the parts hold, in order. Of a mail that is signed as a whole, perhaps more than once, the signatures are nothing of
/// it; a message inside is one piece, whatever it holds.
async fn pieces(spool: &Spool, content: &Content, structure: &Structure) -> Result<Vec<Piece>, Failure> {
    let mut found = Vec::new();
    let mut steps: Vec<Step<'_>> = structure
        .root()
        .map(|root| Step::Look(root, true))
        .into_iter()
        .collect();
    while let Some(step) = steps.pop() {
        let (part, is_whole) = match step {
            Step::Look(part, is_whole) => (part, is_whole),
            Step::Close(start) => {
                close(&mut found, start);
                continue;
            }
        };
        if part.kind != PartKind::Multipart {
            found.extend(piece(spool, content, part).await?);
            continue;
        }
        if let Some(signed) = signed_part(structure, part).filter(|_| is_whole) {
            steps.push(Step::Look(signed, true));
            continue;
        }
        let children: Vec<&Part> = structure.children(part).collect();
        steps.push(Step::Close(found.len()));
        steps.extend(children.into_iter().rev().map(|child| Step::Look(child, false)));
        found.push(Piece::Open(part.media_type().1.to_ascii_lowercase()));
    }
    Ok(found)
}

/// What a signature in a part of its own stands beside; whatever is put together otherwise is looked at whole.
fn signed_part<'s>(structure: &'s Structure, part: &'s Part) -> Option<&'s Part> {
    let children: Vec<&Part> = structure.children(part).collect();
    match children[..] {
        [signed, signature]
            if part.is_type("multipart/signed") && is_protocol(&signature.content_type.value) =>
        {
            Some(signed)
        }
        _ => None,
    }
}

/// Ends a group. One that holds nothing is none, and one thing is not put together with anything.
fn close(pieces: &mut Vec<Piece>, start: usize) {
    let inside = pieces.get(start + 1..).unwrap_or_default();
    let (mut depth, mut things) = (0_usize, 0_usize);
    for piece in inside {
        things += usize::from(depth == 0);
        match piece {
            Piece::Open(_) => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            Piece::Words { .. } | Piece::File { .. } => {}
        }
    }
    match things {
        0 => pieces.truncate(start),
        1 => drop(pieces.remove(start)),
        _ => pieces.push(Piece::Close),
    }
}

/// RFC 2183 2.8: what is not understood is attached. Where nothing is said a text is shown, and a file is one.
fn is_attached(part: &Part, unsaid: bool) -> bool {
    let disposition = part.disposition.as_ref();
    disposition.map_or(unsaid, |said| !said.value.trim().eq_ignore_ascii_case("inline"))
}

async fn piece(spool: &Spool, content: &Content, part: &Part) -> Result<Option<Piece>, Failure> {
    let (main, sub) = part.media_type();
    let name = part.file_name().unwrap_or_default();
    let is_text = part.kind == PartKind::Leaf && main.eq_ignore_ascii_case("text");
    if is_text && name.is_empty() && part.body.octets() <= TEXT_MAX_OCTETS as u64 {
        let octets = ContentReader::range(spool, content, part.body.range())
            .collect()
            .await?;
        let octets = decode::transfer(part.encoding.as_deref(), &octets);
        let text = decode::charset_text(part.content_type.param("charset"), &octets);
        let kind = sub.to_ascii_lowercase();
        let is_attached = is_attached(part, false);
        return Ok(digest_of_words(&text).map(|sha256| Piece::Words {
            kind,
            is_attached,
            sha256,
        }));
    }
    let encoding = match part.kind {
        PartKind::Leaf => Encoding::named(part.encoding.as_deref()).unwrap_or(Encoding::Identity),
        _ => Encoding::Identity,
    };
    let mut decoder = Decoder::new(encoding);
    let mut context = Context::new(&SHA256);
    let mut undone = Vec::new();
    let mut reader = ContentReader::range(spool, content, part.body.range());
    while let Some(chunk) = reader.next_chunk().await? {
        decoder.push(&chunk, &mut undone);
        context.update(&undone);
        undone.clear();
    }
    decoder.finish(&mut undone);
    context.update(&undone);
    // RFC 2046 4.1.2: US-ASCII where none is named.
    let charset = part.content_type.param("charset").unwrap_or("us-ascii");
    Ok(Some(Piece::File {
        name,
        charset: is_text.then(|| charset.to_ascii_lowercase()),
        is_attached: is_attached(part, true),
        sha256: finished(context),
    }))
}

/// The digest of the words, each ended by a line end; `None` when there is none: an empty part says nothing.
fn digest_of_words(text: &str) -> Option<[u8; 32]> {
    let mut context = Context::new(&SHA256);
    let mut any = false;
    for word in text.split_whitespace() {
        context.update(word.as_bytes());
        context.update(b"\n");
        any = true;
    }
    any.then(|| finished(context))
}

fn finished(context: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::summary::Summary;
    use crate::store::probe::NoProbe;
    use std::sync::Arc;

    const PLAIN: &str = "To: A <a@hs02.kep.test>, b@hs02.kep.test\r\nCc: c@hs02.kep.test\r\nSubject: Teklif no 5\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Fiyat 1000 TL, vade\r\n30 g\u{fc}n.\r\n--x\r\nContent-Type: application/pdf; name=ek.pdf\r\n\r\n%PDF\r\n--x--\r\n";

    async fn read(message: &str) -> Sameness {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        let blob = spool.store(message.as_bytes()).await.unwrap();
        let outline = Outline {
            structure: Structure::of(message.as_bytes()),
            summary: Summary::of(message.as_bytes()),
        };
        let content = Content::whole(blob.id, blob.size_bytes);
        Sameness::of(&spool, &content, &outline).await.unwrap()
    }

    #[tokio::test]
    async fn another_reader_writes_the_same_mail() {
        let other = "Subject: =?utf-8?Q?Teklif_no?=\r\n 5\r\nTo: b@HS02.kep.test,\r\n a@hs02.kep.test\r\ncc: <c@hs02.kep.test>\r\n\
            Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n--s\r\n\
            Content-Type: multipart/mixed; boundary=\"y\"\r\n\r\n--y\r\n\
            Content-Type: text/plain; charset=iso-8859-9; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Fiyat 1000 TL,=20\r\nvade 30 g=FCn.\r\n\r\n--y\r\n\
            Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"ek.pdf\"\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nJVBE\r\nRg==\r\n--y--\r\n\r\n--s\r\n\
            Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nMII=\r\n--s--\r\n";
        assert_eq!(read(PLAIN).await.difference(&read(other).await), None);
    }

    #[tokio::test]
    async fn whatever_a_reader_would_get_otherwise_is_told() {
        let approved = read(PLAIN).await;
        for (from, to, what) in [
            ("1000", "1001", "the text"),
            ("1000 TL", "1000TL", "the text"),
            ("30 g\u{fc}n", "30 g\u{fc}n 3", "the text"),
            ("text/plain", "text/html", "the text"),
            ("%PDF", "%pdf", "attachment number 1 "),
            ("ek.pdf", "ek2.pdf", "attachment number 1 "),
            (
                "=ek.pdf",
                "=ek.pdf\r\nContent-Disposition: inline",
                "attachment number 1 ",
            ),
            (
                "charset=utf-8",
                "charset=utf-8\r\nContent-Disposition: attachment",
                "the text",
            ),
            ("multipart/mixed", "multipart/alternative", "another way"),
            ("no 5", "no 6", "the subject"),
            ("b@hs02", "d@hs02", "To or Cc"),
            ("Cc: ", "X-Cc: ", "To or Cc"),
            ("--x--", "--x\r\n\r\nekstra\r\n--x--", "more parts"),
        ] {
            let other = read(&PLAIN.replacen(from, to, 1)).await;
            let told = approved.difference(&other).unwrap_or_default();
            assert!(told.contains(what), "{to}: {told}");
            assert!(!told.contains("ek.pdf") && !told.contains("ek2"), "{told}");
        }
        let second = PLAIN.replacen(
            "--x--",
            "--x\r\nContent-Type: text/csv; charset=utf-8; name=b.csv\r\n\r\na;b\r\n--x--",
            1,
        );
        let other = second.replacen("charset=utf-8; name", "charset=iso-8859-9; name", 1);
        let told = read(&second).await.difference(&read(&other).await);
        assert!(told.unwrap_or_default().contains("attachment number 2 "));
        // A link that shows the same and leads elsewhere.
        let html = |href: &str| format!("Content-Type: text/html\r\n\r\n<a href=\"{href}\">buraya</a>\r\n");
        let (first, second) = (read(&html("http://a/")).await, read(&html("http://b/")).await);
        assert!(first.difference(&second).is_some());
        // An empty part says nothing.
        let empty = PLAIN.replacen("--x--", "--x\r\n\r\n \r\n--x--", 1);
        assert_eq!(approved.difference(&read(&empty).await), None);
    }

    /// Around a body part, with its own header.
    fn signed(boundary: &str, part: &str) -> String {
        format!(
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary={boundary}\r\n\r\n--{boundary}\r\n{part}\r\n\
             --{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\n{boundary}\r\n--{boundary}--\r\n"
        )
    }

    #[tokio::test]
    async fn what_its_author_signed_is_the_same_with_and_without_his_signature() {
        let text = "Content-Type: text/plain\r\n\r\nMerhaba";
        let head = "To: a@hs02.kep.test\r\nSubject: x\r\n";
        let by_author = read(&format!("{head}{}", signed("a", text))).await;
        for other in [
            signed("o", text),
            signed("o", &signed("a", text)),
            text.to_owned(),
        ] {
            let other = read(&format!("{head}{other}")).await;
            assert_eq!(by_author.difference(&other), None);
        }
        // What stands in the place of the signature, or behind it, and is none.
        let more = "--a\r\nContent-Type: text/plain\r\n\r\nOdeyin\r\n--a--";
        for other in [
            signed("a", text).replacen("--a--", more, 1),
            signed("a", text).replacen("application/pkcs7-signature;", "text/html;", 2),
            signed("o", &signed("a", text).replacen("--a--", more, 1)),
        ] {
            let other = read(&format!("{head}{other}")).await;
            assert!(by_author.difference(&other).is_some());
        }
        // Beside other parts a signed one is a part as it stands.
        let mixed = |part: &str| {
            format!(
                "{head}Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nx\r\n--m\r\n{part}\r\n--m--\r\n"
            )
        };
        let (with, without) = (read(&mixed(&signed("a", text))).await, read(&mixed(text)).await);
        assert!(with.difference(&without).is_some());
    }
}
