//! How many accounts have little credit left, for whoever watches the provider.

use crate::service::gauges::{Gauge, GaugeKind, Reading};
use crate::store::db::Db;
use crate::store::tables::{credit, tenants};
use std::sync::Arc;

pub(super) fn figures(db: &Arc<dyn Db>) -> Reading {
    let db = db.clone();
    Arc::new(move || {
        let mut low = 0;
        for tenant in tenants::all(&*db)? {
            if let Some(terms) = &tenant.row.credit {
                low += u64::from(credit::account(&*db, tenant.row.id)?.is_low(terms));
            }
        }
        Ok(vec![Gauge {
            kind: GaugeKind::Gauge,
            name: "kepd_credit_low_accounts",
            help: "Metered accounts whose free credit is below the mark at which they are warned.",
            value: low,
        }])
    })
}
