//! Who is here: sessions of each user at a door, so that one user's clients cannot take all the room.

use crate::id::{TenantId, UserId};
use crate::service::account::Principal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions of one user at a time, unless the operator says otherwise. A mail client holds some five; several devices,
/// and an office that shares one login, some dozens. Each holds the numbers of its open mailbox.
pub const SESSIONS_PER_USER_MAX: usize = 100;

type User = (TenantId, UserId);

/// Sessions by user.
#[derive(Debug, Clone, Default)]
pub struct Presence(Arc<Mutex<HashMap<User, usize>>>);

/// One session of a user; leaves when dropped.
#[derive(Debug)]
pub struct Present {
    among: Presence,
    user: User,
}

impl Presence {
    /// `None`: he has as many as he may.
    pub fn enter(&self, by: &Principal, sessions_max: usize) -> Option<Present> {
        let user = (by.tenant, by.user);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sessions.get(&user).copied().unwrap_or(0);
        if count >= sessions_max {
            return None;
        }
        sessions.insert(user, count + 1);
        Some(Present {
            among: self.clone(),
            user,
        })
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut sessions = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                sessions.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Origin;

    #[test]
    fn a_user_has_so_many_sessions_and_others_have_theirs() {
        let by = |user| Principal {
            tenant: TenantId(1),
            user: UserId(user),
            login: "ayse@ornekas".parse().unwrap(),
            from: Origin::Inside,
        };
        let presence = Presence::default();
        let first = presence.enter(&by(1), 2);
        let second = presence.enter(&by(1), 2);
        assert!(first.is_some() && second.is_some());
        assert!(presence.enter(&by(1), 2).is_none());
        assert!(presence.enter(&by(2), 2).is_some());
        drop(first);
        let third = presence.enter(&by(1), 2);
        assert!(third.is_some() && presence.enter(&by(1), 2).is_none());
        drop((second, third));
        assert!(presence.0.lock().unwrap().is_empty());
    }
}
