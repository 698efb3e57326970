//! RSASSA-PSS (RFC 8017 8.1) as CMS and certificates write it (RFC 4055 3.1 and 1.2, RFC 4056): its parameters, read and written.
//!
//! Of all that can be written only one form is taken: SHA-2, MGF1 over the same digest, a salt as long as the digest, and the one
//! trailer there is. That is what TS 119 312 recommends and what everybody makes. The defaults (SHA-1) are never meant, so what is left
//! out is refused. Whether a value holds is asked in `cms::certificate`.

use super::algorithm::DigestAlgorithm;
use super::der::{self, DerError, Reader, context};

/// id-RSASSA-PSS 1.2.840.113549.1.1.10
pub(super) const OID_RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// id-mgf1 1.2.840.113549.1.1.8
const OID_MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// trailerFieldBC, which is the default (RFC 4055 3.1).
const TRAILER: u8 = 1;

/// What the parameters say.
struct Parameters {
    digest: DigestAlgorithm,
    salt_octets: usize,
}

/// RSASSA-PSS-params. The identifiers within carry NULL, as RFC 4055 2.1 asks of who writes them.
pub(super) fn parameters(digest: DigestAlgorithm) -> Vec<u8> {
    let hash = der::sequence(&[&der::tlv(der::OID, &[digest.oid()]), &[der::NULL, 0]]);
    let mask = der::sequence(&[&der::tlv(der::OID, &[OID_MGF1]), &hash]);
    // 32, 48 or 64.
    let salt = [digest.length() as u8];
    der::sequence(&[
        &der::tlv(context(0), &[&hash]),
        &der::tlv(context(1), &[&mask]),
        &der::tlv(context(2), &[&der::tlv(der::INTEGER, &[&salt])]),
    ])
}

/// The digest of a signature, from what follows the object identifier. RFC 4055 3.1: in a signature the parameters must be there.
pub(super) fn read_signature(mut fields: Reader<'_>) -> Result<DigestAlgorithm, DerError> {
    let parameters = read(fields.enter(der::SEQUENCE, "RSASSA-PSS parameters")?)?;
    fields.end("RSASSA-PSS parameters")?;
    if parameters.salt_octets == parameters.digest.length() {
        Ok(parameters.digest)
    } else {
        Err(DerError("an RSASSA-PSS salt that is not as long as the digest"))
    }
}

/// The one digest a key may sign with, from what follows the object identifier of its algorithm; None when it leaves that open. RFC 4055
/// 3.3: the salt it states is the shortest it allows.
pub(super) fn read_key(mut fields: Reader<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
    if fields.is_empty() {
        return Ok(None);
    }
    let parameters = read(fields.enter(der::SEQUENCE, "RSASSA-PSS parameters of a key")?)?;
    fields.end("RSASSA-PSS parameters of a key")?;
    if parameters.salt_octets <= parameters.digest.length() {
        Ok(Some(parameters.digest))
    } else {
        Err(DerError(
            "an RSASSA-PSS key that asks for more salt than its digest has octets",
        ))
    }
}

fn read(mut fields: Reader<'_>) -> Result<Parameters, DerError> {
    let mut hash = Reader::new(fields.expect(context(0), "RSASSA-PSS hash")?.value);
    let digest = DigestAlgorithm::read(hash.enter(der::SEQUENCE, "RSASSA-PSS hash")?)?;
    hash.end("RSASSA-PSS hash")?;
    let mut mask = Reader::new(fields.expect(context(1), "RSASSA-PSS mask")?.value);
    let mut generator = mask.enter(der::SEQUENCE, "RSASSA-PSS mask")?;
    mask.end("RSASSA-PSS mask")?;
    if generator.expect(der::OID, "RSASSA-PSS mask")?.value != OID_MGF1 {
        return Err(DerError("an RSASSA-PSS mask that is not MGF1"));
    }
    let mask_digest = DigestAlgorithm::read(generator.enter(der::SEQUENCE, "RSASSA-PSS mask")?)?;
    generator.end("RSASSA-PSS mask")?;
    // RFC 4055 3.1 recommends the same one; two strengths in one signature are nobody's wish.
    if mask_digest != digest {
        return Err(DerError("an RSASSA-PSS mask of another digest"));
    }
    let salt_octets = usize::from(small(fields.expect(context(2), "RSASSA-PSS salt")?.value)?);
    if let Some(trailer) = fields.optional(context(3))?
        && small(trailer.value)? != TRAILER
    {
        return Err(DerError("an RSASSA-PSS trailer that is not 0xbc"));
    }
    fields.end("RSASSA-PSS parameters")?;
    Ok(Parameters { digest, salt_octets })
}

fn small(octets: &[u8]) -> Result<u8, DerError> {
    let mut fields = Reader::new(octets);
    let number = super::signed::small_integer(&mut fields)?;
    fields.end("RSASSA-PSS parameters")?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(oid: &[u8]) -> Vec<u8> {
        der::sequence(&[&der::tlv(der::OID, &[oid])])
    }

    fn made(hash_oid: &[u8], mask: (&[u8], &[u8]), salt: &[u8], trailer: Option<u8>) -> Vec<u8> {
        let mask = der::sequence(&[&der::tlv(der::OID, &[mask.0]), &hash(mask.1)]);
        let number = |octets: &[u8]| der::tlv(der::INTEGER, &[octets]);
        let trailer = trailer
            .map(|t| der::tlv(context(3), &[&number(&[t])]))
            .unwrap_or_default();
        der::sequence(&[
            &der::tlv(context(0), &[&hash(hash_oid)]),
            &der::tlv(context(1), &[&mask]),
            &der::tlv(context(2), &[&number(salt)]),
            &trailer,
        ])
    }

    #[test]
    fn one_form_is_read_and_any_other_is_refused() {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        for digest in [Sha256, Sha384, Sha512] {
            let written = parameters(digest);
            assert_eq!(read_signature(Reader::new(&written)), Ok(digest));
            assert_eq!(read_key(Reader::new(&written)), Ok(Some(digest)));
        }
        let (s256, s512) = (Sha256.oid(), Sha512.oid());
        const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
        let good = made(s256, (OID_MGF1, s256), &[32], None);
        assert_eq!(read_signature(Reader::new(&good)), Ok(Sha256));
        // The default, written all the same.
        let spelled = made(s256, (OID_MGF1, s256), &[32], Some(1));
        assert_eq!(read_signature(Reader::new(&spelled)), Ok(Sha256));
        for bad in [
            made(s256, (OID_MGF1, s512), &[32], None),
            made(s256, (OID_MGF1, SHA1), &[32], None),
            made(SHA1, (OID_MGF1, SHA1), &[20], None),
            made(s256, (OID_RSA_PSS, s256), &[32], None),
            made(s256, (OID_MGF1, s256), &[32], Some(2)),
            // A salt is at least nothing, and 32 has one spelling.
            made(s256, (OID_MGF1, s256), &[0xff], None),
            made(s256, (OID_MGF1, s256), &[0, 32], None),
            // All defaults: SHA-1.
            der::sequence(&[]),
            Vec::new(),
            [good.clone(), vec![der::NULL, 0]].concat(),
        ] {
            assert!(read_signature(Reader::new(&bad)).is_err(), "{bad:02x?}");
            assert!(
                bad.is_empty() || read_key(Reader::new(&bad)).is_err(),
                "{bad:02x?}"
            );
        }
        // A signature's salt is as long as its digest; a key says how long it is at least.
        for (salt, of_key) in [(0, true), (20, true), (33, false), (64, false)] {
            let other = made(s256, (OID_MGF1, s256), &[salt], None);
            assert!(read_signature(Reader::new(&other)).is_err(), "{salt}");
            assert_eq!(read_key(Reader::new(&other)).is_ok(), of_key, "{salt}");
        }
        assert_eq!(read_key(Reader::new(&[])), Ok(None));
    }
}
