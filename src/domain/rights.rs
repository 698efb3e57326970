//! What a user may do with one of his mailboxes, computed from the organisation's rights. Nothing is stored: who wants
//! other rights gets another role, unit or kind.
//!
//! A right says what may be done to the mail that belongs there, whoever wrote it. What a user wrote himself, his drafts
//! and the notices to him, is his own whatever stands here (`Viewer`, `service::mailbox`). `docs/rights.md` draws the
//! table; `tests/journey/rights.rs` holds it against what the commands do.

use crate::domain::org::Permission;
use crate::domain::selector::{Mailbox, PARENTS, Viewer};
use crate::domain::tenant::Language;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// It is listed.
    Lookup,
    /// Open it, read in it, copy out of it.
    Read,
    /// Keep which messages one has seen.
    KeepSeen,
    /// Keep one's other flags and keywords.
    Write,
    /// Bring or file messages there.
    Insert,
    /// Make mailboxes below it.
    CreateBelow,
    /// Remove the mailbox.
    Remove,
    /// Mark messages for removal.
    MarkDeleted,
    /// Remove what is marked.
    Expunge,
    /// See everybody's rights. Nobody sets them here.
    Administer,
}

/// A place in the tree: a mailbox, or a level that only holds others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Mailbox(Mailbox),
    /// The level labels hang below: mailboxes are made here.
    Labels,
    Holder,
}

impl Place {
    /// The level of that name.
    pub fn holder(viewer: &Viewer<'_>, name: &str) -> Self {
        let (tr, en) = PARENTS[2];
        let turkish = viewer.org.tenant.language == Language::Turkish;
        match name == if turkish { tr } else { en } {
            true => Place::Labels,
            false => Place::Holder,
        }
    }
}

/// The rights of a user at a place that is his.
pub fn rights(viewer: &Viewer<'_>, place: Place) -> BTreeSet<Right> {
    let may = |permission| viewer.org.may(viewer.user, permission);
    let mut rights = BTreeSet::from([Right::Lookup]);
    if may(Permission::Account) {
        rights.insert(Right::Administer);
    }
    let mailbox = match place {
        Place::Mailbox(mailbox) => mailbox,
        Place::Labels if may(Permission::Jobs) => {
            rights.insert(Right::CreateBelow);
            return rights;
        }
        Place::Labels | Place::Holder => return rights,
    };
    rights.insert(Right::Read);
    if mailbox.shows_nothing() {
        // Moving something here decides it.
        rights.insert(Right::Insert);
        return rights;
    }
    rights.extend([Right::KeepSeen, Right::Write, Right::MarkDeleted]);
    // Labels, the archive and the bin are the tenant's (`service::mailbox::marking::check_change`).
    let files = may(Permission::Jobs);
    let (insert, expunge) = match mailbox {
        Mailbox::Drafts | Mailbox::Important => (true, true),
        // A copy of what was sent may be brought by who sends.
        Mailbox::Sent => (files || may(Permission::Compose), files),
        Mailbox::Inbox | Mailbox::All | Mailbox::Archive | Mailbox::Evidence | Mailbox::Label(_) => {
            (files, files)
        }
        // Here drafts and notices end; what is on the record stays.
        Mailbox::Trash => (files, true),
        // Mail comes to a unit by labels, and a job goes by decisions.
        Mailbox::Unit(_) | Mailbox::JobsDone => (false, files),
        _ => (false, false),
    };
    for (has, right) in [(insert, Right::Insert), (expunge, Right::Expunge)] {
        if has {
            rights.insert(right);
        }
    }
    if let Mailbox::Label(label) = mailbox
        && files
        && (!viewer.org.is_shown_by(label) || may(Permission::Account))
    {
        rights.insert(Right::Remove);
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::domain::label::Label;
    use crate::domain::org::{Role, Unit};
    use crate::domain::samples::organisation;
    use crate::id::{LabelId, RoleId, UnitId, UserId};

    #[test]
    fn rights_follow_permissions() {
        use Right::*;
        let mut org = organisation();
        let label = LabelId(4);
        org.labels.insert(
            label,
            Label {
                id: label,
                name: "Finans".into(),
            },
        );
        let of = |org: &crate::domain::org::Organisation, user: u32, place| {
            let viewer = Viewer::new(org, &org.users[&UserId(user)], UtcTime::from_unix_s(0));
            rights(&viewer, place)
        };
        let (officer, limited) = (1, 2);
        assert!(of(&org, officer, Place::Labels).contains(&CreateBelow));
        assert!(!of(&org, limited, Place::Labels).contains(&CreateBelow));
        let inbox = Place::Mailbox(Mailbox::Inbox);
        assert_eq!(
            of(&org, limited, inbox),
            BTreeSet::from([Lookup, Read, KeepSeen, Write, MarkDeleted])
        );
        assert!(of(&org, officer, inbox).is_superset(&BTreeSet::from([Insert, Expunge, Administer])));
        assert_eq!(
            of(&org, limited, Place::Mailbox(Mailbox::Approve)),
            BTreeSet::from([Lookup, Read, Insert])
        );
        // A role with "jobs" removes a label, unless units see mail by it.
        let role = Role {
            id: RoleId(1),
            name: "r".into(),
            description: String::new(),
            permissions: BTreeSet::from([Permission::Jobs]),
            removed: false,
        };
        org.roles.insert(role.id, role);
        if let Some(user) = org.users.get_mut(&UserId(limited)) {
            user.roles.insert(RoleId(1));
        }
        let of_label = Place::Mailbox(Mailbox::Label(label));
        assert!(of(&org, limited, of_label).is_superset(&BTreeSet::from([Insert, Expunge, Remove])));
        let unit = Unit {
            id: UnitId(6),
            name: "u".into(),
            parent: None,
            labels: BTreeSet::from([label]),
            ended: None,
        };
        org.units.insert(unit.id, unit);
        assert!(!of(&org, limited, of_label).contains(&Remove));
        assert!(of(&org, officer, of_label).contains(&Remove));
    }
}
