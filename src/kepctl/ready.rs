//! What a word needs from this side before it goes out: passwords, files, whole paths.

use crate::cms::Certificate;
use crate::control::protocol::{
    AuditWord, EvidenceWord, Export, JobWord, MailWord, Password, PasswordText, PeerWord, UserWord, Word,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Largest file read here (a profile, trust material, a password).
const FILE_MAX_OCTETS: u64 = 128 * 1024;

/// The word, ready to be sent.
pub(super) fn ready(mut word: Word) -> Result<Word, String> {
    match &mut word {
        Word::User(UserWord::Add(new)) | Word::Officer(UserWord::Add(new)) => fill(&mut new.password)?,
        Word::User(UserWord::Passwd(wish)) | Word::Officer(UserWord::Passwd(wish)) => {
            fill(&mut wish.password)?;
            if wish.password.password.is_none() {
                wish.password.password = Some(prompt(&wish.login.to_string())?);
            }
        }
        Word::User(UserWord::Cert(wish)) | Word::Officer(UserWord::Cert(wish)) => {
            wish.pem = wish.add.as_deref().map(certificate).transpose()?;
        }
        Word::Peer(PeerWord::Import { file, profile }) => *profile = text(file)?,
        Word::Peer(PeerWord::Add(new)) => new.trust_pem = text(&new.trust)?,
        Word::Peer(PeerWord::Set(set)) => {
            if let Some(file) = &set.trust {
                set.trust_pem = Some(text(file)?);
            }
        }
        Word::Job(JobWord::Release(release)) => {
            release.cms = release.signature.as_deref().map(packed).transpose()?;
        }
        Word::Job(JobWord::Entity { out, .. }) => whole(out)?,
        Word::Mail(MailWord::Export(export)) => whole(&mut export.out)?,
        Word::Audit(AuditWord::Export { out, .. }) => whole(out)?,
        Word::Evidence(EvidenceWord::Export(export)) => {
            let Export { out, pdf, .. } = export;
            out.iter_mut().chain(pdf).try_for_each(whole)?;
        }
        _ => {}
    }
    Ok(word)
}

/// The first certificate of a file, and nothing else of it: a key may stand beside it.
fn certificate(file: &Path) -> Result<String, String> {
    let all = Certificate::from_pem_text(&text(file)?).unwrap_or_default();
    let first = all.first().map(Certificate::pem);
    first.ok_or_else(|| format!("there is no certificate in PEM in {}", file.display()))
}

/// A signature, in base64: it must fit a request with room to spare.
fn packed(file: &Path) -> Result<String, String> {
    let name = file.display();
    let read = || {
        let mut octets = Vec::new();
        std::fs::File::open(file)?
            .take(FILE_MAX_OCTETS + 1)
            .read_to_end(&mut octets)?;
        Ok::<_, std::io::Error>(octets)
    };
    let octets = read().map_err(|e| format!("{name} cannot be read: {e}"))?;
    if octets.len() as u64 > FILE_MAX_OCTETS {
        return Err(format!(
            "{name} has more than {FILE_MAX_OCTETS} octets; send the signed mail by mail instead"
        ));
    }
    Ok(STANDARD.encode(octets))
}

/// The daemon works in another folder.
fn whole(path: &mut PathBuf) -> Result<(), String> {
    *path = std::path::absolute(&*path).map_err(|e| e.to_string())?;
    Ok(())
}

fn text(file: &Path) -> Result<String, String> {
    let name = file.display();
    let read = || {
        let mut text = String::new();
        std::fs::File::open(file)?
            .take(FILE_MAX_OCTETS + 1)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|e| format!("{name} cannot be read: {e}"))?;
    if text.len() as u64 > FILE_MAX_OCTETS {
        return Err(format!("{name} has more than {FILE_MAX_OCTETS} octets"));
    }
    Ok(text)
}

fn fill(password: &mut Password) -> Result<(), String> {
    let Some(file) = &password.password_file else {
        return Ok(());
    };
    let text = if file == Path::new("-") {
        first_line_of_input()?
    } else {
        text(file)?
    };
    password.password = Some(PasswordText(text.lines().next().unwrap_or_default().into()));
    Ok(())
}

fn first_line_of_input() -> Result<String, String> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(FILE_MAX_OCTETS);
    input.read_line(&mut line).map_err(|e| e.to_string())?;
    Ok(line)
}

/// Asks the person at the terminal, twice, without showing what is typed.
fn prompt(login: &str) -> Result<PasswordText, String> {
    if !std::io::stdin().is_terminal() {
        return Err("no password was given; use --password-file FILE, or - for standard input".into());
    }
    let ask = |what: &str| {
        eprint!("{what} for {login}: ");
        let silent = Silence::begin();
        let line = first_line_of_input();
        drop(silent);
        eprintln!();
        line.map(|l| l.trim_end_matches(['\r', '\n']).to_owned())
    };
    let (first, second) = (ask("New password")?, ask("The same again")?);
    if first == second {
        Ok(PasswordText(first))
    } else {
        Err("the two are not the same; nothing was changed".into())
    }
}

/// The terminal does not echo while this lives.
struct Silence;

impl Silence {
    fn begin() -> Self {
        // Without stty the password is seen; that is told by the screen itself.
        let _ = Command::new("stty").arg("-echo").status();
        Self
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = Command::new("stty").arg("echo").status();
    }
}
