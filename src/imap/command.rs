//! The one syntax tree past the parser. Nothing of imap-codec's types is seen behind it.

use super::flag::Flag;
use super::name::{MailboxName, Pattern};
use super::notify::NotifySet;
use super::partial::PartialRange;
use super::property::Property;
use super::search::{Charset, SearchKey};
use super::set::{Bound, SearchSet, SequenceSet};
use super::sort::SortKey;
use super::thread::ThreadAlgorithm;
use crate::clock::UtcTime;
use std::fmt;
use zeroize::Zeroize;

/// A command with its tag. The tag is made of ASTRING-CHARs without `+`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    pub tag: String,
    pub command: Command,
}

/// What a set of a command counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    Sequence,
    Uid,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    StartTls,
    Login {
        login: String,
        password: Secret,
    },
    Authenticate {
        mechanism: String,
        initial: Option<Secret>,
    },
    Id(Vec<(String, Option<String>)>),
    Enable(Vec<String>),
    Namespace,
    Select {
        mailbox: MailboxName,
        read_only: bool,
        with: SelectWith,
    },
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
    List(ListCommand),
    Status {
        mailbox: MailboxName,
        items: StatusItems,
    },
    Idle,
    /// RFC 5465; `None`: NONE.
    Notify(Option<NotifySet>),
    Property(Property),
    /// COMPRESS DEFLATE (RFC 4978), or another mechanism.
    Compress(String),
    /// RFC 8437.
    Unauthenticate,
    Check,
    Close,
    Unselect,
    Expunge(Option<SequenceSet>),
    Search {
        numbering: Numbering,
        returns: Option<SearchReturns>,
        /// Where one is named.
        charset: Option<Charset>,
        key: SearchKey<SearchSet>,
    },
    /// RFC 5256; with RETURN it is the ESORT of RFC 5267.
    Sort {
        numbering: Numbering,
        returns: Option<SearchReturns>,
        order: Vec<SortKey>,
        charset: Charset,
        key: SearchKey<SearchSet>,
    },
    Thread {
        numbering: Numbering,
        algorithm: ThreadAlgorithm,
        charset: Charset,
        key: SearchKey<SearchSet>,
    },
    Fetch {
        numbering: Numbering,
        set: SequenceSet,
        items: Vec<FetchItem>,
        changed: Option<ChangedSince>,
        /// Only these of the messages (RFC 9394 3.3); with UIDs only.
        partial: Option<PartialRange>,
    },
    Store {
        numbering: Numbering,
        set: SequenceSet,
        how: StoreHow,
        silent: bool,
        flags: Vec<Flag>,
        /// RFC 7162 3.1.3.
        unchanged_since: Option<u64>,
    },
    Copy {
        numbering: Numbering,
        set: SequenceSet,
        mailbox: MailboxName,
    },
    Move {
        numbering: Numbering,
        set: SequenceSet,
        mailbox: MailboxName,
    },
}

/// Parameters of SELECT and EXAMINE (RFC 7162 3.1.8, 3.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectWith {
    pub condstore: bool,
    pub qresync: Option<Qresync>,
}

/// What a client remembers of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qresync {
    pub uid_validity: u32,
    /// Not 0.
    pub modseq: u64,
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs they had, as many of the one as of the other.
    pub matched: Option<(SequenceSet, SequenceSet)>,
}

/// FETCH only what changed (RFC 7162 3.1.4.1, 3.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedSince {
    /// Not 0.
    pub modseq: u64,
    /// Tell the UIDs that left, too; in UID FETCH only.
    pub vanished: bool,
}

/// The part of APPEND (RFC 9051 6.3.12) or REPLACE (RFC 8508) before the message.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendCommand {
    pub tag: String,
    /// REPLACE: the message whose place the new one takes.
    pub replaces: Option<Replaces>,
    pub mailbox: MailboxName,
    pub flags: Vec<Flag>,
    pub date: Option<UtcTime>,
    /// The message came as `UTF8 (~{n}` (RFC 6855 4) and the command ends with `)`.
    pub utf8: bool,
}

/// One more message of an APPEND (RFC 3502): what stands before it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppendMessage {
    pub flags: Vec<Flag>,
    pub date: Option<UtcTime>,
    /// As in [`AppendCommand::utf8`].
    pub utf8: bool,
}

/// The one message a REPLACE names (RFC 8508 4: `seq-number` or `uniqueid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaces {
    pub numbering: Numbering,
    pub which: Bound,
}

/// Octets nobody may see in a log; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// LIST with its options (RFC 5258, 5819, 6154), and LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCommand {
    pub lsub: bool,
    /// Already joined with the reference.
    pub patterns: Vec<Pattern>,
    /// `LIST "" ""`: asks for the delimiter only.
    pub root_only: bool,
    pub select: ListSelect,
    pub returns: ListReturns,
}

/// Which mailboxes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelect {
    pub subscribed: bool,
    pub special_use: bool,
    pub recursive_match: bool,
}

/// What is asked about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturns {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    /// RFC 8440.
    pub my_rights: bool,
    /// RFC 9590: these entries of each mailbox.
    pub metadata: Vec<String>,
    pub status: Option<StatusItems>,
}

/// The data items of STATUS (RFC 9051 6.3.11); RECENT is of RFC 3501.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusItems {
    pub messages: bool,
    pub recent: bool,
    pub uid_next: bool,
    pub uid_validity: bool,
    pub unseen: bool,
    pub deleted: bool,
    pub size: bool,
    /// RFC 7162 3.1.7.
    pub highest_modseq: bool,
    /// RFC 7889.
    pub append_limit: bool,
    /// RFC 8474.
    pub mailbox_id: bool,
    /// DELETED-STORAGE (RFC 9208 5.3.1): octets that an EXPUNGE would take away.
    pub deleted_storage: bool,
}

/// RETURN options of SEARCH and SORT (RFC 4731, 5182, 5267, 9394). `RETURN ()` means ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturns {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// Keep what was found for `$`.
    pub save: bool,
    /// Not together with `all`.
    pub partial: Option<PartialRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreHow {
    Replace,
    Add,
    Remove,
}

/// A data item of FETCH (RFC 9051 6.4.5). Macros are already taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    Flags,
    Uid,
    /// RFC 7162 3.1.4.2.
    ModSeq,
    InternalDate,
    Size,
    Envelope,
    /// `BODY`: the structure without extension data.
    Body,
    BodyStructure,
    Section(SectionItem),
    /// `BINARY[...]` (RFC 3516, RFC 9051 6.4.5): a part with its transfer encoding undone.
    Binary(BinaryItem),
    /// `BINARY.SIZE[...]`: how many octets that would be; the part's numbers.
    BinarySize(Vec<u32>),
    /// `PREVIEW`, or `PREVIEW (LAZY)` (RFC 8970).
    Preview {
        lazy: bool,
    },
    /// RFC 8474.
    EmailId,
    ThreadId,
    /// RFC 8514.
    SaveDate,
}

/// `BINARY[1.2]<0.100>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryItem {
    /// Nested part numbers from 1, empty for the message itself.
    pub part: Vec<u32>,
    /// (first octet, at most so many octets) of what is decoded; the count is not 0.
    pub partial: Option<(u64, u64)>,
    /// Does not set `\Seen`.
    pub peek: bool,
}

/// `BODY[...]` and its three old names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionItem {
    pub section: Section,
    /// (first octet, at most so many octets); the count is not 0.
    pub partial: Option<(u64, u64)>,
    /// Does not set `\Seen`.
    pub peek: bool,
    pub form: SectionForm,
}

/// Under which name the answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionForm {
    Body,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

/// A piece of a message: `part` are nested part numbers from 1, empty for the message itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Section {
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `BODY[]` or the content of a part.
    All,
    Header,
    /// Names as the client wrote them; compared in ASCII without case.
    Fields(Vec<String>),
    FieldsNot(Vec<String>),
    Text,
    /// The MIME header of a part; `part` is not empty.
    Mime,
}
