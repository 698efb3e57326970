//! Until when an algorithm may be relied on, and when what rests on it must be renewed: the algorithm policy.
//!
//! A file with dates (`config/algorithms.toml`), in the spirit of ETSI TS 119 312 and RFC 5698 (DSSC): each digest algorithm, and each
//! kind of signature from a number of key bits on, is fit to the end of a day. What is not in the file is not fit. The
//! order in the file is the order of preference for what is made new. Names are compared as they are written, in ASCII.
//!
//! Not here: mapping object identifiers to names, and what is renewed and how (`cms::ers`).

use crate::clock::UtcTime;
use crate::domain::schedule::DAY;
use serde::Deserialize;
use std::time::Duration;

/// Most entries of one kind: the file is written by hand.
const ENTRIES_MAX: usize = 64;
/// Longest lead of a renewal, in days: ten years before the end an algorithm is simply not chosen.
const LEAD_MAX_DAYS: u16 = 3_660;

/// Whoever signs hears a year before that he needs another key: a new one has to be bought and given to peers.
const WARNED_BEFORE: Duration = Duration::from_secs(365 * 86_400);

/// What is fit until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmPolicy {
    digests: Vec<Digest>,
    signatures: Vec<Signature>,
    renewal: Lead,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Digest {
    name: String,
    until: UtcTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    bits_min: u32,
    until: UtcTime,
}

/// So many days before its end something is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lead {
    /// Before a time-stamp's certificate or its signature algorithm ends.
    timestamp_days: u16,
    /// Before a digest algorithm ends.
    hashtree_days: u16,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{0}")]
    Unreadable(String),
    #[error("{0} is no day of the form 2035-12-31")]
    NoDay(String),
    #[error("{0} stands in the policy twice")]
    Twice(String),
    #[error("more bits of {0} may not be fit for a shorter time than fewer")]
    Weaker(String),
    #[error("the policy needs at least one {0} and at most {ENTRIES_MAX}")]
    Count(&'static str),
    #[error("a name is 1 to 32 characters of ASCII, not {0:?}")]
    Name(String),
    #[error("a renewal is due 1 to {LEAD_MAX_DAYS} days before the end, not {0}")]
    Lead(u16),
}

/// Why an algorithm is not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("{0} is not in the algorithm policy")]
    Unknown(String),
    #[error("{name} is fit until {until} only")]
    Ended { name: String, until: UtcTime },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    renewal: Lead,
    digest: Vec<DigestEntry>,
    signature: Vec<SignatureEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestEntry {
    name: String,
    secure_until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureEntry {
    name: String,
    min_bits: u32,
    secure_until: String,
}

/// What a time-stamp and the tree under it rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The digest algorithm of the hash tree.
    pub digest: &'a str,
    /// How the authority signed: its family, the bits of its key, and the digest under the signature.
    pub signature: &'a str,
    pub signature_bits: u32,
    pub signature_digest: &'a str,
    /// Until when the authority's certificates are valid.
    pub certificate_until: UtcTime,
}

/// What has to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Another time-stamp over it.
    Timestamp,
    /// All objects hashed anew.
    HashTree,
}

/// A renewal, when to begin with it, and when it is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub renewal: Renewal,
    pub from: UtcTime,
    pub last: UtcTime,
}

/// The policy as it comes with this version.
const OF_THIS_VERSION: &str = include_str!("../../config/algorithms.toml");

impl AlgorithmPolicy {
    /// The policy of this version; an error when the file that was built in cannot be used.
    pub fn of_this_version() -> Result<Self, PolicyError> {
        Self::parse(OF_THIS_VERSION)
    }

    /// Reads a file like `config/algorithms.toml`.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text).map_err(|e| PolicyError::Unreadable(e.to_string()))?;
        for days in [file.renewal.timestamp_days, file.renewal.hashtree_days] {
            if days == 0 || days > LEAD_MAX_DAYS {
                return Err(PolicyError::Lead(days));
            }
        }
        let count = |n: usize| (1..=ENTRIES_MAX).contains(&n);
        if !count(file.digest.len()) {
            return Err(PolicyError::Count("digest"));
        }
        if !count(file.signature.len()) {
            return Err(PolicyError::Count("signature"));
        }
        let mut digests: Vec<Digest> = Vec::new();
        for entry in file.digest {
            let name = name(entry.name)?;
            if digests.iter().any(|d| d.name == name) {
                return Err(PolicyError::Twice(name));
            }
            let until = end_of_day(&entry.secure_until)?;
            digests.push(Digest { name, until });
        }
        let mut signatures: Vec<Signature> = Vec::new();
        for entry in file.signature {
            let name = name(entry.name)?;
            let (bits_min, until) = (entry.min_bits, end_of_day(&entry.secure_until)?);
            for other in signatures.iter().filter(|s| s.name == name) {
                if other.bits_min == bits_min {
                    return Err(PolicyError::Twice(format!("{name} {bits_min}")));
                }
                if (other.bits_min < bits_min) != (other.until <= until) && other.until != until {
                    return Err(PolicyError::Weaker(name));
                }
            }
            signatures.push(Signature {
                name,
                bits_min,
                until,
            });
        }
        Ok(Self {
            digests,
            signatures,
            renewal: file.renewal,
        })
    }

    /// The last moment of a digest algorithm.
    pub fn digest_until(&self, name: &str) -> Result<UtcTime, Unfit> {
        let known = self.digests.iter().find(|d| d.name == name);
        known
            .map(|d| d.until)
            .ok_or_else(|| Unfit::Unknown(name.to_owned()))
    }

    /// The last moment of a signature of this family by a key of so many bits, the digest under it apart.
    pub fn signature_until(&self, name: &str, bits: u32) -> Result<UtcTime, Unfit> {
        let fit = |s: &&Signature| s.name == name && s.bits_min <= bits;
        let best = self.signatures.iter().filter(fit).map(|s| s.until).max();
        best.ok_or_else(|| Unfit::Unknown(format!("{name} with {bits} bits")))
    }

    /// Whether digests of this algorithm may be relied on at `at`.
    pub fn digest_fits(&self, name: &str, at: UtcTime) -> Result<(), Unfit> {
        fits(self.digest_until(name)?, at, || name.to_owned())
    }

    /// Whether a signature over a digest may be relied on at `at`: both must be fit.
    pub fn signature_fits(&self, name: &str, bits: u32, digest: &str, at: UtcTime) -> Result<(), Unfit> {
        fits(self.signature_until(name, bits)?, at, || {
            format!("{name} with {bits} bits")
        })?;
        self.digest_fits(digest, at)
    }

    /// What whoever signs with such a key has to hear: nothing, or that it ends within a year. An error when it has ended.
    pub fn warning(
        &self,
        name: &str,
        bits: u32,
        digest: &str,
        now: UtcTime,
    ) -> Result<Option<String>, Unfit> {
        self.signature_fits(name, bits, digest, now)?;
        let until = self.signature_until(name, bits)?.min(self.digest_until(digest)?);
        let is_soon = until < now.plus(WARNED_BEFORE);
        Ok(is_soon.then(|| {
            format!("{name} with {bits} bits and {digest} is fit until {until} only; take another key before")
        }))
    }

    /// The digest algorithm for a new hash tree: the first one that is not due for renewal at once.
    pub fn digest_for_new(&self, now: UtcTime) -> Option<&str> {
        let lead = DAY * u32::from(self.renewal.hashtree_days);
        let lasting = |d: &&Digest| now.plus(lead) < d.until;
        self.digests.iter().find(lasting).map(|d| d.name.as_str())
    }

    /// When something must be renewed, and how. What ends first decides; a hash-tree renewal brings a new time-stamp along,
    /// so it goes first when both are due together.
    pub fn due(&self, standing: &Standing<'_>) -> Result<Due, Unfit> {
        let digest = self.digest_until(standing.digest)?;
        let stamp = (standing.certificate_until)
            .min(self.signature_until(standing.signature, standing.signature_bits)?)
            .min(self.digest_until(standing.signature_digest)?);
        let due = |renewal, last: UtcTime, days: u16| Due {
            renewal,
            from: last.minus(DAY * u32::from(days)),
            last,
        };
        let hashtree = due(Renewal::HashTree, digest, self.renewal.hashtree_days);
        let timestamp = due(Renewal::Timestamp, stamp, self.renewal.timestamp_days);
        Ok(if hashtree.from <= timestamp.from {
            hashtree
        } else {
            timestamp
        })
    }

    /// One line for each algorithm, for whoever reads what was understood.
    pub fn lines(&self) -> Vec<String> {
        let day = |t: UtcTime| {
            let (year, month, day) = t.date();
            format!("{year:04}-{month:02}-{day:02}")
        };
        let digests = self
            .digests
            .iter()
            .map(|d| format!("{} until {}", d.name, day(d.until)));
        let signatures = self.signatures.iter().map(|s| {
            format!(
                "{} of {} bits and more until {}",
                s.name,
                s.bits_min,
                day(s.until)
            )
        });
        digests.chain(signatures).collect()
    }
}

fn fits(until: UtcTime, at: UtcTime, name: impl FnOnce() -> String) -> Result<(), Unfit> {
    if at <= until {
        return Ok(());
    }
    let name = name();
    Err(Unfit::Ended { name, until })
}

fn name(text: String) -> Result<String, PolicyError> {
    let sound = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if sound {
        Ok(text)
    } else {
        Err(PolicyError::Name(text))
    }
}

/// The last second of a day in UTC.
fn end_of_day(text: &str) -> Result<UtcTime, PolicyError> {
    let day = (text.len() == 10).then(|| UtcTime::parse_rfc3339(&format!("{text}T23:59:59Z")));
    day.flatten().ok_or_else(|| PolicyError::NoDay(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = include_str!("../../config/algorithms.toml");
    const RENEWAL: &str = "[renewal]\ntimestamp_days = 60\nhashtree_days = 365\n";

    fn at(text: &str) -> UtcTime {
        UtcTime::parse_rfc3339(text).unwrap()
    }

    fn parse(entries: &str) -> Result<AlgorithmPolicy, PolicyError> {
        AlgorithmPolicy::parse(&format!("{RENEWAL}{entries}"))
    }

    fn digest(name: &str, until: &str) -> String {
        format!("[[digest]]\nname = \"{name}\"\nsecure_until = \"{until}\"\n")
    }

    fn signature(name: &str, bits: u32, until: &str) -> String {
        format!("[[signature]]\nname = \"{name}\"\nmin_bits = {bits}\nsecure_until = \"{until}\"\n")
    }

    fn sample() -> AlgorithmPolicy {
        parse(
            &[
                digest("SHA-256", "2035-12-31"),
                digest("SHA-512", "2060-12-31"),
                signature("RSA", 2048, "2030-12-31"),
                signature("RSA", 3000, "2040-12-31"),
                signature("ECDSA", 256, "2050-12-31"),
            ]
            .concat(),
        )
        .unwrap()
    }

    #[test]
    fn the_default_knows_what_kepd_makes_and_reads() {
        let policy = AlgorithmPolicy::parse(DEFAULT).unwrap();
        let now = at("2026-11-26T00:00:00Z");
        for name in ["SHA-256", "SHA-384", "SHA-512"] {
            assert_eq!(policy.digest_fits(name, now), Ok(()));
        }
        for (name, bits) in [
            ("RSA", 2048),
            ("RSA", 3072),
            ("RSA", 4096),
            ("RSA-PSS", 2048),
            ("RSA-PSS", 3072),
            ("ECDSA", 256),
            ("ECDSA", 384),
        ] {
            assert_eq!(policy.signature_fits(name, bits, "SHA-256", now), Ok(()));
        }
        for (name, bits) in [("RSA", 1024), ("ECDSA", 192), ("DSA", 3072)] {
            assert!(policy.signature_fits(name, bits, "SHA-256", now).is_err());
        }
        assert!(policy.digest_fits("SHA-1", now).is_err());
        assert_eq!(policy.digest_for_new(now), Some("SHA-256"));
        assert_eq!(policy.lines().len(), 10);
    }

    #[test]
    fn who_signs_hears_a_year_before_that_his_key_ends() {
        let policy = sample();
        let said = |bits, day| policy.warning("RSA", bits, "SHA-256", at(day));
        assert_eq!(said(2048, "2029-12-30T00:00:00Z"), Ok(None));
        let soon = said(2048, "2030-01-02T00:00:00Z").unwrap().unwrap();
        assert_eq!(
            soon,
            "RSA with 2048 bits and SHA-256 is fit until 2030-12-31T23:59:59Z only; take another key before"
        );
        assert!(said(2048, "2031-01-01T00:00:00Z").is_err());
        // What ends first counts, and that may be the digest.
        let soon = policy.warning("ECDSA", 256, "SHA-256", at("2035-03-01T00:00:00Z"));
        assert!(soon.unwrap().unwrap().contains("2035-12-31"));
        assert!(said(1024, "2026-01-01T00:00:00Z").is_err());
    }

    #[test]
    fn an_algorithm_is_fit_to_the_end_of_its_day() {
        let policy = sample();
        assert_eq!(policy.digest_fits("SHA-256", at("2035-12-31T23:59:59Z")), Ok(()));
        let after = policy
            .digest_fits("SHA-256", at("2036-01-01T00:00:00Z"))
            .unwrap_err();
        assert_eq!(
            after.to_string(),
            "SHA-256 is fit until 2035-12-31T23:59:59Z only"
        );
        let late = at("2031-01-01T00:00:00Z");
        assert_eq!(
            policy
                .signature_fits("RSA", 2999, "SHA-256", late)
                .unwrap_err()
                .to_string(),
            "RSA with 2999 bits is fit until 2030-12-31T23:59:59Z only"
        );
        assert_eq!(policy.signature_fits("RSA", 3000, "SHA-256", late), Ok(()));
        assert_eq!(
            policy.signature_fits("RSA", 3000, "SHA-1", late),
            Err(Unfit::Unknown("SHA-1".to_owned()))
        );
        assert_eq!(
            policy
                .signature_fits("ECDSA", 255, "SHA-256", late)
                .unwrap_err()
                .to_string(),
            "ECDSA with 255 bits is not in the algorithm policy"
        );
    }

    #[test]
    fn what_ends_first_is_due_first() {
        let policy = sample();
        let standing = Standing {
            digest: "SHA-256",
            signature: "RSA",
            signature_bits: 4096,
            signature_digest: "SHA-256",
            certificate_until: at("2029-06-30T00:00:00Z"),
        };
        let due = policy.due(&standing).unwrap();
        assert_eq!(due.renewal, Renewal::Timestamp);
        assert_eq!(due.last, at("2029-06-30T00:00:00Z"));
        assert_eq!(due.from, at("2029-05-01T00:00:00Z"));
        // The key is too short sooner than its certificate ends.
        let short = Standing {
            signature_bits: 2048,
            certificate_until: at("2032-01-01T00:00:00Z"),
            ..standing
        };
        assert_eq!(policy.due(&short).unwrap().last, at("2030-12-31T23:59:59Z"));
        // The digest of the tree is the next to go.
        let long = Standing {
            certificate_until: at("2038-01-01T00:00:00Z"),
            ..standing
        };
        let due = policy.due(&long).unwrap();
        assert_eq!(
            (due.renewal, due.last),
            (Renewal::HashTree, at("2035-12-31T23:59:59Z"))
        );
        assert_eq!(due.from, at("2034-12-31T23:59:59Z"));
        let unknown = Standing {
            digest: "MD5",
            ..standing
        };
        assert_eq!(policy.due(&unknown), Err(Unfit::Unknown("MD5".to_owned())));
    }

    #[test]
    fn a_new_tree_takes_what_lasts() {
        let policy = sample();
        assert_eq!(policy.digest_for_new(at("2034-12-30T00:00:00Z")), Some("SHA-256"));
        assert_eq!(policy.digest_for_new(at("2035-01-01T00:00:00Z")), Some("SHA-512"));
        assert_eq!(policy.digest_for_new(at("2060-01-02T00:00:00Z")), None);
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused() {
        let d = digest("SHA-256", "2035-12-31");
        let s = signature("RSA", 2048, "2030-12-31");
        let refused = |text: String| parse(&text).unwrap_err();
        assert_eq!(
            refused(d.clone() + &d + &s),
            PolicyError::Twice("SHA-256".to_owned())
        );
        assert_eq!(
            refused(d.clone() + &s + &s),
            PolicyError::Twice("RSA 2048".to_owned())
        );
        assert_eq!(
            refused(d.clone() + &s + &signature("RSA", 3000, "2029-12-31")),
            PolicyError::Weaker("RSA".to_owned())
        );
        assert!(parse(&(d.clone() + &s + &signature("RSA", 3000, "2030-12-31"))).is_ok());
        assert!(parse(&(d.clone() + &signature("RSA", 3000, "2031-12-31") + &s)).is_ok());
        assert_eq!(
            refused(digest("SHA-256", "2035-02-30") + &s),
            PolicyError::NoDay("2035-02-30".to_owned())
        );
        assert_eq!(
            refused(digest("", "2035-12-31") + &s),
            PolicyError::Name(String::new())
        );
        assert!(matches!(refused(d.clone()), PolicyError::Unreadable(_)));
        assert!(matches!(
            refused(d.clone() + "secure_from = \"2020-01-01\"\n" + &s),
            PolicyError::Unreadable(why) if why.contains("secure_from")
        ));
        let text = format!("[renewal]\ntimestamp_days = 0\nhashtree_days = 1\n{d}{s}");
        assert_eq!(AlgorithmPolicy::parse(&text), Err(PolicyError::Lead(0)));
        let empty = format!("{RENEWAL}digest = []\n{s}");
        assert!(AlgorithmPolicy::parse(&empty).is_err());
    }
}
