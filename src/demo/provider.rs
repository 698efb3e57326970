//! One provider of the demo: a folder made by `init`, a house built by the daemon, an administrator at its socket.

use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::control::Ports;
use crate::control::protocol::{PasswordText, PeerWord, Record, Reply, UserWord, Word};
use crate::daemon::{House, Surroundings};
use crate::init::{self, NewProvider};
use crate::kepctl;
use anyhow::{Context as _, bail};
use clap::Parser as _;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Password of the natural persons made by `--accounts`.
const PERSONS_PASSWORD: &str = "kepd-demo-parola";

pub(super) struct DemoProvider {
    pub domain: &'static str,
    pub dir: PathBuf,
    house: House,
    credentials: Mutex<Vec<Credential>>,
}

/// One login of the demo.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Credential {
    pub login: String,
    pub password: String,
    pub role: String,
    pub address: String,
}

/// A user to be made.
pub(super) struct NewLogin<'a> {
    pub login: &'a str,
    pub officer: bool,
    pub role: &'a str,
    pub more: &'a [&'a str],
}

impl DemoProvider {
    /// Makes the folder unless it is there already, and starts the provider in it.
    pub async fn open(domain: &'static str, dir: &Path) -> anyhow::Result<Self> {
        if !dir.join("kepd.toml").exists() {
            let new = NewProvider {
                domain: domain.parse()?,
                name: format!("Örnek KEPHS {domain}"),
                ports: init::Ports::Free,
            };
            init::init(dir, &new, SystemClock.now())?;
        }
        let config = Config::load(&dir.join("kepd.toml"))?;
        let house = House::open(config, Surroundings::default()).await?;
        Ok(Self {
            domain,
            dir: dir.to_owned(),
            house,
            credentials: Mutex::default(),
        })
    }

    pub fn ports(&self) -> &Ports {
        self.house.ports()
    }

    /// Says words to the provider as `kepctl` would.
    pub async fn say(&self, words: &[&str]) -> anyhow::Result<Vec<Record>> {
        self.say_word(typed(words)?)
            .await
            .with_context(|| format!("kepctl {}", words.join(" ")))
    }

    pub async fn say_word(&self, word: Word) -> anyhow::Result<Vec<Record>> {
        let socket = PathBuf::from(&self.ports().control);
        let answer = tokio::task::spawn_blocking(move || kepctl::ask(&socket, None, word)).await?;
        match answer.map_err(anyhow::Error::msg)? {
            Reply::List(records) => Ok(records),
            Reply::One(record) => Ok(vec![record]),
            Reply::Refused(why) => bail!("refused: {why}"),
            Reply::Unavailable(why) => bail!("not now: {why}"),
        }
    }

    /// Makes another provider known to this one.
    pub async fn introduce(&self, other: &DemoProvider) -> anyhow::Result<()> {
        let profile = other.say(&["peer", "export"]).await?;
        let profile = serde_json::to_string(profile.first().context("a provider without a profile")?)?;
        let word = Word::Peer(PeerWord::Import {
            file: PathBuf::new(),
            profile,
        });
        self.say_word(word).await.map(drop)
    }

    /// A user with a password of chance; remembered for `credentials.json`.
    pub async fn add_login(&self, new: NewLogin<'_>) -> anyhow::Result<()> {
        let password = format!("demo-{}", crate::id::MailId::fresh(&crate::id::SystemIds));
        self.add_login_with(new, &password).await
    }

    async fn add_login_with(&self, new: NewLogin<'_>, password: &str) -> anyhow::Result<()> {
        let noun = if new.officer { "officer" } else { "user" };
        let mut word = typed(&[&[noun, "add", new.login], new.more].concat())?;
        if let Word::Officer(UserWord::Add(add)) | Word::User(UserWord::Add(add)) = &mut word {
            add.password.password = Some(PasswordText(password.to_owned()));
        }
        self.say_word(word).await?;
        let tenant = new.login.split_once('@').map_or("", |(_, tenant)| tenant);
        let credential = Credential {
            login: new.login.to_owned(),
            password: password.to_owned(),
            role: new.role.to_owned(),
            address: format!("{tenant}@{}", self.domain),
        };
        self.lock().push(credential);
        Ok(())
    }

    /// Natural persons `user1`, `user2`, ... who log in with their KEP address, as a tenant with one user may.
    pub async fn add_persons(&self, count: u32) -> anyhow::Result<()> {
        for k in 1..=count {
            let name = format!("user{k}");
            let words = ["tenant", "add", &name, "--kind", "gercek", "--title", &name];
            self.say(&words).await?;
            let login = format!("{name}@{name}");
            let new = NewLogin {
                login: &login,
                officer: true,
                role: "gercek",
                more: &[],
            };
            self.add_login_with(new, PERSONS_PASSWORD).await?;
            if let Some(credential) = self.lock().last_mut() {
                credential.login = credential.address.clone();
            }
        }
        Ok(())
    }

    pub fn password(&self, login: &str) -> anyhow::Result<String> {
        let found = self
            .lock()
            .iter()
            .find(|c| c.login == login)
            .map(|c| c.password.clone());
        found.with_context(|| format!("no login {login}"))
    }

    pub fn credentials(&self) -> Vec<Credential> {
        self.lock().clone()
    }

    pub fn write_credentials(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.credentials())?;
        init::write_private(&self.dir.join("credentials.json"), text.as_bytes())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Credential>> {
        self.credentials
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub async fn close(self) {
        self.house.close().await;
    }
}

/// Words as they would be typed behind `kepctl`.
fn typed(words: &[&str]) -> anyhow::Result<Word> {
    #[derive(clap::Parser)]
    struct Typed {
        #[command(subcommand)]
        word: Word,
    }
    let typed = Typed::try_parse_from(std::iter::once(&"kepctl").chain(words));
    Ok(typed.with_context(|| format!("the words {words:?}"))?.word)
}
