//! The kinds of value the schema knows (XML Schema part 2), as far as they can be told from text.

#[derive(Clone, Copy)]
pub(super) enum Value {
    Any,
    NonEmpty,
    Uri,
    NonEmptyUri,
    DateTime,
    Integer,
    Integers,
    Base64,
    Boolean,
    NcName,
    Language,
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

impl Value {
    pub(super) fn accepts(self, text: &str) -> bool {
        let token = text.trim_matches(is_space);
        match self {
            Value::Any => true,
            Value::NonEmpty => !text.is_empty(),
            Value::Uri => is_uri(token),
            Value::NonEmptyUri => !token.is_empty() && is_uri(token),
            Value::DateTime => is_date_time(token),
            Value::Integer => is_integer(token),
            Value::Integers => token.split(is_space).filter(|t| !t.is_empty()).all(is_integer),
            Value::Base64 => is_base64(token),
            Value::Boolean => matches!(token, "true" | "false" | "0" | "1"),
            Value::NcName => is_nc_name(token),
            // XML 1.0 2.12: the empty value takes the language back.
            Value::Language => {
                token.is_empty()
                    || token.split('-').enumerate().all(|(n, part)| {
                        (1..=8).contains(&part.len())
                            && part.bytes().all(|b| {
                                if n == 0 {
                                    b.is_ascii_alphabetic()
                                } else {
                                    b.is_ascii_alphanumeric()
                                }
                            })
                    })
            }
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Value::Any => "a string",
            Value::NonEmpty => "a string that is not empty",
            Value::Uri => "a URI",
            Value::NonEmptyUri => "a URI that is not empty",
            Value::DateTime => "a moment",
            Value::Integer => "a whole number",
            Value::Integers => "a list of whole numbers",
            Value::Base64 => "base64",
            Value::Boolean => "true or false",
            Value::NcName => "a name that may be an ID (it must not begin with a digit)",
            Value::Language => "a language tag",
        }
    }
}

/// xs:anyURI takes almost any text; what libxml2 refuses is a percent sign without two digits and a few delimiters.
fn is_uri(text: &str) -> bool {
    let octets = text.as_bytes();
    let percent_ok = octets
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'%')
        .all(|(at, _)| {
            octets
                .get(at + 1..at + 3)
                .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
        });
    // RFC 3986 3.1: a colon in the first segment ends a scheme.
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme_ok = first.split_once(':').is_none_or(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    percent_ok && scheme_ok && octets.iter().filter(|b| **b == b'#').count() <= 1
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_base64(text: &str) -> bool {
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let data = packed
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'+' || **b == b'/')
        .count();
    packed.len().is_multiple_of(4) && packed[data..].iter().all(|b| *b == b'=') && packed.len() - data <= 2
}

fn is_nc_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}'))
}

/// `YYYY-MM-DDThh:mm:ss[.f][Z|+hh:mm]`; a moment without a zone is valid too.
fn is_date_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else {
        return false;
    };
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let zone_ok = match zone.strip_prefix(['+', '-']) {
        Some(offset) => {
            offset.len() == 5 && clock_parts(offset).is_some_and(|p| p == (p.0.min(14), p.1.min(59)))
        }
        None => zone.is_empty() || zone == "Z",
    };
    let (whole, fraction) = time.split_once('.').map_or((time, None), |(w, f)| (w, Some(f)));
    let fraction_ok = fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
    zone_ok
        && fraction_ok
        && format!("{date}T{whole}").parse::<jiff::civil::DateTime>().is_ok()
        && whole.len() == 8
}

fn clock_parts(text: &str) -> Option<(u8, u8)> {
    let (hours, minutes) = text.split_once(':')?;
    Some((hours.parse().ok()?, minutes.parse().ok()?))
}
