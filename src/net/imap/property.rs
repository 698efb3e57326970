//! Rights, quotas and metadata: from what the services compute to the letters and entries of RFC 4314, 9208 and 5464.
//!
//! Nothing of it is set through IMAP: rights follow from roles, units and kinds of users, quotas from the contract.

use super::{Connection, ImapDoor};
use crate::domain::org::UserKind;
use crate::domain::rights::Right;
use crate::domain::selector::Mailbox;
use crate::imap::ask::{Answer, Code, Refusal};
use crate::imap::name::MailboxName;
use crate::imap::property::{Depth, Fact, GetMetadata, Property};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::usage::Usage;
use std::collections::BTreeSet;

/// What stands for "no limit": the largest number there is on the wire (RFC 9051 9, number64).
const UNLIMITED: u64 = i64::MAX as u64;
/// STORAGE counts in units of 1024 octets (RFC 9208 5.1).
const STORAGE_UNIT: u64 = 1024;

/// Our own resource, an atom as RFC 9208 7 lets resources be named: the prepaid credit, in units of the provider's tariff. It bears
/// the vendor's name, as our metadata does.
pub(super) const CREDIT: &str = "V-KEPD-CREDIT";

const COMMENT: &str = "/shared/comment";
const ADMIN: &str = "/shared/admin";
const VERSION: &str = "/shared/vendor/kepd/version";
/// Below it, by UID: the evidence of a message.
pub(super) const EVIDENCE: &str = "/shared/vendor/kepd/evidence";

/// An entry with its value.
type Entry = (String, Option<Vec<u8>>);

/// Rights as letters, with the two of RFC 2086 that stand for some of them (RFC 4314 2.1.1).
pub(super) fn letters(rights: &BTreeSet<Right>) -> String {
    let has = |right| rights.contains(&right);
    let letters = [
        (has(Right::Lookup), 'l'),
        (has(Right::Read), 'r'),
        (has(Right::KeepSeen), 's'),
        (has(Right::Write), 'w'),
        (has(Right::Insert), 'i'),
        (has(Right::CreateBelow), 'k'),
        (has(Right::Remove), 'x'),
        (has(Right::MarkDeleted), 't'),
        (has(Right::Expunge), 'e'),
        (has(Right::CreateBelow) || has(Right::Remove), 'c'),
        (has(Right::MarkDeleted) || has(Right::Expunge), 'd'),
        (has(Right::Administer), 'a'),
    ];
    letters
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, letter)| letter)
        .collect()
}

fn told(lines: Vec<Fact>) -> Answer {
    Answer::Told {
        lines,
        longest_bytes: None,
    }
}

fn follows_from_roles() -> Failure {
    let say =
        "rights follow from roles, units and kinds of users; an administrator changes those with kepctl";
    Failure::refused(Kind::NoPermission, say)
}

impl Connection<'_> {
    pub(super) async fn property(&mut self, by: &Principal, property: Property) -> Result<Answer, Failure> {
        let mailboxes = &self.door.mailboxes;
        Ok(match property {
            Property::MyRights(mailbox) => {
                let rights = letters(&mailboxes.rights(by, mailbox.as_str())?);
                told(vec![Fact::MyRights { mailbox, rights }])
            }
            Property::GetAcl(mailbox) => {
                let all = mailboxes.everybodys_rights(by, mailbox.as_str())?;
                let entries = all.into_iter().map(|h| (h.login, letters(&h.rights))).collect();
                told(vec![Fact::Acl { mailbox, entries }])
            }
            Property::ListRights { mailbox, identifier } => {
                let all = mailboxes.everybodys_rights(by, mailbox.as_str())?;
                let his = all
                    .into_iter()
                    .find(|h| h.login.eq_ignore_ascii_case(&identifier));
                // RFC 4314 3.7: what he always has; none can be granted besides.
                let required = his.map_or(String::new(), |h| letters(&h.rights));
                told(vec![Fact::ListRights {
                    mailbox,
                    identifier,
                    required,
                }])
            }
            Property::SetAcl { .. } | Property::DeleteAcl { .. } => return Err(follows_from_roles()),
            Property::GetQuotaRoot(mailbox) => {
                mailboxes.rights(by, mailbox.as_str())?;
                let Some((root, quota)) = self.door.quota(by).await? else {
                    let roots = Vec::new();
                    return Ok(told(vec![Fact::QuotaRoot { mailbox, roots }]));
                };
                let roots = vec![root];
                told(vec![Fact::QuotaRoot { mailbox, roots }, quota])
            }
            Property::GetQuota(asked) => match self.door.quota(by).await? {
                Some((root, quota)) if root == asked => told(vec![quota]),
                Some((root, _)) => {
                    let say = format!("there is one quota root, \"{root}\"");
                    return Err(Failure::refused(Kind::NotFound, say));
                }
                None => {
                    let say = "how full the account is is told to its officers";
                    return Err(Failure::refused(Kind::NoPermission, say));
                }
            },
            Property::SetQuota { .. } => {
                let say = "how much may be kept stands in the contract with the provider";
                return Err(Failure::refused(Kind::NoPermission, say));
            }
            Property::GetMetadata(get) => self.door.metadata(by, get).await?,
            // RFC 5464 4.3: a server may have none.
            Property::SetMetadata { entries, .. } => {
                let private = entries.iter().any(|(name, _)| is_private(name));
                Answer::Refused(if private {
                    Refusal::new(Code::MetadataNoPrivate, "there are no private entries here")
                } else {
                    Refusal::new(Code::NoPerm, "these entries are the server's own")
                })
            }
        })
    }
}

impl ImapDoor {
    /// The one quota root, named as the account, and what it holds for this user. Storage and messages are not told to who does
    /// not see all of the account: the sums would tell him when mail comes that is not for him, and how large it is. `None`:
    /// nothing is told him.
    async fn quota(&self, by: &Principal) -> Result<Option<(String, Fact)>, Failure> {
        let mailboxes = &self.mailboxes;
        let seat = mailboxes.seat(by)?;
        let mut resources = Vec::new();
        if seat.viewer().user.kind == UserKind::Officer {
            resources.extend(self.kept(by).await?);
        }
        if let Some((usage, limit)) = mailboxes.credit(by)? {
            resources.push((CREDIT, usage, limit));
        }
        if resources.is_empty() {
            return Ok(None);
        }
        let root = seat.organisation.tenant.name.clone();
        let quota = Fact::Quota {
            root: root.clone(),
            resources,
        };
        Ok(Some((root, quota)))
    }

    async fn kept(&self, by: &Principal) -> Result<[(&'static str, u64, u64); 2], Failure> {
        let Usage {
            messages,
            storage_bytes,
            storage_max_bytes,
        } = self.mailboxes.usage(by).await?;
        let most = storage_max_bytes.map_or(UNLIMITED, |most| most / STORAGE_UNIT);
        Ok([
            ("STORAGE", storage_bytes.div_ceil(STORAGE_UNIT), most),
            ("MESSAGE", messages, UNLIMITED),
        ])
    }

    async fn metadata(&self, by: &Principal, get: GetMetadata) -> Result<Answer, Failure> {
        let found = match &get.mailbox {
            None => server_entries(self, &get),
            Some(name) => self.entries(by, name, &get).await?,
        };
        let too_long = |value: &Option<Vec<u8>>| {
            let len = value.as_ref().map_or(0, Vec::len) as u64;
            get.size_max_bytes.is_some_and(|most| len > most).then_some(len)
        };
        // RFC 5464 4.2.1: what is longer is left out, and the longest is told.
        let longest_bytes = found.iter().filter_map(|(_, value)| too_long(value)).max();
        let entries = found
            .into_iter()
            .filter(|(_, value)| too_long(value).is_none())
            .collect();
        Ok(Answer::Told {
            lines: vec![Fact::Metadata {
                mailbox: get.mailbox,
                entries,
            }],
            longest_bytes,
        })
    }

    async fn entries(
        &self,
        by: &Principal,
        name: &MailboxName,
        get: &GetMetadata,
    ) -> Result<Vec<Entry>, Failure> {
        let mailboxes = &self.mailboxes;
        // A level that only holds others has no evidence.
        mailboxes.rights(by, name.as_str())?;
        let mailbox = mailboxes.resolve(by, name.as_str()).ok();
        self.entries_of(by, mailbox, get).await
    }

    /// The entries of a mailbox that were asked for; those without a value are NIL (RFC 5464 4.4.1).
    pub(super) async fn entries_of(
        &self,
        by: &Principal,
        mailbox: Option<Mailbox>,
        get: &GetMetadata,
    ) -> Result<Vec<Entry>, Failure> {
        let mailboxes = &self.mailboxes;
        let mut found = Vec::new();
        for asked in &get.entries {
            let below = strip(asked, EVIDENCE);
            let mut values: Vec<Entry> = match (mailbox, below) {
                (Some(mailbox), Some(uid)) if !uid.is_empty() => {
                    let text = self.evidence(by, mailbox, uid).await?;
                    vec![(asked.clone(), text.map(String::into_bytes))]
                }
                _ => vec![(asked.clone(), None)],
            };
            let reaches = match get.depth {
                Depth::Itself => false,
                // Evidence lies one level below its own name, and deeper below any above that.
                Depth::Children => below == Some(""),
                Depth::All => below == Some("") || strip(EVIDENCE, asked).is_some(),
            };
            if let (true, Some(mailbox)) = (reaches, mailbox) {
                let lately = mailboxes.evidence_lately(by, mailbox).await?;
                let entry =
                    |(uid, text): (u32, String)| (format!("{EVIDENCE}/{uid}"), Some(text.into_bytes()));
                values.extend(lately.into_iter().map(entry));
            }
            found.extend(values);
        }
        Ok(found)
    }

    async fn evidence(&self, by: &Principal, mailbox: Mailbox, uid: &str) -> Result<Option<String>, Failure> {
        let digits = uid
            .strip_prefix('/')
            .filter(|uid| uid.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|uid| uid.parse::<u32>().ok()) {
            Some(uid) => self.mailboxes.evidence_at(by, mailbox, uid).await,
            None => Ok(None),
        }
    }
}

/// What of a name lies behind another, that is nothing or begins with a slash.
fn strip<'n>(name: &'n str, top: &str) -> Option<&'n str> {
    let (head, rest) = name.split_at_checked(top.len())?;
    let under = rest.is_empty() || rest.starts_with('/');
    (under && head.eq_ignore_ascii_case(top)).then_some(rest)
}

fn is_private(name: &str) -> bool {
    strip(name, "/private").is_some()
}

/// The server's own entries that were asked for (RFC 5464 6.2.1).
fn server_entries(door: &ImapDoor, get: &GetMetadata) -> Vec<Entry> {
    let domain = &door.mailboxes.identity.domain;
    let all = [
        (
            COMMENT,
            Some(format!("registered electronic mail of {domain}, by kepd")),
        ),
        (ADMIN, door.settings.contact.clone()),
        (VERSION, Some(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    let mut found = Vec::new();
    for asked in &get.entries {
        let itself = all.iter().find(|(name, _)| name.eq_ignore_ascii_case(asked));
        let value = itself.and_then(|(_, value)| value.clone());
        found.push((asked.clone(), value.map(String::into_bytes)));
        for (name, value) in &all {
            let depth = strip(name, asked).map_or(0, |rest| rest.matches('/').count());
            let reached = match get.depth {
                Depth::Itself => false,
                Depth::Children => depth == 1,
                Depth::All => depth > 0,
            };
            if let (true, Some(value)) = (reached, value) {
                found.push(((*name).to_owned(), Some(value.clone().into_bytes())));
            }
        }
    }
    found
}
