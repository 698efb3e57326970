//! The answer to LIST and LSUB (RFC 9051 6.3.9, RFC 5258, 5819, 6154, 8440, 9590): which mailboxes, with which
//! attributes, and what is told beside each.
//!
//! Levels that exist only as parents are added here, so that a client walking with `%` finds what is below them.

use super::super::ask::{Mailbox, SpecialUse};
use super::super::command::ListCommand;
use super::super::name::MailboxName;
use super::super::property::Fact;
use super::super::response::Writer;
use super::property;
use std::collections::{BTreeMap, BTreeSet};

/// Writes the lines for what matches.
pub(super) fn write(out: &mut Writer, list: &ListCommand, mailboxes: Vec<Mailbox>) {
    // Beside the names: which of them meet the conditions, and which can be shown as children.
    let meeting: BTreeSet<String> = mailboxes
        .iter()
        .filter(|m| meets(list, m))
        .map(|m| m.name.as_str().to_owned())
        .collect();
    let mut shown: BTreeMap<String, Mailbox> = BTreeMap::new();
    for mailbox in mailboxes {
        // LSUB knows only what is subscribed; a parent of it is shown as one that cannot be selected.
        if !list.lsub || mailbox.subscribed {
            shown.insert(mailbox.name.as_str().to_owned(), mailbox);
        }
    }
    let there: BTreeSet<String> = shown
        .iter()
        .filter(|(_, m)| list.lsub || !m.non_existent)
        .map(|(name, _)| name.clone())
        .collect();
    add_parents(&mut shown);
    let conditional = list.select.subscribed || list.select.special_use;
    for (name, mailbox) in &shown {
        if !list.patterns.iter().any(|p| p.matches(name)) {
            continue;
        }
        // A name that nobody can open is told only to who asks about subscriptions (RFC 5258 3.1), or as a parent.
        if mailbox.non_existent && !conditional && !has_below(&there, name) {
            continue;
        }
        let below = list.select.recursive_match && has_below(&meeting, name);
        if !list.lsub && conditional && !meeting.contains(name) && !below {
            continue;
        }
        write_one(out, list, mailbox, has_below(&there, name), below);
    }
}

/// Whether a mailbox itself meets the conditions of the selection options.
fn meets(list: &ListCommand, mailbox: &Mailbox) -> bool {
    (!list.select.subscribed || mailbox.subscribed)
        && (!list.select.special_use || mailbox.special_use.is_some())
}

fn write_one(out: &mut Writer, list: &ListCommand, mailbox: &Mailbox, parent: bool, below: bool) {
    let mut attributes = attributes(mailbox, list.lsub);
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
    let extended = if below { child_info(list) } else { String::new() };
    out.list(
        if list.lsub { "LSUB" } else { "LIST" },
        &attributes,
        &mailbox.name,
        &extended,
    );
    if let (Some(items), Some(status)) = (list.returns.status, &mailbox.status) {
        out.status(&mailbox.name, items, status);
    }
    // RFC 8440 3: for those that are there.
    if let (true, Some(rights)) = (list.returns.my_rights, &mailbox.rights) {
        property::write(
            out,
            &Fact::MyRights {
                mailbox: mailbox.name.clone(),
                rights: rights.clone(),
            },
        );
    }
    if !mailbox.metadata.is_empty() {
        property::write(
            out,
            &Fact::Metadata {
                mailbox: Some(mailbox.name.clone()),
                entries: mailbox.metadata.clone(),
            },
        );
    }
}

/// What is said of a mailbox whatever was asked.
fn attributes(mailbox: &Mailbox, lsub: bool) -> Vec<&'static str> {
    let mut attributes = Vec::new();
    if mailbox.non_existent && !lsub {
        attributes.push("\\NonExistent");
    }
    if mailbox.non_existent || mailbox.no_select {
        attributes.push("\\Noselect");
    }
    attributes
}

/// ` ("CHILDINFO" ("SUBSCRIBED"))` (RFC 5258 3.5): something below meets these conditions.
fn child_info(list: &ListCommand) -> String {
    let options = [
        (list.select.subscribed, "\"SUBSCRIBED\""),
        (list.select.special_use, "\"SPECIAL-USE\""),
    ];
    let named = options
        .into_iter()
        .filter_map(|(asked, word)| asked.then_some(word));
    format!(" (\"CHILDINFO\" ({}))", named.collect::<Vec<_>>().join(" "))
}

/// A mailbox that came, went or changed (RFC 5465 5.4, 5.5): all its attributes as they are now.
pub(super) fn write_changed(out: &mut Writer, mailbox: &Mailbox, old_name: Option<&MailboxName>) {
    let mut attributes = attributes(mailbox, false);
    if !mailbox.non_existent {
        attributes.push(if mailbox.has_children {
            "\\HasChildren"
        } else {
            "\\HasNoChildren"
        });
    }
    if mailbox.subscribed {
        attributes.push("\\Subscribed");
    }
    attributes.extend(mailbox.special_use.map(|special| special.as_str()));
    let extended = old_name.map_or(String::new(), |old| old_name_item(out, old));
    out.list("LIST", &attributes, &mailbox.name, &extended);
}

/// ` ("OLDNAME" ("old"))` (RFC 9051 7.3.1).
pub(super) fn old_name_item(out: &Writer, old: &MailboxName) -> String {
    let name = out.name_octets(old);
    format!(" (\"OLDNAME\" ({}))", String::from_utf8_lossy(&name))
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
