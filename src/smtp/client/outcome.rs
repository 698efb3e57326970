//! What became of a mail at a peer, and what a peer can do.

use super::{Damage, Outgoing, Reply, ReplyClass, ReplyError};
use crate::address::{KepAddress, ReversePath};

/// The three ends a hand-over has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The peer is responsible now (RFC 5321 6.1).
    Accepted,
    /// Try again later.
    Temporary,
    /// Do not try again.
    Permanent,
}

impl Outcome {
    /// The class of a final reply.
    pub fn of(reply: &Reply) -> Self {
        match reply.class() {
            ReplyClass::Done => Outcome::Accepted,
            // RFC 5321 4.5.3.1.10: an old 552 to RCPT means "too many", which is a 452.
            ReplyClass::Permanent if reply.code == 552 && reply.enhanced == Some((5, 5, 3)) => {
                Outcome::Temporary
            }
            ReplyClass::Permanent => Outcome::Permanent,
            ReplyClass::Continue | ReplyClass::Temporary => Outcome::Temporary,
        }
    }
}

/// Why. `Peer` carries the peer's words, for evidence and logs; the others are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    Peer(Reply),
    /// The peer's reply cannot be read.
    BadReply(ReplyError),
    ConnectionLost,
    /// Our own content breaks the rules of mail: no peer could be given it.
    ContentDamaged(Damage),
    /// TLS is demanded and the peer does not offer it (somebody in between may have removed the offer).
    TlsNotOffered,
    /// Plain octets came behind the reply to STARTTLS.
    OctetsBeforeTls,
    /// Content with octets above 127, and no 8BITMIME: re-encoding would break the digest.
    Needs8BitButNotOffered,
    NeedsSmtpUtf8ButNotOffered,
    /// More than the peer's SIZE.
    TooLargeForPeer {
        size_max_octets: u64,
    },
}

/// The fate of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientResult {
    pub address: KepAddress,
    /// The reply to its RCPT, if it came so far.
    pub rcpt: Option<Reply>,
    /// What decided: the last reply that concerned it, or what happened instead.
    pub cause: Cause,
    pub outcome: Outcome,
}

impl RecipientResult {
    /// A fate that the whole mail shares.
    pub(super) fn whole(address: &KepAddress, outcome: Outcome, cause: Cause) -> Self {
        Self {
            address: address.clone(),
            rcpt: None,
            cause,
            outcome,
        }
    }

    pub(super) fn of_rcpt(address: &KepAddress, reply: Reply) -> Self {
        let outcome = match Outcome::of(&reply) {
            Outcome::Permanent if reply.code == 552 && reply.enhanced.is_none() => Outcome::Temporary,
            outcome => outcome,
        };
        Self {
            address: address.clone(),
            rcpt: Some(reply.clone()),
            cause: Cause::Peer(reply),
            outcome,
        }
    }

    /// The fate of a recipient that had been taken, once the mail came to its end.
    pub(super) fn ended(self, outcome: Outcome, cause: Cause) -> Self {
        Self {
            outcome,
            cause,
            ..self
        }
    }
}

/// The keywords of an EHLO reply that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub pipelining: bool,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub starttls: bool,
    pub auth_plain: bool,
    /// SIZE was offered.
    pub size: bool,
    /// The peer's limit, if it names one (RFC 1870 4: none or 0 says nothing).
    pub size_max_octets: Option<u64>,
}

impl Capabilities {
    pub(super) fn read(reply: &Reply) -> Self {
        let mut read = Self::default();
        // The first line is the peer's name.
        for line in reply.text.split('\n').skip(1) {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
                "PIPELINING" => read.pipelining = true,
                "8BITMIME" => read.eight_bit_mime = true,
                "SMTPUTF8" => read.smtputf8 = true,
                "STARTTLS" => read.starttls = true,
                "AUTH" => read.auth_plain |= words.any(|word| word.eq_ignore_ascii_case("PLAIN")),
                "SIZE" => {
                    read.size = true;
                    read.size_max_octets = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                }
                _ => {}
            }
        }
        read
    }

    /// Why this peer cannot take this mail at all.
    pub(super) fn obstacle(&self, mail: &Outgoing) -> Option<Cause> {
        match self.size_max_octets {
            _ if mail.needs_8bit && !self.eight_bit_mime => Some(Cause::Needs8BitButNotOffered),
            _ if mail.needs_smtputf8 && !self.smtputf8 => Some(Cause::NeedsSmtpUtf8ButNotOffered),
            Some(size_max_octets) if mail.octets > size_max_octets => {
                Some(Cause::TooLargeForPeer { size_max_octets })
            }
            _ => None,
        }
    }

    pub(super) fn mail_line(&self, mail: &Outgoing) -> String {
        let mut line = match &mail.from {
            ReversePath::Null => "MAIL FROM:<>".to_owned(),
            ReversePath::Address(address) => format!("MAIL FROM:<{address}>"),
        };
        if self.size {
            line.push_str(&format!(" SIZE={}", mail.octets));
        }
        if mail.needs_8bit {
            line.push_str(" BODY=8BITMIME");
        }
        if mail.needs_smtputf8 {
            line.push_str(" SMTPUTF8");
        }
        line.push_str("\r\n");
        line
    }
}
