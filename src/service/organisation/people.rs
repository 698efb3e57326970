//! Users: made, changed, removed; and who stands in for whom.

use super::*;
use crate::clock::UtcTime;
use crate::domain::audit::Matter;
use crate::domain::org::{DEPUTIES_MAX, Deputy, Doors};

/// A user to be. Units are named by path, roles by name.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub name: String,
    pub display_name: String,
    pub kind: UserKind,
    pub units: Vec<String>,
    pub roles: Vec<String>,
}

impl Changes<'_> {
    pub async fn add_user(self, tenant: TenantId, new: &NewUser) -> Result<User, Failure> {
        let name = new.name.to_ascii_lowercase();
        if !is_login_word(&name) {
            let say =
                "a user's name is the first part of his login: ASCII letters, digits, '.', '-' and '_' only";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        self.change("user add", tenant, |draft| {
            // A removed user's name stays his: what he did is on record under it.
            if draft.org.users.values().any(|u| u.name == name) {
                let say = format!("there is or was a user \"{name}\" already");
                return Err(Failure::refused(Kind::Exists, say));
            }
            let user = User {
                id: UserId(draft.next_number()),
                name: name.clone(),
                display_name: new.display_name.clone(),
                kind: new.kind,
                units: new
                    .units
                    .iter()
                    .map(|u| draft.unit(u))
                    .collect::<Result<_, _>>()?,
                roles: new
                    .roles
                    .iter()
                    .map(|r| draft.role(r))
                    .collect::<Result<_, _>>()?,
                title: String::new(),
                deputies: Vec::new(),
                doors: Doors::default(),
                listed: false,
                removed: false,
            };
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }

    /// Changes a user: his units and roles by name, or whatever `set` does.
    pub async fn set_user(
        self,
        tenant: TenantId,
        name: &str,
        set: impl Fn(&Draft<'_>, &mut User) -> Result<(), Failure>,
    ) -> Result<User, Failure> {
        self.change("user set", tenant, |draft| {
            let mut user = user_of(draft, name)?;
            set(draft, &mut user)?;
            check_told(&user.display_name)?;
            check_told(&user.title)?;
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }

    /// Lets somebody decide in a user's name from one moment to another (vekâlet); what he was told before about the same
    /// deputy no longer counts.
    pub async fn set_deputy(self, tenant: TenantId, name: &str, wish: &Deputising) -> Result<User, Failure> {
        self.change("user deputy", tenant, |draft| {
            let mut user = user_of(draft, name)?;
            let deputy = Deputy {
                user: draft.user(&wish.deputy)?,
                from: wish.from.unwrap_or(draft.now),
                until: wish.until,
            };
            if deputy.user == user.id {
                return Err(Failure::refused(Kind::Invalid, "nobody is his own deputy"));
            }
            if deputy.until <= deputy.from || deputy.until <= draft.now {
                let say =
                    "the deputy's time ends before it begins, or has passed already; say --until a later day";
                return Err(Failure::refused(Kind::Invalid, say));
            }
            user.deputies
                .retain(|d| d.user != deputy.user && draft.now < d.until);
            user.deputies.push(deputy);
            if user.deputies.len() > DEPUTIES_MAX {
                let say = format!("a user has at most {DEPUTIES_MAX} deputies; take one away first");
                return Err(Failure::refused(Kind::TooMany, say));
            }
            draft.put(&user)?;
            draft.review_at(deputy.from)?;
            draft.review_at(deputy.until)?;
            Ok(user)
        })
        .await
    }

    /// A deputy's time ends now.
    pub async fn end_deputy(self, tenant: TenantId, name: &str, deputy: &str) -> Result<User, Failure> {
        self.change("user deputy", tenant, |draft| {
            let mut user = user_of(draft, name)?;
            let id = draft.user(deputy)?;
            let before = user.deputies.len();
            user.deputies.retain(|d| d.user != id);
            if user.deputies.len() == before {
                let say = format!("\"{deputy}\" is not a deputy of \"{}\"", user.name);
                return Err(Failure::refused(Kind::NotFound, say));
            }
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }

    /// What proves a user's login from now on.
    pub(crate) async fn set_credentials(
        self,
        tenant: TenantId,
        user: UserId,
        credentials: &org::Credentials,
    ) -> Result<(), Failure> {
        self.change("user passwd", tenant, |draft| {
            let known = draft.org.users.get(&user).filter(|u| !u.removed);
            let user = known.ok_or_else(|| missing("user"))?;
            draft.account.tell(Matter::User(user.id), Some(user), Some(user));
            Ok(org::put_credentials(
                &mut draft.batch,
                tenant,
                user.id,
                credentials,
            )?)
        })
        .await
    }

    /// Lets a user log in no more. His name stays with what he did, and is never given again.
    pub async fn remove_user(self, tenant: TenantId, name: &str) -> Result<User, Failure> {
        self.change("user remove", tenant, |draft| {
            let mut user = user_of(draft, name)?;
            user.removed = true;
            draft.put(&user)?;
            self.forget_certificates(draft, &user)?;
            Ok(user)
        })
        .await
    }
}

/// Who shall decide in a user's name, and when.
#[derive(Debug, Clone)]
pub struct Deputising {
    pub deputy: String,
    /// Now, when left out.
    pub from: Option<UtcTime>,
    /// The first moment at which he may no longer.
    pub until: UtcTime,
}

fn user_of(draft: &Draft<'_>, name: &str) -> Result<User, Failure> {
    let id = draft.user(name)?;
    draft.org.users.get(&id).cloned().ok_or_else(|| missing("user"))
}

fn check_told(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    check_text(text)
}
