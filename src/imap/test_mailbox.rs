//! The mailboxes of the small door: messages with their numbers, and those that left.

use super::ask::{Changes, SpecialUse, Status};
use super::flag::{Flag, Flags};
use crate::clock::UtcTime;

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub uid: u32,
    pub flags: Flags,
    pub date: UtcTime,
    /// When it was put here.
    pub saved: UtcTime,
    pub octets: Vec<u8>,
    pub modseq: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Folder {
    pub messages: Vec<Message>,
    pub uid_next: u32,
    pub highest_modseq: u64,
    /// (mod-sequence, UID) of those that left.
    pub left: Vec<(u64, u32)>,
    pub subscribed: bool,
    pub special_use: Option<SpecialUse>,
}

impl Folder {
    /// One that came at that moment.
    pub(super) fn put(&mut self, octets: &[u8], flags: Flags, date: UtcTime) -> u32 {
        self.put_in(octets, flags, date, date)
    }

    /// One that a client put there, with a date of its own.
    pub(super) fn put_in(&mut self, octets: &[u8], flags: Flags, date: UtcTime, saved: UtcTime) -> u32 {
        let uid = self.uid_next.max(1);
        self.uid_next = uid + 1;
        let modseq = self.next_modseq();
        self.messages.push(Message {
            modseq,
            uid,
            flags,
            date,
            saved,
            octets: octets.to_vec(),
        });
        uid
    }

    pub(super) fn next_modseq(&mut self) -> u64 {
        self.highest_modseq += 1;
        self.highest_modseq
    }

    pub(super) fn take_out(&mut self, gone: impl Fn(&Message) -> bool) -> Vec<u32> {
        let going = self.messages.iter().filter(|m| gone(m));
        let uids: Vec<u32> = going.map(|m| m.uid).collect();
        for uid in &uids {
            let modseq = self.next_modseq();
            self.left.push((modseq, *uid));
        }
        self.messages.retain(|m| !uids.contains(&m.uid));
        uids
    }

    /// What a door says when it has looked again.
    pub(super) fn news(&self) -> Changes {
        Changes {
            highest_modseq: self.highest_modseq,
            ..Changes::default()
        }
    }

    pub(super) fn get(&mut self, uid: u32) -> Option<&mut Message> {
        self.messages.iter_mut().find(|m| m.uid == uid)
    }

    pub(super) fn status(&self) -> Status {
        let count = |flag, want| {
            self.messages
                .iter()
                .filter(|m| m.flags.contains(&flag) == want)
                .count() as u32
        };
        Status {
            messages: self.messages.len() as u32,
            uid_next: self.uid_next.max(1),
            uid_validity: 7,
            unseen: count(Flag::Seen, false),
            deleted: count(Flag::Deleted, true),
            highest_modseq: self.highest_modseq,
            recent: 0,
            mailbox_id: Some("F7".to_owned()),
            size: self.messages.iter().map(|m| m.octets.len() as u64).sum(),
            deleted_storage: 0,
        }
    }
}
