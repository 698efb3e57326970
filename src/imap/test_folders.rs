//! The part of the dialogues' door that knows rights, quotas, metadata and what happens in other mailboxes.

use super::ask::*;
use super::command::StatusItems;
use super::name::MailboxName;
use super::notify::NotifySet;
use super::property::{Depth, Fact, Property};
use super::session::Session;

/// Entries of every mailbox of the test.
const ENTRIES: [(&str, &str); 3] = [
    ("/shared/comment", "Shared comment"),
    ("/shared/vendor/kepd/evidence", "root"),
    ("/shared/vendor/kepd/evidence/7", "SubmissionAcceptanceRejection"),
];

fn no(code: Code, text: &str) -> Answer {
    Answer::Refused(Refusal::new(code, text))
}

pub fn property(property: Property) -> Answer {
    let lines = match property {
        Property::GetAcl(mailbox) => vec![Fact::Acl {
            mailbox,
            entries: vec![
                ("ayse".into(), "lrswipkxtecda".into()),
                ("onay 1".into(), "lrs".into()),
            ],
        }],
        Property::MyRights(mailbox) => vec![Fact::MyRights {
            mailbox,
            rights: "rwiptsldaex".into(),
        }],
        Property::ListRights { mailbox, identifier } => vec![Fact::ListRights {
            mailbox,
            identifier,
            required: "la".into(),
        }],
        Property::GetQuotaRoot(mailbox) => vec![
            Fact::QuotaRoot {
                mailbox,
                roots: vec![String::new()],
            },
            quota(""),
        ],
        Property::GetQuota(root) if root.is_empty() => vec![quota("")],
        // A resource of the door's own, beside one of the standard.
        Property::GetQuota(root) if root == "ornekas" => vec![Fact::Quota {
            root,
            resources: vec![("STORAGE", 10, 512), ("V-KEPD-CREDIT", 7, 12)],
        }],
        Property::GetQuota(_) => return no(Code::NonExistent, "there is no such quota root"),
        Property::GetMetadata(get) => {
            let below = |entry: &str, asked: &str| match (entry.strip_prefix(asked), get.depth) {
                (Some(""), _) => true,
                (Some(rest), Depth::Children) => rest.starts_with('/') && rest.matches('/').count() == 1,
                (Some(rest), Depth::All) => rest.starts_with('/'),
                _ => false,
            };
            let mut entries = Vec::new();
            let mut longest_bytes = None;
            for asked in &get.entries {
                let found: Vec<_> = ENTRIES.iter().filter(|(e, _)| below(e, asked)).collect();
                if found.is_empty() {
                    entries.push((asked.clone(), None));
                }
                for (entry, value) in found {
                    let len = value.len() as u64;
                    if get.size_max_bytes.is_some_and(|most| len > most) {
                        longest_bytes = longest_bytes.max(Some(len));
                    } else {
                        entries.push(((*entry).to_owned(), Some(value.as_bytes().to_vec())));
                    }
                }
            }
            let mailbox = get.mailbox;
            return Answer::Told {
                lines: vec![Fact::Metadata { mailbox, entries }],
                longest_bytes,
            };
        }
        Property::SetMetadata { .. } => return no(Code::MetadataNoPrivate, "nothing can be noted here"),
        Property::SetAcl { .. } | Property::DeleteAcl { .. } | Property::SetQuota { .. } => {
            return no(Code::NoPerm, "that is set elsewhere");
        }
    };
    Answer::Told {
        lines,
        longest_bytes: None,
    }
}

fn quota(root: &str) -> Fact {
    Fact::Quota {
        root: root.to_owned(),
        resources: vec![("STORAGE", 10, 512)],
    }
}

/// What NOTIFY SET STATUS tells first.
pub fn first<'f>(
    set: Option<&NotifySet>,
    folders: impl Iterator<Item = (&'f str, bool, Status)>,
) -> Vec<Notice> {
    let Some(set) = set.filter(|set| set.status) else {
        return Vec::new();
    };
    let mut first = Vec::new();
    for (name, subscribed, status) in folders {
        let name = MailboxName::new(name).unwrap();
        if set.other(&name, subscribed).is_some_and(|e| e.messages.is_some()) {
            first.push(status_notice(name, status));
        }
    }
    first
}

fn status_notice(name: MailboxName, status: Status) -> Notice {
    let items = StatusItems {
        messages: true,
        uid_next: true,
        uid_validity: true,
        ..StatusItems::default()
    };
    Notice::Status { name, items, status }
}

/// `D: status NAME MESSAGES UIDNEXT`, `D: gone NAME`, `D: renamed OLD NEW`, `D: subscribed NAME`, `D: noaccess NAME`,
/// `D: metadata NAME ENTRY`, `D: overflow`.
pub fn event(session: &mut Session, words: &[&str]) {
    let name = |text: &str| MailboxName::new(text).unwrap();
    let mailbox = |text: &str| Mailbox {
        name: name(text),
        ..Mailbox::default()
    };
    let notice = match words[..] {
        ["status", at, messages, uid_next] => status_notice(
            name(at),
            Status {
                messages: messages.parse().unwrap(),
                uid_next: uid_next.parse().unwrap(),
                uid_validity: 7,
                ..Status::default()
            },
        ),
        ["gone", at] => Notice::Listed {
            mailbox: Mailbox {
                non_existent: true,
                ..mailbox(at)
            },
            old_name: None,
        },
        ["renamed", from, to] => Notice::Listed {
            mailbox: mailbox(to),
            old_name: Some(name(from)),
        },
        ["subscribed", at] => Notice::Listed {
            mailbox: Mailbox {
                subscribed: true,
                ..mailbox(at)
            },
            old_name: None,
        },
        ["noaccess", at] => Notice::NoAccess(name(at)),
        ["metadata", at, entry] => Notice::Metadata {
            mailbox: Some(name(at)),
            entries: vec![entry.to_owned()],
        },
        ["overflow"] => Notice::Overflow,
        _ => panic!("unknown event: {words:?}"),
    };
    session.push(vec![notice]);
}
