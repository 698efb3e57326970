//! A signature counts for one mail, and not for long.
//!
//! It covers the content alone: not the recipients, not the subject, not the moment of sending. Whoever knows a password and
//! has once got a signed mail could send the same content to others in its signer's name. So with each mail that is taken
//! with a person's signature, its mark is kept (`store::tables::signatures`), in the same commit; it comes again only with
//! the same octets to the same recipients, where what was handed in before did not leave. Where a signature is demanded it
//! also has to say when it was made, and not too long ago. A signature that was stolen before its owner used it is not
//! known by this.

use super::filing::Filing;
use crate::clock::UtcTime;
use crate::domain::job::JobState;
use crate::domain::mail::{Mail, MailState};
use crate::domain::tenant::Tenant;
use crate::service::failure::{Failure, Kind};
use crate::store::db::Batch;
use crate::store::tables::signatures::{self, UsedSignature};
use crate::store::tables::{jobs, mails};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long before it is handed in a mail may have been signed: a signed draft waits for its author's leave, and what lies
/// about for longer is more likely found than sent.
const SIGNED_BEFORE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Filing {
    /// Whether a signature that is demanded is of late.
    pub(super) fn check_signed_lately(
        &self,
        tenant: &Tenant,
        into_flow: bool,
        now: UtcTime,
    ) -> Result<(), Failure> {
        match self.signed.signature() {
            Some(signature) if tenant.signature.when_handed_in(into_flow) => {
                lately(signature.claimed_at.or(signature.stamped_at), now)
            }
            _ => Ok(()),
        }
    }

    /// Adds to the batch that the signature of this mail has been used; refused when it was, with another.
    pub(super) fn use_signature(&self, batch: &mut Batch, mail: &Mail) -> Result<(), Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let Some(mark) = self.signed.mark() else {
            return Ok(());
        };
        let used = signatures::used(db, tenant, &mark)?;
        if let Some(used) = &used {
            let earlier = used.row.mail;
            let may = match mails::mail(db, tenant, earlier)? {
                Some(earlier) => same_mail(&earlier.row, mail) && !self.goes_on(batch, &earlier.row, mail)?,
                None => false,
            };
            if !may {
                let say = format!(
                    "this signature was handed in before, with mail {earlier}; a signature counts for one mail, to the same \
                     recipients: sign what you send now anew"
                );
                return Err(Failure::refused(Kind::BadSignature, say));
            }
        }
        let new = UsedSignature { mail: mail.id };
        Ok(signatures::set_used(batch, tenant, &mark, used.as_ref(), new)?)
    }

    /// Whether a mail has left or may still, beside the one that is handed in now: all but one that was rejected or withdrawn,
    /// and the one whose job ends in this batch, handed in anew or released. The batch rests on that.
    fn goes_on(&self, batch: &mut Batch, earlier: &Mail, now: &Mail) -> Result<bool, Failure> {
        let job = match earlier.job {
            Some(job) => jobs::job(&*self.station.db, earlier.tenant, job)?,
            None => None,
        };
        let Some(job) = job else { return Ok(true) };
        let (id, state) = (job.row.id, job.row.standing.state);
        let is_over = match earlier.state {
            MailState::Dropped => state != JobState::Released,
            MailState::Held => now.follows == Some(id),
            _ => false,
        };
        if is_over {
            job.require_unchanged(batch);
        }
        Ok(!is_over)
    }
}

fn same_mail(earlier: &Mail, now: &Mail) -> bool {
    // A draft names them in another order.
    let to = |mail: &Mail| -> BTreeSet<_> {
        let recipients = mail.recipients.iter();
        recipients.map(|r| (r.address.clone(), r.blind)).collect()
    };
    earlier.original_sha256 == now.original_sha256 && earlier.author == now.author && to(earlier) == to(now)
}

fn lately(signed_at: Option<UtcTime>, now: UtcTime) -> Result<(), Failure> {
    let refused = |say: String| Err(Failure::refused(Kind::BadSignature, say));
    match signed_at {
        Some(at) if at.plus(SIGNED_BEFORE_MAX) >= now => Ok(()),
        Some(at) => refused(format!(
            "the mail was signed at {at}, more than {} days ago; sign it again",
            SIGNED_BEFORE_MAX.as_secs() / (24 * 60 * 60)
        )),
        None => {
            refused("the signature does not say when it was made; set your signing program to say so".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_long_ago_or_who_knows_when_is_signed_again() {
        let now = UtcTime::from_unix_s(1_795_000_000);
        let oldest = now.minus(SIGNED_BEFORE_MAX);
        for (signed_at, fits) in [
            (Some(now), true),
            (Some(now.plus(Duration::from_secs(60))), true),
            (Some(oldest), true),
            (Some(oldest.minus(Duration::from_secs(1))), false),
            (None, false),
        ] {
            assert_eq!(lately(signed_at, now).is_ok(), fits, "{signed_at:?}");
        }
    }
}
