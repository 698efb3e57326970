//! The words about jobs: approvals in flight.

use super::words::words;
use super::{JobListWord, When};
use crate::address::LoginName;
use crate::id::JobId;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

words! {
    #[derive(Subcommand)]
    pub enum JobWord {
        List {
            tenant: String,
            #[arg(value_enum, default_value = "all")]
            which: JobListWord,
            /// Figures by rule and step instead: how many wait, are done, were late, and how long it took
            #[arg(long, conflicts_with = "which")]
            #[serde(default)]
            stats: bool,
            /// Of jobs that started since this day (2026-11-23) or moment
            #[arg(long, requires = "stats", value_name = "DAY")]
            #[serde(default)]
            since: Option<When>,
        },
        /// One job with its history, and who may decide it now
        Show { job: JobId },
        Approve(Decide),
        Reject(Decide),
        /// Give the mail back to its author for changes
        Return(Decide),
        /// Send a mail that has all its approvals
        Release(ReleaseWish),
        /// Write what an officer signs to let a mail leave: sign exactly these octets, then `job release --signature`
        Entity {
            job: JobId,
            /// A file that is not there yet
            #[arg(long, value_name = "FILE")]
            out: PathBuf,
        },
        /// Take back one's own mail
        Withdraw(Decide),
        /// End a job for good
        Cancel(Decide),
        /// Take back one's own last decision, while that can be done
        Undo(Decide),
        /// Leave words that decide nothing
        Note(Decide),
        /// Hand one's own decision on the current step to another user
        Delegate {
            #[command(flatten)]
            #[serde(flatten)]
            wish: Decide,
            /// Who shall decide
            #[arg(long, value_name = "USER@TENANT")]
            to: LoginName,
        },
        /// Let others decide the current step
        Reassign {
            #[command(flatten)]
            #[serde(flatten)]
            wish: Decide,
            /// role:NAME, unit:PATH or user:NAME
            #[arg(long, value_name = "WHO")]
            to: String,
        },
    }

    #[derive(Args)]
    pub struct ReleaseWish {
        #[command(flatten)]
        #[serde(flatten)]
        pub wish: Decide,
        /// The officer's detached signature (CAdES, DER) over the octets that `job entity` wrote
        #[arg(long, value_name = "FILE")]
        #[serde(skip)]
        pub signature: Option<PathBuf>,
        /// What stood in the file, in base64
        #[arg(skip)]
        #[serde(default)]
        pub cms: Option<String>,
    }

    #[derive(Args)]
    pub struct Decide {
        pub job: JobId,
        #[arg(long, default_value = "")]
        pub note: String,
        /// SHA-256 (hexadecimal) of what was read; what the job holds when left out
        #[arg(long)]
        pub sha256: Option<String>,
    }
}
