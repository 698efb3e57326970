//! How days, messages, and conditions and steps of rules, are spelled on the command line: texts to words. What they name
//! is not looked up here.

use super::mail_words::MailRef;
use super::rule_words::{ConditionWord, NeedWord, PartyWord, StepWord};
use super::words::When;
use crate::clock::UtcTime;
use crate::id::ItemId;
use std::str::FromStr;
use std::time::Duration;

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SAY: &str = "a day is written 2026-12-01, a moment 2026-12-01T17:00:00+03:00";
        let text = text.trim();
        if let Some(moment) = UtcTime::parse_rfc3339(text) {
            return Ok(Self {
                from: moment,
                until: moment,
            });
        }
        // Türkiye is three hours ahead of UTC all year.
        let day = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let from = UtcTime::parse_rfc3339(&format!("{text}T00:00:00+03:00"));
        let from = from.filter(|_| day).ok_or(SAY)?;
        Ok(Self {
            from,
            until: from.plus(Duration::from_secs(86_400)),
        })
    }
}

impl FromStr for ConditionWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SAY: &str = "a condition is FIELD COMPARISON TEXT: from, to or subject; contains, is, begins or word; and the text";
        let (field, rest) = text.trim().split_once(' ').ok_or(SAY)?;
        let (comparison, text) = rest.trim_start().split_once(' ').ok_or(SAY)?;
        let known = ["from", "to", "subject"].contains(&field)
            && ["contains", "is", "begins", "word"].contains(&comparison);
        if !known {
            return Err(SAY);
        }
        Ok(Self {
            field: field.into(),
            comparison: comparison.into(),
            text: text.trim().into(),
        })
    }
}

impl FromStr for PartyWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let counted = text
            .split_once(" of ")
            .and_then(|(n, who)| Some((n.trim().parse().ok()?, who)));
        let (need, who) = match (text.strip_prefix("all "), counted) {
            (Some(who), _) => (NeedWord::All, who),
            (None, Some((n, who))) => (NeedWord::Of(n), who),
            (None, None) => (NeedWord::One, text),
        };
        if who.trim().is_empty() {
            return Err("a step names who decides: a role, unit:PATH or user:NAME");
        }
        Ok(Self {
            need,
            who: who.trim().into(),
        })
    }
}

impl FromStr for StepWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SAY: &str = "a step is WHO:DAYS, as in \"Onay Rolü:1\"; after the days may follow \
                           ,remind=DAYS ,escalate=WHO@DAYS ,expire=DAYS";
        let days_at = |(at, _): &(usize, char)| {
            let days = text[at + 1..].split(',').next().unwrap_or_default().trim();
            !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit())
        };
        let (at, _) = text
            .char_indices()
            .filter(|(_, c)| *c == ':')
            .find(days_at)
            .ok_or(SAY)?;
        let mut options = text[at + 1..].split(',');
        let days = options.next().and_then(|d| d.trim().parse().ok()).ok_or(SAY)?;
        let parties = text[..at].split('+').map(str::parse);
        let mut step = Self {
            parties: parties.collect::<Result<_, _>>()?,
            days,
            remind: None,
            escalate: None,
            expire: None,
        };
        for option in options {
            let (name, value) = option.split_once('=').ok_or(SAY)?;
            let number = || value.trim().parse().map_err(|_| SAY);
            match name.trim() {
                "remind" => step.remind = Some(number()?),
                "expire" => step.expire = Some(number()?),
                "escalate" => {
                    let (who, days) = value.rsplit_once('@').ok_or(SAY)?;
                    let days = days.trim().parse().map_err(|_| SAY)?;
                    step.escalate = Some((days, who.trim().into()));
                }
                _ => return Err(SAY),
            }
        }
        Ok(step)
    }
}

impl FromStr for MailRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SAY: &str =
            "a message is named by its mail id (a UUID) or by its number, as `mail list` shows them";
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(|n| MailRef::Number(ItemId(n))).map_err(|_| SAY);
        }
        text.parse().map(MailRef::Mail).map_err(|_| SAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_in_turkiye() {
        let day: When = "2026-12-01".parse().unwrap();
        assert_eq!(day.from.rfc3339(), "2026-11-30T21:00:00Z");
        assert_eq!(day.until.rfc3339(), "2026-12-01T21:00:00Z");
        let moment: When = "2026-12-01T17:00:00+03:00".parse().unwrap();
        assert_eq!((moment.from, moment.until), (moment.until, moment.from));
        assert_eq!(moment.from.rfc3339(), "2026-12-01T14:00:00Z");
        for wrong in ["", "1.12.2026", "2026-13-01", "2026-12-1", "2026-12-01T", "yarın"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }
}
