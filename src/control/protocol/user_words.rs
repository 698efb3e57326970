//! The words about users and officers, and passwords on their way.

use super::words::words;
use super::{CertWish, UserKindWord, When};
use crate::address::LoginName;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroize;

words! {
    #[derive(Subcommand)]
    pub enum UserWord {
        Add(UserAdd),
        List {
            tenant: String,
            /// Only officers, or only limited users
            #[arg(long = "type", value_enum)]
            kind: Option<UserKindWord>,
        },
        Show { login: LoginName },
        /// Change what is given
        Set(UserSet),
        /// Set the password
        Passwd(Passwd),
        /// Let the user log in no more; the name stays with what he did
        Remove { login: LoginName },
        /// Put into units, take out of units
        Unit(Membership),
        /// Give roles, take roles
        Role(Membership),
        /// Certificates the user logs in with; without an option they are listed
        Cert(CertWish),
    }

    #[derive(Args)]
    pub struct UserAdd {
        /// USER@TENANT
        pub login: LoginName,
        /// Display name
        #[arg(long, default_value = "")]
        pub name: String,
        /// Unit by path ("A/B") or name; may be repeated
        #[arg(long = "unit")]
        pub units: Vec<String>,
        /// Role by name; may be repeated
        #[arg(long = "role")]
        pub roles: Vec<String>,
        #[command(flatten)]
        #[serde(flatten)]
        pub password: Password,
    }

    #[derive(Args)]
    pub struct UserSet {
        pub login: LoginName,
        /// Display name
        #[arg(long)]
        pub name: Option<String>,
        /// His title, as it stands beside his name
        #[arg(long)]
        pub title: Option<String>,
        /// Whether name and title may be shown to others
        #[arg(long, value_name = "true|false")]
        pub listed: Option<bool>,
        /// Whether he may read over IMAP
        #[arg(long, value_name = "true|false")]
        pub imap: Option<bool>,
        /// Whether he may send over SMTP
        #[arg(long, value_name = "true|false")]
        pub smtp: Option<bool>,
        /// Who decides in his name (vekâlet): a user of the same tenant, until a day and perhaps from one
        #[arg(long, value_name = "USER", requires = "until", conflicts_with = "drop_deputy")]
        pub deputy: Option<String>,
        /// A day, or a moment (RFC 3339); now when left out
        #[arg(long, value_name = "DAY", requires = "deputy")]
        pub from: Option<When>,
        /// The last day, or a moment
        #[arg(long, value_name = "DAY", requires = "deputy")]
        pub until: Option<When>,
        /// End a deputy's time now
        #[arg(long, value_name = "USER")]
        pub drop_deputy: Option<String>,
    }

    #[derive(Args)]
    pub struct Passwd {
        /// USER@TENANT
        pub login: LoginName,
        #[command(flatten)]
        #[serde(flatten)]
        pub password: Password,
    }

    /// A password to be set. It is never an argument: those can be read by others.
    #[derive(Args)]
    pub struct Password {
        /// Read the password from this file, "-" for standard input (first line)
        #[arg(long, value_name = "FILE")]
        #[serde(skip)]
        pub password_file: Option<PathBuf>,
        #[arg(skip)]
        pub password: Option<PasswordText>,
    }

    #[derive(Args)]
    pub struct Membership {
        pub login: LoginName,
        #[arg(long)]
        pub add: Vec<String>,
        #[arg(long)]
        pub drop: Vec<String>,
    }
}

/// A password on its way; wiped when dropped, silent under Debug.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordText(pub String);

impl PasswordText {
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl Drop for PasswordText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PasswordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordText")
    }
}
