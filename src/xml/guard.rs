//! What is refused before any parser sees it: size, encoding, DOCTYPE and entities, comments, processing instructions,
//! depth and number of elements.
//!
//! Comments are refused because a signature does not cover them and because they cut a text in two for some readers.
//! One pass over the octets, no recursion, no allocation.

use super::XmlError;
use memchr::{memchr, memmem};

/// Largest document, in octets: an evidence document with chain and token is 10-20 KiB.
pub const DOCUMENT_MAX_OCTETS: usize = 1024 * 1024;
/// Deepest nesting. Evidence with XAdES is 9 deep.
const DEPTH_MAX: usize = 48;
/// Most elements. A mail of 1,000 recipients has some 6,000.
const ELEMENTS_MAX: usize = 50_000;
/// Most `=` in one tag: bounds attributes, whose uniqueness parsers check pairwise.
const ATTRIBUTES_MAX: usize = 32;
/// Most namespace declarations in scope: parsers copy them to every element that adds one, so many above and many
/// elements below multiply. Evidence with XAdES has six.
const NAMESPACES_MAX: usize = 64;

/// White space (XML 1.0 2.3).
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Checks the octets and gives them back as text.
pub fn check(octets: &[u8]) -> Result<&str, XmlError> {
    if octets.len() > DOCUMENT_MAX_OCTETS {
        return Err(XmlError::Guard("it is larger than 1 MiB"));
    }
    let text = std::str::from_utf8(octets).map_err(|_| XmlError::Guard("it is not UTF-8"))?;
    // Parsers differ about the mark and about what they skip; XML 1.0 2.2 knows no other control characters.
    if text.starts_with('\u{feff}') {
        return Err(XmlError::Guard("it begins with a byte order mark"));
    }
    // To the end and without a branch, so that many octets are looked at together.
    let is_control = |o: u8| (o < b' ') & (o != b'\t') & (o != b'\n') & (o != b'\r');
    if octets.iter().fold(false, |found, o| found | is_control(*o)) {
        return Err(XmlError::Guard("it has a control character"));
    }
    let body = after_declaration(text)?;
    check_markup(body.as_bytes(), Strays::Refused)?;
    Ok(text)
}

/// The bounds alone, for the report on documents that are refused: comments and instructions are let pass.
pub(super) fn check_shape(text: &str) -> Result<(), XmlError> {
    check_markup(after_declaration(text)?.as_bytes(), Strays::Skipped)
}

/// What is done with comments and processing instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strays {
    Refused,
    Skipped,
}

/// Skips the XML declaration (XML 1.0 2.8), which may only say version 1.0 and UTF-8. No signature covers it, and parsers
/// differ about one that is not quite right.
fn after_declaration(text: &str) -> Result<&str, XmlError> {
    // `<?xmlfoo?>` and `<?xml-stylesheet?>` are instructions.
    let declared = text.strip_prefix("<?xml").filter(|r| r.starts_with(BLANK));
    let Some(declared) = declared else {
        return Ok(text);
    };
    let (said, body) = declared
        .split_once("?>")
        .ok_or(XmlError::Guard("XML declaration"))?;
    let is_known = || {
        let (version, rest) = said_next(said, "version")?;
        let (encoding, rest) = said_next(rest, "encoding").unwrap_or(("UTF-8", rest));
        let (alone, rest) = said_next(rest, "standalone").unwrap_or(("yes", rest));
        let known =
            version == "1.0" && encoding.eq_ignore_ascii_case("UTF-8") && matches!(alone, "yes" | "no");
        (known && rest.trim_matches(BLANK).is_empty()).then_some(())
    };
    match is_known() {
        Some(()) => Ok(body),
        None => Err(XmlError::Guard("the XML declaration is not version 1.0, UTF-8")),
    }
}

/// The value of what a declaration says next, if that has this name, and the rest.
fn said_next<'t>(said: &'t str, name: &str) -> Option<(&'t str, &'t str)> {
    let named = said
        .strip_prefix(BLANK)?
        .trim_start_matches(BLANK)
        .strip_prefix(name)?;
    let value = named
        .trim_start_matches(BLANK)
        .strip_prefix('=')?
        .trim_start_matches(BLANK);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.strip_prefix(quote)?.split_once(quote)
}

fn check_markup(octets: &[u8], strays: Strays) -> Result<(), XmlError> {
    let (mut at, mut depth, mut elements) = (0, 0usize, 0usize);
    let declaration = memmem::Finder::new(b"xmlns");
    // Declarations in scope at each depth.
    let mut in_scope = [0usize; DEPTH_MAX + 1];
    while let Some(found) = memchr(b'<', &octets[at..]) {
        let start = at + found;
        let markup = &octets[start..];
        if markup.starts_with(b"<![CDATA[") {
            at = start + find(markup, b"]]>")? + 3;
            continue;
        }
        if strays == Strays::Skipped && markup.starts_with(b"<!--") {
            at = start + find(markup, b"-->")? + 3;
            continue;
        }
        if strays == Strays::Skipped && markup.starts_with(b"<?") {
            at = start + find(markup, b"?>")? + 2;
            continue;
        }
        if markup.starts_with(b"<!--") {
            return Err(XmlError::Guard("it has a comment"));
        }
        if markup.starts_with(b"<!") {
            return Err(XmlError::Guard("it has a document type or entity declaration"));
        }
        if markup.starts_with(b"<?") {
            return Err(XmlError::Guard("it has a processing instruction"));
        }
        let (length, equals) = tag_length(markup)?;
        let empty = markup[..length].ends_with(b"/>");
        if markup.starts_with(b"</") {
            depth = depth.saturating_sub(1);
        } else {
            elements += 1;
            if !empty {
                depth += 1;
            }
        }
        if depth > DEPTH_MAX || elements > ELEMENTS_MAX {
            return Err(XmlError::Guard("it has too many or too deep elements"));
        }
        if !markup.starts_with(b"</") {
            let outside = in_scope[depth.saturating_sub(usize::from(!empty))];
            // At most: `xmlns` in a value counts too. Without an attribute there is none.
            let declared = match equals {
                0 => outside,
                _ => outside + declaration.find_iter(&markup[..length]).count(),
            };
            if declared > NAMESPACES_MAX {
                return Err(XmlError::Guard("too many namespaces are in scope"));
            }
            if !empty {
                in_scope[depth] = declared;
            }
        }
        at = start + length;
    }
    Ok(())
}

/// What is looked at in a tag: it ends, counts as an attribute, or begins a value.
const IN_TAG: [bool; 256] = {
    let mut table = [false; 256];
    table[b'>' as usize] = true;
    table[b'=' as usize] = true;
    table[b'"' as usize] = true;
    table[b'\'' as usize] = true;
    table
};

/// The length of a tag with its brackets, and how many `=` it has; what stands inside quotes does not count.
fn tag_length(markup: &[u8]) -> Result<(usize, usize), XmlError> {
    let (mut rest, mut equals) = (markup, 0usize);
    let endless = XmlError::Guard("a tag does not end");
    while let Some(at) = rest.iter().position(|o| IN_TAG[usize::from(*o)]) {
        let (octet, behind) = (rest[at], &rest[at + 1..]);
        rest = match octet {
            b'=' => {
                equals += 1;
                behind
            }
            b'>' if equals <= ATTRIBUTES_MAX => return Ok((markup.len() - behind.len(), equals)),
            b'>' => return Err(XmlError::Guard("an element has too many attributes")),
            quote => match memchr(quote, behind) {
                Some(end) => &behind[end + 1..],
                None => return Err(endless),
            },
        };
    }
    Err(endless)
}

fn find(octets: &[u8], what: &[u8]) -> Result<usize, XmlError> {
    memmem::find(octets, what).ok_or(XmlError::Guard("a section does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_is_refused() {
        for bad in [
            "<!DOCTYPE a><a/>",
            "<a><!-- c --></a>",
            "<?pi x?><a/>",
            "<?xmlversion='1.0'?><a/>",
            "\u{feff}<a/>",
            "<a>\0</a>",
            "<?xml version=\"1.0\" encoding=\"ISO-8859-9\"?><a/>",
            "<?xml version=\"1.1\"?><a/>",
            "<?xml\n?><a/>",
            "<?xml\nencoding='UTF-8' version='1.0'?><a/>",
            "<?xml\tversion=\"1.0'?><a/>",
            "<?xml version='1.0' standalone='banana'?><a/>",
            "<?xml version='1.0 encoding=UTF-8'?><a/>",
            "<?xml version='1.0'encoding='UTF-8'?><a/>",
            "<?xml version='1.0' encoding='UTF-8' encoding='UTF-8'?><a/>",
            "<a b=\"",
            "<a><![CDATA[",
        ] {
            assert!(matches!(check(bad.as_bytes()), Err(XmlError::Guard(_))), "{bad}");
        }
        assert!(check(b"<a>\xff</a>").is_err());
        assert!(check("<a>".repeat(100).as_bytes()).is_err());
        assert!(check("<a/>".repeat(60_000).as_bytes()).is_err());
        assert!(check(&vec![b' '; DOCUMENT_MAX_OCTETS + 1]).is_err());
        let spaces = |n: usize| format!("<a{}>", " xmlns:a='b'".repeat(n));
        let siblings = format!("<r>{}</r>", format!("{}</a>", spaces(30)).repeat(9));
        assert!(check(siblings.as_bytes()).is_ok());
        assert!(check(spaces(30).repeat(3).as_bytes()).is_err());
    }

    #[test]
    fn ordinary_documents_pass() {
        for good in [
            "<a/>",
            "<?xml version='1.0' encoding='utf-8'?>\n<a b='>'><c/></a>",
            "<?xml\tversion = \"1.0\" standalone='no' ?><a/>",
            "<a><![CDATA[<x>]]></a>",
        ] {
            assert_eq!(check(good.as_bytes()), Ok(good));
        }
    }
}
