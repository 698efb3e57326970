//! In whose name something is asked: the administrator of the provider, or, with `--as`, one user by his own rights.
//!
//! What a user may not see he may not learn of here: another tenant is not there for him, and what the account's
//! people and rules are is told to who may manage them.

use super::words::ControlDoor;
use crate::address::LoginName;
use crate::domain::audit::AuditRoute;
use crate::domain::org::{Organisation, Permission, User, UserKind};
use crate::id::{EvidenceId, TenantId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::unknown;
use std::sync::Arc;

impl ControlDoor {
    /// The door as that user finds it. Only who may log in may act.
    pub(super) fn opened_as(&self, login: &LoginName) -> Result<Self, Failure> {
        let principal = self.principal(login)?;
        Ok(Self {
            by: principal.author(AuditRoute::Kepctl),
            acting: Some(principal),
            ..self.clone()
        })
    }

    fn principal(&self, login: &LoginName) -> Result<Principal, Failure> {
        if let Some(principal) = self.accounts.principal(login)? {
            return Ok(principal.at(self.by.from));
        }
        let say = match self.organisations.by_name(login.realm()) {
            Ok(organisation) if organisation.user_by_name(login.user()).is_none() => {
                let users = organisation.live_users().map(|u| u.name.as_str());
                unknown("user", login.user(), users)
            }
            _ => format!("there is no user {login} who may log in"),
        };
        Err(Failure::refused(Kind::NotFound, say))
    }

    /// The user in whose name it is asked; the administrator himself has no mailbox and decides nothing.
    pub(super) fn actor(&self) -> Result<&Principal, Failure> {
        self.acting.as_ref().ok_or_else(|| {
            let say = "say who does it: --as USER@TENANT; his rights are checked";
            Failure::refused(Kind::Invalid, say)
        })
    }

    /// The tenant of that name, if whoever asks may know of it.
    pub(super) fn organisation(&self, name: &str) -> Result<Arc<Organisation>, Failure> {
        let Some(by) = &self.acting else {
            return self.organisations.by_name(name);
        };
        let own = self.organisations.of(by.tenant)?;
        if own.tenant.name.eq_ignore_ascii_case(name) {
            return Ok(own);
        }
        let say = format!("{} is not a user of \"{name}\"", by.login);
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// Whoever asks holds a permission in his account.
    pub(super) fn demand(&self, permission: Permission) -> Result<(), Failure> {
        let Some(by) = &self.acting else { return Ok(()) };
        let organisation = self.organisations.of(by.tenant)?;
        let user = organisation.users.get(&by.user);
        if user.is_some_and(|u| organisation.may(u, permission)) {
            return Ok(());
        }
        let permission = format!("{permission:?}").to_ascii_lowercase();
        let say = format!(
            "{} may not do this: it needs a role with the permission \"{permission}\"",
            by.login
        );
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// What only the provider decides, not an account for itself.
    pub(super) fn demand_provider(&self) -> Result<(), Failure> {
        if self.acting.is_none() {
            return Ok(());
        }
        let say = "this is the provider's to do; leave out --as";
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// Officers are changed by officers: nobody gives himself an officer's rights, or takes an officer's place.
    pub(super) fn demand_hand_over(&self, user: &User) -> Result<(), Failure> {
        self.demand(Permission::Account)?;
        if user.kind == UserKind::Officer {
            return self.demand_officer();
        }
        Ok(())
    }

    pub(super) fn demand_officer(&self) -> Result<(), Failure> {
        let Some(by) = &self.acting else { return Ok(()) };
        let organisation = self.organisations.of(by.tenant)?;
        let user = organisation.users.get(&by.user);
        if user.is_some_and(|u| u.kind == UserKind::Officer && !u.removed) {
            return Ok(());
        }
        let say = "only an officer (işlem yetkilisi), or the provider, makes or changes an officer";
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// Whether whoever asks sees the evidence of a mail: the administrator and officers that of all, also of what was
    /// refused before it became a mail; others that of the mail they see.
    pub(super) fn sees(&self, tenant: TenantId, evidence: EvidenceId) -> bool {
        let Some(by) = &self.acting else { return true };
        let of_seen = || {
            let mail = self.records.mail_of_evidence(tenant, evidence).ok().flatten();
            mail.is_some_and(|mail| self.mailboxes.item_of_mail(by, mail).is_ok())
        };
        self.demand_officer().is_ok() || of_seen()
    }
}
