//! Exports: of one mail, of a period. Who asks in a user's name takes out what that user sees, and nothing else.

use super::words::{ControlDoor, Outcome, one};
use crate::control::protocol::{Export, ExportMark, MailExport, Record, When};
use crate::domain::audit::{Matter, PROVIDER};
use crate::id::{MailId, TenantId};
use crate::service::archive::{Period, PeriodMark, PeriodSide};
use crate::service::failure::{Failure, Kind};
use serde_json::Value;
use std::path::PathBuf;

impl ControlDoor {
    /// The bundle of a mail, sent or received, or its summary alone, or both.
    pub(super) async fn export(&self, wish: &Export) -> Outcome {
        if let Some(by) = &self.acting {
            self.mailboxes.item_of_mail(by, wish.mail)?;
        }
        let tenant = self.archive.tenant_of(wish.mail)?;
        let place = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let what = serde_json::json!({ "out": place(&wish.out), "pdf": place(&wish.pdf) });
        self.note(tenant, "evidence export", vec![Matter::Mail(wish.mail)], &what)
            .await?;
        let mut record = Record::new().text("mail", wish.mail);
        if let Some(out) = &wish.out {
            let exported = self.archive.export(tenant, wish.mail, out).await?;
            let files = exported.files.iter().map(|file| {
                Record::new()
                    .text("path", &file.path)
                    .text("sha256", &file.sha256)
                    .with("size", file.size)
                    .with("issuer", file.issuer.clone())
                    .into()
            });
            record = record
                .text("folder", exported.folder.display())
                .text("original_sha256", &exported.original_sha256)
                .with("files", files.collect::<Vec<Value>>());
        }
        if let Some(file) = &wish.pdf {
            self.archive.export_summary(tenant, wish.mail, file).await?;
            record = record.text("pdf", file.display());
        }
        one(record)
    }

    pub(super) async fn export_mail(&self, wish: MailExport) -> Outcome {
        match (wish.mail, &wish.since, &wish.until) {
            (Some(mail), None, None) => {
                let wish = Export {
                    mail,
                    out: Some(wish.out),
                    pdf: None,
                };
                self.export(&wish).await
            }
            (None, Some(since), Some(until)) => self.export_period(&wish, since, until).await,
            _ => {
                let say = "name one mail, or a period with --since and --until";
                Err(Failure::refused(Kind::Invalid, say))
            }
        }
    }

    /// One step of a period's export; the answer says where the next begins.
    async fn export_period(&self, wish: &MailExport, since: &When, until: &When) -> Outcome {
        if until.until <= since.from {
            let say = "the period ends before it begins; give --since and --until in order";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let tenants = self.tenants_meant(wish.tenant.as_deref())?;
        if wish.after.is_none() {
            let what = serde_json::json!({
                "since": since.from.to_string(),
                "until": until.until.to_string(),
                "out": wish.out.display().to_string(),
            });
            // Of one account in its own record; of all in the provider's.
            let book = match tenants.as_slice() {
                [one] => *one,
                _ => PROVIDER,
            };
            self.note(book, "mail export", Vec::new(), &what).await?;
        }
        let all: Vec<String> = match &wish.tenant {
            None if self.acting.is_none() => vec!["all".into()],
            _ => tenants.iter().map(ToString::to_string).collect(),
        };
        let by = self.acting.as_ref().map(|by| by.login.to_string());
        let period = Period {
            since: since.from,
            until: until.until,
            wish: serde_json::json!({
                "since": since.from, "until": until.until, "tenants": all, "as": by,
            })
            .to_string(),
            tenants,
        };
        let visible = |mail: MailId| -> Result<bool, Failure> {
            let Some(by) = &self.acting else { return Ok(true) };
            match self.mailboxes.item_of_mail(by, mail) {
                Ok(_) => Ok(true),
                Err(Failure::Refused(_)) => Ok(false),
                Err(failure) => Err(failure),
            }
        };
        let after = wish.after.map(|after| PeriodMark {
            tenant: after.tenant,
            side: if after.received {
                PeriodSide::Received
            } else {
                PeriodSide::Sent
            },
            mail: after.mail,
            turn: after.turn,
        });
        let step = self
            .archive
            .export_step(&period, after, &wish.out, &visible)
            .await?;
        let next = step.next.map(|mark| ExportMark {
            tenant: mark.tenant,
            received: mark.side == PeriodSide::Received,
            mail: mark.mail,
            turn: mark.turn,
        });
        let next = serde_json::to_value(next).map_err(|e| Failure::Broken(e.to_string()))?;
        one(Record::new()
            .text("folder", wish.out.display())
            .with("written", step.written)
            .with("remade", step.remade)
            .with("there", step.there)
            .with("faults", step.faults)
            .with("next", next))
    }

    /// The account that is named, or the user's own, or, for the provider, all.
    fn tenants_meant(&self, name: Option<&str>) -> Result<Vec<TenantId>, Failure> {
        if let Some(name) = name {
            return Ok(vec![self.organisation(name)?.tenant.id]);
        }
        if let Some(by) = &self.acting {
            return Ok(vec![by.tenant]);
        }
        let all = self.organisations.tenants()?;
        let mut all: Vec<TenantId> = all.iter().map(|tenant| tenant.id).collect();
        all.sort_unstable();
        Ok(all)
    }
}
