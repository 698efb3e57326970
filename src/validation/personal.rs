//! The signature of a person on the mail he hands in: is it a secure electronic signature (law 5070), and is it his own?
//!
//! Judged in two steps, because values of revocation are collected in between: [`examine`] says all that the signature, its
//! certificate and the authorities of persons say by themselves, [`Candidate::conclude`] how the certificate stood. Octets,
//! trust and moments in, a verdict out: no network, no clock, no store. What is signed is found by [`shape`].
//!
//! Form: `multipart/signed` around the whole body (RFC 8551 3.5.3), both spellings of the protocol, CAdES with one signer
//! (EN 319 122-1); profiles P1 to P4 of BTK's decision 2012/DK-15/299, and below them plain S/MIME where the provider takes it. The signature covers the first part alone: From, To and
//! Subject are bound by the provider's seal, not by it. Sentences name no subject: that of a qualified certificate carries an
//! identity number.

mod mark;
mod number;
#[cfg(test)]
mod tests;

use crate::clock::UtcTime;
use crate::cms::certificate::KeyKind;
use crate::cms::der::DerError;
use crate::cms::qualified::{self, common_name, qualification};
use crate::cms::revocation::{Doubt, RevocationValues, Standing};
use crate::cms::signed::along::{self, Along};
use crate::cms::signed::{self, CmsError, NO_SIGNED_ATTRIBUTES, Verified};
use crate::cms::tsp::Token;
use crate::cms::{Certificate, ContentDigest, DigestAlgorithm, PathError, Purpose};
use crate::domain::certificate::UserCertificates;
use crate::domain::evidence::Reason;
use crate::domain::number::Tckn;
use crate::domain::provider::Fingerprint;
use crate::domain::signature::{PersonSignature, SignatureProfile, SignatureStanding};
use crate::mime::structure::{Part, PartKind};
use crate::mime::{Span, Structure};
use crate::seal::TrustStore;
pub use number::masked_number;
use std::time::Duration;

/// How far clocks of signers, authorities and ours may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);
/// Certificates for trying out, as Kamu SM makes them: they name nobody.
const TEST_POLICY: &str = "2.16.792.1.2.1.1.5.7.1.4.1";

/// How a mail is signed, by its outermost part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape<'a> {
    /// In no way that is known here. Why, for who has to sign.
    Unsigned(&'static str),
    /// It says that it is signed, and is not built so.
    Broken(&'static str),
    Detached {
        /// The exact octets that are signed: the first part with its header, without the line end of the boundary.
        entity: Span,
        signature: &'a Part,
    },
}

/// Looks at the outermost part.
pub fn shape(structure: &Structure) -> Shape<'_> {
    let Some(root) = structure.root() else {
        return Shape::Unsigned("it is empty");
    };
    if root.is_type("application/pkcs7-mime") || root.is_type("application/x-pkcs7-mime") {
        return Shape::Unsigned(
            "its content is wrapped into the signature, where approvers, search and recipients without S/MIME do not see it; \
             let your mail reader sign \"in clear text\" (multipart/signed)",
        );
    }
    if !root.is_type("multipart/signed") {
        return Shape::Unsigned("it is not multipart/signed as a whole");
    }
    let parts: Vec<&Part> = structure.children(root).collect();
    let is_signature = |part: &Part| is_protocol(&part.content_type.value);
    let announced = root.content_type.param("protocol");
    if announced.is_some_and(|protocol| !is_protocol(protocol)) {
        return Shape::Unsigned("it is signed in another way than S/MIME");
    }
    match parts[..] {
        [entity, signature] if is_signature(signature) && signature.kind == PartKind::Leaf => {
            Shape::Detached {
                entity: Span {
                    start: entity.header.start,
                    end: entity.body.end,
                },
                signature,
            }
        }
        _ => Shape::Broken(
            "multipart/signed holds the signed part and its signature, in this order, and nothing else",
        ),
    }
}

/// Whether a part of this type is a signature: both spellings are in use (RFC 8551 3.2, annex C.1).
pub fn is_protocol(media_type: &str) -> bool {
    ["application/pkcs7-signature", "application/x-pkcs7-signature"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(media_type.trim()))
}

/// Whom to believe, and how much is asked for.
#[derive(Debug, Clone, Default)]
pub struct Standards {
    /// Authorities that issue qualified certificates to persons, and the policies of which one must hold.
    pub trust: TrustStore,
    /// Authorities whose time-stamps on such signatures count.
    pub stamps: TrustStore,
    pub least: SignatureProfile,
    /// Certificates for trying out count.
    pub takes_test_certificates: bool,
    /// A certificate that names mail addresses must name the sender's (RFC 8550 3).
    pub match_address: bool,
}

/// The signature in question, and who handed the mail in.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub cms_der: &'a [u8],
    pub content: ContentDigest,
    pub from: &'a str,
    /// What is bound to the user.
    pub holder: &'a UserCertificates,
    pub received_at: UtcTime,
}

/// Why a signature is not taken. Each is a sentence for whoever signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// What is there is not what was signed, or the value is not the signer's.
    Broken(String),
    /// It holds, perhaps, and is not the one that is asked for.
    Unfit(String),
    /// It holds, and does not carry what is asked for: nothing is wrong with it but by a rule.
    Lesser(String),
    /// The certificate had ended, or was revoked.
    Ended(String),
    /// Nobody could be asked.
    Unknown(String),
}

impl Fault {
    pub fn text(&self) -> &str {
        match self {
            Self::Broken(text)
            | Self::Unfit(text)
            | Self::Lesser(text)
            | Self::Ended(text)
            | Self::Unknown(text) => text,
        }
    }

    /// The ETSI reason a refusal for it is told under.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Ended(_) => Reason::UserCertExpiredOrRevoked,
            // As for no signature where one is asked for.
            Self::Lesser(_) => Reason::PolicyViolation,
            _ => Reason::InvalidUserSignature,
        }
    }

    /// Whether it counts although nobody asked for a signature: something is wrong with the signature, and not merely with
    /// who made it.
    pub fn counts_unasked(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Ended(_))
    }

    fn unfit(text: &str) -> Self {
        Self::Unfit(text.to_owned())
    }
}

/// The digest algorithm the content is needed in.
pub fn digest_algorithm(cms_der: &[u8]) -> Result<DigestAlgorithm, Fault> {
    along::read(cms_der).map(|along| along.digest).map_err(unreadable)
}

/// A signature that is right but for what is not known yet: whether its certificate had been revoked.
#[derive(Debug, Clone)]
pub struct Candidate {
    leaf: Certificate,
    pool: Vec<Certificate>,
    /// Leaf first: whose values have to be collected.
    pub path: Vec<Certificate>,
    /// The moment that the certificate is judged for.
    pub at: UtcTime,
    along: RevocationValues,
    /// What the signature is known by.
    pub mark: [u8; 32],
    signature: PersonSignature,
}

/// Judges all that can be judged without asking anybody.
pub fn examine(question: Question<'_>, standards: &Standards) -> Result<Candidate, Fault> {
    let along = along::read(question.cms_der).map_err(unreadable)?;
    if along.signer_key == Some(KeyKind::Unsupported) {
        return Err(Fault::unfit(
            "the signer's key is of a kind that is not taken: RSA from 2048 bits, P-256 or P-384",
        ));
    }
    let verified = signed::verify_personal(question.cms_der, &question.content).map_err(not_verified)?;
    let received = question.received_at;
    let stamped_at = stamp(&verified, received, standards)?;
    let claimed_at = verified.signing_time;
    let latest = stamped_at.unwrap_or(received).plus(CLOCKS_DIFFER);
    if claimed_at.is_some_and(|claimed| claimed > latest) {
        return Err(Fault::unfit(
            "the signature says it was made at a time that had not come; set your computer's clock",
        ));
    }
    let leaf = verified.signer.clone();
    check_kind(&leaf, standards)?;
    let at = stamped_at.unwrap_or(received);
    let profile = profile(&along, stamped_at, verified.names_certificate);
    let mut pool = verified.certificates;
    pool.extend(along.certificates.iter().cloned());
    let path = standards
        .trust
        .path(&leaf, &pool, at, Purpose::Signing)
        .map_err(|why| no_path(&why, &leaf, &pool, standards))?;
    check_holder(&leaf, question.holder)?;
    if standards.match_address {
        check_address(&leaf, question.from)?;
    }
    check_profile(profile, standards.least)?;
    Ok(Candidate {
        signature: PersonSignature {
            profile,
            signer: common_name(leaf.subject_der()),
            issuer: common_name(leaf.issuer_der()),
            certificate_sha256: leaf.fingerprint(),
            claimed_at,
            stamped_at,
            judged_at: at,
            standing: SignatureStanding::NotAsked,
        },
        along: along.values,
        mark: mark::mark(verified.algorithm, &verified.signature_value),
        leaf,
        pool,
        path,
        at,
    })
}

impl Candidate {
    /// How long after the moment a value has to be issued to be the last word: P2 and P3 wait for lists, P1 names no wait,
    /// P4 asks at once.
    pub fn grace(&self, provider: Duration) -> Duration {
        match self.signature.profile {
            SignatureProfile::P2 | SignatureProfile::P3 => provider,
            SignatureProfile::Plain | SignatureProfile::P1 | SignatureProfile::P4 => Duration::ZERO,
        }
    }

    /// When the signer says he signed.
    pub fn claimed_at(&self) -> Option<UtcTime> {
        self.signature.claimed_at
    }

    /// The verdict where nobody is asked about revocation: by what came along with the signature. What that leaves open
    /// was not asked.
    pub fn unasked(self, grace: Duration, standards: &Standards) -> Result<PersonSignature, Fault> {
        let unjudged = self.signature.clone();
        match self.conclude(RevocationValues::default(), grace, standards) {
            Err(Fault::Unknown(_)) => Ok(unjudged),
            judged => judged,
        }
    }

    /// The verdict by what was collected, and by what came along.
    pub fn conclude(
        self,
        collected: RevocationValues,
        grace: Duration,
        standards: &Standards,
    ) -> Result<PersonSignature, Fault> {
        let mut values = self.along;
        values.add_all(collected);
        let judged = standards
            .trust
            .judge(&self.leaf, &self.pool, self.at, Purpose::Signing, &values, grace);
        let standing = match judged.map(|judged| judged.standing) {
            Ok(Standing::ValidAt(_)) => SignatureStanding::Final,
            Ok(Standing::RevokedSince { at, reason, .. }) => {
                return Err(Fault::Ended(format!(
                    "the certificate of the signature, or one above it, was revoked at {at} ({})",
                    reason.word()
                )));
            }
            Ok(Standing::Unknown { why }) => open_standing(&why, self.at).ok_or_else(|| {
                Fault::Unknown(format!(
                    "not known whether the signer's certificate was revoked: {}",
                    doubt(&why)
                ))
            })?,
            // It was there a moment ago.
            Err(why) => return Err(no_path(&why, &self.leaf, &self.pool, standards)),
        };
        Ok(PersonSignature {
            standing,
            ..self.signature
        })
    }
}

/// "Good so far": the wait of the profile is not over, or an authority's clock is a little behind ours.
fn open_standing(why: &Doubt, at: UtcTime) -> Option<SignatureStanding> {
    let final_from = match why {
        Doubt::NotFinal { final_from, .. } => *final_from,
        Doubt::OtherTime { to, .. } if *to <= at && at <= to.plus(CLOCKS_DIFFER) => at,
        _ => return None,
    };
    Some(SignatureStanding::NotFinal { final_from })
}

/// A doubt without the subject it speaks of.
fn doubt(why: &Doubt) -> &'static str {
    match why {
        Doubt::NoValue(_) => "its authority was not reached",
        Doubt::NotKnown(_) => "its authority does not know it",
        Doubt::OtherTime { .. } => "what its authority says is of another time",
        _ => "what its authority says cannot be relied on",
    }
}

fn unreadable(why: CmsError) -> Fault {
    if why == CmsError::Der(DerError(NO_SIGNED_ATTRIBUTES)) {
        return Fault::unfit(
            "the signature has no signed attributes, so nobody knows when and by which certificate it was made; sign the mail \
             with a program that makes CAdES-BES signatures and send it again",
        );
    }
    Fault::Unfit(format!("the signature cannot be taken: {why}"))
}

/// What is wrong with the octets breaks the signature; another form or algorithm merely is not what is asked for.
fn not_verified(why: CmsError) -> Fault {
    match why {
        CmsError::ContentDigest => {
            Fault::Broken("the mail is not what was signed: something changed it after it was signed".into())
        }
        CmsError::Signature | CmsError::SigningCertificate => {
            Fault::Broken(format!("the signature does not verify: {why}"))
        }
        other => unreadable(other),
    }
}

/// The time of a time-stamp on the signature value. One of an authority that nobody here trusts counts as none; one that is
/// over something else is a fault.
fn stamp(verified: &Verified, received: UtcTime, standards: &Standards) -> Result<Option<UtcTime>, Fault> {
    let Some(token) = &verified.stamp_token else {
        return Ok(None);
    };
    let wrong = |why: String| Fault::Broken(format!("the time-stamp of the signature does not hold: {why}"));
    let token = Token::read(token).map_err(|why| wrong(why.to_string()))?;
    token
        .check_imprint(&verified.signature_value)
        .map_err(|why| wrong(why.to_string()))?;
    if token.gen_time > received.plus(CLOCKS_DIFFER) {
        return Err(wrong("it is of a time that has not come".into()));
    }
    let trusted = standards.stamps.check(
        &token.signer,
        &token.certificates,
        token.gen_time,
        Purpose::TimeStamping,
    );
    Ok(trusted.is_ok().then_some(token.gen_time))
}

/// What the certificate says of itself: qualified, a person's, made to sign for good.
fn check_kind(leaf: &Certificate, standards: &Standards) -> Result<(), Fault> {
    let says = qualification(leaf);
    if says.is_mali_muhur {
        return Err(Fault::unfit(
            "the mail is signed with the certificate of an organisation (mali mühür); a person signs with his own (NES)",
        ));
    }
    if says.policies.iter().any(|p| p == TEST_POLICY) && !standards.takes_test_certificates {
        return Err(Fault::unfit(
            "the mail is signed with a certificate for trying out; it names nobody",
        ));
    }
    if !says.is_qualified {
        return Err(Fault::unfit(
            "the certificate of the signature is no qualified one (nitelikli elektronik sertifika, NES)",
        ));
    }
    // EN 319 412-2 4.3.2: a certificate for signatures that bind says so.
    if !leaf.key_usage().is_some_and(|usage| usage.non_repudiation()) {
        return Err(Fault::unfit(
            "the certificate of the signature is not made to sign with (it lacks the key usage nonRepudiation)",
        ));
    }
    Ok(())
}

/// One that had ended is told so only if it was of an authority of ours: what others issued is not ours to judge.
fn no_path(why: &PathError, leaf: &Certificate, pool: &[Certificate], standards: &Standards) -> Fault {
    match why {
        PathError::NotValidAt { from, to, at, .. } => {
            let was = |moment| {
                standards
                    .trust
                    .check(leaf, pool, moment, Purpose::Signing)
                    .is_ok()
            };
            if was(leaf.not_after()) || was(leaf.not_before()) {
                return Fault::Ended(format!(
                    "the certificate of the signature, or one above it, is valid from {from} to {to}, not at {at}"
                ));
            }
            stranger()
        }
        PathError::OtherPolicy(_) | PathError::NoPolicy(_) => Fault::unfit(
            "the certificate of the signature was not issued under a policy that this provider takes",
        ),
        PathError::WrongPurpose { .. } => {
            Fault::unfit("the certificate of the signature, or one above it, may not be used to sign mail")
        }
        PathError::CriticalExtension(_) => {
            Fault::unfit("the certificate of the signature has a critical extension that is not understood")
        }
        _ => stranger(),
    }
}

fn stranger() -> Fault {
    Fault::unfit(
        "no path leads from the certificate of the signature to an authority whose persons' certificates this provider takes",
    )
}

/// The certificate is the user's: by the number it names, or by itself where that was bound (decision 30).
fn check_holder(leaf: &Certificate, holder: &UserCertificates) -> Result<(), Fault> {
    let says = qualification(leaf);
    let named: Option<Tckn> = says.person().and_then(|number| number.expose().parse().ok());
    match (&holder.tckn, &named) {
        (Some(bound), Some(named)) if bound == named => Ok(()),
        (Some(_), Some(_)) => Err(Fault::unfit(
            "the signature is another person's: the TCKN in its certificate is not the one bound to you",
        )),
        _ if holder.has(Fingerprint(leaf.fingerprint())) => Ok(()),
        (None, _) => Err(Fault::unfit(
            "no TCKN is bound to you here, so nobody knows whether the signature is yours; ask your account's \
             administrator (kepctl user cert LOGIN --tckn)",
        )),
        (Some(_), None) => Err(Fault::unfit("the certificate of the signature names no TCKN")),
    }
}

fn check_address(leaf: &Certificate, from: &str) -> Result<(), Fault> {
    let named = qualified::mail_addresses(leaf);
    if named.is_empty() || named.iter().any(|address| address.eq_ignore_ascii_case(from)) {
        return Ok(());
    }
    Err(Fault::Unfit(format!(
        "the certificate of the signature names mail addresses, and {from} is none of them"
    )))
}

/// EN 319 122-1 6.3: every level names the signer's certificate, and so does P1. Mail readers leave it out, so they are told
/// what is missing.
fn check_profile(reached: SignatureProfile, least: SignatureProfile) -> Result<(), Fault> {
    if reached >= least {
        return Ok(());
    }
    if reached == SignatureProfile::Plain {
        return Err(Fault::Lesser(
            "the signature does not name its certificate (CAdES-BES, attribute signing-certificate-v2; profile P1 of BTK \
             2012/DK-15/299), as those of Outlook, Thunderbird and Apple Mail do not; sign the mail with a program that makes \
             CAdES-BES signatures and send it again"
                .to_owned(),
        ));
    }
    Err(Fault::Lesser(format!(
        "the signature reaches profile {}, and {} is asked for (BTK 2012/DK-15/299); set your signing program accordingly",
        reached.word(),
        least.word()
    )))
}

/// The profile whose demands are met, whatever is claimed: a time-stamp, certificates, and the values of its kind.
fn profile(along: &Along, stamped_at: Option<UtcTime>, names_certificate: bool) -> SignatureProfile {
    use SignatureProfile::{P1, P2, P3, P4, Plain};
    let claimed = along.policy.as_deref().and_then(SignatureProfile::from_policy);
    let is_long = !along.certificates.is_empty();
    match claimed {
        _ if !names_certificate => Plain,
        Some(_) if stamped_at.is_none() => P1,
        Some(P4) if is_long && !along.values.ocsp.is_empty() => P4,
        Some(P3) if is_long && !along.values.crls.is_empty() => P3,
        Some(_) => P2,
        None => P1,
    }
}
