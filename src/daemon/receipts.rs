//! How many receipts could not be made as they were wished for, for whoever watches the provider.

use crate::service::gauges::{Gauge, GaugeKind, Reading};
use crate::service::notary::ReceiptFigures;
use std::sync::Arc;

pub(super) fn figures(of: &ReceiptFigures) -> Reading {
    let of = of.clone();
    Arc::new(move || {
        Ok(vec![Gauge {
            kind: GaugeKind::Counter,
            name: "kepd_receipts_plain_total",
            help: "Receipts that were filed as plain evidence since what they carry is damaged or away, since the start: somebody must look.",
            value: of.plain(),
        }])
    })
}
