//! The audit record, as it is read.

use super::words::{ControlDoor, Outcome, list, not_built};
use crate::control::protocol::{AuditShow, AuditWord, LIST_MAX, Record};
use crate::domain::audit::{AuditRecord, AuditRoute, Matter, Origin};
use crate::domain::org::Organisation;
use crate::domain::rule::Who;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{unknown, who_named};

impl ControlDoor {
    pub(super) fn audit(&self, word: AuditWord) -> Outcome {
        match word {
            AuditWord::Show(show) => {
                let organisation = self.organisations.by_name(&show.tenant)?;
                let matter = matter(&organisation, &show)?;
                let limit = show.limit.min(LIST_MAX);
                let records = self.records.audit(organisation.tenant.id, matter, limit)?;
                list(records.iter().map(audit_record))
            }
            AuditWord::Verify(rest) => not_built("audit verify", &rest),
        }
    }
}

/// What is asked about; `None`: everything of the tenant.
fn matter(org: &Organisation, show: &AuditShow) -> Result<Option<Matter>, Failure> {
    let party = |kind: &str, name: &Option<String>| {
        let named = name
            .as_ref()
            .map(|name| who_named(org, &format!("{kind}:{name}")));
        named.transpose()
    };
    let who = match party("user", &show.user)?.or(party("role", &show.role)?) {
        Some(who) => Some(who),
        None => party("unit", &show.unit)?,
    };
    if let Some(who) = who {
        return Ok(Some(match who {
            Who::User(id) => Matter::User(id),
            Who::Role(id) => Matter::Role(id),
            Who::Unit(id) => Matter::Unit(id),
        }));
    }
    if let Some(name) = &show.rule {
        let names = org.rules.values().map(|r| r.name.as_str());
        let missing = || Failure::refused(Kind::NotFound, unknown("rule", name, names));
        return org
            .rule_by_name(name)
            .map(|r| Some(Matter::Rule(r.id)))
            .ok_or_else(missing);
    }
    if let Some(name) = &show.label {
        let names = org.labels.values().map(|l| l.name.as_str());
        let missing = || Failure::refused(Kind::NotFound, unknown("label", name, names));
        return org
            .label_by_name(name)
            .map(|l| Some(Matter::Label(l.id)))
            .ok_or_else(missing);
    }
    Ok(show.job.map(Matter::Job))
}

fn audit_record(record: &AuditRecord) -> Record {
    let route = match record.author.route {
        AuditRoute::Clock => "clock",
        AuditRoute::Imap => "imap",
        AuditRoute::Smtp => "smtp",
        AuditRoute::Kepctl => "kepctl",
    };
    let from = match record.author.from {
        Origin::Inside => "inside".to_owned(),
        Origin::Network(address) => address.to_string(),
        Origin::Process(uid) => format!("uid {uid}"),
    };
    Record::new()
        .text("at", record.at)
        .text("who", &record.author.login)
        .text("route", route)
        .text("from", from)
        .text("deed", &record.deed)
        .text("before", &record.before)
        .text("after", &record.after)
}
