//! What is told of the account's prepaid credit where its mailboxes are.

use super::Mailboxes;
use crate::domain::org::Permission;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::tables::credit;

impl Mailboxes {
    /// What is used of the credit, and what could be: the difference is left. `None`: the account is not metered, or the user has
    /// no right to know; by each movement he would learn that somebody sent a mail, and how large it is. Officers and who
    /// manages the account have, as with `kepctl credit show`.
    pub fn credit(&self, by: &Principal) -> Result<Option<(u64, u64)>, Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let user = organisation.users.get(&by.user);
        let Some(terms) = &organisation.tenant.credit else {
            return Ok(None);
        };
        if !user.is_some_and(|user| organisation.may(user, Permission::Account)) {
            return Ok(None);
        }
        let account = credit::account(&*self.db, by.tenant)?;
        Ok(Some(account.gauge(terms)))
    }
}
