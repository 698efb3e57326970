//! Shows that the architecture test can fail: small sources, each with the one fault it must show, or none.

use super::{FILE_MAX_LINES, Place, faults, module_of, placed};

fn faults_of(file: &str, text: &str) -> Vec<String> {
    faults(
        file,
        text,
        &Place {
            module: module_of(file),
            test_only: false,
        },
    )
}

#[test]
fn tests_in_files_of_their_own_are_found() {
    let file = |name: &str, text: &str| (name.to_owned(), format!("//! A sample.\n{text}\n"));
    let files = [
        file(
            "service/relay.rs",
            "#[cfg(test)]\n#[path = \"relay_tests.rs\"]\nmod tests;",
        ),
        file(
            "service/relay_tests.rs",
            "use super::*; fn f() { std::fs::read(p) }",
        ),
        file(
            "service/intake.rs",
            "#[path = \"intake_more.rs\"]\nmod more;\n#[cfg(test)]\nmod trials;",
        ),
        file(
            "service/intake_more.rs",
            "use super::*; fn f() { std::fs::read(p) }",
        ),
        file(
            "service/intake/trials.rs",
            "use super::*; fn f() { std::fs::read(p) }",
        ),
    ];
    let faults: Vec<_> = placed(&files)
        .iter()
        .flat_map(|(file, text, place)| faults(file, text, place))
        .collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("service/intake_more.rs:2: `service::intake::more` uses `std::fs::read`"),
        "{faults:?}"
    );
}

/// Samples with the one fault each must show (part of its text), or none.
#[test]
fn every_kind_of_fault_is_seen() {
    let cases: &[(&str, &str, &str)] = &[
        ("smtp/server.rs", "use crate::address::KepAddress;", ""),
        (
            "smtp/server.rs",
            "use crate::imap::Session;",
            "`smtp::server` may not import `imap::Session`",
        ),
        (
            "smtp/server.rs",
            "fn f() { crate::domain::mail::x() }",
            "may not import `domain::mail::x`",
        ),
        (
            "smtp/server.rs",
            "use super::super::store::Db;",
            "may not import `store::Db`",
        ),
        ("domain/mail.rs", "use crate::*;", "may not import `*`"),
        (
            "domain/mail.rs",
            "mod deep { use crate::{id::MailId, seal::Sealer}; }",
            "may not import `seal::Sealer`",
        ),
        (
            "store/tables/mails.rs",
            "use super::{Key, Stored}; use crate::store::db::Db;",
            "",
        ),
        (
            "seal/verifier.rs",
            "use crate::rem::schema;",
            "may not import `rem::schema`",
        ),
        (
            "service/relay.rs",
            "use crate::service::notary::Notary; use super::bell::Bell;",
            "",
        ),
        (
            "service/relay.rs",
            "use super::dispatch::X;",
            "may not import `service::dispatch::X`",
        ),
        (
            "service/notary.rs",
            "use crate::service::relay::X;",
            "may not import `service::relay::X`",
        ),
        (
            "service/mailbox/filing.rs",
            "use super::view::V; use crate::service::mailbox::W;",
            "",
        ),
        ("service/account.rs", "use crate::sasl::Secret;", ""),
        (
            "service/organisation.rs",
            "use crate::sasl::Secret;",
            "may not import `sasl::Secret`",
        ),
        ("net/tsa.rs", "use crate::seal::tsa::TimestampTransport;", ""),
        (
            "net/tsa.rs",
            "use crate::seal::key::SealKey;",
            "may not import `seal::key::SealKey`",
        ),
        (
            "control/protocol.rs",
            "use crate::service::account::A;",
            "may not import `service::account::A`",
        ),
        (
            "control/server.rs",
            "use crate::control::protocol::P; use crate::service::account::A;",
            "",
        ),
        (
            "kepctl/verify.rs",
            "use crate::control::protocol::P; use crate::validation::judge;",
            "",
        ),
        (
            "kepctl/verify.rs",
            "use crate::seal::SealKey;",
            "may not import `seal::SealKey`",
        ),
        (
            "init.rs",
            "#[cfg(test)]\nmod tests { use crate::check::check; }",
            "",
        ),
        (
            "init.rs",
            "use crate::check::check;",
            "may not import `check::check`",
        ),
        ("bin/kepctl.rs", "fn main() { kepd::kepctl::run() }", ""),
        (
            "bin/kepctl.rs",
            "use kepd::store::Db;",
            "may not import `store::Db`",
        ),
        ("bin/kepctl/table.rs", "use crate::words::W;", ""),
        ("lib.rs", "use crate::store::Db;", "`lib` may not import"),
        ("attic.rs", "use crate::id::MailId;", "is not in the table"),
        (
            "daemon/wiring.rs",
            "use crate::net::Listener; use crate::config::Config;",
            "",
        ),
        (
            "service/relay.rs",
            "use tokio::{net::TcpStream, sync::Notify};",
            "only net opens a socket",
        ),
        ("net/listener.rs", "use tokio::net::TcpListener;", ""),
        (
            "service/relay.rs",
            "fn f() { std::fs::read(p) }",
            "only store opens files",
        ),
        ("store/spool.rs", "use std::fs;", ""),
        (
            "service/relay.rs",
            "#[cfg(test)]\nmod tests { fn f() { std::fs::read(p) } }",
            "",
        ),
        (
            "net/smtp.rs",
            "use std::time::SystemTime; fn f() { SystemTime::now() }",
            "only clock asks the time",
        ),
        (
            "net/smtp.rs",
            "fn f() { jiff::Timestamp::now() }",
            "`Timestamp::now(` has no place",
        ),
        ("clock.rs", "fn f() { std::time::SystemTime::now() }", ""),
        (
            "xml/sign.rs",
            "use aws_lc_rs::signature::{self, RsaKeyPair};",
            "only seal sees a private key",
        ),
        ("domain/job.rs", "fn f() { todo!() }", "`todo!` has no place"),
        (
            "domain/job.rs",
            "#[test]\n#[ignore]\nfn f() {}",
            "`#[ignore` has no place",
        ),
        (
            "domain/job.rs",
            "// todo!() and crate::seal in words are not code",
            "",
        ),
    ];
    for (file, code, want) in cases {
        let found = faults_of(file, &format!("//! A sample.\n{code}\n"));
        match want.is_empty() {
            true => assert!(found.is_empty(), "{file}: {code}\n{found:?}"),
            false => assert!(
                !found.is_empty() && found.iter().all(|f| f.contains(want)),
                "{file}: {code}\n{found:?}"
            ),
        }
    }
}

#[test]
fn a_missing_head_and_a_long_file_are_seen() {
    assert_eq!(faults_of("id.rs", "use std::fmt;\nstruct S;\n").len(), 1);
    let long = format!("//! Head.\n{}", "\n".repeat(FILE_MAX_LINES));
    assert_eq!(faults_of("id.rs", &long).len(), 1);
}
