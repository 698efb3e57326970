//! Whether two mails say the same: the content of one that was approved, and of one that was signed afterwards.
//!
//! Mail readers write what they send anew: lines are broken elsewhere, the encoding is another, boundaries are, and a
//! signature stands around it. So what is compared is what a reader gets: To and Cc as sets of addresses, the words of the
//! subject, and the parts in their order - the words of a text after its charset and encoding are undone, the octets of
//! everything else with its file name. White space between words is not compared, every other character is. HTML is compared
//! as it is written, not as it looks: a link may show one address and lead to another.

use crate::mime::decode::{self, TEXT_MAX_OCTETS};
use crate::mime::mailbox::{Entry, mailboxes};
use crate::mime::structure::{Part, PartKind, Structure};
use crate::mime::transfer::{Decoder, Encoding};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
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
    /// A text: its subtype, and the digest of its words.
    Words { kind: String, sha256: [u8; 32] },
    /// Anything else: its file name, and the digest of its octets.
    File { name: String, sha256: [u8; 32] },
}

impl Sameness {
    pub async fn of(spool: &Spool, content: &Content, outline: &Outline) -> Result<Self, Failure> {
        let summary = &outline.summary;
        let mut pieces = Vec::new();
        for part in leaves(&outline.structure) {
            pieces.extend(piece(spool, content, part).await?);
        }
        Ok(Self {
            to: addresses(&summary.to),
            cc: addresses(&summary.cc),
            subject: summary.subject.split_whitespace().map(str::to_owned).collect(),
            pieces,
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
        if let Some((approved, signed)) = pairs.find(|(approved, signed)| approved != signed) {
            return Some(match (approved, signed) {
                (Piece::File { name, .. }, _) | (_, Piece::File { name, .. }) if !name.is_empty() => {
                    format!("the attachment \"{name}\" is not the same")
                }
                _ => "the text is not the same, or not in the same form (plain text, HTML)".to_owned(),
            });
        }
        (self.pieces.len() != other.pieces.len()).then(|| "it has more parts, or fewer".to_owned())
    }
}

fn addresses(entries: &[Entry]) -> BTreeSet<String> {
    mailboxes(entries)
        .map(|m| m.address().to_ascii_lowercase())
        .collect()
}

/// The parts that hold something, in order. Of a mail that is signed as a whole the signature is none of them; a message
/// inside is one, whatever it holds.
fn leaves(structure: &Structure) -> Vec<&Part> {
    let mut found = Vec::new();
    let mut open: Vec<(&Part, bool)> = structure.root().map(|root| (root, true)).into_iter().collect();
    while let Some((part, is_whole)) = open.pop() {
        if part.kind != PartKind::Multipart {
            found.push(part);
            continue;
        }
        let mut children: Vec<&Part> = structure.children(part).collect();
        if is_whole && part.is_type("multipart/signed") {
            children.truncate(1);
        }
        open.extend(children.into_iter().rev().map(|child| (child, false)));
    }
    found
}

async fn piece(spool: &Spool, content: &Content, part: &Part) -> Result<Option<Piece>, Failure> {
    let (main, sub) = part.media_type();
    let name = part.file_name().unwrap_or_default();
    let is_text = part.kind == PartKind::Leaf && main.eq_ignore_ascii_case("text") && name.is_empty();
    if is_text && part.body.octets() <= TEXT_MAX_OCTETS as u64 {
        let octets = ContentReader::range(spool, content, part.body.range())
            .collect()
            .await?;
        let octets = decode::transfer(part.encoding.as_deref(), &octets);
        let text = decode::charset_text(part.content_type.param("charset"), &octets);
        let kind = sub.to_ascii_lowercase();
        return Ok(digest_of_words(&text).map(|sha256| Piece::Words { kind, sha256 }));
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
    Ok(Some(Piece::File {
        name,
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
            ("%PDF", "%pdf", "\"ek.pdf\""),
            ("ek.pdf", "ek2.pdf", "\"ek.pdf\""),
            ("no 5", "no 6", "the subject"),
            ("b@hs02", "d@hs02", "To or Cc"),
            ("Cc: ", "X-Cc: ", "To or Cc"),
            ("--x--", "--x\r\n\r\nekstra\r\n--x--", "more parts"),
        ] {
            let other = read(&PLAIN.replacen(from, to, 1)).await;
            let told = approved.difference(&other).unwrap_or_default();
            assert!(told.contains(what), "{to}: {told}");
        }
        // A link that shows the same and leads elsewhere.
        let html = |href: &str| format!("Content-Type: text/html\r\n\r\n<a href=\"{href}\">buraya</a>\r\n");
        let (first, second) = (read(&html("http://a/")).await, read(&html("http://b/")).await);
        assert!(first.difference(&second).is_some());
        // An empty part says nothing, a nested signature does.
        let empty = PLAIN.replacen("--x--", "--x\r\n\r\n \r\n--x--", 1);
        assert_eq!(approved.difference(&read(&empty).await), None);
    }
}
