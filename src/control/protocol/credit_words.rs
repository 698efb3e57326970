//! The words about prepaid credit.

use super::words::words;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

words! {
    #[derive(Subcommand)]
    pub enum CreditWord {
        /// What an account has, what is reserved for mail in approval, and what is left
        Show { tenant: String },
        /// Add units. With a minus in front they are taken away, which needs a note
        Add {
            tenant: String,
            #[arg(allow_negative_numbers = true)]
            units: i64,
            /// Why, or for which payment; stays in the history and on the audit record
            #[arg(long, default_value = "")]
            #[serde(default)]
            note: String,
            /// A name of this addition, as the number of an invoice: said again, nothing more is added
            #[arg(long, value_name = "NAME")]
            #[serde(default)]
            once: Option<String>,
        },
        /// Additions, reservations, charges and releases, newest first
        History {
            tenant: String,
            /// Older than this movement: the `number` of the last one that was shown
            #[arg(long, value_name = "NUMBER")]
            #[serde(default)]
            before: Option<u64>,
            #[arg(long, default_value_t = 100)]
            limit: usize,
        },
    }
}
