//! EXTERNAL at a door (RFC 4422 appendix A): the certificate of the connection, and whom it lets in.
//!
//! Attempts wait their turn by address, as with passwords. A refused certificate counts against the address and the
//! connection, but not against a login: no secret was guessed at, and nobody shall slow another's logins by naming him.

use super::secured::Secured;
use crate::address::LoginName;
use crate::clock::Clock;
use crate::domain::audit::Origin;
use crate::service::account::pace::TooManyFailures;
use crate::service::account::{Accounts, LetIn};
use crate::service::failure::Failure;

/// Why the certificate was not looked at.
pub(super) enum Unheard {
    TooManyFailures,
    Failed(Failure),
}

/// Waits, and asks whom the certificate lets in.
pub(super) async fn let_in(
    accounts: &Accounts,
    clock: &dyn Clock,
    from: Origin,
    secured: &Secured,
    wanted: Option<&LoginName>,
) -> Result<LetIn, Unheard> {
    let admitted = accounts.pace.admit_unnamed(clock.now(), from);
    let admitted = admitted.map_err(|TooManyFailures| Unheard::TooManyFailures)?;
    if !admitted.wait.is_zero() {
        tokio::time::sleep(admitted.wait).await;
    }
    let judged = accounts.by_certificate(secured.presented(), wanted, clock.now());
    let judged = judged.await.map_err(Unheard::Failed)?;
    if let Err(unfit) = &judged {
        tracing::info!(reason = %unfit, "a certificate lets nobody in");
    }
    Ok(judged)
}
