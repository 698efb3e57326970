//! The words about mail: what a user sees and does, and the labels he puts on it.

use super::LIST_MAX;
use super::export_words::MailExport;
use super::words::When;
use crate::id::{ItemId, MailId};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct LabelItems {
    pub tenant: String,
    pub label: String,
    /// Mail ids, or message numbers as `mail list` shows them; all are checked before any is changed
    #[arg(required = true, value_name = "MAIL")]
    pub items: Vec<MailRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Subcommand)]
#[serde(rename_all = "kebab-case")]
pub enum MailWord {
    /// Newest first: what was submitted; with --as, what that user sees
    List(MailList),
    /// One mail by its id; with --as also a message by its number, with who archived and binned it
    Show(MailShow),
    /// Write the export bundle of a mail, or of all mail of a period
    Export(MailExport),
    /// Declare to the sender that a mail which came in is accepted; once, and for good
    Accept(Declare),
    /// Declare to the sender that a mail which came in is refused; once, and for good
    Refuse(Declare),
    /// What a user sees and for which all that is given holds; compared as a Turkish reader does
    Search(MailSearch),
    /// Put away; `mail restore` brings back
    Archive(MailItems),
    /// Into the bin. What stands on the legal record stays there and cannot be destroyed
    Trash(MailItems),
    /// Hand a draft in, as if it was moved to `İşlerim/Gönder` or, with --rule, to that flow's folder
    Send {
        /// Its number, as `mail list` shows it
        draft: MailRef,
        /// Start the flow of this rule
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
    },
    /// Out of the bin and the archive; a removed draft, back among the drafts
    Restore(MailRestore),
}

/// Which message: a mail's id, or its number in the tenant's log as `mail list --as` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailRef {
    Mail(MailId),
    Number(ItemId),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailList {
    pub tenant: String,
    /// One of the user's mailboxes; all mail when left out
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    /// Drafts the user removed and can bring back
    #[arg(long, conflicts_with = "mailbox")]
    #[serde(default)]
    pub removed: bool,
    #[arg(long, default_value_t = LIST_MAX)]
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailShow {
    /// A mail's id; with --as also a message's number
    pub mail: MailRef,
    /// The earlier versions of a draft, or of the draft a mail was
    #[arg(long)]
    #[serde(default)]
    pub versions: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailSearch {
    pub tenant: String,
    #[arg(long)]
    pub from: Option<String>,
    /// In To or Cc
    #[arg(long)]
    pub to: Option<String>,
    #[arg(long)]
    pub subject: Option<String>,
    /// In header or text
    #[arg(long)]
    pub text: Option<String>,
    /// Arrived on this day or later
    #[arg(long, value_name = "DAY")]
    pub since: Option<When>,
    /// Arrived before this day
    #[arg(long, value_name = "DAY")]
    pub before: Option<When>,
    /// One of the user's mailboxes; all mail when left out
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    #[arg(long, default_value_t = LIST_MAX)]
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailItems {
    /// Mail ids, or message numbers as `mail list` shows them; all are checked before any is changed
    #[arg(required = true, value_name = "MAIL")]
    pub items: Vec<MailRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailRestore {
    #[command(flatten)]
    #[serde(flatten)]
    pub wish: MailItems,
    /// An earlier version of one draft, as `mail show --versions` numbers them: it becomes the current one
    #[arg(long, value_name = "N")]
    pub version: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct Declare {
    /// The mail as it stands in the recipient's account
    pub mail: MailId,
    /// Words to the sender; they stand in the evidence
    #[arg(long, default_value = "")]
    #[serde(default)]
    pub note: String,
    /// SHA-256 (hexadecimal) of the original that was read; what the account holds when left out
    #[arg(long)]
    pub sha256: Option<String>,
}
