//! The road, step by step (contract, "The road that `demo` walks").

use super::Show;
use super::mail::{Imap, submit};
use super::provider::{DemoProvider, NewLogin};
use crate::kepctl;
use anyhow::{Context as _, ensure};
use std::path::Path;

pub(super) struct Road<'a> {
    pub hs01: &'a DemoProvider,
    pub hs02: &'a DemoProvider,
    pub out: &'a Path,
}

const SENDER: &str = "ornekas@hs01.kep.test";
const RECIPIENT: &str = "alici@hs02.kep.test";

impl Road<'_> {
    pub async fn walk(&self, show: &mut Show) -> anyhow::Result<()> {
        self.set_up().await?;
        show.step(
            1,
            "institutions",
            true,
            "ornekas at hs01 with units, roles, rule Teklif; alici at hs02",
        );
        let answer = submit(self.hs01, "ayse@ornekas", SENDER, &[RECIPIENT], &message()).await?;
        let job = word_after(&answer, "job").context("the submission did not start a job")?;
        show.step(2, "submission", true, format!("ayse: {answer}"));
        self.approve().await?;
        show.step(
            3,
            "approval",
            true,
            format!("onay1 and onay2 approved job {job}, mudur released it, all over IMAP"),
        );
        let mail = self.mail_id().await?;
        let evidence = self.wait_for_evidence(3).await?;
        show.step(
            4,
            "sealing and relay",
            evidence.iter().any(|s| s.contains("Submission")),
            format!("mail {mail}"),
        );
        let answered = ["RelayREMMD", "Delivery"]
            .iter()
            .all(|k| evidence.iter().any(|s| s.contains(k)));
        show.step(
            5,
            "verified and consigned",
            answered,
            "hs02 answered with relay and delivery evidence",
        );
        self.read().await?;
        let evidence = self.wait_for_evidence(4).await?;
        let read = evidence.iter().any(|s| s.contains("Retrieval"));
        show.step(
            6,
            "reading",
            read,
            format!("mudur sees {} evidence messages in Deliller", evidence.len()),
        );
        let (files, verified) = self.export(&mail).await?;
        show.step(
            7,
            "export and verification",
            verified,
            format!("{files} files in {}", self.out.join(&mail).display()),
        );
        Ok(())
    }

    async fn set_up(&self) -> anyhow::Result<()> {
        let hs01 = self.hs01;
        if hs01.say(&["tenant", "show", "ornekas"]).await.is_ok() {
            anyhow::bail!(
                "{} was used before; give the demo a new folder",
                hs01.dir.display()
            );
        }
        let words: [&[&str]; 9] = [
            &[
                "tenant",
                "add",
                "ornekas",
                "--kind",
                "tuzel",
                "--title",
                "Örnek A.Ş.",
            ],
            &["unit", "add", "ornekas", "Genel Müdürlük"],
            &["unit", "add", "ornekas", "Satış", "--parent", "Genel Müdürlük"],
            &["role", "add", "ornekas", "Yazan", "--permit", "compose,view"],
            &["role", "add", "ornekas", "Onay Rolü", "--permit", "approve,view"],
            &["role", "add", "ornekas", "Onay Rolü2", "--permit", "approve,view"],
            &["label", "add", "ornekas", "Finans"],
            &["label", "add", "ornekas", "Teklifler"],
            &["unit", "label", "ornekas", "Satış", "Teklifler"],
        ];
        for words in words {
            hs01.say(words).await?;
        }
        let rule = [
            "rule",
            "add",
            "ornekas",
            "Teklif",
            "--to",
            "Teklif",
            "--subject",
            "Teklif",
        ];
        let steps = ["--step", "Onay Rolü:1", "--step", "Onay Rolü2:2"];
        hs01.say(&[rule.as_slice(), steps.as_slice()].concat()).await?;
        let logins = [
            ("mudur@ornekas", true, "officer", &[][..]),
            (
                "ayse@ornekas",
                false,
                "writes",
                &["--unit", "Satış", "--role", "Yazan"],
            ),
            (
                "onay1@ornekas",
                false,
                "approves step 1",
                &["--unit", "Satış", "--role", "Onay Rolü"],
            ),
            (
                "onay2@ornekas",
                false,
                "approves step 2",
                &["--unit", "Genel Müdürlük", "--role", "Onay Rolü2"],
            ),
        ];
        for (login, officer, role, more) in logins {
            hs01.add_login(NewLogin {
                login,
                officer,
                role,
                more,
            })
            .await?;
        }
        self.hs02
            .say(&["tenant", "add", "alici", "--kind", "gercek", "--title", "Alıcı"])
            .await?;
        self.hs02
            .add_login(NewLogin {
                login: "alici@alici",
                officer: true,
                role: "officer",
                more: &[],
            })
            .await
    }

    async fn approve(&self) -> anyhow::Result<()> {
        let moves = [
            ("onay1@ornekas", "İşlerim/Bekleyen", "İşlerim/Onayla"),
            ("onay2@ornekas", "İşlerim/Bekleyen", "İşlerim/Onayla"),
            ("mudur@ornekas", "İşlerim/Gönderime Hazır", "İşlerim/Gönder"),
        ];
        for (login, from, to) in moves {
            let mut imap = Imap::login(self.hs01, login).await?;
            let uids = imap
                .wait_for(from, 1)
                .await
                .with_context(|| format!("{login} in {from}"))?;
            let uid = uids.first().copied().unwrap_or_default();
            imap.say(&format!("UID MOVE {uid} \"{to}\""))
                .await
                .with_context(|| format!("{login} moves to {to}"))?;
            imap.say("LOGOUT").await?;
        }
        Ok(())
    }

    async fn mail_id(&self) -> anyhow::Result<String> {
        let mails = self.hs01.say(&["mail", "list", "ornekas"]).await?;
        let mails = serde_json::to_value(&mails)?;
        let id = mails
            .get(0)
            .and_then(|m| m.get("mail").or_else(|| m.get("id")))
            .and_then(|v| v.as_str());
        id.map(str::to_owned).context("hs01 lists no mail")
    }

    /// Subjects and evidence kinds of what the officer sees in `Deliller`.
    async fn wait_for_evidence(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut imap = Imap::login(self.hs01, "mudur@ornekas").await?;
        let uids = imap.wait_for("Deliller", count).await?;
        let mut kinds = Vec::new();
        for uid in uids {
            let field = "BODY.PEEK[HEADER.FIELDS (X-REM-Evidence-Type)]";
            let answer = imap.say(&format!("UID FETCH {uid} ({field})")).await?;
            kinds.push(String::from_utf8_lossy(&answer).into_owned());
        }
        Ok(kinds)
    }

    /// The recipient opens the message.
    async fn read(&self) -> anyhow::Result<()> {
        let mut imap = Imap::login(self.hs02, "alici@alici").await?;
        let uids = imap.wait_for("INBOX", 1).await?;
        let answer = imap
            .say(&format!(
                "UID FETCH {} (BODY[])",
                uids.first().copied().unwrap_or_default()
            ))
            .await?;
        ensure!(
            find(&answer, b"teklifimiz ektedir").is_some(),
            "the message does not hold what was sent"
        );
        Ok(())
    }

    /// Exports the mail, and verifies every evidence from the files alone.
    async fn export(&self, mail: &str) -> anyhow::Result<(usize, bool)> {
        let out = self.out.display().to_string();
        self.hs01.say(&["mail", "export", mail, "--out", &out]).await?;
        let folder = self.out.join(mail);
        let mut evidence = Vec::new();
        for entry in std::fs::read_dir(folder.join("evidence"))? {
            evidence.push(entry?.path());
        }
        let verified = kepctl::verified(&evidence, &folder.join("trust")).map_err(anyhow::Error::msg)?;
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("manifest.json"))?)?;
        let files = manifest
            .get("files")
            .and_then(|f| f.as_array())
            .map_or(0, Vec::len);
        Ok((files, verified && evidence.len() == 4))
    }
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|w| w == part)
}

fn word_after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let mut words = text.split_whitespace();
    words.find(|w| *w == word)?;
    words.next()
}

/// The message with an attachment that is sent.
fn message() -> String {
    format!(
        "From: =?utf-8?q?=C3=96rnek_A=2E=C5=9E=2E?= <{SENDER}>\r\nTo: <{RECIPIENT}>\r\n\
         Subject: =?utf-8?q?Fiyat_Teklifi_2026=2F11?=\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"teklif\"\r\n\r\n--teklif\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Sayın yetkili,\r\n\r\nistediğiniz teklifimiz ektedir.\r\n\r\n--teklif\r\n\
         Content-Type: text/csv; charset=utf-8; name=\"teklif.csv\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"teklif.csv\"\r\n\r\nw7xyw7xuLGZpeWF0DQptYXNhLDEyMDANCg==\r\n\
         --teklif--\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_read_from_the_answer() {
        assert_eq!(word_after("2.0.0 job 17 waits", "job"), Some("17"));
        assert_eq!(word_after("2.0.0 accepted", "job"), None);
    }
}
