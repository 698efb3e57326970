//! Name constraints (RFC 5280 4.2.1.10): what names an authority may issue for.
//!
//! dNSName, rfc822Name, directoryName, iPAddress and uniformResourceIdentifier, permitted and excluded, on the subject, its
//! e-mail addresses and the alternative names. A constraint on another form of name is no harm until a certificate below
//! has a name of that form; then the path is refused, as RFC 5280 asks. A host name in the common name is not looked at:
//! nobody is reached by it here.

use super::PathError;
use crate::cms::certificate::Certificate;
use crate::cms::der::{self, DerError, Reader, Tlv};
use crate::cms::{extension, name};

/// Most comparisons of a name with a constraint in one path; the certificates of the public web stay below a thousand.
const COMPARISONS_MAX: usize = 250_000;

// GeneralName (RFC 5280 4.2.1.6).
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
/// emailAddress 1.2.840.113549.1.9.1
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

/// A name or a base, in the form of its tag.
struct General<'a> {
    tag: u8,
    value: std::borrow::Cow<'a, [u8]>,
}

#[derive(Default)]
struct Subtrees<'a> {
    permitted: Vec<Tlv<'a>>,
    excluded: Vec<Tlv<'a>>,
}

/// Every certificate of the path against the constraints of all authorities above it. Leaf first, anchor last; what an
/// anchor says of itself counts too.
pub(super) fn check(path: &[Certificate]) -> Result<(), PathError> {
    let mut comparisons = 0;
    for (i, authority) in path.iter().enumerate().skip(1) {
        let Some((_, value)) = authority.extension(extension::NAME_CONSTRAINTS) else {
            continue;
        };
        let subtrees = read(value).map_err(|e| faulty(authority, e))?;
        for (depth, certificate) in path.iter().take(i).enumerate() {
            // RFC 5280 6.1.3 (b), (c): a self-issued authority only changes its key.
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            let names = names_of(certificate).map_err(|e| faulty(certificate, e))?;
            comparisons += names.len() * (subtrees.permitted.len() + subtrees.excluded.len());
            if comparisons > COMPARISONS_MAX {
                return Err(PathError::TooManyNames(certificate.subject()));
            }
            if let Some(outside) = names.iter().find(|n| !subtrees.allow(n)) {
                return Err(PathError::NameConstraint {
                    issuer: authority.subject(),
                    subject: certificate.subject(),
                    name: outside.display(),
                });
            }
        }
    }
    Ok(())
}

fn faulty(certificate: &Certificate, error: DerError) -> PathError {
    PathError::FaultyExtension {
        subject: certificate.subject(),
        what: error.0,
    }
}

fn read(value: &[u8]) -> Result<Subtrees<'_>, DerError> {
    let mut fields = der::whole(value, der::SEQUENCE, "name constraints")?;
    let mut out = Subtrees::default();
    if let Some(permitted) = fields.optional(der::context(0))? {
        out.permitted = bases(permitted.value)?;
    }
    if let Some(excluded) = fields.optional(der::context(1))? {
        out.excluded = bases(excluded.value)?;
    }
    fields.end("name constraints")?;
    if out.permitted.is_empty() && out.excluded.is_empty() {
        return Err(DerError("name constraints without any"));
    }
    Ok(out)
}

fn bases(octets: &[u8]) -> Result<Vec<Tlv<'_>>, DerError> {
    let mut list = Reader::new(octets);
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.enter(der::SEQUENCE, "general subtree")?;
        out.push(subtree.any()?);
        // RFC 5280 4.2.1.10: minimum is zero, which DER leaves out, and there is no maximum.
        subtree.end("minimum or maximum in a name constraint")?;
    }
    Ok(out)
}

/// The names of a certificate that constraints speak of.
fn names_of(certificate: &Certificate) -> Result<Vec<General<'_>>, DerError> {
    let mut out = Vec::new();
    // RFC 5280 6.1.3 (b): an empty subject is within everything.
    if !der::whole(certificate.subject_der(), der::SEQUENCE, "subject")?.is_empty() {
        out.push(General {
            tag: DIRECTORY_NAME,
            value: certificate.subject_der().into(),
        });
    }
    for address in name::attributes(certificate.subject_der(), EMAIL_ADDRESS) {
        out.push(General {
            tag: RFC822_NAME,
            value: address.into_bytes().into(),
        });
    }
    if let Some((_, value)) = certificate.extension(extension::SUBJECT_ALT_NAME) {
        let mut list = der::whole(value, der::SEQUENCE, "alternative name")?;
        while !list.is_empty() {
            let Tlv { tag, value, .. } = list.any()?;
            out.push(General {
                tag,
                value: value.into(),
            });
        }
    }
    Ok(out)
}

impl General<'_> {
    fn display(&self) -> String {
        match self.tag {
            DIRECTORY_NAME => name::display(&self.value),
            RFC822_NAME | DNS_NAME | URI => String::from_utf8_lossy(&self.value)
                .chars()
                .filter(|c| !c.is_control())
                .collect(),
            IP_ADDRESS => match *self.value {
                [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
                _ => <[u8; 16]>::try_from(&*self.value).map_or_else(
                    |_| "a faulty address".to_owned(),
                    |octets| std::net::Ipv6Addr::from(octets).to_string(),
                ),
            },
            tag => format!("a name of form {}", tag & 0x1f),
        }
    }
}

impl Subtrees<'_> {
    fn allow(&self, name: &General<'_>) -> bool {
        let mut of_this_form = self.permitted.iter().filter(|b| b.tag == name.tag).peekable();
        // What cannot be compared is outside what is permitted, and inside what is excluded.
        let permitted = of_this_form.peek().is_none()
            || of_this_form.any(|base| is_within(name, base.value) == Some(true));
        let mut excluded = self.excluded.iter().filter(|b| b.tag == name.tag);
        permitted && excluded.all(|base| is_within(name, base.value) == Some(false))
    }
}

/// Whether a name lies in the subtree of a base of its form; None when that cannot be said.
fn is_within(name: &General<'_>, base: &[u8]) -> Option<bool> {
    match name.tag {
        // directoryName is tagged explicitly, for Name is a CHOICE.
        DIRECTORY_NAME => name::is_within(&name.value, base),
        IP_ADDRESS => address_is_within(&name.value, base),
        DNS_NAME => host_is_within(text(&name.value)?, text(base)?, Bare::WithSubdomains),
        RFC822_NAME => mailbox_is_within(text(&name.value)?, text(base)?),
        URI => host_is_within(host_of_uri(text(&name.value)?)?, text(base)?, Bare::HostOnly),
        _ => None,
    }
}

fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok().filter(|t| t.is_ascii())
}

/// What a base without a leading dot means: the forms differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    HostOnly,
    WithSubdomains,
}

fn host_is_within(host: &str, base: &str, bare: Bare) -> Option<bool> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let base = base.strip_suffix('.').unwrap_or(base);
    if host.is_empty() || host.starts_with('.') || host.contains("..") {
        return None;
    }
    if base.is_empty() {
        return Some(true);
    }
    let ends = |tail: &str| {
        host.len() > tail.len()
            && host
                .get(host.len() - tail.len()..)
                .is_some_and(|t| t.eq_ignore_ascii_case(tail))
    };
    if base.starts_with('.') {
        return Some(ends(base));
    }
    let below = bare == Bare::WithSubdomains && ends(&format!(".{base}"));
    Some(below || host.eq_ignore_ascii_case(base))
}

/// RFC 5280 4.2.1.10: a mailbox, all mailboxes of a host, or with a leading dot of all hosts below a domain.
fn mailbox_is_within(mailbox: &str, base: &str) -> Option<bool> {
    let (local, host) = mailbox.rsplit_once('@')?;
    match base.rsplit_once('@') {
        // The local part keeps its case (RFC 5280 7.5).
        Some((base_local, base_host)) => Some(local == base_local && host.eq_ignore_ascii_case(base_host)),
        None => host_is_within(host, base, Bare::HostOnly),
    }
}

/// The host of a URI; None when it has none that is a name, and then it cannot be within anything (RFC 5280 4.2.1.10).
fn host_of_uri(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?;
    let is_name = host.bytes().any(|b| b.is_ascii_alphabetic()) && !host.starts_with('[');
    is_name.then_some(host)
}

/// Address and mask of the same family (RFC 4632 style); other lengths say nothing.
fn address_is_within(address: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    if network.len() != address.len() {
        return Some(false);
    }
    let same = |((a, n), m): ((&u8, &u8), &u8)| a & m == n & m;
    Some(address.iter().zip(network).zip(mask).all(same))
}
