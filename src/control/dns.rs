//! The DNS records of a tenant's domain, for whoever keeps its zone.

use super::words::{ControlDoor, Outcome, list};
use crate::autoconfig::records::{ClientRecord, Data, TTL_S, records};
use crate::control::protocol::Record;
use crate::domain::org::Permission;

impl ControlDoor {
    /// One record each; `line` is the whole of it as a line of a zone file.
    pub(super) fn dns_records(&self, name: &str) -> Outcome {
        self.demand(Permission::Account)?;
        let domain = self.organisation(name)?.tenant.address.domain();
        list(records(&self.clients, &domain).iter().map(told))
    }
}

fn told(record: &ClientRecord) -> Record {
    let head = Record::new().text("name", &record.name).with("ttl_s", TTL_S);
    let body = match &record.data {
        Data::Srv {
            priority,
            weight,
            port,
            target,
        } => head
            .text("type", "SRV")
            .with("priority", *priority)
            .with("weight", *weight)
            .with("port", *port)
            .text("target", target),
        Data::Cname { target } => head.text("type", "CNAME").text("target", target),
    };
    body.text("line", record)
}
