//! `kepctl`: the administrator's tool. It says words to the daemon and writes answers down; it decides nothing.
//!
//! Exit codes: 0 done, 1 refused (one sentence why, on stderr), 2 usage. Verifying evidence needs no daemon.

mod audit;
mod client;
mod lists;
mod period;
mod ready;
mod show;
mod verify;

pub use client::ask;
pub use verify::verified;

use crate::address::LoginName;
use crate::control::protocol::{AuditWord, EvidenceWord, MailWord, PeerWord, Reply, TenantWord, Word};
use clap::{CommandFactory as _, Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the daemon listens when nothing else is said.
const SOCKET_DEFAULT: &str = "/run/kepd/control.sock";
/// Says otherwise.
const SOCKET_VARIABLE: &str = "KEPD_SOCKET";
const REFUSED: u8 = 1;

#[derive(Debug, Parser)]
#[command(name = "kepctl", version, about = "Administers a kepd provider")]
struct Cli {
    /// The daemon's control socket [default: $KEPD_SOCKET, then /run/kepd/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// JSON for scripts in place of tables
    #[arg(long, global = true)]
    json: bool,
    /// In whose name: his rights are checked, and what he sees is shown
    #[arg(long = "as", global = true, value_name = "USER@TENANT")]
    by: Option<LoginName>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Word(Box<Word>),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man {
        /// Write a page for every command into this folder instead
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// The whole program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match obey(cli) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("kepctl: {why}");
            ExitCode::from(REFUSED)
        }
    }
}

fn obey(cli: Cli) -> Result<ExitCode, String> {
    let word = match cli.command {
        Command::Word(word) => *word,
        Command::Completions { shell } => {
            let mut octets = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kepctl", &mut octets);
            return print(&octets);
        }
        Command::Man { out: Some(folder) } => {
            let written = clap_mangen::generate_to(Cli::command(), &folder);
            written.map_err(|e| format!("{}: {e}", folder.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Man { out: None } => {
            let mut octets = Vec::new();
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut octets).map_err(|e| e.to_string())?;
            return print(&octets);
        }
    };
    if let Word::Evidence(EvidenceWord::Verify(wish)) = &word {
        let (text, all_ok) = verify::verify(wish, cli.json)?;
        print(text.as_bytes())?;
        return Ok(ExitCode::from(if all_ok { 0 } else { REFUSED }));
    }
    if let Word::Audit(AuditWord::Verify(wish)) = &word
        && let Some(folder) = &wish.from
    {
        let (text, all_ok) = audit::verify(folder, wish, cli.json)?;
        print(text.as_bytes())?;
        return Ok(ExitCode::from(if all_ok { 0 } else { REFUSED }));
    }
    let is_verdict = matches!(word, Word::Audit(AuditWord::Verify(_)));
    let word = ready::ready(word)?;
    // A profile is made to be read by the other side's kepctl.
    let json = cli.json || matches!(word, Word::Peer(PeerWord::Export));
    // Lines of a zone file are made to be put into one.
    let zone = matches!(word, Word::Tenant(TenantWord::Summary { dns: true, .. })) && !json;
    let socket = cli
        .socket
        .or_else(|| std::env::var_os(SOCKET_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| SOCKET_DEFAULT.into());
    let mut faulty = false;
    let reply = match word {
        Word::Mail(MailWord::Export(wish)) if wish.since.is_some() => {
            let done = period::export(&socket, cli.by.as_ref(), wish)?;
            faulty = period::has_faults(&done);
            done
        }
        word => client::ask(&socket, cli.by, word)?,
    };
    match reply {
        Reply::List(list) if zone => print(show::zone(&list).as_bytes()),
        Reply::List(list) if is_verdict => {
            print(show::list(&list, json)?.as_bytes())?;
            let all_ok = list.iter().all(|r| r.value("ok") == Some(&true.into()));
            Ok(ExitCode::from(if all_ok { 0 } else { REFUSED }))
        }
        Reply::List(list) => print(show::list(&list, json)?.as_bytes()),
        Reply::One(one) => {
            print(show::one(&one, json)?.as_bytes())?;
            Ok(ExitCode::from(if faulty { REFUSED } else { 0 }))
        }
        Reply::Refused(why) | Reply::Unavailable(why) => Err(why),
    }
}

/// To standard output. A reader that has had enough (`| head`) is no failure.
fn print(octets: &[u8]) -> Result<ExitCode, String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(octets).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }
}
