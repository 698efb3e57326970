//! `rule test`: what rules would make of a mail that is described, or of the mail that is stored.

use super::rules::steps;
use super::words::{ControlDoor, Outcome, one};
use crate::control::protocol::{Record, RuleTest};
use crate::domain::org::{Organisation, Permission};
use crate::domain::policy::{self, Then, Verdict};
use crate::domain::rule::{Direction, Matchable};
use crate::id::{LabelId, RuleId, UnitId};
use crate::service::failure::{Failure, Kind};
use crate::service::rehearsal::{Caught, MAILS_USUAL, Rehearse};
use serde_json::Value;
use std::collections::BTreeSet;

/// Characters of a subject that are shown: what a line of a table bears.
const SUBJECT_SHOWN_CHARS: usize = 60;

impl ControlDoor {
    /// A mail that is described.
    pub(super) fn rehearse_one(&self, test: RuleTest) -> Outcome {
        let organisation = self.organisation(&test.tenant)?;
        let org = &*organisation;
        let incoming = !test.from.is_empty();
        if incoming && self.acting.is_some() {
            let say = "nobody here writes a mail that comes in: leave out --as, or --from";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        if incoming && !test.to.is_empty() {
            let say = "incoming rules read From and Subject, outgoing ones To and Subject: leave out --to, or --from";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let author = self.acting.as_ref().and_then(|by| org.users.get(&by.user));
        let mail = Matchable {
            from: test.from,
            to: test.to,
            subject: test.subject,
        };
        let verdict = match author {
            Some(author) => Some(policy::rehearse(org, author, &mail)),
            None if incoming => Some(policy::rehearse_incoming(org, &mail)),
            None => None,
        };
        let folded = mail.folded();
        let of_anybody = || org.rulebook.catching(Direction::Outgoing, &folded).collect();
        let caught: Vec<RuleId> = verdict.as_ref().map_or_else(of_anybody, |v| v.caught.clone());
        // The first match counts.
        let first = caught.first().and_then(|id| org.rules.get(id));
        let record = Record::new()
            .with("matches", first.is_some())
            .with("rule", first.map(|rule| rule.name.clone()))
            .with("steps", first.map(|rule| steps(org, rule)).unwrap_or_default())
            .with("all", names(org, &caught));
        one(match &verdict {
            Some(verdict) => followed(record, org, verdict),
            // It depends on who writes it.
            None => record.with("then", Value::Null),
        })
    }

    /// The mail that is stored.
    pub(super) async fn rehearse_stored(&self, test: RuleTest) -> Outcome {
        self.demand(Permission::Account)?;
        let tenant = self.organisation(&test.tenant)?.tenant.id;
        let asked = Rehearse {
            rule: test.rule,
            since: test.since.map(|since| since.from),
            limit: test.limit.unwrap_or(MAILS_USUAL),
        };
        let told = self.rehearsal.over_stored(tenant, &asked).await?;
        let mails = told
            .caught
            .iter()
            .map(|c| caught_record(&told.organisation, c).into());
        one(Record::new()
            .with("looked_at", told.looked_at)
            .with("matched", told.caught.len())
            .with("older_left", told.more)
            .with("mails", mails.collect::<Vec<Value>>()))
    }
}

fn names(org: &Organisation, rules: &[RuleId]) -> Vec<String> {
    let rules = rules.iter().filter_map(|id| org.rules.get(id));
    rules.map(|rule| rule.name.clone()).collect()
}

fn caught_record(org: &Organisation, caught: &Caught) -> Record {
    let author = caught.author.and_then(|author| org.users.get(&author));
    let all = names(org, &caught.verdict.caught);
    let record = Record::new()
        .text("mail", caught.mail)
        .with("item", caught.item.0)
        .text("at", caught.at)
        .text(
            "direction",
            match caught.direction {
                Direction::Incoming => "incoming",
                Direction::Outgoing => "outgoing",
            },
        )
        .text("subject", shown(&caught.subject))
        .with("author", author.map(|u| u.name.clone()))
        .with("first", all.first().cloned())
        .with("all", all);
    let was = caught
        .was
        .as_ref()
        .map(|(name, version)| format!("{name} (version {version})"));
    followed(record, org, &caught.verdict).with("flow_it_had", was)
}

/// What would follow: the word, the rule whose flow starts with its steps, labels and units.
fn followed(record: Record, org: &Organisation, verdict: &Verdict) -> Record {
    let (none, nowhere) = (BTreeSet::new(), BTreeSet::new());
    let (word, flow, labels, units): (_, _, &BTreeSet<LabelId>, &BTreeSet<UnitId>) = match &verdict.then {
        Then::Send => ("send", None, &none, &nowhere),
        Then::Draft => ("draft", None, &none, &nowhere),
        Then::Flow(rule) => ("flow", Some(*rule), &none, &nowhere),
        Then::Sort(sorting) => {
            let word = match (sorting.asks, sorting.caught.is_empty()) {
                (Some(_), _) => "flow",
                (None, false) => "sort",
                (None, true) => "consign",
            };
            (word, sorting.asks, &sorting.labels, &sorting.units)
        }
    };
    let flow = flow.and_then(|id| org.rules.get(&id));
    let labels = labels.iter().filter_map(|l| org.labels.get(l));
    let units = units.iter().map(|u| org.unit_path(*u));
    record
        .text("then", word)
        .with("flow", flow.map(|rule| rule.name.clone()))
        .with(
            "flow_steps",
            flow.map(|rule| steps(org, rule)).unwrap_or_default(),
        )
        .with("labels", labels.map(|l| l.name.clone()).collect::<Vec<_>>())
        .with("routes", units.collect::<Vec<_>>())
}

fn shown(subject: &str) -> String {
    match subject.char_indices().nth(SUBJECT_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject.to_owned(),
    }
}
