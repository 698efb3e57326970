//! How conditions and steps of rules are spelled on the command line: texts to words. What they name is not looked up
//! here.

use super::words::{ConditionWord, NeedWord, PartyWord, StepWord};
use std::str::FromStr;

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
