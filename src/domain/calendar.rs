//! Days as offices count them: calendar days of 24 hours, or business days of Türkiye.
//!
//! A limit of n business days that begins at some moment runs out at the same local time of the n-th business day after
//! that moment's day. If that lies in the free afternoon of a half day, it runs out at the same hour of the next business
//! day. Saturdays, Sundays and public holidays (Law 2429) are no business days. The national holidays are the same
//! every year; the religious ones are read from a file with a range of years ([`Calendar::parse`]). Beyond that range
//! weekends and national holidays still count, and [`Calendar::covers`] says that the rest is not known.

use crate::clock::UtcTime;
use crate::domain::rule::DayKind;
use crate::domain::schedule::DAY;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Local time in Türkiye is three hours ahead all year (Cabinet decree 2016/9154).
const LOCAL_OFFSET: Duration = Duration::from_secs(3 * 3600);
/// When the free afternoon of a half day begins (Law 2429, article 2), local time.
const HALF_DAY_ENDS: Duration = Duration::from_secs(13 * 3600);
const DAY_MS: i64 = 86_400_000;
/// Most days a walk looks at: a year of business days, and all that is free in between, several times over.
const WALK_MAX_DAYS: u32 = 4 * 366;

/// So long before the known years end it is said: the dates are published years ahead, and a provider is renewed once a year.
const KNOWN_AHEAD: Duration = Duration::from_secs(365 * 86_400);

/// Months and days that are free every year.
const NATIONAL: [(i8, i8); 7] = [(1, 1), (4, 23), (5, 1), (5, 19), (7, 15), (8, 30), (10, 29)];
/// Free from 13:00 every year.
const NATIONAL_EVE: (i8, i8) = (10, 28);

/// Which days are worked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The years whose religious holidays are known, both included.
    years: Option<(i16, i16)>,
    days: BTreeSet<Date>,
    half_days: BTreeSet<Date>,
}

/// Why a file of holidays cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    #[error("{0}")]
    Unreadable(String),
    #[error("first_year {0} comes after last_year {1}")]
    NoYears(i16, i16),
    #[error("{0} is no day of the form 2026-03-20 within the years of the file")]
    NoDay(String),
    #[error("{0} stands in the file twice")]
    Twice(Date),
    #[error("{0} has no religious holiday at all; every year of the range has two feasts")]
    EmptyYear(i16),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    first_year: i16,
    last_year: i16,
    days: Vec<String>,
    half_days: Vec<String>,
}

impl Calendar {
    /// Reads the religious holidays from a file like `config/holidays.toml`.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let file: File = toml::from_str(text).map_err(|e| CalendarError::Unreadable(e.to_string()))?;
        let (first, last) = (file.first_year, file.last_year);
        if first > last {
            return Err(CalendarError::NoYears(first, last));
        }
        let mut seen = BTreeSet::new();
        let mut read = |texts: &[String]| {
            let mut days = BTreeSet::new();
            for text in texts {
                let day: Option<Date> = text
                    .parse()
                    .ok()
                    .filter(|d: &Date| (first..=last).contains(&d.year()));
                let day = day.ok_or_else(|| CalendarError::NoDay(text.clone()))?;
                if !seen.insert(day) {
                    return Err(CalendarError::Twice(day));
                }
                days.insert(day);
            }
            Ok(days)
        };
        let (days, half_days) = (read(&file.days)?, read(&file.half_days)?);
        if let Some(empty) = (first..=last).find(|year| !days.iter().any(|d| d.year() == *year)) {
            return Err(CalendarError::EmptyYear(empty));
        }
        Ok(Self {
            years: Some((first, last)),
            days,
            half_days,
        })
    }

    /// Whether the religious holidays of that moment's year are known.
    pub fn covers(&self, moment: UtcTime) -> bool {
        let year = local_date(moment).year();
        self.years
            .is_some_and(|(first, last)| (first..=last).contains(&year))
    }

    /// What whoever runs a provider should hear about the years that are known. `None`: they last for a while.
    pub fn warning(&self, now: UtcTime) -> Option<String> {
        const SAY: &str =
            "limits in business days then take religious holidays for worked days; install a newer kepd";
        let Some((first, last)) = self.years else {
            return Some(format!("no religious holidays are known: {SAY}"));
        };
        if !self.covers(now) {
            return Some(format!(
                "religious holidays are known for {first} to {last}, and not for today: {SAY}"
            ));
        }
        let soon = !self.covers(now.plus(KNOWN_AHEAD));
        soon.then(|| format!("religious holidays are known to the end of {last} only: {SAY}"))
    }

    /// What is to be said of a limit in business days that begins now and runs out at `due`.
    pub fn doubt(&self, now: UtcTime, due: UtcTime) -> Option<String> {
        let known = self.covers(now) && self.covers(due);
        (!known).then(|| {
            format!(
                "religious holidays are not known up to {:04}-{:02}-{:02}, when a job that starts now is due: \
                 it may be due some days too early",
                due.date().0,
                due.date().1,
                due.date().2
            )
        })
    }

    /// The moment `days` days after `since`.
    pub fn after(&self, since: UtcTime, days: u16, kind: DayKind) -> UtcTime {
        match kind {
            DayKind::Calendar => since.plus(DAY * u32::from(days)),
            DayKind::Business => self.business_days_after(since, days),
        }
    }

    fn business_days_after(&self, since: UtcTime, days: u16) -> UtcTime {
        let (mut date, time_ms) = local(since);
        let mut left = days;
        for _ in 0..WALK_MAX_DAYS {
            if left == 0 {
                break;
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
            left -= u16::from(self.is_business_day(date));
        }
        let afternoon = time_ms >= HALF_DAY_ENDS.as_millis() as i64;
        if days > 0 && afternoon && self.is_half_day(date) {
            while let Ok(next) = date.tomorrow() {
                date = next;
                if self.is_business_day(date) {
                    break;
                }
            }
        }
        let days = date.duration_since(local(since).0).as_hours() / 24;
        let ms = since.unix_ms().saturating_add(days.saturating_mul(DAY_MS));
        UtcTime::from_unix_ms(ms)
    }

    /// Half days are business days.
    pub fn is_business_day(&self, date: Date) -> bool {
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let national = NATIONAL.contains(&(date.month(), date.day()));
        !weekend && !national && !self.days.contains(&date)
    }

    fn is_half_day(&self, date: Date) -> bool {
        (date.month(), date.day()) == NATIONAL_EVE || self.half_days.contains(&date)
    }
}

/// Local date, and the milliseconds since its midnight.
fn local(moment: UtcTime) -> (Date, i64) {
    let here = moment.plus(LOCAL_OFFSET).unix_ms();
    (local_date(moment), here.rem_euclid(DAY_MS))
}

fn local_date(moment: UtcTime) -> Date {
    let here = moment.plus(LOCAL_OFFSET).unix_ms();
    let stamp = jiff::Timestamp::from_millisecond(here).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::Offset::UTC.to_datetime(stamp).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    const FILE: &str = include_str!("../../config/holidays.toml");

    fn calendar() -> Calendar {
        Calendar::parse(FILE).unwrap()
    }

    /// A local moment.
    fn at(year: i16, month: i8, day: i8, hour: i8) -> UtcTime {
        let here = date(year, month, day).at(hour, 0, 0, 0);
        let stamp = jiff::tz::Offset::UTC.to_timestamp(here).unwrap();
        UtcTime::from_unix_ms(stamp.as_millisecond()).minus(LOCAL_OFFSET)
    }

    #[test]
    fn business_days_step_over_what_is_free() {
        let calendar = calendar();
        let table = [
            // Over a weekend; begun on one; a whole week.
            ((2026, 11, 20, 10), 1, (2026, 11, 23, 10)),
            ((2026, 11, 21, 10), 1, (2026, 11, 23, 10)),
            ((2026, 11, 23, 23), 5, (2026, 11, 30, 23)),
            // New Year is a Friday.
            ((2026, 12, 31, 9), 1, (2027, 1, 4, 9)),
            // Kurban Bayramı 2026: Wednesday to Saturday. The eve counts until 13:00.
            ((2026, 5, 25, 10), 1, (2026, 5, 26, 10)),
            ((2026, 5, 25, 15), 1, (2026, 6, 1, 15)),
            ((2026, 5, 26, 15), 1, (2026, 6, 1, 15)),
            // 28 October is a half day, 29 October is free.
            ((2026, 10, 27, 13), 1, (2026, 10, 30, 13)),
            ((2026, 10, 27, 12), 1, (2026, 10, 28, 12)),
            // 23 April and 1 May.
            ((2026, 4, 22, 8), 1, (2026, 4, 24, 8)),
            ((2026, 4, 30, 8), 1, (2026, 5, 4, 8)),
        ];
        for (from, days, to) in table {
            let (f, t) = (from, to);
            let got = calendar.after(at(f.0, f.1, f.2, f.3), days, DayKind::Business);
            assert_eq!(got, at(t.0, t.1, t.2, t.3), "{from:?} + {days}");
        }
        let start = at(2026, 5, 25, 15);
        assert_eq!(calendar.after(start, 3, DayKind::Calendar), at(2026, 5, 28, 15));
    }

    #[test]
    fn a_file_with_faults_is_refused() {
        let with = |from: &str, to: &str| Calendar::parse(&FILE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(
            with("\"2026-03-20\"", "\"2029-03-20\""),
            CalendarError::NoDay("2029-03-20".into())
        );
        assert_eq!(
            with("\"2026-03-20\"", "\"2026-02-30\""),
            CalendarError::NoDay("2026-02-30".into())
        );
        assert_eq!(
            with("\"2026-03-20\"", "\"2026-03-21\""),
            CalendarError::Twice(date(2026, 3, 21))
        );
        assert_eq!(
            with("last_year = 2028", "last_year = 2030"),
            CalendarError::EmptyYear(2029)
        );
        assert_eq!(
            with("last_year = 2028", "last_year = 2024"),
            CalendarError::NoYears(2025, 2024)
        );
        assert!(matches!(with("half_days", "half"), CalendarError::Unreadable(_)));
    }

    #[test]
    fn the_range_of_years_is_known() {
        let calendar = calendar();
        assert!(calendar.covers(at(2025, 1, 1, 0)) && calendar.covers(at(2028, 12, 31, 23)));
        assert!(!calendar.covers(at(2029, 1, 1, 0)) && !calendar.covers(at(2024, 12, 31, 23)));
        assert!(!Calendar::default().covers(at(2026, 1, 1, 0)));
    }

    #[test]
    fn the_end_of_the_known_years_is_said_a_year_before() {
        let calendar = calendar();
        for (now, says) in [
            (at(2026, 11, 23, 10), None),
            (at(2027, 12, 31, 10), None),
            (at(2028, 1, 2, 10), Some("to the end of 2028 only")),
            (at(2028, 12, 31, 23), Some("to the end of 2028 only")),
            (at(2029, 1, 1, 0), Some("for 2025 to 2028, and not for today")),
            (at(2024, 12, 31, 23), Some("for 2025 to 2028, and not for today")),
        ] {
            let said = calendar.warning(now);
            match says {
                None => assert_eq!(said, None, "{now}"),
                Some(part) => assert!(said.unwrap().contains(part), "{now}"),
            }
        }
        let said = Calendar::default().warning(at(2026, 1, 1, 0)).unwrap();
        assert!(said.contains("no religious holidays"), "{said}");
        let now = at(2028, 12, 20, 10);
        let due = |days| calendar.after(now, days, DayKind::Business);
        assert_eq!(calendar.doubt(now, due(3)), None);
        assert!(calendar.doubt(now, due(20)).unwrap().contains("2029-01-"));
    }

    #[test]
    fn every_feast_has_its_days_and_its_eve() {
        let calendar = calendar();
        for year in 2025..=2028 {
            assert_eq!(
                calendar.days.iter().filter(|d| d.year() == year).count(),
                7,
                "{year}"
            );
            let eves = calendar.half_days.iter().filter(|d| d.year() == year);
            for eve in eves {
                assert!(calendar.days.contains(&eve.tomorrow().unwrap()), "{eve}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn limits_only_grow_and_end_on_worked_days(
            start_s in 1_735_700_000i64..1_850_000_000,
            later_s in 0i64..2_000_000,
            days in 1u16..200,
        ) {
            let calendar = calendar();
            let start = UtcTime::from_unix_s(start_s);
            let end = calendar.after(start, days, DayKind::Business);
            let (date, time_ms) = local(end);
            prop_assert!(calendar.is_business_day(date));
            prop_assert!(!(calendar.is_half_day(date) && time_ms >= HALF_DAY_ENDS.as_millis() as i64));
            prop_assert!(end >= calendar.after(start, days, DayKind::Calendar));
            prop_assert!(calendar.after(start, days + 1, DayKind::Business) >= end);
            let next_day = UtcTime::from_unix_s(start_s + later_s - later_s % 86_400);
            prop_assert!(calendar.after(next_day, days, DayKind::Business) >= end);
        }
    }
}
