//! A submission while its octets come in: the header block is held until it is complete, then edited; the rest streams
//! into the spool.

use super::crediting::Begun;
use super::filing::{Filing, no_such_rule};
use super::header::{
    check_header, header_end, keep_blind, keep_receipts, malformed, signed_job, wished_receipts, wishes,
};
use super::octet_check::OctetCheck;
use super::signing::{HandedIn, Signed};
use super::{Accepted, Submission, composer};
use crate::address::KepAddress;
use crate::domain::audit::AuditRoute;
use crate::domain::policy::{Asked, Disposition, dispose};
use crate::domain::provider::SEAL_OVERHEAD_MAX_BYTES;
use crate::domain::receipt::ReceiptForm;
use crate::id::{ItemId, JobId};
use crate::mime::mailbox::mailboxes;
use crate::mime::summary::{self, Summary};
use crate::mime::{Scanner, edit};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::{Outline, read_by_rules};
use crate::store::spool::BlobWriter;
use crate::store::tables::certificates;
use crate::store::tables::items::Content;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A submission that is coming in.
pub struct Receiving {
    to: Arc<Submission>,
    by: Principal,
    recipients: Vec<KepAddress>,
    /// What is done with it whatever it asks; for drafts that are sent by moving them.
    forced: Option<Asked>,
    /// The draft that is being sent.
    draft: Option<ItemId>,
    /// By which route it is handed in.
    route: AuditRoute,
    /// The size that the client declared.
    declared_octets: Option<u64>,
    header: Vec<u8>,
    body: Option<Body>,
    size_bytes: u64,
    has_8bit: bool,
    check: OctetCheck,
}

/// The part of a submission that is known once its header block is complete.
struct Body {
    writer: BlobWriter,
    scanner: Scanner,
    summary: Summary,
    asked: Asked,
    /// In which form it asks for evidence of its delivery.
    receipts: Option<ReceiptForm>,
    /// The job that it says it releases.
    signs: Option<JobId>,
    disposition: Disposition,
    blind: BTreeSet<KepAddress>,
}

impl Receiving {
    pub(super) fn new(to: Arc<Submission>, by: Principal, recipients: Vec<KepAddress>) -> Self {
        Self {
            to,
            by,
            recipients,
            forced: None,
            draft: None,
            route: AuditRoute::Smtp,
            declared_octets: None,
            header: Vec::new(),
            body: None,
            size_bytes: 0,
            has_8bit: false,
            check: OctetCheck::default(),
        }
    }

    /// Ends this draft in the same commit that makes the mail.
    pub fn of_draft(mut self, draft: ItemId, route: AuditRoute) -> Self {
        self.draft = Some(draft);
        self.route = route;
        self
    }

    /// Says by which way it is handed in.
    pub fn by_route(mut self, route: AuditRoute) -> Self {
        self.route = route;
        self
    }

    /// How large the client says it is (RFC 1870); believed only as far as it does no harm.
    pub fn declared(mut self, octets: Option<u64>) -> Self {
        self.declared_octets = octets;
        self
    }

    /// Sends or starts a flow whatever the headers ask.
    pub fn force(mut self, asked: Asked) -> Self {
        self.forced = Some(asked);
        self
    }

    /// The header block as far as it was received, for rejection evidence.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Takes the next octets, dots unstuffed. Octets that could not be relayed as they are refuse the message.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.size_bytes += chunk.len() as u64;
        if self.size_bytes + SEAL_OVERHEAD_MAX_BYTES > self.to.identity.size_max_bytes {
            return Err(Failure::refused(
                Kind::TooLarge,
                "the message is larger than this provider takes",
            ));
        }
        self.check.look(chunk).map_err(malformed)?;
        self.has_8bit |= !chunk.is_ascii();
        if let Some(body) = &mut self.body {
            return body.write(chunk).await;
        }
        let scanned = self.header.len().saturating_sub(3);
        self.header.extend_from_slice(chunk);
        let Some(end) = header_end(&self.header, scanned) else {
            if self.header.len() > summary::HEADER_MAX_OCTETS {
                return Err(malformed("the header block is larger than 64 KiB"));
            }
            return Ok(());
        };
        if end > summary::HEADER_MAX_OCTETS {
            return Err(malformed("the header block is larger than 64 KiB"));
        }
        let rest = self.header.split_off(end);
        self.open_body().await?;
        match &mut self.body {
            Some(body) => body.write(&rest).await,
            None => Ok(()),
        }
    }

    /// The same where no session leaves evidence of what it refuses: of a signature that does not count, and of a mail that
    /// cannot be paid, it is left here.
    pub async fn finish_attested(self) -> Result<Accepted, Failure> {
        let (to, by, route) = (self.to.clone(), self.by.clone(), self.route);
        let (recipients, header) = (self.recipients.clone(), self.header.clone());
        let finished = self.finish().await;
        if let Err(Failure::Refused(refusal)) = &finished
            && matches!(
                refusal.kind,
                Kind::BadSignature | Kind::SignerEnded | Kind::Unsigned | Kind::NoCredit
            )
        {
            to.leave_rejection(&by, route, &recipients, &header, refusal)
                .await?;
        }
        finished
    }

    /// The message is complete. `Ok` means that it is durable and what was decided about it.
    pub async fn finish(mut self) -> Result<Accepted, Failure> {
        self.check.finish().map_err(malformed)?;
        if self.body.is_none() {
            self.header.extend_from_slice(b"\r\n");
            self.open_body().await?;
        }
        let Some(body) = self.body.take() else {
            return Err(Failure::Broken("a submission without a body".into()));
        };
        let structure = body.scanner.finish();
        if structure.cut {
            return Err(malformed(
                "the message has more parts, or deeper nested ones, than can be looked at",
            ));
        }
        let original = body.writer.finish().await?;
        let signed = match &body.disposition {
            // Not handed in yet; it is looked at when it is.
            Disposition::Draft { .. } => Signed::NotLookedAt,
            _ => {
                let content = Content::whole(original.id, original.size_bytes);
                let organisation = self.to.organisations.of(self.by.tenant)?;
                let handed_in = HandedIn {
                    from: organisation.tenant.address.as_str(),
                    holder: &certificates::of_user(&*self.to.db, self.by.tenant, self.by.user)?,
                    at: self.to.clock.now(),
                };
                let signatures = &self.to.signatures;
                signatures
                    .look(&self.to.spool, &content, &structure, handed_in)
                    .await?
            }
        };
        let filing = Filing {
            station: self.to,
            signed,
            signs: body.signs,
            releases: None,
            by: self.by,
            recipients: self.recipients,
            outline: Outline {
                structure,
                summary: body.summary,
            },
            blind: body.blind,
            original,
            has_8bit: self.has_8bit,
            draft: self.draft,
            asked: body.asked,
            receipts: body.receipts,
            route: self.route,
        };
        filing.file(&body.disposition).await
    }

    /// The header block is complete: decide, edit, and start to store.
    async fn open_body(&mut self) -> Result<(), Failure> {
        let organisation = self.to.organisations.of(self.by.tenant)?;
        let user = composer(&organisation, &self.by)?;
        check_header(&organisation, &self.header)?;
        let signs = signed_job(&self.header)?;
        let receipts = wished_receipts(&self.header)?;
        let (asked, block) = wishes(&self.header)?;
        let asked = self.forced.clone().unwrap_or(asked);
        let now = self.to.clock.now();
        let message_id = format!("<{}@{}>", self.to.ids.uuid(), self.to.identity.domain);
        let block = edit::add_missing(&block, &message_id, now);
        let seen = Summary::of(&block);
        let named: BTreeSet<String> = [&seen.to, &seen.cc]
            .into_iter()
            .flat_map(|list| mailboxes(list))
            .map(|m| m.address().to_ascii_lowercase())
            .collect();
        let blind = self
            .recipients
            .iter()
            .filter(|r| !named.contains(r.as_str()))
            .cloned()
            .collect();
        let disposition = dispose(
            &organisation,
            user,
            &asked,
            &read_by_rules(&seen, &self.recipients),
        );
        let is_sent = !matches!(
            disposition,
            Disposition::Draft { .. } | Disposition::NoSuchRule(_)
        );
        // The octets of a draft are here already: nothing is spared, and who is refused has handed in a complete mail.
        if is_sent && self.draft.is_none() {
            let begun = Begun {
                by: &self.by,
                seen: &seen,
                recipients: self.recipients.len(),
                declared_octets: self.declared_octets,
            };
            self.to.afford(&organisation, &begun)?;
        }
        let block = match &disposition {
            // Said before the body comes: nothing is stored for it.
            Disposition::NoSuchRule(name) => return Err(no_such_rule(&organisation, user.id, name)),
            Disposition::Draft { .. } => keep_receipts(keep_blind(&block, &seen, &blind), receipts),
            _ => edit::remove_fields(&block, &["Bcc", "Resent-Bcc"]),
        };
        let mut body = Body {
            writer: self.to.spool.create().await?,
            scanner: Scanner::new(),
            summary: Summary::of(&block),
            asked,
            receipts,
            signs,
            disposition,
            blind,
        };
        body.write(&block).await?;
        self.body = Some(body);
        Ok(())
    }
}

impl Body {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.scanner.push(chunk);
        Ok(self.writer.write(chunk).await?)
    }
}
