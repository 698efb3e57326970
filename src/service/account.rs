//! Who logs in: passwords (Argon2id, and a SCRAM-SHA-256 verifier beside it) and what a login stands for.
//!
//! Hashing a password takes 19 MiB and some 20 ms by design, so it runs on the blocking pool, a few at a time, and few
//! may wait for it. An unknown login costs as much as a wrong password. Whoever guesses is slowed by `pace`; `presence`
//! counts the sessions of each user; `certificates` is for who comes in without a password; `visits` tells the audit record,
//! and `strangers` says how a name that nobody has is written there and in the log.

mod certificates;
pub mod pace;
pub mod presence;
mod rooms;
mod strangers;
pub mod visits;

pub use self::certificates::{LetIn, Presented};
use self::pace::LoginPace;
use self::presence::{Presence, Present, SESSIONS_PER_USER_MAX};
use self::rooms::Rooms;
use self::strangers::Strangers;
use self::visits::Visits;

use crate::address::LoginName;
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRoute, Author, Origin};
use crate::domain::network::Trusted;
use crate::domain::org::{Organisation, User};
use crate::domain::tenant::TenantLife;
use crate::id::{TenantId, UserId};
pub use crate::sasl::Secret;
use crate::sasl::{ITERATIONS_DEFAULT, ScramVerifier};
use crate::seal::CertificateJudge;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::Organisations;
use crate::store::db::{Batch, Db};
use crate::store::tables::org::{self, Credentials};
use crate::store::tables::{audit, tenants};
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Passwords shorter than this are refused, in characters.
pub const PASSWORD_MIN_CHARS: usize = 8;
/// Longest password taken, in octets: what one would type or generate.
pub const PASSWORD_MAX_OCTETS: usize = 256;
const SALT_OCTETS: usize = 16;
/// Passwords hashed at the same time: 19 MiB each, and one core each.
const HASHING_MAX: usize = 2;
/// Logins that wait for one of those: some three seconds of work. More are asked to come back rather than to queue up
/// behind a flood.
const HASHING_WAITING_MAX: usize = 256;

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub tenant: TenantId,
    pub user: UserId,
    pub login: LoginName,
    /// From where; the door that lets him in says so.
    pub from: Origin,
}

impl Principal {
    /// The same, as somebody who acts from there.
    pub fn at(self, from: Origin) -> Self {
        Self { from, ..self }
    }

    /// As the author of a change that came by this route.
    pub fn author(&self, route: AuditRoute) -> Author {
        Author {
            user: Some(self.user),
            login: self.login.to_string(),
            route,
            from: self.from,
        }
    }
}

/// A protocol a user may be kept from (`docs/features.md` P11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Imap,
    Smtp,
}

impl Door {
    fn route(self) -> AuditRoute {
        match self {
            Door::Imap => AuditRoute::Imap,
            Door::Smtp => AuditRoute::Smtp,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Door::Imap => "IMAP",
            Door::Smtp => "SMTP",
        }
    }
}

pub struct Accounts {
    db: Arc<dyn Db>,
    organisations: Arc<Organisations>,
    hashing: Semaphore,
    /// Those who hash, and those who wait for it.
    queueing: Semaphore,
    /// How fast one may guess.
    pub pace: LoginPace,
    /// What of it the audit record is told.
    pub visits: Visits,
    /// How names that nobody has are written down.
    strangers: Strangers,
    presence: Presence,
    sessions_per_user_max: usize,
    /// What an unknown login is checked against, so that it takes as long.
    nobody: String,
    rooms: Arc<Rooms>,
    /// Judges certificates; `None`: nobody logs in with one.
    judge: Option<Arc<dyn CertificateJudge>>,
}

impl Accounts {
    pub fn new(db: Arc<dyn Db>, organisations: Arc<Organisations>) -> Result<Self, Failure> {
        let nobody = hash(b"nobody has this password")?;
        // Until the kept one is known: of this process alone.
        let strangers = Strangers::of(&chance()?);
        Ok(Self {
            db,
            organisations,
            hashing: Semaphore::new(HASHING_MAX),
            queueing: Semaphore::new(HASHING_MAX + HASHING_WAITING_MAX),
            pace: LoginPace::new(Arc::default()),
            visits: Visits::default(),
            strangers,
            presence: Presence::default(),
            sessions_per_user_max: SESSIONS_PER_USER_MAX,
            nobody,
            rooms: Arc::default(),
            judge: None,
        })
    }

    /// Who is spared when logins are slowed, and how many sessions one user may have.
    pub fn with_limits(self, trusted: Arc<Trusted>, sessions_per_user_max: usize) -> Self {
        Self {
            pace: LoginPace::new(trusted),
            sessions_per_user_max,
            ..self
        }
    }

    /// With chance that stays the same over restarts ([`Self::decoy_secret`]).
    pub fn with_secret(self, secret: &[u8; 32]) -> Self {
        Self {
            strangers: Strangers::of(secret),
            ..self
        }
    }

    /// One more session of a user, until what this gives is dropped.
    pub fn enter(&self, by: &Principal) -> Result<Present, Failure> {
        let present = self.presence.enter(by, self.sessions_per_user_max);
        present.ok_or_else(|| {
            let most = self.sessions_per_user_max;
            let say = format!("you have {most} sessions open already; close one, then come in");
            Failure::refused(Kind::TooMany, say)
        })
    }

    /// Chance that stays the same over restarts, made at the first one.
    pub async fn decoy_secret(&self) -> Result<[u8; 32], Failure> {
        if let Some(kept) = org::decoy_secret(&*self.db)? {
            return Ok(kept.0);
        }
        let secret = chance()?;
        let mut batch = Batch::new();
        org::keep_decoy_secret(&mut batch, &org::DecoySecret(secret))?;
        self.db.commit(batch).await?;
        Ok(secret)
    }

    /// The user a login stands for, if there is one who may log in.
    pub fn principal(&self, login: &LoginName) -> Result<Option<Principal>, Failure> {
        let Some((organisation, user)) = self.find(login)? else {
            return Ok(None);
        };
        let tenant = organisation.tenant.id;
        let may = organisation.tenant.life.may_read() && organisation.tenant.life != TenantLife::Suspended;
        Ok(may.then(|| Principal {
            tenant,
            user: user.id,
            login: login.clone(),
            from: Origin::Inside,
        }))
    }

    /// Whether the user may come in by a door, or stay: asked after he has proved who he is, and again as he goes on.
    pub fn check_door(&self, by: &Principal, door: Door) -> Result<(), Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let user = organisation.users.get(&by.user);
        let stands = organisation.tenant.life.may_read() && organisation.tenant.life != TenantLife::Suspended;
        if !stands {
            let say = "this account is suspended or closed; ask your provider";
            return Err(Failure::refused(Kind::AccountClosed, say));
        }
        let open = user.filter(|u| !u.removed).is_some_and(|u| match door {
            Door::Imap => u.doors.imap,
            Door::Smtp => u.doors.smtp,
        });
        if open {
            return Ok(());
        }
        let say = format!(
            "you may not use {}; ask your account's administrator",
            door.name()
        );
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// A user has come in by a door.
    pub fn came_in(&self, now: UtcTime, by: &Principal, door: Door) {
        self.pace.succeeded(by.from, &by.login);
        self.visits.came_in(now, by, door.route());
    }

    /// Whether a user who has proved who he is may come in by a door now.
    pub fn check_login(&self, now: UtcTime, by: &Principal, door: Door) -> Result<(), Failure> {
        let checked = self.check_door(by, door);
        if let Err(Failure::Refused(_)) = &checked {
            self.visits.turned_away(now, by, door.route());
        }
        checked
    }

    /// A login failed. `None`: what was given is no login at all, or nobody's secret was guessed at.
    pub fn not_let_in(&self, now: UtcTime, from: Origin, attempt: Option<&LoginName>, door: Door) {
        self.pace.failed(now, from, attempt);
        // What cannot be looked up now is counted as nobody's.
        let found = attempt.and_then(|login| self.find(login).ok().flatten());
        let whom = found.map(|(organisation, user)| (organisation.tenant.id, user.id));
        let named = attempt.map(|name| match whom {
            Some(_) => name.to_string(),
            None => self.strangers.word(name),
        });
        let login = named.as_deref().unwrap_or("(none)");
        match from {
            Origin::Network(address) => tracing::warn!(login, %address, "login failed"),
            Origin::Inside | Origin::Process(_) => tracing::warn!(login, "login failed"),
        }
        self.visits
            .failed(now, from, door.route(), named.as_deref(), whom);
    }

    /// Writes what was counted at the doors; `all`: also what would wait for the end of its hour. Gives how many records.
    pub async fn tell_visits(&self, now: UtcTime, all: bool) -> Result<usize, Failure> {
        let mut told = 0;
        loop {
            let drafts = self.visits.due(now, all);
            if drafts.is_empty() {
                return Ok(told);
            }
            let mut batch = Batch::new();
            for (nth, draft) in (0u32..).zip(&drafts) {
                audit::append(&mut batch, draft.tenant(), nth, &draft.record())?;
            }
            self.db.commit(batch).await?;
            self.visits.told(&drafts);
            told += drafts.len();
        }
    }

    fn find(&self, login: &LoginName) -> Result<Option<(Arc<Organisation>, User)>, Failure> {
        let Some(tenant) = tenants::by_name(&*self.db, login.realm())? else {
            return self.find_by_address(login);
        };
        let organisation = self.organisations.of(tenant)?;
        let user = organisation.user_by_name(login.user()).cloned();
        Ok(user.map(|u| (organisation, u)))
    }

    /// A tenant with one user may also log in with its KEP address.
    fn find_by_address(&self, login: &LoginName) -> Result<Option<(Arc<Organisation>, User)>, Failure> {
        let Some(address) = login.as_kep_address() else {
            return Ok(None);
        };
        let Some(organisation) = self.organisations.by_address(&address)? else {
            return Ok(None);
        };
        let mut users = organisation.users.values().filter(|u| !u.removed).cloned();
        let only = users.next().filter(|_| users.next().is_none());
        Ok(only.map(|u| (organisation.clone(), u)))
    }

    /// Checks a password. `None`: no such user, or not his password; never told which.
    pub async fn check_password(
        &self,
        login: &LoginName,
        password: Secret,
    ) -> Result<Option<Principal>, Failure> {
        let principal = self.principal(login)?;
        let stored = match &principal {
            Some(p) => org::credentials(&*self.db, p.tenant, p.user)?.map(|c| c.argon2id),
            None => None,
        };
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let _queueing = self
            .queueing
            .try_acquire()
            .map_err(|_| Failure::Unavailable("too many logins at once".into()))?;
        let _permit = self
            .hashing
            .acquire()
            .await
            .map_err(|e| Failure::Broken(e.to_string()))?;
        let rooms = self.rooms.clone();
        let check = move || rooms.lend(|room| is_password(&stored, password.expose().as_bytes(), room));
        let holds = tokio::task::spawn_blocking(check)
            .await
            .map_err(|e| Failure::Broken(e.to_string()))?;
        Ok(principal.filter(|_| holds && known))
    }

    /// The SCRAM verifier of a login; `None` when there is none (the caller plays on with a decoy).
    pub fn scram_verifier(&self, login: &LoginName) -> Result<Option<ScramVerifier>, Failure> {
        let Some(principal) = self.principal(login)? else {
            return Ok(None);
        };
        let Some(credentials) = org::credentials(&*self.db, principal.tenant, principal.user)? else {
            return Ok(None);
        };
        let verifier = postcard::from_bytes(&credentials.scram_sha256);
        verifier
            .map(Some)
            .map_err(|e| Failure::Broken(format!("unreadable SCRAM verifier: {e}")))
    }

    /// Sets a user's password. That it was set, and by whom, is on the audit record; the password is nowhere.
    pub async fn set_password(
        &self,
        by: &Author,
        tenant: TenantId,
        user: UserId,
        password: Secret,
    ) -> Result<(), Failure> {
        check_password_text(password.expose())?;
        let _permit = self
            .hashing
            .acquire()
            .await
            .map_err(|e| Failure::Broken(e.to_string()))?;
        let credentials = tokio::task::spawn_blocking(move || make_credentials(&password))
            .await
            .map_err(|e| Failure::Broken(e.to_string()))??;
        self.organisations
            .by(by)
            .set_credentials(tenant, user, &credentials)
            .await
    }
}

/// Whether a text may be a password at all.
pub fn check_password_text(text: &str) -> Result<(), Failure> {
    let usable = text.chars().count() >= PASSWORD_MIN_CHARS && !text.contains('\0');
    if !usable || text.len() > PASSWORD_MAX_OCTETS {
        let say = format!(
            "a password has at least {PASSWORD_MIN_CHARS} characters and at most {PASSWORD_MAX_OCTETS} octets of UTF-8"
        );
        return Err(Failure::refused(Kind::Invalid, say));
    }
    Ok(())
}

fn make_credentials(password: &Secret) -> Result<Credentials, Failure> {
    let verifier = ScramVerifier::derive(password, &salt()?, ITERATIONS_DEFAULT)
        .ok_or_else(|| Failure::Broken("a SCRAM verifier could not be derived".into()))?;
    let scram_sha256 = postcard::to_stdvec(&verifier).map_err(|e| Failure::Broken(e.to_string()))?;
    Ok(Credentials {
        argon2id: hash(password.expose().as_bytes())?,
        scram_sha256,
    })
}

fn hash(password: &[u8]) -> Result<String, Failure> {
    let broken = |e: &dyn std::fmt::Display| Failure::Broken(format!("argon2: {e}"));
    let (params, mut room) = (Params::default(), Vec::new());
    let salt = Salt::new(&salt()?).map_err(|e| broken(&e))?;
    let phc = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|e| broken(&e))?,
        salt: Some(salt),
        hash: Some(
            derive(password, &salt, params, Params::DEFAULT_OUTPUT_LEN, &mut room).map_err(|e| broken(&e))?,
        ),
    };
    Ok(phc.to_string())
}

/// Whether the stored hash is of this password. Outputs are compared in constant time.
fn is_password(stored: &str, password: &[u8], room: &mut Vec<Block>) -> bool {
    let Ok(phc) = PasswordHash::new(stored) else {
        return false;
    };
    let (Ok(params), Some(salt), Some(hash)) = (Params::try_from(&phc), &phc.salt, &phc.hash) else {
        return false;
    };
    phc.algorithm == ARGON2ID_IDENT
        && phc.version == Some(Version::V0x13.into())
        && derive(password, salt, params, hash.len(), room).is_ok_and(|derived| derived == *hash)
}

/// Argon2id. What the room holds does not matter: the first pass writes all of it (RFC 9106 3.2).
fn derive(
    password: &[u8],
    salt: &[u8],
    params: Params,
    octets: usize,
    room: &mut Vec<Block>,
) -> argon2::Result<Output> {
    room.resize(params.block_count(), Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..octets).ok_or(argon2::Error::OutputTooLong)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, output, &mut *room)?;
    Output::new(output).map_err(|_| argon2::Error::OutputTooShort)
}

fn chance() -> Result<[u8; 32], Failure> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| Failure::Unavailable("no entropy".into()))?;
    Ok(secret)
}

fn salt() -> Result<[u8; SALT_OCTETS], Failure> {
    let mut salt = [0; SALT_OCTETS];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Failure::Unavailable("no entropy".into()))?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    #[test]
    fn hashes_are_those_of_argon2id_both_ways() {
        let ours = hash("doğru at pil".as_bytes()).unwrap();
        let phc = PasswordHash::new(&ours).unwrap();
        assert!(
            Argon2::default()
                .verify_password("doğru at pil".as_bytes(), &phc)
                .is_ok()
        );
        let theirs = Argon2::default()
            .hash_password_with_salt("doğru at pil".as_bytes(), &[7; SALT_OCTETS])
            .unwrap()
            .to_string();
        // One room after the other use of it, as logins do.
        let mut room = Vec::new();
        let mut is_password =
            |stored: &str, password: &str| is_password(stored, password.as_bytes(), &mut room);
        assert!(is_password(&theirs, "doğru at pil"));
        assert!(is_password(&ours, "doğru at pil"));
        assert!(!is_password(&ours, "doğru at pill"));
        assert!(is_password(&ours, "doğru at pil"));
        assert!(!is_password("$argon2id$v=19$m=19456", "doğru at pil"));
        assert_ne!(ours, hash("doğru at pil".as_bytes()).unwrap(), "the salt is new");
    }

    #[tokio::test]
    async fn a_flood_of_logins_is_asked_to_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let probe = Arc::new(crate::store::probe::NoProbe);
        let engine = crate::store::db::EngineKind::Fjall;
        let db = crate::store::db::open(engine, folder.path(), probe).unwrap();
        let clock = Arc::new(crate::clock::ManualClock::at(crate::clock::UtcTime::default()));
        let bells = crate::service::bell::Bells::default();
        let organisations = Arc::new(Organisations::new(db.clone(), clock, bells));
        let accounts = Accounts::new(db, organisations).unwrap();
        let login = "kimse@yok".parse().unwrap();
        let guess = || accounts.check_password(&login, Secret::new("yanlis parola".to_owned()));
        let waiting = accounts
            .queueing
            .acquire_many(HASHING_WAITING_MAX as u32 + 1)
            .await
            .unwrap();
        assert_eq!(guess().await.unwrap(), None, "one more may come");
        let last = accounts.queueing.acquire().await.unwrap();
        assert!(matches!(guess().await, Err(Failure::Unavailable(_))));
        drop((waiting, last));
        assert_eq!(guess().await.unwrap(), None);
    }
}
