//! What `kepctl` and the daemon say to each other: one JSON object per line, one [`Request`], one [`Reply`].
//!
//! The words are what is typed as well: each is a command of `kepctl` (clap) and a request on the wire (serde), so the
//! two cannot differ. A request carries the protocol's version; a daemon refuses one it does not speak.

mod certificate_words;
mod credit_words;
mod export_words;
mod job_words;
mod mail_words;
mod provider_words;
mod record;
mod rule_words;
mod spelling;
mod storage;
mod user_words;
mod words;

use crate::address::LoginName;
pub use certificate_words::*;
pub use credit_words::*;
pub use export_words::*;
pub use job_words::*;
pub use mail_words::*;
pub use provider_words::*;
pub use record::Record;
pub use rule_words::*;
use serde::{Deserialize, Serialize};
pub use storage::StorageWord;
pub use user_words::*;
pub use words::*;

/// Version of the words. Grows when a request an older daemon knows changes its meaning.
pub const VERSION: u32 = 1;
/// Largest request, in octets: a peer's profile with its certificates, and room.
pub const REQUEST_MAX_OCTETS: usize = 256 * 1024;
/// Largest reply, in octets: lists are bounded by [`LIST_MAX`].
pub const REPLY_MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Most rows of one list, and how many there are without `--limit`.
pub const LIST_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub version: u32,
    /// In whose name it is asked, by his rights; without him the administrator of the provider asks.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<LoginName>,
    pub word: Word,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// Things of one kind.
    List(Vec<Record>),
    /// One thing, or what became of it.
    One(Record),
    /// Not done; asking again brings the same. One sentence why.
    Refused(String),
    /// Not done; may work later.
    Unavailable(String),
}

/// Why a line is not a message.
#[derive(Debug, thiserror::Error)]
#[error("not a message of this protocol: {0}")]
pub struct NotAMessage(#[from] serde_json::Error);

/// A message as a line, with its line end. JSON has no line end inside.
pub fn line<M: Serialize>(message: &M) -> Result<Vec<u8>, NotAMessage> {
    let mut octets = serde_json::to_vec(message)?;
    octets.push(b'\n');
    Ok(octets)
}

/// Reads a line, with or without its line end.
pub fn read<M: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<M, NotAMessage> {
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[arg(long = "as", global = true)]
        by: Option<LoginName>,
        #[command(subcommand)]
        word: Word,
    }

    fn typed(line: &str) -> Request {
        let words = line.split('|').map(str::trim);
        let typed = Typed::try_parse_from(std::iter::once("kepctl").chain(words)).unwrap();
        Request {
            version: VERSION,
            by: typed.by,
            word: typed.word,
        }
    }

    #[test]
    fn words_survive_the_wire() {
        let lines = [
            "tenant|add|ornekas|--kind|tuzel|--title|Örnek A.Ş.|--address|ornekas@hs01.kep.test",
            "tenant|set|ornekas|--officers-follow-rules|true|--language|english",
            "tenant|set|ornekas|--signature|officer",
            "officer|add|mudur@ornekas|--name|Müdür",
            "user|add|ayse@ornekas|--unit|Genel Müdürlük/Satış|--role|Yazan|--role|Okur",
            "user|unit|ayse@ornekas|--add|Satış|--drop|Depo",
            "user|cert|ayse@ornekas",
            "user|cert|ayse@ornekas|--tckn|17291716060",
            "officer|cert|mudur@ornekas|--remove|00ff00ff|--as|mudur@ornekas",
            "user|cert|ayse@ornekas|--remove-tckn",
            "unit|add|ornekas|Satış|--parent|Genel Müdürlük",
            "role|add|ornekas|Onay Rolü|--permit|approve,view",
            "rule|add|ornekas|Teklif|--to|x|--subject|Teklif|--step|Onay Rolü:1|--step|Onay Rolü2:2",
            "rule|test|ornekas|--subject|Teklif no 5|--to|a@hs02.kep.test",
            "job|list|ornekas|late|--as|mudur@ornekas",
            "job|approve|00000000-0000-0000-0000-000000000001|--as|onay1@ornekas|--note|uygun",
            "mail|list|ornekas|--limit|5",
            "mail|list|ornekas|--as|ayse@ornekas|--mailbox|Etiketler/Finans",
            "mail|show|00000000-0000-0000-0000-000000000001",
            "mail|show|17|--as|ayse@ornekas|--versions",
            "mail|search|ornekas|--as|ayse@ornekas|--subject|İhale|--since|2026-11-01|--before|2026-12-01",
            "mail|archive|17|00000000-0000-0000-0000-000000000001|--as|ayse@ornekas",
            "mail|restore|17|--version|3|--as|ayse@ornekas",
            "mail|export|00000000-0000-0000-0000-000000000001|--out|/tmp/x",
            "mail|export|--since|2026-01-01|--until|2026-12-31|--tenant|ornekas|--out|/tmp/x",
            "evidence|export|00000000-0000-0000-0000-000000000001|--pdf|/tmp/x.pdf",
            "label|apply|ornekas|Finans|1|2|3|--as|mudur@ornekas",
            "queue|retry|--all",
            "peer|list",
            "credit|add|ornekas|50",
            "credit|add|ornekas|-5|--note|yanlış yükleme",
            "credit|history|ornekas|--before|17|--limit|5|--as|mudur@ornekas",
            "tenant|set|ornekas|--credit|prepaid|--credit-overdraft|10|--credit-warn-below|20",
        ];
        for text in lines {
            let request = typed(text);
            let octets = line(&request).unwrap();
            assert_eq!(octets.iter().filter(|b| **b == b'\n').count(), 1, "{text}");
            assert_eq!(read::<Request>(&octets).unwrap(), request, "{text}");
        }
    }

    #[test]
    fn replies_keep_their_order() {
        let record = Record::new()
            .with("zeta", 1)
            .text("alpha", "İş\n")
            .with("none", ());
        for reply in [
            Reply::List(vec![record.clone(), Record::new()]),
            Reply::One(record),
            Reply::Refused("hayır".into()),
            Reply::Unavailable("sonra".into()),
        ] {
            let octets = line(&reply).unwrap();
            assert_eq!(read::<Reply>(&octets).unwrap(), reply);
        }
        let octets = line(&Record::new().with("zeta", 1).with("alpha", 2)).unwrap();
        assert_eq!(octets, b"{\"zeta\":1,\"alpha\":2}\n");
    }

    #[test]
    fn a_password_file_stays_with_the_client() {
        let Word::User(UserWord::Passwd(passwd)) = typed("user|passwd|a@b|--password-file|/tmp/x").word
        else {
            panic!("another word");
        };
        let octets = line(&passwd).unwrap();
        assert!(!String::from_utf8(octets).unwrap().contains("/tmp/x"));
        assert!(read::<Request>(b"{\"version\":1,\"word\":{\"shutdown\":{}}}").is_err());
    }
}
