//! The border between the engine and the door: what the engine asks, what it is answered, what it wants written.

use super::command::{
    BinaryItem, FetchItem, ListReturns, ListSelect, Secret, Section, StatusItems, StoreHow,
};
use super::flag::{Flag, Flags};
use super::name::{MailboxName, Pattern};
use super::notify::NotifySet;
use super::property::{Fact, Property};
use super::search::{Charset, SearchKey};
use super::set::UidRanges;
use super::sort::SortKey;
use super::structure::{BodyStructure, Envelope};
use super::thread::{ThreadAlgorithm, Threads};
use crate::clock::UtcTime;
use crate::roster::Roster;
use bytes::Bytes;

/// A message of the selected mailbox: its UID, and the key the door gave it in [`Selected`] or [`Changes`].
pub use crate::roster::Entry as Member;

/// What a message shows now, with its mod-sequence (RFC 7162); 0 where the door has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub uid: u32,
    pub flags: Flags,
    pub modseq: u64,
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
    /// The message so far is complete, another follows for the same mailbox (RFC 3502): may it come? [`Answer::Done`], or
    /// a refusal, and then all messages of the command are forgotten.
    AppendNext(AppendNext),
    /// All octets are here: make it durable, all messages or none. [`Answer::Appended`] or a refusal.
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
    Search {
        charset: Charset,
        key: SearchKey<UidRanges>,
    },
    /// [`Answer::Found`] in the order asked for; those alike in ascending order of UID. Or a refusal.
    Sort {
        order: Vec<SortKey>,
        charset: Charset,
        key: SearchKey<UidRanges>,
    },
    /// [`Answer::Threaded`] or a refusal.
    Thread {
        algorithm: ThreadAlgorithm,
        charset: Charset,
        key: SearchKey<UidRanges>,
    },
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
    /// It comes as a literal8 and may hold NULs (RFC 3516 4.4); who cannot keep such says [`Code::UnknownCte`].
    pub literal8: bool,
    /// REPLACE (RFC 8508): the message of the selected mailbox whose place it takes.
    pub replaces: Option<Member>,
}

/// A further message of an APPEND.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendNext {
    pub flags: Flags,
    pub date: Option<UtcTime>,
    pub size: u64,
    pub utf8: bool,
    pub literal8: bool,
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
    /// Put the mod-sequence into each row (RFC 7162 3.1.4.2).
    pub with_modseq: bool,
    pub since: Option<Since>,
}

/// Only what changed (RFC 7162 3.1.4.1, 3.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// Rows of messages whose mod-sequence is higher.
    pub modseq: u64,
    /// Before all rows call [`super::Session::vanished_earlier`] with those of these UIDs that left since and are not in
    /// the mailbox; when that is not known any more, with all of these UIDs that are not in it.
    pub vanished: Option<UidRanges>,
    /// The client has no UID up to this one that is not in the mailbox.
    pub agreed_to: u32,
}

impl FetchAsk {
    /// The sections a row must answer, in this order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.items.iter().filter_map(|item| match item {
            FetchItem::Section(wanted) => Some(&wanted.section),
            _ => None,
        })
    }

    /// The parts a row must give decoded, in this order.
    pub fn binaries(&self) -> impl Iterator<Item = &BinaryItem> {
        self.items.iter().filter_map(|item| match item {
            FetchItem::Binary(wanted) => Some(wanted),
            _ => None,
        })
    }

    /// The parts a row must tell the decoded size of, in this order.
    pub fn binary_sizes(&self) -> impl Iterator<Item = &[u32]> {
        self.items.iter().filter_map(|item| match item {
            FetchItem::BinarySize(part) => Some(part.as_slice()),
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
    /// The client does not want to hear what it sets; of what others did it hears all the same (RFC 9051 6.4.6).
    pub silent: bool,
    /// Leave alone what has a higher mod-sequence, and say so; looking and changing are one step (RFC 7162 3.1.3).
    pub unchanged_since: Option<u64>,
}

/// One message's part of a FETCH answer. What was not asked for may stay `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub uid: u32,
    pub flags: Option<Flags>,
    /// When [`FetchAsk::with_modseq`] asked.
    pub modseq: Option<u64>,
    pub internal_date: Option<UtcTime>,
    pub size: Option<u64>,
    pub envelope: Option<Box<Envelope>>,
    /// Used for BODY and BODYSTRUCTURE alike.
    pub structure: Option<Box<BodyStructure>>,
    /// As many as [`FetchAsk::sections`], whole: partial ranges are the engine's work.
    pub sections: Vec<Content>,
    /// As many as [`FetchAsk::binaries`], whole.
    pub binaries: Vec<Content>,
    /// As many as [`FetchAsk::binary_sizes`]; `None`: there is no such part.
    pub binary_sizes: Vec<Option<u64>>,
    /// `None`: none can be told just now, which only `PREVIEW (LAZY)` may hear (RFC 8970 3.2). Empty: there is nothing
    /// to show.
    pub preview: Option<String>,
    /// Made of `A-Za-z0-9_-` (RFC 8474 4).
    pub email_id: Option<String>,
    pub thread_id: Option<String>,
    pub save_date: Option<UtcTime>,
}

/// The transfer encodings that are undone for BINARY (RFC 2045 6); all others leave the octets as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    Base64,
    QuotedPrintable,
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
    /// What `octets` become of a stored range when its transfer encoding is undone. The door has counted them.
    Decoded {
        offset: u64,
        len: u64,
        how: Transfer,
        octets: u64,
        /// There are NULs among them.
        nul: bool,
    },
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
    /// Of the stored octets from `offset`, `len` of them, with the encoding undone: exactly `take` octets behind the first
    /// `skip`. Else as [`Out::Content`].
    Decoded {
        member: Member,
        offset: u64,
        len: u64,
        how: Transfer,
        skip: u64,
        take: u64,
    },
}

/// What became of an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    /// A mailbox was made: like [`Answer::Done`], with its MAILBOXID (RFC 8474 4.1).
    Created(String),
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
        lines: Vec<Fact>,
        /// RFC 5464 4.2.1: the longest value that was left out.
        longest_bytes: Option<u64>,
    },
    Expunged {
        uids: Vec<u32>,
        refused: Option<Refusal>,
    },
    Found(Vec<u32>),
    Threaded(Threads),
    /// The new flags of each; those refused are left out and `refused` says why.
    Stored {
        rows: Vec<Told>,
        /// UIDs of those left alone because of [`StoreAsk::unchanged_since`].
        modified: Vec<u32>,
        refused: Option<Refusal>,
    },
    Copied {
        uid_validity: u32,
        pairs: Vec<CopiedUid>,
        refused: Option<Refusal>,
    },
}

/// `APPENDUID` (RFC 4315).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendUid {
    pub uid_validity: u32,
    /// One for each message, in the order in which they came.
    pub uids: Vec<u32>,
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
    pub members: Roster,
    /// Nothing that happened in the mailbox by this mod-sequence is missing; 0: it keeps none (RFC 7162 3.1.2).
    pub highest_modseq: u64,
    /// Keywords in use; the system flags are always told.
    pub keywords: Vec<Flag>,
    /// Flags that may be changed for good.
    pub permanent: Vec<Flag>,
    /// Clients may invent keywords (`\*`).
    pub new_keywords: bool,
    /// UID of the first unseen message.
    pub first_unseen: Option<u32>,
    /// This session is the first to be told of the messages from this UID on (RFC 3501 2.3.2, `\Recent`).
    pub recent_from: Option<u32>,
    /// RFC 8474 4.
    pub mailbox_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub messages: u32,
    pub uid_next: u32,
    pub uid_validity: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// 0: the mailbox keeps none.
    pub highest_modseq: u64,
    pub size: u64,
    /// Messages no session has been told of.
    pub recent: u32,
    /// RFC 8474 4.3.
    pub mailbox_id: Option<String>,
    pub deleted_storage: u64,
}

/// What happened to the selected mailbox from outside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// With UIDs above all that were told before.
    pub added: Vec<Member>,
    pub removed: Vec<u32>,
    pub flags: Vec<Told>,
    /// With this, all that happened by this mod-sequence is told; 0 where the door has none.
    pub highest_modseq: u64,
    /// The mailbox with these changes, where the door has it at hand: the same memory serves both.
    pub roster: Option<Roster>,
    /// This session is the first to be told of those added from this UID on.
    pub recent_from: Option<u32>,
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
    HasChildren,
    InUse,
    Limit,
    MetadataNoPrivate,
    NonExistent,
    NoPerm,
    /// RFC 5182 2.5.
    NotSaved,
    NotificationOverflow,
    OverQuota,
    PrivacyRequired,
    ServerBug,
    TooBig,
    TryCreate,
    Unavailable,
    /// RFC 3516 4.3.
    UnknownCte,
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
            Code::HasChildren => "HASCHILDREN",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MetadataNoPrivate => "METADATA NOPRIVATE",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotSaved => "NOTSAVED",
            Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Code::OverQuota => "OVERQUOTA",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
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
