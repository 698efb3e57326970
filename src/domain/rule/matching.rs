//! What a rule catches: conditions on decoded headers, compared under Turkish folding.
//!
//! A [`RuleBook`] holds the rules of a tenant in the order they are asked, with the texts of their conditions folded
//! once; a mail is folded once as well, whatever the number of rules.

use super::{Combine, Comparison, Condition, Direction, Field, Rule};
use crate::domain::folding::turkish_fold;
use crate::id::RuleId;

/// The headers a rule may read, decoded.
#[derive(Debug, Clone, Default)]
pub struct Matchable {
    /// Author's address and display name, each by itself.
    pub from: Vec<String>,
    /// Recipients' addresses and display names, each by itself.
    pub to: Vec<String>,
    pub subject: String,
}

/// A mail's headers, folded.
#[derive(Debug)]
pub struct Folded {
    from: Vec<String>,
    to: Vec<String>,
    subject: [String; 1],
}

impl Matchable {
    pub fn folded(&self) -> Folded {
        let fold = |texts: &[String]| texts.iter().map(|t| turkish_fold(t)).collect();
        Folded {
            from: fold(&self.from),
            to: fold(&self.to),
            subject: [turkish_fold(&self.subject)],
        }
    }
}

impl Folded {
    fn texts(&self, field: Field) -> &[String] {
        match field {
            Field::From => &self.from,
            Field::To => &self.to,
            Field::Subject => &self.subject,
        }
    }
}

#[derive(Debug, Clone)]
struct Needle {
    field: Field,
    comparison: Comparison,
    folded: String,
}

impl Needle {
    fn new(condition: &Condition) -> Self {
        Self {
            field: condition.field,
            comparison: condition.comparison,
            folded: turkish_fold(condition.text.trim()),
        }
    }

    fn is_in(&self, mail: &Folded) -> bool {
        let needle = self.folded.as_str();
        mail.texts(self.field).iter().any(|text| match self.comparison {
            Comparison::Contains => text.contains(needle),
            Comparison::Equals => text.trim() == needle,
            Comparison::Begins => text.trim_start().starts_with(needle),
            Comparison::Word => has_word(text, needle),
        })
    }
}

/// Whether the text has the needle with no letter or digit on either side.
fn has_word(text: &str, needle: &str) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + needle.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// The rules of a tenant that are switched on, in the order they are asked.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    pages: Vec<Page>,
}

#[derive(Debug, Clone)]
struct Page {
    rule: RuleId,
    direction: Direction,
    combine: Combine,
    needles: Vec<Needle>,
}

impl Page {
    fn of(rule: &Rule) -> Self {
        Self {
            rule: rule.id,
            direction: rule.direction,
            combine: rule.combine,
            needles: rule.conditions.iter().map(Needle::new).collect(),
        }
    }

    fn catches(&self, mail: &Folded) -> bool {
        match self.combine {
            Combine::Any => self.needles.iter().any(|n| n.is_in(mail)),
            Combine::All => !self.needles.is_empty() && self.needles.iter().all(|n| n.is_in(mail)),
        }
    }
}

impl RuleBook {
    pub fn new(in_order: &[&Rule]) -> Self {
        let switched_on = in_order.iter().filter(|r| r.enabled);
        Self {
            pages: switched_on.map(|r| Page::of(r)).collect(),
        }
    }

    /// The rules of a direction that catch a mail, in order.
    pub fn catching<'a>(
        &'a self,
        direction: Direction,
        mail: &'a Folded,
    ) -> impl Iterator<Item = RuleId> + 'a {
        let pages = self.pages.iter().filter(move |p| p.direction == direction);
        pages.filter(|p| p.catches(mail)).map(|p| p.rule)
    }
}

impl Rule {
    /// Whether the conditions hold of a mail, be the rule switched on or not.
    pub fn catches(&self, mail: &Folded) -> bool {
        Page::of(self).catches(mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(field: Field, comparison: Comparison, text: &str) -> Condition {
        Condition {
            field,
            comparison,
            text: text.into(),
        }
    }

    fn holds(combine: Combine, conditions: Vec<Condition>, mail: &Matchable) -> bool {
        let page = Page {
            rule: RuleId(1),
            direction: Direction::Outgoing,
            combine,
            needles: conditions.iter().map(Needle::new).collect(),
        };
        page.catches(&mail.folded())
    }

    #[test]
    fn compares_under_turkish_folding() {
        use Comparison::*;
        let mail = Matchable {
            from: vec!["ihale@hs03.kep.test".into()],
            to: vec!["alici@hs02.kep.test".into(), "Alıcı Limited".into()],
            subject: "FİYAT TEKLİFİ 2026".into(),
        };
        let table = [
            (Field::Subject, Contains, "teklif", true),
            (Field::Subject, Contains, "ihale", false),
            (Field::Subject, Word, "teklif", false),
            (Field::Subject, Word, "teklifi", true),
            (Field::Subject, Word, "2026", true),
            (Field::Subject, Begins, "fiyat", true),
            (Field::Subject, Begins, "teklif", false),
            (Field::Subject, Equals, "fiyat teklifi 2026", true),
            (Field::Subject, Equals, "fiyat teklifi", false),
            (Field::To, Contains, "hs02", true),
            (Field::To, Equals, "ALICI LİMİTED", true),
            (Field::To, Begins, "Alici@", true),
            (Field::To, Begins, "limited", false),
            (Field::To, Contains, "teklif", false),
            (Field::From, Begins, "ihale@", true),
        ];
        for (field, comparison, text, wanted) in table {
            let got = holds(Combine::Any, vec![condition(field, comparison, text)], &mail);
            assert_eq!(got, wanted, "{field:?} {comparison:?} {text}");
        }
    }

    #[test]
    fn any_or_all_conditions_hold() {
        let mail = Matchable {
            subject: "fiyat teklifi".into(),
            ..Matchable::default()
        };
        let both = || {
            vec![
                condition(Field::Subject, Comparison::Contains, "fiyat"),
                condition(Field::Subject, Comparison::Contains, "ihale"),
            ]
        };
        assert!(holds(Combine::Any, both(), &mail));
        assert!(!holds(Combine::All, both(), &mail));
        assert!(!holds(Combine::All, vec![], &mail));
    }
}
