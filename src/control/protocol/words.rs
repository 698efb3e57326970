//! The words: noun, verb, and what the verb needs. See `docs/` for what each does; `kepctl NOUN --help` prints this.

use super::mail_words::{LabelItems, MailWord};
use super::rule_words::RuleWord;
use super::{CreditWord, Export, JobWord, PeerWord, QueueWord, StorageWord, UserWord};
use crate::address::KepAddress;
use crate::clock::UtcTime;
use crate::id::{JobId, MailId};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

macro_rules! words {
    ($($item:item)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        $item
    )*};
}

pub(super) use words;

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($choice:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($choice),* }
    )*};
}

choices! {
    /// Natural person, legal person, public body.
    KindWord { Gercek, Tuzel, Kamu }
    LanguageWord { Turkish, English }
    UserKindWord { Officer, Limited }
    /// Whose signature mail has to carry: nobody's, of whoever hands it in, of an officer who lets it leave.
    SignatureWord { None, Author, Officer }
    /// What lies beside the evidence of a delivery: nothing, digests of the parts of the mail, the mail.
    ReceiptWord { Summary, Brief, Full }
    PermissionWord { Approve, Compose, View, Jobs, Account }
    /// Whether an account pays in advance.
    PaymentWord { Prepaid, None }
    /// Whether any or all conditions have to hold.
    CombineWord { Any, All }
    /// Where a job waits, as seen by a user.
    JobListWord { Pending, Elsewhere, Ready, Done, Late, All }
}

words! {
    #[derive(Subcommand)]
    pub enum Word {
        /// Account holders
        #[command(subcommand)]
        Tenant(TenantWord),
        /// Users who see and may send everything of a tenant (işlem yetkilisi)
        #[command(subcommand)]
        Officer(UserWord),
        /// Users who see by unit and act by role (alt işlem yetkilisi)
        #[command(subcommand)]
        User(UserWord),
        /// Units of a tenant
        #[command(subcommand)]
        Unit(UnitWord),
        /// Roles and their permissions
        #[command(subcommand)]
        Role(RoleWord),
        /// Labels
        #[command(subcommand)]
        Label(LabelWord),
        /// Approval rules
        #[command(subcommand)]
        Rule(RuleWord),
        /// Approvals in flight
        #[command(subcommand)]
        Job(JobWord),
        /// Mail: what became of it, and what a user does with his
        #[command(subcommand)]
        Mail(MailWord),
        /// Evidence documents
        #[command(subcommand)]
        Evidence(EvidenceWord),
        /// Other providers
        #[command(subcommand)]
        Peer(PeerWord),
        /// The queue to other providers
        #[command(subcommand)]
        Queue(QueueWord),
        /// The directory of accounts (not built yet)
        Directory(NotBuilt),
        /// Contacts of a tenant (not built yet)
        Contact(NotBuilt),
        /// Notifications (not built yet)
        Notify(NotBuilt),
        /// Prepaid credit (kontör)
        #[command(subcommand)]
        Credit(CreditWord),
        /// Who changed what
        #[command(subcommand)]
        Audit(AuditWord),
        /// Backups (not built yet)
        Backup(NotBuilt),
        /// Restoring a backup (not built yet)
        Restore(NotBuilt),
        /// The store itself (not built yet)
        Store(NotBuilt),
    }

    /// A word that is promised and not built.
    #[derive(Args)]
    pub struct NotBuilt {
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        pub rest: Vec<String>,
    }

    #[derive(Subcommand)]
    pub enum TenantWord {
        /// Open an account
        Add(TenantAdd),
        List,
        Show {
            name: String,
            /// Also what to enter in a mail client
            #[arg(long)]
            client: bool,
        },
        /// Change the record
        Set(TenantSet),
        /// Stop sending and receiving
        Suspend { name: String },
        /// Undo a suspension
        Resume { name: String },
        /// Figures
        Summary {
            name: String,
            /// The DNS records by which mail clients find the provider, as lines of a zone file
            #[arg(long)]
            #[serde(default)]
            dns: bool,
        },
        /// (not built yet)
        Close(NotBuilt),
        /// (not built yet)
        Renew(NotBuilt),
    }

    #[derive(Args)]
    pub struct TenantAdd {
        /// The realm of its logins: ASCII letters, digits, '.', '-', '_'
        pub name: String,
        #[arg(long, value_enum, default_value = "tuzel")]
        pub kind: KindWord,
        /// KEP address; NAME@DOMAIN when left out
        #[arg(long)]
        pub address: Option<KepAddress>,
        /// The institution's or person's name as it stands in evidence; NAME when left out
        #[arg(long)]
        pub title: Option<String>,
        /// Language of mailbox names; the provider's when left out
        #[arg(long, value_enum)]
        pub language: Option<LanguageWord>,
    }

    #[derive(Args)]
    pub struct TenantSet {
        pub name: String,
        #[arg(long)]
        pub title: Option<String>,
        #[arg(long, value_enum)]
        pub language: Option<LanguageWord>,
        /// Whether an officer's mail that matches a rule starts its flow
        #[arg(long, value_name = "true|false")]
        pub officers_follow_rules: Option<bool>,
        /// Whose signature (NES) mail has to carry: nobody's, of whoever hands it in, of an officer who lets it leave
        #[arg(long, value_enum)]
        #[serde(default)]
        pub signature: Option<SignatureWord>,
        /// What its users get beside the evidence of a delivery: nothing, the digests of the mail's parts, the mail itself
        #[arg(long, value_enum)]
        #[serde(default)]
        pub receipts: Option<ReceiptWord>,
        /// How much may be kept before users bring nothing more: a number and B, KiB, MiB or GiB, or "none"
        #[arg(long, value_name = "SIZE|none")]
        pub storage: Option<StorageWord>,
        /// Whether it pays in advance: then nothing is sent without credit (`credit add`)
        #[arg(long, value_enum)]
        #[serde(default)]
        pub credit: Option<PaymentWord>,
        /// How many units below zero it may still send; 0 at first
        #[arg(long, value_name = "UNITS")]
        #[serde(default)]
        pub credit_overdraft: Option<u64>,
        /// Its officers are told when less is free; 0, as at first, never
        #[arg(long, value_name = "UNITS")]
        #[serde(default)]
        pub credit_warn_below: Option<u64>,
        #[arg(long)]
        pub tax_office: Option<String>,
        /// VKN, or the TCKN of a natural person
        #[arg(long)]
        pub tax_number: Option<String>,
        /// Number in the trade register, 16 digits
        #[arg(long)]
        pub mersis: Option<String>,
        /// Number of a public body, 8 digits
        #[arg(long)]
        pub detsis: Option<String>,
        /// Field of activity
        #[arg(long)]
        pub activity: Option<String>,
        #[arg(long)]
        pub postal_address: Option<String>,
    }

    /// A day in Türkiye as `2026-12-01`, or a moment as RFC 3339 writes it.
    pub struct When {
        /// Its first moment
        pub from: UtcTime,
        /// The first moment after it
        pub until: UtcTime,
    }

    #[derive(Subcommand)]
    pub enum UnitWord {
        Add {
            tenant: String,
            name: String,
            /// The unit above, by path or name
            #[arg(long)]
            parent: Option<String>,
        },
        List { tenant: String },
        /// The units as a tree
        Tree { tenant: String },
        /// Show the mail of these labels to a unit
        Label {
            tenant: String,
            unit: String,
            #[arg(required = true)]
            labels: Vec<String>,
            /// Take these labels away from the unit
            #[arg(long)]
            #[serde(default)]
            drop: bool,
        },
        Rename {
            tenant: String,
            unit: String,
            name: String,
        },
        /// Put a unit, with all below it, under another; without --under, at the top
        Move {
            tenant: String,
            unit: String,
            #[arg(long, value_name = "UNIT")]
            under: Option<String>,
        },
        /// End a unit: its mail, members and labels become those of another
        Merge {
            tenant: String,
            unit: String,
            into: String,
        },
        /// End a unit: what it had becomes that of the unit above it, or of --into. Its mail is kept
        Remove {
            tenant: String,
            unit: String,
            #[arg(long, value_name = "UNIT")]
            into: Option<String>,
        },
    }

    #[derive(Subcommand)]
    pub enum RoleWord {
        Add {
            tenant: String,
            name: String,
            #[arg(long, default_value = "")]
            description: String,
            /// Permissions, separated by commas
            #[arg(long, value_enum, value_delimiter = ',')]
            permit: Vec<PermissionWord>,
        },
        List { tenant: String },
        Show { tenant: String, name: String },
        /// Give permissions to a role
        Grant(Grant),
        /// Take permissions from a role
        Revoke(Grant),
        /// Another name or description
        Set {
            tenant: String,
            name: String,
            #[arg(long, value_name = "NAME")]
            rename: Option<String>,
            #[arg(long)]
            description: Option<String>,
        },
        /// Take it from all who hold it, for good. Refused while a rule names it
        Remove { tenant: String, name: String },
    }

    #[derive(Args)]
    pub struct Grant {
        pub tenant: String,
        pub name: String,
        #[arg(value_enum, required = true, value_delimiter = ',')]
        pub permissions: Vec<PermissionWord>,
    }

    #[derive(Subcommand)]
    pub enum LabelWord {
        Add { tenant: String, name: String },
        List { tenant: String },
        /// Remove the definition; its mail stays, units no longer see it by the label
        Remove { tenant: String, name: String },
        /// The mail stays with the label
        Rename {
            tenant: String,
            name: String,
            new: String,
        },
        /// Put a label on messages; units that have the label see them at once
        Apply(LabelItems),
        /// Take a label off messages
        Clear(LabelItems),
    }

    #[derive(Subcommand)]
    pub enum AuditWord {
        /// Who did what in an account, newest first: changes, decisions, logins, readings, exports; of one thing when it is named
        Show(Box<AuditShow>),
        /// Whether the record is what was sealed day by day; of exported files, it needs no daemon
        Verify(AuditVerify),
        /// The sealed segments as files, which openssl and sha256sum can check
        Export {
            /// A new folder that the daemon may write to
            #[arg(long, value_name = "DIR")]
            out: PathBuf,
            /// Only the segments behind this number: what an earlier export does not have
            #[arg(long, value_name = "NUMBER", default_value_t = 0)]
            #[serde(default)]
            after: u64,
        },
    }

    #[derive(Args)]
    pub struct AuditVerify {
        /// A folder of exported segments, judged by itself
        #[arg(long, value_name = "DIR")]
        pub from: Option<PathBuf>,
        /// Folder of trust anchors; "trust" in the folder when left out
        #[arg(long, value_name = "DIR", requires = "from")]
        pub trust: Option<PathBuf>,
        /// The last segment as it was written down elsewhere: it must be there, and be the same
        #[arg(long, value_name = "NUMBER:HASH")]
        #[serde(default)]
        pub known: Option<String>,
    }

    #[derive(Args)]
    pub struct AuditShow {
        /// The account; the provider's own record when left out
        pub tenant: Option<String>,
        /// Of this day or later
        #[arg(long, value_name = "DAY")]
        #[serde(default)]
        pub since: Option<When>,
        /// The last day, or the moment before which
        #[arg(long, value_name = "DAY")]
        #[serde(default)]
        pub until: Option<When>,
        /// What this login did
        #[arg(long, value_name = "LOGIN")]
        #[serde(default)]
        pub actor: Option<String>,
        #[arg(long, group = "matter")]
        #[serde(default)]
        pub mail: Option<MailId>,
        /// A message's number, as `mail list` shows it
        #[arg(long, group = "matter", value_name = "NUMBER")]
        #[serde(default)]
        pub item: Option<u64>,
        /// Older than this record: the `place` of the last one that was shown
        #[arg(long, value_name = "PLACE")]
        #[serde(default)]
        pub before: Option<String>,
        #[arg(long, group = "matter")]
        pub job: Option<JobId>,
        #[arg(long, group = "matter", value_name = "NAME|#NUMBER")]
        pub user: Option<String>,
        #[arg(long, group = "matter", value_name = "NAME|#NUMBER")]
        pub rule: Option<String>,
        #[arg(long, group = "matter", value_name = "NAME|#NUMBER")]
        pub role: Option<String>,
        #[arg(long, group = "matter", value_name = "NAME|#NUMBER")]
        pub unit: Option<String>,
        #[arg(long, group = "matter", value_name = "NAME|#NUMBER")]
        pub label: Option<String>,
        #[arg(long, default_value_t = 100)]
        pub limit: usize,
    }

    #[derive(Subcommand)]
    pub enum EvidenceWord {
        /// Evidence of a tenant, or of one mail
        List {
            tenant: String,
            #[arg(long)]
            mail: Option<MailId>,
            #[arg(long, default_value_t = super::LIST_MAX)]
            limit: usize,
        },
        /// One document, with its XML
        Show { tenant: String, evidence: String },
        /// Write the export bundle of a mail, or its summary for a court alone
        Export(Export),
        /// Verify documents from their files alone; needs no daemon
        Verify(Verify),
    }

    #[derive(Args)]
    pub struct Verify {
        /// Evidence (.xml), dispatches and evidence messages (.eml), export bundles (folders); "-" is standard input
        #[arg(required = true, value_name = "FILE")]
        pub files: Vec<PathBuf>,
        /// Folder of trust anchors and intermediates (*.pem); "trust" beside or above the file when left out
        #[arg(long, value_name = "DIR")]
        pub trust: Option<PathBuf>,
        /// Revocation lists (*.crl) and OCSP responses (*.ors, *.ocsp): a file, or a folder of them
        #[arg(long, value_name = "PATH")]
        pub revocation: Option<PathBuf>,
        /// The original the documents should speak of: its exact octets (original.eml)
        #[arg(long, value_name = "FILE")]
        pub original: Option<PathBuf>,
        /// A day (2046-11-26) on which the proof must hold: time-stamps that have ended by then must be carried on by evidence records
        #[arg(long, value_name = "DAY")]
        pub at: Option<String>,
        /// Language of the report: that of the terminal when left out
        #[arg(long, value_enum)]
        pub language: Option<LanguageWord>,
        /// Ask nobody. (Nothing is asked in any case: all that is needed is in the files.)
        #[arg(long)]
        pub offline: bool,
    }
}
