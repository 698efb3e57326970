//! Outlook's question and answer: Autodiscover, "plain old XML" (MS-OXDSCLI), for accounts over IMAP and SMTP.
//!
//! A question names the form of answer it can read (`AcceptableResponseSchema`). Both forms of Outlook are answered, in the
//! namespace that was asked for; the question of a telephone (`mobilesync`, ActiveSync) and anything else hears that this
//! provider has none of it. A DOCTYPE is refused before any parser sees it.

use super::{Asker, Settings};
use crate::xml::{self, XmlError};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// Largest question, in octets; those of Outlook have some 400.
pub const REQUEST_MAX_OCTETS: usize = 8 * 1024;
/// Most nodes of a question: it has ten.
const NODES_MAX: u32 = 256;

/// Questions that are known, and the namespace of the envelope of every answer (MS-OXDSCLI 2.2.3, 2.2.4).
const OUTLOOK_REQUEST: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";
const MOBILE_REQUEST: &str =
    "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006";
const ENVELOPE: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
/// Forms of answer that are built.
const OUTLOOK_RESPONSES: [&str; 2] = [
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a",
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006",
];

/// What is asked, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Settings of an account, told in this namespace.
    Settings {
        address: String,
        namespace: &'static str,
    },
    /// Well-formed, and nothing that can be answered.
    Other,
}

/// Reads a question; an error when it is not a document that may be looked at.
pub fn read(octets: &[u8]) -> Result<Request, XmlError> {
    if octets.len() > REQUEST_MAX_OCTETS {
        return Err(XmlError::Guard("it is too large for a question"));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let text = xml::check_input(octets)?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..Default::default()
    };
    let document = roxmltree::Document::parse_with_options(text.trim(), options)
        .map_err(|e| XmlError::Parse(e.to_string()))?;
    let root = document.root_element();
    let namespace = root.tag_name().namespace().unwrap_or_default();
    if root.tag_name().name() != "Autodiscover" || ![OUTLOOK_REQUEST, MOBILE_REQUEST].contains(&namespace) {
        return Ok(Request::Other);
    }
    let request = root.children().find(|n| n.has_tag_name((namespace, "Request")));
    let field = |name: &str| {
        let field = request?.children().find(|n| n.has_tag_name((namespace, name)))?;
        field.text().map(str::trim)
    };
    let Some(address) = field("EMailAddress") else {
        return Ok(Request::Other);
    };
    // MS-OXDSCLI 2.2.3.1.1.1: the answer is in a form that was asked for, or an error.
    let asked = field("AcceptableResponseSchema").unwrap_or_default();
    let known = OUTLOOK_RESPONSES.into_iter().find(|known| *known == asked);
    Ok(match known {
        Some(namespace) => Request::Settings {
            address: address.to_owned(),
            namespace,
        },
        None => Request::Other,
    })
}

/// The document that answers.
pub fn answer(settings: &Settings, request: &Request) -> io::Result<Vec<u8>> {
    match request {
        Request::Settings { address, namespace } => match Asker::read(address, &settings.domain) {
            Some(asker) => account(settings, &asker, namespace),
            None => error(500, "The email address cannot be found."),
        },
        Request::Other => error(601, "Provider is not available"),
    }
}

/// One protocol of the account.
struct Protocol {
    kind: &'static str,
    port: u16,
    encryption: &'static str,
}

fn account(settings: &Settings, asker: &Asker, namespace: &str) -> io::Result<Vec<u8>> {
    // The first of a kind is preferred (MS-OXDSCLI 2.2.4.1.1.2.6): TLS from the first octet (RFC 8314 3.3).
    let protocols = [
        ("IMAP", settings.imap_tls, "SSL"),
        ("IMAP", settings.imap, "TLS"),
        ("SMTP", settings.submission_tls, "SSL"),
        ("SMTP", settings.submission, "TLS"),
    ];
    let user = asker.user_name();
    envelope(|out| {
        let response = out
            .create_element("Response")
            .with_attribute(("xmlns", namespace));
        response.write_inner_content(|out| {
            out.create_element("User")
                .write_inner_content(|out| text(out, "DisplayName", &user))?;
            out.create_element("Account").write_inner_content(|out| {
                text(out, "AccountType", "email")?;
                text(out, "Action", "settings")?;
                for (kind, port, encryption) in protocols {
                    let protocol = Protocol {
                        kind,
                        port,
                        encryption,
                    };
                    write_protocol(out, &protocol, settings.host.as_str(), &user)?;
                }
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    })
}

fn write_protocol(out: &mut Writer<Vec<u8>>, protocol: &Protocol, host: &str, user: &str) -> io::Result<()> {
    out.create_element("Protocol").write_inner_content(|out| {
        text(out, "Type", protocol.kind)?;
        text(out, "Server", host)?;
        text(out, "Port", &protocol.port.to_string())?;
        text(out, "DomainRequired", "off")?;
        text(out, "LoginName", user)?;
        text(out, "SPA", "off")?;
        // Old clients read SSL; newer ones read Encryption and then not SSL. STARTTLS is called TLS here.
        text(out, "SSL", "on")?;
        text(out, "Encryption", protocol.encryption)?;
        text(out, "AuthRequired", "on")?;
        if protocol.kind == "SMTP" {
            // The same login as for reading.
            text(out, "UsePOPAuth", "on")?;
            text(out, "SMTPLast", "off")?;
        }
        Ok(())
    })?;
    Ok(())
}

fn error(code: u16, message: &str) -> io::Result<Vec<u8>> {
    envelope(|out| {
        out.create_element("Response").write_inner_content(|out| {
            out.create_element("Error").write_inner_content(|out| {
                text(out, "ErrorCode", &code.to_string())?;
                text(out, "Message", message)?;
                text(out, "DebugData", "")
            })?;
            Ok(())
        })?;
        Ok(())
    })
}

fn envelope(inner: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    out.create_element("Autodiscover")
        .with_attribute(("xmlns", ENVELOPE))
        .write_inner_content(inner)?;
    Ok(out.into_inner())
}

fn text(out: &mut Writer<Vec<u8>>, name: &str, value: &str) -> io::Result<()> {
    out.create_element(name)
        .write_text_content(BytesText::new(value))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    fn question(namespace: &str, address: &str, schema: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Autodiscover xmlns=\"{namespace}\"><Request>\
             <EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>\
             </Request></Autodiscover>\r\n"
        )
    }

    fn answered(question: &str) -> String {
        let request = read(question.as_bytes()).unwrap();
        String::from_utf8(answer(&settings(), &request).unwrap()).unwrap()
    }

    #[test]
    fn both_forms_are_answered_in_their_namespace() {
        for schema in OUTLOOK_RESPONSES {
            let said = answered(&question(OUTLOOK_REQUEST, "ornekas@hs01.kep.test", schema));
            let document = roxmltree::Document::parse(&said).unwrap();
            assert_eq!(document.root_element().tag_name().namespace(), Some(ENVELOPE));
            let protocols = document
                .descendants()
                .filter(|n| n.has_tag_name((schema, "Protocol")));
            let told: Vec<Vec<&str>> = protocols
                .map(|p| {
                    let field = |name| p.children().find(|n| n.has_tag_name((schema, name)));
                    ["Type", "Server", "Port", "Encryption", "LoginName"]
                        .map(|name| field(name).and_then(|n| n.text()).unwrap())
                        .to_vec()
                })
                .collect();
            let want = |kind, port, encryption| {
                vec![kind, "hs01.kep.test", port, encryption, "ornekas@hs01.kep.test"]
            };
            assert_eq!(
                told,
                [
                    want("IMAP", "10993", "SSL"),
                    want("IMAP", "10143", "TLS"),
                    want("SMTP", "10465", "SSL"),
                    want("SMTP", "10587", "TLS"),
                ]
            );
        }
    }

    #[test]
    fn what_is_not_ours_to_answer_is_said_so() {
        let mobile = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006";
        for (namespace, schema) in [
            (MOBILE_REQUEST, mobile),
            (OUTLOOK_REQUEST, mobile),
            (OUTLOOK_REQUEST, "urn:x"),
            (
                "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2003",
                OUTLOOK_RESPONSES[0],
            ),
        ] {
            let said = answered(&question(namespace, "ornekas@hs01.kep.test", schema));
            assert!(said.contains("<ErrorCode>601</ErrorCode>"), "{said}");
            assert!(!said.contains("993"), "{said}");
        }
        let foreign = question(OUTLOOK_REQUEST, "a@hs02.kep.test", OUTLOOK_RESPONSES[0]);
        assert!(answered(&foreign).contains("<ErrorCode>500</ErrorCode>"));
        // Somebody and nobody hear the same.
        let of = |name: &str| {
            let address = format!("{name}@hs01.kep.test");
            answered(&question(OUTLOOK_REQUEST, &address, OUTLOOK_RESPONSES[0])).replace(name, "X")
        };
        assert_eq!(of("ornekas"), of("kimse"));
    }

    #[test]
    fn a_document_type_and_what_is_too_large_are_refused() {
        let good = question(OUTLOOK_REQUEST, "ornekas@hs01.kep.test", OUTLOOK_RESPONSES[0]);
        let entity = good.replacen(
            "\r\n<Autodiscover",
            "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Autodiscover",
            1,
        );
        assert!(entity.contains("DOCTYPE"));
        assert!(matches!(read(entity.as_bytes()), Err(XmlError::Guard(_))));
        let large = good.clone() + &" ".repeat(REQUEST_MAX_OCTETS);
        assert!(matches!(read(large.as_bytes()), Err(XmlError::Guard(_))));
        for bad in ["", "<a", "a=b", "<a/><b/>"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(
            read(format!("\u{feff}{good}").as_bytes()).unwrap(),
            read(good.as_bytes()).unwrap()
        );
    }
}
