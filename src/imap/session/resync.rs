//! CONDSTORE and QRESYNC (RFC 7162), and a client that counts in UIDs alone (RFC 9586): what a session knows of
//! mod-sequences, and how far its client has been told everything.
//!
//! The one rule: when the client is told a mod-sequence, all that happened by it was told before, or the client is told in
//! the same breath how far it may believe itself (RFC 7162 1, and erratum 1810 of RFC 5162).

use super::super::ask::{Ask, Changes, FetchAsk, Refusal, Since, Told};
use super::super::command::{ChangedSince, Command, FetchItem, Numbering, SearchReturns, SelectWith};
use super::super::recent::ToldFlags;
use super::super::response::{Extra, Writer};
use super::super::search::SearchKey;
use super::super::set::{SearchSet, SequenceSet, UidRanges};
use super::super::view::Expunging;
use super::{About, Doing, Open, Phase, Session, expunging_for};
use std::collections::BTreeMap;

/// RFC 9586 3: said when a message is named by its number all the same.
pub(super) const UID_REQUIRED: &str = "[UIDREQUIRED] name messages by their UIDs";

/// What the client has switched on, for the rest of the connection.
#[derive(Debug, Default)]
pub(super) struct Resync {
    condstore: bool,
    qresync: bool,
    pub(super) uid_only: bool,
    /// Mod-sequences of the messages a search has found so far, by UID.
    found: BTreeMap<u32, u64>,
    /// What comes before the next command is read.
    next: Option<Ask>,
}

/// How far the client of a selected mailbox was told everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// All that happened by this is known here; 0: the mailbox keeps no mod-sequences.
    highest: u64,
    /// All that happened by this was told.
    told: u64,
}

impl Seen {
    pub(super) fn new(highest: u64) -> Self {
        Self {
            highest,
            told: highest,
        }
    }

    /// What was known has been told, unless something is held back.
    pub(super) fn told(&mut self, holds_back: bool) {
        if !holds_back {
            self.told = self.highest;
        }
    }
}

/// What is told of a message: `* 3 FETCH (UID 5 MODSEQ (17))`, as it answers a STORE whose client did not want to hear of
/// flags.
pub(super) struct Line<'t> {
    number: u32,
    told: &'t Told,
    uid: bool,
    uid_only: bool,
    flags: Option<ToldFlags<'t>>,
    modseq: Option<u64>,
}

impl Line<'_> {
    /// `3 FETCH (UID 5 FLAGS (...) MODSEQ (17))`.
    pub(super) fn with_flags(mut self, recent: bool) -> Self {
        let flags = &self.told.flags;
        self.flags = Some(ToldFlags { flags, recent });
        self
    }

    pub(super) fn tell(self, out: &mut Writer) {
        out.row_begins(self.number, self.told.uid, self.uid_only);
        let mut first = true;
        if self.uid {
            out.named(&mut first, "UID ", self.told.uid.into());
        }
        if let Some(flags) = self.flags {
            out.word(&mut first, "FLAGS ");
            out.flags(flags);
        }
        if let Some(modseq) = self.modseq {
            out.modseq(&mut first, modseq);
        }
        out.put(")\r\n");
    }
}

impl Open {
    pub(super) fn apply(&mut self, changes: Changes) {
        self.seen.highest = self.seen.highest.max(changes.highest_modseq);
        let from = changes.recent_from;
        self.view.apply(changes);
        self.recent.add(from, self.view.last_uid());
    }
}

impl Resync {
    pub(super) fn next_ask(&mut self) -> Option<Ask> {
        self.next.take()
    }

    pub(super) fn tells_modseq(&self) -> bool {
        self.condstore
    }

    pub(super) fn says_vanished(&self) -> bool {
        // RFC 7162 3.2.10, RFC 9586 3.
        self.qresync || self.uid_only
    }

    /// What a FETCH line carries unasked.
    pub(super) fn extra(&self, numbering: Numbering, flags: bool) -> Extra {
        Extra {
            uid: numbering == Numbering::Uid && !self.uid_only,
            flags,
            modseq: self.condstore,
            uid_only: self.uid_only,
            recent: false,
        }
    }

    /// What is told of a message to this client.
    pub(super) fn line<'t>(&self, number: u32, told: &'t Told, with_uid: bool) -> Line<'t> {
        Line {
            number,
            told,
            uid: with_uid && !self.uid_only,
            uid_only: self.uid_only,
            flags: None,
            modseq: (self.condstore && told.modseq > 0).then_some(told.modseq),
        }
    }

    /// The mod-sequence that goes with what a search found (RFC 7162 3.1.6): of those told, where only ends are told.
    pub(super) fn highest_found(&mut self, uids: &[u32], returns: Option<SearchReturns>) -> Option<u64> {
        let found = std::mem::take(&mut self.found);
        let of = |uid: Option<&u32>| uid.and_then(|uid| found.get(uid)).copied();
        let ends_only = returns.filter(|r| (r.min || r.max) && !r.all && !r.count && r.partial.is_none());
        match ends_only {
            Some(ends) => {
                let min = of(uids.first()).filter(|_| ends.min);
                min.max(of(uids.last()).filter(|_| ends.max))
            }
            None => uids.iter().filter_map(|uid| found.get(uid)).copied().max(),
        }
    }
}

/// `OK [HIGHESTMODSEQ n]` of SELECT (RFC 7162 3.1.2).
pub(super) fn highest_text(highest: u64) -> String {
    match highest {
        0 => "OK [NOMODSEQ] this mailbox keeps no mod-sequences".to_owned(),
        highest => format!("OK [HIGHESTMODSEQ {highest}] all before is told"),
    }
}

/// What a FETCH with CHANGEDSINCE asks. `*` stands for all UIDs there are: the last message may be among those that left.
pub(super) fn since(changed: ChangedSince, set: &SequenceSet) -> Since {
    Since {
        modseq: changed.modseq,
        vanished: changed.vanished.then(|| set.resolve(u32::MAX)),
        agreed_to: 0,
    }
}

impl Session {
    /// For FETCH with VANISHED, before its rows: UIDs that left earlier and are not in the mailbox.
    pub fn vanished_earlier(&mut self, uids: &UidRanges) {
        if !uids.is_empty() {
            self.out.untagged(format!("VANISHED (EARLIER) {uids}"));
        }
    }

    /// For a search that asks for mod-sequences: one of the messages found.
    pub fn found_modseq(&mut self, uid: u32, modseq: u64) {
        self.resync.found.insert(uid, modseq);
    }

    /// A capability of this file that was enabled, as ENABLED tells it; empty for others.
    pub(super) fn enable_resync(&mut self, capability: &str) -> &'static str {
        let resync = &mut self.resync;
        match capability {
            _ if !self.settings.resync => "",
            "CONDSTORE" => {
                resync.condstore = true;
                " CONDSTORE"
            }
            // RFC 7162 3.2.3: QRESYNC implies CONDSTORE.
            "QRESYNC" => {
                (resync.condstore, resync.qresync) = (true, true);
                " QRESYNC"
            }
            "UIDONLY" => {
                resync.uid_only = true;
                " UIDONLY"
            }
            _ => "",
        }
    }

    /// Why a command cannot be taken with what is switched on.
    pub(super) fn refused_by_mode(&self, command: &Command) -> Option<&'static str> {
        let asks = asks_modseq(command);
        let qresync = match command {
            Command::Select { with, .. } => with.qresync.as_ref(),
            _ => None,
        };
        let vanished = matches!(command, Command::Fetch { changed: Some(c), .. } if c.vanished);
        if asks && !self.settings.resync {
            return Some("mod-sequences are not offered here");
        }
        // RFC 7162 3.2.5, 3.2.6.
        if (qresync.is_some() || vanished) && !self.resync.qresync {
            return Some("enable QRESYNC first");
        }
        // RFC 7162 3.1.2.2.
        if let Phase::Selected(open) = &self.phase
            && asks
            && in_mailbox(command)
            && open.seen.highest == 0
        {
            return Some("this mailbox keeps no mod-sequences");
        }
        let numbers = names_numbers(command) || qresync.is_some_and(|q| q.matched.is_some());
        (self.resync.uid_only && numbers).then_some(UID_REQUIRED)
    }

    /// RFC 7162 3.1: the first command that speaks of mod-sequences switches them on; where a mailbox is open the client
    /// learns how far it has got.
    pub(super) fn notice_condstore(&mut self, command: &Command) {
        if self.resync.condstore || !asks_modseq(command) {
            return;
        }
        self.resync.condstore = true;
        if let Phase::Selected(open) = &self.phase
            && !matches!(command, Command::Select { .. })
        {
            let text = highest_text(open.seen.told);
            self.out.untagged(&text);
        }
    }

    /// What is to be asked so that a client which remembers the mailbox is told what it missed (RFC 7162 3.2.5).
    pub(super) fn resync_ask(&self, with: &SelectWith, uid_validity: u32) -> Option<Ask> {
        let remembered = with.qresync.as_ref()?;
        let Phase::Selected(open) = &self.phase else {
            return None;
        };
        // UIDs of another validity mean nothing here; the client sees UIDVALIDITY and begins anew.
        if remembered.uid_validity != uid_validity || open.seen.highest == 0 {
            return None;
        }
        let known = match &remembered.known_uids {
            Some(known) => known.resolve(u32::MAX),
            None => UidRanges::from_pairs([(1, u32::MAX)].into_iter()),
        };
        let members = open.view.members().iter();
        Some(Ask::Fetch(FetchAsk {
            members: members.filter(|member| known.contains(member.uid)).collect(),
            items: vec![FetchItem::Uid, FetchItem::Flags],
            mark_seen: false,
            with_modseq: true,
            since: Some(Since {
                modseq: remembered.modseq,
                vanished: Some(known),
                agreed_to: open.agreed_to(remembered.matched.as_ref()),
            }),
        }))
    }

    pub(super) fn ask_to_resync(&mut self, tag: String, ask: Ask, text: String) {
        let items = match self.resync.uid_only {
            true => vec![FetchItem::Flags],
            false => vec![FetchItem::Uid, FetchItem::Flags],
        };
        let extra = self.resync.extra(Numbering::Sequence, false);
        self.resync.next = Some(ask);
        self.doing = Doing::Asked {
            tag,
            about: About::Resync { items, extra, text },
        };
    }

    /// Told before the tagged end where an EXPUNGE is held back although higher mod-sequences may have been told.
    pub(super) fn say_how_far(&mut self) {
        if let Phase::Selected(open) = &self.phase
            && self.resync.qresync
            && open.view.holds_back()
            && open.seen.told > 0
        {
            let text = format!("OK [HIGHESTMODSEQ {}] something is held back", open.seen.told);
            self.out.untagged(&text);
        }
    }

    /// The end of a command that removed messages: what happened is told first, then how far that goes (RFC 7162 3.2.7,
    /// 3.2.9, and RFC 6851 4.4). CLOSE must not say it (RFC 7162 3.2.8).
    pub(super) fn expunged_text(&mut self, some: bool, text: &str) -> String {
        self.tell(Expunging::Allowed);
        match &self.phase {
            Phase::Selected(open) if some && self.resync.qresync && open.seen.told > 0 => {
                format!("[HIGHESTMODSEQ {}] {text}", open.seen.told)
            }
            _ => text.to_owned(),
        }
    }

    /// The untagged answers to a STORE.
    pub(super) fn stored(&mut self, numbering: Numbering, silent: bool, rows: Vec<Told>) {
        let Phase::Selected(open) = &mut self.phase else {
            return;
        };
        let with_uid = numbering == Numbering::Uid;
        let members = open.view.members().clone();
        let numbers = members.numbers_of(rows.iter().map(|told| told.uid));
        for (told, number) in rows.iter().zip(numbers) {
            let Some(number) = number else { continue };
            if silent {
                open.view.set_silently(told);
            } else {
                open.view.told_flags(told.uid, told.modseq);
            }
            let line = self.resync.line(number, told, with_uid);
            match silent {
                // RFC 7162 3.1.3: the mod-sequence is told even if .SILENT was asked.
                true if line.modseq.is_some() => line.tell(&mut self.out),
                true => {}
                false => {
                    let recent = !self.rev2 && open.recent.contains(told.uid);
                    line.with_flags(recent).tell(&mut self.out);
                }
            }
        }
    }

    /// The messages a conditional STORE left alone, as the client counts.
    pub(super) fn modified(&self, numbering: Numbering, uids: &[u32]) -> UidRanges {
        let Phase::Selected(open) = &self.phase else {
            return UidRanges::default();
        };
        let number = |uid: &u32| match numbering {
            Numbering::Uid => Some(*uid),
            Numbering::Sequence => open.view.number_of(*uid),
        };
        UidRanges::from_numbers(uids.iter().filter_map(number))
    }

    /// RFC 7162 3.1.3: MODIFIED stands in the tagged response, which is OK unless something else was refused.
    pub(super) fn stored_end(
        &mut self,
        tag: &str,
        numbering: Numbering,
        modified: &UidRanges,
        refused: Option<Refusal>,
    ) {
        let expunging = expunging_for(numbering);
        match refused {
            _ if modified.is_empty() => self.end(tag, expunging, refused, "STORE done"),
            None => {
                let text = format!("[MODIFIED {modified}] some had changed and were left alone");
                self.finish(tag, expunging, &text);
            }
            Some(refusal) => {
                self.tell(expunging);
                self.say_how_far();
                self.out
                    .tagged(tag, "NO", &format!("[MODIFIED {modified}] {}", refusal.text));
            }
        }
    }
}

impl Open {
    /// The highest UID that has the number the client remembers: UIDs only grow, so up to it nothing has left.
    fn agreed_to(&self, matched: Option<&(SequenceSet, SequenceSet)>) -> u32 {
        let Some((numbers, uids)) = matched else { return 0 };
        let each = |set: &SequenceSet| {
            let ranges = set.resolve(u32::MAX);
            ranges
                .ranges()
                .flatten()
                .take(self.view.members().len())
                .collect::<Vec<u32>>()
        };
        let pairs = each(numbers).into_iter().zip(each(uids));
        let agree = pairs.filter(|(number, uid)| self.view.number_of(*uid) == Some(*number));
        agree.map(|(_, uid)| uid).max().unwrap_or(0)
    }
}

/// Whether the command speaks of the messages of the selected mailbox.
fn in_mailbox(command: &Command) -> bool {
    matches!(
        command,
        Command::Fetch { .. }
            | Command::Store { .. }
            | Command::Search { .. }
            | Command::Sort { .. }
            | Command::Thread { .. }
    )
}

/// RFC 7162 3.1, "CONDSTORE enabling command"; ENABLE is answered by itself.
fn asks_modseq(command: &Command) -> bool {
    match command {
        Command::Select { with, .. } => with.condstore || with.qresync.is_some(),
        Command::Status { items, .. } => items.highest_modseq,
        Command::List(list) => list.returns.status.is_some_and(|items| items.highest_modseq),
        Command::Fetch { items, changed, .. } => changed.is_some() || items.contains(&FetchItem::ModSeq),
        Command::Store { unchanged_since, .. } => unchanged_since.is_some(),
        Command::Search { key, .. } | Command::Sort { key, .. } | Command::Thread { key, .. } => {
            key.asks_modseq()
        }
        _ => false,
    }
}

/// RFC 9586 3: commands that name messages by sequence numbers, or are answered in them.
fn names_numbers(command: &Command) -> bool {
    match command {
        Command::Search { numbering, key, .. }
        | Command::Sort { numbering, key, .. }
        | Command::Thread { numbering, key, .. } => {
            *numbering == Numbering::Sequence || key_names_numbers(key)
        }
        Command::Fetch { numbering, .. }
        | Command::Store { numbering, .. }
        | Command::Copy { numbering, .. }
        | Command::Move { numbering, .. } => *numbering == Numbering::Sequence,
        _ => false,
    }
}

fn key_names_numbers(key: &SearchKey<SearchSet>) -> bool {
    match key {
        SearchKey::And(keys) => keys.iter().any(key_names_numbers),
        SearchKey::Or(a, b) => key_names_numbers(a) || key_names_numbers(b),
        SearchKey::Not(key) => key_names_numbers(key),
        SearchKey::Set(SearchSet::Sequence(_)) => true,
        _ => false,
    }
}
