//! The audit record, as it is read.

use super::words::{Answer, ControlDoor, Outcome, list, one};
use crate::control::protocol::{AuditShow, AuditWord, LIST_MAX, Record};
use crate::domain::audit::{AuditRecord, Matter, PROVIDER};
use crate::domain::org::{Organisation, Permission};
use crate::domain::rule::Who;
use crate::id::{ItemId, LabelId, RoleId, RuleId, UnitId, UserId};
use crate::service::auditing::{Known, Verified};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{unknown, who_named};
use crate::service::records::{AuditWish, Place};

impl ControlDoor {
    pub(super) async fn audit(&self, word: AuditWord) -> Outcome {
        match word {
            AuditWord::Show(show) => self.show_audit(&show),
            AuditWord::Verify(wish) => {
                self.demand_provider()?;
                let known = wish.known.as_deref().map(str::parse::<Known>).transpose();
                let known = known.map_err(|say| Failure::refused(Kind::Invalid, say))?;
                Ok(Answer::List(verified(&self.book.verify(known).await?)))
            }
            AuditWord::Export { out, after } => {
                self.demand_provider()?;
                let what = serde_json::json!({ "out": out.display().to_string(), "after": after });
                self.note_own("audit export", &what).await?;
                let segments = self.book.export(&out, after).await?;
                one(Record::new()
                    .text("folder", out.display())
                    .with("segments", segments))
            }
        }
    }

    /// The record of an account for who manages it; the provider's own for the provider.
    fn show_audit(&self, show: &AuditShow) -> Outcome {
        let organisation = match &show.tenant {
            Some(tenant) => {
                self.demand(Permission::Account)?;
                Some(self.organisation(tenant)?)
            }
            None => {
                self.demand_provider()?;
                None
            }
        };
        let matter = match &organisation {
            Some(organisation) => matter(organisation, show)?,
            None => show.mail.map(Matter::Mail),
        };
        let tenant = organisation.as_ref().map_or(PROVIDER, |o| o.tenant.id);
        if tenant != PROVIDER {
            self.count_look(tenant, "audit show");
        }
        let wish = AuditWish {
            tenant,
            matter,
            since: show.since.as_ref().map(|day| day.from),
            until: show.until.as_ref().map(|day| day.until),
            actor: show.actor.clone(),
            before: show.before.as_deref().map(place).transpose()?,
        };
        let found = self.records.audit_search(&wish, show.limit.min(LIST_MAX))?;
        if let (true, Some(stopped)) = (found.records.is_empty(), found.stopped_at) {
            let say = format!(
                "nothing found yet, and very many records were looked through; go on with --before {}, or name days",
                spelled(stopped)
            );
            return Err(Failure::refused(Kind::TooMany, say));
        }
        let organisation = organisation.as_deref();
        list(
            found
                .records
                .iter()
                .map(|(at, record)| audit_record(organisation, *at, record)),
        )
    }
}

/// How the place of a record is written.
fn spelled(place: Place) -> String {
    format!("{}.{}", place.commit, place.nth)
}

fn place(text: &str) -> Result<Place, Failure> {
    let read = || {
        let (commit, nth) = text.trim().split_once('.')?;
        Some(Place {
            commit: commit.parse().ok()?,
            nth: nth.parse().ok()?,
        })
    };
    let say = "--before takes the place of a record, as `audit show` writes it: COMMIT.NUMBER";
    read().ok_or_else(|| Failure::refused(Kind::Invalid, say))
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
    if let Some(end) = &found.end {
        let say = format!("{end}; written down elsewhere, --known shows later that nothing was taken away");
        out.push(line("end", None, say, true));
    }
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
    let item = show.item.map(|n| Matter::Item(ItemId(n)));
    Ok(show.job.map(Matter::Job).or(show.mail.map(Matter::Mail)).or(item))
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
        Matter::Mail(id) => format!("mail {id}"),
    }
}

fn audit_record(org: Option<&Organisation>, at: Place, record: &AuditRecord) -> Record {
    let about = record.about.iter().map(|m| match org {
        Some(org) => about(org, *m),
        // The provider's own records are about mails and accounts, by number.
        None => format!("{m:?}"),
    });
    Record::new()
        .text("at", record.at)
        .text("who", &record.author.login)
        .text("route", record.author.route.word())
        .text("from", record.author.from)
        .text("deed", &record.deed)
        .with("about", about.collect::<Vec<_>>())
        .text("before", &record.before)
        .text("after", &record.after)
        .text("place", spelled(at))
}
