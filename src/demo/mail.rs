//! The demo's mail clients: just enough SMTP submission and IMAP to walk the road as a user would.

use super::provider::DemoProvider;
use super::wire::{self, Wire};
use anyhow::{Context as _, bail, ensure};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

/// A server that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Submits a message over TLS with AUTH PLAIN; gives the text behind the final 250.
pub(super) async fn submit(
    provider: &DemoProvider,
    login: &str,
    from: &str,
    to: &[&str],
    message: &str,
) -> anyhow::Result<String> {
    let wire = wire::connect(
        provider.ports().submission_tls,
        provider.domain,
        &provider.dir.join("ca.pem"),
    )
    .await?;
    let mut smtp = Smtp(BufReader::new(wire));
    smtp.reply(220).await?;
    smtp.say("EHLO demo.kep.test", 250).await?;
    let plain = format!("\0{login}\0{}", provider.password(login)?);
    smtp.say(
        &format!("AUTH PLAIN {}", crate::sasl::encode_base64(plain.as_bytes())),
        235,
    )
    .await?;
    smtp.say(&format!("MAIL FROM:<{from}> BODY=8BITMIME"), 250)
        .await?;
    for to in to {
        smtp.say(&format!("RCPT TO:<{to}>"), 250).await?;
    }
    smtp.say("DATA", 354).await?;
    let stuffed = message.replace("\r\n.", "\r\n..");
    let text = smtp.say(&format!("{stuffed}\r\n."), 250).await?;
    smtp.say("QUIT", 221).await?;
    Ok(text)
}

struct Smtp(BufReader<Wire>);

impl Smtp {
    async fn say(&mut self, line: &str, expected: u16) -> anyhow::Result<String> {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.0.flush().await?;
        self.reply(expected).await
    }

    async fn reply(&mut self, expected: u16) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await?;
            ensure!(read? > 0, "the submission door hung up");
            if line.as_bytes().get(3) == Some(&b' ') {
                ensure!(
                    line.starts_with(&expected.to_string()),
                    "expected {expected}, got {}",
                    line.trim()
                );
                return Ok(line.get(4..).unwrap_or_default().trim().to_owned());
            }
        }
    }
}

/// An IMAP session of one user.
pub(super) struct Imap {
    wire: BufReader<Wire>,
    tag: u32,
}

impl Imap {
    pub async fn login(provider: &DemoProvider, login: &str) -> anyhow::Result<Self> {
        let wire = wire::connect(
            provider.ports().imap_tls,
            provider.domain,
            &provider.dir.join("ca.pem"),
        )
        .await?;
        let mut imap = Self {
            wire: BufReader::new(wire),
            tag: 0,
        };
        imap.line().await?;
        imap.say(&format!("LOGIN {login} \"{}\"", provider.password(login)?))
            .await?;
        imap.say("ENABLE UTF8=ACCEPT").await?;
        Ok(imap)
    }

    /// Says a command; gives everything untagged, literals inline, when it ends in OK.
    pub async fn say(&mut self, command: &str) -> anyhow::Result<Vec<u8>> {
        self.tag += 1;
        let tag = format!("d{}", self.tag);
        self.wire
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .await?;
        self.wire.flush().await?;
        let mut all = Vec::new();
        loop {
            let line = self.line().await?;
            if line.starts_with(tag.as_bytes()) {
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                ensure!(text.starts_with(&format!("{tag} OK")), "IMAP {command}: {text}");
                all.extend_from_slice(&line);
                return Ok(all);
            }
            all.extend_from_slice(&line);
        }
    }

    /// One line, with the literals in it.
    async fn line(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let start = all.len();
            let read = tokio::time::timeout(PATIENCE, self.wire.read_until(b'\n', &mut all)).await?;
            ensure!(read? > 0, "the IMAP door hung up");
            let Some(length) = literal(&all[start..]) else {
                return Ok(all);
            };
            let at = all.len();
            all.resize(at + length, 0);
            self.wire.read_exact(&mut all[at..]).await?;
        }
    }

    /// Selects a mailbox and gives the UIDs in it.
    pub async fn select(&mut self, mailbox: &str) -> anyhow::Result<Vec<u32>> {
        self.say(&format!("SELECT \"{mailbox}\"")).await?;
        let found = self.say("UID SEARCH ALL").await?;
        let text = String::from_utf8_lossy(&found).into_owned();
        let line = text
            .lines()
            .find(|l| l.starts_with("* SEARCH") || l.starts_with("* ESEARCH"));
        let line = line.with_context(|| format!("no SEARCH answer in {mailbox}: {text}"))?;
        Ok(line.split_whitespace().filter_map(|w| w.parse().ok()).collect())
    }

    /// Waits until a mailbox holds at least `count` messages.
    pub async fn wait_for(&mut self, mailbox: &str, count: usize) -> anyhow::Result<Vec<u32>> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let uids = self.select(mailbox).await?;
            if uids.len() >= count {
                return Ok(uids);
            }
            if tokio::time::Instant::now() > end {
                bail!(
                    "{mailbox} holds {} messages where {count} were expected",
                    uids.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The length of the literal a line ends with.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_seen_at_the_end_of_a_line() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {12}\r\n"), Some(12));
        assert_eq!(literal(b"* 1 FETCH ()\r\n"), None);
        assert_eq!(literal(b"text {x}\r\n"), None);
    }
}
