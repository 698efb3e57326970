//! Labels: defined, renamed, removed. A label keeps its number, so a new name keeps its mail and its mailbox.

use super::{Changes, Draft, check_name, missing, refuse_taken};
use crate::domain::label::Label;
use crate::id::{LabelId, TenantId};
use crate::service::failure::{Failure, Kind};

impl Changes<'_> {
    pub async fn add_label(self, tenant: TenantId, name: &str) -> Result<Label, Failure> {
        check_name(name)?;
        self.change("label add", tenant, |draft| {
            let label = Label {
                id: LabelId(draft.next_number()),
                name: name.trim().into(),
            };
            check_label(draft, &label)?;
            draft.put(&label)?;
            Ok(label)
        })
        .await
    }

    /// Gives a label another name; its mail stays with it.
    pub async fn rename_label(self, tenant: TenantId, name: &str, new: &str) -> Result<Label, Failure> {
        check_name(new)?;
        self.change("label rename", tenant, |draft| {
            let id = draft.label(name)?;
            let mut label = draft
                .org
                .labels
                .get(&id)
                .cloned()
                .ok_or_else(|| missing("label"))?;
            let before = label.keyword();
            label.name = new.trim().into();
            check_label(draft, &label)?;
            draft.put(&label)?;
            if label.keyword() != before {
                draft.change_word(id);
            }
            Ok(label)
        })
        .await
    }

    /// Removes a label's definition. Its mail stays where it is; what came to units by the label does so no more. Its
    /// number is never given again, so no later label finds itself on that mail.
    pub async fn remove_label(self, tenant: TenantId, name: &str) -> Result<LabelId, Failure> {
        self.change("label remove", tenant, |draft| {
            let id = draft.label(name)?;
            let label = draft.org.labels.get(&id).ok_or_else(|| missing("label"))?;
            let using = draft.org.rules.values().find(|r| r.labels.contains(&id));
            if let Some(rule) = using {
                let say = format!(
                    "the rule \"{}\" puts this label on mail; change or remove the rule first",
                    rule.name
                );
                return Err(Failure::refused(Kind::WrongState, say));
            }
            for unit in draft.org.units.values().filter(|u| u.labels.contains(&id)) {
                let mut unit = unit.clone();
                unit.labels.remove(&id);
                draft.put(&unit)?;
            }
            draft.remove(label);
            draft.change_word(id);
            Ok(id)
        })
        .await
    }
}

/// Neither name nor keyword may be another's.
fn check_label(draft: &Draft<'_>, label: &Label) -> Result<(), Failure> {
    let others = || draft.org.labels.values().filter(|l| l.id != label.id);
    refuse_taken("label", &label.name, others().map(|l| l.name.as_str()))?;
    let keyword = label.keyword();
    if others().any(|l| l.keyword().eq_ignore_ascii_case(&keyword)) {
        let say = format!("another label has the keyword {keyword} already; choose another name");
        return Err(Failure::refused(Kind::Exists, say));
    }
    Ok(())
}
