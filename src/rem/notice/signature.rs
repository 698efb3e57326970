//! What is told of a person's signature: by evidence messages, reports and the summary for a court.

use super::{Both, both, local_time};
use crate::domain::signature::{PersonSignature, SignatureProfile, SignatureStanding};

/// How much it brings along.
pub fn profile_words(profile: SignatureProfile) -> Both {
    match profile {
        SignatureProfile::Plain => both(
            "sertifikasını belirtmeyen S/MIME",
            "S/MIME that does not name its certificate",
        ),
        named => both(named.word(), named.word()),
    }
}

/// What was known of a revocation of its certificate.
pub fn standing_words(signature: &PersonSignature) -> Both {
    let at = local_time(signature.judged_at);
    match signature.standing {
        SignatureStanding::Final => both(
            format!("{at} anında geçerli, iptal edilmemiş (kesin)"),
            format!("valid at {at} (UTC+3), not revoked (final)"),
        ),
        SignatureStanding::NotFinal { final_from } => {
            let from = local_time(final_from);
            both(
                format!("{at} anında geçerli, o ana dek iptal edilmemiş; {from} tarihinden sonra kesinleşir"),
                format!("valid at {at} (UTC+3), not revoked so far; final from {from} on"),
            )
        }
        SignatureStanding::NotAsked => both(
            format!("{at} anında geçerli; iptal durumu sorulmadı"),
            format!("valid at {at} (UTC+3); revocation was not asked about"),
        ),
    }
}

/// When it was made, and who says so.
pub fn moment_words(signature: &PersonSignature) -> Both {
    match (signature.stamped_at, signature.claimed_at) {
        (Some(at), _) => {
            let at = local_time(at);
            both(
                format!("{at} (zaman damgası)"),
                format!("{at} UTC+3 (time-stamp)"),
            )
        }
        (None, Some(at)) => {
            let at = local_time(at);
            both(
                format!("{at} (imzalayanın beyanı)"),
                format!("{at} UTC+3 (as the signer says)"),
            )
        }
        (None, None) => both("imzada belirtilmemiş", "not stated in the signature"),
    }
}

/// All of it in one line.
pub fn signature_words(signature: &PersonSignature) -> Both {
    let (profile, standing) = (profile_words(signature.profile), standing_words(signature));
    let moment = moment_words(signature);
    let (signer, issuer) = (&signature.signer, &signature.issuer);
    both(
        format!(
            "{signer} ({}); imza zamanı: {}; sertifikayı veren: {issuer}; {}",
            profile.tr, moment.tr, standing.tr
        ),
        format!(
            "{signer} ({}); signed at: {}; certificate issued by: {issuer}; {}",
            profile.en, moment.en, standing.en
        ),
    )
}
