//! The audit record, as it is read.

use super::words::{Answer, ControlDoor, Outcome, list, one};
use crate::control::protocol::{AuditShow, AuditWord, LIST_MAX, Record};
use crate::domain::audit::{AuditRecord, AuditRoute, Matter, Origin};
use crate::domain::org::{Organisation, Permission};
use crate::domain::rule::Who;
use crate::id::{LabelId, RoleId, RuleId, UnitId, UserId};
use crate::service::auditing::Verified;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{unknown, who_named};

impl ControlDoor {
    pub(super) async fn audit(&self, word: AuditWord) -> Outcome {
        match word {
            AuditWord::Show(show) => {
                self.demand(Permission::Account)?;
                let organisation = self.organisation(&show.tenant)?;
                let matter = matter(&organisation, &show)?;
                let limit = show.limit.min(LIST_MAX);
                let records = self.records.audit(organisation.tenant.id, matter, limit)?;
                list(records.iter().map(|r| audit_record(&organisation, r)))
            }
            AuditWord::Verify(_) => {
                self.demand_provider()?;
                Ok(Answer::List(verified(&self.book.verify().await?)))
            }
            AuditWord::Export { out } => {
                self.demand_provider()?;
                let segments = self.book.export(&out).await?;
                one(Record::new()
                    .text("folder", out.display())
                    .with("segments", segments))
            }
        }
    }
}

/// A line for each segment, one for what the store holds otherwise than it was sealed, one for what is not sealed yet.
fn verified(found: &Verified) -> Vec<Record> {
    let line = |what: &str, records: Option<usize>, finding: String, ok: bool| {
        Record::new()
            .text("what", what)
            .with("records", records)
            .text("finding", finding)
            .with("ok", ok)
    };
    let mut out = Vec::new();
    for segment in &found.segments {
        let findings = [
            ("chain", &segment.chain),
            ("signature", &segment.signature),
            ("trust", &segment.trust),
            ("timestamp", &segment.timestamp),
        ];
        let wrong: Vec<String> = findings
            .into_iter()
            .filter(|(_, f)| !f.is_ok())
            .map(|(name, f)| format!("{name} {f}"))
            .collect();
        let finding = match (wrong.is_empty(), segment.stamp_time) {
            (true, Some(at)) => format!("ok, stamped at {at}"),
            (true, None) => "ok".to_owned(),
            (false, _) => wrong.join("; "),
        };
        let records = segment.checked.as_ref().map(|c| c.records);
        out.push(line(&segment.name, records, finding, segment.is_ok()));
    }
    out.extend(
        found
            .differences
            .iter()
            .map(|why| line("store", None, why.clone(), false)),
    );
    let open = "not sealed yet: the segment of the day is made at its end";
    out.push(line("open", Some(found.open_records), open.to_owned(), true));
    out
}

/// What is asked about; `None`: everything of the tenant. What is gone has no name any more, and is asked for by the
/// number it has in the records.
fn matter(org: &Organisation, show: &AuditShow) -> Result<Option<Matter>, Failure> {
    let numbered = |name: &str| name.strip_prefix('#').and_then(|n| n.parse::<u32>().ok());
    let party = |kind: &str, name: &str| who_named(org, &format!("{kind}:{name}"));
    if let Some(name) = &show.user {
        return match (numbered(name), name.split('@').next()) {
            (Some(n), _) => Ok(Some(Matter::User(UserId(n)))),
            (None, user) => party("user", user.unwrap_or(name)).map(of_party),
        };
    }
    if let Some(name) = &show.role {
        return match numbered(name) {
            Some(n) => Ok(Some(Matter::Role(RoleId(n)))),
            None => party("role", name).map(of_party),
        };
    }
    if let Some(name) = &show.unit {
        return match numbered(name) {
            Some(n) => Ok(Some(Matter::Unit(UnitId(n)))),
            None => party("unit", name).map(of_party),
        };
    }
    if let Some(name) = &show.rule {
        let named = numbered(name)
            .map(RuleId)
            .or_else(|| org.rule_by_name(name).map(|r| r.id));
        let names = org.rules.values().map(|r| r.name.as_str());
        let missing = || Failure::refused(Kind::NotFound, unknown("rule", name, names));
        return named.map(|id| Some(Matter::Rule(id))).ok_or_else(missing);
    }
    if let Some(name) = &show.label {
        let named = numbered(name)
            .map(LabelId)
            .or_else(|| org.label_by_name(name).map(|l| l.id));
        let names = org.labels.values().map(|l| l.name.as_str());
        let missing = || Failure::refused(Kind::NotFound, unknown("label", name, names));
        return named.map(|id| Some(Matter::Label(id))).ok_or_else(missing);
    }
    Ok(show.job.map(Matter::Job))
}

fn of_party(who: Who) -> Option<Matter> {
    Some(match who {
        Who::User(id) => Matter::User(id),
        Who::Role(id) => Matter::Role(id),
        Who::Unit(id) => Matter::Unit(id),
    })
}

/// What a record is about, with the name it has now.
fn about(org: &Organisation, matter: Matter) -> String {
    let numbered = |kind: &str, number: u32, name: Option<&str>| {
        format!("{kind} #{number} {}", name.unwrap_or_default())
            .trim_end()
            .to_owned()
    };
    match matter {
        Matter::Tenant => "tenant".into(),
        Matter::Unit(id) => numbered("unit", id.0, org.units.get(&id).map(|u| u.name.as_str())),
        Matter::Role(id) => numbered("role", id.0, org.roles.get(&id).map(|r| r.name.as_str())),
        Matter::User(id) => numbered("user", id.0, org.users.get(&id).map(|u| u.name.as_str())),
        Matter::Label(id) => numbered("label", id.0, org.labels.get(&id).map(|l| l.name.as_str())),
        Matter::Rule(id) => numbered("rule", id.0, org.rules.get(&id).map(|r| r.name.as_str())),
        Matter::Job(id) => format!("job {id}"),
        Matter::Item(id) => format!("item {id}"),
    }
}

fn audit_record(org: &Organisation, record: &AuditRecord) -> Record {
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
        .with(
            "about",
            record.about.iter().map(|m| about(org, *m)).collect::<Vec<_>>(),
        )
        .text("before", &record.before)
        .text("after", &record.after)
}
