//! Spoiled mails: seeds with everything a structure can hold, mutated where parsers look.

use super::chance::Chance;

const SPLICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"--",
    b"\0",
    b"=?UTF-8?B?",
    b"?=",
    b"=?x?Q?=",
    b"=?ISO-2022-JP?B?GyRC?=",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"charset=utf-7",
    b"charset=iso-2022-jp",
    b"charset*0*=utf-8''%",
    b"filename*1=",
    b"boundary=\"\"",
    b"boundary=",
    b";;;;",
    b"\"",
    b"(((((((((",
    b"<",
    b">",
    b"@",
    b",",
    b":",
    b";",
    b"\xff",
    b"\x1b$B",
    b"+ADw-",
    b"%",
    b"=",
    b"=\r\n",
    b"&#x110000;",
    b"<!--",
    b"Date: Thu, 99 Foo 99999 99:99:99 +9999\r\n",
];

const SEEDS: &[&str] = &[
    "From: =?UTF-8?Q?Al=C4=B1c=C4=B1?= <alici@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test, Grup: a@b.c, d@e.f;\r\nCc: \"A \\\"B\\\"\" <a@b.c>\r\n\
     Subject: =?ISO-8859-9?B?3WhhbGU=?= Teklif\r\n =?UTF-8?Q?=C5=9E?=\r\nDate: Wed, 4 Nov 2026 10:00:00 +0300 (TRT)\r\n\
     Message-ID: <a@hs02.kep.test>\r\nIn-Reply-To: <b@c>\r\nReferences: <b@c> <d@e>\r\nMIME-Version: 1.0\r\n\
     Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-9\r\n\
     Content-Transfer-Encoding: quoted-printable\r\n\r\nMerhaba =DDstanbul=\r\n\r\n--b\r\nContent-Type: application/pdf;\r\n\
     \tname*0*=utf-8''%C4%B0; name*1=x.pdf\r\nContent-Disposition: attachment; filename=\"=?UTF-8?B?xLA=?=.pdf\"\r\n\
     Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n",
    "From: a@b.c\r\nSubject: iletilen\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
     From: d@e.f\r\nSubject: ic\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\nContent-Type: text/plain\r\n\r\nduz\r\n\
     --bb\r\nContent-Type: text/html; charset=windows-1254\r\n\r\n<p>html &amp; <b>kal\u{131}n</b><script>x</script></p>\r\n--bb--\r\n--b--\r\n",
    "Subject: yalin\r\nContent-Language: tr, en\r\nContent-Location: http://a/\r\nContent-MD5: xx\r\nContent-ID: <1@2>\r\n\r\nMerhaba\r\n",
    "From: a@b.c\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\u{1b}$B4A;z\u{1b}(B\r\n",
    "\r\n",
    "",
];

pub fn mail(chance: &mut Chance) -> Vec<u8> {
    let mut octets = chance.pick(SEEDS).as_bytes().to_vec();
    if chance.one_in(20) {
        octets = deep(chance.below(200));
    }
    for _ in 0..chance.below(8) {
        chance.spoil(&mut octets, SPLICE);
    }
    octets
}

/// Messages within messages.
fn deep(levels: usize) -> Vec<u8> {
    let inner = "Content-Type: message/rfc822\r\n\r\n".repeat(levels);
    format!("{inner}Subject: dip\r\n\r\nson\r\n").into_bytes()
}

/// Everything this house reads out of a mail, without a store.
pub fn read(octets: &[u8]) {
    use kepd::mime::{answer, decode, field, mailbox, structure::Structure, summary};
    let structure = Structure::of(octets);
    for part in &structure.parts {
        let header = part.header.of(octets).unwrap_or_default();
        let seen = summary::Summary::of(header);
        let _ = (
            seen.date_raw.as_deref().map(summary::parse_date),
            part.file_name(),
        );
        let body = part.body.of(octets).unwrap_or_default();
        let _ = decode::text(part, body, decode::TEXT_MAX_OCTETS);
        let _ = decode::transfer(part.encoding.as_deref(), body);
        for field in field::fields(header) {
            let _ = (decode::words(&field.text()), mailbox::parse_list(field.raw));
        }
    }
    let _ = answer::own_words(octets);
}
