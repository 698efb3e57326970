//! Keys in a SoftHSM token. The module finds its configuration by the environment, which belongs to a whole process: each
//! test starts itself once more as a child that has a token of its own.

use super::judges::{entity_is_accepted_from, evidence_is_accepted_from};
use super::*;
use crate::cms::DigestAlgorithm;
use crate::seal::KeyError;
use crate::seal::key::{Manner, RsaPadding};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::SessionState;
use cryptoki::slot::Slot;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "kanarya-4711";
/// Names the folder of the child's token.
const HOME: &str = "KEPD_TEST_TOKEN";

/// Runs `work` with a token labelled `kep` that has nothing but a PIN, in a child process of its own. `test` is the name
/// of the calling test.
fn with_token(test: &str, work: impl FnOnce(&Home)) {
    if let Some(folder) = std::env::var_os(HOME) {
        return work(&Home(folder.into()));
    }
    let folder = tempfile::tempdir().unwrap();
    let home = Home(folder.path().to_owned());
    std::fs::create_dir(home.0.join("tokens")).unwrap();
    let conf = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        home.0.join("tokens").display()
    );
    std::fs::write(home.conf(), conf).unwrap();
    home.write_pin(PIN);
    home.util(&[
        "--init-token",
        "--free",
        "--label",
        "kep",
        "--pin",
        PIN,
        "--so-pin",
        "kanarya-so",
    ]);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([&format!("seal::tests::tokens::{test}"), "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", home.conf())
        .env(HOME, &home.0);
    let words = run(&mut child);
    assert!(words.contains("1 passed"), "{words}");
}

struct Home(PathBuf);

impl Home {
    fn conf(&self) -> PathBuf {
        self.0.join("softhsm2.conf")
    }

    fn pin_file(&self) -> PathBuf {
        self.0.join("pin")
    }

    fn write_pin(&self, pin: &str) {
        std::fs::write(self.pin_file(), format!("{pin}\n")).unwrap();
        std::fs::set_permissions(self.pin_file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn util(&self, args: &[&str]) {
        run(Command::new("softhsm2-util")
            .env("SOFTHSM2_CONF", self.conf())
            .args(args));
    }

    /// Puts the seal's key of `pki` on the token.
    fn import(&self, pki: &DevPki, label: &str, id: &str) {
        let file = self.0.join("import.pem");
        std::fs::write(&file, pki.seal.key_pem.as_bytes()).unwrap();
        self.util(&[
            "--import",
            file.to_str().unwrap(),
            "--token",
            "kep",
            "--label",
            label,
            "--id",
            id,
            "--pin",
            PIN,
        ]);
        std::fs::remove_file(&file).unwrap();
    }

    fn uri(&self, object: &str) -> PathBuf {
        let pin = self.pin_file();
        format!(
            "pkcs11:token=kep;object={object}?module-path={MODULE}&pin-source=file:{}",
            pin.display()
        )
        .into()
    }
}

fn house_of(home: &Home, algorithm: KeyAlgorithm) -> House {
    let pki = pki(algorithm);
    home.import(&pki, "seal", "01");
    let key = SealKey::load(&home.uri("seal")).unwrap();
    let transport = LocalTransport::new(authority(&pki), Arc::new(ManualClock::at(now())), 1);
    house_with_key(pki, key, transport)
}

fn slot(module: &Pkcs11) -> Slot {
    module.get_slots_with_initialized_token().unwrap()[0]
}

fn log_out(module: &Pkcs11) {
    let session = module.open_ro_session(slot(module)).unwrap();
    session.logout().unwrap();
}

fn restart(module: &Pkcs11) {
    module.clone().finalize().unwrap();
    let how = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    module.initialize(how).unwrap();
}

fn block_on(work: impl Future) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}

#[test]
fn what_a_token_seals_with_p256_is_accepted_by_every_judge() {
    with_token(
        "what_a_token_seals_with_p256_is_accepted_by_every_judge",
        |home| {
            let house = house_of(home, KeyAlgorithm::P256);
            block_on(async {
                evidence_is_accepted_from(&house).await;
                entity_is_accepted_from(&house).await;
            });
        },
    );
}

#[test]
fn what_a_token_seals_with_rsa_is_accepted_by_every_judge() {
    with_token("what_a_token_seals_with_rsa_is_accepted_by_every_judge", |home| {
        let house = house_of(home, KeyAlgorithm::Rsa3072);
        block_on(async {
            evidence_is_accepted_from(&house).await;
            entity_is_accepted_from(&house).await;
        });
    });
}

/// P-384 and every digest and padding of RSA, by one token.
#[test]
fn what_a_token_seals_in_other_manners_is_accepted_by_every_judge() {
    with_token(
        "what_a_token_seals_in_other_manners_is_accepted_by_every_judge",
        |home| {
            let rsa = |digest, rsa_padding| {
                let digest = Some(digest);
                (KeyAlgorithm::Rsa3072, Manner { digest, rsa_padding })
            };
            let manners = [
                (KeyAlgorithm::P384, Manner::default()),
                rsa(DigestAlgorithm::Sha384, RsaPadding::Pkcs1),
                rsa(DigestAlgorithm::Sha512, RsaPadding::Pkcs1),
                rsa(DigestAlgorithm::Sha256, RsaPadding::Pss),
                rsa(DigestAlgorithm::Sha512, RsaPadding::Pss),
            ];
            for (number, (algorithm, manner)) in manners.into_iter().enumerate() {
                let pki = pki(algorithm);
                let label = format!("seal-{number}");
                home.import(&pki, &label, &format!("0{number}"));
                let key = SealKey::load(&home.uri(&label)).unwrap().signing(manner).unwrap();
                let clock = Arc::new(ManualClock::at(now()));
                let transport = LocalTransport::new(authority(&pki), clock, 1);
                let house = house_with_key(pki, key, transport);
                block_on(async {
                    evidence_is_accepted_from(&house).await;
                    entity_is_accepted_from(&house).await;
                });
            }
        },
    );
}

#[test]
fn many_sign_at_once_and_sessions_that_are_lost_come_back() {
    with_token("many_sign_at_once_and_sessions_that_are_lost_come_back", |home| {
        let house = house_of(home, KeyAlgorithm::P256);
        let sealer = Arc::new(house.sealer);
        // The same module and its sessions: of the whole process, so of the sealer's threads too.
        let module = Pkcs11::new(MODULE).unwrap();
        block_on(async {
            for round in 0..4 {
                let mut sealing = tokio::task::JoinSet::new();
                for n in 0..200u8 {
                    let sealer = sealer.clone();
                    sealing.spawn(async move { sealer.sign_entity([n; 32], now()).await });
                }
                while let Some(sealed) = sealing.join_next().await {
                    sealed.unwrap().unwrap();
                }
                match round {
                    // As when somebody else logs out: nobody of this process is logged in any more.
                    0 => log_out(&module),
                    // As when the token was pulled and came back: every handle is invalid.
                    1 => restart(&module),
                    // As when the module was ended under us.
                    2 => module.clone().finalize().unwrap(),
                    _ => {}
                }
            }
        });
    });
}

#[test]
fn a_token_that_is_away_delays_and_its_return_mends() {
    with_token("a_token_that_is_away_delays_and_its_return_mends", |home| {
        let house = house_of(home, KeyAlgorithm::P256);
        let (here, away) = (home.0.join("tokens"), home.0.join("away"));
        let module = Pkcs11::new(MODULE).unwrap();
        let pull = || module.clone().finalize().unwrap();
        block_on(async {
            house.sealer.sign_entity([1; 32], now()).await.unwrap();
            rustix::fs::rename(&here, &away).unwrap();
            std::fs::create_dir(&here).unwrap();
            pull();
            let failure = house.sealer.sign_entity([1; 32], now()).await.unwrap_err();
            assert!(
                matches!(&failure, SealError::Unavailable(why) if why.contains("token")),
                "{failure:?}"
            );
            std::fs::remove_dir(&here).unwrap();
            rustix::fs::rename(&away, &here).unwrap();
            pull();
            house.sealer.sign_entity([1; 32], now()).await.unwrap();
        });
    });
}

#[test]
fn a_wrong_pin_is_tried_once_and_never_again() {
    with_token("a_wrong_pin_is_tried_once_and_never_again", |home| {
        let house = house_of(home, KeyAlgorithm::P256);
        let module = Pkcs11::new(MODULE).unwrap();
        let is_low = || module.get_token_info(slot(&module)).unwrap().user_pin_count_low();
        assert!(!is_low());
        home.write_pin("yanlis-pin");
        log_out(&module);
        block_on(async {
            for _ in 0..8 {
                let failure = house.sealer.sign_entity([1; 32], now()).await.unwrap_err();
                assert!(
                    matches!(&failure, SealError::Broken(why) if why.contains("PIN")),
                    "{failure:?}"
                );
            }
        });
        assert!(is_low());
        // Neither does a new start try it, nor a right one: the token has to be looked at.
        for pin in ["yanlis-pin", PIN] {
            home.write_pin(pin);
            let refused = SealKey::load(&home.uri("seal")).unwrap_err();
            assert!(
                matches!(&refused, KeyError::Pin(why) if why.contains("last PIN")),
                "{refused}"
            );
        }
        let session = module.open_ro_session(slot(&module)).unwrap();
        let pin = cryptoki::types::AuthPin::new(PIN.into());
        session
            .login(cryptoki::session::UserType::User, Some(&pin))
            .unwrap();
        assert!(SealKey::load(&home.uri("seal")).is_ok());
    });
}

/// Who closes his last session is logged out (PKCS #11 2.40 5.6.2): so the login tells whether a thread is still at it.
#[test]
fn who_gives_a_key_up_has_waited_for_its_sessions() {
    with_token("who_gives_a_key_up_has_waited_for_its_sessions", |home| {
        let pki = pki(KeyAlgorithm::P256);
        home.import(&pki, "seal", "01");
        let key = SealKey::load(&home.uri("seal")).unwrap();
        let module = Pkcs11::new(MODULE).unwrap();
        let state = || {
            let session = module.open_ro_session(slot(&module)).unwrap();
            session.get_session_info().unwrap().session_state()
        };
        // Many at once, so that not only the first thread has a session.
        std::thread::scope(|scope| {
            for n in 0..16u8 {
                let key = &key;
                scope.spawn(move || key.sign(&[n]).unwrap());
            }
        });
        assert_eq!(state(), SessionState::RoUser);
        drop(key);
        assert_eq!(state(), SessionState::RoPublic);
    });
}

#[test]
fn what_the_uri_does_not_fit_is_refused_with_its_reason() {
    with_token("what_the_uri_does_not_fit_is_refused_with_its_reason", |home| {
        let (one, other) = (pki(KeyAlgorithm::P256), pki(KeyAlgorithm::P256));
        home.import(&one, "seal", "01");
        home.import(&other, "seal", "02");
        let load = |uri: &str| SealKey::load(Path::new(uri)).map_err(|e| e.to_string());
        let pin = home.pin_file();
        let tail = format!("?module-path={MODULE}&pin-source=file:{}", pin.display());
        for (uri, why) in [
            (
                format!("pkcs11:token=kep;object=seal{tail}"),
                "several private keys",
            ),
            (format!("pkcs11:token=kep;object=other{tail}"), "no private key"),
            (format!("pkcs11:token=kap;object=seal{tail}"), "no such token"),
            (
                format!("pkcs11:token=kep;object=seal?module-path={MODULE}"),
                "no pin-source",
            ),
            (
                format!(
                    "pkcs11:token=kep;object=seal?module-path=/nonexistent.so&pin-source={}",
                    pin.display()
                ),
                "/nonexistent.so",
            ),
            (
                "pkcs11:token=kep;object=seal?module-path=x.so".to_owned(),
                "module-path=",
            ),
        ] {
            let said = load(&uri).unwrap_err();
            assert!(said.contains(why), "{uri}: {said}");
        }
        // The PIN of a file that others may read is not used.
        let mode = |mode| std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let said = load(&format!("pkcs11:token=kep;id=%02{tail}"));
        assert!(said.is_err_and(|why| why.contains("644")));
        mode(0o600);
        let first = load(&format!("pkcs11:token=kep;object=seal;id=%01{tail}")).unwrap();
        first.check_belongs_to(&one.seal.certificate().unwrap()).unwrap();
        assert!(matches!(
            first.check_belongs_to(&other.seal.certificate().unwrap()),
            Err(KeyError::Mismatch)
        ));
    });
}
