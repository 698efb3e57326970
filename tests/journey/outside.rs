//! Judges that are not ours: xmllint, xmlsec1, openssl and the MIME parser of python3, on files in a folder of their own.
//!
//! Tokens and signature values are found without our parsers: in XML by their tags, in CMS by `openssl asn1parse`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kepd::clock::UtcTime;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCHEMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/schemas/rem-02640-xades2024/rem-all.xsd"
);

/// Cuts a message at the boundaries python3 finds in it, and writes the octets between them.
const CUT: &str = r#"
import email, sys
def parts(raw, message):
    mark = b'\r\n--' + message.get_boundary().encode()
    pieces = (b'\r\n' + raw.split(b'\r\n\r\n', 1)[1]).split(mark)
    assert pieces[-1].startswith(b'--'), 'no closing boundary'
    return [p[2:] for p in pieces[1:-1]]
raw = open(sys.argv[1], 'rb').read()
message = email.message_from_bytes(raw)
if message.get_content_type() == 'multipart/signed':
    raw, _ = parts(raw, message)
open('entity', 'wb').write(raw)
message = email.message_from_bytes(raw)
assert message.get_content_type() == 'multipart/mixed', message.get_content_type()
for piece in parts(raw, message):
    part = email.message_from_bytes(piece)
    if part.get_content_type() == 'message/rfc822':
        open('original', 'wb').write(piece.split(b'\r\n\r\n', 1)[1])
    elif part.get_content_type() == 'application/xml' and part.get_filename() != 'REMExtensions.xml':
        open('evidence.xml', 'wb').write(part.get_payload(decode=True))
"#;

/// A folder with the trust anchors, and the moment at which the judges are asked.
pub struct Court {
    folder: tempfile::TempDir,
    at: UtcTime,
}

/// What an accepted message holds.
pub struct Heard {
    pub original: Option<Vec<u8>>,
    pub evidence: Vec<u8>,
}

impl Court {
    pub fn new(trust_pem: &[u8], at: UtcTime) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), trust_pem).unwrap();
        Self { folder, at }
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(name)).ok()
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        run(self.folder.path(), program, arguments)
    }

    /// Schema, signature with its certificate, and every time-stamp.
    pub fn evidence(&self, xml: &[u8]) -> Result<(), String> {
        self.write("e.xml", xml);
        self.ask("xmllint", &["--nonet", "--noout", "--schema", SCHEMA, "e.xml"])?;
        let at = self.at.rfc3339();
        let at = at[..19].replace('T', " ");
        let said = self.ask(
            "xmlsec1",
            &[
                "--verify",
                "--enabled-key-data",
                "x509",
                "--verification-gmt-time",
                &at,
                "--id-attr:Id",
                "SignedProperties",
                "--trusted-pem",
                "ca.pem",
                "e.xml",
            ],
        )?;
        if !said.contains("SignedInfo References (ok/all): 2/2") {
            return Err(said);
        }
        let (covered, tokens) = stamps_of(xml)?;
        if tokens.is_empty() {
            return Err("no time-stamp".to_owned());
        }
        tokens.iter().try_for_each(|token| self.token(token, &covered))
    }

    /// A time-stamp token over octets.
    pub fn token(&self, token: &[u8], covered: &[u8]) -> Result<(), String> {
        self.write("token.der", token);
        self.write("covered", covered);
        let at = self.at.unix_s().to_string();
        let said = self.ask(
            "openssl",
            &[
                "ts",
                "-verify",
                "-token_in",
                "-in",
                "token.der",
                "-data",
                "covered",
                "-CAfile",
                "ca.pem",
                "-attime",
                &at,
            ],
        )?;
        if said.contains("Verification: OK") {
            Ok(())
        } else {
            Err(said)
        }
    }

    /// An S/MIME message, and the time-stamp in its signature if one is asked for. Gives the verified content.
    pub fn message(&self, eml: &[u8], stamped: bool) -> Result<Vec<u8>, String> {
        self.write("m.eml", eml);
        let at = self.at.unix_s().to_string();
        self.ask(
            "openssl",
            &[
                "cms", "-verify", "-in", "m.eml", "-CAfile", "ca.pem", "-purpose", "any", "-attime", &at,
                "-out", "content",
            ],
        )?;
        if stamped {
            let arguments = [
                "cms",
                "-cmsout",
                "-in",
                "m.eml",
                "-outform",
                "DER",
                "-out",
                "signature.der",
            ];
            self.ask("openssl", &arguments)?;
            let (covered, token) = self.stamp_of_cms()?;
            self.token(&token, &covered)?;
        }
        Ok(self.read("content").unwrap_or_default())
    }

    /// The same, and what lies in the verified content.
    pub fn opened(&self, eml: &[u8], stamped: bool) -> Result<Heard, String> {
        for name in ["entity", "original", "evidence.xml"] {
            let _ = std::fs::remove_file(self.folder.path().join(name));
        }
        let content = self.message(eml, stamped)?;
        self.ask("python3", &["-c", CUT, "m.eml"])?;
        // openssl ends the content with a line end of its own.
        if trimmed(&content) != trimmed(&self.read("entity").unwrap_or_default()) {
            return Err("openssl verified other octets than stand in the message".to_owned());
        }
        Ok(Heard {
            original: self.read("original"),
            evidence: self.read("evidence.xml").ok_or("no evidence in the message")?,
        })
    }

    /// The signature value and the token of the unsigned attribute, by the map openssl draws.
    fn stamp_of_cms(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let der = self.read("signature.der").ok_or("no signature part")?;
        let map = self.ask(
            "openssl",
            &["asn1parse", "-inform", "DER", "-in", "signature.der"],
        )?;
        let rows: Vec<Row> = map.lines().filter_map(Row::read).collect();
        let named = rows
            .iter()
            .position(|r| r.text.contains("id-smime-aa-timeStampToken"));
        let named = named.ok_or("no time-stamp attribute")?;
        let token = rows.get(named + 2).ok_or("no token")?;
        let unsigned = rows[..named]
            .iter()
            // Values of revocation in front of it have such tags too.
            .rposition(|r| r.text.contains("cont [ 1 ]") && r.depth + 2 == rows[named].depth)
            .ok_or("no unsigned attributes")?;
        let depth = rows[unsigned].depth;
        let value = rows[..unsigned]
            .iter()
            .rev()
            .find(|r| r.depth == depth)
            .ok_or("no signature value")?;
        if !value.text.contains("OCTET STRING") {
            return Err(format!("this is no signature value: {}", value.text));
        }
        Ok((
            der[value.from + value.head..value.end()].to_vec(),
            der[token.from..token.end()].to_vec(),
        ))
    }
}

/// A line of `openssl asn1parse`: `  123:d=4  hl=2 l=  11 prim: OBJECT ...`.
struct Row {
    from: usize,
    depth: usize,
    head: usize,
    len: usize,
    text: String,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let (from, rest) = line.trim_start().split_once(":d=")?;
        let (depth, rest) = rest.split_once("hl=")?;
        let (head, rest) = rest.split_once("l=")?;
        let (len, text) = rest.trim_start().split_once(' ')?;
        let number = |s: &str| s.trim().parse().ok();
        Some(Self {
            from: number(from)?,
            depth: number(depth)?,
            head: number(head)?,
            len: number(len)?,
            text: text.to_owned(),
        })
    }

    fn end(&self) -> usize {
        self.from + self.head + self.len
    }
}

fn trimmed(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(b"\r\n").unwrap_or(octets)
}

/// The octets a signature time-stamp covers (exclusive C14N of `ds:SignatureValue`), and the tokens, cut out by tags.
fn stamps_of(xml: &[u8]) -> Result<(Vec<u8>, Vec<Vec<u8>>), String> {
    let text = std::str::from_utf8(xml).map_err(|e| e.to_string())?;
    let value = text.find("<ds:SignatureValue").ok_or("no ds:SignatureValue")?;
    let end =
        value + text[value..].find("</ds:SignatureValue>").ok_or("no end")? + "</ds:SignatureValue>".len();
    // What exclusive C14N adds, where it does not stand already, is the declaration of the prefix.
    let declared = " xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
    let element = &text[value + "<ds:SignatureValue".len()..end];
    let rest = element.strip_prefix(declared).unwrap_or(element);
    let covered = format!("<ds:SignatureValue{declared}{rest}");
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("EncapsulatedTimeStamp") {
        let body = &rest[at..];
        let from = body.find('>').ok_or("an open tag")? + 1;
        let len = body[from..].find('<').ok_or("an open element")?;
        let base64: String = body[from..from + len].split_whitespace().collect();
        tokens.push(
            STANDARD
                .decode(base64)
                .map_err(|e| format!("the token is not base64: {e}"))?,
        );
        let after = &body[from + len..];
        rest = &after[after.find('>').ok_or("an open tag")?..];
    }
    Ok((covered.into_bytes(), tokens))
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is installed: {e}"));
    let said = [output.stdout.as_slice(), &output.stderr]
        .map(|o| String::from_utf8_lossy(o).into_owned())
        .concat();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("{program}: {said}"))
    }
}
