//! Looks at the signature of the person who hands a mail in, once its octets are in the spool and before anything is
//! decided by it.
//!
//! What is judged stands in `validation::personal`; here its octets are read in pieces, revocation is asked about, and it is
//! said what follows. Nothing is changed in the mail: what was signed is what leaves.

use super::filing::Filing;
use crate::clock::UtcTime;
use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::signed::along::PERSONAL_MAX_OCTETS;
use crate::domain::certificate::UserCertificates;
use crate::domain::signature::PersonSignature;
use crate::domain::tenant::Tenant;
use crate::mime::structure::{Part, Structure};
use crate::mime::{Span, decode};
use crate::rem::notice::judgement::{self, Language};
use crate::seal::revocation::Collector;
use crate::service::aside::aside;
use crate::service::failure::{BETWEEN_LANGUAGES, Failure, Kind};
use crate::service::octets::ContentReader;
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
use crate::validation::personal::{self, Fault, Question, Shape, Standards};
use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Signatures looked at together: each may hold [`PERSONAL_MAX_OCTETS`] three times over, encoded, read and as values.
const AT_ONCE: usize = 8;
/// Octets of the encoded signature that are read: base64, with line ends.
const ENCODED_MAX_OCTETS: u64 = PERSONAL_MAX_OCTETS as u64 / 2 * 3;

/// Octets in front of the signed part, or behind the signature, with the boundary there (70 at most): longer ones say more
/// than they may.
const BESIDE_MAX_OCTETS: u64 = 1024;
/// What OpenSSL, Thunderbird and others write in front of a signed part, for programs that do not know MIME.
const NOTICES: [&str; 4] = [
    "This is an S/MIME signed message",
    "This is a cryptographically signed message in MIME format",
    "This is a multi-part message in MIME format",
    "This is a multipart message in MIME format",
];

/// Judges signatures of persons; without authorities it judges none.
pub struct Signatures {
    persons: Option<Persons>,
    turns: Semaphore,
}

/// Whom to believe, and who asks about revocation.
pub struct Persons {
    pub standards: Arc<Standards>,
    /// None: nobody is asked.
    pub collector: Option<Arc<Collector>>,
    /// How long after a signature of P2 or P3 there is no last word on it, where nobody is asked.
    pub grace: Duration,
}

impl Default for Signatures {
    fn default() -> Self {
        Self::new(None)
    }
}

/// What was found on a mail.
#[derive(Debug)]
pub(super) enum Signed {
    /// Nobody here could, or nothing is handed in.
    NotLookedAt,
    /// It has none of the kind that is looked at; why.
    Absent(&'static str),
    Faulty(Fault),
    Holds(Box<Held>),
}

/// A signature that holds, and what it is known by should it come again.
#[derive(Debug)]
pub(super) struct Held {
    signature: PersonSignature,
    mark: [u8; 32],
}

/// Whose mail it is, and when it came.
pub(super) struct HandedIn<'a> {
    pub from: &'a str,
    pub holder: &'a UserCertificates,
    pub at: UtcTime,
}

impl Signatures {
    pub fn new(persons: Option<Persons>) -> Self {
        Self {
            persons,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Whether this provider knows authorities of persons at all.
    pub fn are_judged(&self) -> bool {
        self.persons.is_some()
    }

    pub(super) async fn look(
        &self,
        spool: &Spool,
        content: &Content,
        structure: &Structure,
        by: HandedIn<'_>,
    ) -> Result<Signed, Failure> {
        let Some(persons) = &self.persons else {
            return Ok(Signed::NotLookedAt);
        };
        let (entity, part) = match personal::shape(structure) {
            Shape::Unsigned(why) => return Ok(Signed::Absent(why)),
            Shape::Broken(why) => return Ok(Signed::Faulty(Fault::Unfit(why.to_owned()))),
            Shape::Detached { entity, signature } => (entity, signature),
        };
        let closed = |_| Failure::Unavailable("the house is closing".into());
        let _turn = self.turns.acquire().await.map_err(closed)?;
        if part.body.octets() > ENCODED_MAX_OCTETS {
            let say = format!("the signature is larger than {PERSONAL_MAX_OCTETS} octets");
            return Ok(Signed::Faulty(Fault::Unfit(say)));
        }
        let octets = Octets { spool, content };
        if let Some(fault) = octets.beside(structure, entity, part).await? {
            return Ok(Signed::Faulty(fault));
        }
        let cms_der = octets.decoded(part).await?;
        let content = match personal::digest_algorithm(&cms_der) {
            Ok(algorithm) => octets.digest(entity, algorithm).await?,
            Err(fault) => return Ok(Signed::Faulty(fault)),
        };
        persons.judge(cms_der, content, by).await
    }
}

impl Persons {
    async fn judge(
        &self,
        cms_der: Vec<u8>,
        content: ContentDigest,
        by: HandedIn<'_>,
    ) -> Result<Signed, Failure> {
        let (from, holder, at) = (by.from.to_owned(), by.holder.clone(), by.at);
        let standards = self.standards.clone();
        let examined = aside("judging a signature", move || {
            let question = Question {
                cms_der: &cms_der,
                content,
                from: &from,
                holder: &holder,
                received_at: at,
            };
            personal::examine(question, &standards)
        });
        let candidate = match examined.await? {
            Ok(candidate) => candidate,
            Err(fault) => return Ok(Signed::Faulty(fault)),
        };
        let mark = candidate.mark;
        let holds = |signature| Signed::Holds(Box::new(Held { signature, mark }));
        let standards = self.standards.clone();
        let Some(collector) = &self.collector else {
            let grace = candidate.grace(self.grace);
            let judging = aside("judging a signature", move || {
                candidate.unasked(grace, &standards)
            });
            return Ok(match judging.await? {
                Ok(signature) => holds(signature),
                Err(fault) => Signed::Faulty(fault),
            });
        };
        let grace = candidate.grace(collector.grace());
        let collected = collector.collect(&candidate.path, candidate.at, grace).await;
        if !collected.failures.is_empty() {
            tracing::info!(failures = ?collected.failures, "asking about a person's certificate");
        }
        let concluded = aside("judging a signature", move || {
            candidate.conclude(collected.values, grace, &standards)
        });
        Ok(match concluded.await? {
            Ok(signature) => holds(signature),
            Err(fault) => Signed::Faulty(fault),
        })
    }
}

/// The octets of the mail, in the spool.
struct Octets<'a> {
    spool: &'a Spool,
    content: &'a Content,
}

impl Octets<'_> {
    /// What stands in front of the signed part or behind the signature. Programs that know MIME never show it (RFC 2046
    /// 5.1.1), others show it as if it had been signed: so it says nothing, or what signing programs put there.
    async fn beside(
        &self,
        structure: &Structure,
        entity: Span,
        signature: &Part,
    ) -> Result<Option<Fault>, Failure> {
        let Some(root) = structure.root() else {
            return Ok(None);
        };
        let (front, behind) = (root.body.start..entity.start, signature.body.end..root.body.end);
        for span in [&front, &behind] {
            if span.end.saturating_sub(span.start) > BESIDE_MAX_OCTETS {
                return Ok(Some(says_more()));
            }
        }
        let front = ContentReader::range(self.spool, self.content, front);
        let behind = ContentReader::range(self.spool, self.content, behind);
        let says_nothing =
            says_nothing_in_front(&front.collect().await?) && says_nothing_behind(&behind.collect().await?);
        Ok((!says_nothing).then(says_more))
    }

    async fn decoded(&self, part: &Part) -> Result<Vec<u8>, Failure> {
        let encoded = ContentReader::range(self.spool, self.content, part.body.range());
        Ok(decode::transfer(
            part.encoding.as_deref(),
            &encoded.collect().await?,
        ))
    }

    async fn digest(&self, span: Span, algorithm: DigestAlgorithm) -> Result<ContentDigest, Failure> {
        let mut context = Context::new(match algorithm {
            DigestAlgorithm::Sha256 => &SHA256,
            DigestAlgorithm::Sha384 => &SHA384,
            DigestAlgorithm::Sha512 => &SHA512,
        });
        let mut reader = ContentReader::range(self.spool, self.content, span.range());
        while let Some(chunk) = reader.next_chunk().await? {
            context.update(&chunk);
        }
        ContentDigest::from_octets(algorithm, context.finish().as_ref())
            .ok_or_else(|| Failure::Broken("a digest of another length".into()))
    }
}

impl Signed {
    pub(super) fn signature(&self) -> Option<PersonSignature> {
        match self {
            Signed::Holds(held) => Some(held.signature.clone()),
            _ => None,
        }
    }

    /// What a signature that holds is known by.
    pub(super) fn mark(&self) -> Option<[u8; 32]> {
        match self {
            Signed::Holds(held) => Some(held.mark),
            _ => None,
        }
    }
}

impl Filing {
    /// Whether the mail may go on as it is signed. A signature that nobody asked for stops it only when something is wrong
    /// with the signature itself.
    pub(super) fn check_signed(&self, tenant: &Tenant, into_flow: bool) -> Result<(), Failure> {
        let is_demanded = tenant.signature.when_handed_in(into_flow);
        match &self.signed {
            Signed::Holds(_) => Ok(()),
            Signed::Faulty(Fault::Unknown(why)) if is_demanded => Err(Failure::Unavailable(why.clone())),
            Signed::Faulty(fault) if is_demanded || fault.counts_unasked() => Err(refused(fault)),
            Signed::Absent(why) if is_demanded => Err(unsigned(why)),
            Signed::NotLookedAt if is_demanded => Err(Failure::Unavailable(format!(
                "the account {} demands signatures, and [persons] trust names no authority",
                tenant.name
            ))),
            _ => Ok(()),
        }
    }
}

/// The last line is the boundary.
fn says_nothing_in_front(front: &[u8]) -> bool {
    let text = String::from_utf8_lossy(front);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some((_boundary, lines)) = lines.split_last() else {
        return true;
    };
    let mut said = lines.iter().filter(|line| !line.is_empty());
    match (said.next(), said.next()) {
        (None, _) => true,
        (Some(line), None) => NOTICES.contains(&line.trim_end_matches('.')),
        _ => false,
    }
}

/// The first line is the end of the one before, the second the boundary.
fn says_nothing_behind(behind: &[u8]) -> bool {
    let text = String::from_utf8_lossy(behind);
    text.lines().skip(2).all(|line| line.trim().is_empty())
}

fn says_more() -> Fault {
    Fault::Unfit(
        "there is text in front of the signed part or behind the signature, which is not signed; leave it out and sign again"
            .to_owned(),
    )
}

fn unsigned(why: &str) -> Failure {
    let say = format!(
        "mail of this account has to be signed by whoever sends it (güvenli elektronik imza), and this is not: {why}; sign it \
         with your qualified certificate (NES) as S/MIME and send it again"
    );
    Failure::refused(Kind::Unsigned, in_both_languages(&say))
}

fn refused(fault: &Fault) -> Failure {
    let kind = match fault {
        Fault::Ended(_) => Kind::SignerEnded,
        Fault::Lesser(_) => Kind::Unsigned,
        _ => Kind::BadSignature,
    };
    Failure::refused(kind, in_both_languages(fault.text()))
}

/// Whoever signed has to understand what is missing; the sentence also stands in the rejection evidence.
fn in_both_languages(english: &str) -> String {
    let turkish = judgement::reason(english, Language::Turkish);
    match turkish == english {
        true => turkish,
        false => format!("{english}{BETWEEN_LANGUAGES}{turkish}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_beside_what_is_signed() {
        let fits = [
            "--b\r\n",
            "\r\n \r\n--b\r\n",
            "This is an S/MIME signed message\r\n\r\n------A\r\n",
            "This is a cryptographically signed message in MIME format.\r\n\r\n--b \r\n",
        ];
        let says = [
            "Odeyin\r\n--b\r\n",
            "This is an S/MIME signed message\r\nOdeyin\r\n--b\r\n",
            "This is an S/MIME signed message. Odeyin\r\n--b\r\n",
            "--\r\n--b\r\n",
        ];
        for front in fits {
            assert!(says_nothing_in_front(front.as_bytes()), "{front}");
        }
        for front in says {
            assert!(!says_nothing_in_front(front.as_bytes()), "{front}");
        }
        for (behind, fits) in [
            ("", true),
            ("\r\n--b--", true),
            ("\r\n--b--\r\n", true),
            ("\r\n--b-- \r\n\r\n", true),
            ("\r\n--b--\r\nOdeyin", false),
        ] {
            assert_eq!(says_nothing_behind(behind.as_bytes()), fits, "{behind}");
        }
    }
}
