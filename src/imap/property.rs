//! What is asked about mailboxes and the server beside messages: rights (RFC 4314), quotas (RFC 9208), metadata
//! (RFC 5464). The commands as they were said, and the lines that answer them.

use super::name::MailboxName;

/// A command of the three extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    GetAcl(MailboxName),
    MyRights(MailboxName),
    ListRights {
        mailbox: MailboxName,
        identifier: String,
    },
    SetAcl {
        mailbox: MailboxName,
        identifier: String,
        /// With `+` or `-` in front, or neither.
        rights: String,
    },
    DeleteAcl {
        mailbox: MailboxName,
        identifier: String,
    },
    GetQuota(String),
    GetQuotaRoot(MailboxName),
    SetQuota {
        root: String,
        limits: Vec<(String, u64)>,
    },
    GetMetadata(GetMetadata),
    SetMetadata {
        /// `None`: the server's.
        mailbox: Option<MailboxName>,
        /// Names, and values or NIL.
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// `None`: the server's.
    pub mailbox: Option<MailboxName>,
    /// As the client wrote them; compared in ASCII without case (RFC 5464 3.2).
    pub entries: Vec<String>,
    /// Longer values are left out.
    pub size_max_bytes: Option<u64>,
    pub depth: Depth,
}

/// How far below a named entry (RFC 5464 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    #[default]
    Itself,
    Children,
    All,
}

impl Property {
    pub fn done(&self) -> &'static str {
        match self {
            Property::GetAcl(_) => "GETACL done",
            Property::MyRights(_) => "MYRIGHTS done",
            Property::ListRights { .. } => "LISTRIGHTS done",
            Property::SetAcl { .. } => "SETACL done",
            Property::DeleteAcl { .. } => "DELETEACL done",
            Property::GetQuota(_) => "GETQUOTA done",
            Property::GetQuotaRoot(_) => "GETQUOTAROOT done",
            Property::SetQuota { .. } => "SETQUOTA done",
            Property::GetMetadata(_) => "GETMETADATA done",
            Property::SetMetadata { .. } => "SETMETADATA done",
        }
    }
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Acl {
        mailbox: MailboxName,
        /// Identifiers with their rights.
        entries: Vec<(String, String)>,
    },
    MyRights {
        mailbox: MailboxName,
        rights: String,
    },
    ListRights {
        mailbox: MailboxName,
        identifier: String,
        /// What he always has.
        required: String,
    },
    QuotaRoot {
        mailbox: MailboxName,
        roots: Vec<String>,
    },
    Quota {
        root: String,
        /// Resource, usage, limit.
        resources: Vec<(&'static str, u64, u64)>,
    },
    Metadata {
        mailbox: Option<MailboxName>,
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
}
