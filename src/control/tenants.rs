//! Tenants, and the units and labels within them.

use super::crediting::{payment, terms_wished, with_terms};
use super::words::{ControlDoor, Outcome, list, not_built, one};
use crate::address::KepAddress;
use crate::control::protocol::{
    KindWord, LabelWord, LanguageWord, ReceiptWord, Record, SignatureWord, TenantAdd, TenantWord, UnitWord,
};
use crate::domain::label::Label;
use crate::domain::org::{Organisation, Permission, Unit, UnitEnd, UserKind};
use crate::domain::receipt::ReceiptForm;
use crate::domain::signature::SignatureDemand;
use crate::domain::tenant::{Language, Tenant, TenantKind, TenantLife};
use crate::id::UnitId;
use crate::service::failure::{Failure, Kind};
use crate::service::mailbox::Handling;
use crate::service::organisation::NewTenant;

impl ControlDoor {
    pub(super) async fn tenant(&self, word: TenantWord) -> Outcome {
        if !matches!(word, TenantWord::Show { .. } | TenantWord::Summary { .. }) {
            self.demand_provider()?;
        }
        match word {
            TenantWord::Add(new) => self.add_tenant(new).await,
            TenantWord::List => list(self.organisations.tenants()?.iter().map(tenant_record)),
            TenantWord::Show { name, client } => {
                let organisation = self.organisation(&name)?;
                let record = match self.demand(Permission::Account) {
                    Ok(()) => tenant_record(&organisation.tenant),
                    Err(_) => public_record(&organisation.tenant),
                };
                one(if client {
                    self.with_client_settings(record, &organisation)
                } else {
                    record
                })
            }
            TenantWord::Set(set) => {
                let organisation = self.organisation(&set.name)?;
                let tenant = organisation.tenant.id;
                terms_wished(&set, organisation.tenant.credit)?;
                let signature = self.signature_demand(set.signature)?;
                let changed = self.organisations.by(&self.by).set_tenant(tenant, |t| {
                    if let Some(title) = &set.title {
                        t.title.clone_from(title);
                    }
                    if let Some(word) = set.language {
                        t.language = language(word);
                    }
                    if let Some(follow) = set.officers_follow_rules {
                        t.officers_follow_rules = follow;
                    }
                    if let Some(demand) = signature {
                        t.signature = demand;
                    }
                    if let Some(word) = set.receipts {
                        t.receipts = receipt_form(word);
                    }
                    if let Some(storage) = set.storage {
                        t.storage_max_bytes = storage.limit_bytes();
                    }
                    // Asked again inside: what is refused by now changes nothing.
                    t.credit = terms_wished(&set, t.credit).unwrap_or(t.credit);
                    let record = &mut t.institution;
                    for (told, kept) in [
                        (&set.tax_office, &mut record.tax_office),
                        (&set.tax_number, &mut record.tax_number),
                        (&set.mersis, &mut record.mersis),
                        (&set.detsis, &mut record.detsis),
                        (&set.activity, &mut record.activity),
                        (&set.postal_address, &mut record.postal_address),
                    ] {
                        if let Some(told) = told {
                            kept.clone_from(told);
                        }
                    }
                });
                one(tenant_record(&changed.await?))
            }
            TenantWord::Suspend { name } => {
                self.move_life(&name, TenantLife::Active, TenantLife::Suspended)
                    .await
            }
            TenantWord::Resume { name } => {
                self.move_life(&name, TenantLife::Suspended, TenantLife::Active)
                    .await
            }
            TenantWord::Summary { name, dns: true } => self.dns_records(&name),
            TenantWord::Summary { name, dns: false } => self.summary(&name),
            TenantWord::Close(rest) => not_built("tenant close", &rest),
            TenantWord::Renew(rest) => not_built("tenant renew", &rest),
        }
    }

    /// What cannot be judged is not demanded: nobody of the account could send any more.
    fn signature_demand(&self, word: Option<SignatureWord>) -> Result<Option<SignatureDemand>, Failure> {
        let demand = word.map(|word| match word {
            SignatureWord::None => SignatureDemand::None,
            SignatureWord::Author => SignatureDemand::Author,
            SignatureWord::Officer => SignatureDemand::Officer,
        });
        let signatures = &self.mailboxes.submission.signatures;
        if demand.is_some_and(|d| d != SignatureDemand::None) && !signatures.are_judged() {
            let say = "this provider knows no authorities of persons' certificates, so nobody could sign; name them in [persons] \
                       trust first";
            return Err(Failure::refused(Kind::WrongState, say));
        }
        Ok(demand)
    }

    async fn add_tenant(&self, new: TenantAdd) -> Outcome {
        let domain = &self.profile.domain;
        let invalid = |e: crate::address::AddressError| Failure::refused(Kind::Invalid, e.to_string());
        let address = match new.address {
            Some(address) => address,
            None => KepAddress::new(&new.name, domain).map_err(invalid)?,
        };
        let tenant = NewTenant {
            title: new.title.unwrap_or_else(|| new.name.clone()),
            name: new.name,
            kind: match new.kind {
                KindWord::Gercek => TenantKind::Gercek,
                KindWord::Tuzel => TenantKind::Tuzel,
                KindWord::Kamu => TenantKind::Kamu,
            },
            address,
            language: new.language.map_or(self.language, language),
        };
        one(tenant_record(
            &self.organisations.by(&self.by).add_tenant(tenant, domain).await?,
        ))
    }

    async fn move_life(&self, name: &str, from: TenantLife, to: TenantLife) -> Outcome {
        let tenant = &self.organisation(name)?.tenant;
        if tenant.life != from && tenant.life != to {
            let say = format!("the account {} is {}", tenant.name, life_word(tenant.life));
            return Err(Failure::refused(Kind::WrongState, say));
        }
        // Asked again inside: somebody may have begun to close the account meanwhile.
        let set = |t: &mut Tenant| {
            if t.life == from {
                t.life = to;
            }
        };
        one(tenant_record(
            &self.organisations.by(&self.by).set_tenant(tenant.id, set).await?,
        ))
    }

    fn summary(&self, name: &str) -> Outcome {
        self.demand(Permission::Account)?;
        let organisation = self.organisation(name)?;
        let tenant = &organisation.tenant;
        let users = |kind| {
            let live = organisation
                .users
                .values()
                .filter(|u| !u.removed && u.kind == kind);
            live.count()
        };
        let mails = self.records.mails(tenant.id)?;
        let jobs = self
            .approval
            .list(tenant.id, None, crate::service::approval::JobList::All)?;
        let open = jobs.iter().filter(|j| !j.is_ended());
        let record = Record::new()
            .text("tenant", &tenant.name)
            .text("address", &tenant.address)
            .text("life", life_word(tenant.life))
            .with("officers", users(UserKind::Officer))
            .with("users", users(UserKind::Limited))
            .with("units", organisation.live_units().count())
            .with("roles", organisation.live_roles().count())
            .with("labels", organisation.labels.len())
            .with("rules", organisation.rules.len())
            .with("mails_sent", mails.len())
            .with("jobs_open", open.clone().count())
            .with("jobs_late", open.filter(|j| j.standing.late).count())
            .with("evidence", self.records.evidence_of_tenant(tenant.id)?.len());
        one(self.with_credit(record, tenant)?)
    }

    fn with_client_settings(&self, record: Record, organisation: &Organisation) -> Record {
        let login = organisation.users.values().find(|u| !u.removed);
        let name = login.map_or("USER", |u| u.name.as_str());
        let host = &self.profile.host;
        record
            .text("login", format!("{name}@{}", organisation.tenant.name))
            .text("imap_tls", format!("{host}:{}", self.ports.imap_tls))
            .text("imap_starttls", format!("{host}:{}", self.ports.imap))
            .text("submission_tls", format!("{host}:{}", self.ports.submission_tls))
            .text("submission_starttls", format!("{host}:{}", self.ports.submission))
    }

    pub(super) async fn unit(&self, word: UnitWord) -> Outcome {
        self.demand(Permission::Account)?;
        match word {
            UnitWord::Add { tenant, name, parent } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let unit = self
                    .organisations
                    .by(&self.by)
                    .add_unit(id, &name, parent.as_deref())
                    .await?;
                one(unit_record(&*self.organisations.of(id)?, &unit))
            }
            UnitWord::List { tenant } => {
                let organisation = self.organisation(&tenant)?;
                let mut units: Vec<&Unit> = organisation.live_units().collect();
                units.sort_by_key(|u| organisation.unit_path(u.id));
                list(units.into_iter().map(|u| unit_record(&organisation, u)))
            }
            UnitWord::Tree { tenant } => {
                let organisation = self.organisation(&tenant)?;
                let mut lines = Vec::new();
                branch(&organisation, None, 0, &mut lines);
                list(lines)
            }
            UnitWord::Label {
                tenant,
                unit,
                labels,
                drop,
            } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let unit = self
                    .organisations
                    .by(&self.by)
                    .label_unit(id, &unit, &labels, !drop)
                    .await?;
                one(unit_record(&*self.organisations.of(id)?, &unit))
            }
            UnitWord::Rename { tenant, unit, name } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let unit = self
                    .organisations
                    .by(&self.by)
                    .rename_unit(id, &unit, &name)
                    .await?;
                one(unit_record(&*self.organisations.of(id)?, &unit))
            }
            UnitWord::Move { tenant, unit, under } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let unit = self
                    .organisations
                    .by(&self.by)
                    .move_unit(id, &unit, under.as_deref())
                    .await?;
                one(unit_record(&*self.organisations.of(id)?, &unit))
            }
            UnitWord::Merge { tenant, unit, into } => self.end_unit(&tenant, &unit, Some(&into)).await,
            UnitWord::Remove { tenant, unit, into } => self.end_unit(&tenant, &unit, into.as_deref()).await,
        }
    }

    async fn end_unit(&self, tenant: &str, unit: &str, into: Option<&str>) -> Outcome {
        let id = self.organisation(tenant)?.tenant.id;
        let ended = self.organisations.by(&self.by).end_unit(id, unit, into).await?;
        let organisation = self.organisations.of(id)?;
        let into = match ended.ended {
            Some(UnitEnd::MergedInto(into)) => Some(organisation.unit_path(into)),
            _ => None,
        };
        one(Record::new().text("removed", ended.name).with("into", into))
    }

    pub(super) async fn label(&self, word: LabelWord) -> Outcome {
        // The same right as over IMAP; what a label is put on is checked mail by mail.
        if matches!(
            word,
            LabelWord::Add { .. } | LabelWord::Remove { .. } | LabelWord::Rename { .. }
        ) {
            self.demand(Permission::Jobs)?;
        }
        match word {
            LabelWord::Add { tenant, name } => {
                let id = self.organisation(&tenant)?.tenant.id;
                one(label_record(
                    &self.organisations.by(&self.by).add_label(id, &name).await?,
                ))
            }
            LabelWord::List { tenant } => {
                let organisation = self.organisation(&tenant)?;
                list(organisation.labels.values().map(label_record))
            }
            LabelWord::Remove { tenant, name } => {
                let organisation = self.organisation(&tenant)?;
                let label = organisation.label_by_name(&name);
                if label.is_some_and(|label| organisation.is_shown_by(label.id)) {
                    self.demand(Permission::Account)?;
                }
                let id = organisation.tenant.id;
                self.organisations.by(&self.by).remove_label(id, &name).await?;
                one(Record::new().text("removed", name))
            }
            LabelWord::Rename { tenant, name, new } => {
                let id = self.organisation(&tenant)?.tenant.id;
                one(label_record(
                    &self
                        .organisations
                        .by(&self.by)
                        .rename_label(id, &name, &new)
                        .await?,
                ))
            }
            LabelWord::Apply(wish) => self.label_items(wish, Handling::Label).await,
            LabelWord::Clear(wish) => self.label_items(wish, Handling::Unlabel).await,
        }
    }
}

fn language(word: LanguageWord) -> Language {
    match word {
        LanguageWord::Turkish => Language::Turkish,
        LanguageWord::English => Language::English,
    }
}

fn life_word(life: TenantLife) -> &'static str {
    match life {
        TenantLife::Active => "active",
        TenantLife::Suspended => "suspended",
        TenantLife::Closing { .. } => "closing",
        TenantLife::Closed => "closed",
    }
}

fn receipt_form(word: ReceiptWord) -> ReceiptForm {
    match word {
        ReceiptWord::Summary => ReceiptForm::Summary,
        ReceiptWord::Brief => ReceiptForm::Brief,
        ReceiptWord::Full => ReceiptForm::Full,
    }
}

fn tenant_record(tenant: &Tenant) -> Record {
    with_terms(public_record(tenant), tenant.credit.as_ref())
}

/// What every user of an account may know of it.
fn public_record(tenant: &Tenant) -> Record {
    let kind = match tenant.kind {
        TenantKind::Gercek => "gercek",
        TenantKind::Tuzel => "tuzel",
        TenantKind::Kamu => "kamu",
    };
    let language = match tenant.language {
        Language::Turkish => "turkish",
        Language::English => "english",
    };
    let record = &tenant.institution;
    Record::new()
        .text("name", &tenant.name)
        .text("kind", kind)
        .text("address", &tenant.address)
        .text("title", &tenant.title)
        .text("life", life_word(tenant.life))
        .text("language", language)
        .with("officers_follow_rules", tenant.officers_follow_rules)
        .text("signature", tenant.signature.word())
        .text("receipts", tenant.receipts.word())
        .with("storage_max_bytes", tenant.storage_max_bytes)
        .text("credit", payment(tenant.credit.as_ref()))
        .text("tax_office", &record.tax_office)
        .text("tax_number", &record.tax_number)
        .text("mersis", &record.mersis)
        .text("detsis", &record.detsis)
        .text("activity", &record.activity)
        .text("postal_address", &record.postal_address)
        .text("created_at", tenant.created_at)
}

fn unit_record(organisation: &Organisation, unit: &Unit) -> Record {
    let labels = unit.labels.iter().filter_map(|l| organisation.labels.get(l));
    Record::new()
        .text("path", organisation.unit_path(unit.id))
        .with("labels", labels.map(|l| l.name.clone()).collect::<Vec<_>>())
}

fn label_record(label: &Label) -> Record {
    Record::new()
        .text("name", &label.name)
        .text("keyword", label.keyword())
}

/// The units below one, each indented by its depth. The depth is bounded where units are made.
fn branch(organisation: &Organisation, above: Option<UnitId>, depth: usize, out: &mut Vec<Record>) {
    let mut units: Vec<&Unit> = organisation.live_units().filter(|u| u.parent == above).collect();
    units.sort_by_key(|u| &u.name);
    for unit in units {
        let users = organisation
            .users
            .values()
            .filter(|u| !u.removed && u.units.contains(&unit.id));
        out.push(
            Record::new()
                .text("unit", format!("{}{}", "  ".repeat(depth), unit.name))
                .with("users", users.map(|u| u.name.clone()).collect::<Vec<_>>()),
        );
        if depth < crate::domain::org::UNIT_DEPTH_MAX {
            branch(organisation, Some(unit.id), depth + 1, out);
        }
    }
}
