//! What is told without being asked: while idling (RFC 2177), and what NOTIFY asked for (RFC 5465).
//!
//! The engine keeps what was asked about the selected mailbox. What was asked about the others is the door's to watch;
//! it hands in what happened ([`Session::push`]). Nothing is said in the middle of a command.

use super::super::ask::{Ask, Code, FetchAsk, Member, Notice, Refusal, Row};
use super::super::command::Numbering;
use super::super::command::{FetchItem, StatusItems};
use super::super::notify::NotifySet;
use super::super::response::Extra;
use super::super::view::Expunging;
use super::{About, Doing, Phase, Session, listing};

/// What NOTIFY asked for last. A session in which it was never given hears what RFC 3501 lets it.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// `None`: nothing of the selected mailbox.
    selected: Option<Selected>,
    /// Something was asked of others.
    others: bool,
    /// New messages whose attributes are still to be told.
    owed: Vec<Member>,
}

#[derive(Debug)]
struct Selected {
    /// EXPUNGE may come at any time.
    at_once: bool,
    flags: bool,
    items: Vec<FetchItem>,
}

impl Attention {
    pub(super) fn of(set: Option<&NotifySet>) -> Self {
        let Some(set) = set else {
            return Self::default();
        };
        let selected = set.selected().and_then(|(events, at_once)| {
            Some(Selected {
                at_once,
                flags: events.flags,
                items: events.messages.clone()?,
            })
        });
        Self {
            selected,
            others: set.groups.iter().any(|group| !group.filter.is_selected()),
            owed: Vec::new(),
        }
    }
}

impl Session {
    pub(super) fn notify(&mut self, tag: String, set: Option<NotifySet>) -> Option<Ask> {
        if set.as_ref().is_some_and(NotifySet::asks_unknown) {
            let refusal = Refusal::new(Code::BadEvent, "an event was asked for that is never had here");
            self.refuse(&tag, Expunging::Allowed, &refusal);
            return None;
        }
        let attention = Attention::of(set.as_ref());
        self.ask(tag, About::Watch(attention), Ask::Watch(set))
    }

    /// Whether anything that happens now would be told: then listen.
    pub fn hears(&self) -> bool {
        match (&self.attention, &self.doing) {
            (None, Doing::Idling { .. }) => self.selected().is_some(),
            (Some(attention), Doing::Idling { .. } | Doing::Nothing) => {
                attention.others || (attention.selected.is_some() && self.selected().is_some())
            }
            _ => false,
        }
    }

    /// Tells what has gathered of the selected mailbox, as far as somebody wants to hear it now.
    pub(super) fn tell_unasked(&mut self) {
        let idling = self.is_idling();
        let Some(attention) = &self.attention else {
            if idling {
                self.tell(Expunging::Allowed);
            }
            return;
        };
        let (Some(selected), true) = (
            &attention.selected,
            idling || matches!(self.doing, Doing::Nothing),
        ) else {
            return;
        };
        // RFC 5465 4: while idling the same events come; IDLE lets EXPUNGE come (RFC 2177 3).
        let expunging = match selected.at_once || idling {
            true => Expunging::Allowed,
            false => Expunging::Held,
        };
        let aside = match (selected.flags, &mut self.phase) {
            (false, Phase::Selected(open)) => Some(open.view.flags_aside()),
            _ => None,
        };
        self.tell(expunging);
        if let (Some(aside), Phase::Selected(open)) = (aside, &mut self.phase) {
            open.view.flags_back(aside);
        }
    }

    /// Notes which messages the client has just heard of: their attributes are owed (RFC 5465 5.2).
    pub(super) fn heard_of(&mut self, fresh: Vec<Member>) {
        if let Some(attention) = &mut self.attention
            && attention.selected.as_ref().is_some_and(|s| !s.items.is_empty())
        {
            attention.owed.extend(fresh);
        }
    }

    /// What the client itself has brought is not told to it again (RFC 5465 5).
    pub(super) fn brought_itself(&mut self) {
        if let Some(attention) = &mut self.attention {
            attention.owed.clear();
        }
    }

    /// The attributes that are owed; call [`Session::row_pushed`] for each message. Not in the middle of a command.
    pub fn owed_rows(&mut self) -> Option<FetchAsk> {
        if !matches!(self.doing, Doing::Nothing | Doing::Idling { .. }) {
            return None;
        }
        let attention = self.attention.as_mut()?;
        let items = attention.selected.as_ref()?.items.clone();
        let members = std::mem::take(&mut attention.owed);
        (!members.is_empty()).then_some(FetchAsk {
            members,
            items,
            with_modseq: self.resync.tells_modseq(),
            since: None,
            // RFC 5465 5.2 advises against attributes that would set it; nobody has read the message.
            mark_seen: false,
        })
    }

    /// One message of [`Session::owed_rows`].
    pub fn row_pushed(&mut self, row: Row) {
        let (Some(attention), Phase::Selected(open)) = (&self.attention, &mut self.phase) else {
            return;
        };
        let Some(selected) = &attention.selected else {
            return;
        };
        let Some((number, member)) = open.view.place_of(row.uid) else {
            return;
        };
        if row.flags.is_some() && selected.items.contains(&FetchItem::Flags) {
            open.view.told_flags(row.uid, row.modseq.unwrap_or(u64::MAX));
        }
        let recent = !self.rev2 && open.recent.contains(row.uid);
        let extra = Extra {
            recent,
            ..self.resync.extra(Numbering::Uid, false)
        };
        self.out.fetch(number, member, &selected.items, extra, row);
    }

    /// Tells what happened outside of the selected mailbox.
    pub fn push(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Status { name, items, status } => {
                    // RFC 5465 5: with mod-sequences, or a change of flags could not be told from nothing.
                    let highest_modseq = items.highest_modseq || self.resync.tells_modseq();
                    let items = StatusItems {
                        highest_modseq,
                        ..items
                    };
                    self.out.status(&name, items, &status);
                }
                Notice::Listed { mailbox, old_name } => {
                    listing::write_changed(&mut self.out, &mailbox, old_name.as_ref());
                }
                Notice::NoAccess(name) => self.out.list("LIST", &["\\NoAccess"], &name, ""),
                Notice::Metadata { mailbox, entries } => {
                    self.out.open_line("METADATA ");
                    match &mailbox {
                        Some(name) => self.out.name(name),
                        None => self.out.put("\"\""),
                    }
                    for entry in entries {
                        self.out.put(" ");
                        self.out.put_astring(entry.as_bytes());
                    }
                    self.out.put("\r\n");
                }
                // RFC 5465 5.8: as if NOTIFY NONE had been given.
                Notice::Overflow => {
                    self.attention = Some(Attention::default());
                    let code = Code::NotificationOverflow.as_str();
                    self.out.untagged(format!(
                        "OK [{code}] there is too much to tell; nothing more is told"
                    ));
                }
            }
        }
    }
}
