//! What can happen to an institution, as random numbers; and the messages it happens to.

use proptest::prelude::*;

/// A word that stands nowhere else, at every place where a message can have words.
pub(super) fn mail_with(word: &str, subject: &str) -> Vec<u8> {
    format!(
        "From: {word} <a@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test\r\nSubject: {subject} {word}\r\n\
         Message-ID: <{word}@hs02.kep.test>\r\nX-Word: {word}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{word}\r\n\
         --b\r\nContent-Type: application/pdf; name={word}.pdf\r\n\r\n{word}\r\n--b--\r\n"
    )
    .into_bytes()
}

/// What happens; every number is taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Event {
    // messages
    Put {
        kind: u8,
        author: u8,
        unit: u8,
        label: u8,
    },
    Evidence {
        about: u8,
    },
    /// A user hands in a mail that a rule catches.
    HandIn {
        user: u8,
        rule: u8,
    },
    Label {
        item: u8,
        label: u8,
    },
    Route {
        item: u8,
        unit: u8,
    },
    Archive {
        item: u8,
    },
    Bin {
        item: u8,
    },
    Gone {
        item: u8,
    },
    Flag {
        user: u8,
        item: u8,
        on: bool,
    },
    /// A user copies or moves what stands in one of his mailboxes.
    File {
        user: u8,
        from: u8,
        item: u8,
        to: u8,
        copy: bool,
    },
    // the institution
    AddUnit {
        above: u8,
    },
    MoveUnit {
        unit: u8,
        under: u8,
    },
    EndUnit {
        unit: u8,
        into: u8,
    },
    UnitLabel {
        unit: u8,
        label: u8,
        on: bool,
    },
    AddLabel,
    RemoveLabel {
        label: u8,
    },
    AddUser {
        unit: u8,
        role: u8,
    },
    RemoveUser {
        user: u8,
    },
    UserUnit {
        user: u8,
        unit: u8,
        on: bool,
    },
    UserRole {
        user: u8,
        role: u8,
        on: bool,
    },
    Kind {
        user: u8,
        officer: bool,
    },
    Permit {
        role: u8,
        permission: u8,
        on: bool,
    },
    Deputy {
        user: u8,
        deputy: u8,
        from_hours: u8,
        hours: u8,
    },
    // jobs and time
    Decide {
        user: u8,
        job: u8,
        act: u8,
        to: u8,
    },
    Hours(u8),
    /// A mailbox that stays open is polled.
    Poll {
        user: u8,
        mailbox: u8,
    },
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let n = any::<u8>;
    let on = any::<bool>;
    let of_mail = prop_oneof![
        4 => (n(), n(), n(), n()).prop_map(|(kind, author, unit, label)| Event::Put { kind, author, unit, label }),
        2 => n().prop_map(|about| Event::Evidence { about }),
        3 => (n(), n()).prop_map(|(user, rule)| Event::HandIn { user, rule }),
        3 => (n(), n()).prop_map(|(item, label)| Event::Label { item, label }),
        2 => (n(), n()).prop_map(|(item, unit)| Event::Route { item, unit }),
        1 => n().prop_map(|item| Event::Archive { item }),
        1 => n().prop_map(|item| Event::Bin { item }),
        1 => n().prop_map(|item| Event::Gone { item }),
        2 => (n(), n(), on()).prop_map(|(user, item, on)| Event::Flag { user, item, on }),
        4 => (n(), n(), n(), n(), on())
            .prop_map(|(user, from, item, to, copy)| Event::File { user, from, item, to, copy }),
    ];
    let of_institution = prop_oneof![
        3 => n().prop_map(|above| Event::AddUnit { above }),
        3 => (n(), n()).prop_map(|(unit, under)| Event::MoveUnit { unit, under }),
        2 => (n(), n()).prop_map(|(unit, into)| Event::EndUnit { unit, into }),
        3 => (n(), n(), on()).prop_map(|(unit, label, on)| Event::UnitLabel { unit, label, on }),
        1 => Just(Event::AddLabel),
        1 => n().prop_map(|label| Event::RemoveLabel { label }),
        1 => (n(), n()).prop_map(|(unit, role)| Event::AddUser { unit, role }),
        1 => n().prop_map(|user| Event::RemoveUser { user }),
        3 => (n(), n(), on()).prop_map(|(user, unit, on)| Event::UserUnit { user, unit, on }),
        3 => (n(), n(), on()).prop_map(|(user, role, on)| Event::UserRole { user, role, on }),
        1 => (n(), on()).prop_map(|(user, officer)| Event::Kind { user, officer }),
        2 => (n(), n(), on()).prop_map(|(role, permission, on)| Event::Permit { role, permission, on }),
        2 => (n(), n(), n(), n())
            .prop_map(|(user, deputy, from_hours, hours)| Event::Deputy { user, deputy, from_hours, hours }),
    ];
    let of_time = prop_oneof![
        5 => (n(), n(), n(), n()).prop_map(|(user, job, act, to)| Event::Decide { user, job, act, to }),
        1 => n().prop_map(Event::Hours),
        6 => (n(), n()).prop_map(|(user, mailbox)| Event::Poll { user, mailbox }),
    ];
    prop_oneof![3 => of_mail, 3 => of_institution, 3 => of_time]
}

/// The nth of some, counted round.
pub(super) fn nth<T: Copy>(all: &[T], n: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(n) % all.len()])
}
