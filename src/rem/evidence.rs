//! [`EvidenceFacts`] as an unsigned TS 102 640-2 version 2 document.
//!
//! UTF-8, the sequence of the schema, prefix `rem`, no white space between elements, the same octets for the same facts.
//! The sealer appends the signature as the last child of the root. Reading is in [`super::evidence_read`].

use super::writer::XmlWriter;
use super::{DS_NS, KEPD_NS, REM_NS, SHA256_URI};
use crate::domain::evidence::{EvidenceFacts, Extension, FactsError, Issuer, Party};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The value of `@version`, as current implementations write it.
pub const VERSION: &str = "2.1.1";

/// A document ready to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub xml: Vec<u8>,
    /// Value of the root's `Id`.
    pub root_id: String,
    /// Characters XML 1.0 does not allow that were replaced by U+FFFD (a subject may hold control characters).
    pub replaced_chars: usize,
}

/// Writes the document.
pub fn write(facts: &EvidenceFacts) -> Result<Document, FactsError> {
    facts.check()?;
    let root = format!("rem:{}", facts.kind.element_name());
    let root_id = root_id(facts);
    let mut w = XmlWriter::document();
    w.element(
        &root,
        &[("xmlns:rem", REM_NS), ("version", VERSION), ("Id", &root_id)],
        |w| {
            what_happened(w, facts);
            who(w, facts);
            which_message(w, facts);
            if !facts.transaction_log.is_empty() {
                w.element("rem:TransactionLogInformation", &[], |w| {
                    for line in &facts.transaction_log {
                        w.text_element("rem:TransactionLog", &[], line);
                    }
                });
            }
            if !facts.extensions.is_empty() {
                w.element("rem:Extensions", &[], |w| {
                    facts.extensions.iter().for_each(|e| extension(w, e))
                });
            }
        },
    );
    let replaced_chars = w.replaced();
    Ok(Document {
        xml: w.into_bytes(),
        root_id,
        replaced_chars,
    })
}

/// An NCName made of the evidence's id: a bare UUID may begin with a digit, which xs:ID does not allow.
pub fn root_id(facts: &EvidenceFacts) -> String {
    format!("_{}", facts.id)
}

fn what_happened(w: &mut XmlWriter, facts: &EvidenceFacts) {
    w.text_element("rem:EventCode", &[], &facts.event.uri());
    if !facts.reasons.is_empty() {
        w.element("rem:EventReasons", &[], |w| {
            for reason in &facts.reasons {
                w.element("rem:EventReason", &[], |w| {
                    w.text_element("rem:Code", &[], &reason.reason.uri());
                    if let Some(details) = &reason.details {
                        w.text_element("rem:Details", &[], details);
                    }
                });
            }
        });
    }
    w.text_element("rem:EvidenceIdentifier", &[], &facts.id.to_string());
    if !facts.policy_ids.is_empty() {
        w.element("rem:EvidenceIssuerPolicyID", &[], |w| {
            facts
                .policy_ids
                .iter()
                .for_each(|id| w.text_element("rem:PolicyID", &[], id));
        });
    }
}

fn who(w: &mut XmlWriter, facts: &EvidenceFacts) {
    w.element("rem:EvidenceIssuerDetails", &[], |w| issuer(w, &facts.issuer));
    if let Some(authentication) = &facts.sender_authentication {
        w.element("rem:SenderAuthenticationDetails", &[], |w| {
            w.text_element("rem:AuthenticationTime", &[], &authentication.time.rfc3339());
            w.text_element("rem:AuthenticationMethod", &[], &authentication.method.uri());
            if let Some(signature) = &authentication.signature {
                super::personal::write(w, signature);
            }
        });
    }
    w.text_element("rem:EventTime", &[], &facts.event_time.rfc3339());
    if let Some(time) = facts.submission_time {
        w.text_element("rem:SubmissionTime", &[], &time.rfc3339());
    }
    if let Some(address) = &facts.reply_to {
        w.text_element("rem:ReplyTo", &[], address);
    }
    w.element("rem:SenderDetails", &[], |w| party(w, &facts.sender));
    w.element("rem:RecipientsDetails", &[], |w| {
        for recipient in &facts.recipients {
            w.element("rem:EntityDetails", &[], |w| party(w, recipient));
        }
    });
    if let Some(n) = facts.refers_to_recipient {
        w.text_element("rem:EvidenceRefersToRecipient", &[], &n.to_string());
    }
}

fn which_message(w: &mut XmlWriter, facts: &EvidenceFacts) {
    let message = &facts.message;
    w.element("rem:SenderMessageDetails", &[("isNotification", "false")], |w| {
        w.text_element("rem:MessageSubject", &[], &message.subject);
        if let Some(id) = &message.ua_message_id {
            w.text_element("rem:UAMessageIdentifier", &[], id);
        }
        w.text_element("rem:MessageIdentifierByREMMD", &[], &message.rem_message_id);
        if let Some(digest) = &message.original_sha256 {
            w.empty_element(
                "ds:DigestMethod",
                &[("xmlns:ds", DS_NS), ("Algorithm", SHA256_URI)],
            );
            w.text_element("ds:DigestValue", &[("xmlns:ds", DS_NS)], &STANDARD.encode(digest));
        }
    });
}

fn issuer(w: &mut XmlWriter, issuer: &Issuer) {
    let postal = [
        &issuer.street,
        &issuer.locality,
        &issuer.postal_code,
        &issuer.country,
    ];
    w.element("rem:NamesPostalAddresses", &[], |w| {
        w.element("rem:NamePostalAddress", &[], |w| {
            w.element("rem:EntityName", &[], |w| {
                w.text_element("rem:Name", &[], &issuer.name)
            });
            // The schema asks for all four and for text in each.
            if postal.iter().all(|part| !part.is_empty()) {
                w.element("rem:PostalAddress", &[], |w| {
                    w.text_element("rem:StreetAddress", &[], &issuer.street);
                    w.text_element("rem:Locality", &[], &issuer.locality);
                    w.text_element("rem:PostalCode", &[], &issuer.postal_code);
                    w.text_element("rem:CountryName", &[], &issuer.country);
                });
            }
        });
    });
    address(w, &issuer.electronic_address, None);
    if let Some(der) = &issuer.certificate_der {
        w.element("rem:CertificateDetails", &[], |w| {
            w.text_element("rem:X509Certificate", &[], &STANDARD.encode(der));
        });
    }
}

fn party(w: &mut XmlWriter, party: &Party) {
    if let Some(name) = party.organisation.as_deref().filter(|name| !name.is_empty()) {
        w.element("rem:NamesPostalAddresses", &[], |w| {
            w.element("rem:NamePostalAddress", &[], |w| {
                w.element("rem:EntityName", &[], |w| w.text_element("rem:Name", &[], name));
            });
        });
    }
    address(w, &party.address, party.display.as_deref());
}

fn address(w: &mut XmlWriter, address: &str, display: Option<&str>) {
    let mut attributes = vec![("scheme", "mailto")];
    if let Some(display) = display.filter(|display| !display.is_empty()) {
        attributes.push(("DisplayName", display));
    }
    w.text_element(
        "rem:AttributedElectronicAddress",
        &attributes,
        &escape_address(address),
    );
}

/// The element is an anyURI: two characters a local part may hold have another meaning there.
pub(super) fn escape_address(address: &str) -> String {
    address.replace('%', "%25").replace('#', "%23")
}

/// The inverse of [`escape_address`]; other escapes of a peer are left alone.
pub(super) fn unescape_address(text: &str) -> String {
    text.replace("%23", "#").replace("%25", "%")
}

fn extension(w: &mut XmlWriter, extension: &Extension) {
    w.element("rem:Extension", &[("isCritical", "false")], |w| match extension {
        Extension::DeemedRead { at, after_s } => w.empty_element(
            "k:DeemedRead",
            &[
                ("xmlns:k", KEPD_NS),
                ("at", &at.rfc3339()),
                ("afterSeconds", &after_s.to_string()),
            ],
        ),
        Extension::Note { name, text } => {
            w.text_element("k:Note", &[("xmlns:k", KEPD_NS), ("name", name)], text);
        }
    });
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
pub(crate) mod tests;
