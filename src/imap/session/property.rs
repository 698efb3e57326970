//! Answers about rights, quotas and metadata (RFC 4314 3, RFC 9208 4, RFC 5464 4.4); and what lies around a session
//! rather than in it: compression (RFC 4978) and forgetting who it was (RFC 8437).

use super::super::ask::{Ask, Code, Refusal};
use super::super::parse::BadCommand;
use super::super::property::Fact;
use super::super::response::Writer;
use super::super::view::Expunging;
use super::{About, Phase, Session};

/// What is offered beside, once somebody has logged in. `texk`: the rights RFC 2086 did not have.
pub(super) const CAPABILITIES: [&str; 10] = [
    "ACL",
    "RIGHTS=texk",
    "LIST-MYRIGHTS",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "METADATA",
    "LIST-METADATA",
    "NOTIFY",
    "UNAUTHENTICATE",
];

pub(super) fn write(out: &mut Writer, told: &Fact) {
    match told {
        Fact::Acl { mailbox, entries } => {
            out.open_line("ACL ");
            out.name(mailbox);
            for (identifier, rights) in entries {
                out.put(" ");
                out.put_astring(identifier.as_bytes());
                out.put(" ");
                out.put_astring(rights.as_bytes());
            }
        }
        Fact::MyRights { mailbox, rights } => {
            out.open_line("MYRIGHTS ");
            out.name(mailbox);
            out.put(" ");
            out.put_astring(rights.as_bytes());
        }
        Fact::ListRights {
            mailbox,
            identifier,
            required,
        } => {
            out.open_line("LISTRIGHTS ");
            out.name(mailbox);
            out.put(" ");
            out.put_astring(identifier.as_bytes());
            out.put(" ");
            // None can be granted besides: nothing follows.
            out.put_astring(required.as_bytes());
        }
        Fact::QuotaRoot { mailbox, roots } => {
            out.open_line("QUOTAROOT ");
            out.name(mailbox);
            for root in roots {
                out.put(" ");
                out.put_astring(root.as_bytes());
            }
        }
        Fact::Quota { root, resources } => {
            out.open_line("QUOTA ");
            out.put_astring(root.as_bytes());
            let told = resources
                .iter()
                .map(|(name, usage, limit)| format!("{name} {usage} {limit}"));
            out.put(&format!(" ({})", told.collect::<Vec<_>>().join(" ")));
        }
        Fact::Metadata { mailbox, entries } => {
            out.open_line("METADATA ");
            match mailbox {
                Some(name) => out.name(name),
                None => out.put("\"\""),
            }
            for (n, (entry, value)) in entries.iter().enumerate() {
                out.put(if n == 0 { " (" } else { " " });
                out.put_astring(entry.as_bytes());
                out.put(" ");
                out.put_nstring(value.as_deref());
            }
            out.put(")");
        }
    }
    out.put("\r\n");
}

impl Session {
    pub(super) fn properties(&mut self, tag: &str, lines: &[Fact], longest_bytes: Option<u64>, text: &str) {
        for told in lines {
            // RFC 5464 4.4: a response without entries is none.
            if !matches!(told, Fact::Metadata { entries, .. } if entries.is_empty()) {
                write(&mut self.out, told);
            }
        }
        let code = longest_bytes.map_or(String::new(), |n| format!("[METADATA LONGENTRIES {n}] "));
        self.finish(tag, Expunging::Allowed, &format!("{code}{text}"));
    }

    /// RFC 4978 3.
    pub(super) fn compress(&mut self, tag: String, mechanism: &str) -> Option<Ask> {
        if !self.settings.compress {
            return self.bad(BadCommand {
                tag: Some(tag),
                text: "COMPRESS is not offered",
            });
        }
        if mechanism != "DEFLATE" || self.compressed {
            let refusal = match self.compressed {
                true => Refusal::new(Code::CompressionActive, "DEFLATE is active already"),
                false => Refusal::new(Code::Cannot, "only DEFLATE is known"),
            };
            self.refuse(&tag, Expunging::Allowed, &refusal);
            return None;
        }
        // The last answer in the clear; what the client said behind its command it should not have said.
        self.finish(&tag, Expunging::Allowed, "DEFLATE begins");
        self.ask(tag, About::Compress, Ask::Compress)
    }

    /// RFC 8437 4: as before login; what lies below, TLS and compression, stays, and so does the count of mistakes.
    pub(super) fn unauthenticated(&mut self, tag: &str) {
        let mut fresh = Self::fresh(self.settings.clone());
        std::mem::swap(&mut fresh.out, &mut self.out);
        fresh.out.spelling = Default::default();
        fresh.compressed = self.compressed;
        fresh.bad_commands = self.bad_commands;
        fresh.failed_logins = self.failed_logins;
        *self = fresh;
        debug_assert!(matches!(self.phase, Phase::NotAuthenticated));
        let capabilities = self.capabilities();
        self.out.tagged(
            tag,
            "OK",
            &format!("[CAPABILITY {capabilities}] nobody is logged in"),
        );
    }
}
