//! What a rule catches: conditions on decoded headers, compared under Turkish folding.
//!
//! A [`RuleBook`] holds the rules of a tenant in the order they are asked, with the texts of their conditions folded
//! once; a mail is folded once as well, whatever the number of rules.

use super::finder::Finder;
use super::{Combine, Comparison, Condition, Direction, Field, Rule};
use crate::domain::folding::turkish_fold;
use crate::id::RuleId;
use std::collections::BTreeMap;

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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    text.char_indices()
        .filter(|(at, _)| text[*at..].starts_with(needle))
        .any(|(at, _)| apart(&text[..at], &text[at + needle.len()..]))
}

fn apart(before: &str, after: &str) -> bool {
    let (before, after) = (before.chars().next_back(), after.chars().next());
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

/// The rules of a tenant that are switched on, in the order they are asked. What they ask is asked once for all of them.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    pages: Vec<Page>,
    /// What is asked, each once; pages name them by number.
    needles: Vec<Needle>,
    sought: [Sought; 3],
}

/// What is asked of one field.
#[derive(Debug, Clone, Default)]
struct Sought {
    finder: Finder,
    /// For each text of the finder, the needles that have it.
    needles: Vec<Vec<u32>>,
}

#[derive(Debug, Clone)]
struct Page {
    rule: RuleId,
    direction: Direction,
    combine: Combine,
    needles: Vec<u32>,
}

const FIELDS: [Field; 3] = [Field::From, Field::To, Field::Subject];

fn combined(combine: Combine, mut held: impl ExactSizeIterator<Item = bool>) -> bool {
    match combine {
        Combine::Any => held.any(|holds| holds),
        Combine::All => held.len() > 0 && held.all(|holds| holds),
    }
}

impl RuleBook {
    pub fn new(in_order: &[&Rule]) -> Self {
        let mut book = Self::default();
        let mut numbers: BTreeMap<Needle, u32> = BTreeMap::new();
        for rule in in_order.iter().filter(|r| r.enabled) {
            let mut number = |condition: &Condition| {
                let needle = Needle::new(condition);
                let next = u32::try_from(book.needles.len()).unwrap_or(u32::MAX);
                *numbers.entry(needle).or_insert_with_key(|needle| {
                    book.needles.push(needle.clone());
                    next
                })
            };
            let needles = rule.conditions.iter().map(&mut number).collect();
            book.pages.push(Page {
                rule: rule.id,
                direction: rule.direction,
                combine: rule.combine,
                needles,
            });
        }
        book.sought = FIELDS.map(|field| Sought::new(field, &book.needles));
        book
    }

    /// The rules of a direction that catch a mail, in order.
    pub fn catching<'a>(
        &'a self,
        direction: Direction,
        mail: &'a Folded,
    ) -> impl Iterator<Item = RuleId> + 'a {
        let held = self.held(direction, mail);
        let pages = self.pages.iter().filter(move |p| p.direction == direction);
        let holds = move |n: &u32| held.get(*n as usize).copied().unwrap_or(false);
        pages
            .filter(move |p| combined(p.combine, p.needles.iter().map(&holds)))
            .map(|p| p.rule)
    }

    /// Which needles hold of a mail.
    fn held(&self, direction: Direction, mail: &Folded) -> Vec<bool> {
        let mut held = vec![false; self.needles.len()];
        for (field, sought) in FIELDS.into_iter().zip(&self.sought) {
            if !field.is_of(direction) {
                continue;
            }
            for text in mail.texts(field) {
                sought.finder.each(text, |n, place| {
                    for needle in &sought.needles[n] {
                        let at = *needle as usize;
                        held[at] = held[at] || self.needles[at].comparison.fits(text, place.clone());
                    }
                });
            }
        }
        held
    }
}

impl Sought {
    fn new(field: Field, all: &[Needle]) -> Self {
        let of_field = || (0u32..).zip(all).filter(|(_, needle)| needle.field == field);
        let finder = Finder::new(of_field().map(|(_, needle)| needle.folded.clone()));
        let mut needles = vec![Vec::new(); finder.len()];
        for (number, needle) in of_field() {
            if let Some(at) = finder.number(&needle.folded) {
                needles[at].push(number);
            }
        }
        Self { finder, needles }
    }
}

impl Comparison {
    /// Whether a text that stands at this place of another is there as the comparison asks.
    fn fits(self, text: &str, place: std::ops::Range<usize>) -> bool {
        let (before, after) = (&text[..place.start], &text[place.end..]);
        match self {
            Comparison::Contains => true,
            Comparison::Begins => before.trim().is_empty(),
            Comparison::Equals => before.trim().is_empty() && after.trim().is_empty(),
            Comparison::Word => apart(before, after),
        }
    }
}

impl Rule {
    /// Whether the conditions hold of a mail, be the rule switched on or not.
    pub fn catches(&self, mail: &Folded) -> bool {
        combined(
            self.combine,
            self.conditions.iter().map(|c| Needle::new(c).is_in(mail)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn condition(field: Field, comparison: Comparison, text: &str) -> Condition {
        Condition {
            field,
            comparison,
            text: text.into(),
        }
    }

    /// Asked in its own direction, by itself and as one of a book.
    fn holds(combine: Combine, conditions: Vec<Condition>, mail: &Matchable) -> bool {
        let mut rule = crate::domain::samples::rule(Vec::new());
        let incoming = conditions.iter().any(|c| c.field == Field::From);
        rule.direction = if incoming {
            Direction::Incoming
        } else {
            Direction::Outgoing
        };
        (rule.combine, rule.conditions) = (combine, conditions);
        let folded = mail.folded();
        let by_itself = rule.catches(&folded);
        let book = RuleBook::new(&[&rule]);
        assert_eq!(book.catching(rule.direction, &folded).count() == 1, by_itself);
        by_itself
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

    fn any_condition() -> impl Strategy<Value = Condition> {
        use Comparison::*;
        let comparison = prop::sample::select(vec![Contains, Equals, Begins, Word]);
        let field = prop::sample::select(vec![Field::To, Field::Subject]);
        (field, comparison, "[aıİ ]{0,2}[aIi]{1,3}")
            .prop_map(|(field, comparison, text)| condition(field, comparison, &text))
    }

    proptest! {
        #[test]
        fn a_book_catches_what_its_rules_catch(
            rules in prop::collection::vec((prop::collection::vec(any_condition(), 0..4), any::<bool>()), 0..30),
            to in prop::collection::vec("[aıİiI. ]{0,12}", 0..4),
            subject in "[aıİiI. ]{0,20}",
        ) {
            let rules: Vec<Rule> = (1..)
                .zip(rules)
                .map(|(n, (conditions, all))| Rule {
                    id: RuleId(n),
                    conditions,
                    combine: if all { Combine::All } else { Combine::Any },
                    ..crate::domain::samples::rule(Vec::new())
                })
                .collect();
            let folded = Matchable { from: Vec::new(), to, subject }.folded();
            let book = RuleBook::new(&rules.iter().collect::<Vec<_>>());
            let by_book: Vec<RuleId> = book.catching(Direction::Outgoing, &folded).collect();
            let one_by_one = rules.iter().filter(|r| r.catches(&folded)).map(|r| r.id);
            prop_assert_eq!(by_book, one_by_one.collect::<Vec<_>>());
        }
    }
}
