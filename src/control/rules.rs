//! Rules in words: how a person types them, and how they are shown.

use super::words::{ControlDoor, Outcome, list, one};
use crate::control::protocol::{
    CombineWord, ConditionWord, NeedWord, Record, RuleAdd, RuleOptions, RuleWord, StepWord,
};
use crate::domain::org::{Organisation, Permission};
use crate::domain::rule::{Combine, Comparison, Condition, DayKind, Direction, Field, Need, Rule, Step, Who};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{NewStep, RuleWish, unheld, unknown};

impl ControlDoor {
    pub(super) async fn rule(&self, word: RuleWord) -> Outcome {
        if !matches!(word, RuleWord::Test(_)) {
            self.demand(Permission::Account)?;
        }
        match word {
            RuleWord::Add(new) => self.add_rule(new).await,
            RuleWord::Set(set) => {
                let tenant = self.organisation(&set.tenant)?.tenant.id;
                let mut wish = wish(set.options)?;
                let organisation = self.organisations.of(tenant)?;
                if let Some(rule) = organisation.rule_by_name(&set.name) {
                    keep_others(&mut wish, rule);
                }
                let rule = self.organisations.by(&self.by).set_rule(tenant, &set.name, &wish);
                let rule = rule.await?;
                one(self.rule_record(&*self.organisations.of(tenant)?, &rule))
            }
            RuleWord::Remove { tenant, name } => {
                let tenant = self.organisation(&tenant)?.tenant.id;
                let rule = self.organisations.by(&self.by).remove_rule(tenant, &name).await?;
                one(Record::new().text("removed", rule.name))
            }
            RuleWord::List { tenant } => {
                let organisation = self.organisation(&tenant)?;
                let rules = organisation.rules_in_order();
                list(rules.into_iter().map(|r| self.rule_record(&organisation, r)))
            }
            RuleWord::Show { tenant, name } => {
                let organisation = self.organisation(&tenant)?;
                let Some(rule) = organisation.rule_by_name(&name) else {
                    let names = organisation.rules.values().map(|r| r.name.as_str());
                    return Err(Failure::refused(Kind::NotFound, unknown("rule", &name, names)));
                };
                one(self.rule_record(&organisation, rule))
            }
            RuleWord::Enable { tenant, name } => self.enable(&tenant, &name, true).await,
            RuleWord::Disable { tenant, name } => self.enable(&tenant, &name, false).await,
            RuleWord::Test(test) if test.stored => self.rehearse_stored(test).await,
            RuleWord::Test(test) => self.rehearse_one(test),
        }
    }

    async fn add_rule(&self, new: RuleAdd) -> Outcome {
        let tenant = self.organisation(&new.tenant)?.tenant.id;
        let direction = if new.incoming {
            Direction::Incoming
        } else {
            Direction::Outgoing
        };
        let wish = wish(new.options)?;
        let added = self
            .organisations
            .by(&self.by)
            .add_rule(tenant, &new.name, direction, &wish);
        let rule = added.await?;
        one(self.rule_record(&*self.organisations.of(tenant)?, &rule))
    }

    async fn enable(&self, tenant: &str, name: &str, enabled: bool) -> Outcome {
        let id = self.organisation(tenant)?.tenant.id;
        let rule = self
            .organisations
            .by(&self.by)
            .enable_rule(id, name, enabled)
            .await?;
        one(self.rule_record(&*self.organisations.of(id)?, &rule))
    }

    fn rule_record(&self, organisation: &Organisation, rule: &Rule) -> Record {
        rule_record(organisation, rule).with("warnings", self.rule_warnings(organisation, rule))
    }

    /// What can be done and may not be meant.
    fn rule_warnings(&self, organisation: &Organisation, rule: &Rule) -> Vec<String> {
        let mut warnings: Vec<String> = Vec::new();
        for party in unheld(organisation, rule) {
            warnings.push(format!(
                "nobody of \"{party}\" may approve: a job would wait there until somebody may, or an officer reassigns it"
            ));
        }
        if rule.days == DayKind::Business {
            let (calendar, now) = (&self.approval.terms.calendar, self.approval.clock.now());
            let due = calendar.after(now, rule.longest_days(), rule.days);
            warnings.extend(calendar.doubt(now, due));
        }
        warnings
    }
}

/// What is typed, as the service takes it; a list that is not given is left as it is.
fn wish(options: RuleOptions) -> Result<RuleWish, Failure> {
    let contains = |field| move |text| (field, Comparison::Contains, text);
    let when = options.when.into_iter().map(|w| {
        let ConditionWord {
            field,
            comparison,
            text,
        } = w;
        (condition_field(&field), condition_comparison(&comparison), text)
    });
    let all = (options.from.into_iter().map(contains(Field::From)))
        .chain(options.to.into_iter().map(contains(Field::To)))
        .chain(options.subject.into_iter().map(contains(Field::Subject)))
        .chain(when);
    let conditions: Vec<Condition> = all
        .map(|(field, comparison, text)| Condition {
            field,
            comparison,
            text,
        })
        .collect();
    let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let steps: Vec<NewStep> = options.steps.into_iter().map(new_step).collect();
    Ok(RuleWish {
        combine: options.combine.map(|c| match c {
            CombineWord::Any => Combine::Any,
            CombineWord::All => Combine::All,
        }),
        conditions: (!conditions.is_empty()).then_some(conditions),
        subjects: given(options.subjects),
        steps: (!steps.is_empty()).then_some(steps),
        days: options.business_days.map(|business| {
            if business {
                DayKind::Business
            } else {
                DayKind::Calendar
            }
        }),
        total_limit_days: options.total,
        own_approval: options.own_approval,
        labels: given(options.labels),
        units: given(options.routes),
        position: options.position,
    })
}

/// Conditions are replaced by the option they are given with: those of other fields and comparisons stay.
fn keep_others(wish: &mut RuleWish, rule: &Rule) {
    let Some(given) = &mut wish.conditions else { return };
    let option = |c: &Condition| (c.comparison == Comparison::Contains).then_some(c.field);
    let replaced: Vec<Option<Field>> = given.iter().map(option).collect();
    let kept = rule.conditions.iter().filter(|c| !replaced.contains(&option(c)));
    let kept: Vec<Condition> = kept.cloned().collect();
    given.extend(kept);
}

fn condition_field(word: &str) -> Field {
    match word {
        "from" => Field::From,
        "to" => Field::To,
        _ => Field::Subject,
    }
}

fn condition_comparison(word: &str) -> Comparison {
    match word {
        "is" => Comparison::Equals,
        "begins" => Comparison::Begins,
        "word" => Comparison::Word,
        _ => Comparison::Contains,
    }
}

fn new_step(word: StepWord) -> NewStep {
    let need = |need| match need {
        NeedWord::One => Need::One,
        NeedWord::All => Need::All,
        NeedWord::Of(n) => Need::Quorum(n),
    };
    NewStep {
        parts: word.parties.into_iter().map(|p| (need(p.need), p.who)).collect(),
        limit_days: word.days,
        remind_after_days: word.remind,
        escalation: word.escalate,
        expire_after_days: word.expire,
    }
}

/// A rule's steps as they can be typed again.
pub(super) fn steps(organisation: &Organisation, rule: &Rule) -> Vec<String> {
    rule.steps
        .iter()
        .map(|step| written(organisation, step))
        .collect()
}

/// A party as it is typed.
fn party(organisation: &Organisation, who: Who) -> String {
    let name = organisation.who(who);
    match who {
        Who::Role(_) => name,
        Who::Unit(_) => format!("unit:{name}"),
        Who::User(_) => format!("user:{name}"),
    }
}

fn written(organisation: &Organisation, step: &Step) -> String {
    let who = |who| party(organisation, who);
    let parts = step.parts.iter().map(|part| match part.need {
        Need::One => who(part.who),
        Need::All => format!("all {}", who(part.who)),
        Need::Quorum(n) => format!("{n} of {}", who(part.who)),
    });
    let mut text = format!("{}:{}", parts.collect::<Vec<_>>().join(" + "), step.limit_days);
    if let Some(days) = step.remind_after_days {
        text.push_str(&format!(",remind={days}"));
    }
    if let Some(escalation) = step.escalation {
        text.push_str(&format!(
            ",escalate={}@{}",
            who(escalation.to),
            escalation.after_days
        ));
    }
    if let Some(days) = step.expire_after_days {
        text.push_str(&format!(",expire={days}"));
    }
    text
}

fn rule_record(organisation: &Organisation, rule: &Rule) -> Record {
    let texts = |field| {
        let of_field = rule
            .conditions
            .iter()
            .filter(move |c| c.field == field && c.comparison == Comparison::Contains);
        of_field.map(|c| c.text.clone()).collect::<Vec<_>>()
    };
    let others = rule
        .conditions
        .iter()
        .filter(|c| c.comparison != Comparison::Contains)
        .map(|c| {
            let field = match c.field {
                Field::From => "from",
                Field::To => "to",
                Field::Subject => "subject",
            };
            let comparison = match c.comparison {
                Comparison::Contains => "contains",
                Comparison::Equals => "is",
                Comparison::Begins => "begins",
                Comparison::Word => "word",
            };
            format!("{field} {comparison} {}", c.text)
        });
    let labels = rule.labels.iter().filter_map(|l| organisation.labels.get(l));
    Record::new()
        .text("name", &rule.name)
        .with("version", rule.version)
        .with("enabled", rule.enabled)
        .with("position", rule.position)
        .with("incoming", rule.direction == Direction::Incoming)
        .text(
            "match",
            if rule.combine == Combine::All {
                "all"
            } else {
                "any"
            },
        )
        .with("from", texts(Field::From))
        .with("to", texts(Field::To))
        .with("subject", texts(Field::Subject))
        .with("when", others.collect::<Vec<_>>())
        .with(
            "for",
            rule.subjects
                .iter()
                .map(|w| party(organisation, *w))
                .collect::<Vec<_>>(),
        )
        .with("steps", steps(organisation, rule))
        .with("nobody_holds", unheld(organisation, rule))
        .with("business_days", rule.days == DayKind::Business)
        .with("total_days", rule.total_limit_days)
        .with("own_approval", rule.own_approval)
        .with("labels", labels.map(|l| l.name.clone()).collect::<Vec<_>>())
        .with(
            "routes",
            rule.units
                .iter()
                .map(|u| organisation.unit_path(*u))
                .collect::<Vec<_>>(),
        )
}
