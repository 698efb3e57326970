//! The scanner on messages of every shape, whole and in pieces.

use super::*;
use crate::mime::Section;
use proptest::prelude::*;

const NESTED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\npreamble\r\n--out\r\n\
Content-Type: text/plain; charset=utf-8\r\n\r\nhello\r\nworld\r\n--out\r\nContent-Type: message/rfc822\r\n\r\n\
Subject: inner\r\nContent-Type: multipart/alternative; boundary=\"in\"\r\n\r\n--in\r\n\r\nA\r\n--in\r\n\
Content-Type: text/html\r\n\r\n<b>\r\n\r\n--in--\r\nepi\r\n--out\r\n\r\n--out--  \r\nepilogue\r\n";

fn at<'a>(message: &'a [u8], path: &[u32], section: Section) -> Option<&'a str> {
    let span = Structure::of(message).locate(path, section)?;
    Some(std::str::from_utf8(span.of(message).unwrap()).unwrap())
}

#[test]
fn section_numbers_give_exact_octets() {
    let m = NESTED.as_bytes();
    assert_eq!(at(m, &[], Section::Full), Some(NESTED));
    assert_eq!(at(m, &[1], Section::Full), Some("hello\r\nworld"));
    assert_eq!(
        at(m, &[1], Section::Mime),
        Some("Content-Type: text/plain; charset=utf-8\r\n\r\n")
    );
    assert_eq!(at(m, &[1], Section::Header), None);
    assert_eq!(at(m, &[], Section::Mime), None);
    assert_eq!(
        at(m, &[2], Section::Header),
        Some("Subject: inner\r\nContent-Type: multipart/alternative; boundary=\"in\"\r\n\r\n")
    );
    assert_eq!(at(m, &[2, 1], Section::Full), Some("A"));
    assert_eq!(at(m, &[2, 2], Section::Full), Some("<b>\r\n"));
    assert!(at(m, &[2], Section::Text).unwrap().ends_with("--in--\r\nepi"));
    assert_eq!(at(m, &[3], Section::Full), Some(""));
    for missing in [&[4][..], &[0], &[1, 1], &[2, 3], &[2, 1, 1]] {
        assert_eq!(at(m, missing, Section::Full), None, "{missing:?}");
    }
}

#[test]
fn a_simple_message_is_its_own_part_one() {
    let m = b"Subject: x\r\n\r\nbody\r\n";
    assert_eq!(at(m, &[1], Section::Full), Some("body\r\n"));
    assert_eq!(at(m, &[1], Section::Mime), Some("Subject: x\r\n\r\n"));
    assert_eq!(at(m, &[1, 1], Section::Full), None);
    let s = Structure::of(m);
    assert_eq!((s.parts[0].lines, s.lines), (1, 3));
}

#[test]
fn a_message_that_is_only_a_message() {
    let m = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext";
    assert_eq!(at(m, &[1], Section::Header), Some("Subject: in\r\n\r\n"));
    assert_eq!(at(m, &[1, 1], Section::Full), Some("text"));
}

#[test]
fn an_encoded_message_part_is_a_leaf() {
    let m = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdA==\r\n";
    let s = Structure::of(m);
    assert_eq!((s.parts.len(), s.parts[0].kind), (1, PartKind::Leaf));
}

#[test]
fn line_counts_are_line_ends_within_the_body() {
    let s = Structure::of(NESTED.as_bytes());
    for part in &s.parts {
        let body = part.body.of(NESTED.as_bytes()).unwrap();
        assert_eq!(
            part.lines as usize,
            body.iter().filter(|b| **b == b'\n').count(),
            "{part:?}"
        );
    }
}

#[test]
fn an_inner_boundary_that_begins_like_the_outer_one() {
    let m = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b2\r\n\r\n\
--b2\r\n\r\none\r\n--b2--\r\n--b\r\n\r\ntwo\r\n--b--\r\n";
    assert_eq!(at(m, &[1, 1], Section::Full), Some("one"));
    assert_eq!(at(m, &[2], Section::Full), Some("two"));
}

#[test]
fn bounds_leave_the_rest_opaque() {
    let mut many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..1_500 {
        many.extend_from_slice(b"--b\r\n\r\nx\r\n");
    }
    many.extend_from_slice(b"--b--\r\n");
    let s = Structure::of(&many);
    assert!(s.cut);
    assert_eq!(s.parts.len(), PARTS_MAX);
    assert!(s.parts[0].cut);
    assert_eq!(s.parts[0].body.end, many.len() as u64);
    // Within an envelope the same mail leaves the envelope's own parts in sight.
    let mut sealed =
        b"Content-Type: multipart/signed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
            .to_vec();
    sealed.extend_from_slice(&many);
    sealed.extend_from_slice(b"\r\n--o\r\nContent-Type: application/pkcs7-signature\r\n\r\nsig\r\n--o--\r\n");
    assert_eq!(at(&sealed, &[2], Section::Full), Some("sig"));
    assert_eq!(at(&sealed, &[1], Section::Full), std::str::from_utf8(&many).ok());

    let mut deep = Vec::new();
    for level in 0..50 {
        deep.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").as_bytes(),
        );
    }
    let s = Structure::of(&deep);
    assert!(s.cut);
    assert_eq!(s.parts.len(), DEPTH_MAX);

    let long = format!(
        "Subject: {}\r\nContent-Type: text/html\r\n\r\nbody",
        "a".repeat(TOP_HEADER_MAX_OCTETS)
    );
    let s = Structure::of(long.as_bytes());
    assert!(s.parts[0].cut);
    assert_eq!(s.parts[0].content_type.value, "text/plain");
    assert_eq!(s.parts[0].body.of(long.as_bytes()), Some(&b"body"[..]));
}

#[test]
fn the_map_is_a_row() {
    let s = Structure::of(NESTED.as_bytes());
    let row = postcard::to_allocvec(&s).unwrap();
    assert_eq!(postcard::from_bytes::<Structure>(&row).unwrap(), s);
    assert!(row.len() < NESTED.len() * 2, "{}", row.len());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(cuts in proptest::collection::vec(0usize..NESTED.len(), 0..12), lf in any::<bool>()) {
        let text = if lf { NESTED.replace("\r\n", "\n") } else { NESTED.to_owned() };
        let m = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(m.len())).collect();
        cuts.sort_unstable();
        let mut scanner = Scanner::new();
        let mut from = 0;
        for cut in cuts {
            scanner.push(&m[from..cut]);
            from = cut;
        }
        scanner.push(&m[from..]);
        prop_assert_eq!(scanner.finish(), Structure::of(m));
    }

    #[test]
    fn hostile_octets_give_spans_that_lie_within(m in proptest::collection::vec(prop_oneof![
        Just(&b"\r\n"[..]), Just(&b"\n"[..]), Just(&b"--b"[..]), Just(&b"--"[..]), Just(&b"x"[..]), Just(&b"\r"[..]),
        Just(&b"Content-Type: multipart/mixed; boundary=b\r\n"[..]), Just(&b"Content-Type: message/rfc822\r\n"[..]),
        Just(&b" "[..]), Just(&b":"[..]), Just(&b"\""[..]),
    ], 0..60)) {
        let m = m.concat();
        let s = Structure::of(&m);
        for part in &s.parts {
            prop_assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
            prop_assert!(part.body.start <= part.body.end && part.body.end <= m.len() as u64);
            if let Some(parent) = part.parent {
                let parent = &s.parts[usize::from(parent)];
                prop_assert!(parent.body.start <= part.header.start && part.body.end <= parent.body.end);
            }
            let body = part.body.of(&m).unwrap();
            prop_assert_eq!(part.lines as usize, body.iter().filter(|b| **b == b'\n').count());
        }
    }
}
