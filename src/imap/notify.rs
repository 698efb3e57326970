//! What NOTIFY asks for (RFC 5465): which events, of which mailboxes. A tree and its rules; nothing happens here.
//!
//! Events that this server never has (annotations, and whatever a later extension names) are noted as unknown, so that
//! the refusal can say which there are.

use super::command::FetchItem;
use super::name::MailboxName;

/// The events that can be asked for, as BADEVENT names them (RFC 5465 3.1).
pub const EVENTS: [&str; 7] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];

/// `NOTIFY SET [STATUS] group...`: takes the place of all that was asked before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NotifySet {
    /// Tell the STATUS of the mailboxes first.
    pub status: bool,
    pub groups: Vec<EventGroup>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EventGroup {
    pub filter: Filter,
    pub events: Events,
}

/// Of which mailboxes (RFC 5465 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The selected one, at once.
    Selected,
    /// The selected one; EXPUNGE only where a command allows it.
    SelectedDelayed,
    Inboxes,
    Personal,
    Subscribed,
    /// These and all below them.
    Subtree(Vec<MailboxName>),
    Mailboxes(Vec<MailboxName>),
}

/// Which events (RFC 5465 5). None of them: `NONE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Events {
    /// MessageNew, which never comes without MessageExpunge, and what to tell of each new message.
    pub messages: Option<Vec<FetchItem>>,
    pub flags: bool,
    pub names: bool,
    pub subscriptions: bool,
    pub mailbox_metadata: bool,
    pub server_metadata: bool,
    /// An event was named that is never had here.
    pub unknown: bool,
}

impl Filter {
    pub fn is_selected(&self) -> bool {
        matches!(self, Filter::Selected | Filter::SelectedDelayed)
    }

    /// Whether a mailbox that is not the selected one is meant. One that a user has is his own: there are no others'.
    pub fn means(&self, name: &MailboxName, subscribed: bool) -> bool {
        match self {
            Filter::Selected | Filter::SelectedDelayed => false,
            // RFC 5465 6.3: the mailboxes mail is delivered into. Delivery puts all of it into INBOX.
            Filter::Inboxes => name.is_inbox(),
            Filter::Personal => true,
            Filter::Subscribed => subscribed,
            Filter::Subtree(tops) => tops.iter().any(|top| name == top || name.is_below(top)),
            // RFC 5465 6.6: wildcards are not expanded.
            Filter::Mailboxes(named) => named.contains(name),
        }
    }

    /// The names that were given.
    pub fn named(&self) -> &[MailboxName] {
        match self {
            Filter::Subtree(names) | Filter::Mailboxes(names) => names,
            _ => &[],
        }
    }
}

impl NotifySet {
    /// Whether an event was asked for that there is not.
    pub fn asks_unknown(&self) -> bool {
        self.groups.iter().any(|group| group.events.unknown)
    }

    /// What was asked about the selected mailbox, and whether EXPUNGE may come at any time. `None`: nothing, which is
    /// `SELECTED NONE` (RFC 5465 3.1).
    pub fn selected(&self) -> Option<(&Events, bool)> {
        let group = self.groups.iter().find(|group| group.filter.is_selected())?;
        Some((&group.events, group.filter == Filter::Selected))
    }

    /// What was asked about another mailbox: the first group that means it (RFC 5465 6).
    pub fn other(&self, name: &MailboxName, subscribed: bool) -> Option<&Events> {
        let mut groups = self.groups.iter();
        let group = groups.find(|group| group.filter.means(name, subscribed))?;
        Some(&group.events)
    }

    /// What breaks the rules of composition (RFC 5465 5, 6.1), which is BAD.
    pub fn fault(&self) -> Option<&'static str> {
        if self.groups.iter().filter(|g| g.filter.is_selected()).count() > 1 {
            return Some("SELECTED stands once, at once or delayed");
        }
        for group in &self.groups {
            let events = &group.events;
            let selected = group.filter.is_selected();
            if events.flags && events.messages.is_none() {
                return Some("FlagChange comes with MessageNew and MessageExpunge");
            }
            let beyond =
                events.names || events.subscriptions || events.mailbox_metadata || events.server_metadata;
            if selected && beyond {
                return Some("SELECTED takes only events of messages");
            }
            if !selected && events.messages.as_ref().is_some_and(|items| !items.is_empty()) {
                return Some("only SELECTED takes fetch attributes");
            }
        }
        None
    }
}
