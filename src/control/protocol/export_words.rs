//! The words of exports: of one mail, of a period.

use super::words::When;
use crate::id::{MailId, TenantId};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct Export {
    pub mail: MailId,
    /// A folder; the bundle becomes a folder in it
    #[arg(long, value_name = "DIR", required_unless_present = "pdf")]
    #[serde(default)]
    pub out: Option<PathBuf>,
    /// Write the summary for a court alone into this file, which must not exist
    #[arg(long, value_name = "FILE")]
    #[serde(default)]
    pub pdf: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(rename_all = "kebab-case")]
pub struct MailExport {
    /// One mail; leave it out for a period
    #[arg(required_unless_present = "since", conflicts_with_all = ["since", "until", "tenant"])]
    #[serde(default)]
    pub mail: Option<MailId>,
    /// All mail sent or delivered on this day or later
    #[arg(long, value_name = "DAY", requires = "until")]
    #[serde(default)]
    pub since: Option<When>,
    /// The last day, or the moment before which
    #[arg(long, value_name = "DAY", requires = "since")]
    #[serde(default)]
    pub until: Option<When>,
    /// Of this account alone
    #[arg(long, requires = "since")]
    #[serde(default)]
    pub tenant: Option<String>,
    /// A folder; each bundle becomes a folder in it. For a period it must be new, empty, or hold what broke off
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How far the steps before came
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ExportMark>,
}

/// How far the export of a period came: the daemon's word, given back to it for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportMark {
    pub tenant: TenantId,
    /// Whether it walks what came in; otherwise what was sent.
    pub received: bool,
    pub mail: MailId,
    /// Which attempt at the export it belongs to.
    pub turn: u64,
}
