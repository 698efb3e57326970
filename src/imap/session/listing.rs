//! The answer to LIST and LSUB (RFC 9051 6.3.9, RFC 5258, 5819, 6154): which mailboxes, with which attributes.
//!
//! Levels that exist only as parents are added here, so that a client walking with `%` finds what is below them.

use super::super::ask::{Mailbox, SpecialUse};
use super::super::command::ListCommand;
use super::super::name::MailboxName;
use super::super::response::Writer;
use std::collections::{BTreeMap, BTreeSet};

/// Writes the lines for what matches.
pub(super) fn write(out: &mut Writer, list: &ListCommand, mailboxes: Vec<Mailbox>) {
    let subscribed: BTreeSet<String> = mailboxes
        .iter()
        .filter(|m| m.subscribed)
        .map(|m| m.name.as_str().to_owned())
        .collect();
    let mut shown: BTreeMap<String, Mailbox> = BTreeMap::new();
    for mailbox in mailboxes {
        // LSUB knows only what is subscribed; a parent of it is shown as one that cannot be selected.
        if !list.lsub || mailbox.subscribed {
            shown.insert(mailbox.name.as_str().to_owned(), mailbox);
        }
    }
    add_parents(&mut shown);
    let names: BTreeSet<String> = shown.keys().cloned().collect();
    for (name, mailbox) in &shown {
        if !list.patterns.iter().any(|p| p.matches(name)) {
            continue;
        }
        let below_subscribed = list.select.recursive_match && has_below(&subscribed, name);
        if !list.lsub && list.select.subscribed && !mailbox.subscribed && !below_subscribed {
            continue;
        }
        if list.select.special_use && mailbox.special_use.is_none() {
            continue;
        }
        write_one(out, list, mailbox, has_below(&names, name), below_subscribed);
    }
}

fn write_one(out: &mut Writer, list: &ListCommand, mailbox: &Mailbox, parent: bool, below_subscribed: bool) {
    let mut attributes = Vec::new();
    if mailbox.non_existent && !list.lsub {
        attributes.push("\\NonExistent");
    }
    if mailbox.non_existent || mailbox.no_select {
        attributes.push("\\Noselect");
    }
    attributes.push(if parent || mailbox.has_children {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    });
    if list.returns.subscribed && mailbox.subscribed {
        attributes.push("\\Subscribed");
    }
    if let (Some(special), false) = (mailbox.special_use, list.lsub) {
        attributes.push(special.as_str());
        attributes.extend(no_inferiors(mailbox, parent));
    }
    let extended = if below_subscribed {
        " (\"CHILDINFO\" (\"SUBSCRIBED\"))"
    } else {
        ""
    };
    out.list(
        if list.lsub { "LSUB" } else { "LIST" },
        &attributes,
        &mailbox.name,
        extended,
    );
    if let (Some(items), Some(status)) = (list.returns.status, &mailbox.status) {
        out.status(&mailbox.name, items, status);
    }
}

/// RFC 9051 7.3.1: nothing is below the archive, and nothing can be made there. A client that files by year (Thunderbird)
/// would ask for a level of its own, be refused, and archive nothing.
fn no_inferiors(mailbox: &Mailbox, parent: bool) -> Option<&'static str> {
    let whole = mailbox.special_use == Some(SpecialUse::Archive) && !parent && !mailbox.has_children;
    whole.then_some("\\Noinferiors")
}

/// Levels nobody created, but something is below them.
fn add_parents(shown: &mut BTreeMap<String, Mailbox>) {
    let mut missing: Vec<String> = Vec::new();
    for name in shown.keys() {
        let parents = name.match_indices('/').map(|(at, _)| &name[..at]);
        missing.extend(parents.filter(|p| !shown.contains_key(*p)).map(str::to_owned));
    }
    for text in missing {
        if let Ok(name) = MailboxName::new(&text) {
            let parent = Mailbox {
                name,
                non_existent: true,
                has_children: true,
                ..Mailbox::default()
            };
            shown.entry(text).or_insert(parent);
        }
    }
}

fn has_below(names: &BTreeSet<String>, name: &str) -> bool {
    let first = format!("{name}/");
    names
        .range(first.clone()..)
        .next()
        .is_some_and(|next| next.starts_with(&first))
}
