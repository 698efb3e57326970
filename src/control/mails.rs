//! Mail: its fate for the administrator; with `--as`, what one user sees and does, by that user's own rights.
//!
//! Headers are shown, content never is. What a user sees is asked of his mailboxes, so that it is what he has over IMAP.

use super::traffic::recipients_of;
use super::words::{ControlDoor, Outcome, hex, list, one};
use crate::control::protocol::{
    LIST_MAX, LabelItems, MailItems, MailList, MailRef, MailRestore, MailSearch, MailShow, MailWord, Record,
};
use crate::domain::audit::{AuditRoute, Matter};
use crate::domain::item::{Filed, Item, ItemKind};
use crate::domain::mail::{Consignment, ConsignmentState, Declared, Mail, MailState};
use crate::domain::org::Organisation;
use crate::domain::policy::Asked;
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, LabelId, TenantId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::mailbox::{Found, Handling, Sought, Version};
use crate::service::organisation::unknown;
use crate::service::submission::Accepted;
use serde_json::Value;

/// Changes of one message that are shown with it.
const HISTORY_MAX: usize = 100;

impl ControlDoor {
    pub(super) async fn mail(&self, word: MailWord) -> Outcome {
        match word {
            MailWord::List(wish) => self.list_mail(wish).await,
            MailWord::Show(wish) => self.show_mail(wish).await,
            MailWord::Export(wish) => self.export_mail(wish).await,
            MailWord::Accept(wish) => self.declare(wish, Declared::Accepted).await,
            MailWord::Refuse(wish) => self.declare(wish, Declared::Refused).await,
            MailWord::Send { draft, rule } => self.send_draft(&draft, rule).await,
            MailWord::Search(wish) => self.search_mail(wish).await,
            MailWord::Archive(wish) => self.handle_mail(&wish, Handling::Archive).await,
            MailWord::Trash(wish) => self.handle_mail(&wish, Handling::Trash).await,
            MailWord::Restore(wish) => self.restore_mail(wish).await,
        }
    }

    /// Puts a label on messages, or takes it off them.
    pub(super) async fn label_items(&self, wish: LabelItems, how: fn(LabelId) -> Handling) -> Outcome {
        let organisation = self.organisation(&wish.tenant)?;
        let label = organisation.label_by_name(&wish.label).ok_or_else(|| {
            let names = organisation.labels.values().map(|l| l.name.as_str());
            Failure::refused(Kind::NotFound, unknown("label", &wish.label, names))
        })?;
        let items = MailItems { items: wish.items };
        self.handle_mail(&items, how(label.id)).await
    }

    async fn list_mail(&self, wish: MailList) -> Outcome {
        let organisation = self.organisation(&wish.tenant)?;
        let limit = wish.limit.min(LIST_MAX);
        let Some(by) = &self.acting else {
            if wish.removed || wish.mailbox.is_some() {
                self.actor()?;
            }
            self.count_look(organisation.tenant.id, "mail list");
            let mails = self.records.mails(organisation.tenant.id)?;
            return list(mails.iter().rev().take(limit).map(mail_record));
        };
        if wish.removed {
            let removed = self.mailboxes.removed_drafts(by).await?;
            let drafts = removed.iter().take(limit);
            return list(drafts.map(|draft| version_record(&organisation, draft)));
        }
        let mailbox = self.mailbox_named(by, wish.mailbox.as_deref())?;
        let found = self
            .mailboxes
            .seek(by, mailbox, &Sought::default(), limit)
            .await?;
        list(found.iter().map(|found| found_record(&organisation, found)))
    }

    async fn search_mail(&self, wish: MailSearch) -> Outcome {
        let organisation = self.organisation(&wish.tenant)?;
        let by = self.actor()?;
        let mailbox = self.mailbox_named(by, wish.mailbox.as_deref())?;
        let sought = Sought {
            from: wish.from,
            to: wish.to,
            subject: wish.subject,
            text: wish.text,
            since: wish.since.map(|day| day.from),
            before: wish.before.map(|day| day.from),
        };
        let limit = wish.limit.min(LIST_MAX);
        let found = self.mailboxes.seek(by, mailbox, &sought, limit).await?;
        list(found.iter().map(|found| found_record(&organisation, found)))
    }

    async fn show_mail(&self, wish: MailShow) -> Outcome {
        let Some(by) = &self.acting else {
            if wish.versions {
                self.actor()?;
            }
            let MailRef::Mail(mail) = wish.mail else {
                let say = "a message's number says nothing without its tenant; add --as USER@TENANT, or name a mail id";
                return Err(Failure::refused(Kind::Invalid, say));
            };
            let answer = match self.records.mail(mail) {
                Ok(sent) => self.show_fate(&sent),
                Err(Failure::Refused(_)) => self.show_received(&self.records.consignment(mail)?),
                Err(failure) => Err(failure),
            }?;
            let tenant = self.archive.tenant_of(mail)?;
            self.note_look(tenant, "mail show", Some(mail)).await?;
            return Ok(answer);
        };
        let organisation = self.organisations.of(by.tenant)?;
        let id = self.item_meant(by, &wish.mail)?;
        if wish.versions {
            let versions = self.mailboxes.versions(by, id).await?;
            return list(
                versions
                    .iter()
                    .map(|version| version_record(&organisation, version)),
            );
        }
        let found = self.mailboxes.found(by, id).await?;
        let found = found.ok_or_else(|| not_seen(id))?;
        let item = found.look.item();
        let mut record = found_record(&organisation, &found)
            .with("message_id", found.message_id.clone())
            .with(
                "units",
                item.units
                    .iter()
                    .map(|u| organisation.unit_path(*u))
                    .collect::<Vec<_>>(),
            );
        if let (ItemKind::Outgoing, Some(mail)) = (item.kind, item.mail) {
            let mail = self.records.mail(mail)?;
            record = record.text("state", mail_word(mail.state));
        }
        one(record.with("history", self.history(by.tenant, id)?))
    }

    /// What an administrator reads of a mail: its fate, who put it away, and its evidence.
    fn show_fate(&self, mail: &Mail) -> Outcome {
        let organisation = self.organisations.of(mail.tenant)?;
        let evidence = self.records.evidence_of(mail.tenant, mail.id)?;
        let identifiers = evidence.iter().map(|e| e.identifier.clone());
        let mut record = mail_record(mail)
            .text("message_id", &mail.message_id)
            .text("original_sha256", hex(&mail.original_sha256))
            .with("original_size_bytes", mail.original_size_bytes)
            .text("receipts", mail.receipts.word())
            .with("recipients", recipients_of(mail))
            .with("evidence", identifiers.collect::<Vec<_>>());
        if let Some(item) = self.records.item(mail.tenant, mail.item)? {
            record = filed_record(record.with("item", item.id.0), &organisation, &item);
        }
        one(record.with("history", self.history(mail.tenant, mail.item)?))
    }

    /// The same of a mail that came in.
    fn show_received(&self, mail: &Consignment) -> Outcome {
        let organisation = self.organisations.of(mail.tenant)?;
        let evidence = self.records.evidence_of(mail.tenant, mail.id)?;
        let identifiers = evidence.iter().map(|e| e.identifier.clone());
        let state = match mail.state {
            ConsignmentState::Delivered => "delivered",
            ConsignmentState::Read => "read",
            ConsignmentState::Expired => "expired",
        };
        let declared = mail.declaration.as_ref();
        let mut record = Record::new()
            .text("mail", mail.id)
            .text("subject", &mail.subject)
            .text("from", &mail.sender)
            .text("to", &mail.recipient)
            .text("state", state)
            .with("declared", declared.map(|d| d.declared.done()))
            .with("declared_by", declared.map(|d| d.by_login.clone()))
            .text("delivered_at", mail.delivered_at)
            .text("message_id", &mail.message_id)
            .text("original_sha256", hex(&mail.original_sha256))
            .with("evidence", identifiers.collect::<Vec<_>>());
        if let Some(item) = self.records.item(mail.tenant, mail.item)? {
            record = filed_record(record.with("item", item.id.0), &organisation, &item);
        }
        one(record.with("history", self.history(mail.tenant, mail.item)?))
    }

    fn history(&self, tenant: TenantId, id: ItemId) -> Result<Vec<Value>, Failure> {
        let records = self.records.audit(tenant, Some(Matter::Item(id)), HISTORY_MAX)?;
        let told = records.iter().map(|record| {
            Record::new()
                .text("at", record.at)
                .text("who", &record.author.login)
                .text("deed", &record.deed)
                .text("before", &record.before)
                .text("after", &record.after)
                .into()
        });
        Ok(told.collect())
    }

    async fn handle_mail(&self, wish: &MailItems, how: Handling) -> Outcome {
        let by = self.actor()?;
        let items = wish.items.iter().map(|item| self.item_meant(by, item));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        self.mailboxes.handle(by, &items, how, AuditRoute::Kepctl).await?;
        let done = items.iter().map(|id| id.0);
        one(Record::new().with("done", done.collect::<Vec<_>>()))
    }

    async fn restore_mail(&self, wish: MailRestore) -> Outcome {
        let MailRestore { wish, version } = wish;
        let Some(number) = version else {
            return self.handle_mail(&wish, Handling::Restore).await;
        };
        let by = self.actor()?;
        let [item] = wish.items.as_slice() else {
            let say = "--version is one version of one draft; name one message";
            return Err(Failure::refused(Kind::Invalid, say));
        };
        let id = self.item_meant(by, item)?;
        let current = self.mailboxes.bring_back(by, id, number).await?;
        one(Record::new().with("item", current.0).with("version", number))
    }

    /// A limited user's draft starts a flow; an officer's is sent, unless the account wills otherwise.
    async fn send_draft(&self, draft: &MailRef, rule: Option<String>) -> Outcome {
        let by = self.actor()?;
        let id = self.item_meant(by, draft)?;
        let asked = rule.map(|rule| Asked::Flow(Some(rule)));
        let record = Record::new().with("draft", id.0);
        one(
            match self
                .mailboxes
                .send_draft(by, id, asked, AuditRoute::Kepctl)
                .await?
            {
                Accepted::Sent { mail } => record.text("mail", mail).text("became", "sent"),
                Accepted::Released { mail, job } => record
                    .text("mail", mail)
                    .text("job", job)
                    .text("became", "released"),
                Accepted::Job { mail, job, rule } => record
                    .text("mail", mail)
                    .text("became", "job")
                    .text("job", job)
                    .text("rule", rule),
                Accepted::Draft { item, .. } => record.text("became", "draft").with("item", item.0),
            },
        )
    }

    /// The message a user means. That it is there and his to see is found where it is used.
    fn item_meant(&self, by: &Principal, meant: &MailRef) -> Result<ItemId, Failure> {
        match meant {
            MailRef::Number(id) => Ok(*id),
            MailRef::Mail(mail) => self.mailboxes.item_of_mail(by, *mail),
        }
    }

    fn mailbox_named(&self, by: &Principal, name: Option<&str>) -> Result<Mailbox, Failure> {
        name.map_or(Ok(Mailbox::All), |name| self.mailboxes.meant(by, name))
    }
}

fn not_seen(id: ItemId) -> Failure {
    let say = format!("there is no message {id} that this user sees");
    Failure::refused(Kind::NotFound, say)
}

fn mail_record(mail: &Mail) -> Record {
    let to = mail.recipients.iter().map(|r| r.address.to_string());
    Record::new()
        .text("mail", mail.id)
        .text("subject", &mail.subject)
        .text("from", &mail.sender)
        .with("to", to.collect::<Vec<_>>())
        .text("state", mail_word(mail.state))
        .with("job", mail.job.map(|j| j.to_string()))
        .text("submitted_at", mail.submitted_at)
}

fn found_record(organisation: &Organisation, found: &Found) -> Record {
    let item = found.look.item();
    let record = Record::new()
        .with("item", item.id.0)
        .with("mail", item.mail.map(|mail| mail.to_string()))
        .text("kind", kind_word(item.kind))
        .text("subject", &found.subject)
        .with("from", found.from.clone())
        .with("to", found.to.clone())
        .text("arrived_at", item.internal_date)
        .with("size_bytes", found.size_bytes)
        .with("seen", found.look.marks.seen)
        .with("job", item.job.as_ref().map(|job| job.id.to_string()));
    filed_record(record, organisation, item)
}

/// Labels, archive and bin, with who and when.
fn filed_record(record: Record, organisation: &Organisation, item: &Item) -> Record {
    let labels = item.labels.iter().filter_map(|l| organisation.labels.get(l));
    let filed = |filed: Option<Filed>| filed.map_or(Value::Null, |f| hand_record(organisation, f).into());
    record
        .with("labels", labels.map(|l| l.name.clone()).collect::<Vec<_>>())
        .with("archived", filed(item.archived))
        .with("trashed", filed(item.trashed))
}

fn hand_record(organisation: &Organisation, filed: Filed) -> Record {
    Record::new()
        .text("by", user_name(organisation, Some(filed.by)))
        .text("at", filed.at)
}

fn version_record(organisation: &Organisation, version: &Version) -> Record {
    let removed = version.removed();
    Record::new()
        .with("version", version.number)
        .with("item", version.item.id.0)
        .with("current", !version.item.gone)
        .text("subject", &version.subject)
        .with("size_bytes", version.size_bytes)
        .text("who", user_name(organisation, version.item.author))
        .text("saved_at", version.item.internal_date)
        .with(
            "replaced_or_removed",
            removed.map_or(Value::Null, |f| hand_record(organisation, f).into()),
        )
}

fn user_name(organisation: &Organisation, user: Option<crate::id::UserId>) -> String {
    let user = user.and_then(|user| organisation.users.get(&user));
    user.map_or_else(String::new, |user| user.name.clone())
}

fn kind_word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Incoming => "incoming",
        ItemKind::Outgoing => "outgoing",
        ItemKind::Draft => "draft",
        ItemKind::Evidence => "evidence",
        ItemKind::Notice => "notice",
    }
}

fn mail_word(state: MailState) -> &'static str {
    match state {
        MailState::Held => "held",
        MailState::Accepted => "accepted",
        MailState::Dispatched => "dispatched",
        MailState::Concluded => "concluded",
        MailState::Dropped => "dropped",
    }
}
