//! SMTP as sans-I/O engines: the server's half for submission (RFC 6409) and for relay between providers (RFC 5321),
//! and the client's half for relay. Octets in, events and octets out; sockets, TLS, clocks, users and registered mail
//! are somebody else's business.
//!
//! Extensions: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), ENHANCEDSTATUSCODES
//! (RFC 2034), CHUNKING (RFC 3030), STARTTLS (RFC 3207), AUTH (RFC 4954). Deliberately absent: DSN (evidence takes its
//! place), BINARYMIME, ETRN, VRFY and EXPN that tell anything.

pub mod chunk;
pub mod client;
pub mod command;
pub mod data;
#[cfg(test)]
mod dialogue;
pub mod reply;
pub mod server;

/// How long a door waits for the other side (RFC 5321 4.5.3.2).
pub mod timeouts {
    use std::time::Duration;

    /// Client: the greeting after the connection (4.5.3.2.1).
    pub const GREETING: Duration = Duration::from_secs(300);
    /// Client: the reply to EHLO, STARTTLS, AUTH, RSET; not named by the RFC, as for MAIL.
    pub const COMMAND_REPLY: Duration = Duration::from_secs(300);
    /// Client: the reply to MAIL (4.5.3.2.2).
    pub const MAIL_REPLY: Duration = Duration::from_secs(300);
    /// Client: the reply to RCPT (4.5.3.2.3).
    pub const RCPT_REPLY: Duration = Duration::from_secs(300);
    /// Client: the 354 after DATA (4.5.3.2.4).
    pub const DATA_INITIATION: Duration = Duration::from_secs(120);
    /// Client: one write of a run of content (4.5.3.2.5).
    pub const DATA_BLOCK: Duration = Duration::from_secs(180);
    /// Client: the reply to the final dot (4.5.3.2.6). Giving up earlier makes doubles.
    pub const DATA_TERMINATION: Duration = Duration::from_secs(600);
    /// Server: the next octets of the client (4.5.3.2.7).
    pub const SERVER_IDLE: Duration = Duration::from_secs(300);
    /// Server: idle before authentication in submission. Not of the RFC: an anonymous connection is worth little.
    pub const SERVER_BEFORE_AUTH: Duration = Duration::from_secs(60);
    /// Server: idle before a MAIL that is accepted, at the door for providers, who speak at once. Not of the RFC: a
    /// stranger must not hold the connections that peers need.
    pub const SERVER_BEFORE_MAIL: Duration = Duration::from_secs(30);
    /// Either: the TLS handshake. Not of the RFC: no person waits in it.
    pub const TLS_HANDSHAKE: Duration = Duration::from_secs(30);
}
