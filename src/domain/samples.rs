//! Small organisations for tests.

use crate::clock::UtcTime;
use crate::domain::calendar::Calendar;
use crate::domain::item::{JobFacet, JobPhase};
use crate::domain::job::Terms;
use crate::domain::org::{Doors, Organisation, User, UserKind};
use crate::domain::rule::{Combine, DayKind, Direction, Rule, RuleBook, Step};
use crate::domain::tenant::{Institution, Language, Tenant, TenantKind, TenantLife};
use crate::id::{JobId, RuleId, TenantId, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub fn user(id: u32, kind: UserKind) -> User {
    User {
        id: UserId(id),
        name: format!("u{id}"),
        display_name: String::new(),
        title: String::new(),
        kind,
        units: BTreeSet::new(),
        roles: BTreeSet::new(),
        deputies: Vec::new(),
        doors: Doors::default(),
        listed: false,
        removed: false,
    }
}

/// User 1 is an officer, user 2 a limited one.
pub fn organisation() -> Organisation {
    Organisation {
        tenant: Tenant {
            id: TenantId(1),
            name: "t".into(),
            kind: TenantKind::Tuzel,
            address: "t@hs01.kep.test".parse().unwrap(),
            title: "T".into(),
            life: TenantLife::Active,
            language: Language::Turkish,
            officers_follow_rules: false,
            signature: Default::default(),
            receipts: Default::default(),
            storage_max_bytes: None,
            credit: None,
            institution: Institution::default(),
            created_at: UtcTime::from_unix_s(0),
        },
        version: 1,
        words: BTreeMap::new(),
        units: BTreeMap::new(),
        roles: BTreeMap::new(),
        users: [user(1, UserKind::Officer), user(2, UserKind::Limited)]
            .into_iter()
            .map(|u| (u.id, u))
            .collect(),
        labels: BTreeMap::new(),
        rules: BTreeMap::new(),
        rulebook: RuleBook::default(),
    }
}

/// An outgoing rule without conditions.
pub fn rule(steps: Vec<Step>) -> Rule {
    Rule {
        id: RuleId(1),
        name: "Teklif".into(),
        version: 1,
        enabled: true,
        position: 0,
        direction: Direction::Outgoing,
        combine: Combine::Any,
        conditions: Vec::new(),
        subjects: BTreeSet::new(),
        steps,
        days: DayKind::Calendar,
        total_limit_days: None,
        own_approval: false,
        labels: BTreeSet::new(),
        units: BTreeSet::new(),
    }
}

pub fn facet(phase: JobPhase) -> JobFacet {
    JobFacet {
        id: JobId::from_octets([1; 16]),
        phase,
        late: false,
        own_approval: false,
        open: Vec::new(),
        also: None,
        decided: BTreeSet::new(),
        delegations: Vec::new(),
        participants: BTreeSet::new(),
        concerned: BTreeSet::new(),
    }
}

pub fn terms() -> Terms {
    Terms {
        calendar: Calendar::default(),
        undo: Duration::from_secs(60),
        send_delay: Duration::ZERO,
    }
}
