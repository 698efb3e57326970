//! A private key in a token (PKCS #11 2.40): threads with a session each, fed by one bounded queue.
//!
//! A session belongs to one thread at a time, so a handful of threads sign, and whoever wants a signature waits for an
//! answer, never for a session. A session that is lost (the token was pulled, the device failed, somebody logged us out)
//! is opened anew and the signature asked for once more; then the token counts as away, and what is owed stays owed. A
//! PIN that was not taken is never tried again, nor is one tried while the token itself says that the last try failed:
//! the next could lock it, and restarts would do it alone. The PIN is read for each login and not kept by us.
//!
//! Digests are made here; the token signs them (CKM_ECDSA, CKM_RSA_PKCS, CKM_RSA_PKCS_PSS). Not here: keys that ask for the PIN at each
//! signature (CKA_ALWAYS_AUTHENTICATE), making keys, and writing to a token.

use super::file::read_private;
use super::uri::TokenUri;
use super::{KeyError, KeyKind, RSA_OCTETS, ecdsa_der};
use crate::cms::{ContentDigest, DigestAlgorithm, SignatureAlgorithm, der};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Limit, Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use std::convert::Infallible;
use std::ffi::c_ulong;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Sessions, and threads: a network HSM signs some at once, a card one; more would only wait inside the device.
const THREADS: usize = 4;
/// Signatures that wait for a thread: all that the notary and the dispatch station seal at once. More have to ask again.
const WAITING_MAX: usize = 64;
/// For how long a signature is waited for: a card takes a second for RSA, and a queue of them some more.
const SIGNING_MAX: Duration = Duration::from_secs(30);
/// For how long closed sessions are waited for when a key is given up; a token that hangs does not hold up an end longer.
const CLOSING_MAX: Duration = Duration::from_secs(5);
/// The longest PIN taken; tokens allow less.
const PIN_MAX_OCTETS: usize = 255;
/// secp256r1, as CKA_EC_PARAMS has it: the DER of its OID.
const P256_PARAMS: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// The same of secp384r1.
const P384_PARAMS: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// A key in a token. Its threads end when it is dropped, and who drops it waits for that: a thread that is still inside
/// the module when the process ends would find there what is torn down already, and the process would die of it.
pub(super) struct TokenKey {
    kind: KeyKind,
    token: Arc<Token>,
    /// As many as may wait; so the queue is never found full by who holds a seat.
    seats: Arc<Semaphore>,
    /// Goes before the threads (fields are dropped in their order): they end when nobody can hand in any more.
    jobs: SyncSender<Job>,
    _threads: Threads,
}

/// The threads with the sessions.
struct Threads {
    running: Vec<JoinHandle<()>>,
    /// Nothing is ever said here: it is closed by the last thread that ends. In a mutex, as keys are shared.
    ended: Mutex<Receiver<Infallible>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(CLOSING_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the token does not let its sessions be closed; they are left to it");
            return;
        }
        for thread in self.running.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

struct Job {
    algorithm: SignatureAlgorithm,
    digest: ContentDigest,
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<Vec<u8>, KeyError>) + Send>;

impl TokenKey {
    /// Finds the token, logs in, finds the key, and starts the threads. Blocks.
    pub fn open(uri: TokenUri) -> Result<Self, KeyError> {
        let module = Pkcs11::new(&uri.module_path)
            .map_err(|e| KeyError::Token(format!("the module {}: {e}", uri.module_path.display())))?;
        let token = Arc::new(Token {
            uri,
            module,
            refused: Mutex::new(None),
            generation: RwLock::new(0),
        });
        let first = token.open(0)?;
        let (kind, threads) = (first.kind, first.sessions_max.clamp(1, THREADS));
        // One place more than there are seats, for who asks without one.
        let (jobs, queue) = sync_channel(WAITING_MAX + 1);
        let queue = Arc::new(Mutex::new(queue));
        let (alive, ended) = sync_channel(0);
        let mut running = Vec::with_capacity(threads);
        let mut first = Some(first);
        for number in 0..threads {
            let mut worker = Worker {
                token: token.clone(),
                kind,
                open: first.take(),
            };
            let (queue, alive) = (queue.clone(), alive.clone());
            let thread = std::thread::Builder::new().name(format!("token-{number}"));
            running.push(thread.spawn(move || {
                worker.run(&queue);
                drop(alive);
            })?);
        }
        Ok(Self {
            kind,
            token,
            seats: Arc::new(Semaphore::new(WAITING_MAX)),
            jobs,
            _threads: Threads {
                running,
                ended: Mutex::new(ended),
            },
        })
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its signatures are not what they should be: its sessions are not used any more.
    pub fn distrust(&self) {
        let mut now = self
            .token
            .generation
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *now += 1;
    }

    /// Signs by one of the algorithms of its kind; ECDSA in DER. Blocks.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (tell, told) = sync_channel(1);
        let answer: Answer = Box::new(move |done| {
            // Who asked may have given up.
            let _ = tell.send(done);
        });
        self.hand_in(algorithm, message, answer)?;
        told.recv_timeout(SIGNING_MAX).unwrap_or_else(|_| Err(silent()))
    }

    /// The same, for who must not block.
    pub async fn sign_apart(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let signing = async {
            let seat = self.seats.clone().acquire_owned().await;
            let seat = seat.map_err(|_| silent())?;
            let (tell, told) = oneshot::channel();
            let answer: Answer = Box::new(move |done| {
                drop(seat);
                let _ = tell.send(done);
            });
            self.hand_in(algorithm, message, answer)?;
            told.await.unwrap_or_else(|_| Err(silent()))
        };
        let signed = tokio::time::timeout(SIGNING_MAX, signing).await;
        signed.unwrap_or_else(|_| Err(silent()))
    }

    fn hand_in(&self, algorithm: SignatureAlgorithm, message: &[u8], answer: Answer) -> Result<(), KeyError> {
        let handed = self.jobs.try_send(Job {
            algorithm,
            digest: ContentDigest::of(algorithm.digest_algorithm(), message),
            answer,
        });
        handed.map_err(|_| KeyError::Unavailable("too many signatures wait for it".to_owned()))
    }
}

fn silent() -> KeyError {
    KeyError::Unavailable("no answer in time".to_owned())
}

/// One thread with its session.
struct Worker {
    token: Arc<Token>,
    kind: KeyKind,
    open: Option<Open>,
}

/// A session that is logged in, and the key in it.
struct Open {
    session: Session,
    key: ObjectHandle,
    kind: KeyKind,
    sessions_max: usize,
    /// Which of [`Token::generation`] it is of.
    generation: u64,
}

impl Worker {
    fn run(&mut self, queue: &Mutex<Receiver<Job>>) {
        loop {
            // One thread waits for the next job, the others for their turn to wait.
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else {
                break;
            };
            (job.answer)(self.sign(job.algorithm, &job.digest));
        }
        if let Some(open) = self.open.take() {
            open.close();
        }
    }

    fn sign(&mut self, algorithm: SignatureAlgorithm, digest: &ContentDigest) -> Result<Vec<u8>, KeyError> {
        let mut again = true;
        loop {
            match self.try_sign(algorithm, digest) {
                Some(Ok(signature)) => return Ok(signature),
                Some(Err(Trouble::Call(error))) if again && is_lost(&error) => {
                    tracing::warn!(%error, "the session with the token is lost; opening another");
                    again = false;
                    self.let_go(is_gone(&error));
                }
                Some(Err(trouble)) => {
                    self.let_go(false);
                    return Err(trouble.into());
                }
                None => self.open_anew()?,
            }
        }
    }

    /// None when there is no session of the present generation.
    fn try_sign(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &ContentDigest,
    ) -> Option<Result<Vec<u8>, Trouble>> {
        // Nobody opens a session while others sign: see `Token::generation`.
        let generation = self
            .token
            .generation
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let open = self.open.as_ref().filter(|o| o.generation == *generation)?;
        Some(open.sign(algorithm, digest))
    }

    /// Gives up a session; `gone` when there is none any more behind its handle, nor behind anybody else's.
    fn let_go(&mut self, gone: bool) {
        let Some(open) = self.open.take() else {
            return;
        };
        if gone {
            self.token.lose(open.generation);
        } else {
            open.close();
        }
    }

    fn open_anew(&mut self) -> Result<(), KeyError> {
        let generation = self
            .token
            .generation
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // One of an earlier generation is forgotten, not closed: its handle may be another's by now.
        self.open = None;
        let open = self.token.open(*generation)?;
        if open.kind != self.kind {
            open.close();
            return Err(KeyError::Token("it has another kind of key now".to_owned()));
        }
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn close(self) {
        // A session that cannot be closed is not there.
        let _ = self.session.close();
    }

    fn sign(&self, algorithm: SignatureAlgorithm, digest: &ContentDigest) -> Result<Vec<u8>, Trouble> {
        let sign = |mechanism: &Mechanism<'_>, octets: &[u8]| self.session.sign(mechanism, self.key, octets);
        match algorithm {
            SignatureAlgorithm::Ecdsa(_) => {
                // PKCS #11 2.40 (mechanisms) 2.3.6: the digest in, r||s out.
                let fixed = sign(&Mechanism::Ecdsa, digest.octets())?;
                ecdsa_der(&fixed).ok_or(Trouble::Key(KeyError::Signing))
            }
            SignatureAlgorithm::Rsa(_) => Ok(sign(&Mechanism::RsaPkcs, &digest_info(digest))?),
            // 2.1.10: the digest in.
            SignatureAlgorithm::RsaPss(_) => {
                let mechanism = Mechanism::RsaPkcsPss(pss_parameters(digest.algorithm()));
                Ok(sign(&mechanism, digest.octets())?)
            }
        }
    }
}

/// DigestInfo (RFC 8017 9.2, note 1).
fn digest_info(digest: &ContentDigest) -> Vec<u8> {
    let oid = der::tlv(der::OID, &[digest.algorithm().oid()]);
    let algorithm = der::sequence(&[&oid, &[der::NULL, 0]]);
    der::sequence(&[&algorithm, &der::tlv(der::OCTET_STRING, &[digest.octets()])])
}

/// As `cms` writes them beside the signature: MGF1 over the same digest, a salt of its length.
fn pss_parameters(digest: DigestAlgorithm) -> PkcsPssParams {
    let (hash_alg, mgf, salt_octets): (_, _, c_ulong) = match digest {
        DigestAlgorithm::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        DigestAlgorithm::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        DigestAlgorithm::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams {
        hash_alg,
        mgf,
        s_len: salt_octets.into(),
    }
}

/// The token as it was configured.
struct Token {
    uri: TokenUri,
    module: Pkcs11,
    /// Why the PIN was not taken. Held during a login, so that one wrong PIN is tried once and not by every thread.
    refused: Mutex<Option<String>>,
    /// Counts how often all sessions were lost. A token gives the handles of sessions that are gone to new ones, so
    /// nobody may use a handle of an earlier generation. Read while signing, written while opening a session.
    generation: RwLock<u64>,
}

impl Token {
    /// All sessions of this generation are gone.
    fn lose(&self, generation: u64) {
        let mut now = self.generation.write().unwrap_or_else(PoisonError::into_inner);
        if *now == generation {
            *now += 1;
        }
    }

    /// A new session, logged in, with the key. The slot is looked for each time: a token that comes back may have
    /// another.
    fn open(&self, generation: u64) -> Result<Open, KeyError> {
        self.try_open(generation).map_err(KeyError::from)
    }

    fn try_open(&self, generation: u64) -> Result<Open, Trouble> {
        // Once for each process and module; another key may have done it already.
        match self
            .module
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(other) => return Err(other.into()),
        }
        let (slot, info) = self.slot()?;
        // It is closed by us, when we know that it is still ours.
        let session = self.module.open_ro_session_no_drop(slot)?;
        match self.found(&session, slot, &info) {
            Ok((key, kind)) => Ok(Open {
                session,
                key,
                kind,
                sessions_max: match info.max_session_count() {
                    Limit::Max(most) => usize::try_from(most).unwrap_or(THREADS),
                    Limit::Unavailable | Limit::Infinite => THREADS,
                },
                generation,
            }),
            Err(trouble) => {
                let _ = session.close();
                Err(trouble)
            }
        }
    }

    fn found(
        &self,
        session: &Session,
        slot: Slot,
        info: &TokenInfo,
    ) -> Result<(ObjectHandle, KeyKind), Trouble> {
        if info.login_required() {
            self.log_in(session, slot)?;
        }
        let key = self.key(session)?;
        Ok((key, kind_of(session, key)?))
    }

    /// The one slot whose token is the named one.
    fn slot(&self) -> Result<(Slot, TokenInfo), Trouble> {
        let mut found = None;
        for slot in self.module.get_slots_with_token()? {
            let Ok(info) = self.module.get_token_info(slot) else {
                continue; // pulled out this moment, or not readable
            };
            let is =
                |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has.trim_end());
            let fits = is(&self.uri.token, info.label())
                && is(&self.uri.serial, info.serial_number())
                && is(&self.uri.manufacturer, info.manufacturer_id())
                && is(&self.uri.model, info.model());
            if fits && found.replace((slot, info)).is_some() {
                let why = "two tokens are named alike; add serial= to the URI".to_owned();
                return Err(KeyError::Token(why).into());
            }
        }
        let away = || KeyError::Unavailable("no such token is plugged in".to_owned());
        found.ok_or_else(|| away().into())
    }

    fn log_in(&self, session: &Session, slot: Slot) -> Result<(), Trouble> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*refused {
            return Err(KeyError::Pin(why.clone()).into());
        }
        // A login is the whole process's (PKCS #11 2.40 5.6): another thread may have done it.
        let state = session.get_session_info()?.session_state();
        if matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Ok(());
        }
        let info = self.module.get_token_info(slot)?;
        if info.user_pin_locked() {
            return Err(KeyError::Pin("the token is locked".to_owned()).into());
        }
        if info.user_pin_count_low() || info.user_pin_final_try() {
            let why =
                "the token says that the last PIN tried was wrong; log in to it once by another program"
                    .to_owned();
            return Err(KeyError::Pin(why).into());
        }
        let pin = match &self.uri.pin_source {
            Some(path) => Some(read_pin(path)?),
            None if info.protected_authentication_path() => None,
            None => {
                return Err(
                    KeyError::Token("it wants a PIN, and the URI has no pin-source=".to_owned()).into(),
                );
            }
        };
        let logged_in = match &pin {
            Some(pin) => session.login_with_raw(UserType::User, pin),
            None => session.login(UserType::User, None),
        };
        match logged_in {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(error, _)) if is_of_the_pin(&error) => {
                tracing::error!(%error, "the token did not take the PIN; it is not tried again");
                let why = error.to_string();
                *refused = Some(why.clone());
                Err(KeyError::Pin(why).into())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The one private key that is named.
    fn key(&self, session: &Session) -> Result<ObjectHandle, Trouble> {
        let mut wanted = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
        wanted.extend(self.uri.object.clone().map(Attribute::Label));
        wanted.extend(self.uri.id.clone().map(Attribute::Id));
        match session.find_objects(&wanted)?.as_slice() {
            [key] => Ok(*key),
            [] => Err(KeyError::Token("it has no private key of that name".to_owned()).into()),
            _ => Err(KeyError::Token(
                "it has several private keys of that name; add id= to the URI".to_owned(),
            )
            .into()),
        }
    }
}

fn kind_of(session: &Session, key: ObjectHandle) -> Result<KeyKind, Trouble> {
    let asked = [
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::Modulus,
    ];
    let (mut kind, mut params, mut modulus) = (None, None, None);
    for attribute in session.get_attributes(key, &asked)? {
        match attribute {
            Attribute::KeyType(k) => kind = Some(k),
            Attribute::EcParams(p) => params = Some(p),
            Attribute::Modulus(m) => modulus = Some(m),
            _ => {}
        }
    }
    if kind == Some(KeyType::EC) && params.is_none() {
        // Some tokens tell the curve of the public half only.
        params = curve_of_public_half(session, key)?;
    }
    match (kind, params, modulus) {
        // The certificate will say.
        (Some(KeyType::EC), None, _) => Ok(KeyKind::P256),
        (Some(KeyType::EC), Some(curve), _) if curve == P256_PARAMS => Ok(KeyKind::P256),
        (Some(KeyType::EC), Some(curve), _) if curve == P384_PARAMS => Ok(KeyKind::P384),
        (Some(KeyType::RSA), _, Some(n)) if RSA_OCTETS.contains(&n.len()) => Ok(KeyKind::Rsa),
        _ => Err(KeyError::Kind.into()),
    }
}

/// CKA_EC_PARAMS of the one public key with the same CKA_ID.
fn curve_of_public_half(session: &Session, key: ObjectHandle) -> Result<Option<Vec<u8>>, Trouble> {
    let mut wanted = session.get_attributes(key, &[AttributeType::Id])?;
    wanted.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
    let [public] = session.find_objects(&wanted)?[..] else {
        return Ok(None);
    };
    let told = session.get_attributes(public, &[AttributeType::EcParams])?;
    Ok(told.into_iter().find_map(|attribute| match attribute {
        Attribute::EcParams(curve) => Some(curve),
        _ => None,
    }))
}

/// Reads the PIN, to be forgotten after the login.
fn read_pin(path: &std::path::Path) -> Result<RawAuthPin, KeyError> {
    let mut octets = read_private(path)?;
    let end = octets.iter().rposition(|o| !matches!(o, b'\r' | b'\n'));
    octets.truncate(end.map_or(0, |at| at + 1));
    if octets.is_empty() || octets.len() > PIN_MAX_OCTETS {
        let why = format!("{} holds no PIN of 1 to {PIN_MAX_OCTETS} octets", path.display());
        return Err(KeyError::Token(why));
    }
    // Moved, not copied: what is left behind is an empty vector.
    Ok(RawAuthPin::new(Box::new(std::mem::take(&mut *octets))))
}

/// What goes wrong inside: a call of the module, or something we found.
enum Trouble {
    Call(Error),
    Key(KeyError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<KeyError> for Trouble {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<Trouble> for KeyError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Key(error) => error,
            Trouble::Call(error) if is_lost(&error) || is_busy(&error) => {
                Self::Unavailable(error.to_string())
            }
            Trouble::Call(error) => Self::Token(error.to_string()),
        }
    }
}

/// What the token answered, if it did.
fn code(error: &Error) -> Option<&RvError> {
    match error {
        Error::Pkcs11(code, _) => Some(code),
        _ => None,
    }
}

/// Whether another session may help.
fn is_lost(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::DeviceError
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::UserNotLoggedIn
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::OperationActive
                | RvError::OperationNotInitialized
                | RvError::CryptokiNotInitialized
                | RvError::GeneralError
                | RvError::FunctionFailed
        )
    )
}

/// Whether there is nothing any more behind the handles of this token's sessions.
fn is_gone(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::SlotIdInvalid
                | RvError::CryptokiNotInitialized
        )
    )
}

/// Whether waiting may help.
fn is_busy(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            RvError::HostMemory
                | RvError::DeviceMemory
                | RvError::SessionCount
                | RvError::FunctionCanceled
                | RvError::Cancel
        )
    )
}

fn is_of_the_pin(error: &RvError) -> bool {
    matches!(
        error,
        RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized
    )
}
