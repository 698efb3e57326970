//! `REMExtensions.xml`: facts of an envelope that the evidence has no place for, in a namespace of our own.
//!
//! The content schema of TS 102 640 for this part was not found, so peers must be able to do without it, and we without
//! theirs: nothing is decided by what stands here.

use super::KEPD_NS;
use super::writer::XmlWriter;
use crate::clock::UtcTime;
use crate::domain::audit_chain::hex;

/// What we say in the extensions section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Id given by the provider.
    pub rem_message_id: String,
    /// Message-ID of the original.
    pub original_message_id: Option<String>,
    pub original_octets: Option<u64>,
    pub original_sha256: Option<[u8; 32]>,
    pub submitted_at: Option<UtcTime>,
    /// `X-TR-REM-iletiTip` of the original, as written.
    pub ileti_tip: Option<String>,
    /// `X-TR-REM-iletiID` of the original, as written.
    pub ileti_id: Option<String>,
}

/// Writes the document.
pub fn write(extensions: &Extensions) -> Vec<u8> {
    let digest = extensions.original_sha256.map(|octets| hex(&octets));
    let rows = [
        ("k:RemMessageId", Some(extensions.rem_message_id.clone())),
        ("k:OriginalMessageId", extensions.original_message_id.clone()),
        (
            "k:OriginalOctets",
            extensions.original_octets.map(|n| n.to_string()),
        ),
        ("k:OriginalSha256", digest),
        ("k:SubmittedAt", extensions.submitted_at.map(UtcTime::rfc3339)),
        ("k:IletiTip", extensions.ileti_tip.clone()),
        ("k:IletiID", extensions.ileti_id.clone()),
    ];
    let mut w = XmlWriter::document();
    w.element(
        "k:REMExtensions",
        &[("xmlns:k", KEPD_NS), ("version", "1")],
        |w| {
            for (name, value) in rows {
                if let Some(value) = value {
                    w.text_element(name, &[], &value);
                }
            }
        },
    );
    w.into_bytes()
}

/// Reads our own document; `None` for another's.
pub fn read(xml: &[u8]) -> Option<Extensions> {
    let doc = super::parse(xml).ok()?;
    let root = doc.root_element();
    if !root.has_tag_name((KEPD_NS, "REMExtensions")) {
        return None;
    }
    let text = |name: &str| {
        let node = root.children().find(|n| n.has_tag_name((KEPD_NS, name)))?;
        Some(node.text().unwrap_or_default().to_owned())
    };
    Some(Extensions {
        rem_message_id: text("RemMessageId")?,
        original_message_id: text("OriginalMessageId"),
        original_octets: text("OriginalOctets").and_then(|t| t.parse().ok()),
        original_sha256: text("OriginalSha256").and_then(|t| sha256_of(&t)),
        submitted_at: text("SubmittedAt").and_then(|t| UtcTime::parse_rfc3339(&t)),
        ileti_tip: text("IletiTip"),
        ileti_id: text("IletiID"),
    })
}

fn sha256_of(hex: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (n, octet) in out.iter_mut().enumerate() {
        *octet = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read() {
        let all = Extensions {
            rem_message_id: "<2@hs01.kep.test>".into(),
            original_message_id: Some("<a&b@x>".into()),
            original_octets: Some(25_000_000),
            original_sha256: Some([0xa5; 32]),
            submitted_at: Some(UtcTime::from_unix_s(1)),
            ileti_tip: Some("eTebligat".into()),
            ileti_id: Some("".into()),
        };
        assert_eq!(read(&write(&all)), Some(all));
        assert_eq!(read(b"<REMExtensions/>"), None);
    }
}
