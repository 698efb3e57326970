//! A mail and its recipients: their lives. Nothing else may change a state.
//!
//! ```text
//! Mail (at the sender's provider)
//!   state \ event   Released    Dropped    Restored    Dispatched   Concluded
//!   Held            Accepted    Dropped    -           -            -
//!   Dropped         -           -          Held        -            -
//!   Accepted        -           -          -           Dispatched   -
//!   Dispatched      -           -          -           -            Concluded
//!
//! Recipient of a mail (at the sender's provider)
//!   state \ event   Queued   PeerReplied   PeerTook  PeerRefused  GaveUp   Consigned   NotConsigned  Read   Expired
//!   Waiting         Queued   -             -         -            -        Consigned   NotConsigned  Read   Expired
//!   Queued          -        Relayed       Taken     Refused      Failed   Consigned   NotConsigned  Read   Expired
//!   Relayed         -        -             Taken     Refused      Failed   Consigned   NotConsigned  Read   Expired
//!   Taken           -        -             -         -            -        Consigned   NotConsigned  Read   Expired
//!   Consigned       -        -             -         -            -        -           -             Read   Expired
//!   Refused, Failed, NotConsigned, Read, Expired: final
//!
//! Consignment (at the recipient's provider)
//!   state \ event   Read   Expired
//!   Delivered       Read   Expired
//!   Read, Expired: final
//!
//! Declaration (what the recipient says of the mail, beside either of these states)
//!   declared \ event   Accepted   Refused
//!   None               Accepted   Refused
//!   Accepted           -          -
//!   Refused            -          -
//! ```
//! Evidence may overtake: a delivery may be told before the relay, a reading or a declaration before the delivery. Of a
//! recipient who is `Refused`, `Failed` or `NotConsigned` no declaration is heard: by what is known, he has no mail.

mod declaration;

pub use declaration::{Declaration, DeclarationRefusal, Declared};

use crate::address::{Domain, KepAddress};
use crate::clock::UtcTime;
use crate::domain::receipt::ReceiptForm;
use crate::domain::signature::PersonSignature;
use crate::id::{ItemId, JobId, MailId, RecipientIndex, TenantId, UserId};
use serde::{Deserialize, Serialize};

/// Recipients of one submission (RFC 5321 4.5.3.1.8 asks for at least 100). The evidence lists them all.
pub const RECIPIENTS_MAX: usize = 100;
/// Longest subject taken over into evidence, in octets of its decoded form.
pub const SUBJECT_MAX_OCTETS: usize = 998;
/// Longest Message-ID taken, in octets: it goes unfolded into our References, and stays well below a line's 998.
pub const MESSAGE_ID_MAX_OCTETS: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailState {
    /// Waits for approvals.
    Held,
    /// Accepted for sending: submission evidence is owed, then it is sealed.
    Accepted,
    /// Sealed, and handed to the queue or to delivery.
    Dispatched,
    /// Every recipient has come to an end.
    Concluded,
    /// Rejected, withdrawn, cancelled or expired; not sent.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailEvent {
    Released,
    Dropped,
    /// What dropped it was undone.
    Restored,
    Dispatched,
    Concluded,
}

impl MailState {
    pub const ALL: [MailState; 5] = [
        MailState::Held,
        MailState::Accepted,
        MailState::Dispatched,
        MailState::Concluded,
        MailState::Dropped,
    ];

    /// The legal transitions; `None` for all others.
    pub fn after(self, event: MailEvent) -> Option<MailState> {
        match (self, event) {
            (MailState::Held, MailEvent::Released) => Some(MailState::Accepted),
            (MailState::Held, MailEvent::Dropped) => Some(MailState::Dropped),
            (MailState::Dropped, MailEvent::Restored) => Some(MailState::Held),
            (MailState::Accepted, MailEvent::Dispatched) => Some(MailState::Dispatched),
            (MailState::Dispatched, MailEvent::Concluded) => Some(MailState::Concluded),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecipientState {
    Waiting,
    Queued,
    /// The peer answered 250; its relay evidence is awaited.
    Relayed,
    /// The peer's relay evidence says it took the dispatch.
    Taken,
    /// The peer's relay evidence says it did not.
    Refused,
    /// The peer could not be reached in time, or refused at SMTP time.
    Failed,
    Consigned,
    NotConsigned,
    Read,
    /// Unread until the limit: counts as read.
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientEvent {
    Queued,
    PeerReplied,
    PeerTook,
    PeerRefused,
    GaveUp,
    Consigned,
    NotConsigned,
    Read,
    Expired,
}

impl RecipientState {
    pub const ALL: [RecipientState; 10] = [
        RecipientState::Waiting,
        RecipientState::Queued,
        RecipientState::Relayed,
        RecipientState::Taken,
        RecipientState::Refused,
        RecipientState::Failed,
        RecipientState::Consigned,
        RecipientState::NotConsigned,
        RecipientState::Read,
        RecipientState::Expired,
    ];

    pub fn is_final(self) -> bool {
        use RecipientState::*;
        matches!(self, Refused | Failed | NotConsigned | Read | Expired)
    }

    /// The legal transitions; `None` for all others.
    pub fn after(self, event: RecipientEvent) -> Option<RecipientState> {
        use RecipientEvent as E;
        use RecipientState as S;
        let underway = matches!(self, S::Queued | S::Relayed);
        match event {
            E::Queued => (self == S::Waiting).then_some(S::Queued),
            E::PeerReplied => (self == S::Queued).then_some(S::Relayed),
            E::PeerTook => underway.then_some(S::Taken),
            E::PeerRefused => underway.then_some(S::Refused),
            E::GaveUp => underway.then_some(S::Failed),
            E::Consigned => (underway || matches!(self, S::Waiting | S::Taken)).then_some(S::Consigned),
            E::NotConsigned => (underway || matches!(self, S::Waiting | S::Taken)).then_some(S::NotConsigned),
            E::Read => (!self.is_final()).then_some(S::Read),
            E::Expired => (!self.is_final()).then_some(S::Expired),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub address: KepAddress,
    /// Named by the envelope but by no header: others must not learn of him.
    pub blind: bool,
    pub state: RecipientState,
    /// What he has declared of the mail, as far as evidence of it has come.
    pub declared: Option<Declared>,
}

/// A mail at the provider of its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub id: MailId,
    pub tenant: TenantId,
    pub author: UserId,
    pub item: ItemId,
    pub job: Option<JobId>,
    /// The job of the mail that this one was handed in anew for: its decisions belong to this mail's as well.
    pub follows: Option<JobId>,
    /// Digest and size of the exact octets: what was approved is what is sealed.
    pub original_sha256: [u8; 32],
    pub original_size_bytes: u64,
    /// Whether some octet of the original is above 127 (then relaying needs 8BITMIME).
    pub original_8bit: bool,
    /// What it costs of the account's credit, by the tariff of when it was handed in; 0: it is not metered.
    pub cost_units: u64,
    pub subject: String,
    /// RFC 5322 Message-ID of the original, with its angle brackets.
    pub message_id: String,
    pub sender: KepAddress,
    pub submitted_at: UtcTime,
    /// The signature of the person who handed it in, where one was looked at and holds.
    pub signature: Option<PersonSignature>,
    /// The form in which its sender gets evidence of its delivery.
    pub receipts: ReceiptForm,
    pub state: MailState,
    pub recipients: Vec<Recipient>,
}

impl Mail {
    /// The copies this mail is sealed in: one for all whom the headers name, and one for each blind recipient, so that
    /// no evidence tells anybody of a blind one.
    pub fn copies(&self) -> Vec<CopyOf> {
        let open: Vec<_> = self.indexes(|r| !r.blind).collect();
        let mut copies = Vec::new();
        if !open.is_empty() {
            copies.push(CopyOf {
                number: 0,
                listed: open.clone(),
                addressed: open.clone(),
            });
        }
        for (n, blind) in self.indexes(|r| r.blind).enumerate() {
            let mut listed = open.clone();
            listed.push(blind);
            copies.push(CopyOf {
                number: n as u16 + 1,
                listed,
                addressed: vec![blind],
            });
        }
        copies
    }

    fn indexes(&self, want: impl Fn(&Recipient) -> bool) -> impl Iterator<Item = RecipientIndex> {
        self.recipients
            .iter()
            .enumerate()
            .filter(move |(_, r)| want(r))
            .map(|(i, _)| RecipientIndex(i as u32))
    }

    pub fn recipient(&self, index: RecipientIndex) -> Option<&Recipient> {
        self.recipients.get(index.0 as usize)
    }

    pub fn position(&self, address: &KepAddress) -> Option<RecipientIndex> {
        self.recipients
            .iter()
            .position(|r| r.address == *address)
            .map(|i| RecipientIndex(i as u32))
    }
}

/// One sealed form of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOf {
    pub number: u16,
    /// Whom its evidence lists, in order; `EvidenceRefersToRecipient` counts in this list from 1.
    pub listed: Vec<RecipientIndex>,
    /// Who receives it.
    pub addressed: Vec<RecipientIndex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsignmentState {
    Delivered,
    Read,
    /// Unread until the limit: counts as read.
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsignmentEvent {
    Read,
    Expired,
}

impl ConsignmentState {
    pub const ALL: [ConsignmentState; 3] = [
        ConsignmentState::Delivered,
        ConsignmentState::Read,
        ConsignmentState::Expired,
    ];

    /// The legal transitions; `None` for all others.
    pub fn after(self, event: ConsignmentEvent) -> Option<ConsignmentState> {
        match (self, event) {
            (ConsignmentState::Delivered, ConsignmentEvent::Read) => Some(ConsignmentState::Read),
            (ConsignmentState::Delivered, ConsignmentEvent::Expired) => Some(ConsignmentState::Expired),
            _ => None,
        }
    }
}

/// Where evidence about a consignment has to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SenderHome {
    /// The sender is a tenant here.
    Here {
        tenant: TenantId,
        mail: MailId,
    },
    Peer {
        domain: Domain,
        receipts_to: KepAddress,
    },
}

/// A mail in a recipient's mailbox, at the provider of the recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consignment {
    pub id: MailId,
    pub tenant: TenantId,
    pub item: ItemId,
    pub home: SenderHome,
    pub sender: KepAddress,
    pub recipient: KepAddress,
    /// All recipients the dispatch's evidence lists.
    pub listed: Vec<KepAddress>,
    pub subject: String,
    /// Message-ID of the original.
    pub message_id: String,
    /// `MessageIdentifierByREMMD` given by the sender's provider.
    pub rem_message_id: String,
    pub original_sha256: [u8; 32],
    pub submitted_at: Option<UtcTime>,
    pub delivered_at: UtcTime,
    pub state: ConsignmentState,
    pub declaration: Option<Declaration>,
}

impl Consignment {
    /// Counted from 1, in the list of the dispatch.
    pub fn refers_to_recipient(&self) -> Option<u32> {
        self.listed
            .iter()
            .position(|a| *a == self.recipient)
            .map(|i| i as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawn table, read cell by cell: every pair, legal and illegal.
    fn table(from: &str) -> Vec<(String, Vec<String>)> {
        let text = include_str!("mail.rs");
        let start = text.find(from).unwrap();
        let lines = text[start..].lines();
        let rows = lines.skip(1).take_while(|l| l.starts_with("//!   "));
        rows.map(|l| {
            l.trim_start_matches("//!")
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|mut cells| (cells.remove(0), cells))
        .collect()
    }

    #[test]
    fn a_mail_moves_as_drawn() {
        let rows = table("//! Mail (at");
        let events = [
            MailEvent::Released,
            MailEvent::Dropped,
            MailEvent::Restored,
            MailEvent::Dispatched,
            MailEvent::Concluded,
        ];
        for state in MailState::ALL {
            let row = rows.iter().find(|(name, _)| *name == format!("{state:?}"));
            for (n, event) in events.iter().enumerate() {
                let drawn = row.map_or("-", |(_, cells)| cells[n].as_str());
                let got = state.after(*event).map_or("-".to_owned(), |s| format!("{s:?}"));
                assert_eq!(got, drawn, "{state:?} {event:?}");
            }
        }
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn a_recipient_moves_as_drawn() {
        use RecipientEvent::*;
        let rows = table("//! Recipient of");
        let events = [
            Queued,
            PeerReplied,
            PeerTook,
            PeerRefused,
            GaveUp,
            Consigned,
            NotConsigned,
            Read,
            Expired,
        ];
        for state in RecipientState::ALL {
            let row = rows
                .iter()
                .find(|(name, cells)| *name == format!("{state:?}") && cells.len() == 9);
            for (n, event) in events.iter().enumerate() {
                let drawn = row.map_or("-", |(_, cells)| cells[n].as_str());
                let got = state.after(*event).map_or("-".to_owned(), |s| format!("{s:?}"));
                assert_eq!(got, drawn, "{state:?} {event:?}");
            }
            assert_eq!(state.is_final(), row.is_none(), "{state:?}");
        }
    }

    #[test]
    fn a_consignment_moves_as_drawn() {
        let rows = table("//! Consignment (at");
        let events = [ConsignmentEvent::Read, ConsignmentEvent::Expired];
        for state in ConsignmentState::ALL {
            let row = rows.iter().find(|(name, _)| *name == format!("{state:?}"));
            for (n, event) in events.iter().enumerate() {
                let drawn = row.map_or("-", |(_, cells)| cells[n].as_str());
                let got = state.after(*event).map_or("-".to_owned(), |s| format!("{s:?}"));
                assert_eq!(got, drawn, "{state:?} {event:?}");
            }
        }
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn a_recipient_declares_as_drawn_in_whatever_state_he_has_the_mail() {
        let rows = table("//! Declaration (what");
        assert_eq!(rows.len(), 4);
        for state in RecipientState::ALL {
            let never_had_it = matches!(
                state,
                RecipientState::Refused | RecipientState::Failed | RecipientState::NotConsigned
            );
            for declared in [None, Some(Declared::Accepted), Some(Declared::Refused)] {
                let who = Recipient {
                    address: "a@b.c".parse().unwrap(),
                    blind: false,
                    state,
                    declared,
                };
                let name = declared.map_or("None".to_owned(), |d| format!("{d:?}"));
                let (_, cells) = rows.iter().find(|(n, _)| *n == name).unwrap();
                for (event, cell) in Declared::ALL.into_iter().zip(cells) {
                    let drawn = if never_had_it { "-" } else { cell.as_str() };
                    let got = who.after_declaration(event);
                    let got = got.map_or("-".to_owned(), |d| format!("{d:?}"));
                    assert_eq!(got, drawn, "{who:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn blind_recipients_have_copies_of_their_own() {
        let r = |a: &str, blind| Recipient {
            address: a.parse().unwrap(),
            blind,
            state: RecipientState::Waiting,
            declared: None,
        };
        let mail = Mail {
            id: MailId::from_octets([1; 16]),
            tenant: TenantId(1),
            author: UserId(1),
            item: ItemId(1),
            job: None,
            follows: None,
            original_sha256: [0; 32],
            original_size_bytes: 1,
            original_8bit: false,
            cost_units: 0,
            signature: None,
            receipts: ReceiptForm::Summary,
            subject: String::new(),
            message_id: "<a@b>".into(),
            sender: "a@b.c".parse().unwrap(),
            submitted_at: UtcTime::from_unix_s(0),
            state: MailState::Held,
            recipients: vec![
                r("a@x.y", false),
                r("b@x.y", true),
                r("c@x.y", false),
                r("d@x.y", true),
            ],
        };
        let ix = |v: &[u32]| v.iter().map(|i| RecipientIndex(*i)).collect::<Vec<_>>();
        let copies = mail.copies();
        assert_eq!(copies.len(), 3);
        assert_eq!(
            (copies[0].listed.clone(), copies[0].addressed.clone()),
            (ix(&[0, 2]), ix(&[0, 2]))
        );
        assert_eq!(
            (copies[1].listed.clone(), copies[1].addressed.clone()),
            (ix(&[0, 2, 1]), ix(&[1]))
        );
        assert_eq!(
            (copies[2].listed.clone(), copies[2].addressed.clone()),
            (ix(&[0, 2, 3]), ix(&[3]))
        );
    }
}
