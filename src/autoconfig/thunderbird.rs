//! Thunderbird's answer: `clientConfig` 1.1 (Autoconfiguration: config file format), read by other clients too.
//!
//! The user name is `%EMAILADDRESS%`, what the user typed as his mail address: that is right for `USER@TENANT` and for the
//! KEP address of a tenant with one user. Users of a larger tenant share one KEP address, so which of them asks cannot be
//! known from it; they put `USER@TENANT` into the field of the user name (docs/clients.md).

use super::Settings;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// The placeholder that a client fills with what its user typed.
const USER_NAME: &str = "%EMAILADDRESS%";
/// How the document names a password that is sent as it is; all doors ask for TLS before it.
const PASSWORD: &str = "password-cleartext";

/// One server of the list; a client takes the first that it can use.
struct Server {
    element: &'static str,
    kind: &'static str,
    port: u16,
    socket: &'static str,
}

/// The document.
pub fn client_config(settings: &Settings) -> io::Result<Vec<u8>> {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let root = out
        .create_element("clientConfig")
        .with_attribute(("version", "1.1"));
    root.write_inner_content(|out| {
        let provider = out.create_element("emailProvider");
        let provider = provider.with_attribute(("id", settings.domain.as_str()));
        provider.write_inner_content(|out| {
            text(out, "domain", settings.domain.as_str())?;
            text(out, "displayName", &settings.name)?;
            text(out, "displayShortName", &settings.name)?;
            for server in servers(settings) {
                write_server(out, &server, settings.host.as_str())?;
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(out.into_inner())
}

/// RFC 8314 3.3: TLS from the first octet before STARTTLS.
fn servers(settings: &Settings) -> [Server; 4] {
    let server = |element, kind, port, socket| Server {
        element,
        kind,
        port,
        socket,
    };
    [
        server("incomingServer", "imap", settings.imap_tls, "SSL"),
        server("incomingServer", "imap", settings.imap, "STARTTLS"),
        server("outgoingServer", "smtp", settings.submission_tls, "SSL"),
        server("outgoingServer", "smtp", settings.submission, "STARTTLS"),
    ]
}

fn write_server(out: &mut Writer<Vec<u8>>, server: &Server, host: &str) -> io::Result<()> {
    let element = out.create_element(server.element);
    let element = element.with_attribute(("type", server.kind));
    element.write_inner_content(|out| {
        text(out, "hostname", host)?;
        text(out, "port", &server.port.to_string())?;
        text(out, "socketType", server.socket)?;
        text(out, "authentication", PASSWORD)?;
        text(out, "username", USER_NAME)
    })?;
    Ok(())
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

    #[test]
    fn the_document_says_what_the_doors_are() {
        let told = settings();
        let octets = client_config(&told).unwrap();
        let document = roxmltree::Document::parse(std::str::from_utf8(&octets).unwrap()).unwrap();
        let root = document.root_element();
        assert_eq!(
            (root.tag_name().name(), root.attribute("version")),
            ("clientConfig", Some("1.1"))
        );
        let first = |name: &str| document.descendants().find(|n| n.has_tag_name(name)).unwrap();
        assert_eq!(first("emailProvider").attribute("id"), Some("hs01.kep.test"));
        assert_eq!(first("domain").text(), Some("hs01.kep.test"));
        // The name is escaped, and comes back whole.
        assert_eq!(first("displayName").text(), Some(told.name.as_str()));
        let servers = document.descendants().filter(|n| n.attribute("type").is_some());
        let said: Vec<Vec<&str>> = servers
            .map(|server| {
                let fields = server.children().filter(|n| n.is_element());
                std::iter::once(server.attribute("type").unwrap())
                    .chain(fields.map(|n| n.text().unwrap()))
                    .collect()
            })
            .collect();
        let want = |kind, port, socket| {
            vec![
                kind,
                "hs01.kep.test",
                port,
                socket,
                "password-cleartext",
                "%EMAILADDRESS%",
            ]
        };
        assert_eq!(
            said,
            [
                want("imap", "10993", "SSL"),
                want("imap", "10143", "STARTTLS"),
                want("smtp", "10465", "SSL"),
                want("smtp", "10587", "STARTTLS"),
            ]
        );
    }
}
