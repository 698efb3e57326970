//! The words about rules: how they are made, changed, shown and tried. How conditions and steps are spelled is in `spelling`.

use super::words::When;
use super::words::{CombineWord, words};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

words! {
    #[derive(Subcommand)]
    pub enum RuleWord {
        /// Make a rule. Without --match all it catches a mail of which any condition holds
        Add(RuleAdd),
        /// Rules in the order they are asked
        List { tenant: String },
        Show { tenant: String, name: String },
        /// Change what is given; a list is replaced whole. Jobs that run keep their steps
        Set(RuleSet),
        Enable { tenant: String, name: String },
        Disable { tenant: String, name: String },
        /// Jobs that run go on
        Remove { tenant: String, name: String },
        /// Which rules would catch such a mail (with --as: of that user), or the mail that is stored? Nothing is sent or changed
        Test(RuleTest),
    }

    #[derive(Args)]
    pub struct RuleTest {
        pub tenant: String,
        #[arg(long, default_value = "")]
        pub subject: String,
        #[arg(long)]
        pub to: Vec<String>,
        /// Sender of a mail that comes in: ask the incoming rules
        #[arg(long)]
        #[serde(default)]
        pub from: Vec<String>,
        /// Ask about the mail that is stored, newest first, and show what is caught
        #[arg(long, conflicts_with_all = ["subject", "to", "from"])]
        #[serde(default)]
        pub stored: bool,
        /// What this rule would catch, be it switched on or not
        #[arg(long, requires = "stored")]
        #[serde(default)]
        pub rule: Option<String>,
        /// Only mail since this day (2026-11-23) or moment
        #[arg(long, requires = "stored", value_name = "DAY")]
        #[serde(default)]
        pub since: Option<When>,
        /// Mails to look at; 1000 when left out
        #[arg(long, requires = "stored", value_name = "N")]
        #[serde(default)]
        pub limit: Option<usize>,
    }

    #[derive(Args)]
    pub struct RuleAdd {
        pub tenant: String,
        pub name: String,
        /// For mail that comes in
        #[arg(long)]
        pub incoming: bool,
        #[command(flatten)]
        pub options: RuleOptions,
    }

    #[derive(Args)]
    pub struct RuleSet {
        pub tenant: String,
        pub name: String,
        #[command(flatten)]
        pub options: RuleOptions,
    }

    #[derive(Args)]
    pub struct RuleOptions {
        /// A text that the sender contains; may be repeated (incoming rules)
        #[arg(long)]
        pub from: Vec<String>,
        /// A text that a recipient contains; may be repeated (outgoing rules)
        #[arg(long)]
        pub to: Vec<String>,
        /// A text that the subject contains; may be repeated
        #[arg(long)]
        pub subject: Vec<String>,
        /// Any other condition: "subject begins İhale", "from is a@b", "subject word gizli"; may be repeated
        #[arg(long, value_name = "CONDITION")]
        pub when: Vec<ConditionWord>,
        /// Whether one condition is enough
        #[arg(long = "match", value_enum)]
        pub combine: Option<CombineWord>,
        /// Whose mail it speaks of: role:NAME, unit:PATH (with all below) or user:NAME; may be repeated
        #[arg(long = "for", value_name = "WHO")]
        pub subjects: Vec<String>,
        /// Who decides, and in how many days; may be repeated, in order. "Onay Rolü:1", or
        /// "2 of role:Kurul + unit:Mali İşler:3,remind=1,escalate=role:Müdür@1,expire=10"
        #[arg(long = "step", value_name = "STEP")]
        pub steps: Vec<StepWord>,
        /// Count business days of Türkiye
        #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
        pub business_days: Option<bool>,
        /// Limit of the whole flow in days; the sum of its steps when left out
        #[arg(long, value_name = "DAYS")]
        pub total: Option<u16>,
        /// Whether an approver may decide on his own mail
        #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
        pub own_approval: Option<bool>,
        /// Put this label on what it catches; may be repeated (incoming rules)
        #[arg(long = "label")]
        pub labels: Vec<String>,
        /// Route what it catches to this unit; may be repeated (incoming rules)
        #[arg(long = "route", value_name = "UNIT")]
        pub routes: Vec<String>,
        /// Place among the rules: lower ones are asked first
        #[arg(long)]
        pub position: Option<u32>,
    }

    /// A condition: field, comparison, text.
    pub struct ConditionWord {
        pub field: String,
        pub comparison: String,
        pub text: String,
    }

    /// One step of a rule.
    pub struct StepWord {
        pub parties: Vec<PartyWord>,
        pub days: u16,
        pub remind: Option<u16>,
        /// Days after the limit, and who may decide then as well
        pub escalate: Option<(u16, String)>,
        pub expire: Option<u16>,
    }

    /// Somebody who decides a step, and how many of them have to.
    pub struct PartyWord {
        pub need: NeedWord,
        pub who: String,
    }

    pub enum NeedWord {
        One,
        All,
        Of(u16),
    }
}
