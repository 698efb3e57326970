//! Declaring: the recipient accepts or refuses a mail that has come in, and says so to its sender (TS 102 640-2,
//! AcceptanceRejectionByRecipient).
//!
//! It is said for the tenant, so an officer says it, or a user who sees the mail and whose role manages the tenant's mail
//! (`jobs`). One conditional batch: the consignment's declaration, the keyword on the item, the audit record, and the
//! evidence owed to the sender's home and to the recipient. Whatever route it comes by, it comes through here. Nothing
//! is handed over by it, and no clock is stopped: `docs/decisions/0020` says why.

use crate::clock::Clock;
use crate::domain::audit::{AuditRecord, Matter};
use crate::domain::audit_chain::hex;
use crate::domain::evidence::{Event, EvidenceKind, Extension, Reason};
use crate::domain::item::{Item, JobPhase};
use crate::domain::job::Route;
use crate::domain::mail::{Consignment, Declaration, DeclarationRefusal, Declared};
use crate::domain::org::{Organisation, Permission, User};
use crate::domain::selector::Viewer;
use crate::id::{IdSource, MailId};
use crate::service::account::Principal;
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Identity;
use crate::service::organisation::Organisations;
use crate::service::owing::{Happened, Owing};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::items::Stamped;
use crate::store::tables::{Stored, audit, items, mails};
use std::sync::Arc;

/// How often a declaration is tried against others who change the same mail: readers, the clock, who files it.
const ATTEMPTS: usize = 16;
/// The name under which an evidence of acceptance holds the recipient's words.
const NOTE_NAME: &str = "RecipientNote";

pub struct Declaring {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub bells: Bells,
}

/// A declaration asked for.
#[derive(Debug, Clone, Copy)]
pub struct DeclarationAsked<'a> {
    pub mail: MailId,
    pub declared: Declared,
    pub route: Route,
    pub note: &'a str,
    /// The digest of the original that was looked at. Without one, what the consignment names.
    pub original_sha256: Option<[u8; 32]>,
}

impl Declaring {
    /// Declares, once, and gives the consignment as it stands afterwards.
    pub async fn declare(&self, by: &Principal, asked: DeclarationAsked<'_>) -> Result<Consignment, Failure> {
        for _ in 0..ATTEMPTS {
            let organisation = self.organisations.of(by.tenant)?;
            let (stored, item) = self.declarable(&organisation, by, asked.mail)?;
            let declaration = Declaration {
                declared: asked.declared,
                by: by.user,
                by_login: by.login.to_string(),
                route: asked.route,
                note: asked.note.trim().to_owned(),
                at: self.clock.now(),
                original_sha256: asked.original_sha256.unwrap_or(stored.row.original_sha256),
            };
            let declared = stored.row.declare(declaration)?;
            let batch = self.settle(by, &stored, &item, &declared)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(mail = %declared.id, by = %by.login, route = asked.route.word(),
                        declared = asked.declared.done(), "declared by the recipient");
                    self.bells.mailboxes.ring(by.tenant);
                    self.bells.notary.ring();
                    return Ok(declared);
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mail at once".into(),
        ))
    }

    /// The consignment and its item, if this user may declare something of it.
    fn declarable(
        &self,
        organisation: &Organisation,
        by: &Principal,
        mail: MailId,
    ) -> Result<(Stored<Consignment>, Arc<Stamped<Item>>), Failure> {
        let user = organisation.users.get(&by.user).filter(|u| !u.removed);
        let user = user.ok_or_else(|| Failure::refused(Kind::NoPermission, "this user has been removed"))?;
        if !organisation.tenant.life.may_declare() {
            let say = "the account is stopped or closed; nothing can be declared for it now";
            return Err(Failure::refused(Kind::AccountClosed, say));
        }
        let (stored, item) = self.visible(organisation, user, mail)?;
        if !organisation.may(user, Permission::Jobs) {
            let say = "accepting and refusing speaks for the whole account; an officer (işlem yetkilisi), or a role \
                       with the permission \"jobs\", may";
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        let waits = item
            .row
            .job
            .as_ref()
            .is_some_and(|job| job.phase != JobPhase::Ended);
        if waits {
            let say =
                "this mail waits for a decision inside the account; decide or cancel its job, then declare";
            return Err(Failure::refused(Kind::WrongState, say));
        }
        Ok((stored, item))
    }

    fn visible(
        &self,
        organisation: &Organisation,
        user: &User,
        mail: MailId,
    ) -> Result<(Stored<Consignment>, Arc<Stamped<Item>>), Failure> {
        let say = || {
            let say = format!("there is no mail {mail} that has come in and that you can see");
            Failure::refused(Kind::NotFound, say)
        };
        let tenant = organisation.tenant.id;
        let stored = mails::consignment(&*self.db, tenant, mail)?.ok_or_else(say)?;
        let item = items::item(&*self.db, tenant, stored.row.item)?.ok_or_else(say)?;
        let sees = Viewer::new(organisation, user, self.clock.now()).sees(&item.row, None);
        if sees { Ok((stored, item)) } else { Err(say()) }
    }

    /// All that follows from a declaration, in one batch.
    fn settle(
        &self,
        by: &Principal,
        stored: &Stored<Consignment>,
        old: &Stamped<Item>,
        declared: &Consignment,
    ) -> Result<Batch, Failure> {
        let Some(declaration) = &declared.declaration else {
            return Err(Failure::Broken("nothing is declared".into()));
        };
        let mut batch = Batch::new();
        stored.replace(&mut batch, declared)?;
        let mut item = old.row.clone();
        item.reports.insert(declaration.declared.into());
        items::replace(&mut batch, by.tenant, old, &item)?;
        audit::append(&mut batch, by.tenant, 0, &record(by, declared.item, declaration))?;
        let owing = Owing {
            identity: &self.identity,
            ids: &*self.ids,
        };
        let owed = owing.about_consignment(&mut batch, declared, &happened(declaration));
        owed.map_err(|failure| too_long(failure, declaration))?;
        Ok(batch)
    }
}

/// The fact as the evidence will tell it: the words of a refusal are its reason, those of an acceptance stand beside it.
fn happened(declaration: &Declaration) -> Happened {
    let (kind, at) = (EvidenceKind::AcceptanceRejectionByRecipient, declaration.at);
    match declaration.declared {
        Declared::Refused => Happened::new(kind, Event::Rejection, at)
            .because(Reason::RecipientRejection, declaration.note.as_str()),
        Declared::Accepted if declaration.note.is_empty() => Happened::new(kind, Event::Acceptance, at),
        Declared::Accepted => Happened::new(kind, Event::Acceptance, at).with(Extension::Note {
            name: NOTE_NAME.to_owned(),
            text: declaration.note.clone(),
        }),
    }
}

fn record(by: &Principal, item: crate::id::ItemId, declaration: &Declaration) -> AuditRecord {
    let after = serde_json::json!({
        "declared": declaration.declared.done(),
        "route": declaration.route.word(),
        "original_sha256": hex(&declaration.original_sha256),
    });
    AuditRecord {
        at: declaration.at,
        author: by.author(declaration.route.into()),
        deed: format!("mail {}", declaration.declared.word()),
        about: vec![Matter::Item(item), Matter::User(by.user)],
        before: String::new(),
        after: after.to_string(),
    }
}

/// What does not fit beside a long list of recipients is the note: the evidence of the delivery did fit.
fn too_long(failure: Failure, declaration: &Declaration) -> Failure {
    match failure {
        Failure::Refused(refusal) if refusal.kind == Kind::TooMany && !declaration.note.is_empty() => {
            let say = "the note is too long for evidence of a mail with so many recipients; shorten it";
            Failure::refused(Kind::TooMany, say)
        }
        other => other,
    }
}

impl From<DeclarationRefusal> for Failure {
    fn from(refusal: DeclarationRefusal) -> Self {
        let kind = match refusal {
            DeclarationRefusal::NoteTooLong => Kind::Invalid,
            DeclarationRefusal::Already { .. } | DeclarationRefusal::OtherOctets => Kind::WrongState,
        };
        Failure::refused(kind, refusal.to_string())
    }
}
