//! APPEND with one message or several (RFC 9051 6.3.12, RFC 3502), and REPLACE (RFC 8508), up to their end.
//!
//! Each message is refused before the client sends it where that is possible. All messages of one command come in, or
//! none: what is refused on the way makes the door forget those before it.

use super::super::ask::{AppendNext, AppendOpen, Ask, Code, Refusal};
use super::super::framer::AppendHead;
use super::super::limits::{APPEND_MESSAGES_MAX, APPEND_TOTAL_MAX};
use super::super::parse::{self, BadCommand};
use super::{About, Doing, Session};

/// The message that comes in, and those before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    /// It stands within `UTF8 (...)`.
    utf8: bool,
    /// The UID it replaces.
    pub replaces: Option<u32>,
    messages: usize,
    octets: u64,
}

/// What is said when a command ends in the middle.
#[derive(Debug)]
pub(super) enum Said {
    Bad(&'static str),
    No(Refusal),
}

impl Session {
    /// A first message is announced.
    pub(super) fn append(&mut self, head: AppendHead) -> Option<Ask> {
        let command = match parse::parse_append(&head.octets, self.spelling()) {
            Ok(command) => command,
            Err(bad) => {
                self.framer.refuse();
                return self.bad(bad);
            }
        };
        if let Some(refusal) = self.unwelcome(&head, 0) {
            self.framer.refuse();
            self.out.refused(&command.tag, &refusal);
            return None;
        }
        let replaces = match command.replaces {
            Some(replaces) => Some(self.replaced(&command.tag, replaces)?),
            None => None,
        };
        let about = About::AppendOpen {
            synchronising: head.synchronising,
            coming: Coming {
                utf8: command.utf8,
                replaces: replaces.map(|member| member.uid),
                messages: 1,
                octets: head.size,
            },
        };
        let open = AppendOpen {
            mailbox: command.mailbox,
            flags: command.flags.into_iter().collect(),
            date: command.date,
            size: head.size,
            utf8: command.utf8,
            literal8: head.literal8,
            replaces,
        };
        self.ask(command.tag, about, Ask::AppendOpen(open))
    }

    /// Why a message need not be sent; `before` octets of the same command are here already.
    fn unwelcome(&self, head: &AppendHead, before: u64) -> Option<Refusal> {
        if head.size == 0 {
            // RFC 3502 6.3.11: an empty message is how a client calls the command off.
            return Some(Refusal::plain("the message is empty; nothing was kept"));
        }
        if head.size > self.settings.append_max_bytes {
            return Some(Refusal::new(Code::TooBig, "the message is too large"));
        }
        let total = before.saturating_add(head.size);
        (total > APPEND_TOTAL_MAX)
            .then(|| Refusal::new(Code::Limit, "these are too many octets for one command"))
    }

    /// The message is complete and another is announced (RFC 3502).
    pub(super) fn append_next(&mut self, head: AppendHead) -> Option<Ask> {
        let Doing::Streaming { tag, coming } = std::mem::replace(&mut self.doing, Doing::Nothing) else {
            return None;
        };
        let message = match self.next_message(&head, coming) {
            Ok(message) => message,
            Err(said) => {
                self.framer.refuse();
                return self.ask(tag, About::AppendAbort(said), Ask::AppendAbort);
            }
        };
        let about = About::AppendOpen {
            synchronising: head.synchronising,
            coming: Coming {
                utf8: message.utf8,
                replaces: None,
                messages: coming.messages + 1,
                octets: coming.octets.saturating_add(head.size),
            },
        };
        self.ask(tag, about, Ask::AppendNext(message))
    }

    fn next_message(&self, head: &AppendHead, before: Coming) -> Result<AppendNext, Said> {
        let close: &[u8] = if before.utf8 { b")" } else { b"" };
        let rest = head.octets.strip_prefix(close).ok_or(Said::Bad(FOLLOWS))?;
        if before.replaces.is_some() {
            return Err(Said::Bad("REPLACE brings one message"));
        }
        let message = parse::parse_append_next(rest).map_err(|bad| Said::Bad(bad.0))?;
        if before.messages >= APPEND_MESSAGES_MAX {
            let say = format!("one APPEND brings at most {APPEND_MESSAGES_MAX} messages");
            return Err(Said::No(Refusal::new(Code::Limit, say)));
        }
        if let Some(refusal) = self.unwelcome(head, before.octets) {
            return Err(Said::No(refusal));
        }
        Ok(AppendNext {
            flags: message.flags.into_iter().collect(),
            date: message.date,
            size: head.size,
            utf8: message.utf8,
            literal8: head.literal8,
        })
    }

    /// The last message is complete; this stands behind it.
    pub(super) fn append_tail(&mut self, tail: &[u8]) -> Option<Ask> {
        let Doing::Streaming { tag, coming } = std::mem::replace(&mut self.doing, Doing::Nothing) else {
            return None;
        };
        let want: &[u8] = if coming.utf8 { b")" } else { b"" };
        if tail == want {
            let replaces = coming.replaces;
            self.ask(tag, About::AppendEnd { replaces }, Ask::AppendEnd)
        } else {
            self.ask(tag, About::AppendAbort(Said::Bad(FOLLOWS)), Ask::AppendAbort)
        }
    }

    /// The door has forgotten all messages of the command.
    pub(super) fn append_aborted(&mut self, tag: String, said: Said) {
        self.tell(super::Expunging::Allowed);
        match said {
            Said::Bad(text) => {
                self.bad(BadCommand { tag: Some(tag), text });
            }
            Said::No(refusal) => self.out.refused(&tag, &refusal),
        }
    }
}

const FOLLOWS: &str = "something follows the message";
