//! Who came in and who tried to, for the audit record: counted by the hour and written in groups.
//!
//! The first visit of a user by a door and from an address is on record within [`TELL_EVERY`]; when the hour is over, one
//! more record tells how many there were, if there were more. So whoever opens a thousand sessions, and whoever guesses a
//! thousand passwords, leaves two records and not a thousand, and no login waits for the disk. The price: a crash takes
//! what was counted and not written yet, of which the daemon's log has the single lines.
//!
//! No flood makes the store grow: of users, addresses and names so many are told apart in an hour, and the others are
//! counted together. Names that nobody here has are told by a word that hides them (`strangers`): people type passwords
//! into the wrong field.
//! Nothing here asks the time or touches the disk: the moment is handed in, and `Accounts` writes.

use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, AuditRoute, Author, Matter, Origin, PROVIDER};
use crate::id::{TenantId, UserId};
use crate::service::account::Principal;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often what was counted is written: what a crash may take.
pub const TELL_EVERY: Duration = Duration::from_secs(10);
/// Records written by one commit: far below what a batch may hold.
pub const TOLD_AT_ONCE: usize = 1000;
/// Addresses of one user told apart in an hour: a telephone that travels has some dozens.
pub const ADDRESSES_PER_USER_MAX: u32 = 32;
/// Different visits and enquiries told apart in an hour, each some 300 octets in memory: a provider of fifty thousand users
/// at work.
pub const VISITS_MAX: usize = 131_072;
/// Addresses from which one user's password is guessed, told apart in an hour.
pub const GUESSERS_PER_USER_MAX: u32 = 8;
/// Guessed users with their guessers, told apart in an hour: half a megabyte of records in the hour of a flood.
pub const GUESSED_MAX: usize = 256;
/// Unknown names with their addresses, told apart in an hour: what is guessed at without knowing anybody is told least.
pub const UNKNOWN_MAX: usize = 128;
const HOUR_S: i64 = 3600;

/// Something that is counted: all that its record says but when and how often.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sight {
    /// In whose record it is told.
    pub tenant: TenantId,
    pub deed: &'static str,
    pub author: Author,
    /// The user it is about, if it is about one.
    pub user: Option<UserId>,
    /// Whom a failed login named, or what an enquiry was about.
    pub what: Option<String>,
}

/// Of which kind it is: each kind has its own room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Visit,
    Guessed,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    first: UtcTime,
    last: UtcTime,
    count: u64,
    told: u64,
}

/// One hour, as far as it has come.
#[derive(Debug, Default)]
struct Hour {
    number: i64,
    rows: HashMap<Sight, Count>,
    /// Rows of each kind.
    kinds: HashMap<Class, usize>,
    /// Addresses of each user, by kind.
    addresses: HashMap<(Class, TenantId, UserId), u32>,
}

#[derive(Debug, Default)]
struct Table {
    hour: Hour,
    /// Of hours that are over: what remains to be written.
    over: Vec<(Sight, Count)>,
}

/// What was counted since the last time it was written.
#[derive(Debug, Default)]
pub struct Visits(Mutex<Table>);

/// Counted, and to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    sight: Sight,
    count: Count,
}

impl Visits {
    /// A user has come in.
    pub fn came_in(&self, now: UtcTime, by: &Principal, route: AuditRoute) {
        let sight = Sight {
            tenant: by.tenant,
            deed: "login",
            author: by.author(route),
            user: Some(by.user),
            what: None,
        };
        self.count(now, Class::Visit, sight);
    }

    /// A user proved who he is, and may not come in: his account is suspended, or this door is not his.
    pub fn turned_away(&self, now: UtcTime, by: &Principal, route: AuditRoute) {
        let sight = Sight {
            tenant: by.tenant,
            deed: "login refused",
            author: by.author(route),
            user: Some(by.user),
            what: None,
        };
        self.count(now, Class::Visit, sight);
    }

    /// Somebody looked at what is others'; which is worth a record, and not one for each look of a script.
    pub fn looked(&self, now: UtcTime, sight: Sight) {
        self.count(now, Class::Visit, sight);
    }

    /// Somebody was not let in. `whom`: the user he named, if there is one; `named`: what he named, as it may be written down.
    pub fn failed(
        &self,
        now: UtcTime,
        from: Origin,
        route: AuditRoute,
        named: Option<&str>,
        whom: Option<(TenantId, UserId)>,
    ) {
        // Nobody has proved who he is.
        let author = Author {
            user: None,
            login: "unknown".into(),
            route,
            from,
        };
        let (class, tenant, user) = match whom {
            Some((tenant, user)) => (Class::Guessed, tenant, Some(user)),
            None => (Class::Unknown, PROVIDER, None),
        };
        let sight = Sight {
            tenant,
            deed: "login failed",
            author,
            user,
            what: named.map(str::to_owned),
        };
        self.count(now, class, sight);
    }

    fn count(&self, now: UtcTime, class: Class, sight: Sight) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.turn(now);
        let sight = table.hour.place(class, sight);
        let row = table.hour.rows.entry(sight).or_insert(Count {
            first: now,
            last: now,
            count: 0,
            told: 0,
        });
        row.count += 1;
        row.last = now;
    }

    /// What is to be written now: what was never told, and what is left of hours that are over. `all`: the daemon ends, and
    /// everything is told.
    pub fn due(&self, now: UtcTime, all: bool) -> Vec<Draft> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.turn(now);
        let is_due = |count: &Count| count.told == 0 || (all && count.count > count.told);
        let of_now = table.hour.rows.iter().filter(|(_, count)| is_due(count));
        let all = table
            .over
            .iter()
            .map(|(sight, count)| (sight, count))
            .chain(of_now);
        let draft = |(sight, count): (&Sight, &Count)| Draft {
            sight: sight.clone(),
            count: *count,
        };
        all.take(TOLD_AT_ONCE).map(draft).collect()
    }

    /// They are on disk.
    pub fn told(&self, drafts: &[Draft]) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_over: HashMap<(&Sight, i64), u64> = HashMap::new();
        for draft in drafts {
            let hour = hour_of(draft.count.first);
            if hour == table.hour.number
                && let Some(row) = table.hour.rows.get_mut(&draft.sight)
            {
                row.told = draft.count.count;
            }
            of_over.insert((&draft.sight, hour), draft.count.count);
        }
        // The hour may have turned while they were written.
        for (sight, count) in &mut table.over {
            if let Some(told) = of_over.get(&(&*sight, hour_of(count.first))) {
                count.told = *told;
            }
        }
        table.over.retain(|(_, count)| count.count > count.told);
    }
}

impl Draft {
    pub fn tenant(&self) -> TenantId {
        self.sight.tenant
    }

    /// The record: of the first, or of those that came behind it.
    pub fn record(&self) -> AuditRecord {
        let (sight, count) = (&self.sight, &self.count);
        let mut what = serde_json::json!({ "count": count.count - count.told });
        if let Some(what) = what.as_object_mut() {
            if let Some(named) = &sight.what {
                what.insert("of".into(), named.as_str().into());
            }
            if count.count > 1 {
                what.insert("first".into(), count.first.to_string().into());
            }
            if count.told > 0 {
                what.insert("more".into(), true.into());
            }
        }
        let about = sight.user.map(Matter::User).into_iter().collect();
        AuditRecord::of_deed(count.last, sight.author.clone(), sight.deed, about, &what)
    }
}

impl Table {
    /// Begins a new hour; a clock that was put back begins one too.
    fn turn(&mut self, now: UtcTime) {
        let number = hour_of(now);
        if number == self.hour.number {
            return;
        }
        let hour = std::mem::replace(
            &mut self.hour,
            Hour {
                number,
                ..Hour::default()
            },
        );
        let left = hour
            .rows
            .into_iter()
            .filter(|(_, count)| count.count > count.told);
        self.over.extend(left);
        if self.over.len() > VISITS_MAX {
            tracing::error!(
                lost = self.over.len() - VISITS_MAX,
                "logins cannot be written down, and the oldest are given up"
            );
            self.over.drain(..self.over.len() - VISITS_MAX);
        }
    }
}

impl Hour {
    /// Where it is counted: by itself while there is room, else together with others.
    fn place(&mut self, class: Class, sight: Sight) -> Sight {
        if self.rows.contains_key(&sight) {
            return sight;
        }
        let most = match class {
            Class::Visit => VISITS_MAX,
            Class::Guessed => GUESSED_MAX,
            Class::Unknown => UNKNOWN_MAX,
        };
        let rows = self.kinds.entry(class).or_default();
        if *rows >= most {
            return sight.of_anybody();
        }
        if let Some(user) = sight.user {
            let most = match class {
                Class::Visit => ADDRESSES_PER_USER_MAX,
                _ => GUESSERS_PER_USER_MAX,
            };
            let addresses = self.addresses.entry((class, sight.tenant, user)).or_default();
            if *addresses >= most {
                return sight.at_any_address();
            }
            *addresses += 1;
        }
        *rows += 1;
        sight
    }
}

impl Sight {
    /// Together with the same from other addresses.
    fn at_any_address(mut self) -> Self {
        self.author.from = Origin::Inside;
        self.what = Some("from further addresses".into());
        self
    }

    /// Together with all of its kind.
    fn of_anybody(self) -> Self {
        Self {
            tenant: PROVIDER,
            deed: self.deed,
            author: Author {
                user: None,
                login: "unknown".into(),
                route: self.author.route,
                from: Origin::Inside,
            },
            user: None,
            what: Some("further users, names and addresses".into()),
        }
    }
}

fn hour_of(at: UtcTime) -> i64 {
    at.unix_s().div_euclid(HOUR_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::LoginName;
    use crate::service::account::strangers::Strangers;

    fn at(seconds: i64) -> UtcTime {
        UtcTime::from_unix_s(1_795_000_000 / HOUR_S * HOUR_S + seconds)
    }

    fn user(n: u32, address: &str) -> Principal {
        Principal {
            tenant: TenantId(1),
            user: UserId(n),
            login: format!("u{n}@ornekas").parse().unwrap(),
            from: Origin::Network(address.parse().unwrap()),
        }
    }

    /// Writes what is due, and gives deed, user and text of each.
    fn written(visits: &Visits, now: UtcTime, all: bool) -> Vec<(TenantId, String, String)> {
        let due = visits.due(now, all);
        visits.told(&due);
        let mut records: Vec<_> = due
            .iter()
            .map(|d| {
                let record = d.record();
                (
                    d.tenant(),
                    format!("{} {}", record.deed, record.author.from),
                    record.after,
                )
            })
            .collect();
        records.sort();
        records
    }

    #[test]
    fn the_first_is_told_soon_and_the_others_when_the_hour_is_over() {
        let visits = Visits::default();
        let ayse = user(1, "192.0.2.1");
        for n in 0..100 {
            visits.came_in(at(n), &ayse, AuditRoute::Imap);
            if n == 0 {
                let told = written(&visits, at(5), false);
                assert_eq!(
                    told,
                    [(TenantId(1), "login 192.0.2.1".into(), "{\"count\":1}".into())]
                );
            }
        }
        visits.came_in(at(50), &ayse, AuditRoute::Smtp);
        assert_eq!(
            written(&visits, at(200), false).len(),
            1,
            "another door is another visit"
        );
        assert!(written(&visits, at(3599), false).is_empty());
        let told = written(&visits, at(3600), false);
        let first = at(0);
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].2,
            format!("{{\"count\":99,\"first\":\"{first}\",\"more\":true}}")
        );
        assert!(written(&visits, at(9000), true).is_empty(), "nothing twice");
    }

    #[test]
    fn what_could_not_be_written_is_written_later_and_the_end_tells_all() {
        let visits = Visits::default();
        visits.came_in(at(0), &user(1, "192.0.2.1"), AuditRoute::Imap);
        assert_eq!(visits.due(at(1), false).len(), 1);
        // That commit failed; meanwhile he came again.
        visits.came_in(at(2), &user(1, "192.0.2.1"), AuditRoute::Imap);
        let told = written(&visits, at(3), false);
        assert!(told[0].2.starts_with("{\"count\":2,"), "{told:?}");
        visits.came_in(at(4), &user(1, "192.0.2.1"), AuditRoute::Imap);
        assert!(written(&visits, at(5), false).is_empty());
        assert_eq!(written(&visits, at(6), true).len(), 1, "the daemon ends");
        // The hour turns while a commit is under way: told once all the same.
        visits.came_in(at(3590), &user(2, "192.0.2.1"), AuditRoute::Imap);
        let due = visits.due(at(3599), false);
        visits.came_in(at(3601), &user(2, "192.0.2.1"), AuditRoute::Imap);
        visits.told(&due);
        assert_eq!(written(&visits, at(3602), false).len(), 1, "the new hour's alone");
    }

    #[test]
    fn no_flood_makes_more_records_than_there_is_room() {
        let visits = Visits::default();
        let (route, strangers) = (AuditRoute::Smtp, Strangers::of(b"a secret"));
        let from = |n: u32| Origin::Network(std::net::Ipv4Addr::from(n).into());
        for n in 0..5_000 {
            let name: LoginName = format!("kisi{n}@ornekas").parse().unwrap();
            let (word, name) = (strangers.word(&name), name.to_string());
            visits.failed(at(1), from(n), route, Some(&word), None);
            visits.failed(at(1), from(n), route, Some(&name), Some((TenantId(2), UserId(7))));
            visits.failed(
                at(1),
                from(n),
                route,
                Some(&name),
                Some((TenantId(2), UserId(100 + n))),
            );
            let moving = user(1, &std::net::Ipv4Addr::from(n).to_string());
            visits.came_in(at(1), &moving, AuditRoute::Imap);
        }
        let mut records = Vec::new();
        loop {
            let some = written(&visits, at(4000), false);
            if some.is_empty() {
                break;
            }
            records.extend(some);
        }
        let sum = |deed: &str| -> u64 {
            let of = records.iter().filter(|(_, d, _)| d.starts_with(deed));
            of.map(|(_, _, what)| {
                let what: serde_json::Value = serde_json::from_str(what).unwrap();
                what["count"].as_u64().unwrap()
            })
            .sum()
        };
        assert_eq!(
            (sum("login failed"), sum("login ")),
            (15_000, 20_000),
            "each is counted"
        );
        assert!(
            records.len() < GUESSED_MAX + UNKNOWN_MAX + 40,
            "{}",
            records.len()
        );
        // Whom somebody guesses at stands in his own account's record; what nobody is, in the provider's, and not by its name.
        assert!(
            records
                .iter()
                .any(|(t, _, what)| *t == TenantId(2) && what.contains("kisi0@ornekas"))
        );
        let unknown = records.iter().filter(|(tenant, ..)| *tenant == PROVIDER);
        assert!(
            unknown.clone().count() > UNKNOWN_MAX && unknown.clone().all(|(.., what)| !what.contains("kisi"))
        );
    }
}
