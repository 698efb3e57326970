//! The border between the engine and the door: what the engine asks, what it is answered, what it wants written.

use super::command::{FetchItem, ListReturns, ListSelect, Secret, Section, StatusItems, StoreHow};
use super::flag::{Flag, Flags};
use super::name::{MailboxName, Pattern};
use super::notify::NotifySet;
use super::property::{Property, Told};
use super::search::SearchKey;
use super::set::UidRanges;
use super::structure::{BodyStructure, Envelope};
use crate::clock::UtcTime;
use bytes::Bytes;

/// A message of the selected mailbox: its UID, and the key the door gave it in [`Selected`] or [`Changes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    pub uid: u32,
    pub key: u64,
}

/// What the engine wants done. Until it is answered, [`super::Session::receive`] gives nothing more, except that
/// [`Ask::AppendChunk`] wants no answer. The answer that fits is named at each.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Write everything out, forget unread input, shake hands, then [`Answer::Done`] (RFC 9051 6.2.1).
    StartTls,
    /// [`Answer::LoggedIn`] or a refusal.
    Login {
        login: String,
        password: Secret,
    },
    /// [`Answer::LoggedIn`], [`Answer::Challenge`] or a refusal. The mechanism is in upper case. A new start replaces
    /// an exchange that was never finished.
    AuthenticateStart {
        mechanism: String,
        initial: Option<Secret>,
    },
    /// The client's answer to a challenge. Answered like the start.
    AuthenticateResponse(Secret),
    /// What the client says of itself (RFC 2971), for the log. [`Answer::Done`].
    ClientId(Vec<(String, Option<String>)>),
    /// [`Answer::Mailboxes`]: all that [`ListAsk::wants`], in any order; more does not harm.
    List(ListAsk),
    /// [`Answer::Selected`] or a refusal (then nothing is selected).
    Select {
        mailbox: MailboxName,
        read_only: bool,
    },
    /// [`Answer::Status`] or a refusal.
    Status {
        mailbox: MailboxName,
        items: StatusItems,
    },
    /// [`Answer::Done`] or a refusal. The special uses (`\Archive`) are as the client wrote them.
    Create {
        mailbox: MailboxName,
        special_use: Vec<String>,
    },
    Delete(MailboxName),
    Rename {
        from: MailboxName,
        to: MailboxName,
    },
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    /// May it come? [`Answer::Done`] or a refusal; the message has not been sent yet, or is thrown away. One that is
    /// named by [`AppendOpen::replaces`] goes in the moment in which the new one comes, or nothing happens.
    AppendOpen(AppendOpen),
    /// The next octets of the message. No answer.
    AppendChunk(Bytes),
    /// All octets are here: make it durable. [`Answer::Appended`] or a refusal.
    AppendEnd,
    /// The command was malformed behind the message: forget it. [`Answer::Done`].
    AppendAbort,
    /// What is new in the selected mailbox? [`Answer::Changed`].
    Poll,
    /// From now on tell these events of mailboxes that are not selected, through [`super::Session::push`]; `None`:
    /// nothing any more. [`Answer::Watching`] or a refusal, which leaves all as it was.
    Watch(Option<NotifySet>),
    /// [`Answer::Told`] or a refusal.
    Property(Property),
    /// Write everything out, then compress both ways, then [`Answer::Done`] (RFC 4978).
    Compress,
    /// Forget who it was. [`Answer::Done`].
    Unauthenticate,
    /// Remove messages with `\Deleted`, all or those among the UIDs. [`Answer::Expunged`] or a refusal.
    Expunge(Option<Vec<Member>>),
    /// [`Answer::Found`] or a refusal.
    Search(SearchKey<UidRanges>),
    /// Call [`super::Session::fetched`] for each message (in the given order), then [`Answer::Done`].
    Fetch(FetchAsk),
    /// [`Answer::Stored`] or a refusal.
    Store(StoreAsk),
    /// [`Answer::Copied`] or a refusal. Nothing may be copied when something cannot be (RFC 9051 6.4.7).
    Copy {
        members: Vec<Member>,
        mailbox: MailboxName,
    },
    /// [`Answer::Copied`] or a refusal; each message moves wholly or not at all (RFC 6851 3.3).
    Move {
        members: Vec<Member>,
        mailbox: MailboxName,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct AppendOpen {
    pub mailbox: MailboxName,
    pub flags: Flags,
    pub date: Option<UtcTime>,
    pub size: u64,
    /// Headers may hold UTF-8 (RFC 6855).
    pub utf8: bool,
    /// REPLACE (RFC 8508): the message of the selected mailbox whose place it takes.
    pub replaces: Option<Member>,
}

/// Which mailboxes to tell about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAsk {
    pub patterns: Vec<Pattern>,
    pub select: ListSelect,
    pub returns: ListReturns,
}

impl ListAsk {
    /// Whether this mailbox would be in the answer, as far as its name says.
    pub fn wants(&self, name: &MailboxName) -> bool {
        self.patterns.iter().any(|p| p.matches(name.as_str()))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct FetchAsk {
    /// In ascending order of UID.
    pub members: Vec<Member>,
    pub items: Vec<FetchItem>,
    /// Set `\Seen` on each; if that changed anything, put the new flags into the row (RFC 9051 6.4.5).
    pub mark_seen: bool,
}

impl FetchAsk {
    /// The sections a row must answer, in this order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.items.iter().filter_map(|item| match item {
            FetchItem::Section(wanted) => Some(&wanted.section),
            _ => None,
        })
    }

    pub fn asks_for(&self, item: &FetchItem) -> bool {
        self.items.contains(item)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StoreAsk {
    pub members: Vec<Member>,
    pub how: StoreHow,
    pub flags: Flags,
}

/// One message's part of a FETCH answer. What was not asked for may stay `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub uid: u32,
    pub flags: Option<Flags>,
    pub internal_date: Option<UtcTime>,
    pub size: Option<u64>,
    pub envelope: Option<Box<Envelope>>,
    /// Used for BODY and BODYSTRUCTURE alike.
    pub structure: Option<Box<BodyStructure>>,
    /// As many as [`FetchAsk::sections`], whole: partial ranges are the engine's work.
    pub sections: Vec<Content>,
}

/// The octets of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// No such part.
    Nil,
    /// Something computed, such as chosen header fields.
    Octets(Vec<u8>),
    /// A range of the message's stored octets.
    Stored { offset: u64, len: u64 },
}

/// What the door writes to the connection, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    Bytes(Vec<u8>),
    /// Exactly `len` octets of the stored message of `member`, from `offset`. If they cannot be had any more, the
    /// connection must be closed: the length has been announced.
    Content {
        member: Member,
        offset: u64,
        len: u64,
    },
}

/// What became of an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    /// Any ask may be refused.
    Refused(Refusal),
    LoggedIn,
    /// A SASL challenge, not yet in base64.
    Challenge(Vec<u8>),
    Mailboxes(Vec<Mailbox>),
    Selected(Box<Selected>),
    Status(Status),
    Appended(Option<AppendUid>),
    Changed(Changes),
    Watching {
        /// What is to be told before the end: the STATUS of mailboxes, those without access.
        first: Vec<Notice>,
        /// Of the selected mailbox: the command is a NOOP as well.
        changes: Changes,
    },
    Told {
        lines: Vec<Told>,
        /// RFC 5464 4.2.1: the longest value that was left out.
        longest_bytes: Option<u64>,
    },
    Expunged {
        uids: Vec<u32>,
        refused: Option<Refusal>,
    },
    Found(Vec<u32>),
    /// The new flags of each; those refused are left out and `refused` says why.
    Stored {
        rows: Vec<(u32, Flags)>,
        refused: Option<Refusal>,
    },
    Copied {
        uid_validity: u32,
        pairs: Vec<CopiedUid>,
        refused: Option<Refusal>,
    },
}

/// `APPENDUID` (RFC 4315).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendUid {
    pub uid_validity: u32,
    pub uid: u32,
}

/// One message copied or moved. `to` is 0 when the target gave no UID (it is then left out of COPYUID).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedUid {
    pub from: u32,
    pub to: u32,
}

/// A mailbox in the answer to LIST. Parents and children need not be told: the engine sees them among the names,
/// so tell all names when `\HasChildren` is to be right, not only those wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mailbox {
    pub name: MailboxName,
    pub subscribed: bool,
    /// Cannot be selected (`\Noselect`).
    pub no_select: bool,
    /// Does not exist; only something below it, or a subscription, does.
    pub non_existent: bool,
    pub has_children: bool,
    pub special_use: Option<SpecialUse>,
    /// When [`ListReturns::status`] asked and the mailbox can be selected.
    pub status: Option<Status>,
    /// When [`ListReturns::my_rights`] asked.
    pub rights: Option<String>,
    /// When [`ListReturns::metadata`] asked.
    pub metadata: Vec<(String, Option<Vec<u8>>)>,
}

/// Something that happened outside of the selected mailbox (RFC 5465 5).
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    Status {
        name: MailboxName,
        items: StatusItems,
        status: Status,
    },
    /// A mailbox came, went, or changed its name or subscription.
    Listed {
        mailbox: Mailbox,
        old_name: Option<MailboxName>,
    },
    /// It is there, and what was asked cannot be had of it.
    NoAccess(MailboxName),
    /// Entries that changed, by name; `None`: the server's.
    Metadata {
        mailbox: Option<MailboxName>,
        entries: Vec<String>,
    },
    /// There is too much to tell: from now on nothing is.
    Overflow,
}

/// RFC 6154.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Junk,
    Sent,
    Trash,
}

/// A mailbox that has just been selected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selected {
    /// May be true although SELECT was asked.
    pub read_only: bool,
    /// Not 0; changes when UIDs were given out anew.
    pub uid_validity: u32,
    pub uid_next: u32,
    /// In ascending order of UID.
    pub members: Vec<Member>,
    /// Keywords in use; the system flags are always told.
    pub keywords: Vec<Flag>,
    /// Flags that may be changed for good.
    pub permanent: Vec<Flag>,
    /// Clients may invent keywords (`\*`).
    pub new_keywords: bool,
    /// UID of the first unseen message.
    pub first_unseen: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    pub messages: u32,
    pub uid_next: u32,
    pub uid_validity: u32,
    pub unseen: u32,
    pub deleted: u32,
    pub size: u64,
    pub deleted_storage: u64,
}

/// What happened to the selected mailbox from outside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// With UIDs above all that were told before.
    pub added: Vec<Member>,
    pub removed: Vec<u32>,
    pub flags: Vec<(u32, Flags)>,
}

/// Why not, for the client to read. The text is one line; what an old client cannot read is folded to ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Option<Code>,
    pub text: String,
}

impl Refusal {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            text: text.into(),
        }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            code: None,
            text: text.into(),
        }
    }
}

/// Response codes of a refusal (RFC 9051 7.1, RFC 5530).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Alert,
    AlreadyExists,
    AuthenticationFailed,
    AuthorizationFailed,
    BadEvent,
    Cannot,
    ClientBug,
    CompressionActive,
    ExpungeIssued,
    InUse,
    Limit,
    MetadataNoPrivate,
    NonExistent,
    NoPerm,
    NotificationOverflow,
    OverQuota,
    PrivacyRequired,
    ServerBug,
    TooBig,
    TryCreate,
    Unavailable,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            // RFC 5465 3.1: all events there are ([`super::notify::EVENTS`]).
            Code::BadEvent => {
                "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
                 ServerMetadataChange)"
            }
            Code::Cannot => "CANNOT",
            Code::ClientBug => "CLIENTBUG",
            Code::CompressionActive => "COMPRESSIONACTIVE",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MetadataNoPrivate => "METADATA NOPRIVATE",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Code::OverQuota => "OVERQUOTA",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::Unavailable => "UNAVAILABLE",
        }
    }
}

impl SpecialUse {
    pub fn as_str(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }
}
