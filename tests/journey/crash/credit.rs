//! After kills: the account that pays for all of it is what was added, less what its mails cost.

use crate::crediting::adds_up;
use crate::provider::{Provider, admin};
use kepd::domain::credit::CreditTerms;
use kepd::service::credit::{Addition, Credits};

/// More than all kills spend.
const ADDED: i64 = 1_000_000;

pub async fn prepaid(p: &Provider) {
    let tenant = p.tenant("ornekas");
    let changes = p.organisations.by(admin());
    let terms = Some(CreditTerms::default());
    let set = changes
        .set_tenant(tenant, move |t| t.credit = terms)
        .await
        .unwrap();
    let credits = Credits::new(p.db.clone(), p.clock.clone(), p.identity.tariff);
    let addition = Addition {
        units: ADDED,
        note: "",
        name: None,
    };
    credits.add(&set, admin(), addition).await.unwrap();
}

/// All mails have left: nothing is reserved, and each of them was charged once.
pub fn check(p: &Provider, mails: usize) {
    adds_up(p);
    let account = kepd::store::tables::credit::account(&*p.db, p.tenant("ornekas")).unwrap();
    assert_eq!((account.balance, account.reserved), (ADDED - mails as i64, 0));
}
